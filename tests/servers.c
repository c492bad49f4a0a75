/*
 * Servers of streams and of transports: connections come, are bounded, fail, and the server ends in
 * every way (T71, T73).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "streams.h"
#include "test.h"

static char port[8];

static void find_port(const cio_server *server)
{
    int fd;
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    assert_true(cio_server_sockets(server, &fd, 1) >= 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin6_port)); /* IPv4's is in the same place */
}

static cio_server *start(cio_client_connected *fn, void *arg, const cio_server_options *options)
{
    cio_server *server;
    assert_int_equal(cio_start_server(&server, fn, arg, "127.0.0.1", "0", options), 0);
    assert_non_null(server);
    find_port(server);
    return server;
}

static cio_stream *dial(void)
{
    cio_stream *s;
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, NULL), 0);
    return s;
}

static int echo(cio_stream *s, void *arg)
{
    const void *data;
    ssize_t n;
    (void)arg;
    while ((n = cio_peek(s, 1, &data)) > 0) {
        int rc = cio_write(s, data, (size_t)n);
        if (rc < 0)
            return rc;
        cio_consume(s, (size_t)n);
    }
    return (int)n;
}

static void expect_echo(cio_stream *s, const char *text)
{
    char data[100];
    assert_int_equal(cio_write(s, text, strlen(text)), 0);
    assert_int_equal(cio_read_exactly(s, data, strlen(text)), strlen(text));
    assert_memory_equal(data, text, strlen(text));
}

static int serves(void *arg)
{
    cio_server *server = start(echo, NULL, NULL);
    cio_stream *s[20];
    char c;
    (void)arg;
    assert_true(cio_server_is_serving(server));
    for (int i = 0; i < 20; i++)
        s[i] = dial();
    for (int i = 0; i < 20; i++)
        expect_echo(s[i], "hello");
    assert_int_equal(cio_server_connections(server), 20);
    assert_int_equal(cio_write_eof(s[0]), 0);
    assert_int_equal(cio_read(s[0], &c, 1), 0); /* the function returned, the stream was closed */
    assert_int_equal(cio_server_close(server), 0);
    assert_int_equal(cio_server_close(server), 0);
    assert_false(cio_server_is_serving(server));
    assert_int_equal(cio_server_sockets(server, NULL, 0), 0);
    expect_echo(s[1], "they live on");
    for (int i = 0; i < 20; i++)
        assert_int_equal(cio_close(s[i]), 0);
    assert_int_equal(cio_server_wait_closed(server), 0);
    assert_int_equal(cio_server_connections(server), 0);
    return cio_server_free(server);
}

TEST(a_server_serves_and_closes)
{
    assert_int_equal(run_quiet(serves, NULL), 0);
}

/* ---- the client's function ---- */

static int fails(cio_stream *s, void *arg)
{
    (void)s;
    return *(int *)arg;
}

static int failing(void *arg)
{
    char c;
    cio_server *server = start(fails, arg, NULL);
    cio_stream *s = dial();
    assert_int_equal(cio_read(s, &c, 1), 0); /* closed */
    cio_close(s);
    assert_int_equal(cio_server_shutdown(server, 5), 0);
    return cio_server_free(server);
}

TEST(t71_an_error_of_the_function_is_reported_a_cancellation_is_not)
{
    struct reports reports;
    int rc = -EBADMSG;
    assert_int_equal(run_with_reports(&reports, failing, &rc), 0);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.seen[0].error, -EBADMSG);
    assert_string_equal(reports.seen[0].message, "unhandled error in client_connected callback");
    rc = CIO_ECANCELED;
    assert_int_equal(run_quiet(failing, &rc), 0);
    rc = 7;
    assert_int_equal(run_quiet(failing, &rc), 0);
}

