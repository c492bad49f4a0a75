/* State Threads: its mutex, and what one writes for a semaphore with its condition variable. */
#include "st_sync.h"

#include "subject.h"

#include <errno.h>
#include <st.h>
#include <string.h>

enum { STEPS = 20000000, HAND_OVERS = 5000000 };

static st_mutex_t mutex;

static void start(void)
{
    st_set_eventsys(ST_EVENTSYS_ALT);
    if (st_init() < 0)
        subject_fail("st_init: %s", strerror(errno));
    mutex = st_mutex_new();
}

void bench_lock(long n)
{
    (void)n;
    start();
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        st_mutex_lock(mutex);
        st_mutex_unlock(mutex);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
}

/* An unlock gives the mutex to the one who waits, who then runs at the next wait of the other. */
static void *contender(void *arg)
{
    st_mutex_lock(mutex);
    for (long i = 0; i < HAND_OVERS / 2; i++) {
        if (i == 0)
            st_usleep(0);
        st_mutex_unlock(mutex);
        st_mutex_lock(mutex);
    }
    st_mutex_unlock(mutex);
    return arg;
}

void bench_lock_hand_over(long n)
{
    (void)n;
    start();
    int64_t begin_ns = cpu_ns();
    st_thread_t one = st_thread_create(contender, NULL, 1, 0);
    st_thread_t other = st_thread_create(contender, NULL, 1, 0);
    st_thread_join(one, NULL);
    st_thread_join(other, NULL);
    subject_value("time", (double)(cpu_ns() - begin_ns) / HAND_OVERS);
}

static int value = 1;
static st_cond_t not_zero;

static __attribute__((noinline)) void semaphore_acquire(void)
{
    while (value == 0)
        st_cond_wait(not_zero);
    value--;
}

static __attribute__((noinline)) void semaphore_release(void)
{
    value++;
    st_cond_signal(not_zero);
}

void bench_semaphore(long n)
{
    (void)n;
    start();
    not_zero = st_cond_new();
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        semaphore_acquire();
        semaphore_release();
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
}
