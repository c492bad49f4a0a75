/* State Threads: a bounded queue as its users build one, of a ring and two condition variables. */
#include "st_queue.h"

#include "subject.h"

#include <errno.h>
#include <st.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 5000000 };

struct queue {
    st_cond_t not_empty, not_full;
    long size, head, count;
    long *items;
};

static struct queue queue_of(long size)
{
    return (struct queue){.not_empty = st_cond_new(),
                          .not_full = st_cond_new(),
                          .size = size,
                          .items = calloc((size_t)size, sizeof(long))};
}

static __attribute__((noinline)) void put(struct queue *q, long item)
{
    while (q->count == q->size)
        st_cond_wait(q->not_full);
    long place = q->head + q->count++;
    q->items[place >= q->size ? place - q->size : place] = item;
    st_cond_signal(q->not_empty);
}

static __attribute__((noinline)) long get(struct queue *q)
{
    while (q->count == 0)
        st_cond_wait(q->not_empty);
    long item = q->items[q->head];
    q->head = q->head + 1 == q->size ? 0 : q->head + 1;
    q->count--;
    st_cond_signal(q->not_full);
    return item;
}

static struct queue there, back;

static void begin(long size, void *(*fn)(void *), void *n)
{
    st_set_eventsys(ST_EVENTSYS_ALT);
    if (st_init() < 0)
        subject_fail("st_init: %s", strerror(errno));
    there = queue_of(size);
    back = queue_of(size);
    if (!st_thread_create(fn, n, 0, 0))
        subject_fail("st_thread_create: %s", strerror(errno));
}

static void *echo_messages(void *n)
{
    for (long i = 0; i < *(long *)n; i++)
        put(&back, get(&there));
    return NULL;
}

void bench_queue_pingpong(long size)
{
    long n = MESSAGES / 2;
    begin(size, echo_messages, &n);
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < n; i++) {
        put(&there, i);
        if (get(&back) != i)
            subject_fail("message %ld is lost", i);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)(2 * n));
}

static void *send_messages(void *n)
{
    for (long i = 0; i < *(long *)n; i++)
        put(&there, i);
    return NULL;
}

void bench_queue_stream(long size)
{
    long n = MESSAGES;
    begin(size, send_messages, &n);
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < n; i++)
        if (get(&there) != i)
            subject_fail("message %ld is lost", i);
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)n);
}