static int closes_itself(cio_stream *s, void *arg)
{
    char line[20];
    int rc = cio_printf(s, "name?\n");
    if (rc >= 0)
        rc = (int)cio_read_line(s, line, sizeof line);
    if (rc > 0)
        rc = cio_printf(s, "hello %s", line);
    *(int *)arg += 1;
    return cio_close(s);
}

static int own_close(void *arg)
{
    int done = 0;
    char line[30];
    (void)arg;
    cio_server *server = start(closes_itself, &done, NULL);
    cio_stream *s = dial();
    assert_int_equal(cio_read_line(s, line, sizeof line), 6);
    assert_int_equal(cio_printf(s, "me\n"), 3);
    assert_int_equal(cio_read_line(s, line, sizeof line), 9);
    assert_string_equal(line, "hello me\n");
    assert_int_equal(cio_read_line(s, line, sizeof line), 0);
    cio_close(s);
    assert_int_equal(cio_server_shutdown(server, 5), 0);
    assert_int_equal(done, 1);
    return cio_server_free(server);
}

TEST(t71_the_function_may_close_the_stream_itself)
{
    assert_int_equal(run_quiet(own_close, NULL), 0);
}

static char much[1000000];

static int writes_and_returns(cio_stream *s, void *arg)
{
    (void)arg;
    int rc = cio_write(s, much, sizeof much);
    return rc < 0 ? rc : 0;
}

/* What was written before the return is sent after it, while wait_closed still waits. */
static int flush_after_return(void *arg)
{
    static char got[sizeof much];
    (void)arg;
    net_fill(much, sizeof much, 4, 0);
    cio_server *server = start(writes_and_returns, NULL, NULL);
    cio_stream *s = dial();
    cio_server_close(server);
    settle_streams();
    if (cio_server_connections(server)) {
        assert_int_equal(cio_read_exactly(s, got, sizeof got), sizeof got);
        net_check(got, sizeof got, 4, 0);
    }
    assert_int_equal(cio_server_wait_closed(server), 0);
    cio_close(s);
    return cio_server_free(server);
}

TEST(what_was_written_before_the_return_is_sent)
{
    assert_int_equal(run_quiet(flush_after_return, NULL), 0);
}

/* ---- bounds ---- */

static int bounded(void *arg)
{
    cio_server_options options = {.max_connections = 3};
    cio_stream *s[8];
    (void)arg;
    cio_server *server = start(echo, NULL, &options);
    for (int i = 0; i < 8; i++)
        s[i] = dial(); /* the kernel's queue has them */
    settle_streams();
    assert_int_equal(cio_server_connections(server), 3);
    for (int i = 0; i < 8; i++) {
        expect_echo(s[i], "my turn");
        assert_true(cio_server_connections(server) <= 3);
        assert_int_equal(cio_close(s[i]), 0);
    }
    assert_int_equal(cio_server_shutdown(server, 5), 0);
    return cio_server_free(server);
}

TEST(connections_are_bounded_and_the_next_are_taken_as_others_leave)
{
    assert_int_equal(run_quiet(bounded, NULL), 0);
}

