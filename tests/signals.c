/* Signals to loops: handlers, waits, who gets what, what is put back. Trap T52. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "test.h"
#include "trace.h"

static cio_context_var var = CIO_CONTEXT_VAR_INIT("var", "-");

static void kill_self(int number)
{
    assert_int_equal(kill(getpid(), number), 0);
}

static void assert_disposition(int number, void (*fn)(int))
{
    struct sigaction there;
    assert_int_equal(sigaction(number, NULL, &there), 0);
    assert_true(there.sa_handler == fn);
}

static void note_var(void *arg)
{
    note(arg);
    note(cio_context_get(&var));
    cio_context_set(&var, "changed", NULL);
}

static void run_turns(cio_loop *loop, int n)
{
    while (n-- > 0)
        run_turn(loop);
}

/* ---- handlers ---- */

TEST(t52_a_handler_runs_in_the_loop)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &handle, note, "u"), 0);
    assert_true(cio_handle_pending(&handle));
    kill_self(SIGUSR1);
    assert_trace("");
    run_turns(loop, 2);
    assert_trace("u");
    kill_self(SIGUSR1);
    run_turns(loop, 2);
    assert_trace("u");
    assert_int_equal(cio_remove_signal_handler(loop, SIGUSR1), 1);
    assert_false(cio_handle_pending(&handle));
    assert_int_equal(cio_remove_signal_handler(loop, SIGUSR1), 0);
    assert_disposition(SIGUSR1, SIG_DFL);
    free_loop(loop);
}

static void send_usr1(void *arg)
{
    (void)arg;
    kill_self(SIGUSR1);
}

TEST(t52_a_signal_wakes_a_loop_that_sleeps)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, timer = {0};
    cio_add_signal_handler(loop, SIGUSR1, &handle, stop_loop, loop);
    cio_call_later(loop, &timer, 0.01, send_usr1, NULL);
    assert_int_equal(cio_run_forever(loop), 0);
    free_loop(loop);
}

TEST(t52_signals_are_handled_in_the_order_of_their_arrival)
{
    cio_loop *loop = new_loop();
    cio_handle handles[3] = {{0}};
    cio_add_signal_handler(loop, SIGUSR1, &handles[0], note, "1");
    cio_add_signal_handler(loop, SIGUSR2, &handles[1], note, "2");
    cio_add_signal_handler(loop, SIGTERM, &handles[2], note, "t");
    kill_self(SIGTERM);
    kill_self(SIGUSR2);
    kill_self(SIGUSR1);
    run_turns(loop, 2);
    assert_trace("t21");
    kill_self(SIGUSR1);
    kill_self(SIGTERM);
    run_turns(loop, 2);
    assert_trace("1t");
    free_loop(loop);
}

static void send_from_the_handler(void *arg)
{
    note("h");
    if (trace.length < 5)
        kill_self(*(int *)arg);
}

/* One that comes while its handler runs is another one. */
TEST(t52_a_signal_during_its_own_handler_is_not_lost)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    cio_add_signal_handler(loop, SIGUSR1, &handle, send_from_the_handler, &(int){SIGUSR1});
    kill_self(SIGUSR1);
    run_turns(loop, 20);
    assert_trace("hhhhh");
    free_loop(loop);
}

TEST(t52_many_may_merge_but_the_last_is_seen)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    cio_add_signal_handler(loop, SIGUSR1, &handle, note, "u");
    for (int i = 0; i < 100; i++)
        kill_self(SIGUSR1);
    run_turns(loop, 3);
    assert_in_range(trace.length, 1, 100);
    assert_trace("u");
    free_loop(loop);
}

TEST(t52_real_time_signals_too)
{
    if (signal(SIGRTMAX, SIG_IGN) == SIG_ERR || kill(getpid(), SIGRTMAX) < 0)
        test_skip("valgrind or an emulator keeps the last real-time signal for itself");
    signal(SIGRTMAX, SIG_DFL);
    cio_loop *loop = new_loop();
    cio_handle handles[2] = {{0}};
    assert_int_equal(cio_add_signal_handler(loop, SIGRTMIN, &handles[0], note, "a"), 0);
    assert_int_equal(cio_add_signal_handler(loop, SIGRTMAX, &handles[1], note, "z"), 0);
    kill_self(SIGRTMAX);
    kill_self(SIGRTMIN);
    run_turns(loop, 2);
    assert_trace("za");
    free_loop(loop);
}

