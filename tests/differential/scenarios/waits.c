/* wait and as_completed. scenario_waits.py is the twin. */
#include <stdio.h>
#include <string.h>

#include "trace.h"

enum { MAX = 4 };

/* Says which are done, in the order of the arguments. Leaves tasks as they are. */
static int wait_in_time(cio_future *const *tasks, size_t n, cio_return_when when, double timeout)
{
    cio_future *sorted[MAX];
    char text[64] = "";
    memcpy(sorted, tasks, n * sizeof *sorted);
    int n_done = cio_wait(sorted, n, when, timeout);
    if (n_done < 0) {
        say("wait: %s", how(n_done));
        return n_done;
    }
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(text);
        for (int j = 0; j < n_done; j++) {
            if (sorted[j] == tasks[i])
                snprintf(text + length, sizeof text - length, " %zu", i);
        }
    }
    say("wait: %d done:%s", n_done, text);
    return 0;
}

static int waits(cio_future *const *tasks, size_t n, cio_return_when when)
{
    return wait_in_time(tasks, n, when, CIO_FOREVER);
}

static int finish_all(cio_future *const *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        say("it: %s", how(cio_await(tasks[i])));
    return 0;
}

SCENARIO(wait_for_all)
{
    cio_task *tasks[] = {START("a", 3, 1), START("b", 1, -2), START("c", 2, 3)};
    waits(tasks, 3, CIO_ALL_COMPLETED);
    return finish_all(tasks, 3);
}

SCENARIO(wait_for_the_first)
{
    cio_task *tasks[] = {START("a", 3, 1), START("b", 1, -2), START("c", 5, 3)};
    waits(tasks, 3, CIO_FIRST_COMPLETED);
    return finish_all(tasks, 3);
}

SCENARIO(wait_for_the_first_two_in_one_turn)
{
    cio_task *tasks[] = {START("a", 3, 1), START("b", 1, 2), START("c", 1, 3)};
    waits(tasks, 3, CIO_FIRST_COMPLETED);
    return finish_all(tasks, 3);
}

SCENARIO(wait_for_the_first_error)
{
    cio_task *tasks[] = {START("a", 1, 1), START("b", 3, -2), START("c", 6, 3)};
    waits(tasks, 3, CIO_FIRST_ERROR);
    return finish_all(tasks, 3);
}

SCENARIO(wait_for_an_error_that_does_not_come)
{
    cio_task *tasks[] = {START("a", 1, 1), START("b", 3, 2)};
    waits(tasks, 2, CIO_FIRST_ERROR);
    return finish_all(tasks, 2);
}

typedef struct waiter {
    const char *name;
    cio_future *const *tasks;
    cio_return_when when;
} waiter;

static int do_wait(void *arg)
{
    waiter *w = arg;
    if (w->name)
        say("%s waits", w->name);
    int rc = waits(w->tasks, 2, w->when);
    if (w->name)
        say("%s goes on", w->name);
    return rc;
}

static int wait_while_the_first_is_canceled(cio_return_when when)
{
    cio_task *tasks[] = {START("a", FOREVER), START("b", 6, 2)};
    cio_task *waiting = cio_create_task(do_wait, &(waiter){NULL, tasks, when});
    wait_turns(2);
    cio_cancel(tasks[0]);
    cio_await(waiting);
    return finish_all(tasks, 2);
}

SCENARIO(a_canceled_one_is_no_error)
{
    return wait_while_the_first_is_canceled(CIO_FIRST_ERROR);
}

SCENARIO(a_canceled_one_is_the_first)
{
    return wait_while_the_first_is_canceled(CIO_FIRST_COMPLETED);
}

SCENARIO(wait_canceled_leaves_them_alone)
{
    cio_task *tasks[] = {START("a", 6, 1), START("b", 7, 2)};
    cio_task *waiting = cio_create_task(do_wait, &(waiter){NULL, tasks, CIO_ALL_COMPLETED});
    wait_turns(3);
    cio_cancel(waiting);
    say("waiting: %s", how(cio_await(waiting)));
    return finish_all(tasks, 2);
}

SCENARIO(wait_canceled_when_all_are_done)
{
    cio_future *futures[] = {cio_future_new(), cio_future_new()};
    cio_task *waiting = cio_create_task(do_wait, &(waiter){NULL, futures, CIO_ALL_COMPLETED});
    wait_turns(2);
    for (int i = 0; i < 2; i++)
        cio_set_result(futures[i], 1, NULL);
    say("cancel %d", cio_cancel(waiting));
    say("waiting: %s", how(cio_await(waiting)));
    cio_detach(futures[0]);
    return cio_detach(futures[1]);
}

SCENARIO(wait_for_what_is_done)
{
    cio_task *tasks[] = {START("a", 0, 1), START("b", 0, 2)};
    wait_turns(3);
    say("now");
    waits(tasks, 2, CIO_ALL_COMPLETED);
    return finish_all(tasks, 2);
}

