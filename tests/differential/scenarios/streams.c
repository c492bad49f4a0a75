/* Streams and protocols: what is called in which order, and what reads and writes say. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trace.h"

static int peer;

static int pause_for_io(void)
{
    return cio_sleep(0.02);
}

static int open_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

static void tell(const char *text)
{
    send(peer, text, strlen(text), 0);
}

/* ---- protocols ---- */

static struct {
    cio_transport *transport; /* NULL: it is lost, and gone */
    bool keeps_open;
    bool closes_in_made;
    bool pauses_in_made;
    bool aborts_on_data;
} p;

static void made(void *self, cio_transport *t)
{
    (void)self;
    p.transport = t;
    say("made");
    if (p.closes_in_made)
        cio_transport_close(t);
    if (p.pauses_in_made)
        cio_transport_pause_reading(t);
}

static int received(void *self, const void *data, size_t size)
{
    (void)self;
    say("received %.*s", (int)size, (const char *)data);
    if (p.aborts_on_data)
        cio_transport_abort(p.transport);
    return 0;
}

static int ended(void *self)
{
    (void)self;
    say("eof");
    return p.keeps_open;
}

static void paused(void *self)
{
    (void)self;
    say("pause");
}

static void resumed(void *self)
{
    (void)self;
    say("resume");
}

static void lost(void *self, int rc)
{
    (void)self;
    say("lost %s", rc ? "by an error" : "cleanly");
    p.transport = NULL;
}

static const cio_protocol protocol = {.connection_made = made,
                                      .data_received = received,
                                      .eof_received = ended,
                                      .pause_writing = paused,
                                      .resume_writing = resumed,
                                      .connection_lost = lost};

static int is_closing(void)
{
    return !p.transport || cio_transport_is_closing(p.transport);
}

/* As create_connection(sock=...): goes on when connection_made was called. */
static int connect_protocol(void)
{
    int fds[2];
    open_pair(fds);
    peer = fds[1];
    int rc = cio_open_transport(NULL, fds[0], &protocol, NULL);
    say("opened");
    return rc < 0 ? rc : pause_for_io();
}

SCENARIO_TIMED(protocol_data_and_eof)
{
    connect_protocol();
    tell("hello");
    pause_for_io();
    tell("more");
    shutdown(peer, SHUT_WR);
    pause_for_io();
    say("closing %d", is_closing());
    close(peer);
    return 0;
}

SCENARIO_TIMED(protocol_half_open)
{
    p.keeps_open = true;
    connect_protocol();
    shutdown(peer, SHUT_WR);
    pause_for_io();
    say("closing %d", is_closing());
    say("write %s", how(cio_transport_write(p.transport, "x", 1)));
    cio_transport_close(p.transport);
    say("closing %d", is_closing());
    pause_for_io();
    close(peer);
    return 0;
}

SCENARIO_TIMED(protocol_closes_in_made)
{
    p.closes_in_made = true;
    connect_protocol();
    pause_for_io();
    close(peer);
    return 0;
}

SCENARIO_TIMED(protocol_paused_from_the_start)
{
    p.pauses_in_made = true;
    connect_protocol();
    tell("hello");
    pause_for_io();
    say("reading %d", cio_transport_is_reading(p.transport));
    cio_transport_resume_reading(p.transport);
    say("reading %d", cio_transport_is_reading(p.transport));
    pause_for_io();
    cio_transport_pause_reading(p.transport);
    close(peer);
    pause_for_io();
    say("resume");
    cio_transport_resume_reading(p.transport);
    pause_for_io();
    return 0;
}

SCENARIO_TIMED(protocol_aborts_on_data)
{
    p.aborts_on_data = true;
    connect_protocol();
    tell("hello");
    pause_for_io();
    close(peer);
    return 0;
}

static char block[1 << 20];

static void drain(void)
{
    static char data[1 << 16];
    for (;;) {
        while (recv(peer, data, sizeof data, 0) > 0)
            continue;
        if (!p.transport || cio_transport_unsent(p.transport) == 0)
            return;
        pause_for_io();
    }
}

SCENARIO_TIMED(protocol_water_marks)
{
    connect_protocol();
    cio_transport_set_water(p.transport, 1000, 100);
    say("write");
    cio_transport_write(p.transport, block, sizeof block);
    say("written, again");
    cio_transport_write(p.transport, block, sizeof block);
    say("written");
    drain();
    pause_for_io();
    say("unsent %zu", cio_transport_unsent(p.transport));
    cio_transport_close(p.transport);
    pause_for_io();
    close(peer);
    return 0;
}

SCENARIO_TIMED(protocol_close_flushes)
{
    connect_protocol();
    cio_transport_write(p.transport, block, sizeof block);
    say("close");
    cio_transport_close(p.transport);
    pause_for_io();
    say("closing %d", is_closing());
    drain();
    pause_for_io();
    close(peer);
    return 0;
}

