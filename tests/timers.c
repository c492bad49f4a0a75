/* Timers: never early, in order, removed exactly. Traps T4-T9. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "test.h"
#include "trace.h"

struct alarm {
    cio_loop *loop;
    cio_handle handle;
    double not_before;
    int n_left;
};

static void check_not_early(void *arg)
{
    struct alarm *a = arg;
    assert_true(cio_time(a->loop) >= a->not_before);
    note("x");
}

/* T6: no clock resolution is taken off; a wait is rounded up, never down. */
TEST(t6_call_later_is_never_early)
{
    static const double delays[] = {0.0, 1e-9, 1e-6, 5e-5, 0.0003, 0.001, 0.0011, 0.0049, 0.02};
    enum { N = sizeof delays / sizeof delays[0] };
    struct alarm alarms[N] = {0};
    cio_loop *loop = new_loop();
    for (int i = 0; i < N; i++) {
        alarms[i].loop = loop;
        alarms[i].not_before = cio_time(loop) + delays[i];
        cio_call_later(loop, &alarms[i].handle, delays[i], check_not_early, &alarms[i]);
    }
    run_for(loop, 0.021);
    assert_trace("xxxxxxxxx");
    free_loop(loop);
}

static void again_not_early(void *arg)
{
    struct alarm *a = arg;
    assert_true(cio_time(a->loop) >= a->not_before);
    if (--a->n_left == 0) {
        stop_loop(a->loop);
        return;
    }
    a->not_before = cio_time(a->loop) + 1e-4;
    assert_int_equal(cio_call_at(a->loop, &a->handle, a->not_before, again_not_early, a), 0);
}

/*
 * T6, T7: call_at's time is cio_time()'s, to the last bit; one timer alone, so that the poll waits.
 */
TEST(t7_call_at_is_never_early)
{
    struct alarm a = {.loop = new_loop(), .n_left = test_scale(200)};
    a.not_before = cio_time(a.loop);
    cio_call_at(a.loop, &a.handle, a.not_before, again_not_early, &a);
    assert_int_equal(cio_run_forever(a.loop), 0);
    assert_int_equal(a.n_left, 0);
    free_loop(a.loop);
}

struct racer {
    struct alarm alarm;
    cio_handle spinner;
    int n_steps;
};

static void spin(void *arg)
{
    struct racer *r = arg;
    cio_call_soon(r->alarm.loop, &r->spinner, spin, r);
}

static void race_not_early(void *arg)
{
    struct racer *r = arg;
    assert_true(cio_time(r->alarm.loop) >= r->alarm.not_before);
    if (--r->alarm.n_left == 0) {
        stop_loop(r->alarm.loop);
        return;
    }
    r->alarm.not_before = cio_time(r->alarm.loop) + 5e-6 + 1e-7 * (r->n_steps++ % 37);
    cio_call_at(r->alarm.loop, &r->alarm.handle, r->alarm.not_before, race_not_early, r);
}

/* T6: a loop that does not sleep looks at the clock all the time, also just before the deadline. */
TEST(t6_busy_loop_is_never_early)
{
    struct racer r = {.alarm = {.loop = new_loop(), .n_left = test_scale(2000)}};
    cio_call_soon(r.alarm.loop, &r.spinner, spin, &r);
    cio_call_later(r.alarm.loop, &r.alarm.handle, 0.0, race_not_early, &r);
    assert_int_equal(cio_run_forever(r.alarm.loop), 0);
    free_loop(r.alarm.loop);
}

/* T5: equal deadlines are FIFO, here with others before and after them in the heap. */
TEST(t5_equal_deadlines_are_fifo)
{
    enum { N = 12 };
    static const char *const letters[N] = {"a", "b", "c", "d", "e", "f",
                                           "g", "h", "i", "j", "k", "l"};
    cio_handle same[N] = {0}, early = {0}, late = {0}, between[N] = {0};
    cio_loop *loop = new_loop();
    double when = cio_time(loop) - 1.0;
    cio_call_at(loop, &late, when + 0.5, note, ".");
    for (int i = 0; i < N; i++) {
        cio_call_at(loop, &same[i], when, note, (void *)letters[i]);
        cio_call_at(loop, &between[i], when - 0.001 * i, note, "never");
    }
    for (int i = 0; i < N; i++)
        assert_true(cio_handle_cancel(&between[i]));
    cio_call_at(loop, &early, when - 0.5, note, "<");
    run_turn(loop);
    assert_trace("<abcdefghijkl.");
    free_loop(loop);
}

