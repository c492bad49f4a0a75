/* ^C while cio_run() runs: real signals, in child processes that may die of them. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "journal.h"
#include "test.h"

enum { AS_EXPECTED = 42, NOT_AS_EXPECTED = 1 };

static struct child child;

static void interrupt(pid_t pid)
{
    struct timespec a_moment = {0, 20000000}; /* let it fall asleep in its poll, mostly */
    nanosleep(&a_moment, NULL);
    assert_int_equal(kill(pid, SIGINT), 0);
}

static void expect(int (*fn)(void *arg), void *arg, void (*watch)(pid_t pid))
{
    run_child(&child, fn, arg, watch);
    if (!WIFEXITED(child.status) || WEXITSTATUS(child.status) != AS_EXPECTED)
        print_error("status %#x, stderr: %s\n", child.status, child.text);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), AS_EXPECTED);
}

static void expect_death(int (*fn)(void *arg), void *arg, void (*watch)(pid_t pid))
{
    run_child(&child, fn, arg, watch);
    if (!WIFSIGNALED(child.status))
        print_error("status %#x, stderr: %s\n", child.status, child.text);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGINT);
}

/* ---- the first one ---- */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    child_ready();
    return cio_sleep(CIO_FOREVER);
}

static int run_sleeper(void *arg)
{
    (void)arg;
    return cio_run(sleep_for_ever, NULL) == -EINTR ? AS_EXPECTED : NOT_AS_EXPECTED;
}

TEST(sigint_wakes_a_sleeping_loop_and_cancels_main)
{
    expect(run_sleeper, NULL, interrupt);
}

static int interrupt_self(void *arg)
{
    (void)arg;
    raise(SIGINT);
    int rc = cio_sleep(CIO_FOREVER);
    cio_sleep(0.001); /* cleanup is not disturbed */
    return rc == CIO_ECANCELED && cio_cancelling(cio_current_task()) == 1 ? rc : -EPROTO;
}

static int run_interrupt_self(void *arg)
{
    (void)arg;
    return cio_run(interrupt_self, NULL) == -EINTR ? AS_EXPECTED : NOT_AS_EXPECTED;
}

TEST(sigint_arrives_in_the_next_wait)
{
    expect(run_interrupt_self, NULL, NULL);
}

static int cleanup_then(void *arg)
{
    raise(SIGINT);
    cio_sleep(CIO_FOREVER);
    return *(int *)arg;
}

static int run_cleanup_then(void *arg)
{
    return cio_run(cleanup_then, arg) == *(int *)arg ? AS_EXPECTED : NOT_AS_EXPECTED;
}

TEST(sigint_swallowed_by_main_is_forgotten)
{
    expect(run_cleanup_then, &(int){7}, NULL);
}

TEST(sigint_answered_by_an_error_gives_that_error)
{
    expect(run_cleanup_then, &(int){-EIO}, NULL);
}

static int background(void *arg)
{
    note("begin");
    int rc = cio_sleep(CIO_FOREVER);
    note("end");
    (void)arg;
    return rc;
}

static int main_with_background(void *arg)
{
    cio_detach(cio_create_task(background, NULL));
    cio_yield();
    return interrupt_self(arg);
}

static int run_with_background(void *arg)
{
    (void)arg;
    int rc = cio_run(main_with_background, NULL);
    return rc == -EINTR && strcmp(noted(), "begin end") == 0 ? AS_EXPECTED : NOT_AS_EXPECTED;
}

TEST(sigint_ends_the_run_in_good_order)
{
    expect(run_with_background, NULL, NULL);
}

static int cancel_task(void *arg)
{
    cio_cancel(arg);
    return 0;
}

static int interrupted_and_canceled(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    cio_detach(cio_create_task(cancel_task, me));
    raise(SIGINT);
    while (cio_cancelling(me) < 2)
        cio_yield();
    return CIO_ECANCELED;
}

static int run_interrupted_and_canceled(void *arg)
{
    (void)arg;
    return cio_run(interrupted_and_canceled, NULL) == CIO_ECANCELED ? AS_EXPECTED : NOT_AS_EXPECTED;
}

/* asyncio: KeyboardInterrupt only if task.uncancel() == 0, that is, if nobody else canceled it. */
TEST(sigint_and_another_cancel_is_a_cancel)
{
    expect(run_interrupted_and_canceled, NULL, NULL);
}