SCENARIO_TIMED(protocol_write_eof)
{
    char c;
    connect_protocol();
    cio_transport_write_eof(p.transport);
    cio_transport_write_eof(p.transport);
    say("peer reads %d", (int)recv(peer, &c, 1, 0));
    say("write %s", cio_transport_write(p.transport, "x", 1) < 0 ? "refused" : "done");
    tell("still heard");
    pause_for_io();
    cio_transport_close(p.transport);
    pause_for_io();
    close(peer);
    return 0;
}

/* ---- streams ---- */

static cio_stream *stream;

static void open_stream(size_t limit)
{
    int fds[2];
    open_pair(fds);
    peer = fds[1];
    cio_connect_options options = {.limit = limit};
    cio_open_stream(&stream, fds[0], &options);
}

static void say_text(const char *what, ssize_t rc, const char *data)
{
    if (rc == CIO_EOF)
        say("%s: incomplete %.*s", what, (int)cio_partly_read(stream), data);
    else if (rc == CIO_ELIMIT)
        say("%s: limit %zu", what, cio_partly_read(stream));
    else
        say("%s: %.*s", what, (int)(rc > 0 ? rc : 0), data);
}

SCENARIO_TIMED(stream_reads)
{
    char data[100];
    open_stream(0);
    tell("one;two;three");
    say_text("until", cio_read_until(stream, ";", data, sizeof data), data);
    say_text("exactly", cio_read_exactly(stream, data, 2), data);
    say_text("read", cio_read(stream, data, 3), data);
    tell("\nline\nrest");
    close(peer);
    say_text("line", cio_read_line(stream, data, sizeof data), data);
    say_text("line", cio_read_line(stream, data, sizeof data), data);
    say_text("exactly", cio_read_exactly(stream, data, 10), data);
    say("at eof %d", cio_at_eof(stream));
    say_text("read", cio_read(stream, data, 10), data);
    say_text("line", cio_read_line(stream, data, sizeof data), data);
    say_text("until", cio_read_until(stream, ";", data, sizeof data), data);
    return cio_close(stream);
}

SCENARIO_TIMED(stream_limits)
{
    char data[100];
    open_stream(8);
    tell("12345678;");
    say_text("until", cio_read_until(stream, ";", data, sizeof data), data);
    tell("123456789;ab");
    say_text("until", cio_read_until(stream, ";", data, sizeof data), data);
    say_text("exactly", cio_read_exactly(stream, data, 10), data);
    say_text("read", cio_read(stream, data, 10), data);
    tell("abcdefghijk<");
    say_text("until", cio_read_until(stream, "<>", data, sizeof data), data);
    say_text("exactly", cio_read_exactly(stream, data, 12), data);
    close(peer);
    return cio_close(stream);
}

static int read_exactly(void *arg)
{
    char data[100];
    ssize_t rc = cio_read_exactly(stream, data, 5);
    (void)arg;
    if (rc >= 0)
        say_text("exactly", rc, data);
    return rc < 0 ? (int)rc : 0;
}

SCENARIO_TIMED(stream_canceled_read_keeps_the_data)
{
    char data[100];
    open_stream(0);
    cio_task *task = cio_create_task(read_exactly, NULL);
    tell("abc");
    pause_for_io();
    cio_cancel(task);
    say("task %s", how(cio_await(task)));
    tell("de");
    say_text("exactly", cio_read_exactly(stream, data, 5), data);
    close(peer);
    return cio_close(stream);
}

static int greet(cio_stream *client, void *arg)
{
    char line[50];
    (void)arg;
    ssize_t n = cio_read_line(client, line, sizeof line);
    say("server reads %.*s", (int)n - 1, line);
    cio_printf(client, "hello %s", line);
    n = cio_read(client, line, sizeof line);
    say("server reads %d", (int)n);
    return 0;
}

SCENARIO_TIMED(server_and_client)
{
    cio_server *server;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char port[8], line[50];
    int fd;
    cio_start_server(&server, greet, NULL, "127.0.0.1", "0", NULL);
    cio_server_sockets(server, &fd, 1);
    getsockname(fd, (struct sockaddr *)&address, &size);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    cio_open_connection(&stream, "127.0.0.1", port, NULL);
    cio_printf(stream, "world\n");
    ssize_t n = cio_read_line(stream, line, sizeof line);
    say("client reads %.*s", (int)n - 1, line);
    cio_server_close(server);
    say("serving %d", cio_server_is_serving(server));
    cio_write_eof(stream);
    say("client reads %d", (int)cio_read(stream, line, sizeof line));
    cio_close(stream);
    cio_server_wait_closed(server);
    say("server closed");
    return cio_server_free(server);
}
