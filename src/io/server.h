/* What the files of servers know of each other. */
#ifndef CIO_IO_SERVER_H
#define CIO_IO_SERVER_H

#include <cio/server.h>

#include "io/stream.h"
#include "io/transport.h"

/* A socket that listens. */
struct cio__listener {
    cio_server *server;
    struct cio__channel channel;
    cio_handle handle;
    bool listening; /* the handle waits for connections */
    bool open;
    char *path; /* a unix socket's file, to be removed at the end; NULL: none */
    dev_t device;
    ino_t inode;
};

/* A connection, until its stream or transport is closed and its task has ended. */
struct cio__client {
    cio_ring place; /* among the server's */
    cio_server *server;
    cio_stream *stream; /* NULL: closed */
    cio_transport *transport;
    cio_task *task; /* a reference; NULL: ended */
    cio_link link;  /* to hear of its end */
    cio_handle handle;
    bool given_up; /* the stream was closed by its task */
    int rc;        /* what the function returned */
};

/* A task that waits for the server. It lies in the waiting frame. */
struct cio__server_waiter {
    struct cio__wait wait;
    cio_ring place;
    cio_task *task;
};

struct cio_server {
    struct cio__open open; /* first */
    cio_loop *loop;
    cio_client_connected *fn;      /* for streams */
    cio_protocol_factory *factory; /* for transports */
    void *arg;

    struct cio__listener *listeners;
    int n_listeners;
    int backlog;
    cio_handle retry; /* after a lack of descriptors */

    cio_ring clients;
    size_t n_clients;
    size_t max_clients;
    cio_connect_options stream_options;
    const cio_tls_context *tls; /* a reference; NULL: none */
    size_t stack_size;
    double grace_s;

    cio_ring waiters;
    bool serving;
    bool closed;
    bool full;      /* accepting waits until a client leaves */
    bool for_ever;  /* somebody is in cio_server_serve_forever() */
    bool accepting; /* a call of its own is on the stack */
    bool orphan;    /* freed by its owner: goes with its last client */
};

/* Makes a connection of a descriptor, which is then its own. */
void cio__client_start(cio_server *server, int fd, const struct sockaddr *peer, socklen_t size);

/* Gives everything of a client back without calling anybody: the loop closes. */
void cio__client_drop(struct cio__client *client);

/* A client is gone. */
void cio__server_lost_client(cio_server *server);

/* Accepts from now on. Returns 0 or an error. */
int cio__server_listen(cio_server *server);
void cio__server_stop_listening(cio_server *server);

#endif
