/* What every subject program shares: its modes, its clocks, and how it tells its values. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <stddef.h>
#include <stdint.h>

/* `bench_cio switch 10000` runs the mode "switch" with n = 10000 (0 if no number is given). */
struct mode {
    const char *name;
    void (*run)(long n);
};

/* Finds the mode that argv names and runs it; what main() returns. The table ends with a NULL name. */
int subject_main(const struct mode *modes, int argc, char **argv);

/* Prints one value for the runner. */
void subject_value(const char *key, double value);

/* "I cannot do this, because ...": the runner leaves the row empty and shows the reason. */
_Noreturn void subject_absent(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A bug or a broken machine: the runner reports a failure. */
_Noreturn void subject_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t wall_ns(void);
/* Processor time of this process. Single-threaded benches use it: time that a neighbour took away does not count. */
int64_t cpu_ns(void);

double resident_bytes(void);

/* Keeps the calling thread on one processor, if there are so many. */
void pin_thread(int cpu);

/* A listening TCP socket on 127.0.0.1, non-blocking; prints its port for the runner. */
int subject_listen(void);
/* TCP_NODELAY, which every echo server sets. */
void subject_nodelay(int fd);

/* How long a measured loop should be: enough steps that a sample takes about 0.1 s. */
long steps_for(long n, long total);

enum {
    ECHO_BUFFER = 16384, /* what a connection that owns its buffer gives it */
    WAKE_BURST = 1000000,
    WAKE_IN_FLIGHT = 1024,
    WAKE_ROUND_TRIPS = 5000,
    THREAD_ROUND_TRIPS = 20000,
    THREAD_JOBS = 200000,
    LOOKUPS_OF_NUMBERS = 1000000,
    LOOKUPS_OF_NAMES = 20000,
};

/* Sleeps of the million: spread over a second, so that the timers are not all equal. */
static inline int sleeper_delay_ms(long i)
{
    return 1000 + (int)(i * 7919 % 1000);
}

/* Four frames down, with something alive in each. `hop` is the subject's yield, which may use arg. */
#define DEFINE_DEEP(name, hop)                                                                     \
    static __attribute__((noinline)) int name##_3(int x, void *arg)                                \
    {                                                                                              \
        volatile char local[96];                                                                   \
        (void)arg;                                                                                 \
        local[x & 63] = (char)x;                                                                   \
        hop;                                                                                       \
        return local[x & 63];                                                                      \
    }                                                                                              \
    static __attribute__((noinline)) int name##_2(int x, void *arg)                                \
    {                                                                                              \
        return name##_3(x + 1, arg) + x;                                                           \
    }                                                                                              \
    static __attribute__((noinline)) int name##_1(int x, void *arg)                                \
    {                                                                                              \
        return name##_2(x + 1, arg) ^ x;                                                           \
    }                                                                                              \
    static __attribute__((noinline)) int name(int x, void *arg)                                    \
    {                                                                                              \
        return name##_1(x + 1, arg) - x;                                                           \
    }

/* N tasks in lockstep: the first to leave the warm-up starts the clock, the last to finish stops it. */
struct lockstep {
    long tasks;
    long steps; /* measured yields of each task */
    long started;
    long ended;
    int64_t begin_ns;
    int64_t end_ns;
};

enum { WARM_STEPS = 8 };

struct lockstep lockstep_for(long tasks, long total);
static inline void lockstep_begin(struct lockstep *l)
{
    if (l->started++ == 0)
        l->begin_ns = cpu_ns();
}
/* Whether this was the last task. */
static inline int lockstep_end(struct lockstep *l)
{
    if (++l->ended < l->tasks)
        return 0;
    l->end_ns = cpu_ns();
    return 1;
}
double lockstep_ns(const struct lockstep *l);

#endif
