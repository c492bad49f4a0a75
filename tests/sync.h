/* For the tests of the synchronisation primitives: tasks that make a call and note how it ended. */
#ifndef CIO_TESTS_SYNC_H
#define CIO_TESTS_SYNC_H

#include "waits.h"

/* Notes name, or -name if the call was canceled, or name(rc) for another error. */
struct caller {
    const char *name;
    int (*call)(void *object);
    void *object;
    cio_task *task;
};

static inline int make_call(void *arg)
{
    struct caller *c = arg;
    int rc = c->call(c->object);
    if (rc == CIO_ECANCELED)
        note("-%s", c->name);
    else if (rc < 0)
        note("%s(%s)", c->name, cio_err_name(rc));
    else
        note("%s", c->name);
    return rc;
}

/* Starts a task that makes the call, and lets it come to its wait. */
static inline cio_task *call_in_task(struct caller *c)
{
    c->task = cio_create_task(make_call, c);
    assert_non_null(c->task);
    assert_int_equal(cio_yield(), 0);
    return c->task;
}

#define CALLER(name, fn, object) (&(struct caller){(name), (int (*)(void *))(fn), (object), NULL})

/* The call is made in a task of its own; the compound literal lives as long as the block. */
#define CALL(name, fn, object) call_in_task(CALLER(name, fn, object))

static inline void let_run(void)
{
    for (int i = 0; i < 8; i++)
        assert_int_equal(cio_yield(), 0);
}

static inline int canceled_before(void *arg)
{
    struct caller *c = arg;
    cio_cancel(cio_current_task());
    return c->call(c->object);
}

/* Makes the call in a task that was canceled before it. */
static inline int call_canceled(struct caller *c)
{
    return cio_await(cio_create_task(canceled_before, c));
}

#endif