static int out_of_descriptors(void *arg)
{
    struct reports *reports = arg;
    struct rlimit limit, before;
    cio_server *server = start(echo, NULL, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int peer = cio_sock_open(AF_INET, SOCK_STREAM, 0), spare = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)spare + 1;
    close(spare);
    int filler = dup(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    double begin = cio_time(NULL);
    assert_int_equal(cio_sock_connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    while (reports->n == 0)
        assert_int_equal(cio_sleep(0.001), 0);
    assert_int_equal(reports->seen[0].error, -EMFILE);
    assert_string_equal(reports->seen[0].message, "accept() out of system resource");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(filler);
    char c;
    assert_int_equal(cio_sock_sendall(peer, "x", 1), 0);
    assert_int_equal(cio_sock_recv(peer, &c, 1), 1); /* accepted after all */
    assert_true(cio_time(NULL) - begin >= 0.99);
    assert_in_range(reports->n, 1, 2); /* it did not try without a pause (2: a slow machine) */
    cio_sock_close(peer);
    assert_int_equal(cio_server_shutdown(server, 5), 0);
    return cio_server_free(server);
}

TEST(out_of_descriptors_it_accepts_again_after_a_second)
{
    struct reports reports;
    if (test_is_valgrind())
        skip();
    assert_int_equal(run_with_reports(&reports, out_of_descriptors, &reports), 0);
}

/* ---- the end ---- */

static int never_ends(cio_stream *s, void *arg)
{
    char c;
    ssize_t n = cio_read(s, &c, 1);
    if (n == CIO_ECANCELED)
        *(int *)arg += 1;
    return (int)n;
}

static int shuts_down(void *arg)
{
    int canceled = 0;
    char c;
    (void)arg;
    cio_server *server = start(never_ends, &canceled, NULL);
    cio_stream *a = dial(), *b = dial(), *good = dial();
    settle_streams();
    struct writing w = {.s = good};
    cio_task *closer = cio_create_task(close_task, &w);  /* this one finishes in time */
    assert_int_equal(cio_server_shutdown(server, 1), 2); /* long enough for `good` on any machine */
    assert_int_equal(canceled, 2);
    assert_int_equal(cio_await(closer), 0);
    assert_int_equal(cio_read(a, &c, 1), 0);
    assert_int_equal(cio_read(b, &c, 1), 0);
    cio_close(a);
    cio_close(b);
    assert_int_equal(cio_server_shutdown(server, 0), 0);
    return cio_server_free(server);
}

TEST(shutdown_lets_clients_finish_then_cancels_them)
{
    assert_int_equal(run_quiet(shuts_down, NULL), 0);
}

static int ignores_cancellation(cio_stream *s, void *arg)
{
    char c;
    int rc = 0;
    while (rc != -ECONNABORTED) {
        rc = (int)cio_read(s, &c, 1);
        *(int *)arg += 1;
    }
    assert_int_equal(cio_write(s, "x", 1), -ECONNABORTED);
    assert_int_equal(cio_flush(s), -ECONNABORTED);
    assert_int_equal(cio_stream_fd(s), -EBADF);
    assert_true(cio_is_closing(s));
    return 0;
}

static int stubborn(void *arg)
{
    int rounds = 0;
    (void)arg;
    cio_server *server = start(ignores_cancellation, &rounds, NULL);
    cio_stream *s = dial();
    settle_streams();
    assert_int_equal(cio_server_shutdown(server, 0), 1);
    assert_true(rounds >= 2);
    cio_close(s);
    return cio_server_free(server);
}

TEST(shutdown_cuts_off_those_who_ignore_a_cancellation)
{
    assert_int_equal(run_quiet(stubborn, NULL), 0);
}

static int reads_to_the_end(cio_stream *s, void *arg)
{
    char c;
    ssize_t n;
    while ((n = cio_read(s, &c, 1)) > 0)
        continue;
    *(int *)arg = (int)n;
    note("end:%d", cio_is_closing(s));
    return cio_printf(s, "bye\n");
}

static int closes_clients(void *arg)
{
    int end = -1;
    char line[10];
    (void)arg;
    cio_server *server = start(reads_to_the_end, &end, NULL);
    cio_stream *s = dial();
    settle_streams();
    cio_server_close(server);
    assert_int_equal(cio_server_close_clients(server), 0);
    assert_int_equal(cio_read_line(s, line, sizeof line), 4);
    assert_int_equal(cio_read_line(s, line, sizeof line), 0);
    assert_int_equal(end, 0);
    assert_string_equal(noted(), "end:1");
    assert_int_equal(cio_server_wait_closed(server), 0);
    cio_close(s);
    return cio_server_free(server);
}

TEST(close_clients_ends_their_input_and_sends_their_output)
{
    assert_int_equal(run_quiet(closes_clients, NULL), 0);
}

static int aborted_end(cio_stream *s, void *arg)
{
    char c;
    *(int *)arg = (int)cio_read(s, &c, 1);
    return cio_close(s); /* still its own */
}

static int aborts_clients(void *arg)
{
    int end = 0;
    char c;
    (void)arg;
    cio_server *server = start(aborted_end, &end, NULL);
    cio_stream *s = dial();
    cio_yield();
    assert_int_equal(cio_server_abort_clients(server), 0);
    settle_streams();
    assert_int_equal(cio_server_abort_clients(server), 0);
    assert_true(cio_read(s, &c, 1) <= 0);
    settle_streams();
    assert_int_equal(end, -ECONNABORTED);
    assert_int_equal(cio_server_connections(server), 0);
    cio_close(s);
    return cio_server_free(server);
}

TEST(abort_clients_cuts_them_off)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, aborts_clients, NULL), 0);
    for (int i = 0; i < reports.n; i++) /* what the function made of it */
        assert_int_equal(reports.seen[i].error, -ECONNABORTED);
}

