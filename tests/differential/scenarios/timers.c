/* Timers and timeouts. scenario_timers.py is the twin. */
#include "trace.h"

typedef int scope_fn(cio_timeout *scope);

/* The body within a timeout; says how it went. */
static int limited(double seconds, scope_fn *body)
{
    cio_timeout scope;
    cio_timeout_enter(&scope, seconds);
    int rc = cio_timeout_exit(&scope, body(&scope));
    say("timeout: %s %d", how(rc), cio_timeout_expired(&scope));
    return rc;
}

static int requests(void)
{
    return cio_cancelling(cio_current_task());
}

static int body_of_three_turns(cio_timeout *t)
{
    (void)t;
    return do_work(&(work){"body", 3, 5});
}

static int body_of_one_turn(cio_timeout *t)
{
    (void)t;
    return do_work(&(work){"body", 1, 6});
}

static int body_forever(cio_timeout *t)
{
    (void)t;
    return do_work(&(work){"body", FOREVER});
}

SCENARIO(timeout_that_does_not_come)
{
    limited(60, body_of_three_turns);
    limited(CIO_FOREVER, body_of_one_turn);
    return 0;
}

static int body_waits_twice(cio_timeout *t)
{
    (void)t;
    say("body begins");
    say("wait: %s", how(cio_yield()));
    say("wait: %s", how(cio_yield()));
    return CIO_ECANCELED;
}

SCENARIO(timeout_of_zero)
{
    say("%s", how(limited(0, body_waits_twice)));
    say("requests %d", requests());
    return 0;
}

static int body_returns(cio_timeout *t)
{
    (void)t;
    return 5;
}

SCENARIO(timeout_of_zero_without_a_wait)
{
    limited(0, body_returns);
    say("wait: %s", how(cio_yield()));
    say("requests %d", requests());
    return 0;
}

SCENARIO(timeout_of_zero_and_a_long_wait)
{
    say("%s", how(limited(-1, body_forever)));
    say("wait: %s", how(cio_yield()));
    return 0;
}

static int body_fails_when_canceled(cio_timeout *t)
{
    (void)t;
    wait_turns(FOREVER);
    return -4;
}

SCENARIO(timeout_with_an_error)
{
    say("%s", how(limited(0, body_fails_when_canceled)));
    say("wait: %s", how(cio_yield()));
    return 0;
}

static int body_returns_when_canceled(cio_timeout *t)
{
    (void)t;
    wait_turns(FOREVER);
    return 4;
}

SCENARIO(timeout_with_a_value)
{
    say("%s", how(limited(0, body_returns_when_canceled)));
    say("requests %d", requests());
    return 0;
}

static int body_awaits(cio_timeout *t)
{
    (void)t;
    return cio_await(START("inner", FOREVER, .cleanup = 3));
}

SCENARIO(timeout_of_a_task)
{
    say("%s", how(limited(0, body_awaits)));
    return 0;
}

static int body_awaits_a_swallower(cio_timeout *t)
{
    (void)t;
    return cio_await(START("inner", FOREVER, 3, .swallows = true));
}

SCENARIO(timeout_of_a_task_that_swallows)
{
    say("%s", how(limited(0, body_awaits_a_swallower)));
    return 0;
}

static int body_limits_to_zero(cio_timeout *t)
{
    (void)t;
    say("inner: %s", how(limited(0, body_forever)));
    say("wait: %s", how(cio_yield()));
    return 1;
}

SCENARIO(inner_timeout)
{
    say("%s", how(limited(60, body_limits_to_zero)));
    return 0;
}

static int body_limits_to_a_minute(cio_timeout *t)
{
    (void)t;
    return limited(60, body_forever);
}

SCENARIO(outer_timeout)
{
    say("%s", how(limited(0, body_limits_to_a_minute)));
    return 0;
}

static int body_limits_too(cio_timeout *t)
{
    body_limits_to_zero(t);
    return CIO_ECANCELED;
}

SCENARIO(both_timeouts_at_once)
{
    say("%s", how(limited(0, body_limits_too)));
    say("requests %d", requests());
    return 0;
}

