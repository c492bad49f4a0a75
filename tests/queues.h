/* For the tests of queues: tasks that put and get, and what became of them. */
#ifndef CIO_TESTS_QUEUES_H
#define CIO_TESTS_QUEUES_H

#include "waits.h"

struct user {
    cio_queue *q;
    const char *name;
    int item; /* what it puts, or what it got */
    int rc;
    bool ended;
};

static inline int do_put(void *arg)
{
    struct user *u = arg;
    u->rc = cio_queue_put(u->q, &u->item);
    u->ended = true;
    note("%s%s", u->rc < 0 ? "-" : "", u->name);
    return u->rc;
}

static inline int do_get(void *arg)
{
    struct user *u = arg;
    u->rc = cio_queue_get(u->q, &u->item);
    u->ended = true;
    note("%s%s%d", u->rc < 0 ? "-" : "", u->name, u->item);
    return u->rc;
}

static inline int do_join(void *arg)
{
    struct user *u = arg;
    u->rc = cio_queue_join(u->q);
    u->ended = true;
    note("%s%s", u->rc < 0 ? "-" : "", u->name);
    return u->rc;
}

/* Starts it, and lets it come to its wait. */
static inline cio_task *begin(cio_coroutine *fn, struct user *u)
{
    cio_task *task = cio_create_task(fn, u);
    assert_non_null(task);
    assert_int_equal(cio_yield(), 0);
    return task;
}

static inline void put_now(cio_queue *q, int item)
{
    assert_int_equal(cio_queue_put_nowait(q, &item), 0);
}

/* What comes next out of it; -1 if nothing does. */
static inline int get_now(cio_queue *q)
{
    int item = -1;
    int rc = cio_queue_get_nowait(q, &item);
    assert_true(rc == 0 || (rc == -EAGAIN && item == -1));
    return item;
}

static inline void fill(cio_queue *q, int first, int n)
{
    for (int i = 0; i < n; i++)
        put_now(q, first + i);
}

#endif
