/*
 * Child processes: the transport of one, the protocols between it and its pipes' transports, and
 * how the loop hears of its end.
 */
#ifndef PY_PROCESS_H
#define PY_PROCESS_H

#include "transport.h"

#define PY__PROCESS_PIPES 3

/* Between the transport of a pipe and that of the process: the protocol of the first. */
struct py__process_pipe {
    PyObject_HEAD struct py__process *process; /* NULL after connection_lost() */
    PyObject *transport;                       /* NULL before connection_made() */
    int fd;                                    /* as the child knows it: 0, 1 or 2 */
    bool disconnected;
};

struct py__process {
    union {
        PyObject object;
        char base[PY__TRANSPORT_BASE];
    };
    PyObject *attributes; /* __dict__ */
    PyObject *weak_references;
    struct py__loop *created_by; /* its loop, always */
    struct py__loop *loop;       /* the same; NULL after connection_lost(), as the next two */
    PyObject *protocol;
    PyObject *popen;      /* NULL: not started */
    PyObject *extra;      /* a dict */
    PyObject *returncode; /* NULL: it is not known that the process has ended */
    PyObject *waiters;    /* a list of futures to be set at the end; NULL after it */
    PyObject *pending;    /* what is to be called when connection_made() is scheduled; NULL then */
    struct py__process_pipe *pipes[PY__PROCESS_PIPES]; /* NULL: none, or not connected yet */
    bool has_pipe[PY__PROCESS_PIPES];
    bool closed;
    bool finished;
    bool silent; /* its pipes cannot be connected: the protocol hears of nothing */

    /* How its end is heard of: see child.c. */
    pid_t pid;
    int pidfd;         /* -1: not watched, or by a thread */
    bool in_thread;    /* a thread waits for it */
    bool reaped;       /* status is known */
    bool lost;         /* it is not: somebody else has taken it */
    int status;        /* as returncode */
    PyObject *context; /* in which it is told; while it is watched */
    cio_handle watch;
    cio_ring place; /* among the loop's; while it is watched, which holds a reference */
};

extern PyType_Spec py__process_spec;
extern PyType_Spec py__process_pipe_spec;
extern PyMethodDef py__process_methods[];
extern PyGetSetDef py__process_fields[];

static inline struct py__process *py__process(PyObject *self)
{
    return (struct py__process *)self;
}

/* ---- process.c ---- */

/* A transport of no process yet. has_pipe: which descriptors of the child are to be pipes. */
struct py__process *py__process_new(struct py__loop *loop, PyObject *protocol,
                                    const bool *has_pipe);

/* It is that of a Popen; pipes are connected, and then the waiter is set. -1 with an exception. */
int py__process_start(struct py__process *self, PyObject *popen, PyObject *waiter);

/* As the methods. */
int py__process_close(struct py__process *self);
int py__process_exited(struct py__process *self, PyObject *returncode);
PyObject *py__process_wait(struct py__process *self); /* a coroutine */

/* loop.call_soon(protocol.name, *arguments); later, if connection_made() is not scheduled yet. */
int py__process_tell(struct py__process *self, PyObject *name, PyObject *const *arguments,
                     Py_ssize_t n);
int py__process_pipe_lost(struct py__process *self, int fd, PyObject *exception);
int py__process_lose(struct py__process *self, PyObject *exception);

/* ---- process_connect.c ---- */

/* A coroutine that connects the pipes. */
PyObject *py__process_connect(struct py__process *self, PyObject *waiter);

/* ---- child.c ---- */

/* From now on _process_exited() is called when it ends. -1 with an exception. */
int py__child_watch(struct py__process *self);

/* Whether it has ended; if that was not known, its status is taken. */
bool py__child_has_ended(struct py__process *self);

/* The returncode as an object; a warning is logged if it is not known. */
PyObject *py__child_returncode(struct py__process *self);

/* Nothing if it has ended. -1: OSError. */
int py__child_signal(struct py__process *self, int signo);

/* For the loop's traversal, and for its end: see py__transports_forget(). */
int py__children_visit(struct py__loop *loop, visitproc visit, void *arg);
void py__children_forget(struct py__loop *loop, PyObject *list);

#endif
