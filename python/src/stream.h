/*
 * The transport of a stream socket: TCP, or of the unix family, or whatever the program gives us.
 */
#ifndef PY_STREAM_H
#define PY_STREAM_H

#include "addresses.h"
#include "method.h"
#include "transport.h"

/* As much as one receive may give. */
#define PY__READ_MOST ((size_t)256 * 1024)

/*
 * Where the last receive gave so much, the next one goes straight into a bytes object of this size, which is
 * cut to what came: no copy. It is what malloc() still takes from its heap, and not from the kernel each time.
 */
#define PY__READ_LARGE ((size_t)16 * 1024)
#define PY__READ_LARGE_MOST ((size_t)120 * 1024)

struct py__stream {
    struct py__transport base;
    struct py__method received;   /* data_received(), or buffer_updated() */
    struct py__method get_buffer; /* of a buffered protocol */
    bool buffered;
    bool large;   /* the last receive gave PY__READ_LARGE or more */
    bool eof;     /* write_eof() */
    uint8_t type; /* of the socket, and its protocol and family: for the object */
    uint8_t protocol;
    uint16_t family;
    PyObject *empty_waiter; /* is to be set when the queue is empty; NULL: nobody sends a file */
    union py__address local, peer;
};

extern PyType_Spec py__stream_spec;
extern const struct py__transport_kind py__stream_kind;

/* Where a new connection comes from. */
struct py__connection {
    int fd;
    PyObject *sock; /* its object, or NULL: then the rest is filled */
    int family, type, protocol;
    const union py__address *peer; /* NULL: is to be asked for */
    PyObject *context;             /* for the transport's; NULL or None: it has none */
    bool is_known; /* the loop has watched its edges already; nothing was received */
};

/*
 * A transport of the connection, which is taken over; connection_made() is scheduled. Everything is
 * borrowed; waiter, extra and server may be NULL. When this fails the connection is still the
 * caller's.
 */
PyObject *py__stream_new(struct py__loop *loop, const struct py__connection *connection,
                         PyObject *protocol, PyObject *waiter, PyObject *extra, PyObject *server);

static inline struct py__stream *py__stream(PyObject *self)
{
    return (struct py__stream *)self;
}

/* Sends what can be sent now, and queues the rest: 0, or -1 with an exception; see write(). */
int py__stream_write(struct py__stream *self, const char *data, size_t size);

/* Of the loop, PY__READ_MOST bytes; NULL with an exception. */
char *py__read_buffer(struct py__loop *loop);

void py__stream_readable(struct py__transport *self);
void py__stream_writable(struct py__transport *self);

extern PyMethodDef py__stream_write_methods[];

#endif
