/*
 * The transports of pipes, and of sockets and character devices that are given as such: one reads,
 * another writes.
 */
#ifndef PY_PIPE_H
#define PY_PIPE_H

#include "transport.h"

struct py__pipe {
    struct py__transport base;
    unsigned vain; /* writes after the end; a failed one is the first */
};

extern PyType_Spec py__read_pipe_spec;
extern PyType_Spec py__write_pipe_spec;
extern const struct py__transport_kind py__read_pipe_kind;
extern const struct py__transport_kind py__write_pipe_kind;

/*
 * A transport of the pipe, an object with a fileno() that is closed with it; connection_made() is
 * scheduled. All is borrowed; waiter may be NULL.
 */
PyObject *py__pipe_new(struct py__loop *loop, bool reads, PyObject *pipe, PyObject *protocol,
                       PyObject *waiter);

static inline struct py__pipe *py__pipe(PyObject *self)
{
    return (struct py__pipe *)self;
}

/* To asyncio's logger, in debug mode. */
int py__pipe_log_closed_by_peer(struct py__transport *self);

/* As if its method had been called by a handle: reports the exception that is set. */
void py__pipe_report(struct py__transport *self, struct py__loop *loop, PyObject *method);

void py__pipe_readable(struct py__transport *self);
void py__pipe_hung_up(struct py__transport *self);
void py__pipe_writable(struct py__transport *self);

extern PyMethodDef py__read_pipe_methods[];
extern PyMethodDef py__write_pipe_methods[];

#endif
