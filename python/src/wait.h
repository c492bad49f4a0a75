/*
 * Waiting for a descriptor in a coroutine of ours: a future that the loop sets when a call on the
 * descriptor may succeed. Part of the coroutine's state; ended before that goes.
 */
#ifndef PY_WAIT_H
#define PY_WAIT_H

#include "loop.h"

struct py__wait {
    cio_handle call;
    struct py__loop *loop;
    PyObject *future; /* NULL: no wait is under way */
};

/* The future to be awaited. */
PyObject *py__wait_begin(struct py__wait *wait, struct py__loop *loop, int fd,
                         enum cio__direction direction);

/* Nothing if none is under way. Leaves an exception that is set as it is. */
void py__wait_end(struct py__wait *wait);

/* -1 and RuntimeError if a transport has the descriptor. */
int py__check_free(struct py__loop *loop, int fd);

#endif
