/* Ourselves: the clock, timers, and a million sleeps. */
#include "subject.h"
#include "subject_cio.h"

#include <stdlib.h>

enum { STEPS = 3000000 };

static int clock_main(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    double sum = 0;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++)
        sum += cio_time(loop);
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS + (sum < 0));
    return 0;
}

void bench_clock(long n)
{
    (void)n;
    run_main(clock_main, NULL);
}

static void never(void *arg)
{
    (void)arg;
}

/* n timers that stay, a thousand seconds and more from now, like the uv subject's. */
static cio_handle *live_timers(cio_loop *loop, long n)
{
    cio_handle *live = calloc((size_t)n + 1, sizeof *live);
    double now = cio_time(loop);
    for (long i = 0; i < n; i++)
        check(cio_call_at(loop, &live[i], now + 1000 + (double)(i * 7919 % 1000003) / 1e3, never,
                          NULL),
              "cio_call_at");
    return live;
}

static void cancel_all(cio_handle *live, long n)
{
    for (long i = 0; i < n; i++)
        cio_handle_cancel(&live[i]);
    free(live);
}

static int timer_later_main(void *arg)
{
    long n = *(long *)arg;
    cio_loop *loop = cio_get_running_loop();
    cio_handle *live = live_timers(loop, n);
    cio_handle timer = CIO_HANDLE_INIT;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        cio_call_later(loop, &timer, 2000 + (double)(i & 1023) / 1e3, never, NULL);
        cio_handle_cancel(&timer);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
    cancel_all(live, n);
    return 0;
}

static int timer_at_main(void *arg)
{
    long n = *(long *)arg;
    cio_loop *loop = cio_get_running_loop();
    cio_handle *live = live_timers(loop, n);
    cio_handle timer = CIO_HANDLE_INIT;
    double base = cio_time(loop) + 2000;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        cio_call_at(loop, &timer, base + (double)(i & 1023) / 1e3, never, NULL);
        cio_handle_cancel(&timer);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
    cancel_all(live, n);
    return 0;
}

void bench_timer_later(long n)
{
    run_main(timer_later_main, &n);
}

void bench_timer_at(long n)
{
    run_main(timer_at_main, &n);
}

/* A million sleeps */

struct sleepers {
    long n;
    long started;
    long asleep;
    cio_future *all_awake;
};

static int sleeper(void *arg)
{
    struct sleepers *s = arg;
    check(cio_sleep(sleeper_delay_ms(s->started++) / 1e3), "cio_sleep");
    if (--s->asleep == 0)
        cio_set_result(s->all_awake, 0, NULL);
    return 0;
}

static int sleep_main(void *arg)
{
    struct sleepers *s = arg;
    s->all_awake = cio_future_new();
    double empty = resident_bytes();
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < s->n; i++)
        start_detached(sleeper, s);
    cio_yield(); /* comes back when every one of them has run to its sleep */
    if (s->started != s->n)
        subject_fail("%ld of %ld tasks sleep", s->started, s->n);
    double parked = resident_bytes();
    check(cio_await(s->all_awake), "cio_await");
    subject_value("cpu", (double)(cpu_ns() - begin_ns) / (double)s->n);
    subject_value("resident", (parked - empty) / (double)s->n);
    return 0;
}

void bench_sleep(long n)
{
    struct sleepers s = {.n = n, .asleep = n};
    run_main(sleep_main, &s);
}
