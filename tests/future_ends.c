/* Futures that callbacks or threads complete, or that end before the loop runs; lost errors. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "test.h"

/* ---- errors known and unknown, T23 ---- */

static int lost_main(void *arg)
{
    struct reports *reports = arg;
    cio_future *f = cio_future_new();
    cio_set_error(f, -EIO);
    cio_yield();
    assert_int_equal(reports->n, 0);
    cio_detach(f);
    assert_int_equal(reports->n, 1);
    return 0;
}

TEST(t23_an_error_nobody_saw_is_reported)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, lost_main, &reports), 0);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.seen[0].error, -EIO);
    assert_true(reports.seen[0].has_future);
}

static void look_not(cio_future *future, void *arg)
{
    (void)arg;
    assert_true(cio_done(future));
    assert_false(cio_cancelled(future));
    assert_null(cio_result_value(future));
}

static int callback_is_no_look_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback place = {0};
    cio_add_done_callback(f, &place, look_not, NULL);
    cio_set_error(f, -EIO);
    cio_yield();
    return cio_detach(f);
}

TEST(t23_a_callback_alone_does_not_make_an_error_known)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, callback_is_no_look_main, NULL), 0);
    assert_int_equal(reports.n, 1);
}

static void look(cio_future *future, void *arg)
{
    *(int *)arg = cio_result(future);
}

static int callback_looks_main(void *arg)
{
    (void)arg;
    int rc = 0;
    cio_future *f = cio_future_new();
    cio_done_callback place = {0};
    cio_add_done_callback(f, &place, look, &rc);
    cio_set_error(f, -EIO);
    cio_detach(f); /* not lost yet: the callback is still to come */
    cio_yield();
    assert_int_equal(rc, -EIO);
    return 0;
}

TEST(t23_a_callback_that_looks_makes_it_known)
{
    assert_int_equal(run_quiet(callback_looks_main, NULL), 0);
}

static int quiet_ends_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_cancel(f);
    cio_detach(f); /* canceled is no error */

    f = cio_future_new();
    cio_set_result(f, 0, NULL);
    cio_detach(f);

    cio_detach(cio_future_new()); /* nor is pending */

    f = cio_ref(cio_future_new());
    cio_set_error(f, -EIO);
    assert_int_equal(cio_await(f), -EIO);
    return cio_detach(f);
}

TEST(t23_what_was_seen_or_is_no_error_is_not_reported)
{
    assert_int_equal(run_quiet(quiet_ends_main, NULL), 0);
}

/* ---- threads, T48 ---- */

struct job {
    cio_handle handle;
    cio_loop *loop;
    cio_future *future;
    pthread_t thread;
    int number;
};

static void finish_job(void *arg)
{
    struct job *job = arg;
    assert_ptr_equal(cio_get_running_loop(), job->loop);
    cio_set_result(job->future, job->number, job);
    cio_detach(job->future);
}

static void *do_job(void *arg)
{
    struct job *job = arg;
    if (job->number % 2)
        usleep(1000); /* some answer while the loop runs, some while it sleeps */
    assert_null(cio_get_running_loop());
    assert_int_equal(cio_call_soon_threadsafe(job->loop, &job->handle, finish_job, job), 0);
    return NULL;
}

static int threads_main(void *arg)
{
    enum { N = 16 };
    struct job jobs[N] = {0};
    (void)arg;
    for (int i = 0; i < N; i++) {
        jobs[i].loop = cio_get_running_loop();
        jobs[i].future = cio_ref(cio_future_new());
        jobs[i].number = i;
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, do_job, &jobs[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        void *value;
        assert_int_equal(cio_await_value(jobs[i].future, &value), i);
        assert_ptr_equal(value, &jobs[i]);
        pthread_join(jobs[i].thread, NULL);
    }
    return 0;
}

TEST(threads_complete_futures_by_way_of_the_loop)
{
    assert_int_equal(run_quiet(threads_main, NULL), 0);
}

/* ---- before and beside a running loop ---- */

static void set_seven(void *arg)
{
    assert_int_equal(cio_set_result(arg, 7, NULL), 0);
    cio_detach(arg);
}

TEST(a_future_may_be_made_before_its_loop_runs)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_future *f = cio_create_future(loop);
    assert_non_null(f);
    assert_ptr_equal(cio_get_loop(f), loop);
    cio_handle handle = CIO_HANDLE_INIT;
    cio_ref(f);
    assert_int_equal(cio_call_later(loop, &handle, 0.001, set_seven, f), 0);
    assert_int_equal(cio_run_until_complete(loop, f), 7);

    f = cio_create_future(loop);
    assert_int_equal(cio_set_error(f, -EIO), 0); /* and end before it runs */
    assert_int_equal(cio_run_until_complete(loop, f), -EIO);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(callbacks_wait_for_a_loop_that_does_not_run_yet)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_future *f = cio_create_future(loop);
    int rc = -1;
    cio_done_callback place = {0};
    assert_int_equal(cio_add_done_callback(f, &place, look, &rc), 0);
    assert_int_equal(cio_set_result(f, 5, NULL), 0);
    assert_int_equal(rc, -1);
    assert_int_equal(cio_stop(loop), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_int_equal(rc, 5);
    cio_detach(f);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(no_loop_no_future)
{
    assert_null(cio_future_new());
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    assert_null(cio_create_future(NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
    cio_loop *loop = cio_loop_new(NULL);
    cio_loop_close(loop);
    assert_null(cio_create_future(loop));
    assert_int_equal(cio_last_error(), CIO_ECLOSED);
    cio_loop_free(loop);
}

/* ---- producer and consumer ---- */

struct channel {
    cio_future *item;
    int sum;
};

static int consume(void *arg)
{
    struct channel *c = arg;
    for (;;) {
        int rc = cio_await(c->item);
        if (rc < 0)
            return rc;
        c->sum += rc;
        c->item = cio_future_new();
        if (rc == 0)
            return cio_detach(c->item);
    }
}

static int produce_main(void *arg)
{
    struct channel c = {.item = cio_future_new()};
    int n = test_scale(10000);
    (void)arg;
    cio_task *t = cio_create_task(consume, &c);
    for (int i = n; i >= 0; i--) {
        cio_future *item = cio_ref(c.item);
        cio_yield(); /* now it waits for this item */
        assert_int_equal(cio_set_result(item, i, NULL), 0);
        cio_detach(item);
        cio_yield();
    }
    assert_int_equal(cio_await(t), 0);
    assert_int_equal(c.sum, n * (n + 1) / 2);
    return 0;
}

TEST(a_future_for_each_item)
{
    assert_int_equal(run_quiet(produce_main, NULL), 0);
}

static int cancel_one_awaiter(void *arg)
{
    return cio_await(arg);
}

/* Canceling one of several awaiters cancels the future itself, as in asyncio: T19b. */
static int shared_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_task *a = cio_create_task(cancel_one_awaiter, cio_ref(f));
    cio_task *b = cio_create_task(cancel_one_awaiter, cio_ref(f));
    cio_yield();
    assert_int_equal(cio_cancel(a), 1);
    assert_true(cio_cancelled(f));
    assert_int_equal(cio_await(b), CIO_ECANCELED);
    assert_int_equal(cio_cancelling(a), 1);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    return cio_detach(f);
}

TEST(t19b_canceling_one_awaiter_cancels_the_future_for_all)
{
    assert_int_equal(run_quiet(shared_main, NULL), 0);
}
