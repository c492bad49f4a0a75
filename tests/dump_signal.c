/* Dumps that a signal asks for: of an idle, a busy and a blocked loop. */
#include <cio/debug.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "journal.h"
#include "net.h"
#include "texts.h"

static struct errors errors;

/* The dump is complete when the last task is there. */
#define DUMPED "^  'Task-2' [a-z]+(.|\n)*sleeps"
#define DUMPED_WITHOUT_NAMES "^  'Task-2' [a-z]+"

static const char *dumped(void)
{
    return cio__symbols_load() ? DUMPED : DUMPED_WITHOUT_NAMES;
}

FRAME int sleeps(void *arg)
{
    (void)arg;
    int rc = cio_sleep(1000);
    KEEP_FRAME();
    return rc;
}

static cio_task *start_sleeper(void)
{
    cio_task *sleeper = cio_create_task(sleeps, NULL);
    cio_yield();
    return sleeper;
}

static int end(cio_task *sleeper)
{
    cio_cancel(sleeper);
    assert_int_equal(cio_await(sleeper), CIO_ECANCELED);
    return 0;
}

/* The reader of the dump waits as a task: the loop is idle until it comes. */
FRAME int is_idle(void *arg)
{
    (void)arg;
    cio_task *sleeper = start_sleeper();
    raise(SIGUSR1);
    while (!find_text(errors.text, dumped())) {
        assert_int_equal(cio_wait_readable(errors.fd), 0);
        ssize_t n = read(errors.fd, errors.text + errors.size,
                         sizeof errors.text - 1 - errors.size);
        assert_true(n > 0);
        errors.size += (size_t)n;
        errors.text[errors.size] = '\0';
    }
    return end(sleeper);
}

static int run_with_signal(cio_coroutine *fn)
{
    cio_run_options options = {.dump_signal = SIGUSR1};
    errors_catch(&errors);
    int rc = cio_run_with(&options, fn, NULL);
    errors_end(&errors);
    return rc;
}

static void expect_default_action(int number)
{
    struct sigaction action;
    assert_int_equal(sigaction(number, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

TEST(a_signal_dumps_an_idle_loop)
{
    assert_int_equal(run_with_signal(is_idle), 0);
    expect_text(errors.text, "^  'Task-1' waiting, cio_wait_readable: fd");
    expect_frame(errors.text, "Task-2", "sleeps");
    expect_default_action(SIGUSR1);
    expect_default_action(SIGURG);
}

FRAME int is_busy(void *arg)
{
    (void)arg;
    cio_task *sleeper = start_sleeper();
    fcntl(errors.fd, F_SETFL, O_NONBLOCK);
    raise(SIGUSR1);
    while (!find_text(errors.text, dumped())) {
        ssize_t n = read(errors.fd, errors.text + errors.size,
                         sizeof errors.text - 1 - errors.size);
        errors.size += n > 0 ? (size_t)n : 0;
        errors.text[errors.size] = '\0';
        assert_int_equal(cio_yield(), 0);
    }
    return end(sleeper);
}

TEST(a_signal_dumps_a_busy_loop)
{
    assert_int_equal(run_with_signal(is_busy), 0);
    expect_text(errors.text, "^  'Task-1' (running|ready)");
    expect_frame(errors.text, "Task-2", "sleeps");
}

FRAME int is_blocked(void *arg)
{
    (void)arg;
    cio_task *sleeper = start_sleeper();
    raise(SIGUSR1);
    errors_until(&errors, dumped());
    KEEP_FRAME();
    return end(sleeper);
}

TEST(a_signal_dumps_a_loop_that_a_task_blocks)
{
    assert_int_equal(run_with_signal(is_blocked), 0);
    expect_text(errors.text, "^  'Task-1' running");
    expect_frame(errors.text, "Task-1", "is_blocked");
    expect_frame(errors.text, "Task-2", "sleeps");
}

static int is_blocked_and_asked_twice(void *arg)
{
    assert_int_equal(is_blocked(arg), 0);
    errors.size = 0;
    return is_blocked(arg);
}

TEST(a_signal_dumps_as_often_as_it_comes)
{
    assert_int_equal(run_with_signal(is_blocked_and_asked_twice), 0);
}

TEST(a_signal_by_the_environment)
{
    setenv("CIO_DUMP_SIGNAL", "USR1", 1);
    errors_catch(&errors);
    assert_int_equal(cio_run(is_blocked, NULL), 0);
    errors_end(&errors);
    expect_default_action(SIGUSR1);
}

static void *run_blocked_elsewhere(void *arg)
{
    (void)arg;
    assert_int_equal(cio_run(is_blocked, NULL), 0);
    return NULL;
}

static int waits_readable(void *fd)
{
    return cio_wait_readable(*(int *)fd);
}

static void *run_reader(void *fd)
{
    assert_int_equal(cio_run(waits_readable, fd), 0);
    return NULL;
}

TEST(threads_a_signal_dumps_the_loops_of_all_threads)
{
    int fds[2];
    pthread_t reader, blocked;
    net_pair(fds, SOCK_STREAM);
    errors_catch(&errors);
    assert_int_equal(cio_dump_on_signal(SIGUSR2), 0);
    assert_int_equal(cio_dump_on_signal(SIGUSR1), 0); /* instead */
    expect_default_action(SIGUSR2);
    assert_int_equal(pthread_create(&reader, NULL, run_reader, &fds[0]), 0);
    assert_int_equal(pthread_create(&blocked, NULL, run_blocked_elsewhere, NULL), 0);
    pthread_join(blocked, NULL);
    assert_int_equal(write(fds[1], "x", 1), 1);
    pthread_join(reader, NULL);
    assert_int_equal(cio_dump_on_signal(0), 0);
    errors_end(&errors);
    expect_default_action(SIGUSR1);
    close(fds[0]);
    close(fds[1]);
}

static void handler(int number)
{
    (void)number;
}

TEST(a_dump_signal_that_cannot_be_had_is_refused)
{
    assert_int_equal(cio_dump_on_signal(-1), -EINVAL);
    assert_int_equal(cio_dump_on_signal(SIGKILL), -EINVAL);
    assert_int_equal(cio_dump_on_signal(SIGSTOP), -EINVAL);
    assert_int_equal(cio_dump_on_signal(SIGURG), -EINVAL);
    assert_int_equal(cio_dump_on_signal(10000), -EINVAL);
    assert_int_equal(cio_dump_on_signal(0), 0);
    signal(SIGUSR1, handler);
    assert_int_equal(cio_dump_on_signal(SIGUSR1), -EBUSY);
}
