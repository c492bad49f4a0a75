/* Wrong arguments are errors, and change nothing. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

TEST(null_loop_is_refused)
{
    cio_handle handle = {0};
    assert_int_equal(cio_loop_close(NULL), -EINVAL);
    assert_int_equal(cio_loop_free(NULL), 0);
    assert_int_equal(cio_run_forever(NULL), -EINVAL);
    assert_int_equal(cio_stop(NULL), -EINVAL);
    assert_false(cio_is_running(NULL));
    assert_true(cio_is_closed(NULL));
    assert_true(cio_time(NULL) > 0.0);
    assert_int_equal(cio_call_soon(NULL, &handle, note, "x"), -EINVAL);
    assert_int_equal(cio_call_later(NULL, &handle, 1.0, note, "x"), -EINVAL);
    assert_int_equal(cio_call_at(NULL, &handle, 1.0, note, "x"), -EINVAL);
    assert_int_equal(cio_call_soon_threadsafe(NULL, &handle, note, "x"), -EINVAL);
    assert_int_equal(cio_add_reader(NULL, 0, &handle, note, "x"), -EINVAL);
    assert_int_equal(cio_add_writer(NULL, 0, &handle, note, "x"), -EINVAL);
    assert_int_equal(cio_remove_reader(NULL, 0), -EINVAL);
    assert_int_equal(cio_remove_writer(NULL, 0), -EINVAL);
    assert_int_equal(cio_set_poll_hooks(NULL, note, note, NULL), -EINVAL);
    assert_int_equal(cio_set_exception_handler(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(cio_call_exception_handler(NULL, &(cio_exception_context){0}), -EINVAL);
    assert_false(cio_handle_pending(&handle));
}

/* Each call that schedules, with this loop, handle and function on a pipe's ends. */
static void expect_refusal(cio_loop *loop, cio_handle *handle, cio_callback *fn, int expected)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(cio_call_soon(loop, handle, fn, "x"), expected);
    assert_int_equal(cio_call_later(loop, handle, 0.0, fn, "x"), expected);
    assert_int_equal(cio_call_later(loop, handle, CIO_FOREVER, fn, "x"), expected);
    assert_int_equal(cio_call_at(loop, handle, 0.0, fn, "x"), expected);
    assert_int_equal(cio_call_soon_threadsafe(loop, handle, fn, "x"), expected);
    assert_int_equal(cio_add_reader(loop, fds[0], handle, fn, "x"), expected);
    assert_int_equal(cio_add_writer(loop, fds[1], handle, fn, "x"), expected);
    assert_int_equal(cio_remove_reader(loop, fds[0]), 0);
    assert_int_equal(cio_remove_writer(loop, fds[1]), 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(null_handle_or_function_is_refused)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    expect_refusal(loop, NULL, note, -EINVAL);
    expect_refusal(loop, &handle, NULL, -EINVAL);
    assert_false(cio_handle_pending(&handle));
    run_turn(loop);
    assert_trace("");
    free_loop(loop);
}

TEST(null_handle_is_nothing)
{
    assert_false(cio_handle_cancel(NULL));
    assert_false(cio_handle_pending(NULL));
}

TEST(closed_loop_takes_nothing)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    assert_int_equal(cio_loop_close(loop), 0);
    expect_refusal(loop, &handle, note, CIO_ECLOSED);
    assert_false(cio_handle_pending(&handle));
    assert_int_equal(cio_run_forever(loop), CIO_ECLOSED);
    assert_null(cio_get_running_loop());
    assert_int_equal(cio_stop(loop), 0);
    assert_int_equal(cio_run_forever(loop), CIO_ECLOSED);
    assert_false(cio_is_running(loop));
    assert_int_equal(cio_loop_close(loop), 0);
    assert_null(cio_create_future(loop));
    assert_int_equal(cio_last_error(), CIO_ECLOSED);
    free_loop(loop);
}

/* The clock, and a handler or hook that nobody will call, do no harm after the end. */
TEST(closed_loop_still_tells_the_time)
{
    cio_loop *loop = new_loop();
    double before = cio_time(loop);
    assert_int_equal(cio_loop_close(loop), 0);
    assert_true(cio_time(loop) >= before);
    assert_int_equal(cio_set_poll_hooks(loop, NULL, NULL, NULL), 0);
    assert_int_equal(cio_set_exception_handler(loop, NULL, NULL), 0);
    free_loop(loop);
}

