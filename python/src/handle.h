/*
 * Handles: asyncio.Handle and TimerHandle, with floor 1's handle inside, the arguments beside it,
 * and the memory from a free list. They are subclasses of asyncio's, so that isinstance() and what
 * is rarely used (repr, comparison) are asyncio's own; their slots stay empty.
 *
 * Who schedules a handle holds a reference for the queue, which the call gives up, or the
 * cancellation.
 */
#ifndef PY_HANDLE_H
#define PY_HANDLE_H

#include "loop.h"

/* As large as asyncio.TimerHandle of any supported Python; checked at import. */
#define PY__HANDLE_BASE 96
#define PY__INLINE_ARGUMENTS 3

struct py__handle {
    union {
        PyObject object;
        char base[PY__HANDLE_BASE];
    };
    cio_handle call;
    struct py__loop *loop;
    PyObject *callback; /* NULL: canceled */
    PyObject *context;
    PyObject *source_traceback; /* NULL: not in debug mode */
    PyObject *repr;             /* NULL, or what it looked like when it was canceled */
    double when;
    int16_t n_arguments; /* PY__MANY: arguments[0] is a tuple */
    bool canceled;
    bool in_call;
    bool tracked;      /* by the collector */
    bool is_safe;      /* a struct py__safe_handle */
    bool when_is_int;  /* as the program has given it */
    PyObject *scratch; /* what vectorcall may overwrite */
    PyObject *arguments[PY__INLINE_ARGUMENTS];
};

#define PY__MANY (-1)

/* Of call_soon_threadsafe(), since 3.14. */
struct py__safe_handle {
    struct py__handle base;
    unsigned long runner; /* the thread that makes the call, while it does */
    struct py__waiter *waiters;
};

extern PyType_Spec py__safe_handle_spec;
extern PyType_Spec py__handle_spec;
extern PyType_Spec py__timer_handle_spec;

/*
 * A new handle that is not scheduled. context: NULL is a copy of the current one. Its source
 * traceback, in debug mode, ends with the frame that runs.
 */
struct py__handle *py__handle_new(struct py__loop *loop, PyTypeObject *type, PyObject *callback,
                                  PyObject *const *arguments, Py_ssize_t n, PyObject *context);

static inline struct py__handle *py__handle(PyObject *self)
{
    return (struct py__handle *)self;
}

/*
 * The same, queued for the next turn; what is returned is one more reference. While the loop runs,
 * the collector does not know of it: what is ready is alive, as the loop is, and most of it is gone
 * soon. It is told of those that are still there when they have left the queue, or the loop its
 * run.
 */
struct py__handle *py__handle_new_soon(struct py__loop *loop, PyTypeObject *type,
                                       PyObject *callback, PyObject *const *arguments, Py_ssize_t n,
                                       PyObject *context);
void py__handle_track(struct py__handle *handle);

/* Another handle of the same call. */
struct py__handle *py__handle_again(struct py__handle *handle);

/* Queues it for the next turn. Takes the reference. */
void py__handle_call_soon(struct py__handle *handle);

/* loop.call_soon(callback, *arguments), of a loop that is open. */
int py__handle_schedule(struct py__loop *loop, PyObject *callback, PyObject *const *arguments,
                        Py_ssize_t n);

/* The same in that context. NULL: a copy of the current one. */
int py__handle_schedule_in(struct py__loop *loop, PyObject *context, PyObject *callback,
                           PyObject *const *arguments, Py_ssize_t n);

/* For time `when`, which is in the handle. Takes the reference, also on failure. */
int py__handle_call_at(struct py__handle *handle);

/* Calls it in its context, and reports what goes wrong. Borrowed. */
void py__handle_run(struct py__handle *handle);

/* Reports the exception that is set, as one that the call has raised. */
void py__handle_report(struct py__handle *handle);

/* As handle.cancel(). */
int py__handle_cancel(struct py__handle *handle);

/* Its arguments as a tuple. */
PyObject *py__handle_arguments(const struct py__handle *handle);

/* Around the call; and a wait until it is over, unless this thread makes it: -1, an exception. */
void py__safe_handle_begins(struct py__handle *handle);
void py__safe_handle_ends(struct py__handle *handle);
int py__safe_handle_wait(struct py__handle *handle);

/* Of the types. */
int py__handle_traverse(PyObject *self, visitproc visit, void *arg);
int py__handle_clear(PyObject *self);
void py__handle_dealloc(PyObject *self);

/* What floor 1 calls: once, and gives the queue's reference up; or as long as a watch stands. */
void py__handle_call_once(void *arg);
void py__handle_call_watch(void *arg);

static inline bool py__handle_is_once(const cio_handle *handle)
{
    return handle->fn == py__handle_call_once;
}

void py__handles_free(struct py__module *py);

/* When the loop has nothing to do: gives back a part of what is kept beyond the usual. */
void py__handles_trim(struct py__module *py);

#endif
