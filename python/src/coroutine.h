/*
 * Coroutines written in C: what the loop's coroutine methods return. A coroutine is a state
 * machine: its step function runs until it is done or has to wait for something awaitable, and is
 * called again when that is over. To Python it is a coroutine (collections.abc.Coroutine), begun
 * only when it is awaited; no frame of Python is between a task and its step.
 *
 *     static enum py__step sleepy(struct py__coroutine *self, PyObject *sent, PyObject **ret)
 *     {
 *         struct sleepy *state = py__coroutine_state(self);
 *         switch (self->at) {
 *         case 0:
 *             self->at = 1;
 *             *ret = something_awaitable();
 *             return *ret ? PY__AWAIT : PY__RAISE;
 *         case 1:
 *             if (!sent) // it raised: the exception is set; canceled coroutines see CancelledError
 *                 return PY__RAISE;
 *             *ret = Py_NewRef(sent);
 *             return PY__RETURN;
 *         }
 *     }
 */
#ifndef PY_COROUTINE_H
#define PY_COROUTINE_H

#include "loop.h"

enum py__step {
    PY__RAISE = -1, /* an exception is set */
    PY__RETURN = 0, /* *ret is the result; the reference is given away */
    PY__AWAIT = 1,  /* *ret is to be awaited; the same. Then step is called with what it returned */
};

struct py__coroutine;

/*
 * sent is borrowed: None at first, then the result of what was awaited, or NULL with the exception
 * set that it raised or that was thrown in.
 */
typedef enum py__step py__step_function(struct py__coroutine *self, PyObject *sent, PyObject **ret);

struct py__coroutine_kind {
    const char *name; /* "EventLoop.sock_recv" */
    py__step_function *step;
    size_t state_size; /* bytes of zeroed state that each one has */

    /* Of the state; both may be NULL. clear() is called once, when the coroutine has ended. */
    int (*traverse)(void *state, visitproc visit, void *arg);
    void (*clear)(void *state);
};

struct py__coroutine {
    PyObject_VAR_HEAD const struct py__coroutine_kind *kind;
    struct py__loop *loop;
    PyObject *awaiting; /* the iterator of what is awaited, or NULL */
    int at;             /* the step function's: 0 at first */
    bool begun;
    bool runs;
    bool ended;
    _Alignas(16) char state[];
};

extern PyType_Spec py__coroutine_spec;

/* A new one that has not begun. */
struct py__coroutine *py__coroutine_new(struct py__loop *loop,
                                        const struct py__coroutine_kind *kind);

static inline void *py__coroutine_state(struct py__coroutine *self)
{
    return self->state;
}

#endif
