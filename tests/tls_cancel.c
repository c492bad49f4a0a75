/*
 * TLS and cancellation at each wait: connecting, reading, writing, closing; time limits; peers that
 * dawdle. Servers while handshakes are under way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

struct connecting {
    const char *port;
    const cio_tls_context *context;
    cio_stream *s;
};

static int connect_task(void *arg)
{
    struct connecting *c = arg;
    cio_connect_options how = {.tls = c->context, .server_hostname = "localhost"};
    return cio_open_connection(&c->s, "127.0.0.1", c->port, &how);
}

static void name_listener(char port[8], const struct sockaddr_in *address)
{
    snprintf(port, 8, "%d", ntohs(address->sin_port));
}

/* ---- connecting ---- */

static int canceled_connects(void *arg)
{
    struct sockaddr_in address;
    char port[8];
    cio_tls_context *context = client_context(NULL);
    (void)arg;
    int listener = net_listen(&address, 5); /* nobody will answer */
    name_listener(port, &address);
    for (int turns = 0; turns < 12; turns++) {
        struct connecting c = {port, context, (cio_stream *)&c};
        int files = test_count_fds();
        cio_task *task = cio_create_task(connect_task, &c);
        for (int i = 0; i < turns && i < 8; i++)
            assert_int_equal(cio_yield(), 0);
        if (turns > 8)
            settle_streams();
        assert_true(cio_cancel(task));
        if (turns > 10)
            cio_cancel(task); /* twice */
        assert_int_equal(cio_await(task), CIO_ECANCELED);
        assert_true(turns == 0 || c.s == NULL);
        assert_int_equal(test_count_fds(), files);
    }
    cio_sock_close(listener);
    cio_tls_context_free(context);
    return 0;
}

TEST(connecting_is_canceled_in_any_turn)
{
    assert_int_equal(run_quiet(canceled_connects, NULL), 0);
}

/* With a server that does answer: canceled somewhere in the handshake, or just after it. */
static int canceled_handshakes(void *arg)
{
    struct tls_server server;
    cio_tls_context *context = client_context(NULL);
    int outcomes[2] = {0};
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    for (int turns = 0; turns < 50; turns++) {
        struct connecting c = {server.port, context, NULL};
        cio_task *task = cio_create_task(connect_task, &c);
        for (int i = 0; i < turns * turns * 2; i++) /* few of them ask the kernel */
            assert_int_equal(cio_yield(), 0);
        while (turns == 49 && !cio_done(task))
            assert_int_equal(cio_yield(), 0);
        cio_cancel(task);
        int rc = cio_await(task);
        assert_true(rc == 0 || rc == CIO_ECANCELED);
        assert_true((rc == 0) == (c.s != NULL));
        outcomes[rc == 0]++;
        if (c.s)
            assert_int_equal(cio_close(c.s), 0);
    }
    assert_true(outcomes[0] > 0 && outcomes[1] > 0);
    stop_tls(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_handshake_is_canceled_in_any_turn)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, canceled_handshakes, NULL), 0);
    for (int i = 0; i < reports.n; i++) /* the clients that were there broke off */
        assert_true(reports.seen[i].error == CIO_ETRUNCATED ||
                    reports.seen[i].error == -ECONNRESET);
}

/* ---- time limits ---- */

static int slow_server(void *arg)
{
    struct sockaddr_in address;
    char port[8];
    (void)arg;
    cio_tls_options options = {.handshake_timeout = 0.03};
    cio_tls_context *context = client_context(&options);
    int listener = net_listen(&address, 5);
    name_listener(port, &address);
    struct connecting c = {port, context, NULL};
    assert_int_equal(connect_task(&c), CIO_ETIMEDOUT);
    assert_string_equal(cio_tls_why(NULL), "handshake: not over after 0.03 s");
    cio_sock_close(listener);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_handshake_takes_no_longer_than_its_timeout)
{
    assert_int_equal(run_quiet(slow_server, NULL), 0);
}

static int never_called(cio_stream *s, void *arg)
{
    (void)s, (void)arg;
    abort();
}

