/* Ourselves: the echo server by streams, and by a protocol. */
#include "subject.h"
#include "subject_cio.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
int echo_stream(cio_stream *s, void *arg)
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

/* ---- memory of idle connections; the other ends are bare descriptors ---- */

static void open_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        subject_fail("socketpair: %s", strerror(errno));
}

static double resident_before;

static void tell_resident(long n)
{
    cio_sleep(0.2);
    subject_value("resident", (resident_bytes() - resident_before) / (double)n);
    exit(0); /* thousands of descriptors need no farewell */
}

static int idle_transports_main(void *arg)
{
    static const cio_protocol protocol = {.data_received = echo_data};
    long n = *(long *)arg;
    resident_before = resident_bytes();
    for (long i = 0; i < n; i++) {
        int fds[2];
        open_pair(fds);
        check(cio_open_transport(NULL, fds[0], &protocol, NULL), "cio_open_transport");
    }
    tell_resident(n);
    return 0;
}

void bench_idle_transports(long n)
{
    run_main(idle_transports_main, &n);
}

static int read_for_ever(void *arg)
{
    cio_stream *s;
    check(cio_open_stream(&s, (int)(intptr_t)arg, NULL), "cio_open_stream");
    return echo_stream(s, NULL);
}

static int idle_streams_main(void *arg)
{
    long n = *(long *)arg;
    resident_before = resident_bytes();
    for (long i = 0; i < n; i++) {
        int fds[2];
        open_pair(fds);
        start_detached(read_for_ever, (void *)(intptr_t)fds[0]);
    }
    tell_resident(n);
    return 0;
}

void bench_idle_streams(long n)
{
    run_main(idle_streams_main, &n);
}
