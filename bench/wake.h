/* The other thread of the wake benches: the same for every subject, which only differ in how a call is posted. */
#ifndef BENCH_WAKE_H
#define BENCH_WAKE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

struct wake {
    void (*post)(struct wake *w,
                 long i); /* from the other thread: have wake_arrived() called on the loop */
    pthread_t thread;
    atomic_long arrived; /* written by the loop only */
    long total;
    int64_t begin_ns;
    int64_t end_ns;
    sem_t answer;
};

/* Start the other thread. It posts `WAKE_BURST` times with at most `WAKE_IN_FLIGHT` under way, or there and back. */
void wake_start_burst(struct wake *w);
void wake_start_pingpong(struct wake *w);

/* On the loop, for each post: 1 when it was the last. */
int wake_arrived_burst(struct wake *w);
int wake_arrived_pingpong(struct wake *w);

/* After the last: joins the thread, prints the value. */
void wake_finish(struct wake *w);

#endif
