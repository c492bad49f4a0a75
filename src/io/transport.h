/* What servers know of a transport. */
#ifndef CIO_IO_TRANSPORT_H
#define CIO_IO_TRANSPORT_H

#include <cio/transport.h>

#include "io/address.h"
#include "io/io.h"
#include "io/write_queue.h"

struct cio_transport {
    struct cio__open open; /* first */
    struct cio__channel channel;
    struct cio__write_queue out;
    const cio_protocol *protocol;
    void *self;

    /* Its next call: connection_made, then reading, then connection_lost. */
    cio_handle handle;
    int rc;         /* what connection_lost will be told */
    bool made;      /* connection_made was called */
    bool listening; /* the handle waits for the socket to be readable */
    bool reading_paused;
    bool ended; /* eof_received was called */
    bool closing;
    bool losing; /* connection_lost will be called, and nothing else */
    bool lost;   /* it was */
    bool held;   /* a task waits for connection_made, and frees it if it is lost */

    cio_task *waiter;
    struct cio__peer peer;

    void (*on_closed)(struct cio_transport *t, void *arg); /* a server's */
    void *arg;
};

int cio__transport_new(cio_transport **ret, cio_loop *loop, int fd, const cio_protocol *protocol,
                       void *self);

#endif
