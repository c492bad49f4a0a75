/* gather and shield. scenario_gathers.py is the twin. */
#include <stdio.h>
#include <string.h>

#include "trace.h"

typedef struct gathering {
    cio_future *futures[4];
    unsigned flags;
} gathering;

/* Gathers them, says the results, or the error, and returns as cio_gather(). */
static int gathers(void *arg)
{
    gathering *g = arg;
    cio_result_pair results[4];
    char text[64] = "";
    size_t n = 0;
    while (n < 4 && g->futures[n])
        n++;
    int rc = cio_gather_into(g->futures, n, g->flags, results);
    for (size_t i = 0; i < n && rc == 0; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "", how(results[i].rc));
    }
    say("gather: %s", rc == 0 ? text : how(rc));
    return rc;
}

#define GATHER(...) gathers(&(gathering){{__VA_ARGS__}, 0})

SCENARIO(gather_gives_results_in_argument_order)
{
    return GATHER(START("a", 3, 1), START("b", 1, 2), START("c", 2, 3));
}

SCENARIO(gather_raises_the_first_error_at_once)
{
    cio_task *a = START("a", 6, 1), *b = START("b", 2, -5), *c = START("c", 4, 3);
    say("%s", how(GATHER(cio_ref(a), b, cio_ref(c))));
    wait_turns(6);
    say("%s %s", how(cio_result(a)), how(cio_result(c)));
    cio_detach(a);
    return cio_detach(c);
}

SCENARIO(gather_takes_the_error_that_comes_first)
{
    cio_task *a = START("a", 3, -1), *b = START("b", 1, -2), *c = START("c", 2, -3);
    say("%s", how(GATHER(a, b, c)));
    wait_turns(3);
    return 0;
}

SCENARIO(gather_takes_the_first_of_errors_in_one_turn)
{
    cio_task *a = START("a", 2, -1), *b = START("b", 2, -2);
    say("%s", how(GATHER(a, b)));
    return 0;
}

SCENARIO(gather_with_a_canceled_child)
{
    cio_task *a = START("a", 4), *b = START("b", FOREVER);
    cio_task *task = cio_create_task(gathers, &(gathering){{a, cio_ref(b)}, 0});
    wait_turns(2);
    cio_cancel(b);
    say("%s", how(cio_await(cio_ref(task))));
    say("requests %d", cio_cancelling(task));
    wait_turns(3);
    cio_detach(task);
    return cio_detach(b);
}

SCENARIO(gather_takes_errors_as_results)
{
    cio_task *a = START("a", 2, 1), *b = START("b", 1, -5), *c = START("c", FOREVER);
    cio_task *task = cio_create_task(gathers, &(gathering){{a, b, cio_ref(c)}, CIO_RETURN_ERRORS});
    wait_turns(4);
    cio_cancel(c);
    say("%s", how(cio_await(task)));
    return cio_detach(c);
}

/* Starts a task that gathers, and cancels it when all wait. */
static cio_task *canceled_gathering(gathering *g)
{
    cio_task *task = cio_create_task(gathers, g);
    wait_turns(2);
    cio_cancel(task);
    return task;
}

SCENARIO(gather_canceled)
{
    cio_task *a = START("a", FOREVER), *b = START("b", FOREVER), *c = START("c", FOREVER);
    say("%s", how(cio_await(canceled_gathering(&(gathering){{a, b, c}, 0}))));
    return 0;
}

SCENARIO(gather_canceled_does_not_wait_for_all)
{
    cio_task *a = START("a", FOREVER, .cleanup = 5), *b = START("b", FOREVER);
    cio_task *c = START("c", FOREVER, .cleanup = 2);
    say("%s", how(cio_await(canceled_gathering(&(gathering){{a, b, c}, 0}))));
    wait_turns(6);
    return 0;
}

SCENARIO(gather_canceled_with_errors_as_results_waits_for_all)
{
    cio_task *a = START("a", FOREVER, .cleanup = 5), *b = START("b", FOREVER);
    cio_task *c = START("c", FOREVER, -3, .swallows = true);
    gathering g = {{a, b, c}, CIO_RETURN_ERRORS};
    say("%s", how(cio_await(canceled_gathering(&g))));
    return 0;
}

SCENARIO(gather_canceled_but_all_swallow)
{
    cio_task *a = START("a", FOREVER, 1, .swallows = true);
    cio_task *b = START("b", FOREVER, 2, .cleanup = 2, .swallows = true);
    say("%s", how(cio_await(canceled_gathering(&(gathering){{cio_ref(a), cio_ref(b)}, 0}))));
    say("%s %s", how(cio_result(a)), how(cio_result(b)));
    cio_detach(a);
    return cio_detach(b);
}

SCENARIO(gather_canceled_and_a_child_fails)
{
    cio_task *a = START("a", FOREVER, -7, .swallows = true), *b = START("b", FOREVER, .cleanup = 2);
    say("%s", how(cio_await(canceled_gathering(&(gathering){{a, b}, 0}))));
    wait_turns(3);
    return 0;
}

SCENARIO(gather_canceled_twice)
{
    cio_task *a = START("a", FOREVER, .cleanup = 9), *b = START("b", FOREVER, .cleanup = 9);
    cio_task *task = canceled_gathering(&(gathering){{a, b}, 0});
    wait_turns(2);
    cio_cancel(task);
    say("%s", how(cio_await(task)));
    return 0;
}