static int body_ends_the_time(cio_timeout *t)
{
    wait_turns(2);
    cio_timeout_reschedule(t, cio_time(cio_get_running_loop()) - 1);
    say("wait: %s", how(cio_yield()));
    say("wait: %s", how(cio_yield()));
    return CIO_ECANCELED;
}

SCENARIO(reschedule_to_the_past)
{
    say("%s", how(limited(60, body_ends_the_time)));
    return 0;
}

static int body_stops_the_time(cio_timeout *t)
{
    cio_timeout_reschedule(t, CIO_FOREVER);
    say("wait: %s", how(wait_turns(3)));
    return 2;
}

SCENARIO(reschedule_to_never)
{
    say("%s", how(limited(60, body_stops_the_time)));
    return 0;
}

static int body_reschedules_late(cio_timeout *t)
{
    wait_turns(FOREVER);
    if (cio_timeout_reschedule(t, CIO_FOREVER) == CIO_ESTATE)
        say("too late");
    return CIO_ECANCELED;
}

SCENARIO(reschedule_after_the_end)
{
    say("%s", how(limited(0, body_reschedules_late)));
    return 0;
}

static cio_handle canceling;

static void cancel_task(void *task)
{
    cio_cancel(task);
}

static int body_is_canceled_too(cio_timeout *t)
{
    (void)t;
    cio_call_soon(cio_get_running_loop(), &canceling, cancel_task, cio_current_task());
    return wait_turns(FOREVER);
}

static int limits_and_is_canceled(void *arg)
{
    (void)arg;
    say("%s", how(limited(0, body_is_canceled_too)));
    say("requests %d", requests());
    return 0;
}

SCENARIO(timeout_and_cancellation)
{
    return cio_await(cio_create_task(limits_and_is_canceled, NULL));
}

static int body_waits(cio_timeout *t)
{
    (void)t;
    return wait_turns(FOREVER);
}

static int limits_to_a_minute(void *arg)
{
    (void)arg;
    return limited(60, body_waits);
}

SCENARIO(cancellation_then_timeout)
{
    cio_task *task = cio_create_task(limits_to_a_minute, NULL);
    wait_turns(3);
    cio_cancel(task);
    say("task: %s", how(cio_await(cio_ref(task))));
    say("requests %d", cio_cancelling(task));
    return cio_detach(task);
}

static int cleans_up_in_time(void *arg)
{
    (void)arg;
    say("wait: %s", how(wait_turns(FOREVER)));
    say("cleanup: %s", how(limited(0, body_forever)));
    say("requests %d", requests());
    return CIO_ECANCELED;
}

SCENARIO(timeout_in_a_cleanup)
{
    cio_task *task = cio_create_task(cleans_up_in_time, NULL);
    wait_turns(2);
    cio_cancel(task);
    say("task: %s", how(cio_await(task)));
    return 0;
}

static int body_gathers(cio_timeout *t)
{
    /* Not in this frame: the gather returns while b cleans up. */
    static work a = {.name = "a", .turns = FOREVER};
    static work b = {.name = "b", .turns = FOREVER, .cleanup = 2};
    (void)t;
    cio_task *tasks[2] = {cio_create_task(do_work, &a), cio_create_task(do_work, &b)};
    return cio_gather(tasks, 2, 0);
}

SCENARIO(timeout_of_a_gather)
{
    say("%s", how(limited(0, body_gathers)));
    wait_turns(3);
    return 0;
}

static cio_task *shielded;

static int body_shields(cio_timeout *t)
{
    (void)t;
    return cio_shield(cio_ref(shielded));
}

SCENARIO(timeout_of_a_shield)
{
    shielded = START("a", 5, 2);
    say("%s", how(limited(0, body_shields)));
    say("a: %s", how(cio_await(shielded)));
    return 0;
}

static int body_groups(cio_timeout *t)
{
    (void)t;
    work a = {.name = "a", .turns = FOREVER, .cleanup = 4};
    cio_group g;
    cio_group_enter(&g);
    cio_group_start(&g, do_work, &a);
    return cio_group_exit(&g, 0);
}