/* T5: canceling some and making them again puts them last among their equals. */
TEST(t5_timer_made_again_is_last_of_its_equals)
{
    cio_handle a = {0}, b = {0}, c = {0};
    cio_loop *loop = new_loop();
    double when = cio_time(loop) - 1.0;
    cio_call_at(loop, &a, when, note, "a");
    cio_call_at(loop, &b, when, note, "b");
    cio_call_at(loop, &c, when, note, "c");
    assert_true(cio_handle_cancel(&a));
    cio_call_at(loop, &a, when, note, "a");
    run_turn(loop);
    assert_trace("bca");
    free_loop(loop);
}

TEST(earlier_deadline_runs_first_whatever_the_order_of_the_calls)
{
    cio_handle a = {0}, b = {0}, c = {0};
    cio_loop *loop = new_loop();
    double now = cio_time(loop);
    cio_call_at(loop, &a, now + 0.003, note, "a");
    cio_call_at(loop, &b, now + 0.001, note, "b");
    cio_call_at(loop, &c, now + 0.002, note, "c");
    run_for(loop, 0.004);
    assert_trace("bca");
    free_loop(loop);
}

/* T8: a negative delay is zero, and minus infinity is one. */
TEST(t8_negative_delay_is_now)
{
    cio_handle a = {0}, b = {0}, c = {0}, d = {0};
    cio_loop *loop = new_loop();
    double before = cio_time(loop);
    assert_int_equal(cio_call_later(loop, &a, -5.0, note, "a"), 0);
    assert_true(cio_handle_when(&a) >= before - 1e-6);
    assert_int_equal(cio_call_later(loop, &b, -1e300, note, "b"), 0);
    assert_int_equal(cio_call_later(loop, &c, -CIO_FOREVER, note, "c"), 0);
    assert_int_equal(cio_call_later(loop, &d, -0.0, note, "d"), 0);
    run_turn(loop);
    assert_trace("abcd");
    free_loop(loop);
}

/* Times long past are in order too, and minus infinity is before all of them. */
TEST(t8_call_at_a_past_time_is_now)
{
    cio_handle a = {0}, b = {0}, c = {0};
    cio_loop *loop = new_loop();
    assert_int_equal(cio_call_at(loop, &a, cio_time(loop) - 1.0, note, "a"), 0);
    assert_int_equal(cio_call_at(loop, &b, -1e6, note, "b"), 0);
    assert_int_equal(cio_call_at(loop, &c, -CIO_FOREVER, note, "c"), 0);
    run_turn(loop);
    assert_trace("cba");
    free_loop(loop);
}

/* T8: NaN is refused and leaves the handle alone. */
TEST(t8_nan_is_refused)
{
    cio_handle handle = {0};
    cio_loop *loop = new_loop();
    assert_int_equal(cio_call_later(loop, &handle, (double)NAN, note, "x"), -EINVAL);
    assert_int_equal(cio_call_at(loop, &handle, (double)NAN, note, "x"), -EINVAL);
    assert_int_equal(cio_call_later(loop, &handle, -(double)NAN, note, "x"), -EINVAL);
    assert_false(cio_handle_pending(&handle));
    run_turn(loop);
    assert_trace("");
    free_loop(loop);
}

/* T8: what is further off than the clock can count is like for ever: pending, never due. */
TEST(t8_forever_never_comes)
{
    static const double far[] = {1e9, 9.3e9, 1e18, 1e300, (double)INFINITY};
    enum { N = sizeof far / sizeof far[0] };
    cio_handle later[N] = {0}, at[N] = {0};
    cio_loop *loop = new_loop();
    for (int i = 0; i < N; i++) {
        assert_int_equal(cio_call_later(loop, &later[i], far[i], note, "later"), 0);
        assert_int_equal(cio_call_at(loop, &at[i], cio_time(loop) + far[i], note, "at"), 0);
    }
    run_for(loop, 0.003);
    for (int i = 0; i < N; i++) {
        assert_true(cio_handle_when(&later[i]) > 1e8);
        assert_true(cio_handle_when(&at[i]) > 1e8);
        assert_true(cio_handle_cancel(&later[i]));
        assert_true(cio_handle_cancel(&at[i]));
    }
    run_turn(loop);
    assert_trace("");
    free_loop(loop);
}

