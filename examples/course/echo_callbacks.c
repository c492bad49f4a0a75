/*
 * echo_callbacks: an echo server of callbacks: a protocol is told what happens to a connection, and
 * no client has a stack.
 *
 *     echo_callbacks [PORT]
 *
 * PORT 0, the default, is a free one; ^C ends it. runblaster compares it with the others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cio.h>

#include "lib/net.h"

static void made(void *transport, cio_transport *t)
{
    *(cio_transport **)transport = t;
}

static int received(void *transport, const void *data, size_t size)
{
    return cio_transport_write(*(cio_transport **)transport, data, size);
}

/* A client that does not read what it is sent is not read from either. */
static void pause_reading(void *transport)
{
    cio_transport_pause_reading(*(cio_transport **)transport);
}

static void go_on(void *transport)
{
    cio_transport_resume_reading(*(cio_transport **)transport);
}

static void lost(void *transport, int rc)
{
    (void)rc;
    free(transport);
}

static const cio_protocol *make_protocol(void *arg, void **self)
{
    static const cio_protocol protocol = {.connection_made = made,
                                          .data_received = received,
                                          .pause_writing = pause_reading,
                                          .resume_writing = go_on,
                                          .connection_lost = lost};
    (void)arg;
    *self = malloc(sizeof(cio_transport *));
    return *self ? &protocol : NULL;
}

static int serve(void *port)
{
    const cio_server_options options = {.backlog = SOMAXCONN}; /* blasters come in swarms */
    cio_server *server;
    int fd;
    int rc = cio_create_server(&server, make_protocol, NULL, "127.0.0.1", port, &options);
    if (rc < 0)
        return rc;
    cio_server_sockets(server, &fd, 1);
    tell_port(fd);
    rc = cio_server_serve_forever(server);
    cio_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    uint16_t port;
    if (argc > 2 || !read_port(argc == 2 ? argv[1] : "0", &port)) {
        fprintf(stderr, "usage: echo_callbacks [PORT]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    raise_files_limit();
    int rc = cio_run(serve, argc == 2 ? argv[1] : "0");
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "echo_callbacks: %s\n", cio_strerror(rc));
    return rc == -EINTR ? 130 : rc < 0;
}
