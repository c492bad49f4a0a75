/* Calls from signal handlers, which interrupt the loop anywhere. Trap T48. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "test.h"
#include "trace.h"

static struct {
    cio_loop *loop;
    cio_handle *handles;
    int n;
    volatile sig_atomic_t n_posted;
    int n_seen;
    int numbers[2000];
    cio_handle spinner;
} alarms;

static void hear_alarm(void *arg)
{
    assert_int_equal(*(int *)arg, alarms.n_seen);
    if (++alarms.n_seen == alarms.n)
        stop_loop(alarms.loop);
}

/* Interrupts the loop anywhere, and must find errno as it was. */
static void post_from_handler(int number)
{
    (void)number;
    int i = alarms.n_posted, saved = errno;
    if (i >= alarms.n)
        return;
    errno = 4711;
    if (cio_call_soon_threadsafe(alarms.loop, &alarms.handles[i], hear_alarm, &alarms.numbers[i]))
        abort();
    if (errno != 4711)
        abort();
    errno = saved;
    alarms.n_posted = i + 1;
}

static void prepare_alarms(int n)
{
    struct sigaction action = {.sa_handler = post_from_handler};
    alarms.loop = new_loop();
    alarms.n = n;
    alarms.handles = calloc((size_t)n, sizeof *alarms.handles);
    for (int i = 0; i < n; i++)
        alarms.numbers[i] = i;
    sigaction(SIGALRM, &action, NULL);
}

static void finish_alarms(void)
{
    signal(SIGALRM, SIG_IGN);
    assert_int_equal(alarms.n_seen, alarms.n);
    free_loop(alarms.loop);
    free(alarms.handles);
}

static void ring_every_100_us(void)
{
    struct itimerval interval = {{0, 100}, {0, 100}};
    setitimer(ITIMER_REAL, &interval, NULL);
}

static void stop_ringing(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
}

/* T48: the handler interrupts a loop that sleeps. */
TEST(t48_signal_handler_posts_to_a_sleeping_loop)
{
    prepare_alarms(test_scale(500));
    ring_every_100_us();
    assert_int_equal(cio_run_forever(alarms.loop), 0);
    stop_ringing();
    finish_alarms();
}

static void spin(void *arg)
{
    (void)arg;
    cio_call_soon(alarms.loop, &alarms.spinner, spin, NULL);
}

/* T48: the handler interrupts a loop that is busy with its own queue. */
TEST(t48_signal_handler_posts_to_a_busy_loop)
{
    prepare_alarms(test_scale(1000));
    cio_call_soon(alarms.loop, &alarms.spinner, spin, NULL);
    ring_every_100_us();
    assert_int_equal(cio_run_forever(alarms.loop), 0);
    stop_ringing();
    finish_alarms();
}

static void post_directly(void *arg)
{
    (void)arg;
    assert_int_equal(raise(SIGALRM), 0);
    if (alarms.n_posted < alarms.n)
        cio_call_soon(alarms.loop, &alarms.spinner, post_directly, NULL);
}

/* T48: the handler interrupts a callback of the loop itself. */
TEST(t48_signal_handler_posts_out_of_a_callback)
{
    prepare_alarms(test_scale(1000));
    cio_call_soon(alarms.loop, &alarms.spinner, post_directly, NULL);
    assert_int_equal(cio_run_forever(alarms.loop), 0);
    finish_alarms();
}