static cio_task *target;

static int cancels_target(void *arg)
{
    (void)arg;
    wait_turns(1);
    say("cancel %d", cio_cancel(target));
    return 0;
}

SCENARIO(gather_canceled_when_all_are_done)
{
    cio_task *a = START("a", 1, 1), *b = START("b", 1, 2);
    cio_task *canceling = cio_create_task(cancels_target, NULL);
    target = cio_create_task(gathers, &(gathering){{a, b}, 0});
    say("%s", how(cio_await(target)));
    return cio_await(canceling);
}

SCENARIO(gather_the_same_twice)
{
    cio_task *task = START("a", 2, 4);
    return GATHER(cio_ref(task), task);
}

static int inner_gather(void *arg)
{
    work *w = arg;
    const char *twice = w->name[0] == 'a' ? "aa" : "bb";
    cio_task *first = START(w->name, w->turns, w->end);
    return GATHER(first, START(twice, 1));
}

SCENARIO(gather_within_gather)
{
    cio_task *a = cio_create_task(inner_gather, &(work){"a", 2, 1});
    cio_task *b = cio_create_task(inner_gather, &(work){"b", 3, -2});
    say("%s", how(GATHER(a, b)));
    return 0;
}

static int gathers_forever(void *name)
{
    /* Not in this frame: the gather may return while they still run. */
    static work a[] = {{.name = "a", .turns = FOREVER}, {.name = "aa", .turns = FOREVER}};
    static work b[] = {{.name = "b", .turns = FOREVER}, {.name = "bb", .turns = FOREVER}};
    work *w = *(char *)name == 'a' ? a : b;
    cio_task *first = cio_create_task(do_work, &w[0]);
    return GATHER(first, cio_create_task(do_work, &w[1]));
}

static int gathers_gathers(void *arg)
{
    (void)arg;
    cio_task *a = cio_create_task(gathers_forever, "a"), *b = cio_create_task(gathers_forever, "b");
    return GATHER(a, b);
}

SCENARIO(gather_within_gather_canceled)
{
    cio_task *task = cio_create_task(gathers_gathers, NULL);
    wait_turns(4);
    cio_cancel(task);
    say("%s", how(cio_await(task)));
    wait_turns(2);
    return 0;
}

SCENARIO(gather_of_futures)
{
    cio_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = cio_future_new();
    gathering g = {{cio_ref(futures[0]), cio_ref(futures[1]), cio_ref(futures[2])}, 0};
    cio_task *task = cio_create_task(gathers, &g);
    wait_turns(2);
    static const int order[] = {2, 0, 1};
    for (int i = 0; i < 3; i++) {
        cio_set_result(futures[order[i]], order[i], NULL);
        wait_turns(1);
    }
    say("%s", how(cio_await(task)));
    for (int i = 0; i < 3; i++)
        cio_detach(futures[i]);
    return 0;
}

static int shields(void *future)
{
    int rc = cio_shield(future);
    say("shield: %s", how(rc));
    return rc;
}

SCENARIO(shield_gives_the_result)
{
    say("%s", how(shields(START("a", 2, 3))));
    say("%s", how(shields(START("b", 1, -3))));
    return 0;
}

SCENARIO(shield_canceled_leaves_the_task_alone)
{
    cio_task *task = START("a", 6, 3);
    cio_task *shielding = cio_create_task(shields, cio_ref(task));
    wait_turns(3);
    cio_cancel(shielding);
    say("%s", how(cio_await(shielding)));
    say("done %d", cio_done(task));
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(shield_of_a_canceled_task)
{
    cio_task *task = START("a", FOREVER);
    cio_task *shielding = cio_create_task(shields, cio_ref(task));
    wait_turns(3);
    cio_cancel(task);
    say("%s", how(cio_await(cio_ref(shielding))));
    say("requests %d", cio_cancelling(shielding));
    cio_detach(shielding);
    return cio_detach(task);
}

static int shields_twice(void *task)
{
    say("first: %s", how(cio_shield(cio_ref(task))));
    say("second: %s", how(cio_shield(task)));
    return 0;
}

SCENARIO(shield_waits_again_after_its_cancellation)
{
    cio_task *task = START("a", 8, 3);
    cio_task *shielding = cio_create_task(shields_twice, cio_ref(task));
    wait_turns(3);
    cio_cancel(shielding);
    wait_turns(2);
    cio_cancel(shielding);
    say("%s", how(cio_await(shielding)));
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(two_shields)
{
    cio_task *task = START("a", 5, 3), *shieldings[2];
    for (int i = 0; i < 2; i++)
        shieldings[i] = cio_create_task(shields, cio_ref(task));
    wait_turns(3);
    cio_cancel(shieldings[0]);
    say("%s", how(cio_await(shieldings[0])));
    say("%s", how(cio_await(shieldings[1])));
    return cio_detach(task);
}

SCENARIO(shield_canceled_as_the_result_comes)
{
    cio_future *future = cio_future_new();
    cio_task *shielding = cio_create_task(shields, cio_ref(future));
    wait_turns(2);
    cio_set_result(future, 4, NULL);
    cio_cancel(shielding);
    say("%s", how(cio_await(shielding)));
    return cio_detach(future);
}
