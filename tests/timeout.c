/* cio_timeout: asyncio.timeout and timeout_at (T36). */
#include "waits.h"

/* The body is a wait of so many turns. */
static int limited_turns(double seconds, int turns)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, seconds), 0);
    return cio_timeout_exit(&t, wait_turns(turns));
}

TEST(what_the_body_returns_is_returned)
{
    static const int results[] = {0, 5, -EIO, CIO_ETIMEDOUT, CIO_ECANCELED};
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        cio_timeout t;
        assert_int_equal(cio_timeout_enter(&t, 60), 0);
        assert_int_equal(cio_yield(), 0);
        assert_int_equal(cio_timeout_exit(&t, results[i]), results[i]);
        assert_false(cio_timeout_expired(&t));
    }
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(the_time_is_over)
{
    double start = now();
    assert_int_equal(limited_turns(0.02, FOREVER), CIO_ETIMEDOUT);
    assert_true(now() - start >= 0.02);
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(timeout_at_a_time)
{
    cio_timeout t;
    double when = now() + 0.02;
    assert_int_equal(cio_timeout_enter_at(&t, when), 0);
    assert_true(cio_timeout_when(&t) == when);
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(60)), CIO_ETIMEDOUT);
    assert_true(now() >= when);
    assert_true(cio_timeout_expired(&t));
    return 0;
}

TEST(timeout_without_an_end)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, CIO_FOREVER), 0);
    assert_true(isinf(cio_timeout_when(&t)));
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(0.005)), 0);
    assert_int_equal(cio_timeout_enter_at(&t, CIO_FOREVER), 0);
    assert_true(isinf(cio_timeout_when(&t)));
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(0.005)), 0);
    return 0;
}

TEST(when_and_expired)
{
    cio_timeout t;
    double start = now();
    assert_int_equal(cio_timeout_enter(&t, 0.01), 0);
    assert_true(cio_timeout_when(&t) >= start + 0.01);
    assert_true(cio_timeout_when(&t) <= now() + 0.01);
    assert_false(cio_timeout_expired(&t));
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_true(cio_timeout_expired(&t));
    assert_int_equal(cio_timeout_exit(&t, CIO_ECANCELED), CIO_ETIMEDOUT);
    assert_true(cio_timeout_expired(&t));
    assert_true(isnan(cio_timeout_when(NULL)));
    return 0;
}

/* T36: zero and less let the body run until its first wait. */
TEST(t36_without_time_the_body_runs_until_its_first_wait)
{
    static const double none[] = {0, -1, -INFINITY};
    for (int i = 0; i < 3; i++) {
        cio_timeout t;
        assert_int_equal(cio_timeout_enter(&t, none[i]), 0);
        assert_int_equal(cio_cancelling(cio_current_task()), 0);
        assert_int_equal(cio_yield(), CIO_ECANCELED);
        assert_int_equal(cio_yield(), 0); /* once */
        assert_int_equal(cio_timeout_exit(&t, CIO_ECANCELED), CIO_ETIMEDOUT);
    }
    return 0;
}

TEST(t36_without_time_and_without_a_wait_nothing_happens)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0), 0);
    assert_int_equal(cio_timeout_exit(&t, 3), 3);
    assert_false(cio_timeout_expired(&t));
    assert_int_equal(wait_turns(3), 0);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(a_busy_body_is_not_interrupted)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.001), 0);
    double end = now() + 0.005;
    while (now() < end)
        ;
    assert_int_equal(cio_timeout_exit(&t, 3), 3); /* it never gave the loop a turn to expire in */
    assert_int_equal(wait_turns(3), 0);
    assert_int_equal(requests(), 0);
    return 0;
}

/* Another error, or a value, goes before the timeout; the request is taken back all the same. */
TEST(only_a_cancellation_becomes_a_timeout)
{
    static const int results[] = {0, 5, -EIO};
    for (int i = 0; i < 3; i++) {
        cio_timeout t;
        assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
        assert_int_equal(cio_sleep(60), CIO_ECANCELED);
        assert_int_equal(requests(), 1);
        assert_int_equal(cio_timeout_exit(&t, results[i]), results[i]);
        assert_int_equal(requests(), 0);
        assert_true(cio_timeout_expired(&t));
        assert_int_equal(cio_yield(), 0);
    }
    return 0;
}