TEST(t52_a_new_handler_takes_the_place_of_the_old_one)
{
    cio_loop *loop = new_loop();
    cio_handle first = {0}, second = {0};
    cio_add_signal_handler(loop, SIGUSR1, &first, note, "1");
    kill_self(SIGUSR1);
    run_turn(loop); /* it is queued */
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &second, note, "2"), 0);
    assert_false(cio_handle_pending(&first));
    run_turn(loop);
    kill_self(SIGUSR1);
    run_turns(loop, 2);
    assert_trace("2");
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &second, note, "x"), CIO_ESTATE);
    assert_true(cio_handle_cancel(&second));
    assert_disposition(SIGUSR1, SIG_DFL);
    free_loop(loop);
}

struct own_end {
    cio_loop *loop;
    cio_handle *handle;
};

static void remove_and_free(void *arg)
{
    struct own_end *end = arg;
    note("r");
    assert_int_equal(cio_remove_signal_handler(end->loop, SIGUSR1), 1);
    free(end->handle);
    free(end);
}

TEST(t52_a_handler_may_remove_itself)
{
    cio_loop *loop = new_loop();
    struct own_end *end = malloc(sizeof *end);
    *end = (struct own_end){loop, calloc(1, sizeof(cio_handle))};
    cio_context_set(&var, "x", NULL);
    cio_add_signal_handler(loop, SIGUSR1, end->handle, remove_and_free, end);
    kill_self(SIGUSR1);
    run_turns(loop, 3);
    assert_trace("r");
    free_loop(loop);
    cio_context_set(&var, NULL, NULL);
}

TEST(t24_a_handler_runs_in_the_context_of_its_registration)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    cio_context_set(&var, "registered", NULL);
    cio_add_signal_handler(loop, SIGUSR1, &handle, note_var, ">");
    cio_context_set(&var, "later", NULL);
    for (int i = 0; i < 2; i++) {
        kill_self(SIGUSR1);
        run_turns(loop, 2);
        assert_trace(">registered");
    }
    free_loop(loop);
}

/* ---- what is refused ---- */

TEST(t52_bad_input_is_an_error)
{
    static const int bad[] = {0,       -1,     65,     1000,   SIGKILL, SIGSTOP,
                              SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGCHLD, 32};
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, busy = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(cio_add_signal_handler(loop, bad[i], &handle, note, ""), -EINVAL);
        assert_false(cio_handle_pending(&handle));
        if (bad[i] != 32) /* the C library's own */
            assert_int_equal(cio_remove_signal_handler(loop, bad[i]), -EINVAL);
    }
    assert_int_equal(cio_add_signal_handler(NULL, SIGUSR1, &handle, note, ""), -EINVAL);
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, NULL, note, ""), -EINVAL);
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &handle, NULL, ""), -EINVAL);
    assert_int_equal(cio_remove_signal_handler(NULL, SIGUSR1), -EINVAL);
    cio_call_soon(loop, &busy, note, "");
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &busy, note, ""), CIO_ESTATE);
    assert_disposition(SIGUSR1, SIG_DFL);
    cio_loop_close(loop);
    assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &handle, note, ""), CIO_ECLOSED);
    assert_int_equal(cio_remove_signal_handler(loop, SIGUSR1), 0);
    free_loop(loop);
    assert_int_equal(cio_wait_signal(CIO_SIGNAL(SIGUSR1)), CIO_ENOTASK);
    cio_signals signals;
    assert_int_equal(cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1)), CIO_ENOLOOP);
    cio_signals_end(NULL);
}

static int bad_waits(void *arg)
{
    (void)arg;
    cio_signals signals, other = {0};
    assert_int_equal(cio_wait_signal(0), -EINVAL);
    assert_int_equal(cio_wait_signal(CIO_SIGNAL(SIGKILL)), -EINVAL);
    assert_int_equal(cio_wait_signal(CIO_SIGNAL(SIGUSR1) | CIO_SIGNAL(SIGCHLD)), -EINVAL);
    assert_int_equal(cio_wait_signal(CIO_SIGNAL(SIGUSR1) | CIO_SIGNAL(33)), -EINVAL);
    assert_disposition(SIGUSR1, SIG_DFL);
    assert_int_equal(cio_signals_begin(NULL, CIO_SIGNAL(SIGUSR1)), -EINVAL);
    assert_int_equal(cio_signals_begin(&signals, 0), -EINVAL);
    assert_int_equal(cio_next_signal(NULL), -EINVAL);
    assert_int_equal(cio_next_signal(&other), CIO_ESTATE);
    assert_int_equal(cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1)), 0);
    cio_signals_end(&signals);
    cio_signals_end(&signals);
    assert_int_equal(cio_next_signal(&signals), CIO_ESTATE);
    return 0;
}

