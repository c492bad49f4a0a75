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
    bool losing;   /* connection_lost will be called, and nothing else */
    bool lost;     /* it was */
    bool held;     /* a task waits for connection_made, and frees it if it is lost */
    bool securing; /* a handshake is under way, or about to be: no reading, no writing */
    bool parting;  /* all is sent, and the layer tells the peer the end */

    cio_task *waiter;
    struct cio__peer peer;

    void (*on_closed)(struct cio_transport *t, void *arg); /* a server's */
    int (*on_secured)(struct cio_transport *t, void *arg); /* before connection_made */
    void *arg;
};

int cio__transport_new(cio_transport **ret, cio_loop *loop, int fd, const cio_protocol *protocol,
                       void *self);
void cio__transport_free(cio_transport *t);

/* Ends it with an error, once its calls allow that. */
void cio__transport_fail(cio_transport *t, int rc);

/* It is to have a layer: reads and writes no more until then. */
void cio__transport_hush(cio_transport *t);

/*
 * The layer is its own now, and begins. When it is ready reading goes on, after connection_made if
 * that is still to be called. One that was not made and whose handshake fails is gone without its
 * protocol hearing of it. Returns 0, or an error: the layer is its own all the same.
 */
int cio__transport_start_layer(cio_transport *t, struct cio__layer *layer);

#endif
