/*
 * The transport of a socket of datagrams: UDP, or of the unix family, or whatever the program gives
 * us: of families that we do not know, the socket's own methods are called.
 */
#ifndef PY_DATAGRAM_H
#define PY_DATAGRAM_H

#include "addresses.h"
#include "method.h"
#include "transport.h"

/* An address and its object, which is of a type that never changes. */
struct py__known {
    PyObject *object; /* NULL: nothing is known */
    struct py__name name;
};

struct py__datagram {
    struct py__transport base;
    struct py__method received; /* datagram_received() */
    PyObject *address;          /* of the only peer, if one was named; else NULL */
    int family;
    bool connected;          /* the socket has a peer, and takes no address */
    bool by_methods;         /* the family is not known here */
    uint8_t many;            /* so many datagrams are asked for */
    uint8_t alone;           /* so often one was asked for, and came */
    struct py__ahead *ahead; /* received, and to be delivered in the next turns; NULL: never any */
    struct py__known from;   /* who sent the last one: often the next one's sender too */
    struct py__known to;     /* whom the last one was sent to */
};

extern PyType_Spec py__datagram_spec;

/*
 * A transport of the socket; connection_made() is scheduled. Everything is borrowed; address and
 * waiter may be None.
 */
PyObject *py__datagram_new(struct py__loop *loop, PyObject *sock, PyObject *protocol,
                           PyObject *address, PyObject *waiter, PyObject *extra);

static inline struct py__datagram *py__datagram(PyObject *self)
{
    return (struct py__datagram *)self;
}

/* What the loop does when the socket is ready. -1: an exception, of a protocol's method. */
int py__datagram_read_ready(struct py__datagram *self);
int py__datagram_write_ready(struct py__datagram *self);

/*
 * A call on the socket has raised: errors of the system go to error_received(), others end the
 * transport. -1: an exception that is neither, or was raised there.
 */
int py__datagram_failed(struct py__datagram *self, const char *message);

/* Those that were received are delivered, or dropped; for the collector. */
void py__datagram_resume(struct py__datagram *self);
void py__datagram_forget(struct py__datagram *self);
int py__datagram_visit_ahead(const struct py__datagram *self, visitproc visit, void *arg);

extern PyMethodDef py__datagram_methods[];

/* As a method of the loop. */
PyObject *py__make_datagram_transport(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                      PyObject *keywords);

PyObject *py__datagram_sendto(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                              PyObject *keywords);

#endif