/* A beginning of a record, byte after byte: the server's time limit is for all of it. */
static int slow_loris(void *arg)
{
    static const char beginning[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    struct tls_server server;
    struct sockaddr_in address = {.sin_family = AF_INET};
    char byte;
    (void)arg;
    serve_tls(&server, never_called, NULL, &(cio_tls_options){.handshake_timeout = 0.1});
    address.sin_port = htons((uint16_t)atoi(server.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    long memory = counted_memory();
    for (size_t i = 0; i < sizeof beginning - 1; i++) {
        if (send(fd, beginning + i, 1, MSG_NOSIGNAL) != 1)
            break;
        assert_int_equal(cio_sleep(0.001), 0);
        assert_true(counted_memory() - memory < 80000);
    }
    ssize_t n = cio_sock_recv(fd, &byte, 1);
    assert_true(n == 0 || n == -ECONNRESET);
    while (cio_server_connections(server.server))
        assert_int_equal(cio_yield(), 0);
    cio_sock_close(fd);
    stop_tls(&server);
    return 0;
}

TEST(a_client_that_dawdles_in_its_handshake_is_cut_off)
{
    count_memory();
    assert_int_equal(run_quiet(slow_loris, NULL), 0);
    count_memory_no_more();
}

/* ---- reading and writing ---- */

/* One end, and a server's that does what it is told. */
static bool held;

static int hold_client(cio_stream *s, void *arg)
{
    net_small_buffers(cio_stream_fd(s));
    held = true;
    return cio_event_wait(arg);
}

static int canceled_reads(void *arg)
{
    struct tls_server server;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char data[100];
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    assert_int_equal(connect_tls(&s, &server, context), 0);
    int (*const calls[])(void *) = {read_task, read_exactly_task, read_until_task, read_line_task,
                                    peek_task};
    for (int i = 0; i < 5; i++) {
        for (int waits = 0; waits < 3; waits++) {
            struct reading r = {s, data, sizeof data, "\n"};
            cio_task *task = cio_create_task(calls[i], &r);
            if (waits)
                settle_streams();
            if (waits == 2) /* bytes come, but it has not run when it is canceled */
                assert_int_equal(cio_write(s, "", 0), 0);
            assert_true(cio_cancel(task));
            assert_int_equal(cio_await(task), CIO_ECANCELED);
        }
    }
    /* Half a line came and was given back; then the rest of it. */
    assert_int_equal(cio_write(s, "half ", 5), 0);
    struct reading r = {s, data, sizeof data, NULL};
    cio_task *task = cio_create_task(read_line_task, &r);
    settle_streams();
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(cio_write(s, "a line\n", 7), 0);
    assert_int_equal(cio_read_line(s, data, sizeof data), 12);
    assert_string_equal(data, "half a line\n");
    assert_int_equal(cio_close(s), 0);
    stop_tls(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_canceled_read_loses_nothing)
{
    assert_int_equal(run_quiet(canceled_reads, NULL), 0);
}

enum { MUCH = 30000000 };

static int canceled_writes(void *arg)
{
    struct tls_server server;
    cio_event go = CIO_EVENT_INIT;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char *much = calloc(1, MUCH);
    (void)arg;
    serve_tls(&server, hold_client, &go, NULL);
    assert_int_equal(connect_tls(&s, &server, context), 0);
    net_small_buffers(cio_stream_fd(s));
    while (!held)
        assert_int_equal(cio_yield(), 0);
    struct writing w = {s, much, MUCH};
    cio_task *task = cio_create_task(write_task, &w);
    settle_streams();
    assert_false(cio_done(task));
    assert_true(cio_cancel(task));
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_true(cio_partly_written(s) > 0 && cio_partly_written(s) < MUCH);
    assert_int_equal(cio_write(s, much, 60000), 0); /* queued */
    task = cio_create_task(flush_task, &w);
    settle_streams();
    assert_false(cio_done(task));
    assert_true(cio_cancel(task));
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    task = cio_create_task(close_task, &w);
    settle_streams();
    assert_false(cio_done(task));
    assert_true(cio_cancel(task));
    assert_int_equal(cio_await(task), CIO_ECANCELED); /* the close goes on */
    cio_event_set(&go);
    free(much);
    stop_tls(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(writing_flushing_and_closing_are_canceled)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, canceled_writes, NULL), 0);
}

/* ---- servers ---- */

static int shut_down_meanwhile(void *arg)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int (*const ways[])(cio_server *) = {cio_server_close_clients, cio_server_abort_clients, NULL};
    char byte;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        struct tls_server server;
        serve_tls(&server, never_called, NULL, NULL);
        address.sin_port = htons((uint16_t)atoi(server.port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        while (cio_server_connections(server.server) == 0)
            assert_int_equal(cio_yield(), 0);
        if (ways[i])
            assert_int_equal(ways[i](server.server), 0);
        else
            assert_int_equal(cio_server_shutdown(server.server, 0.01), 1);
        ssize_t n = cio_sock_recv(fd, &byte, 1);
        assert_true(n == 0 || n == -ECONNRESET);
        cio_sock_close(fd);
        stop_tls(&server);
    }
    return 0;
}

TEST(a_server_ends_clients_in_their_handshakes)
{
    assert_int_equal(run_quiet(shut_down_meanwhile, NULL), 0);
}

/* The loop ends while connections are in all states; nothing is left. */
static int left_alone(void *arg)
{
    static struct tls_server server;
    static struct connecting c;
    static char port[8];
    struct sockaddr_in address;
    cio_stream *s;
    cio_tls_context *context = client_context(NULL);
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    assert_int_equal(connect_tls(&s, &server, context), 0);
    assert_int_equal(connect_tls(&s, &server, context), 0);
    cio_detach(cio_create_task(close_task, &(struct writing){.s = s}));
    int listener = net_listen(&address, 5);
    name_listener(port, &address);
    c = (struct connecting){port, context, NULL};
    cio_detach(cio_create_task(connect_task, &c));
    settle_streams();
    cio_sock_close(listener);
    cio_tls_context_free(context);
    cio_tls_context_free(server.context);
    return 0;
}

TEST(a_loop_ends_with_connections_in_all_states)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, left_alone, NULL), 0);
}