SCENARIO(timeout_of_a_group)
{
    say("%s", how(limited(0, body_groups)));
    say("requests %d", requests());
    return 0;
}

static int body_of_the_child(cio_timeout *t)
{
    (void)t;
    return do_work(&(work){"child", FOREVER});
}

static int limited_child(void *arg)
{
    (void)arg;
    return limited(0, body_of_the_child);
}

static int group_of_a_limited_child(void)
{
    work a = {.name = "a", .turns = FOREVER};
    cio_group g;
    cio_group_enter(&g);
    cio_group_start(&g, do_work, &a);
    cio_group_start(&g, limited_child, NULL);
    int rc = cio_group_exit(&g, 0);
    say("group: %d", g.error_count);
    return rc;
}

SCENARIO(timeout_in_a_group)
{
    say("%s", how(group_of_a_limited_child()));
    return 0;
}

typedef struct sleeper {
    const char *name;
    double seconds;
} sleeper;

static int sleeps(void *arg)
{
    sleeper *s = arg;
    cio_sleep(s->seconds);
    say("%s wakes", s->name);
    return 0;
}

SCENARIO_CLOCK(sleeps_end_in_order)
{
    sleeper sleepers[] = {{"a", 0.15}, {"b", 0.05}, {"c", 0.1}, {"d", 0}};
    cio_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = cio_create_task(sleeps, &sleepers[i]);
    return cio_gather(tasks, 4, 0);
}

static void say_name(void *name)
{
    say("%s", (const char *)name);
}

SCENARIO_CLOCK(timers_run_in_order)
{
    static const sleeper calls[] = {{"a", 0.06}, {"b", 0.02}, {"c", 0.04}, {"d", -1}};
    cio_handle handles[4] = {{0}}, canceled = CIO_HANDLE_INIT, soon = CIO_HANDLE_INIT;
    cio_loop *loop = cio_get_running_loop();
    for (int i = 0; i < 4; i++)
        cio_call_later(loop, &handles[i], calls[i].seconds, say_name, (void *)calls[i].name);
    cio_call_later(loop, &canceled, 0.03, say_name, "never");
    cio_call_soon(loop, &soon, say_name, "soon");
    cio_handle_cancel(&canceled);
    return cio_sleep(0.1);
}

static void tick_from_now(void *arg)
{
    (void)arg;
    start_ticker();
}

/* The ticker starts with a timer, in whose turn wait(&when)'s timer is due too. */
static int at_one_time(cio_coroutine *wait)
{
    cio_loop *loop = cio_get_running_loop();
    double when = cio_time(loop) + 0.05;
    cio_handle handle = CIO_HANDLE_INIT;
    cio_call_at(loop, &handle, when, tick_from_now, NULL);
    cio_task *task = cio_create_task(wait, &when);
    say("it: %s", how(cio_await(task)));
    stop_ticker();
    return 0;
}

static int works_until(void *when)
{
    cio_timeout t;
    cio_timeout_enter_at(&t, *(double *)when);
    return cio_timeout_exit(&t, do_work(&(work){"body", FOREVER}));
}

SCENARIO_CLOCK(turns_of_a_timeout)
{
    return at_one_time(works_until);
}

static int awaits_until(void *when)
{
    cio_timeout t;
    cio_timeout_enter_at(&t, *(double *)when);
    return cio_timeout_exit(&t, cio_await(START("inner", FOREVER, .cleanup = 1)));
}

SCENARIO_CLOCK(turns_of_a_timeout_of_a_task)
{
    return at_one_time(awaits_until);
}

SCENARIO_CLOCK(timeout_by_a_real_timer)
{
    say("%s", how(limited(0.05, body_forever)));
    say("wait: %s", how(cio_yield()));
    return 0;
}

static int sleeps_a_minute(void *arg)
{
    (void)arg;
    say("sleep: %s", how(cio_sleep(60)));
    return 0;
}

SCENARIO_CLOCK(cancel_a_sleep)
{
    cio_task *task = cio_create_task(sleeps_a_minute, NULL);
    cio_sleep(0.02);
    cio_cancel(task);
    return cio_await(task);
}