static int shutdown_slowly(void *arg)
{
    return cio_server_shutdown(arg, 60);
}

static int shutdown_canceled(void *arg)
{
    (void)arg;
    cio_server *server = start(echo, NULL, NULL);
    cio_stream *s = dial();
    expect_echo(s, "x");
    for (int late = 0; late < 2; late++) {
        cio_task *task = cio_create_task(shutdown_slowly, server);
        if (late)
            settle_streams();
        else
            cio_yield();
        cio_cancel(task);
        cio_cancel(task);
        assert_int_equal(cio_await(task), CIO_ECANCELED);
        assert_false(cio_server_is_serving(server));
        expect_echo(s, "left alone");
    }
    cio_close(s);
    assert_int_equal(cio_server_wait_closed(server), 0);
    return cio_server_free(server);
}

TEST(shutdown_canceled_leaves_the_clients_alone)
{
    assert_int_equal(run_quiet(shutdown_canceled, NULL), 0);
}

static int serve_forever(void *arg)
{
    return cio_server_serve_forever(arg);
}

static int for_ever(void *arg)
{
    cio_server_options options = {.stopped = true, .grace = 0.01};
    int canceled = 0;
    (void)arg;
    cio_server *server = start(never_ends, &canceled, &options);
    assert_false(cio_server_is_serving(server));
    cio_task *task = cio_create_task(serve_forever, server);
    settle_streams();
    assert_true(cio_server_is_serving(server));
    assert_int_equal(cio_server_serve_forever(server), CIO_ESTATE);
    assert_int_equal(cio_server_free(server), CIO_ESTATE);
    cio_stream *s = dial();
    settle_streams();
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED); /* and does not hang for the client */
    assert_int_equal(canceled, 1);
    assert_int_equal(cio_server_serve_forever(server), CIO_ESTATE);
    assert_int_equal(cio_server_start_serving(server), CIO_ESTATE);
    cio_close(s);
    return cio_server_free(server);
}

TEST(serve_forever_ends_by_a_cancellation_and_its_clients_with_it)
{
    assert_int_equal(run_quiet(for_ever, NULL), 0);
}

static int closed_by_another(void *arg)
{
    (void)arg;
    cio_server *server = start(echo, NULL, NULL);
    cio_task *task = cio_create_task(serve_forever, server);
    cio_stream *s = dial();
    expect_echo(s, "x");
    cio_server_close(server);
    settle_streams();
    assert_false(cio_done(task)); /* a connection is left */
    cio_close(s);
    assert_int_equal(cio_await(task), 0);
    return cio_server_free(server);
}

TEST(serve_forever_ends_when_the_server_is_closed)
{
    assert_int_equal(run_quiet(closed_by_another, NULL), 0);
}

static int wait_closed(void *arg)
{
    return cio_server_wait_closed(arg);
}

