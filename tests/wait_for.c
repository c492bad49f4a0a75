/* cio_wait_for and cio_await_for: asyncio.wait_for (T34, T35). */
#include "waits.h"

static cio_task *caller;

static int in_callers_task(void *arg)
{
    assert_ptr_equal(cio_current_task(), caller);
    assert_int_equal(cio_yield(), 0);
    return *(int *)arg;
}

TEST(t35_it_calls_in_the_callers_task)
{
    int value = 5, error = -EIO;
    caller = cio_current_task();
    assert_int_equal(cio_wait_for(in_callers_task, &value, 60), 5);
    assert_int_equal(cio_wait_for(in_callers_task, &error, 60), -EIO);
    assert_int_equal(cio_wait_for(in_callers_task, &value, CIO_FOREVER), 5);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(the_time_is_over)
{
    struct job job = {"a", FOREVER};
    double start = now();
    assert_int_equal(cio_wait_for(do_job, &job, 0.02), CIO_ETIMEDOUT);
    assert_true(now() - start >= 0.02);
    assert_noted("-a");
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(it_waits_for_the_cleanup)
{
    struct job job = {"a", FOREVER, .cleanup = 5};
    assert_int_equal(cio_wait_for(do_job, &job, 0.005), CIO_ETIMEDOUT);
    assert_noted("-a");
    assert_int_equal(job.n_canceled, 1);
    return 0;
}

TEST(a_value_wins_over_the_timeout)
{
    struct job job = {"a", FOREVER, .end = 7, .cleanup = 2, .swallows = true};
    assert_int_equal(cio_wait_for(do_job, &job, 0.005), 7);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(t34_an_error_after_the_timeout_stays_that_error)
{
    struct job job = {"a", FOREVER, .end = -EIO, .swallows = true};
    assert_int_equal(cio_wait_for(do_job, &job, 0.005), -EIO);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(t34_without_time_it_never_starts)
{
    struct job job = {"a", 0, 1};
    assert_int_equal(cio_wait_for(do_job, &job, 0), CIO_ETIMEDOUT);
    assert_int_equal(cio_wait_for(do_job, &job, -1), CIO_ETIMEDOUT);
    assert_int_equal(job.n_begun, 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

struct limited {
    struct job job;
    double seconds;
    int n_requests;
};

static int do_limited(void *arg)
{
    struct limited *l = arg;
    int rc = cio_wait_for(do_job, &l->job, l->seconds);
    l->n_requests = requests();
    return rc;
}

TEST(canceled_from_outside)
{
    struct limited l = {.job = {"a", FOREVER, .cleanup = 3}, .seconds = 60};
    assert_int_equal(cancel_after(3, do_limited, &l), CIO_ECANCELED);
    assert_noted("-a");
    assert_int_equal(l.n_requests, 1);
    return 0;
}

TEST(canceled_in_the_cleanup_after_the_timeout)
{
    struct limited l = {.job = {"a", FOREVER, .cleanup = FOREVER}, .seconds = 0.005};
    cio_task *task = cio_create_task(do_limited, &l);
    while (l.job.n_canceled == 0)
        cio_sleep(0.001);
    assert_int_equal(cio_cancel(task), 1);
    assert_int_equal(cio_await(task), CIO_ECANCELED); /* canceled goes before timed out */
    assert_int_equal(l.n_requests, 1);
    return 0;
}

static int do_nested(void *arg)
{
    struct limited *l = arg;
    int rc = cio_wait_for(do_limited, l, 60);
    note("%s", cio_err_name(rc));
    assert_int_equal(cio_yield(), 0);
    return rc;
}

TEST(nested_the_inner_time_is_over)
{
    struct limited l = {.job = {NULL, FOREVER}, .seconds = 0.005};
    assert_int_equal(cio_wait_for(do_nested, &l, 60), CIO_ETIMEDOUT);
    assert_noted("CIO_ETIMEDOUT");
    return 0;
}

TEST(nested_the_outer_time_is_over)
{
    struct limited l = {.job = {NULL, FOREVER}, .seconds = 60};
    assert_int_equal(cio_wait_for(do_limited, &l, 0.005), CIO_ETIMEDOUT);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(await_for_gives_the_end)
{
    struct job jobs[] = {{"a", 2, 4}, {"b", 2, -EIO}, {"c", 2, 6}};
    cio_task *tasks[3];
    start_jobs(jobs, 3, tasks);
    assert_int_equal(cio_await_for(tasks[0], 60), 4);
    assert_int_equal(cio_await_for(tasks[1], 60), -EIO);
    assert_int_equal(cio_await_for(tasks[2], CIO_FOREVER), 6);
    return 0;
}

TEST(await_for_cancels_and_waits)
{
    struct job job = {"a", FOREVER, .cleanup = 4};
    cio_task *task = cio_ref(start_job(&job));
    double start = now();
    assert_int_equal(cio_await_for(task, 0.01), CIO_ETIMEDOUT);
    assert_true(now() - start >= 0.01);
    assert_noted("-a");
    assert_true(cio_cancelled(task));
    assert_int_equal(requests(), 0);
    return cio_detach(task);
}

TEST(await_for_a_value_or_an_error_wins)
{
    struct job jobs[] = {
        {"a", FOREVER, .end = 3, .swallows = true},
        {"b", FOREVER, .end = -EIO, .swallows = true},
    };
    assert_int_equal(cio_await_for(start_job(&jobs[0]), 0.005), 3);
    assert_int_equal(cio_await_for(start_job(&jobs[1]), 0.005), -EIO);
    return 0;
}

TEST(t34_await_for_without_time)
{
    struct job done = {"a", 0, 4}, pending = {"b", 0, 5}, failed = {"c", 0, -EIO};
    cio_task *tasks[] = {start_job(&done), start_job(&failed)};
    wait_turns(2);
    assert_int_equal(cio_await_for(tasks[0], 0), 4);
    assert_int_equal(cio_await_for(tasks[1], -1), -EIO);
    assert_int_equal(cio_await_for(start_job(&pending), 0), CIO_ETIMEDOUT);
    assert_int_equal(pending.n_begun, 0);
    return 0;
}

TEST(await_for_without_time_waits_for_the_cleanup)
{
    struct job job = {"a", FOREVER, .cleanup = 3};
    cio_task *task = start_job(&job);
    wait_turns(2);
    assert_int_equal(cio_await_for(task, 0), CIO_ETIMEDOUT);
    assert_noted("-a");
    return 0;
}

TEST(await_for_a_future)
{
    cio_future *future = cio_future_new();
    assert_int_equal(cio_await_for(cio_ref(future), 0.005), CIO_ETIMEDOUT);
    assert_true(cio_cancelled(future));
    return cio_detach(future);
}

static int await_a_minute(void *task)
{
    return cio_await_for(task, 60);
}

TEST(await_for_canceled_cancels_it)
{
    struct job job = {"a", FOREVER, .cleanup = 3};
    assert_int_equal(cancel_after(3, await_a_minute, start_job(&job)), CIO_ECANCELED);
    assert_noted("-a");
    assert_int_equal(job.n_canceled, 1);
    return 0;
}

TEST(await_for_what_another_cancels)
{
    struct job job = {"a", FOREVER};
    cio_task *task = cio_ref(start_job(&job));
    cio_task *waiting = cio_create_task(await_a_minute, task);
    wait_turns(3);
    cio_cancel(task);
    assert_int_equal(cio_await(waiting), CIO_ECANCELED); /* it did not time out */
    return cio_detach(task);
}

static void outside(void *arg)
{
    (void)arg;
    struct job job = {"a", 0};
    cio_future *future = cio_future_new();
    assert_int_equal(cio_wait_for(do_job, &job, 1), CIO_ENOTASK);
    assert_int_equal(cio_await_for(future, 1), CIO_ENOTASK);
    assert_int_equal(job.n_begun, 0);
    cio_detach(future);
}

TEST(wait_for_and_await_for_refuse)
{
    struct job job = {"a", 3, 2};
    cio_loop *other = cio_loop_new(NULL);
    cio_future *stranger = cio_create_future(other);
    cio_task *task = start_job(&job);

    assert_int_equal(cio_wait_for(NULL, NULL, 1), -EINVAL);
    assert_int_equal(cio_wait_for(do_job, &job, NAN), -EINVAL);
    assert_int_equal(job.n_begun, 0);
    assert_int_equal(cio_await_for(NULL, 1), -EINVAL);
    assert_int_equal(cio_await_for(task, NAN), -EINVAL);
    assert_int_equal(cio_await_for(stranger, 1), CIO_EWRONGLOOP);
    assert_int_equal(cio_await_for(cio_current_task(), 1), CIO_ESELF);
    call_outside_tasks(outside);

    assert_int_equal(cio_await(task), 2); /* no reference was dropped */
    cio_detach(stranger);
    assert_int_equal(cio_loop_free(other), 0);
    return 0;
}
