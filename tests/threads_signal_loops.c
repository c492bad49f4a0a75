/* Signals while loops in several threads come and go. Trap T52. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "posts.h"
#include "test.h"

enum { N_THREADS = 3 };

static atomic_int n_ready;
static atomic_int n_heard[N_THREADS];
static atomic_bool over;

static int wait_for_two(void *arg)
{
    int me = *(int *)arg;
    cio_signals signals;
    assert_int_equal(cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1) | CIO_SIGNAL(SIGUSR2)), 0);
    atomic_fetch_add(&n_ready, 1);
    int rc = 0;
    while (rc != SIGUSR2) {
        rc = cio_next_signal(&signals);
        assert_true(rc == SIGUSR1 || rc == SIGUSR2);
        atomic_fetch_add(&n_heard[me], 1);
    }
    cio_signals_end(&signals);
    return 0;
}

static void *run_and_wait(void *arg)
{
    assert_int_equal(cio_run(wait_for_two, arg), 0);
    return NULL;
}

/* Whichever thread the system interrupts: all loops that wait are told. */
TEST(threads_t52_loops_in_all_threads_are_told)
{
    pthread_t threads[N_THREADS];
    int numbers[N_THREADS] = {0, 1, 2};
    for (int i = 0; i < N_THREADS; i++)
        threads[i] = start_thread(run_and_wait, &numbers[i]);
    while (atomic_load(&n_ready) < N_THREADS)
        sched_yield();
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < N_THREADS; i++)
        while (atomic_load(&n_heard[i]) == 0)
            sched_yield();
    pthread_kill(threads[1], SIGUSR2); /* to one thread: all the same */
    for (int i = 0; i < N_THREADS; i++)
        join(threads[i]);
}

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Loops are made, ask for signals and are freed, as fast as they can. */
static void *come_and_go(void *arg)
{
    while (!atomic_load(&over)) {
        cio_loop *loop = new_loop();
        cio_handle handles[2] = {{0}};
        assert_int_equal(cio_add_signal_handler(loop, SIGUSR1, &handles[0], count_call, arg), 0);
        assert_int_equal(cio_add_signal_handler(loop, SIGUSR2, &handles[1], count_call, arg), 0);
        for (int i = 0; i < 3; i++)
            run_turn(loop);
        cio_remove_signal_handler(loop, SIGUSR1);
        run_turn(loop);
        free_loop(loop);
    }
    return NULL;
}

static void ignore(int number)
{
    (void)number;
}

TEST(threads_t52_loops_come_and_go_under_signals)
{
    pthread_t threads[N_THREADS];
    static atomic_int n_calls;
    struct sigaction there;
    signal(SIGUSR1, ignore);
    signal(SIGUSR2, ignore);
    for (int i = 0; i < N_THREADS; i++)
        threads[i] = start_thread(come_and_go, &n_calls);
    int least = test_scale(3000);
    for (int i = 0; i < least || atomic_load(&n_calls) < 10; i++) {
        kill(getpid(), i % 3 ? SIGUSR1 : SIGUSR2);
        pthread_kill(threads[i % N_THREADS], SIGUSR1);
    }
    atomic_store(&over, true);
    for (int i = 0; i < N_THREADS; i++)
        join(threads[i]);
    sigaction(SIGUSR1, NULL, &there);
    assert_true(there.sa_handler == ignore);
}

static atomic_long n_sent, n_acknowledged;

static int acknowledge(void *arg)
{
    cio_signals signals;
    (void)arg;
    cio_signals_begin(&signals, CIO_SIGNAL(SIGUSR1));
    atomic_fetch_add(&n_ready, 1);
    while (!atomic_load(&over)) {
        int rc = cio_next_signal(&signals);
        assert_int_equal(rc, SIGUSR1);
        atomic_store(&n_acknowledged, atomic_load(&n_sent));
    }
    cio_signals_end(&signals);
    return 0;
}

static void *run_acknowledge(void *arg)
{
    assert_int_equal(cio_run(acknowledge, arg), 0);
    return NULL;
}

/* The next one is sent when the last was answered: if one were lost, this would hang. */
TEST(threads_t52_no_signal_is_lost)
{
    pthread_t thread = start_thread(run_acknowledge, NULL);
    while (atomic_load(&n_ready) == 0)
        sched_yield();
    for (long i = 1; i <= test_scale(3000); i++) {
        atomic_store(&n_sent, i);
        kill(getpid(), SIGUSR1);
        while (atomic_load(&n_acknowledged) < i)
            sched_yield();
    }
    atomic_store(&over, true);
    kill(getpid(), SIGUSR1);
    join(thread);
}

/* A signal finds the task between any two instructions while it changes its variables. */
static cio_context_var var = CIO_CONTEXT_VAR_INIT("var", NULL);
static cio_handle posted[8];
static cio_loop *interrupted;

static void see_var(void *arg)
{
    (void)arg;
    const char *value = cio_context_get(&var);
    assert_true(!value || strcmp(value, "a") == 0 || strcmp(value, "b") == 0);
}

static void post_from_handler(int number)
{
    static volatile sig_atomic_t i;
    (void)number;
    cio_call_soon_threadsafe(interrupted, &posted[i++ % 8], see_var, NULL);
}

static int change_variables(void *arg)
{
    interrupted = cio_get_running_loop();
    for (int i = 0; !atomic_load(&over); i++) {
        cio_context_token token;
        cio_context_set(&var, i % 2 ? "a" : "b", &token);
        cio_handle handle = CIO_HANDLE_INIT; /* shares the snapshot, so that the next makes one */
        cio_call_soon(interrupted, &handle, see_var, NULL);
        cio_context_reset(&var, &token);
        assert_int_equal(cio_yield(), 0);
        atomic_store(&n_ready, 1);
    }
    (void)arg;
    return 0;
}

static void *run_change_variables(void *arg)
{
    assert_int_equal(cio_run(change_variables, arg), 0);
    return NULL;
}

TEST(threads_t24_a_signal_handler_posts_with_the_context_that_it_interrupts)
{
    signal(SIGUSR1, post_from_handler);
    pthread_t thread = start_thread(run_change_variables, NULL);
    while (!atomic_load(&n_ready))
        sched_yield();
    for (int i = 0; i < test_scale(3000); i++) {
        pthread_kill(thread, SIGUSR1);
        if (i % 16 == 0)
            sched_yield();
    }
    signal(SIGUSR1, SIG_IGN);
    atomic_store(&over, true);
    join(thread);
}
