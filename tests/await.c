/* Awaiting: results and values, who wakes in which order, references, failures that nobody saw. */
#include <errno.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static int return_number(void *arg)
{
    return *(int *)arg;
}

static int note_name(void *arg)
{
    note("%s", (const char *)arg);
    return 0;
}

static int yield_and_return(void *arg)
{
    int rc = cio_yield();
    return rc < 0 ? rc : *(int *)arg;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

static cio_task *create_named(const char *name, cio_coroutine *fn, void *arg)
{
    cio_task_options options = {.name = name};
    cio_task *t = cio_create_task_with(&options, fn, arg);
    assert_non_null(t);
    return t;
}

/* ---- results ---- */

static int result_main(void *arg)
{
    int number = *(int *)arg;
    cio_task *t = cio_create_task(yield_and_return, arg);
    assert_int_equal(cio_result(t), CIO_ESTATE);
    assert_null(cio_result_value(t));
    assert_false(cio_done(t));
    assert_false(cio_cancelled(t));
    cio_ref(t);
    assert_int_equal(cio_await(t), number);
    assert_true(cio_done(t));
    assert_false(cio_cancelled(t));
    assert_int_equal(cio_result(t), number);
    assert_int_equal(cio_await(t), number); /* again, and at once */
    return 0;
}

TEST(await_returns_what_the_function_returned)
{
    static int numbers[] = {0, 1, 42, 2147483647, -EIO, -EINVAL, CIO_ETIMEDOUT, CIO_ESELF, -100000};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_int_equal(run_quiet(result_main, &numbers[i]), 0);
}

static int return_value(void *arg)
{
    cio_yield();
    return cio_return(3, arg);
}

static int return_value_with_error(void *arg)
{
    return cio_return(-EIO, arg);
}

static int values_main(void *arg)
{
    (void)arg;
    int thing, number = 4;
    void *value = &number;
    assert_int_equal(cio_await_value(cio_create_task(return_value, &thing), &value), 3);
    assert_ptr_equal(value, &thing);
    assert_int_equal(cio_await_value(cio_create_task(return_number, &number), &value), 4);
    assert_null(value); /* it has none */
    value = &number;
    assert_int_equal(cio_await_value(cio_create_task(return_value_with_error, &thing), &value),
                     -EIO);
    assert_null(value);

    cio_task *t = cio_create_task(return_value, &thing);
    cio_ref(t);
    assert_int_equal(cio_await(t), 3);
    assert_ptr_equal(cio_result_value(t), &thing);
    value = NULL;
    assert_int_equal(cio_await_value(t, &value), 3); /* kept for the second await */
    assert_ptr_equal(value, &thing);
    return 0;
}

TEST(await_value_brings_the_value)
{
    assert_int_equal(run_quiet(values_main, NULL), 0);
}

static int canceled_by_itself(void *arg)
{
    (void)arg;
    return CIO_ECANCELED;
}

static int self_canceled_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_ref(cio_create_task(canceled_by_itself, NULL));
    assert_int_equal(cio_await(t), CIO_ECANCELED);
    assert_true(cio_cancelled(t));
    assert_int_equal(cio_cancelling(t), 0);
    assert_int_equal(cio_cancelling(cio_current_task()), 0); /* the awaiter is not canceled */
    assert_int_equal(cio_yield(), 0);
    return cio_detach(t);
}

TEST(t18_a_function_that_returns_ecanceled_ends_canceled)
{
    assert_int_equal(run_quiet(self_canceled_main, NULL), 0);
}

static int set_result_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(sleep_for_ever, NULL);
    assert_int_equal(cio_set_result(t, 0, NULL), CIO_ESTATE); /* only its function may */
    assert_int_equal(cio_set_error(t, -EIO), CIO_ESTATE);
    assert_int_equal(cio_set_error(t, CIO_ECANCELED), CIO_ESTATE);
    assert_false(cio_done(t));
    cio_cancel(t);
    assert_int_equal(cio_await(t), CIO_ECANCELED);
    return 0;
}