/* However it is scheduled, a second call is refused, and the first one stands. */
TEST(scheduled_handle_is_refused)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    cio_loop *loop = new_loop();
    cio_handle soon = {0}, timer = {0}, posted = {0}, watch = {0};
    cio_call_soon(loop, &soon, note, "s");
    cio_call_at(loop, &timer, cio_time(loop) - 1.0, note, "t");
    cio_call_soon_threadsafe(loop, &posted, note, "p");
    cio_add_writer(loop, fds[1], &watch, note, "w");
    expect_refusal(loop, &soon, note, CIO_ESTATE);
    expect_refusal(loop, &timer, note, CIO_ESTATE);
    expect_refusal(loop, &posted, note, CIO_ESTATE);
    expect_refusal(loop, &watch, note, CIO_ESTATE);
    run_turn(loop);
    run_turn(loop);
    cio_remove_writer(loop, fds[1]);
    assert_int_equal(trace.length > 3 ? 4 : trace.length, 4);
    assert_non_null(strchr(trace.text, 's'));
    assert_non_null(strchr(trace.text, 't'));
    assert_non_null(strchr(trace.text, 'p'));
    assert_non_null(strchr(trace.text, 'w'));
    assert_null(strchr(trace.text, 'x'));
    free_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

/* NULL is not said to be refused, and is what every caller who needs no argument passes. */
static void note_null(void *arg)
{
    assert_null(arg);
    note("n");
}

TEST(null_argument_is_passed_on)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    assert_int_equal(cio_call_soon(loop, &handle, note_null, NULL), 0);
    run_turn(loop);
    assert_trace("n");
    free_loop(loop);
}

TEST(half_a_pair_of_hooks_is_refused)
{
    cio_loop *loop = new_loop();
    assert_int_equal(cio_set_poll_hooks(loop, note, NULL, "x"), -EINVAL);
    assert_int_equal(cio_set_poll_hooks(loop, NULL, note, "x"), -EINVAL);
    assert_int_equal(cio_set_poll_hooks(loop, NULL, NULL, "x"), 0);
    run_for(loop, 0.001);
    assert_trace("");
    free_loop(loop);
}

TEST(null_exception_context_is_refused)
{
    cio_loop *loop = new_loop();
    assert_int_equal(cio_call_exception_handler(loop, NULL), -EINVAL);
    free_loop(loop);
}

/* --- options of a loop ----------------------------------------------------------------------- */

static void expect_no_loop(const cio_loop_options *options, int error)
{
    int fds = test_count_fds();
    assert_null(cio_loop_new(options));
    assert_int_equal(cio_last_error(), error);
    assert_int_equal(test_count_fds(), fds);
}

static void expect_loop(const cio_loop_options *options)
{
    cio_loop *loop = cio_loop_new(options);
    assert_non_null(loop);
    run_turn(loop);
    free_loop(loop);
}

TEST(backend_is_chosen_by_name)
{
    unsetenv("CIO_BACKEND");
    expect_loop(NULL);
    expect_loop(&(cio_loop_options){0});
    expect_loop(&(cio_loop_options){.backend = "epoll"});
    expect_no_loop(&(cio_loop_options){.backend = "nonsense"}, -EINVAL);
    expect_no_loop(&(cio_loop_options){.backend = "epoll2"}, -EINVAL);
    expect_no_loop(&(cio_loop_options){.backend = "EPOLL"}, -EINVAL);
}

TEST(backend_of_the_environment_is_overridden_by_the_option)
{
    setenv("CIO_BACKEND", "nonsense", 1);
    expect_no_loop(NULL, -EINVAL);
    expect_no_loop(&(cio_loop_options){.stack_size = 65536}, -EINVAL);
    expect_loop(&(cio_loop_options){.backend = "epoll"});
    setenv("CIO_BACKEND", "epoll", 1);
    expect_loop(NULL);
    expect_no_loop(&(cio_loop_options){.backend = "nonsense"}, -EINVAL);
}

TEST(stack_size_has_bounds)
{
    static const size_t KIB = 1024, GIB = 1024 * 1024 * 1024;
    static const size_t good[] = {0, 4096, 4097, 65536, 1024 * 1024, 1024 * 1024 * 1024};
    const size_t bad[] = {1, 4 * KIB - 1, GIB + 1, SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 4095};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        expect_loop(&(cio_loop_options){.stack_size = good[i]});
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_no_loop(&(cio_loop_options){.stack_size = bad[i]}, -EINVAL);
}

/* Whichever descriptor it is for which there is no room, the others are given back. */
TEST(loop_without_descriptors_says_so)
{
    struct rlimit limit, lower;
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = dup(0), n_failures = 0;
    close(next);
    for (int room = 0; room < 8; room++) {
        lower = (struct rlimit){.rlim_cur = (rlim_t)(next + room), .rlim_max = limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
        cio_loop *loop = cio_loop_new(NULL);
        if (!loop) {
            assert_int_equal(cio_last_error(), -EMFILE);
            n_failures++;
        }
        cio_loop_free(loop);
        int again = dup(0);
        assert_true(again == next || (again < 0 && room == 0));
        close(again);
    }
    assert_true(n_failures > 0 && n_failures < 8);
    setrlimit(RLIMIT_NOFILE, &limit);
    expect_loop(NULL);
}