static int waiting(void *arg)
{
    (void)arg;
    cio_server *server = start(echo, NULL, NULL);
    cio_stream *s = dial();
    expect_echo(s, "x");
    cio_task *a = cio_create_task(wait_closed, server), *b = cio_create_task(wait_closed, server);
    settle_streams();
    cio_cancel(a);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    cio_close(s);
    settle_streams();
    assert_false(cio_done(b)); /* no connection, but not closed */
    cio_server_close(server);
    assert_int_equal(cio_await(b), 0);
    assert_int_equal(cio_server_wait_closed(server), 0);
    return cio_server_free(server);
}

TEST(wait_closed_waits_for_both)
{
    assert_int_equal(run_quiet(waiting, NULL), 0);
}

static int freed_early(void *arg)
{
    (void)arg;
    cio_server *server = start(echo, NULL, NULL);
    cio_stream *s = dial();
    expect_echo(s, "x");
    assert_int_equal(cio_server_free(server), 0);
    expect_echo(s, "still there");
    return cio_close(s);
}

TEST(connections_outlive_a_freed_server)
{
    assert_int_equal(run_quiet(freed_early, NULL), 0);
}

/* The end of a run cancels the clients; what it leaves is given back, and only the server told. */
static int leave_everything(void *arg)
{
    start(never_ends, arg, NULL);
    cio_stream *s = dial();
    settle_streams();
    cio_abort(s);
    dial();
    settle_streams();
    return 0;
}

TEST(a_server_left_open_is_reported_and_given_back)
{
    struct reports reports;
    int canceled = 0;
    assert_int_equal(run_with_reports(&reports, leave_everything, &canceled), 0);
    assert_int_equal(canceled, 1);
    assert_int_equal(reports.n, 2);
    assert_string_equal(reports.seen[0].message, "server was never closed");
    assert_string_equal(reports.seen[1].message, "stream was never closed"); /* the dialled one */
}

/* ---- transports ---- */

struct many {
    struct recorder recorders[10];
    int n;
    bool refuses;
};

static const cio_protocol *next_recorder(void *arg, void **self)
{
    struct many *m = arg;
    if (m->refuses)
        return NULL;
    *self = &m->recorders[m->n++];
    return &recording_protocol;
}

static int protocols(void *arg)
{
    struct many m = {0};
    cio_server *server;
    char data[10];
    (void)arg;
    assert_int_equal(cio_create_server(&server, next_recorder, &m, "127.0.0.1", "0", NULL), 0);
    find_port(server);
    cio_stream *a = dial(), *b = dial();
    assert_int_equal(cio_write(a, "ping", 4), 0);
    recorder_wait_for(&m.recorders[0], 4);
    assert_int_equal(cio_transport_write(m.recorders[0].transport, "pong", 4), 0);
    assert_int_equal(cio_read_exactly(a, data, 4), 4);
    struct sockaddr_in peer, ours;
    socklen_t size = sizeof peer;
    assert_int_equal(
        cio_transport_peer_name(m.recorders[0].transport, (struct sockaddr *)&peer, &size), 0);
    assert_int_equal(cio_sock_name(a, (struct sockaddr *)&ours, &size), 0);
    assert_memory_equal(&peer, &ours, sizeof peer);
    cio_close(a);
    recorder_wait(&m.recorders[0]);
    assert_int_equal(cio_server_connections(server), 1);
    m.refuses = true;
    cio_stream *refused = dial();
    assert_int_equal(cio_read(refused, data, 1), 0);
    cio_close(refused);
    cio_server_close(server);
    cio_server_close_clients(server);
    assert_int_equal(cio_server_wait_closed(server), 0);
    assert_int_equal(cio_read(b, data, 1), 0);
    cio_close(b);
    return cio_server_free(server);
}

TEST(a_server_of_protocols)
{
    assert_int_equal(run_quiet(protocols, NULL), 0);
}

static cio_server *freed_server;

static const cio_protocol *frees_the_server(void *arg, void **self)
{
    (void)arg, (void)self;
    assert_int_equal(cio_server_free(freed_server), 0);
    return NULL;
}

