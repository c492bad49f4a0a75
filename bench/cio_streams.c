/* Ourselves: the echo server by streams, and by a protocol. */
#include "subject.h"
#include "subject_cio.h"

#include <netinet/in.h>
#include <stdio.h>

static void tell_port(const cio_server *server)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    int fd;
    if (cio_server_sockets(server, &fd, 1) < 1 || getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        subject_fail("the server does not listen");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
}

static int serve(cio_server *server)
{
    tell_port(server);
    return cio_server_serve_forever(server);
}

/* A task for each stream; no byte is copied. */
static int echo_stream(cio_stream *s, void *arg)
{
    const void *data;
    ssize_t n;
    int rc = 0;
    (void)arg;
    while (rc == 0 && (n = cio_peek(s, 1, &data)) > 0) {
        rc = cio_write(s, data, (size_t)n);
        cio_consume(s, (size_t)n);
    }
    return 0;
}

static int stream_main(void *arg)
{
    static const cio_server_options options = {.backlog = 4096};
    cio_server *server;
    (void)arg;
    check(cio_start_server(&server, echo_stream, NULL, "127.0.0.1", "0", &options),
          "cio_start_server");
    return serve(server);
}

void bench_echo_stream(long n)
{
    (void)n;
    run_main(stream_main, NULL);
}

/* The protocol's self is its transport: no memory of its own. */
static void made(void *self, cio_transport *t)
{
    (void)self;
    cio_transport_set_protocol(t, cio_transport_get_protocol(t, NULL), t);
}

static int echo_data(void *self, const void *data, size_t size)
{
    cio_transport_write(self, data, size);
    return 0;
}

static const cio_protocol *new_echo(void *arg, void **self)
{
    static const cio_protocol protocol = {.connection_made = made, .data_received = echo_data};
    (void)arg;
    *self = NULL;
    return &protocol;
}

static int protocol_main(void *arg)
{
    static const cio_server_options options = {.backlog = 4096};
    cio_server *server;
    (void)arg;
    check(cio_create_server(&server, new_echo, NULL, "127.0.0.1", "0", &options),
          "cio_create_server");
    return serve(server);
}

void bench_echo_protocol(long n)
{
    (void)n;
    run_main(protocol_main, NULL);
}