static int main_never_ran(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

static int run_after_run(void *arg)
{
    (void)arg;
    bool ran = false;
    struct sigaction after;
    if (cio_run(interrupt_self, NULL) != -EINTR || cio_run(main_never_ran, &ran) != 0 || !ran)
        return NOT_AS_EXPECTED;
    sigaction(SIGINT, NULL, &after);
    return after.sa_handler == SIG_DFL ? AS_EXPECTED : NOT_AS_EXPECTED;
}

TEST(sigint_is_as_before_after_the_run)
{
    expect(run_after_run, NULL, NULL);
}

/* ---- the second one ---- */

static int deaf(void *arg)
{
    (void)arg;
    raise(SIGINT);
    cio_sleep(CIO_FOREVER);
    cio_sleep(0.001);
    raise(SIGINT);
    cio_sleep(0.001);
    return 0;
}

static int run_deaf(void *arg)
{
    (void)arg;
    cio_run(deaf, NULL);
    return NOT_AS_EXPECTED;
}

TEST(sigint_twice_kills)
{
    expect_death(run_deaf, NULL, NULL);
}

static int busy(void *arg)
{
    (void)arg;
    child_ready();
    for (;;) /* never waits, so the first one is never heard */
        cio_time(NULL);
    return 0;
}

static int run_busy(void *arg)
{
    (void)arg;
    cio_run(busy, NULL);
    return NOT_AS_EXPECTED;
}

/* Two signals may arrive as one where the machine is slow: sends more until one is the second. */
static void interrupt_until_dead(pid_t pid)
{
    siginfo_t ended = {0};
    while (ended.si_pid == 0) {
        interrupt(pid);
        assert_int_equal(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    }
}

TEST(sigint_twice_kills_a_loop_that_does_not_answer)
{
    expect_death(run_busy, NULL, interrupt_until_dead);
}

static int interrupt_in_cleanup(void *arg)
{
    cio_sleep(CIO_FOREVER);
    raise(SIGINT);
    (void)arg;
    return cio_sleep(0.01);
}

static int end_at_once(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task(interrupt_in_cleanup, NULL));
    return cio_yield();
}

static int run_interrupted_end(void *arg)
{
    (void)arg;
    cio_run(end_at_once, NULL);
    return NOT_AS_EXPECTED;
}

/* There is no main task left to cancel: asyncio has given SIGINT back by then. */
TEST(sigint_while_the_others_end_kills)
{
    expect_death(run_interrupted_end, NULL, NULL);
}

static int run_killed_after(void *arg)
{
    (void)arg;
    if (cio_run(interrupt_self, NULL) == -EINTR)
        raise(SIGINT);
    return NOT_AS_EXPECTED;
}

TEST(sigint_after_the_run_kills_as_ever)
{
    expect_death(run_killed_after, NULL, NULL);
}

/* ---- when it is left alone ---- */

static volatile sig_atomic_t signals_seen;

static void see_signal(int number)
{
    (void)number;
    signals_seen++;
}

static int interrupt_and_go_on(void *arg)
{
    (void)arg;
    raise(SIGINT);
    int rc = cio_sleep(0.01);
    return rc < 0 ? rc : 5;
}

static int run_with_handler(void *arg)
{
    (void)arg;
    struct sigaction mine = {.sa_handler = see_signal}, after;
    sigaction(SIGINT, &mine, NULL);
    int rc = cio_run(interrupt_and_go_on, NULL);
    sigaction(SIGINT, NULL, &after);
    return rc == 5 && signals_seen == 1 && after.sa_handler == see_signal ? AS_EXPECTED
                                                                          : NOT_AS_EXPECTED;
}

TEST(sigint_with_a_handler_is_left_alone)
{
    expect(run_with_handler, NULL, NULL);
}

static int run_ignored(void *arg)
{
    (void)arg;
    signal(SIGINT, SIG_IGN);
    return cio_run(interrupt_and_go_on, NULL) == 5 ? AS_EXPECTED : NOT_AS_EXPECTED;
}

TEST(sigint_ignored_stays_ignored)
{
    expect(run_ignored, NULL, NULL);
}

static int run_leave(void *arg)
{
    (void)arg;
    cio_run_options options = {.leave_sigint = true};
    cio_run_with(&options, interrupt_and_go_on, NULL);
    return NOT_AS_EXPECTED;
}

TEST(sigint_left_by_option_kills)
{
    expect_death(run_leave, NULL, NULL);
}

static void *thread_run(void *arg)
{
    cio_run(interrupt_and_go_on, arg);
    return NULL;
}

static int run_in_thread(void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_run, arg) == 0)
        pthread_join(thread, NULL);
    return NOT_AS_EXPECTED;
}

TEST(threads_other_than_main_leave_sigint_alone)
{
    expect_death(run_in_thread, NULL, NULL);
}