static int free_in_factory(void *arg)
{
    char c;
    (void)arg;
    assert_int_equal(
        cio_create_server(&freed_server, frees_the_server, NULL, "127.0.0.1", "0", NULL), 0);
    find_port(freed_server);
    cio_stream *s = dial();
    assert_int_equal(cio_read(s, &c, 1), 0);
    return cio_close(s);
}

TEST(a_factory_may_free_its_server)
{
    assert_int_equal(run_quiet(free_in_factory, NULL), 0);
}

/* ---- where it listens ---- */

static int families(void *arg)
{
    cio_server *server;
    cio_stream *s;
    int fds[4];
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    (void)arg;
    assert_int_equal(cio_start_server(&server, echo, NULL, NULL, "0", NULL), 0);
    int n = cio_server_sockets(server, fds, 4);
    assert_true(n == 1 || n == 2); /* IPv4 and, where there is one, IPv6 */
    for (int i = 0; i < n; i++) {
        size = sizeof address;
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &size), 0);
        snprintf(port, sizeof port, "%d", ntohs(address.sin6_port));
        const char *host = address.sin6_family == AF_INET6 ? "::1" : "127.0.0.1";
        if (cio_open_connection(&s, host, port, NULL) == -EADDRNOTAVAIL)
            continue; /* IPv6 without a loopback */
        expect_echo(s, host);
        size = sizeof address;
        assert_int_equal(cio_peer_name(s, (struct sockaddr *)&address, &size), 0);
        assert_int_equal(size,
                         *host == ':' ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        cio_close(s);
    }
    cio_server_shutdown(server, 5);
    cio_server_free(server);

    const char *more[] = {"127.0.0.2", "127.0.0.1", NULL};
    cio_server_options options = {.more_hosts = more};
    assert_int_equal(cio_start_server(&server, echo, NULL, "127.0.0.1", "0", &options), 0);
    assert_int_equal(cio_server_sockets(server, fds, 4), 2); /* one stands there twice */
    return cio_server_free(server);
}

TEST(t73_all_interfaces_and_several_addresses)
{
    assert_int_equal(run_quiet(families, NULL), 0);
}

static int reuse(void *arg)
{
    cio_server_options shared = {.reuse_port = true};
    cio_server *a, *b;
    (void)arg;
    assert_int_equal(cio_start_server(&a, echo, NULL, "127.0.0.1", "0", &shared), 0);
    find_port(a);
    assert_int_equal(cio_start_server(&b, echo, NULL, "127.0.0.1", port, NULL), -EADDRINUSE);
    assert_null(b);
    assert_int_equal(cio_start_server(&b, echo, NULL, "127.0.0.1", port, &shared), 0);
    cio_server_free(a);
    cio_stream *s = dial();
    expect_echo(s, "b has it");
    cio_close(s);
    return cio_server_free(b);
}

TEST(reuse_port)
{
    assert_int_equal(run_quiet(reuse, NULL), 0);
}