SCENARIO(wait_for_the_first_with_one_done)
{
    cio_task *tasks[] = {START("a", 0, 1), START("b", 8, 2)};
    wait_turns(3);
    say("now");
    waits(tasks, 2, CIO_FIRST_COMPLETED);
    return finish_all(tasks, 2);
}

SCENARIO(two_waits_for_the_same)
{
    cio_task *tasks[] = {START("a", 2, 1), START("b", 5, 2)};
    cio_task *x = cio_create_task(do_wait, &(waiter){"x", tasks, CIO_FIRST_COMPLETED});
    cio_task *y = cio_create_task(do_wait, &(waiter){"y", tasks, CIO_ALL_COMPLETED});
    waits(tasks, 2, CIO_FIRST_COMPLETED);
    cio_await(x);
    cio_await(y);
    cio_detach(tasks[0]);
    return cio_detach(tasks[1]);
}

SCENARIO_CLOCK(wait_until_a_timeout)
{
    cio_task *tasks[] = {START("a", 2, 1), START("b", FOREVER)};
    wait_in_time(tasks, 2, CIO_ALL_COMPLETED, 0.05);
    say("done %d %d", cio_done(tasks[0]), cio_done(tasks[1]));
    cio_cancel(tasks[1]);
    return finish_all(tasks, 2);
}

SCENARIO_CLOCK(wait_with_a_timeout_that_does_not_come)
{
    cio_task *tasks[] = {START("a", 2, 1), START("b", 4, 2)};
    wait_in_time(tasks, 2, CIO_ALL_COMPLETED, 60);
    return finish_all(tasks, 2);
}

/* Awaits them as they complete; the futures are the iterator's to give and ours to finish. */
static int in_order(cio_future *const *tasks, size_t n)
{
    cio_as_completed it;
    cio_future *future;
    cio_as_completed_init(&it, tasks, n, CIO_FOREVER);
    while (cio_next_completed(&it, &future) > 0)
        say("it: %s", how(cio_await(future)));
    say("end");
    return 0;
}

SCENARIO(as_they_complete)
{
    cio_task *tasks[] = {START("a", 5, 1), START("b", 1, -2), START("c", 3, 3)};
    return in_order(tasks, 3);
}

SCENARIO(several_complete_in_one_turn)
{
    cio_task *tasks[] = {START("a", 2, 1), START("b", 1, 2), START("c", 2, 3), START("d", 1, -4)};
    return in_order(tasks, 4);
}

static int completes_two(void *tasks)
{
    return in_order(tasks, 2);
}

SCENARIO(a_canceled_one_completes)
{
    cio_task *tasks[] = {START("a", FOREVER), START("b", 5, 2)};
    cio_task *completing = cio_create_task(completes_two, tasks);
    wait_turns(2);
    cio_cancel(tasks[0]);
    say("%s", how(cio_await(completing)));
    return 0;
}

SCENARIO(as_completed_left_early)
{
    cio_task *tasks[] = {START("a", 1, 1), START("b", 4, 2)};
    cio_as_completed it;
    cio_future *future;
    cio_as_completed_init(&it, tasks, 2, CIO_FOREVER);
    if (cio_next_completed(&it, &future) == 1)
        say("it: %s", how(cio_await(future)));
    cio_as_completed_end(&it);
    say("b: %s", how(cio_await(tasks[1])));
    return 0;
}

/* Says what next gives until it gives no future. */
static int says_next(cio_future *const *tasks, double timeout)
{
    cio_as_completed it;
    cio_future *future;
    int rc;
    cio_as_completed_init(&it, tasks, 2, timeout);
    while ((rc = cio_next_completed(&it, &future)) == 1)
        say("next: %s", how(cio_result(future)));
    say("next: %s", how(rc));
    cio_as_completed_end(&it);
    return 0;
}

static int says_all(void *tasks)
{
    return says_next(tasks, CIO_FOREVER);
}

SCENARIO(as_completed_canceled)
{
    cio_task *tasks[] = {START("a", 1, 1), START("b", 7, 2)};
    cio_task *completing = cio_create_task(says_all, tasks);
    wait_turns(5);
    say("cancel %d", cio_cancel(completing));
    say("%s", how(cio_await(completing)));
    cio_detach(tasks[0]);
    say("b: %s", how(cio_await(tasks[1])));
    return 0;
}

SCENARIO_CLOCK(as_completed_until_a_timeout)
{
    cio_task *tasks[] = {START("a", 1, 1), START("b", FOREVER)};
    says_next(tasks, 0.05);
    say("done %d %d", cio_done(tasks[0]), cio_done(tasks[1]));
    cio_cancel(tasks[1]);
    return finish_all(tasks, 2);
}