TEST(a_task_takes_no_result_from_outside)
{
    assert_int_equal(run_quiet(set_result_main, NULL), 0);
}

/* ---- when the awaiter wakes ---- */

static int await_done_main(void *arg)
{
    int number = 6;
    (void)arg;
    cio_task *t = cio_create_task(return_number, &number);
    cio_yield();
    assert_true(cio_done(t));
    cio_task *other = cio_create_task(note_name, "other");
    assert_int_equal(cio_await(t), 6);
    note("main"); /* at once: nobody else ran */
    return cio_await(other);
}

TEST(await_of_what_is_done_does_not_wait)
{
    assert_int_equal(run_quiet(await_done_main, NULL), 0);
    assert_string_equal(noted(), "main other");
}

struct watcher {
    cio_future *what;
    const char *name;
    int rc;
};

static int watch(void *arg)
{
    struct watcher *w = arg;
    w->rc = cio_await(w->what);
    note("%s", w->name);
    return 0;
}

static int watchers_main(void *arg)
{
    int number = 8;
    (void)arg;
    cio_task *t = cio_create_task(yield_and_return, &number);
    struct watcher watchers[] = {{t, "a", 0}, {t, "b", 0}, {t, "c", 0}};
    cio_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        cio_ref(t);
        tasks[i] = cio_create_task(watch, &watchers[i]);
    }
    assert_int_equal(cio_await(t), 8);
    note("main");
    for (int i = 0; i < 3; i++) {
        cio_await(tasks[i]);
        assert_int_equal(watchers[i].rc, 8);
    }
    return 0;
}

/* main began to wait before the others had begun at all. */
TEST(awaiters_wake_in_the_order_in_which_they_waited)
{
    assert_int_equal(run_quiet(watchers_main, NULL), 0);
    assert_string_equal(noted(), "main a b c");
}

static int chain(void *arg)
{
    int *depth = arg;
    if (--*depth == 0)
        return cio_sleep(0.001) < 0 ? -EIO : 1;
    int rc = cio_await(cio_create_task(chain, depth));
    return rc < 0 ? rc : rc + 1;
}

TEST(awaits_nest)
{
    int n = test_scale(500), depth = n;
    assert_int_equal(run_quiet(chain, &depth), n);
}

static int note_and_return_error(void *arg)
{
    note("%s", (const char *)arg);
    return -EIO;
}

static int ended_task_queue_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(note_name, "first");
    cio_task *u = cio_create_task(note_name, "second");
    cio_await(t);
    note("main"); /* queued when t ended: u had been ready before */
    return cio_await(u);
}

TEST(t2_the_end_of_a_task_queues_its_awaiter)
{
    assert_int_equal(run_quiet(ended_task_queue_main, NULL), 0);
    assert_string_equal(noted(), "first second main");
}

/* ---- detach, references and the exception handler ---- */

static int detach_main(void *arg)
{
    (void)arg;
    assert_int_equal(cio_detach(create_named("runs-on", note_name, "ran")), 0);
    assert_int_equal(cio_detach(create_named("fails", note_and_return_error, "failed")), 0);
    assert_int_equal(cio_detach(create_named("canceled", canceled_by_itself, NULL)), 0);
    assert_int_equal(cio_detach(NULL), 0);
    return cio_sleep(0.001);
}

TEST(detach_lets_it_run_on_and_its_failure_is_reported)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, detach_main, NULL), 0);
    assert_string_equal(noted(), "ran failed");
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "fails");
    assert_int_equal(reports.seen[0].error, -EIO);
    assert_true(reports.seen[0].has_future);
    assert_true(strlen(reports.seen[0].message) > 0);
}