static int unix_server(void *arg)
{
    char path[80], c;
    struct stat there;
    cio_server *server, *second;
    cio_stream *s;
    (void)arg;
    snprintf(path, sizeof path, "/tmp/cio-test-%d.sock", (int)getpid());
    unlink(path);
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, path, NULL), 0);
    assert_int_equal(cio_open_unix_connection(&s, path, NULL), 0);
    expect_echo(s, "by its path");
    cio_close(s);
    assert_int_equal(cio_start_unix_server(&second, echo, NULL, path, NULL), 0); /* replaces it */
    cio_server_close(server); /* the file is not this one's any more */
    assert_int_equal(stat(path, &there), 0);
    assert_int_equal(cio_open_unix_connection(&s, path, NULL), 0);
    expect_echo(s, "second");
    cio_close(s);
    cio_server_shutdown(second, 5);
    assert_int_equal(stat(path, &there), -1); /* cleaned up */
    assert_int_equal(cio_open_unix_connection(&s, path, NULL), -ENOENT);
    cio_server_free(server);
    cio_server_free(second);

    cio_server_options keep = {.keep_socket_file = true};
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, path, &keep), 0);
    cio_server_free(server);
    assert_int_equal(stat(path, &there), 0);
    assert_int_equal(cio_open_unix_connection(&s, path, NULL), -ECONNREFUSED);
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, path, NULL), 0); /* stale */
    cio_server_free(server);

    FILE *f = fopen(path, "w"); /* what is no socket is left alone */
    fclose(f);
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, path, NULL), -EADDRINUSE);
    assert_int_equal(stat(path, &there), 0);
    unlink(path);

    snprintf(path, sizeof path, "@cio-test-%d", (int)getpid());
    struct many m = {0};
    assert_int_equal(cio_create_unix_server(&server, next_recorder, &m, path, NULL), 0);
    assert_int_equal(cio_open_unix_connection(&s, path, NULL), 0);
    cio_write(s, "x", 1);
    recorder_wait_for(&m.recorders[0], 1);
    cio_transport_close(m.recorders[0].transport);
    assert_int_equal(cio_read(s, &c, 1), 0);
    cio_close(s);
    return cio_server_free(server);
}

TEST(t73_unix_servers_and_their_files)
{
    assert_int_equal(run_quiet(unix_server, NULL), 0);
}

/* A child that closes its copy of the loop leaves the parent's file alone. */
static int fork_inside(void *arg)
{
    char path[80];
    struct stat there;
    cio_server *server;
    (void)arg;
    snprintf(path, sizeof path, "/tmp/cio-test-fork-%d.sock", (int)getpid());
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, path, NULL), 0);
    cio_loop *loop = cio_get_running_loop();
    pid_t child = fork();
    if (child == 0) {
        cio_loop_close(loop);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(stat(path, &there), 0);
    cio_stream *s;
    assert_int_equal(cio_open_unix_connection(&s, path, NULL), 0);
    expect_echo(s, "x");
    cio_close(s);
    cio_server_shutdown(server, 5);
    return cio_server_free(server);
}

TEST(t56_a_forked_child_leaves_the_servers_file_alone)
{
    assert_int_equal(run_quiet(fork_inside, NULL), 0);
}

static int bad_input(void *arg)
{
    cio_server *server;
    cio_stream *s;
    cio_server_options bad[] = {
        {.grace = -1}, {.backlog = -1}, {.close_timeout = -1}, {.stack_size = 10}, {.family = 99}};
    char long_path[200];
    (void)arg;
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    assert_int_equal(cio_start_server(NULL, echo, NULL, NULL, "0", NULL), -EINVAL);
    assert_int_equal(cio_start_server(&server, NULL, NULL, NULL, "0", NULL), -EINVAL);
    for (int i = 0; i < 5; i++)
        assert_true(cio_start_server(&server, echo, NULL, NULL, "0", &bad[i]) < 0);
    static const char *const ports[] = {NULL, "", "no service", "-1", "65536", "1 ", "99999999999"};
    for (int i = 0; i < 7; i++) {
        int rc = i < 2 ? -EINVAL : CIO_EAI_SERVICE;
        assert_int_equal(cio_start_server(&server, echo, NULL, NULL, ports[i], NULL), rc);
        assert_int_equal(cio_open_connection(&s, "127.0.0.1", ports[i], NULL), rc);
        assert_null(s);
    }
    assert_int_equal(cio_start_server(&server, echo, NULL, "192.0.2.1", "0", NULL), -EADDRNOTAVAIL);
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, "", NULL), -EINVAL);
    assert_int_equal(cio_start_unix_server(&server, echo, NULL, long_path, NULL), -ENAMETOOLONG);
    assert_int_equal(cio_open_unix_connection(&s, long_path, NULL), -ENAMETOOLONG);
    assert_int_equal(cio_open_unix_connection(&s, NULL, NULL), -EINVAL);
    assert_int_equal(cio_open_unix_connection(NULL, "x", NULL), -EINVAL);
    assert_int_equal(cio_create_server(&server, NULL, NULL, NULL, "0", NULL), -EINVAL);
    assert_int_equal(cio_create_unix_server(&server, NULL, NULL, "x", NULL), -EINVAL);
    assert_int_equal(cio_server_close(NULL), -EINVAL);
    assert_int_equal(cio_server_close_clients(NULL), -EINVAL);
    assert_int_equal(cio_server_abort_clients(NULL), -EINVAL);
    assert_int_equal(cio_server_wait_closed(NULL), -EINVAL);
    assert_int_equal(cio_server_shutdown(NULL, 0), -EINVAL);
    assert_int_equal(cio_server_serve_forever(NULL), -EINVAL);
    assert_int_equal(cio_server_start_serving(NULL), -EINVAL);
    assert_int_equal(cio_server_sockets(NULL, NULL, 0), -EINVAL);
    assert_int_equal(cio_server_connections(NULL), 0);
    assert_int_equal(cio_server_free(NULL), 0);
    assert_false(cio_server_is_serving(NULL));
    server = start(echo, NULL, NULL);
    assert_int_equal(cio_server_shutdown(server, -1), -EINVAL);
    assert_int_equal(cio_server_sockets(server, NULL, 1), -EINVAL);
    return cio_server_free(server);
}

