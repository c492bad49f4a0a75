/*
 * Streams, transports and servers while every allocation fails in its turn: each run may fail or
 * succeed, but must not crash, hang, leak or lose a byte without saying so.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory.h"
#include "net.h"
#include "test.h"

static int failed_or(ssize_t rc)
{
    return rc < 0 ? (int)rc : 0;
}

/* ---- a stream ---- */

enum { MUCH = 300000 };
static char much[MUCH], got[MUCH];

static int read_all(void *arg)
{
    for (size_t n = 0; n < MUCH;) {
        ssize_t part = cio_sock_recv(*(int *)arg, got + n, MUCH - n);
        if (part <= 0)
            return (int)part;
        n += (size_t)part;
    }
    assert_memory_equal(got, much, MUCH);
    return 0;
}

/* Writes need no memory that could lack: what was taken arrives. */
static int write_scenario(void *arg)
{
    int fds[2];
    cio_stream *s;
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    int rc = cio_open_stream(&s, fds[0], NULL);
    if (rc < 0) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    cio_task *reader = cio_create_task(read_all, &fds[1]);
    size_t n = 0;
    for (size_t size = 1; reader && n < MUCH && rc == 0; size = size * 3 % 50021 + 1) {
        size = size < MUCH - n ? size : MUCH - n;
        rc = cio_write(s, much + n, size);
        n += size;
    }
    if (reader)
        assert_true(rc == 0 || rc == -ENOMEM); /* epoll_ctl's record of the descriptor, say */
    int end = cio_close(s);
    if (reader) {
        int ended = cio_await(reader);
        rc = rc < 0 ? rc : ended;
    } else {
        rc = -ENOMEM;
    }
    close(fds[1]);
    return rc < 0 ? rc : end;
}

TEST_SLOW(oom_writing)
{
    net_fill(much, MUCH, 1, 0);
    memory_torture(write_scenario);
}

static int dawdle(void *arg)
{
    int fd = *(int *)arg, rc = 0;
    for (int i = 0; i < 4 && rc == 0; i++) {
        assert_int_equal(send(fd, "half a line", 11, 0), 11);
        rc = cio_sleep(0.0005);
    }
    assert_int_equal(send(fd, "\n", 1, 0), 1);
    return rc;
}

