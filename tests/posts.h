/* For tests of several threads: starting them, and posting from them. */
#ifndef CIO_TESTS_POSTS_H
#define CIO_TESTS_POSTS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "test.h"
#include "trace.h"

static inline pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static inline void join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static inline void do_nothing(void *arg)
{
    (void)arg;
}

/* One call of many; each checks that those of its thread come in their order. */
struct post {
    cio_handle handle;
    struct poster *poster;
    int number;
};

struct poster {
    cio_loop *loop;
    struct post *posts;
    int n, n_seen;
    _Atomic int *n_missing;
};

static inline void receive(void *arg)
{
    struct post *p = arg;
    assert_int_equal(p->number, p->poster->n_seen++);
    if (atomic_fetch_sub(p->poster->n_missing, 1) == 1)
        stop_loop(p->poster->loop);
}

static inline void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < poster->n; i++) {
        struct post *p = &poster->posts[i];
        *p = (struct post){.poster = poster, .number = i};
        assert_int_equal(cio_call_soon_threadsafe(poster->loop, &p->handle, receive, p), 0);
        if (i % 100 == 0)
            sched_yield();
    }
    return NULL;
}

#endif
