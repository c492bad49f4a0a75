/* cio_run(): how a program begins and ends; run_until_complete and stop. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "task/sanitizer.h"
#include "test.h"

static int return_number(void *arg)
{
    return *(int *)arg;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

static cio_task *create_in(cio_loop *loop, const char *name, cio_coroutine *fn, void *arg)
{
    cio_task_options options = {.loop = loop, .name = name};
    cio_task *t = cio_create_task_with(&options, fn, arg);
    assert_non_null(t);
    return t;
}

TEST(run_returns_how_main_ended)
{
    assert_int_equal(cio_run(return_number, &(int){0}), 0);
    assert_int_equal(cio_run(return_number, &(int){77}), 77);
    assert_int_equal(cio_run(return_number, &(int){-EIO}), -EIO);
    assert_int_equal(cio_run(return_number, &(int){CIO_ECANCELED}), CIO_ECANCELED);
    assert_int_equal(cio_run_with(NULL, return_number, &(int){5}), 5);
    assert_int_equal(cio_run_with(&(cio_run_options){0}, return_number, &(int){6}), 6);
}

TEST(run_needs_a_function_and_valid_options)
{
    assert_int_equal(cio_run(NULL, NULL), -EINVAL);
    assert_int_equal(cio_run_with(NULL, NULL, NULL), -EINVAL);
    cio_run_options options = {.loop.backend = "abacus"};
    assert_int_equal(cio_run_with(&options, return_number, &(int){5}), -EINVAL);
    options = (cio_run_options){.loop.stack_size = 1};
    assert_int_equal(cio_run_with(&options, return_number, &(int){5}), -EINVAL);
    assert_null(cio_get_running_loop());
}

/* ---- the end, T50 ---- */

static int worker(void *arg)
{
    int rc = cio_sleep(CIO_FOREVER);
    note("%s-canceled", (const char *)arg);
    assert_int_equal(cio_sleep(0.002), 0); /* the end waits for cleanups */
    note("%s-clean", (const char *)arg);
    return rc;
}

static int end_main(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task(worker, "a"));
    cio_detach(cio_create_task(worker, "b"));
    cio_yield();
    note("main");
    return 3;
}

TEST(t50_at_the_end_the_others_are_canceled_and_waited_for)
{
    assert_int_equal(run_quiet(end_main, NULL), 3);
    assert_string_equal(noted(), "main a-canceled b-canceled a-clean b-clean");
}

static int fail_in_cleanup(void *arg)
{
    cio_sleep(CIO_FOREVER);
    cio_yield();
    return *(int *)arg;
}

static int failing_end_main(void *arg)
{
    static int error = -EIO, fine = 0;
    (void)arg;
    cio_detach(create_in(NULL, "fails", fail_in_cleanup, &error));
    cio_detach(create_in(NULL, "swallows", fail_in_cleanup, &fine));
    cio_detach(create_in(NULL, "canceled", sleep_for_ever, NULL));
    return cio_yield();
}

TEST(t50_failures_at_the_end_reach_the_handler)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, failing_end_main, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "fails");
    assert_int_equal(reports.seen[0].error, -EIO);
    assert_true(strlen(reports.seen[0].message) > 0);
}

static int forgiving_owner(void *arg)
{
    int rc = cio_await(create_in(NULL, "inner", fail_in_cleanup, arg));
    note("%s", cio_err_name(rc));
    return 0;
}

static int forgiving_main(void *arg)
{
    static int error = -EIO;
    (void)arg;
    cio_detach(cio_create_task(forgiving_owner, &error));
    cio_yield();
    return cio_yield();
}

/* asyncio's _cancel_all_tasks() asks every task that it canceled, awaited or not. */
TEST(t50_failures_at_the_end_reach_the_handler_though_awaited)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, forgiving_main, NULL), 0);
    assert_string_equal(noted(), "EIO");
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].name, "inner");
}

static int failing_main(void *arg)
{
    cio_detach(cio_create_task(worker, "a"));
    cio_yield();
    return *(int *)arg;
}

TEST(t50_holds_when_main_fails)
{
    assert_int_equal(run_quiet(failing_main, &(int){-EIO}), -EIO);
    assert_string_equal(noted(), "a-canceled a-clean");
}

static int owner(void *arg)
{
    return cio_await(cio_create_task(worker, arg));
}

static int owners_main(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task(owner, "inner"));
    cio_yield();
    return cio_yield();
}