/* A read that fails for want of memory has lost nothing: again, it succeeds. */
static int read_scenario(void *arg)
{
    int fds[2];
    cio_stream *s;
    char line[100];
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    int rc = cio_open_stream(&s, fds[0], NULL);
    if (rc < 0) {
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    cio_task *writer = cio_create_task(dawdle, &fds[1]);
    if (writer) {
        ssize_t n = cio_read_line(s, line, sizeof line);
        if (n == -ENOMEM)
            n = cio_read_line(s, line, sizeof line);
        assert_true(n % 11 == 1 || n == -ENOMEM); /* the writer too may have lacked memory */
        rc = failed_or(n);
        int ended = cio_await(writer);
        rc = rc < 0 ? rc : ended;
    } else {
        rc = -ENOMEM;
    }
    close(fds[1]);
    cio_close(s);
    return rc;
}

TEST(oom_reading)
{
    memory_torture(read_scenario);
}

/* ---- servers ---- */

static int echo(cio_stream *s, void *arg)
{
    char data[100];
    ssize_t n;
    int rc = 0;
    (void)arg;
    while (rc == 0 && (n = cio_read(s, data, sizeof data)) > 0)
        rc = cio_write(s, data, (size_t)n);
    return rc;
}

static int talk(const cio_server *server)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd;
    char port[8], data[5];
    cio_stream *s;
    cio_server_sockets(server, &fd, 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    int rc = cio_open_connection(&s, "127.0.0.1", port, NULL);
    if (rc < 0)
        return rc;
    rc = cio_write(s, "hello", 5);
    cio_timeout limit; /* a server that lacks memory may not answer */
    if (rc == 0)
        rc = cio_timeout_enter(&limit, 0.2);
    if (rc == 0)
        rc = cio_timeout_exit(&limit, failed_or(cio_read_exactly(s, data, 5)));
    cio_abort(s);
    return rc;
}

static int server_scenario(void *arg)
{
    cio_server *server;
    (void)arg;
    int rc = cio_start_server(&server, echo, NULL, "127.0.0.1", "0", NULL);
    if (rc < 0)
        return rc;
    rc = talk(server);
    cio_server_shutdown(server, 0);
    cio_server_free(server);
    return rc;
}

TEST_SLOW(oom_server)
{
    memory_torture(server_scenario);
}

static int echo_back(void *self, const void *data, size_t size)
{
    return cio_transport_write(*(cio_transport **)self, data, size);
}

static void made(void *self, cio_transport *t)
{
    *(cio_transport **)self = t;
}

static const cio_protocol *new_protocol(void *arg, void **self)
{
    static const cio_protocol protocol = {.connection_made = made, .data_received = echo_back};
    *self = arg;
    return &protocol;
}

static int protocol_scenario(void *arg)
{
    cio_server *server;
    cio_transport *t;
    char path[80];
    cio_stream *s;
    char data[5];
    (void)arg;
    snprintf(path, sizeof path, "/tmp/cio-test-oom-%d.sock", (int)getpid());
    int rc = cio_create_unix_server(&server, new_protocol, &t, path, NULL);
    assert_true(rc == 0 || access(path, F_OK) < 0); /* no file is left of one that failed */
    if (rc < 0)
        return rc;
    rc = cio_open_unix_connection(&s, path, NULL);
    if (rc == 0) {
        rc = cio_write(s, "hello", 5);
        if (rc == 0)
            rc = failed_or(cio_read_exactly(s, data, 5));
        cio_abort(s);
    }
    cio_server_close(server);
    cio_server_abort_clients(server);
    cio_server_free(server);
    assert_true(access(path, F_OK) < 0);
    return rc;
}

TEST(oom_protocols)
{
    memory_torture(protocol_scenario);
}

/* ---- datagrams ---- */

static int count_datagram(void *self, const void *data, size_t size, const struct sockaddr *from,
                          socklen_t from_size)
{
    (void)data, (void)size, (void)from, (void)from_size;
    ++*(int *)self;
    return 0;
}

/* What was sent without an error arrives, at a task or at a protocol. */
static int datagram_scenario(void *arg)
{
    static const cio_datagram_protocol counting = {.datagram_received = count_datagram};
    const cio_datagram_options here = {.local_host = "127.0.0.1", .local_service = "0"};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int sent = 0, received = 0, heard = 0;
    char data[100] = {0};
    cio_datagram *a, *b;
    (void)arg;
    int rc = cio_datagram_open(&a, &here);
    if (rc < 0)
        return rc;
    cio_datagram_sock_name(a, (struct sockaddr *)&address, &size);
    rc = cio_create_datagram_endpoint(&b, &counting, &heard, &here);
    for (int i = 0; i < 10 && rc == 0; i++) {
        rc = cio_datagram_send(a, data, sizeof data, (struct sockaddr *)&address, size);
        sent += rc == 0;
    }
    for (ssize_t n = 1; n > 0; received += n > 0) {
        n = cio_datagram_receive_nowait(a, data, sizeof data, NULL, NULL);
        rc = n < 0 && n != -EAGAIN ? (int)n : rc;
    }
    assert_true(received == sent || rc < 0);
    cio_datagram_close(a);
    if (rc == 0 || b)
        cio_datagram_abort(b);
    int slept = cio_sleep(0);
    rc = rc < 0 ? rc : slept;
    slept = cio_sleep(0);
    return rc < 0 ? rc : slept;
}

TEST(oom_datagrams)
{
    memory_torture(datagram_scenario);
}