TEST(bad_input)
{
    cio_server *server;
    assert_int_equal(cio_start_server(&server, echo, NULL, NULL, "0", NULL), CIO_ENOLOOP);
    assert_int_equal(run_quiet(bad_input, NULL), 0);
}

/* ---- connecting ---- */

static int connecting(void *arg)
{
    cio_stream *s;
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    (void)arg;
    cio_server *server = start(echo, NULL, NULL);
    cio_connect_options options = {
        .local_host = "127.0.0.3", .family = AF_INET, .keep_alive = true};
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, &options), 0);
    assert_int_equal(cio_sock_name(s, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(ntohl(name.sin_addr.s_addr), 0x7f000003);
    int on = 0;
    socklen_t length = sizeof on;
    getsockopt(cio_stream_fd(s), SOL_SOCKET, SO_KEEPALIVE, &on, &length);
    assert_int_equal(on, 1);
    getsockopt(cio_stream_fd(s), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &length);
    assert_int_equal(on, 1);
    expect_echo(s, "from there");
    cio_close(s);
    options.local_host = "192.0.2.1";
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, &options), -EADDRNOTAVAIL);
    options = (cio_connect_options){.family = AF_INET6};
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, &options), CIO_EAI_ADDRFAMILY);
    cio_server_shutdown(server, 0);
    cio_server_free(server);
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, NULL), -ECONNREFUSED);
    return 0;
}

TEST(connecting_with_options)
{
    assert_int_equal(run_quiet(connecting, NULL), 0);
}

static int connect_task(void *arg)
{
    cio_stream *s;
    int rc = cio_open_connection(&s, "127.0.0.1", port, NULL);
    (void)arg;
    if (rc == 0)
        cio_abort(s);
    else
        assert_null(s);
    return rc;
}

static int cancel_connecting(void *arg)
{
    (void)arg;
    cio_server *server = start(echo, NULL, NULL);
    for (int turns = 0; turns < 6; turns++) {
        cio_task *task = cio_create_task(connect_task, NULL);
        for (int i = 0; i < turns; i++)
            cio_yield();
        int pending = cio_cancel(task);
        assert_int_equal(cio_await(task), pending ? CIO_ECANCELED : 0);
    }
    assert_true(cio_server_shutdown(server, 5) >= 0);
    return cio_server_free(server);
}

TEST(connecting_canceled_leaves_nothing)
{
    assert_int_equal(run_quiet(cancel_connecting, NULL), 0);
}
