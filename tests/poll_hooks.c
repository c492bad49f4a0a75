/* The hooks around a poll that may block: an interpreter's lock, for instance. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

/* A lock that only counts. The loop is started with it held, as an interpreter would. */
struct gate {
    cio_loop *loop;
    cio_handle handle, timer;
    pthread_t thread;
    bool held;
    int n_releases, n_acquires, n_calls, n_left;
};

static void release(void *arg)
{
    struct gate *g = arg;
    assert_true(g->held);
    assert_true(pthread_equal(pthread_self(), g->thread));
    g->held = false;
    g->n_releases++;
}

static void acquire(void *arg)
{
    struct gate *g = arg;
    assert_false(g->held);
    assert_true(pthread_equal(pthread_self(), g->thread));
    g->held = true;
    g->n_acquires++;
}

static void make_gate(struct gate *g)
{
    *g = (struct gate){.loop = new_loop(), .thread = pthread_self(), .held = true};
    assert_int_equal(cio_set_poll_hooks(g->loop, release, acquire, g), 0);
}

static void finish_gate(struct gate *g)
{
    assert_true(g->held);
    assert_int_equal(g->n_releases, g->n_acquires);
    free_loop(g->loop);
}

static void call_with_lock(void *arg)
{
    struct gate *g = arg;
    assert_true(g->held);
    g->n_calls++;
}

/* A slow machine may find every timer due before it can wait. */
static void run_until_released(struct gate *g, int n_releases)
{
    double end = cio_time(g->loop) + 10.0;
    do
        run_for(g->loop, 0.002);
    while (g->n_releases < n_releases && cio_time(g->loop) < end);
    assert_true(g->n_releases >= n_releases);
}

TEST(lock_is_released_while_the_loop_waits)
{
    struct gate g;
    make_gate(&g);
    for (int i = 1; i <= 5; i++) {
        cio_call_later(g.loop, &g.timer, 0.001, call_with_lock, &g);
        run_until_released(&g, i);
        assert_int_equal(g.n_calls, i);
        assert_int_equal(g.n_releases, g.n_acquires);
    }
    finish_gate(&g);
}

static void call_again_with_lock(void *arg)
{
    struct gate *g = arg;
    call_with_lock(g);
    if (--g->n_left == 0)
        stop_loop(g->loop);
    else
        cio_call_soon(g->loop, &g->handle, call_again_with_lock, g);
}

/* A long run of turns in which something is always ready, polls of the kernel among them. */
TEST(lock_is_kept_while_something_is_ready)
{
    int fds[2];
    struct gate g;
    cio_handle file = {0};
    make_gate(&g);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    g.n_left = test_scale(100000);
    cio_add_reader(g.loop, fds[0], &file, call_with_lock, &g);
    cio_call_later(g.loop, &g.timer, 0.0, call_with_lock, &g);
    cio_call_soon(g.loop, &g.handle, call_again_with_lock, &g);
    assert_int_equal(cio_run_forever(g.loop), 0);
    assert_int_equal(g.n_releases, 0);
    assert_int_equal(g.n_acquires, 0);
    finish_gate(&g);
    close(fds[0]);
    close(fds[1]);
}

TEST(lock_is_kept_in_a_turn_that_does_not_wait)
{
    struct gate g;
    make_gate(&g);
    cio_call_later(g.loop, &g.timer, 3600.0, call_with_lock, &g);
    for (int i = 0; i < 10; i++)
        run_turn(g.loop);
    assert_int_equal(g.n_releases, 0);
    finish_gate(&g);
}

TEST(lock_is_kept_when_a_timer_is_due)
{
    struct gate g;
    make_gate(&g);
    for (int i = 0; i < 10; i++) {
        cio_call_at(g.loop, &g.handle, cio_time(g.loop) - 1.0, call_with_lock, &g);
        cio_call_at(g.loop, &g.timer, cio_time(g.loop) - 0.5, stop_loop, g.loop);
        assert_int_equal(cio_run_forever(g.loop), 0);
        assert_int_equal(g.n_calls, i + 1);
    }
    assert_int_equal(g.n_releases, 0);
    finish_gate(&g);
}