TEST(the_inner_timeout_ends_first)
{
    cio_timeout outer, inner;
    assert_int_equal(cio_timeout_enter(&outer, 60), 0);
    assert_int_equal(cio_timeout_enter(&inner, 0.002), 0);
    assert_int_equal(cio_timeout_exit(&inner, cio_sleep(60)), CIO_ETIMEDOUT);
    assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_timeout_exit(&outer, 0), 0);
    assert_false(cio_timeout_expired(&outer));
    return 0;
}

TEST(the_outer_timeout_ends_first)
{
    cio_timeout outer, inner;
    assert_int_equal(cio_timeout_enter(&outer, 0.002), 0);
    assert_int_equal(cio_timeout_enter(&inner, 60), 0);
    assert_int_equal(cio_timeout_exit(&inner, cio_sleep(60)), CIO_ECANCELED);
    assert_false(cio_timeout_expired(&inner));
    assert_int_equal(cio_timeout_exit(&outer, CIO_ECANCELED), CIO_ETIMEDOUT);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(both_timeouts_end_at_once)
{
    cio_timeout outer, inner;
    assert_int_equal(cio_timeout_enter(&outer, 0), 0);
    assert_int_equal(cio_timeout_enter(&inner, 0), 0);
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(requests(), 2);
    assert_int_equal(cio_timeout_exit(&inner, CIO_ECANCELED), CIO_ECANCELED);
    assert_int_equal(cio_timeout_exit(&outer, CIO_ECANCELED), CIO_ETIMEDOUT);
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(many_nested_timeouts)
{
    enum { DEPTH = 50 };
    cio_timeout t[DEPTH];
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(cio_timeout_enter(&t[i], i == 20 ? 0.002 : 60), 0);
    int rc = cio_sleep(60);
    for (int i = DEPTH - 1; i >= 0; i--) {
        rc = cio_timeout_exit(&t[i], rc);
        assert_int_equal(rc, i > 20 ? CIO_ECANCELED : CIO_ETIMEDOUT);
    }
    assert_int_equal(requests(), 0);
    return 0;
}

static cio_handle canceling;

static void cancel_task(void *task)
{
    assert_int_equal(cio_cancel(task), 1);
}

static int timed_out_and_canceled(void *arg)
{
    bool cancel_first = *(bool *)arg;
    cio_timeout t;
    cio_loop *loop = cio_get_running_loop();
    if (cancel_first)
        cio_call_soon(loop, &canceling, cancel_task, cio_current_task());
    assert_int_equal(cio_timeout_enter(&t, 0), 0);
    if (!cancel_first)
        cio_call_soon(loop, &canceling, cancel_task, cio_current_task());
    int rc = cio_timeout_exit(&t, cio_sleep(60));
    assert_true(cio_timeout_expired(&t));
    assert_int_equal(requests(), 1);
    assert_int_equal(cio_yield(), 0);
    return rc;
}

/* T36: a cancellation from outside in the same turn goes before the timeout. */
TEST(t36_a_cancellation_at_the_same_moment_wins)
{
    for (int i = 0; i < 2; i++) {
        bool cancel_first = i;
        cio_task *task = cio_create_task(timed_out_and_canceled, &cancel_first);
        assert_int_equal(cio_await(task), CIO_ECANCELED);
    }
    return 0;
}

static int canceled_in_time(void *arg)
{
    (void)arg;
    int rc = limited_turns(60, FOREVER);
    assert_int_equal(requests(), 1);
    return rc;
}

TEST(a_cancellation_in_time_stays_one)
{
    assert_int_equal(cancel_after(2, canceled_in_time, NULL), CIO_ECANCELED);
    return 0;
}

static int clean_up_in_time(void *arg)
{
    (void)arg;
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(requests(), 1);
    assert_int_equal(limited_turns(0.002, FOREVER), CIO_ETIMEDOUT);
    assert_int_equal(requests(), 1);
    assert_int_equal(limited_turns(60, 2), 0);
    assert_int_equal(requests(), 1);
    return CIO_ECANCELED;
}

/* The request that was there at the enter does not count. */
TEST(t36_a_timeout_in_the_cleanup_of_a_canceled_task)
{
    assert_int_equal(cancel_after(2, clean_up_in_time, NULL), CIO_ECANCELED);
    return 0;
}

TEST(reschedule_earlier)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 60), 0);
    double when = now() + 0.005;
    assert_int_equal(cio_timeout_reschedule(&t, when), 0);
    assert_true(cio_timeout_when(&t) == when);
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(60)), CIO_ETIMEDOUT);
    assert_true(now() >= when);
    return 0;
}

