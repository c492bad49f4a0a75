/* State Threads 1.9, used as its documentation says: epoll, default stacks (64 KiB, without guard pages). */
#include "st_queue.h"
#include "subject.h"

#include "st_sync.h"

#include <errno.h>
#include <st.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void start(void)
{
    st_set_eventsys(ST_EVENTSYS_ALT);
    if (st_init() < 0)
        subject_fail("st_init: %s", strerror(errno));
}

static st_thread_t spawn(void *(*fn)(void *), void *arg, int joinable, long i)
{
    st_thread_t t = st_thread_create(fn, arg, joinable, 0);
    if (!t)
        subject_absent("st_thread_create failed at thread %ld: %s", i, strerror(errno));
    return t;
}

/* Switching. Version 1.9 has no yield, and st_usleep(0) goes through the poll: threads in pairs wake each other, which
 * costs it two list operations more than a yield would. N threads have N/2 ready at a time; 1 is measured with 2. */

static struct lockstep lockstep;
static st_cond_t all_ended;

struct hopper {
    st_cond_t mine;
    struct hopper *partner;
};

static inline void hand_over(struct hopper *me)
{
    st_cond_signal(me->partner->mine);
    st_cond_wait(me->mine);
}

static void hopper_ends(struct hopper *me)
{
    st_cond_signal(me->partner->mine);
    if (lockstep_end(&lockstep))
        st_cond_signal(all_ended);
}

static void *hop_loop(void *arg)
{
    struct hopper *me = arg;
    for (int i = 0; i < WARM_STEPS; i++)
        hand_over(me);
    lockstep_begin(&lockstep);
    for (long i = 0; i < lockstep.steps; i++)
        hand_over(me);
    hopper_ends(me);
    return NULL;
}

DEFINE_DEEP(deep, hand_over(arg))

static void *deep_loop(void *arg)
{
    struct hopper *me = arg;
    for (int i = 0; i < WARM_STEPS; i++)
        deep(i, me);
    lockstep_begin(&lockstep);
    for (long i = 0; i < lockstep.steps; i++)
        deep((int)i, me);
    hopper_ends(me);
    return NULL;
}

static void switch_with(void *(*fn)(void *), long n)
{
    start();
    n = n < 2 ? 2 : n;
    struct hopper *hoppers = calloc((size_t)n, sizeof *hoppers);
    lockstep = lockstep_for(n, 3000000);
    all_ended = st_cond_new();
    for (long i = 0; i < n; i++)
        hoppers[i] = (struct hopper){.mine = st_cond_new(), .partner = &hoppers[i ^ 1]};
    for (long i = 0; i < n; i++)
        spawn(fn, &hoppers[i], 0, i);
    st_cond_wait(all_ended);
    subject_value("time", lockstep_ns(&lockstep));
}

static void bench_switch(long n)
{
    switch_with(hop_loop, n);
}

static void bench_switch_deep(long n)
{
    switch_with(deep_loop, n);
}

/* Starting and joining */

static void *nothing(void *arg)
{
    return arg;
}

static void spawn_round(st_thread_t *threads, long n)
{
    for (long i = 0; i < n; i++)
        threads[i] = spawn(nothing, NULL, 1, i);
    for (long i = 0; i < n; i++)
        st_thread_join(threads[i], NULL);
}

static void bench_spawn(long n)
{
    start();
    long rounds = steps_for(n, 1000000);
    st_thread_t *threads = calloc((size_t)n, sizeof *threads);
    spawn_round(threads, n);
    int64_t begin_ns = cpu_ns();
    for (long r = 0; r < rounds; r++)
        spawn_round(threads, n);
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)(rounds * n));
    free(threads);
}

static void bench_clock(long n)
{
    (void)n;
    start();
    st_utime_t sum = 0;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < 3000000; i++)
        sum += st_utime();
    subject_value("time", (double)(cpu_ns() - begin_ns) / 3e6 + (sum == 1));
}

/* A million sleeps */

static long awake;

static void *sleeper(void *arg)
{
    st_usleep((st_utime_t)sleeper_delay_ms((long)(intptr_t)arg) * 1000);
    if (--awake == 0)
        st_cond_signal(all_ended);
    return NULL;
}

static void bench_sleep(long n)
{
    start();
    all_ended = st_cond_new();
    awake = n;
    double empty = resident_bytes();
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < n; i++)
        spawn(sleeper, (void *)(intptr_t)i, 0, i);
    st_usleep(
        0); /* comes back when every one of them has run to its sleep: sleepers wait for the ready */
    double parked = resident_bytes();
    st_cond_wait(all_ended);
    subject_value("cpu", (double)(cpu_ns() - begin_ns) / (double)n);
    subject_value("resident", (parked - empty) / (double)n);
}

/* The echo server: a thread for each connection, with a buffer of its own */

static void *serve(void *arg)
{
    st_netfd_t connection = arg;
    char *buffer = malloc(ECHO_BUFFER);
    ssize_t n;
    while (buffer && (n = st_read(connection, buffer, ECHO_BUFFER, ST_UTIME_NO_TIMEOUT)) > 0)
        if (st_write(connection, buffer, (size_t)n, ST_UTIME_NO_TIMEOUT) != n)
            break;
    free(buffer);
    st_netfd_close(connection);
    return NULL;
}

static void bench_echo(long n)
{
    (void)n;
    start();
    st_netfd_t listener = st_netfd_open_socket(subject_listen());
    for (long i = 0;; i++) {
        st_netfd_t connection = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT);
        if (!connection)
            subject_fail("st_accept: %s", strerror(errno));
        subject_nodelay(st_netfd_fileno(connection));
        spawn(serve, connection, 0, i);
    }
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
        {"clock", bench_clock},
        {"sleep", bench_sleep},
        {"echo", bench_echo},
        {"queue", bench_queue_pingpong},
        {"queue-stream", bench_queue_stream},
        {NULL, NULL},
    };
    return subject_main(modes, argc, argv);
}