TEST(t52_bad_sets_are_errors)
{
    assert_int_equal(cio_run(bad_waits, NULL), 0);
}

/* ---- what is put back ---- */

static void own_handler(int number)
{
    (void)number;
}

TEST(t52_what_was_there_before_comes_back)
{
    cio_loop *loop = new_loop();
    cio_handle handles[3] = {{0}};
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, own_handler);
    cio_add_signal_handler(loop, SIGUSR1, &handles[0], note, "1");
    cio_add_signal_handler(loop, SIGUSR2, &handles[1], note, "2");
    cio_add_signal_handler(loop, SIGTERM, &handles[2], note, "t");
    assert_int_equal(cio_remove_signal_handler(loop, SIGUSR1), 1);
    assert_disposition(SIGUSR1, SIG_IGN);
    free_loop(loop);
    assert_disposition(SIGUSR2, own_handler);
    assert_disposition(SIGTERM, SIG_DFL);
    assert_false(cio_handle_pending(&handles[1]));
}

TEST(t52_what_somebody_else_has_installed_meanwhile_stays)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    cio_add_signal_handler(loop, SIGUSR1, &handle, note, "1");
    signal(SIGUSR1, own_handler);
    free_loop(loop);
    assert_disposition(SIGUSR1, own_handler);
}

TEST(t52_system_calls_go_on)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    struct sigaction there;
    cio_add_signal_handler(loop, SIGUSR1, &handle, note, "1");
    assert_int_equal(sigaction(SIGUSR1, NULL, &there), 0);
    assert_true(there.sa_flags & SA_RESTART);
    free_loop(loop);
}

/* ---- several loops ---- */

TEST(t52_every_loop_that_asked_gets_it)
{
    cio_loop *loops[3] = {new_loop(), new_loop(), new_loop()};
    cio_handle handles[3] = {{0}};
    static char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        cio_add_signal_handler(loops[i], SIGUSR1, &handles[i], note, names[i]);
    kill_self(SIGUSR1);
    for (int i = 2; i >= 0; i--)
        run_turns(loops[i], 2);
    assert_trace("cba");
    free_loop(loops[1]);
    kill_self(SIGUSR1);
    run_turns(loops[0], 2);
    run_turns(loops[2], 2);
    assert_trace("ac");
    free_loop(loops[2]);
    free_loop(loops[0]);
    assert_disposition(SIGUSR1, SIG_DFL);
}

/* ---- waits ---- */

static int wait_usr(void *arg)
{
    int rc = cio_wait_signal(CIO_SIGNAL(SIGUSR1) | CIO_SIGNAL(SIGUSR2));
    if (arg)
        note(arg);
    return rc;
}

static int waits(void *arg)
{
    (void)arg;
    cio_task *task = cio_create_task(wait_usr, NULL);
    cio_yield();
    kill_self(SIGUSR2);
    assert_int_equal(cio_await(task), SIGUSR2);
    assert_disposition(SIGUSR1, SIG_DFL);
    assert_disposition(SIGUSR2, SIG_DFL);
    return 0;
}

TEST(t52_a_task_waits_for_a_signal)
{
    assert_int_equal(cio_run(waits, NULL), 0);
}

static int several_wait(void *arg)
{
    (void)arg;
    cio_task *tasks[3];
    cio_result_pair results[3];
    static cio_handle handle; /* the handler stays until the loop is closed */
    static char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        tasks[i] = cio_create_task(wait_usr, names[i]);
    cio_add_signal_handler(cio_get_running_loop(), SIGUSR1, &handle, note, "h");
    cio_yield();
    kill_self(SIGUSR1);
    assert_int_equal(cio_gather_into(tasks, 3, 0, results), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(results[i].rc, SIGUSR1);
    assert_int_equal(trace.length, 4);
    assert_int_equal(trace.text[0], 'h');
    return 0;
}

TEST(t52_all_tasks_that_wait_get_it)
{
    assert_int_equal(cio_run(several_wait, NULL), 0);
}

static int without_gaps(void *arg)
{
    (void)arg;
    cio_signals signals;
    assert_int_equal(cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1) | CIO_SIGNAL(SIGUSR2)), 0);
    for (int i = 0; i < 50; i++) {
        kill_self(SIGUSR1); /* kills if nobody has it */
        if (i % 2)
            kill_self(SIGUSR2);
        assert_int_equal(cio_next_signal(&signals), SIGUSR1);
        if (i % 2)
            assert_int_equal(cio_next_signal(&signals), SIGUSR2);
        assert_int_equal(cio_yield(), 0);
    }
    cio_signals_end(&signals);
    return 0;
}