/* A post that is in the inbox already is something ready. */
TEST(lock_is_kept_when_a_call_was_posted)
{
    struct gate g;
    make_gate(&g);
    for (int i = 0; i < 10; i++) {
        cio_call_soon_threadsafe(g.loop, &g.handle, stop_loop, g.loop);
        assert_int_equal(cio_run_forever(g.loop), 0);
    }
    assert_int_equal(g.n_releases, 0);
    finish_gate(&g);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* A signal ends the poll early; the pairs stay pairs. */
TEST(hooks_are_paired_when_signals_interrupt_the_wait)
{
    struct gate g;
    struct sigaction action = {.sa_handler = ignore_signal};
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    make_gate(&g);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    cio_call_later(g.loop, &g.timer, 0.01, call_with_lock, &g);
    run_for(g.loop, 0.02);
    run_until_released(&g, 1);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_int_equal(g.n_calls, 1);
    finish_gate(&g);
}

static void remove_hooks(void *arg)
{
    struct gate *g = arg;
    assert_true(g->held);
    assert_int_equal(cio_set_poll_hooks(g->loop, NULL, NULL, NULL), 0);
}

TEST(hooks_removed_by_a_callback_are_not_called_again)
{
    struct gate g;
    make_gate(&g);
    cio_call_soon(g.loop, &g.handle, remove_hooks, &g);
    cio_call_later(g.loop, &g.timer, 0.001, call_with_lock, &g);
    run_for(g.loop, 0.003);
    assert_int_equal(g.n_calls, 1);
    assert_int_equal(g.n_releases, 0);
    finish_gate(&g);
}

static void set_hooks(void *arg)
{
    struct gate *g = arg;
    assert_int_equal(cio_set_poll_hooks(g->loop, release, acquire, g), 0);
}

TEST(hooks_set_by_a_callback_are_called_from_the_next_wait_on)
{
    struct gate g = {.loop = new_loop(), .thread = pthread_self(), .held = true};
    cio_call_soon(g.loop, &g.handle, set_hooks, &g);
    cio_call_later(g.loop, &g.timer, 0.001, call_with_lock, &g);
    run_until_released(&g, 1);
    assert_int_equal(g.n_calls, 1);
    finish_gate(&g);
}

TEST(hooks_belong_to_one_loop)
{
    struct gate a, b;
    make_gate(&a);
    make_gate(&b);
    run_for(a.loop, 0.001);
    assert_int_equal(b.n_releases, 0);
    finish_gate(&a);
    finish_gate(&b);
}

/* --- a real lock ----------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    int shared; /* guarded by lock: a callback's use of it without would be a race */
    bool is_over;
} interpreter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void unlock(void *arg)
{
    assert_int_equal(pthread_mutex_unlock(arg), 0);
}

static void lock(void *arg)
{
    assert_int_equal(pthread_mutex_lock(arg), 0);
}

static void *run_other_thread(void *arg)
{
    (void)arg;
    for (bool is_over = false; !is_over; usleep(50)) {
        lock(&interpreter.lock);
        interpreter.shared++;
        is_over = interpreter.is_over;
        unlock(&interpreter.lock);
    }
    return NULL;
}

static void use_shared(void *arg)
{
    struct gate *g = arg;
    int before = interpreter.shared++;
    assert_int_equal(interpreter.shared, before + 1);
    if (--g->n_left == 0)
        stop_loop(g->loop);
    else
        cio_call_later(g->loop, &g->timer, 1e-4, use_shared, g);
}

/* Another thread gets the lock whenever the loop waits, and never in a callback. */
TEST(hooks_share_an_interpreter_lock_with_another_thread)
{
    pthread_t thread;
    struct gate g = {.loop = new_loop(), .n_left = test_scale(200)};
    lock(&interpreter.lock);
    cio_set_poll_hooks(g.loop, unlock, lock, &interpreter.lock);
    assert_int_equal(pthread_create(&thread, NULL, run_other_thread, NULL), 0);
    cio_call_soon(g.loop, &g.handle, use_shared, &g);
    assert_int_equal(cio_run_forever(g.loop), 0);
    interpreter.is_over = true;
    assert_true(interpreter.shared >= test_scale(200));
    unlock(&interpreter.lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    free_loop(g.loop);
}
