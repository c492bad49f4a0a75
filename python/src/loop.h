/* The loop as an object of Python: the C half of cio.EventLoop. */
#ifndef PY_LOOP_H
#define PY_LOOP_H

#include "module.h"

struct py__loop {
    PyObject_HEAD cio_loop
        *loop; /* floor 1's; open as long as is_closed() is false, freed with this object */
    struct py__module *py;

    bool debug;
    bool closed;
    bool checked; /* closed, or in debug mode: what is called is to be checked */
    bool running;
    bool overridden; /* time() or call_at() is somebody else's: see clock.c */
    bool time_is_set;
    bool call_at_is_set;
    bool leaving; /* exception is to leave run_forever() */
    bool asyncgens_shut_down;
    bool executor_shut_down;
    bool tracks_origins;

    unsigned type_version;   /* of the type when it was last looked for overridden methods */
    unsigned long thread_id; /* as threading.get_ident(), while it runs */
    PyObject *exception;     /* that leaves run_forever() */
    PyThreadState *unlocked; /* while the loop's thread polls without the GIL */
    unsigned sleeps;         /* polls that might wait; wraps around */

    PyObject *slow_callback_duration;
    PyObject *task_factory; /* NULL: none */
    PyObject *exception_handler;
    PyObject *default_executor;
    PyObject *asyncgens;               /* a WeakSet; NULL: none was seen yet */
    PyObject *signal_handlers;         /* a dict; NULL: none */
    PyObject *current_handle;          /* in debug mode */
    PyObject *watched;                 /* {descriptor: the object given for it}, or NULL */
    struct py__transport **transports; /* by descriptor, borrowed; NULL: none has it */
    size_t n_transports;
    cio_ring servers;        /* those that serve; a reference to each */
    cio_ring children;       /* those whose end is watched; the same */
    PyObject *child_watcher; /* asyncio's, for children that have no descriptor; or NULL */
    char *read_buffer;       /* what sockets are read into; NULL: none was yet */
    struct py__batch *batch; /* the same for datagrams */
    struct py__signals *signals;
    PyObject *origin_tracking_depth;

    struct cio__os_ops clock_ops; /* the backend's, with the clock that is not ours */
    const struct cio__os_ops *usual_ops;
};

extern PyType_Spec py__loop_spec;

/* The tables of methods that make up the type; a chapter a file. */
extern PyMethodDef py__loop_life_methods[];
extern PyMethodDef py__loop_call_methods[];
extern PyMethodDef py__loop_task_methods[];
extern PyMethodDef py__loop_exception_methods[];
extern PyMethodDef py__loop_file_methods[];
extern PyMethodDef py__loop_asyncgen_methods[];
extern PyMethodDef py__loop_executor_methods[];
extern PyMethodDef py__loop_signal_methods[];
extern PyMethodDef py__loop_sock_methods[];
extern PyMethodDef py__loop_name_methods[];
extern PyMethodDef py__loop_debug_methods[];
extern PyMethodDef py__loop_connect_methods[];
extern PyMethodDef py__loop_endpoint_methods[];
extern PyMethodDef py__loop_serve_methods[];
extern PyMethodDef py__loop_accepted_methods[];
extern PyMethodDef py__loop_unix_methods[];
extern PyMethodDef py__loop_sendfile_methods[];
extern PyMethodDef py__loop_pipe_methods[];
extern PyMethodDef py__loop_process_methods[];
extern PyMethodDef py__loop_tls_methods[];

static inline struct py__loop *py__loop(PyObject *self)
{
    return (struct py__loop *)self;
}

/* The loop that floor 1's belongs to. */
static inline struct py__loop *py__loop_of(const cio_loop *loop)
{
    return loop->poll_arg;
}

/*
 * Something left through a socket, or one was closed: if the peer is one of the loop's own, the
 * kernel has an event for it by now. So it is asked before the next turn, as in asyncio, also where
 * callbacks are ready: two ends that talk to each other need as many turns as there.
 */
static inline void py__loop_poll_next(const struct py__loop *self)
{
    cio_loop *loop = self->loop;
    loop->polled_ns = INT64_MIN / 2;
    loop->look_at_end = true;
    cio__stop_by(loop, loop->turn_end);
}

/* 0, or RuntimeError('Event loop is closed'). */
int py__loop_check_closed(struct py__loop *self);

/*
 * What every call_*() asks first: closed; and in debug mode, if method is not NULL, the thread and
 * the callback. The name is that of the method, for messages.
 */
int py__loop_check_callback(struct py__loop *self, PyObject *callback, const char *method);
int py__loop_check_call(struct py__loop *self, PyObject *callback, const char *method,
                        bool any_thread);

static inline int py__loop_check(struct py__loop *self, PyObject *callback, const char *method,
                                 bool any_thread)
{
    return unlikely(self->checked) ? py__loop_check_call(self, callback, method, any_thread) : 0;
}

/*
 * The exception that is set leaves run_forever() as soon as the callback that runs has returned;
 * what is ready stays ready. The first one wins. Of a loop that does not run it is only printed.
 */
void py__loop_leave(struct py__loop *self);

/*
 * Reports the exception that is set, and clears it: to call_exception_handler(), with the message
 * and up to two more entries of the context, or, if it is SystemExit or KeyboardInterrupt, by
 * leaving the loop. Keys may be NULL.
 */
void py__loop_report(struct py__loop *self, const char *message, const char *key, PyObject *value,
                     const char *other_key, PyObject *other_value);

/* The loop's clock in seconds: that of time(), also if it is overridden. */
double py__loop_time(struct py__loop *self);

/* The pending handles that are objects of Python: calls visit for each. 0 or visit's. */
int py__loop_visit_ready(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg);
int py__loop_visit_timers(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg);
int py__loop_visit_watches(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg);

/* Turns the tracking of coroutines' origins on or off, for debug mode. */
int py__loop_track_origins(struct py__loop *self, bool on);

/*
 * A new asyncio.Future of the loop; the second by create_future(), for those that programs see
 * and may have overridden.
 */
PyObject *py__new_future(struct py__loop *self);
PyObject *py__loop_create_future(struct py__loop *self);

/* executor.submit(*arguments) as a future of the loop; executor None: the default one. */
PyObject *py__run_in_executor(struct py__loop *self, PyObject *executor, PyObject *const *arguments,
                              Py_ssize_t n);

#endif