TEST(t8_forever_does_not_hide_a_nearer_timer)
{
    cio_handle never = {0}, never_at = {0}, soon = {0};
    cio_loop *loop = new_loop();
    cio_call_later(loop, &never, CIO_FOREVER, note, "never");
    cio_call_at(loop, &never_at, CIO_FOREVER, note, "never");
    cio_call_later(loop, &soon, 0.001, note, "soon");
    run_for(loop, 0.005);
    assert_trace("soon");
    free_loop(loop);
}

static struct {
    cio_loop *loop;
    cio_handle handle;
} sleeper;

static void post_stop(void *arg)
{
    (void)arg;
    cio_call_soon_threadsafe(sleeper.loop, &sleeper.handle, stop_loop, sleeper.loop);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* T8: the kernel is asked to wait for that long, and woken from it. */
TEST(t8_wait_for_a_far_timer_is_possible)
{
    static const double far[] = {3600.0, 86400.0 * 30, 2147484.0, 1e9, 9.2e9, 1e18, 1e300};
    sleeper.loop = new_loop();
    cio_set_poll_hooks(sleeper.loop, post_stop, do_nothing, NULL);
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        cio_handle timer = {0};
        cio_call_later(sleeper.loop, &timer, far[i], note, "too early");
        assert_int_equal(cio_run_forever(sleeper.loop), 0);
        assert_true(cio_handle_cancel(&timer));
    }
    assert_trace("");
    free_loop(sleeper.loop);
}

static void count_poll(void *arg)
{
    ++*(int *)arg;
}

/* T6: a wait that is rounded down ends too early and is begun again and again: the loop spins. */
TEST(t6_wait_for_a_timer_does_not_spin)
{
    int n_polls = 0, n = test_scale(100);
    cio_loop *loop = new_loop();
    cio_set_poll_hooks(loop, count_poll, do_nothing, &n_polls);
    for (int i = 0; i < n; i++)
        run_for(loop, 0.0007);
    assert_true(n_polls <= 2 * n + 10);
    free_loop(loop);
}

TEST(when_tells_the_deadline_of_a_pending_timer)
{
    cio_handle at = {0}, later = {0}, soon = {0};
    cio_loop *loop = new_loop();
    double when = cio_time(loop) + 60.0;
    cio_call_at(loop, &at, when, note, "never");
    assert_true(fabs(cio_handle_when(&at) - when) < 1e-6);
    double before = cio_time(loop);
    cio_call_later(loop, &later, 30.0, note, "never");
    double after = cio_time(loop);
    assert_true(cio_handle_when(&later) > before + 30.0 - 1e-6);
    assert_true(cio_handle_when(&later) < after + 30.0 + 1e-6);

    cio_call_soon(loop, &soon, note, "never");
    assert_true(isnan(cio_handle_when(&soon)));
    assert_true(isnan(cio_handle_when(NULL)));
    cio_handle_cancel(&at);
    assert_true(isnan(cio_handle_when(&at)));
    free_loop(loop);
    assert_true(isnan(cio_handle_when(&later)));
}

/* T9: a canceled timer is gone at once: its memory may be freed while the loop runs on. */
TEST(t9_canceled_timer_may_be_freed_at_once)
{
    enum { N = 64 };
    cio_handle *handles[N];
    cio_loop *loop = new_loop();
    double past = cio_time(loop) - 1.0;
    for (int i = 0; i < N; i++) {
        handles[i] = calloc(1, sizeof *handles[i]);
        cio_call_at(loop, handles[i], past + i * 0.001, note, i % 3 == 1 ? "x" : "canceled");
    }
    for (int i = 0; i < N; i++) {
        if (i % 3 == 1)
            continue;
        assert_true(cio_handle_cancel(handles[i]));
        free(handles[i]);
    }
    run_turn(loop);
    assert_int_equal(trace.length, N / 3);
    for (int i = 1; i < N; i += 3)
        free(handles[i]);
    free_loop(loop);
}

