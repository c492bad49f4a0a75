/* Ourselves: switching and starting tasks. */
#include "subject_cio.h"

#include "subject.h"

#include <stdlib.h>
#include <string.h>

void check(int rc, const char *what)
{
    if (rc < 0)
        subject_fail("%s: %s", what, cio_strerror(rc));
}

void run_main(cio_coroutine *main_task, void *arg)
{
    check(cio_run(main_task, arg), "cio_run");
}

void start_detached(cio_coroutine *fn, void *arg)
{
    cio_task *t = cio_create_task(fn, arg);
    if (!t)
        check(cio_last_error(), "cio_create_task");
    cio_detach(t);
}

/* Switching */

struct hopping {
    struct lockstep lockstep;
    cio_future *all_ended;
    cio_coroutine *fn;
};

static void hopper_ends(struct hopping *h)
{
    if (lockstep_end(&h->lockstep))
        check(cio_set_result(h->all_ended, 0, NULL), "cio_set_result");
}

static int hop_loop(void *arg)
{
    struct hopping *h = arg;
    for (int i = 0; i < WARM_STEPS; i++)
        cio_yield();
    lockstep_begin(&h->lockstep);
    for (long i = 0; i < h->lockstep.steps; i++)
        cio_yield();
    hopper_ends(h);
    return 0;
}

DEFINE_DEEP(deep, cio_yield())

static int deep_loop(void *arg)
{
    struct hopping *h = arg;
    for (int i = 0; i < WARM_STEPS; i++)
        deep(i, NULL);
    lockstep_begin(&h->lockstep);
    for (long i = 0; i < h->lockstep.steps; i++)
        deep((int)i, NULL);
    hopper_ends(h);
    return 0;
}

static int switch_main(void *arg)
{
    struct hopping *h = arg;
    h->all_ended = cio_future_new();
    for (long i = 0; i < h->lockstep.tasks; i++)
        start_detached(h->fn, h);
    return cio_await(h->all_ended);
}

static void switch_with(cio_coroutine *fn, long n)
{
    struct hopping h = {.lockstep = lockstep_for(n, 20000000), .fn = fn};
    run_main(switch_main, &h);
    subject_value("time", lockstep_ns(&h.lockstep));
}

static void bench_switch(long n)
{
    switch_with(hop_loop, n);
}

static void bench_switch_deep(long n)
{
    switch_with(deep_loop, n);
}

/* Starting and awaiting */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void spawn_round(cio_task **tasks, long n)
{
    for (long i = 0; i < n; i++)
        tasks[i] = cio_create_task(nothing, NULL);
    for (long i = 0; i < n; i++)
        check(cio_await(tasks[i]), "cio_await");
}

static int spawn_main(void *arg)
{
    long n = *(long *)arg;
    long rounds = steps_for(n, 3000000);
    cio_task **tasks = calloc((size_t)n, sizeof *tasks);
    spawn_round(tasks, n);
    int64_t begin_ns = cpu_ns();
    for (long r = 0; r < rounds; r++)
        spawn_round(tasks, n);
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)(rounds * n));
    free(tasks);
    return 0;
}

static void bench_spawn(long n)
{
    run_main(spawn_main, &n);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        {"switch", bench_switch},
        {"switch-deep", bench_switch_deep},
        {"spawn", bench_spawn},
        {"lock", bench_lock},
        {"lock-hand-over", bench_lock_hand_over},
        {"semaphore", bench_semaphore},
        {"generator-next", bench_generator_next},
        {"generator-send", bench_generator_send},
        {"generator-life", bench_generator_life},
        {"clock", bench_clock},
        {"timer", bench_timer_later},
        {"timer-at", bench_timer_at},
        {"sleep", bench_sleep},
        {"wake-burst", bench_wake_burst},
        {"wake-pingpong", bench_wake_pingpong},
        {"thread-round-trip", bench_thread_round_trip},
        {"thread-jobs", bench_thread_jobs},
        {"lookup-number", bench_lookup_number},
        {"lookup-name", bench_lookup_name},
        {"echo", bench_echo},
        {"queue", bench_queue_pingpong},
        {"queue-stream", bench_queue_stream},
        {"queue-nowait", bench_queue_nowait},
        {"echo-stream", bench_echo_stream},
        {"echo-protocol", bench_echo_protocol},
        {"echo-udp", bench_echo_udp},
        {"echo-udp-protocol", bench_echo_udp_protocol},
        {"sink-udp", bench_sink_udp},
#ifdef BENCH_TLS
        {"echo-tls", bench_echo_tls},
        {"idle-tls", bench_idle_tls},
#endif
        {"idle-transports", bench_idle_transports},
        {"idle-streams", bench_idle_streams},
        {NULL, NULL},
    };
#ifdef BENCH_HTTP
    bool over_tls = argc == 3 && strcmp(argv[1], "https") == 0;
    if (over_tls || (argc == 3 && strcmp(argv[1], "http") == 0)) {
        bench_http(argv[2], over_tls);
        return 0;
    }
#endif
    return subject_main(modes, argc, argv);
}