TEST(t52_signals_are_caught_between_two_waits)
{
    assert_int_equal(cio_run(without_gaps, NULL), 0);
}

static int next_of(void *arg)
{
    return cio_next_signal(arg);
}

static int two_in_one(void *arg)
{
    (void)arg;
    cio_signals signals;
    cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1));
    cio_task *task = cio_create_task(next_of, &signals);
    cio_yield();
    assert_int_equal(cio_next_signal(&signals), CIO_ESTATE);
    kill_self(SIGUSR1);
    assert_int_equal(cio_await(task), SIGUSR1);
    cio_signals_end(&signals);
    return 0;
}

TEST(t52_one_task_at_a_time_waits_in_one_place)
{
    assert_int_equal(cio_run(two_in_one, NULL), 0);
}

/* ---- cancellation ---- */

static int cancels_waits(void *arg)
{
    (void)arg;
    cio_task *task = cio_create_task(wait_usr, NULL);
    cio_cancel(task); /* before it begins */
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    task = cio_create_task(wait_usr, NULL);
    cio_yield();
    cio_cancel(task); /* while it waits */
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_disposition(SIGUSR1, SIG_DFL);
    assert_int_equal(cio_wait_for(wait_usr, NULL, 0.001), CIO_ETIMEDOUT);
    assert_disposition(SIGUSR1, SIG_DFL);
    cio_cancel(cio_current_task()); /* asked for before */
    assert_int_equal(wait_usr(NULL), CIO_ECANCELED);
    cio_uncancel(cio_current_task());
    return 0;
}

TEST(t52_a_wait_is_canceled_without_a_trace)
{
    assert_int_equal(cio_run(cancels_waits, NULL), 0);
}

static int kept_for_the_next(void *arg)
{
    (void)arg;
    cio_signals signals;
    cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1));
    cio_task *task = cio_create_task(next_of, &signals);
    cio_yield();
    kill_self(SIGUSR1);
    cio_yield();
    cio_yield(); /* the task is queued, and canceled before it runs */
    while (!signals.arrived)
        cio_yield();
    cio_cancel(task);
    int rc = cio_await(task);
    if (rc == CIO_ECANCELED)
        rc = cio_next_signal(&signals);
    assert_int_equal(rc, SIGUSR1);
    cio_signals_end(&signals);
    return 0;
}

TEST(t52_a_canceled_wait_leaves_the_signal_to_the_next)
{
    assert_int_equal(cio_run(kept_for_the_next, NULL), 0);
}

static volatile sig_atomic_t n_seen_by_own;

static void count_own(int number)
{
    (void)number;
    n_seen_by_own++;
}

static int woken_and_canceled(void *arg)
{
    int turns = *(int *)arg;
    cio_task *task = cio_create_task(wait_usr, NULL);
    cio_yield();
    kill_self(SIGUSR1);
    for (int i = 0; i < turns; i++)
        cio_yield();
    cio_cancel(task);
    int rc = cio_await(task);
    /* Either the task got it or whoever had the signal before: it is not lost, nor seen twice. */
    assert_int_equal((rc == SIGUSR1) + n_seen_by_own, 1);
    assert_true(rc == SIGUSR1 || rc == CIO_ECANCELED);
    n_seen_by_own = 0;
    assert_disposition(SIGUSR1, count_own);
    return rc;
}

TEST(t52_a_signal_that_a_canceled_wait_had_got_is_passed_on)
{
    signal(SIGUSR1, count_own);
    for (int turns = 0; turns < 5; turns++)
        cio_run(woken_and_canceled, &turns);
}

static int not_given_out(void *arg)
{
    (void)arg;
    cio_signals signals, other;
    cio_signal_set set = CIO_SIGNAL(SIGUSR1);
    cio_signals_begin(&signals, set);
    kill_self(SIGUSR1);
    cio_signals_end(&signals);
    assert_int_equal(n_seen_by_own, 1);
    cio_signals_begin(&signals, set);
    cio_signals_begin(&other, set);
    kill_self(SIGUSR1);
    assert_int_equal(cio_next_signal(&other), SIGUSR1);
    cio_signals_end(&signals);
    cio_signals_end(&other);
    assert_int_equal(n_seen_by_own, 1); /* somebody had it */
    return 0;
}