struct pair {
    cio_loop *loop;
    cio_handle first, second, third;
};

static void cancel_second(void *arg)
{
    struct pair *p = arg;
    note("1");
    assert_true(cio_handle_pending(&p->second));
    assert_true(cio_handle_cancel(&p->second));
    assert_false(cio_handle_pending(&p->second));
}

/* Also one that is already due, and stands in the queue of this very turn. */
TEST(due_timer_can_be_canceled_by_an_earlier_one)
{
    struct pair p = {.loop = new_loop()};
    double when = cio_time(p.loop) - 1.0;
    cio_call_at(p.loop, &p.first, when, cancel_second, &p);
    cio_call_at(p.loop, &p.second, when, note, "2");
    cio_call_at(p.loop, &p.third, when, note, "3");
    run_turn(p.loop);
    assert_trace("13");
    free_loop(p.loop);
}

static void rearm_second(void *arg)
{
    struct pair *p = arg;
    note("1");
    assert_true(cio_handle_cancel(&p->second));
    assert_int_equal(cio_call_at(p->loop, &p->second, cio_time(p->loop) - 2.0, note, "2"), 0);
}

/* What is made anew in a turn waits for the next one, even if an older use of it was queued. */
TEST(due_timer_moved_by_an_earlier_one_waits_for_the_next_turn)
{
    struct pair p = {.loop = new_loop()};
    double when = cio_time(p.loop) - 1.0;
    cio_call_at(p.loop, &p.first, when, rearm_second, &p);
    cio_call_at(p.loop, &p.second, when, note, "2");
    cio_call_at(p.loop, &p.third, when, note, "3");
    run_turn(p.loop);
    assert_trace("13");
    run_turn(p.loop);
    assert_trace("2");
    free_loop(p.loop);
}

static void rearm_myself(void *arg)
{
    struct alarm *a = arg;
    assert_false(cio_handle_pending(&a->handle));
    assert_false(cio_handle_cancel(&a->handle));
    note("x");
    if (--a->n_left > 0)
        assert_int_equal(cio_call_later(a->loop, &a->handle, 0.0, rearm_myself, a), 0);
}

/* A timer of delay zero that makes itself again runs once a turn, not for ever in one. */
TEST(timer_rearmed_by_its_own_callback_runs_once_a_turn)
{
    struct alarm a = {.loop = new_loop(), .n_left = 3};
    cio_call_later(a.loop, &a.handle, 0.0, rearm_myself, &a);
    run_turn(a.loop);
    assert_trace("x");
    run_turn(a.loop);
    assert_trace("x");
    run_turn(a.loop);
    run_turn(a.loop);
    assert_trace("x");
    free_loop(a.loop);
}

static void free_myself(void *arg)
{
    struct alarm *a = arg;
    note("x");
    memset(a, 0xa5, sizeof *a);
    free(a);
}

TEST(timer_may_be_freed_by_its_own_callback)
{
    cio_loop *loop = new_loop();
    for (int i = 0; i < 5; i++) {
        struct alarm *a = calloc(1, sizeof *a);
        cio_call_later(loop, &a->handle, i * 1e-4, free_myself, a);
    }
    run_for(loop, 0.002);
    assert_trace("xxxxx");
    free_loop(loop);
}

static uint64_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* T7: nanoseconds inside, but never one less than was asked for. */
TEST(t7_deadline_is_not_rounded_down)
{
    cio_handle handle = {0};
    cio_loop *loop = new_loop();
    for (int i = 0; i < 10000; i++) {
        double when = 1e5 + (double)(next_random() >> 11) * 1e-9;
        assert_int_equal(cio_call_at(loop, &handle, when, note, "never"), 0);
        assert_true(cio_handle_when(&handle) >= when);
        assert_true(cio_handle_when(&handle) <= when * (1 + 1e-15) + 2e-9);
        assert_true(cio_handle_cancel(&handle));
    }
    free_loop(loop);
}