TEST(reschedule_later_and_never)
{
    cio_timeout t;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cio_timeout_enter(&t, 0.01), 0);
        assert_int_equal(cio_timeout_reschedule(&t, i ? CIO_FOREVER : now() + 60), 0);
        assert_int_equal(cio_sleep(0.03), 0);
        assert_int_equal(cio_timeout_exit(&t, 1), 1);
    }
    return 0;
}

TEST(reschedule_from_never)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, CIO_FOREVER), 0);
    assert_int_equal(cio_timeout_reschedule(&t, now() + 0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(60)), CIO_ETIMEDOUT);
    return 0;
}

TEST(reschedule_to_the_past)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 60), 0);
    assert_int_equal(cio_timeout_reschedule(&t, now() - 1), 0);
    assert_int_equal(cio_yield(), CIO_ECANCELED);
    assert_int_equal(cio_timeout_exit(&t, CIO_ECANCELED), CIO_ETIMEDOUT);
    return 0;
}

TEST(reschedule_again_and_again)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 1), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(cio_yield(), 0);
        assert_int_equal(cio_timeout_reschedule(&t, i % 2 ? now() + 60 : CIO_FOREVER), 0);
    }
    assert_int_equal(cio_timeout_reschedule(&t, now() + 0.002), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(60)), CIO_ETIMEDOUT);
    return 0;
}

TEST(t36_reschedule_is_too_late)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(cio_timeout_reschedule(&t, CIO_FOREVER), CIO_ESTATE);
    assert_int_equal(cio_timeout_exit(&t, CIO_ECANCELED), CIO_ETIMEDOUT);
    assert_int_equal(cio_timeout_reschedule(&t, CIO_FOREVER), CIO_ESTATE);
    return 0;
}

TEST(left_it_is_left)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, 2), 2);
    assert_int_equal(cio_timeout_reschedule(&t, now()), CIO_ESTATE);
    assert_int_equal(cio_timeout_exit(&t, 2), CIO_ESTATE);
    assert_int_equal(cio_sleep(0.02), 0);              /* its timer is gone */
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0); /* and it can be entered anew */
    assert_int_equal(cio_timeout_exit(&t, cio_sleep(60)), CIO_ETIMEDOUT);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    cio_timeout t = {.state = 0};
    assert_int_equal(cio_timeout_enter(&t, 1), CIO_ENOTASK);
    assert_int_equal(cio_timeout_enter_at(&t, 1), CIO_ENOTASK);
}

TEST(timeout_refuses)
{
    cio_timeout t = {.state = 0};
    assert_int_equal(cio_timeout_enter(NULL, 1), -EINVAL);
    assert_int_equal(cio_timeout_enter_at(NULL, 1), -EINVAL);
    assert_int_equal(cio_timeout_enter(&t, NAN), -EINVAL);
    assert_int_equal(cio_timeout_enter_at(&t, NAN), -EINVAL);
    assert_int_equal(cio_timeout_exit(&t, 0), CIO_ESTATE);
    assert_int_equal(cio_timeout_reschedule(&t, 1), CIO_ESTATE);
    assert_false(cio_timeout_expired(&t));
    call_outside_tasks(outside);
    return 0;
}

/* A body that swallows its timeout, and waits on. */
TEST(a_body_that_goes_on)
{
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(cio_sleep(0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, 4), 4);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(timeout_of_an_await_waits_for_the_cleanup)
{
    struct job job = {"a", FOREVER, .cleanup = 5};
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_await(start_job(&job))), CIO_ETIMEDOUT);
    assert_noted("-a");
    return 0;
}

TEST(timeout_of_each_wait)
{
    struct job jobs[] = {{"a", FOREVER}, {"b", FOREVER}};
    cio_task *tasks[2];
    cio_timeout t;
    start_jobs(jobs, 2, tasks);
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_wait(tasks, 2, CIO_ALL_COMPLETED, 60)),
                     CIO_ETIMEDOUT);
    assert_int_equal(jobs[0].n_canceled, 0);
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_gather(tasks, 2, 0)), CIO_ETIMEDOUT);
    assert_noted("-a -b");
    return 0;
}

TEST(thousands_of_timeouts)
{
    for (int i = 0; i < test_scale(20000); i++)
        assert_int_equal(limited_turns(60, i % 2), 0);
    for (int i = 0; i < test_scale(200); i++)
        assert_int_equal(limited_turns(0, FOREVER), CIO_ETIMEDOUT);
    assert_int_equal(requests(), 0);
    return 0;
}