static int late_detach_main(void *arg)
{
    struct reports *reports = arg;
    cio_task *unseen = create_named("unseen", note_and_return_error, "x");
    cio_task *seen = create_named("seen", note_and_return_error, "y");
    cio_task *awaited = create_named("awaited", note_and_return_error, "z");
    cio_ref(awaited);
    assert_int_equal(cio_await(awaited), -EIO);
    assert_int_equal(cio_result(seen), -EIO);
    assert_int_equal(reports->n, 0); /* T23: not when it fails, but when the last reference goes */
    cio_detach(seen);
    cio_detach(awaited);
    assert_int_equal(reports->n, 0);
    cio_detach(unseen);
    assert_int_equal(reports->n, 1);
    return 0;
}

TEST(t23_a_failure_counts_as_lost_when_the_last_reference_goes)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, late_detach_main, &reports), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "unseen");
}

static int second_reference_main(void *arg)
{
    struct reports *reports = arg;
    cio_task *t = create_named("two", note_and_return_error, "x");
    assert_ptr_equal(cio_ref(t), t);
    cio_detach(t);
    cio_yield();
    assert_true(cio_done(t)); /* alive by the second reference */
    assert_int_equal(reports->n, 0);
    return cio_await(t) == -EIO ? 0 : -1;
}

TEST(t23_another_reference_may_still_look)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, second_reference_main, &reports), 0);
    assert_int_equal(reports.n, 0);
}

static int wait_main(void *arg)
{
    (void)arg;
    cio_future *t = create_named("waited", note_and_return_error, "x");
    assert_int_equal(cio_wait(&t, 1, CIO_ALL_COMPLETED, CIO_FOREVER), 1);
    return cio_detach(t);
}

TEST(t23_wait_does_not_make_an_error_known)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, wait_main, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "waited");
}

TEST(t12_run_until_complete_makes_an_error_known)
{
    struct reports reports = {0};
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, reports_add, &reports);
    cio_task_options options = {.loop = loop};
    int number = -EIO;
    cio_task *t = cio_create_task_with(&options, return_number, &number);
    assert_int_equal(cio_run_until_complete(loop, t), -EIO);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(reports.n, 0);
}

/* ---- handles that nobody finished ---- */

static cio_task *volatile forgotten; /* reachable, as in a program that forgot it */

static int forget_main(void *arg)
{
    forgotten = create_named("forgotten", arg ? sleep_for_ever : note_name, "x");
    return cio_yield();
}

TEST(a_handle_never_finished_is_reported_by_name_at_close)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, forget_main, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "forgotten");
}

TEST(a_handle_never_finished_of_a_task_canceled_at_the_end_is_reported)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, forget_main, ""), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "forgotten");
}

/* Without cio_run() nobody cancels the others: the loop closes over a task that still waits. */
TEST(t22_a_task_that_still_waits_at_close_is_reported_by_name)
{
    struct reports reports = {0};
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, reports_add, &reports);
    cio_task_options waits = {.loop = loop, .name = "waits"};
    cio_task_options unborn = {.loop = loop, .name = "unborn"};
    cio_detach(cio_create_task_with(&waits, sleep_for_ever, NULL));
    int number = 0;
    cio_task_options soon = {.loop = loop, .name = "soon"};
    assert_int_equal(
        cio_run_until_complete(loop, cio_create_task_with(&soon, yield_and_return, &number)), 0);
    cio_detach(cio_create_task_with(&unborn, note_name, "unborn"));
    assert_int_equal(reports.n, 0);
    assert_int_equal(cio_loop_close(loop), 0);
    assert_int_equal(reports_of(&reports, "waits"), 1);
    assert_int_equal(reports_of(&reports, "unborn"), 1);
    assert_int_equal(reports.n, 2);
    assert_int_equal(cio_loop_close(loop), 0); /* said once */
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(reports.n, 2);
    assert_string_equal(noted(), "");
}

static int forget_future_main(void *arg)
{
    (void)arg;
    forgotten = cio_future_new();
    return 0;
}

TEST(a_future_never_finished_is_reported_at_close)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, forget_future_main, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_true(reports.seen[0].has_future);
}
