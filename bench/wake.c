#include "wake.h"

#include "subject.h"

#include <sched.h>

static void *burst(void *arg)
{
    struct wake *w = arg;
    pin_thread(1);
    w->begin_ns = wall_ns();
    for (long i = 0; i < w->total; i++) {
        while (i - atomic_load_explicit(&w->arrived, memory_order_acquire) >= WAKE_IN_FLIGHT)
            sched_yield(); /* the loop is behind: its thread may need this processor */
        w->post(w, i);
    }
    return NULL;
}

static void *pingpong(void *arg)
{
    struct wake *w = arg;
    pin_thread(1);
    w->begin_ns = wall_ns();
    for (long i = 0; i < w->total; i++) {
        w->post(w, i);
        while (sem_wait(&w->answer) != 0)
            ;
    }
    return NULL;
}

static void start(struct wake *w, void *(*fn)(void *), long total)
{
    w->total = total;
    sem_init(&w->answer, 0, 0);
    pin_thread(0);
    if (pthread_create(&w->thread, NULL, fn, w) != 0)
        subject_fail("pthread_create");
}

void wake_start_burst(struct wake *w)
{
    start(w, burst, WAKE_BURST);
}

void wake_start_pingpong(struct wake *w)
{
    start(w, pingpong, WAKE_ROUND_TRIPS);
}

int wake_arrived_burst(struct wake *w)
{
    long arrived = atomic_load_explicit(&w->arrived, memory_order_relaxed) + 1;
    atomic_store_explicit(&w->arrived, arrived, memory_order_release);
    if (arrived < w->total)
        return 0;
    w->end_ns = wall_ns();
    return 1;
}

int wake_arrived_pingpong(struct wake *w)
{
    int last = wake_arrived_burst(w);
    sem_post(&w->answer);
    return last;
}

void wake_finish(struct wake *w)
{
    pthread_join(w->thread, NULL);
    subject_value("time", (double)(w->end_ns - w->begin_ns) / (double)w->total);
}
