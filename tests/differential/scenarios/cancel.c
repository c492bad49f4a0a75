/* Cancellation. scenario_cancel.py is the twin. */
#include "trace.h"

SCENARIO(cancel_before_the_first_step)
{
    cio_task *task = START("a", 1);
    say("cancel %d", cio_cancel(task));
    say("done %d", cio_done(task));
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(cancel_while_it_waits)
{
    cio_task *task = START("a", FOREVER);
    wait_turns(3);
    say("cancel %d", cio_cancel(task));
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(cancel_while_it_yields)
{
    cio_task *task = START("a", 10);
    wait_turns(3);
    say("cancel %d", cio_cancel(task));
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(cancel_with_cleanup)
{
    cio_task *task = START("a", FOREVER, .cleanup = 3);
    wait_turns(2);
    cio_cancel(task);
    say("a: %s", how(cio_await(task)));
    return 0;
}

static int stubborn(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++)
        say("stubborn: %s", how(cio_yield()));
    say("requests %d", cio_cancelling(cio_current_task()));
    return 8;
}

SCENARIO(cancel_twice_is_delivered_once)
{
    cio_task *task = cio_create_task(stubborn, NULL);
    wait_turns(1);
    int first = cio_cancel(task), second = cio_cancel(task);
    say("cancel %d %d %d", first, second, cio_cancelling(task));
    say("stubborn: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(cancel_again_in_the_cleanup)
{
    cio_task *task = START("a", FOREVER, .cleanup = 5);
    wait_turns(2);
    cio_cancel(task);
    wait_turns(2);
    cio_cancel(task);
    say("requests %d", cio_cancelling(task));
    say("a: %s", how(cio_await(task)));
    return 0;
}

SCENARIO(cancel_what_is_done)
{
    cio_task *task = START("a", 0, 2);
    wait_turns(3);
    int canceled = cio_cancel(task);
    say("cancel %d %d", canceled, cio_cancelling(task));
    say("a: %s", how(cio_await(task)));
    return 0;
}

static int cancel_itself_twice_wait(void *arg)
{
    (void)arg;
    say("cancel %d", cio_cancel(cio_current_task()));
    say("wait: %s", how(cio_yield()));
    say("wait: %s", how(cio_yield()));
    return 3;
}

SCENARIO(cancel_itself_and_wait)
{
    say("it: %s", how(cio_await(cio_create_task(cancel_itself_twice_wait, NULL))));
    return 0;
}

static int cancel_itself_return(void *arg)
{
    (void)arg;
    cio_cancel(cio_current_task());
    say("returns");
    return 3;
}

SCENARIO(cancel_itself_and_return)
{
    say("it: %s", how(cio_await(cio_create_task(cancel_itself_return, NULL))));
    return 0;
}

static int cancel_itself_await(void *future)
{
    cio_cancel(cio_current_task());
    say("done: %s", how(cio_await(future)));
    say("wait: %s", how(cio_yield()));
    return 3;
}

SCENARIO(cancel_itself_and_await_what_is_done)
{
    cio_future *future = cio_future_new();
    cio_set_result(future, 5, NULL);
    say("it: %s", how(cio_await(cio_create_task(cancel_itself_await, future))));
    return 0;
}

static int quits(void *arg)
{
    (void)arg;
    wait_turns(1);
    return CIO_ECANCELED;
}

SCENARIO(canceled_without_being_asked)
{
    cio_task *task = cio_create_task(quits, NULL);
    cio_ref(task);
    say("it: %s", how(cio_await(task)));
    say("requests %d %d", cio_cancelling(task), cio_cancelling(cio_current_task()));
    return cio_detach(task);
}

SCENARIO(swallowed_cancellation)
{
    cio_task *task = START("a", FOREVER, 6, .swallows = true);
    cio_ref(task);
    wait_turns(2);
    cio_cancel(task);
    say("a: %s", how(cio_await(task)));
    say("requests %d", cio_cancelling(task));
    return cio_detach(task);
}

static int awaits_inner(void *arg)
{
    (void)arg;
    say("outer got %s", how(cio_await(START("inner", FOREVER, .cleanup = 2))));
    return CIO_ECANCELED;
}

SCENARIO(cancel_reaches_the_awaited_task)
{
    cio_task *task = cio_create_task(awaits_inner, NULL);
    wait_turns(3);
    cio_cancel(task);
    say("outer: %s", how(cio_await(task)));
    return 0;
}

static int awaits_swallower(void *arg)
{
    (void)arg;
    cio_task *task = START("inner", FOREVER, 4, .cleanup = 1, .swallows = true);
    cio_ref(task);
    say("outer got %s", how(cio_await(task)));
    say("requests %d %d", cio_cancelling(cio_current_task()), cio_cancelling(task));
    say("outer waits %s", how(cio_yield()));
    cio_detach(task);
    return 1;
}

SCENARIO(the_awaited_task_swallows)
{
    cio_task *task = cio_create_task(awaits_swallower, NULL);
    wait_turns(3);
    cio_cancel(task);
    say("outer: %s", how(cio_await(task)));
    return 0;
}

static int awaits_failing(void *arg)
{
    (void)arg;
    return cio_await(START("inner", FOREVER, -4, .swallows = true));
}

SCENARIO(the_awaited_task_fails_when_canceled)
{
    cio_task *task = cio_create_task(awaits_failing, NULL);
    wait_turns(3);
    cio_cancel(task);
    say("outer: %s", how(cio_await(task)));
    return 0;
}

static int cancel_link(void *arg)
{
    int depth = *(int *)arg, below = depth - 1;
    if (depth == 0)
        return do_work(&(work){.name = "last", .turns = FOREVER});
    int rc = cio_await(cio_create_task(cancel_link, &below));
    if (rc == CIO_ECANCELED)
        say("canceled %d", depth);
    return rc;
}

SCENARIO(cancel_a_chain)
{
    int depth = 4;
    cio_task *task = cio_create_task(cancel_link, &depth);
    wait_turns(8);
    cio_cancel(task);
    say("chain: %s", how(cio_await(task)));
    return 0;
}

static int waits_for_future(void *future)
{
    say("waiter got %s", how(cio_await(future)));
    say("requests %d", cio_cancelling(cio_current_task()));
    return 0;
}

SCENARIO(cancel_a_future)
{
    cio_future *future = cio_future_new();
    cio_task *task = cio_create_task(waits_for_future, cio_ref(future));
    wait_turns(2);
    say("cancel %d", cio_cancel(future));
    say("canceled %d", cio_cancelled(future));
    cio_detach(future);
    return cio_await(task);
}

typedef struct named_wait {
    const char *name;
    cio_task *task;
    bool goes_on;
} named_wait;

static int waits_by_name(void *arg)
{
    named_wait *w = arg;
    say("%s got %s", w->name, how(cio_await(w->task)));
    if (w->goes_on)
        say("%s goes on: %s", w->name, how(cio_yield()));
    return 0;
}

SCENARIO(cancel_what_two_await)
{
    cio_task *task = START("a", FOREVER);
    cio_task *x = cio_create_task(waits_by_name, &(named_wait){"x", cio_ref(task), true});
    cio_task *y = cio_create_task(waits_by_name, &(named_wait){"y", cio_ref(task), true});
    wait_turns(2);
    cio_cancel(task);
    cio_await(x);
    cio_await(y);
    return cio_detach(task);
}

SCENARIO(cancel_one_of_two_awaiters)
{
    cio_task *task = START("a", FOREVER);
    cio_task *x = cio_create_task(waits_by_name, &(named_wait){"x", cio_ref(task), false});
    cio_task *y = cio_create_task(waits_by_name, &(named_wait){"y", cio_ref(task), false});
    wait_turns(2);
    cio_cancel(x);
    cio_await(cio_ref(x));
    cio_await(cio_ref(y));
    say("requests %d %d %d", cio_cancelling(x), cio_cancelling(y), cio_cancelling(task));
    cio_detach(x);
    cio_detach(y);
    return cio_detach(task);
}

static int waits_and_waits(void *future)
{
    say("waiter got %s", how(cio_await(future)));
    say("waiter waits: %s", how(cio_yield()));
    return 0;
}

SCENARIO(cancel_when_the_result_is_there)
{
    cio_future *future = cio_future_new();
    cio_task *task = cio_create_task(waits_and_waits, cio_ref(future));
    wait_turns(2);
    cio_set_result(future, 5, NULL);
    say("cancel %d", cio_cancel(task));
    cio_await(task);
    return cio_detach(future);
}

static int waits_once(void *future)
{
    say("waiter got %s", how(cio_await(future)));
    return 0;
}

SCENARIO(cancel_then_the_result_comes)
{
    cio_future *future = cio_future_new();
    cio_task *task = cio_create_task(waits_once, cio_ref(future));
    wait_turns(2);
    cio_cancel(task);
    say("done %d", cio_done(future));
    cio_await(task);
    return cio_detach(future);
}

static int counts_requests(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    cio_cancel(me);
    cio_cancel(me);
    say("requests %d", cio_cancelling(me));
    say("wait: %s", how(cio_yield()));
    int first = cio_uncancel(me), second = cio_uncancel(me);
    say("requests %d %d %d", first, second, cio_uncancel(me));
    say("wait: %s", how(cio_yield()));
    return 0;
}

SCENARIO(uncancel_counts)
{
    return cio_await(cio_create_task(counts_requests, NULL));
}

static int forgets(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    cio_cancel(me);
    cio_cancel(me);
    int first = cio_uncancel(me);
    say("requests %d %d", first, cio_uncancel(me));
    say("wait: %s", how(cio_yield()));
    return 2;
}

SCENARIO(uncancel_to_zero_forgets)
{
    say("it: %s", how(cio_await(cio_create_task(forgets, NULL))));
    return 0;
}

static cio_task *target;

static int cancels_target(void *arg)
{
    (void)arg;
    wait_turns(3);
    say("cancel %d", cio_cancel(target));
    return 0;
}

SCENARIO(a_canceled_awaiter_and_the_last_step)
{
    cio_task *task = cio_create_task(cancels_target, NULL);
    target = START("a", 2, 1);
    say("a: %s", how(cio_await(cio_ref(target))));
    cio_await(task);
    return cio_detach(target);
}

static cio_task *pair[2];

static int cancels_the_other(void *arg)
{
    int me = *(int *)arg;
    const char *name = me == 0 ? "first" : "second";
    if (wait_turns(1) == CIO_ECANCELED)
        return CIO_ECANCELED;
    say("%s cancels %d", name, cio_cancel(pair[1 - me]));
    say("%s: %s", name, how(cio_yield()));
    return me + 1;
}

SCENARIO(cancel_each_other)
{
    int numbers[2] = {0, 1};
    for (int i = 0; i < 2; i++)
        pair[i] = cio_create_task(cancels_the_other, &numbers[i]);
    wait_turns(6);
    say("%s %s", how(cio_result(pair[0])), how(cio_result(pair[1])));
    cio_detach(pair[0]);
    return cio_detach(pair[1]);
}
