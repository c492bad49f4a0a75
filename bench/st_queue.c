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

static void start(void)
{
    st_set_eventsys(ST_EVENTSYS_ALT);
    if (st_init() < 0)
        subject_fail("st_init: %s", strerror(errno));
}

static st_thread_t spawn(void *(*fn)(void *), void *arg)
{
    st_thread_t thread = st_thread_create(fn, arg, 1, 0);
    if (!thread)
        subject_fail("st_thread_create: %s", strerror(errno));
    return thread;
}

struct player {
    struct queue *in, *out;
    int serves;
};

static void *play(void *arg)
{
    const struct player *me = arg;
    long message = -1;
    for (long i = 0; i < MESSAGES / 2; i++) {
        if (i > 0 || !me->serves)
            message = get(me->in);
        put(me->out, message + 1);
    }
    return NULL;
}

void bench_queue_pingpong(long size)
{
    start();
    struct queue there = queue_of(size), back = queue_of(size);
    struct player one = {&back, &there, 1}, two = {&there, &back, 0};
    int64_t begin_ns = cpu_ns();
    st_thread_t threads[] = {spawn(play, &one), spawn(play, &two)};
    st_thread_join(threads[0], NULL);
    st_thread_join(threads[1], NULL);
    subject_value("time", (double)(cpu_ns() - begin_ns) / MESSAGES);
    if (get(&back) != MESSAGES - 1)
        subject_fail("a message is lost");
}

static void *send_messages(void *q)
{
    for (long i = 0; i < MESSAGES; i++)
        put(q, i);
    return NULL;
}

void bench_queue_stream(long size)
{
    start();
    struct queue q = queue_of(size);
    int64_t begin_ns = cpu_ns();
    spawn(send_messages, &q);
    for (long i = 0; i < MESSAGES; i++)
        if (get(&q) != i)
            subject_fail("message %ld is lost", i);
    subject_value("time", (double)(cpu_ns() - begin_ns) / MESSAGES);
}