TEST(t50_with_tasks_that_await_each_other)
{
    assert_int_equal(run_quiet(owners_main, NULL), 0);
    assert_string_equal(noted(), "inner-canceled inner-clean");
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static int leaves_timer_main(void *arg)
{
    static cio_handle timer, soon;
    static bool called;
    cio_call_later(cio_get_running_loop(), &timer, 1000, set_flag, &called);
    cio_call_soon(cio_get_running_loop(), &soon, set_flag, arg);
    return 0;
}

TEST(timers_left_at_the_end_are_dropped)
{
    bool called = false;
    assert_int_equal(run_quiet(leaves_timer_main, &called), 0);
}

static int stops_its_loop(void *arg)
{
    (void)arg;
    cio_stop(cio_get_running_loop());
    int rc = cio_sleep(CIO_FOREVER);
    note("%s", cio_err_name(rc));
    return rc;
}

TEST(t10_a_main_that_stops_its_loop_is_canceled_like_the_others)
{
    assert_int_equal(run_quiet(stops_its_loop, NULL), CIO_ESTOPPED);
    assert_string_equal(noted(), "CIO_ECANCELED");
}

static int begins_another(void *arg)
{
    int rc = cio_sleep(CIO_FOREVER);
    cio_detach(cio_create_task(arg ? begins_another : worker, NULL));
    return rc;
}

static int late_tasks_main(void *arg)
{
    cio_detach(cio_create_task(begins_another, arg));
    return cio_yield();
}

/* Tasks that are created while the others end are canceled too, before they begin. */
TEST(t50_tasks_created_by_cleanups_do_not_keep_it_alive)
{
    assert_int_equal(run_quiet(late_tasks_main, NULL), 0);
    assert_int_equal(run_quiet(late_tasks_main, ""), 0);
    assert_string_equal(noted(), "");
}

/* ---- one loop a thread, T13 ---- */

static int nested_main(void *arg)
{
    int number = 5;
    (void)arg;
    cio_loop *mine = cio_get_running_loop();
    assert_int_equal(cio_run(return_number, &number), CIO_ERUNNING);
    assert_int_equal(cio_run_forever(mine), CIO_ERUNNING);

    cio_task *t = cio_create_task(return_number, &number);
    assert_int_equal(cio_run_until_complete(mine, t), CIO_ERUNNING);
    cio_loop *other = cio_loop_new(NULL);
    cio_future *f = cio_create_future(other);
    assert_int_equal(cio_run_until_complete(other, f), CIO_ERUNNING);
    assert_int_equal(cio_loop_close(mine), CIO_ERUNNING);
    assert_int_equal(cio_loop_free(mine), CIO_ERUNNING);
    cio_detach(f);
    cio_loop_free(other);
    assert_ptr_equal(cio_get_running_loop(), mine);
    return cio_await(t); /* still ours */
}

TEST(t13_loops_do_not_nest)
{
    assert_int_equal(run_quiet(nested_main, NULL), 5);
}

static void *run_in_thread(void *arg)
{
    int *number = arg;
    for (int i = 0; i < 20; i++)
        assert_int_equal(cio_run(return_number, number), *number);
    return NULL;
}

TEST(threads_each_run_a_loop_of_their_own)
{
    pthread_t threads[4];
    int numbers[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_in_thread, &numbers[i]), 0);
    run_in_thread(&(int){9});
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static int fork_main(void *arg)
{
    (void)arg;
    cio_loop *inherited = cio_get_running_loop();
    pid_t pid = fork();
    if (pid == 0) {
        bool good = cio_get_running_loop() == NULL && cio_run_forever(inherited) == CIO_EFORKED &&
                    cio_run(return_number, &(int){8}) == 8;
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return cio_sleep(0.001); /* the parent's loop is unharmed */
}

TEST(t56_a_forked_child_has_no_loop_and_may_run_its_own)
{
    assert_int_equal(run_quiet(fork_main, NULL), 0);
}

static int fork_and_return(void *arg)
{
    pid_t *pid = arg;
    *pid = fork();
    return *pid == 0 ? 3 : cio_sleep(0.001);
}

/* The child goes on in the task, without a loop: it comes out of cio_run() with an error. */
TEST(t56_a_forked_child_may_return_from_its_task)
{
#ifdef CIO__TSAN
    test_skip("after a fork, ThreadSanitizer no longer sees the order that a switch gives");
#endif
    pid_t pid = -1;
    int rc = cio_run(fork_and_return, &pid);
    if (pid == 0)
        _exit(rc == CIO_EFORKED && cio_run(return_number, &(int){8}) == 8 ? 0 : 1);
    int status;
    assert_int_equal(rc, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- run_until_complete and stop, T10 ---- */

TEST(run_until_complete_runs_one_future_after_another)
{
    cio_loop *loop = cio_loop_new(NULL);
    int a = 1, b = -EIO;
    assert_int_equal(cio_run_until_complete(loop, create_in(loop, "a", return_number, &a)), 1);
    assert_false(cio_is_running(loop));
    assert_null(cio_get_running_loop());
    assert_int_equal(cio_run_until_complete(loop, create_in(loop, "b", return_number, &b)), -EIO);

    cio_future *done = cio_create_future(loop);
    cio_set_result(done, 4, NULL);
    assert_int_equal(cio_run_until_complete(loop, done), 4);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int background(void *arg)
{
    int *steps = arg;
    for (;;) {
        (*steps)++;
        int rc = cio_yield();
        if (rc < 0)
            return rc;
    }
}

TEST(tasks_stand_still_between_runs)
{
    cio_loop *loop = cio_loop_new(NULL);
    int steps = 0, number = 2;
    cio_task *t = create_in(loop, "background", background, &steps);
    for (int i = 0; i < 3; i++) {
        int before = steps;
        assert_int_equal(cio_run_until_complete(loop, create_in(loop, "x", return_number, &number)),
                         2);
        assert_true(steps > before);
    }
    assert_false(cio_done(t));
    assert_int_equal(cio_cancel(t), 1); /* from outside the loop */
    assert_int_equal(cio_run_until_complete(loop, t), CIO_ECANCELED);
    assert_int_equal(cio_loop_free(loop), 0);
}

static void stop_loop(void *arg)
{
    note("stop");
    assert_int_equal(cio_stop(arg), 0);
}

static void note_call(void *arg)
{
    note("%s", (const char *)arg);
}

static int stop_and_go_on(void *arg)
{
    assert_int_equal(cio_stop(cio_get_running_loop()), 0);
    note("stopped");
    cio_yield();
    note("went-on");
    return *(int *)arg;
}

TEST(t10_stop_before_the_end_leaves_the_future_yours)
{
    cio_loop *loop = cio_loop_new(NULL);
    int number = 6;
    cio_task *t = create_in(loop, "t", stop_and_go_on, &number);
    assert_int_equal(cio_run_until_complete(loop, t), CIO_ESTOPPED);
    assert_string_equal(noted(), "stopped");
    assert_false(cio_done(t));
    assert_int_equal(cio_run_until_complete(loop, t), 6);
    assert_string_equal(noted(), "stopped went-on");
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(t10_stop_lets_the_batch_finish)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_handle a = {0}, b = {0}, c = {0};
    cio_call_soon(loop, &a, note_call, "a");
    cio_call_soon(loop, &b, stop_loop, loop);
    cio_call_soon(loop, &c, note_call, "c");
    assert_int_equal(cio_run_forever(loop), 0);
    assert_string_equal(noted(), "a stop c");
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(t10_stop_before_the_run_gives_exactly_one_turn)
{
    cio_loop *loop = cio_loop_new(NULL);
    int steps = 0;
    cio_task *t = create_in(loop, "background", background, &steps);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(cio_stop(loop), 0);
        assert_int_equal(cio_run_forever(loop), 0);
        assert_int_equal(steps, i);
    }
    cio_cancel(t);
    assert_int_equal(cio_run_until_complete(loop, t), CIO_ECANCELED);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int stop_in_the_middle(void *arg)
{
    int *steps = arg;
    for (int i = 0; i < 1000; i++) {
        if (i % 10 == 9) {
            cio_stop(cio_get_running_loop());
            ++*steps;
        }
        cio_yield();
    }
    return 0;
}

/* Also when the loop has nothing else to run, and a yield need not go through it. */
TEST(t10_nothing_runs_after_the_batch_in_which_it_was_stopped)
{
    cio_loop *loop = cio_loop_new(NULL);
    int steps = 0;
    cio_task *t = create_in(loop, "t", stop_in_the_middle, &steps);
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(cio_run_until_complete(loop, t), CIO_ESTOPPED);
        assert_int_equal(steps, i);
    }
    assert_int_equal(cio_run_until_complete(loop, t), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(run_until_complete_refuses_what_it_cannot_run)
{
    cio_loop *loop = cio_loop_new(NULL), *other = cio_loop_new(NULL);
    int number = 1;
    cio_task *t = create_in(loop, "t", return_number, &number);
    assert_int_equal(cio_run_until_complete(NULL, t), -EINVAL);
    assert_int_equal(cio_run_until_complete(loop, NULL), -EINVAL);
    assert_int_equal(cio_run_until_complete(other, t), CIO_EWRONGLOOP);
    assert_int_equal(cio_run_until_complete(loop, t), 1); /* it was still ours */

    struct reports reports = {0};
    cio_set_exception_handler(loop, reports_add, &reports);
    cio_future *f = cio_create_future(loop);
    cio_loop_close(loop);
    assert_int_equal(reports.n, 1); /* f is left over */
    assert_int_equal(cio_run_until_complete(loop, f), CIO_ECLOSED);
    assert_int_equal(cio_run_forever(loop), CIO_ECLOSED);
    cio_detach(f);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(cio_loop_free(other), 0);
}