TEST(t52_a_signal_that_nobody_was_given_is_sent_again)
{
    signal(SIGUSR1, count_own);
    assert_int_equal(cio_run(not_given_out, NULL), 0);
}

/* ---- with cio_run() ---- */

static int handles_sigint(void *arg)
{
    (void)arg;
    cio_handle handle = {0};
    cio_loop *loop = cio_get_running_loop();
    assert_int_equal(cio_add_signal_handler(loop, SIGINT, &handle, note, "i"), 0);
    for (int i = 0; i < 3; i++) { /* the rule of cio_run() would cancel, then kill */
        kill_self(SIGINT);
        while (trace.length <= (size_t)i)
            assert_int_equal(cio_yield(), 0);
    }
    assert_trace("iii");
    assert_int_equal(cio_remove_signal_handler(loop, SIGINT), 1);
    kill_self(SIGINT);
    return cio_sleep(CIO_FOREVER);
}

TEST(t52_a_handler_goes_before_the_rule_of_run)
{
    assert_int_equal(cio_run(handles_sigint, NULL), -EINTR);
    assert_disposition(SIGINT, SIG_DFL);
}

static struct child child;

static int wait_then_die(void *arg)
{
    (void)arg;
    cio_signals signals;
    cio_signals_begin(&signals, CIO_SIGNAL(SIGTERM));
    kill_self(SIGTERM);
    assert_int_equal(cio_next_signal(&signals), SIGTERM);
    cio_signals_end(&signals);
    kill_self(SIGTERM); /* as ever */
    return 0;
}

static int run_wait_then_die(void *arg)
{
    cio_run(wait_then_die, arg);
    return 1;
}

TEST(t52_after_the_wait_a_signal_does_what_it_did)
{
    run_child(&child, run_wait_then_die, NULL, NULL);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGTERM);
}

/* ---- forks ---- */

static void expect_exit(pid_t pid, int code)
{
    int status = -1;
    assert_true(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

TEST(t56_a_child_inherits_no_handler)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, own = {0};
    signal(SIGUSR1, count_own);
    cio_add_signal_handler(loop, SIGUSR1, &handle, note, "u");
    pid_t pid = fork();
    if (pid == 0) {
        assert_disposition(SIGUSR1, count_own);
        kill_self(SIGUSR1);
        assert_int_equal(n_seen_by_own, 1);
        assert_int_equal(cio_add_signal_handler(loop, SIGUSR2, &own, note, ""), CIO_EFORKED);
        cio_loop *mine = new_loop();
        assert_int_equal(cio_add_signal_handler(mine, SIGUSR1, &own, note, "c"), 0);
        kill_self(SIGUSR1);
        run_turns(mine, 2);
        assert_trace("c");
        assert_int_equal(cio_remove_signal_handler(loop, SIGUSR1), 1);
        free_loop(loop);
        kill_self(SIGUSR1);
        run_turns(mine, 2);
        assert_trace("c");
        free_loop(mine);
        assert_disposition(SIGUSR1, count_own);
        _exit(0);
    }
    expect_exit(pid, 0);
    run_turns(loop, 2);
    assert_trace("");
    kill_self(SIGUSR1);
    run_turns(loop, 2);
    assert_trace("u");
    free_loop(loop);
}

static int n_polls;

static void count_poll(void *arg)
{
    (void)arg;
    n_polls++;
}

static void *child_takes_signals(void *arg)
{
    (void)arg;
    pid_t pid = fork(); /* while the loop sleeps, says the parent's memory */
    if (pid == 0) {
        for (int i = 0; i < 20; i++)
            kill_self(SIGUSR1);
        _exit(n_seen_by_own > 0 ? 0 : 1);
    }
    expect_exit(pid, 0);
    return NULL;
}

static void release(void *arg)
{
    count_poll(arg);
    if (n_polls == 2)
        child_takes_signals(NULL);
}

/* Forked as the loop falls asleep, so that the child's copy says that it must be woken. */
TEST(t56_a_signal_in_the_child_does_not_wake_the_parent)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, first = {0}, end = {0};
    signal(SIGUSR1, count_own);
    cio_add_signal_handler(loop, SIGUSR1, &handle, note, "u");
    cio_set_poll_hooks(loop, release, count_poll, NULL);
    cio_call_later(loop, &first, 0.002, note, "f");
    cio_call_later(loop, &end, 0.05, stop_loop, loop);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_trace("f");
    assert_true(n_polls < 10);
    free_loop(loop);
}
