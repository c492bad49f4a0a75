/* Tasks, futures and callbacks: what runs in which turn. scenario_tasks.py is the twin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

SCENARIO(create_does_not_run)
{
    cio_task *task = START("a", 0, 7);
    say("created");
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(await_takes_one_turn)
{
    say("a: %s", how(cio_await(START("a", 3, 1))));
    say("b: %s", how(cio_await(START("b", 0, 2))));
    return 0;
}

SCENARIO(await_of_what_is_done_takes_none)
{
    cio_task *task = START("a", 1, 4);
    wait_turns(5);
    say("now");
    say("a: %s", how(cio_await(task)));
    say("then");
    return 0;
}

SCENARIO(await_gives_errors)
{
    say("a: %s", how(cio_await(START("a", 2, -5))));
    cio_task *task = START("b", 0, -6);
    wait_turns(3);
    say("b: %s", how(cio_await(task)));
    return 0;
}

typedef struct awaiter {
    const char *name;
    cio_future *future;
} awaiter;

static int do_await(void *arg)
{
    awaiter *a = arg;
    say("%s waits", a->name);
    say("%s got %s", a->name, how(cio_await(a->future)));
    return 0;
}

SCENARIO(awaiters_resume_in_order)
{
    cio_task *task = START("a", 2, 3), *waiters[3];
    awaiter awaiters[] = {{"x", task}, {"y", task}, {"z", task}};
    for (int i = 0; i < 3; i++) {
        cio_ref(task);
        waiters[i] = cio_create_task(do_await, &awaiters[i]);
    }
    wait_turns(1);
    say("main got %s", how(cio_await(task)));
    for (int i = 0; i < 3; i++)
        cio_await(waiters[i]);
    return 0;
}

static void say_name(cio_future *future, void *name)
{
    (void)future;
    say("%s", (const char *)name);
}

SCENARIO(callbacks_run_a_turn_later)
{
    cio_done_callback first = {0}, second = {0}, late = {0};
    cio_future *future = cio_future_new();
    cio_add_done_callback(future, &first, say_name, "first");
    cio_add_done_callback(future, &second, say_name, "second");
    cio_set_result(future, 1, NULL);
    say("set");
    wait_turns(2);
    cio_add_done_callback(future, &late, say_name, "late");
    say("added");
    wait_turns(2);
    return cio_detach(future);
}

SCENARIO(callbacks_and_awaiters_keep_their_order)
{
    cio_done_callback first = {0}, second = {0};
    cio_future *future = cio_future_new();
    cio_add_done_callback(future, &first, say_name, "callback 1");
    cio_task *waiter = cio_create_task(do_await, &(awaiter){"x", cio_ref(future)});
    wait_turns(1);
    cio_add_done_callback(future, &second, say_name, "callback 2");
    cio_set_error(future, -9);
    cio_await(waiter);
    return cio_detach(future);
}

SCENARIO(removed_callbacks_do_not_run)
{
    cio_done_callback removed = {0}, kept = {0};
    cio_future *future = cio_future_new();
    cio_add_done_callback(future, &removed, say_name, "never");
    cio_add_done_callback(future, &kept, say_name, "kept");
    say("removed %d", cio_remove_done_callback(&removed));
    say("removed %d", cio_remove_done_callback(&removed));
    cio_set_result(future, 0, NULL);
    wait_turns(2);
    return cio_detach(future);
}

SCENARIO(a_future_ends_once)
{
    cio_future *future = cio_future_new();
    cio_set_result(future, 3, NULL);
    if (cio_set_result(future, 4, NULL) == CIO_ESTATE)
        say("done already");
    say("cancel %d", cio_cancel(future));
    say("%s", how(cio_await(future)));
    return 0;
}

static cio_handle later;

static void say_text(void *text)
{
    say("%s", (const char *)text);
}

static void say_and_queue(void *text)
{
    say("first");
    cio_call_soon(cio_get_running_loop(), &later, say_text, text);
}

SCENARIO(what_a_callback_queues_runs_next_turn)
{
    cio_loop *loop = cio_get_running_loop();
    cio_handle first = CIO_HANDLE_INIT, beside = CIO_HANDLE_INIT;
    cio_call_soon(loop, &first, say_and_queue, "second");
    cio_call_soon(loop, &beside, say_text, "beside");
    say("queued");
    wait_turns(3);
    return 0;
}

static int spin(void *arg)
{
    work *w = arg;
    for (int i = 0; i < w->turns; i++) {
        say("%s %d", w->name, i);
        cio_yield();
    }
    return 0;
}

SCENARIO(yields_interleave)
{
    work spins[] = {
        {.name = "a", .turns = 3}, {.name = "b", .turns = 1}, {.name = "c", .turns = 4}};
    cio_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = cio_create_task(spin, &spins[i]);
    for (int i = 0; i < 3; i++)
        cio_await(tasks[i]);
    return 0;
}

static int chain_link(void *arg)
{
    int depth = *(int *)arg, below = depth - 1;
    say("down %d", depth);
    if (depth == 0)
        return 0;
    int result = cio_await(cio_create_task(chain_link, &below));
    say("up %d", depth);
    return result + depth;
}

SCENARIO(a_chain_of_awaits)
{
    int depth = 5;
    say("sum %d", chain_link(&depth));
    return 0;
}

static cio_future *ping, *pong;

static int player(void *arg)
{
    (void)arg;
    say("player got %d", cio_await(ping));
    cio_set_result(pong, 2, NULL);
    say("player has set");
    return 0;
}

SCENARIO(handing_over_a_future)
{
    ping = cio_future_new();
    pong = cio_future_new();
    cio_task *task = cio_create_task(player, NULL);
    wait_turns(1);
    cio_set_result(ping, 1, NULL);
    say("main has set");
    say("main got %d", cio_await(pong));
    return cio_await(task);
}

static work works[] = {{.name = "c", .turns = 1}, {.name = "d", .turns = 1}};
static cio_task *started[2];

static int starter(void *arg)
{
    (void)arg;
    say("starter");
    for (int i = 0; i < 2; i++)
        started[i] = cio_create_task(do_work, &works[i]);
    return 0;
}

SCENARIO(started_tasks_run_in_order)
{
    cio_task *first = START("a", 1), *starting = cio_create_task(starter, NULL);
    cio_task *second = START("b", 1);
    cio_await(starting);
    cio_await(first);
    cio_await(second);
    cio_await(started[0]);
    return cio_await(started[1]);
}

static bool collect(cio_task *task, void *names)
{
    const char **next = names;
    while (*next)
        next++;
    *next = cio_get_name(task);
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *task_names(void)
{
    static char text[64];
    const char *names[8] = {NULL};
    int n = cio_all_tasks(collect, names);
    qsort(names, n, sizeof *names, compare);
    text[0] = '\0';
    for (int i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", names[i]);
    return text;
}

SCENARIO(current_and_all_tasks)
{
    cio_set_name(cio_current_task(), "main");
    cio_task *task = cio_create_task_with(&(cio_task_options){.name = "a"}, do_work,
                                          &(work){.name = "a", .turns = 1});
    cio_task *other = cio_create_task_with(&(cio_task_options){.name = "b"}, do_work,
                                           &(work){.name = "b", .turns = FOREVER});
    say("%s", task_names());
    cio_await(task);
    say("%s", task_names());
    cio_cancel(other);
    say("%s", task_names());
    wait_turns(2);
    say("%s: %s", how(cio_result(other)), task_names());
    return cio_detach(other);
}

SCENARIO(run_cancels_what_is_left)
{
    static work left = {.name = "left", .turns = FOREVER, .cleanup = 2};
    cio_detach(cio_create_task(do_work, &left));
    wait_turns(1);
    say("%s", how(0));
    return 0;
}
