/*
 * TLS while every allocation of ours fails in its turn: each run may fail or succeed, but must not
 * crash, hang, leak or lose a byte without saying so. (OpenSSL's memory is not ours.)
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory.h"
#include "net.h"
#include "test.h"
#include "tls.h"

static int failed_or(ssize_t rc)
{
    return rc < 0 ? (int)rc : 0;
}

struct side {
    cio_stream *s;
    cio_tls_context *context;
};

enum { MUCH = 100000 };
static char much[MUCH], got[MUCH];

/* Sends back all that comes, or hangs up. */
static int other_side(void *arg)
{
    const struct side *side = arg;
    static char data[20000];
    ssize_t n = cio_start_tls(side->s, side->context, NULL);
    while (n >= 0 && (n = cio_read(side->s, data, sizeof data)) > 0)
        n = cio_write(side->s, data, (size_t)n);
    if (n == 0)
        n = cio_write_eof(side->s);
    cio_abort(side->s);
    return failed_or(n);
}

static int write_all(void *arg)
{
    const struct side *side = arg;
    int rc = cio_write(side->s, much, MUCH);
    return rc < 0 ? rc : cio_write_eof(side->s);
}

static int talk(struct side *side)
{
    char line[10];
    int rc = cio_start_tls(side->s, side->context, "localhost");
    cio_task *writer = rc < 0 ? NULL : cio_create_task(write_all, side);
    if (!writer)
        return rc < 0 ? rc : -ENOMEM;
    ssize_t n = cio_read_exactly(side->s, got, MUCH);
    if (n == MUCH)
        assert_memory_equal(got, much, MUCH);
    if (n == MUCH)
        n = cio_read_line(side->s, line, sizeof line);
    if (n < 0)
        cio_cancel(writer);
    rc = cio_await(writer);
    return n < 0 ? (int)n : rc;
}

static int over_tls(void *arg)
{
    int fds[2];
    struct side ours = {0}, theirs = {0};
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    cio_tls_options options = {.ca_data = test_authority()->certificate,
                               .ca_size = strlen(test_authority()->certificate)};
    int rc = cio_tls_client_context(&ours.context, &options);
    use_pem(&options, test_server());
    if (rc == 0)
        rc = cio_tls_server_context(&theirs.context, &options);
    if (rc == 0)
        rc = cio_open_stream(&ours.s, fds[0], NULL);
    if (rc < 0)
        close(fds[0]);
    int their_rc = cio_open_stream(&theirs.s, fds[1], NULL);
    if (their_rc < 0)
        close(fds[1]);
    cio_task *other = rc == 0 && their_rc == 0 ? cio_create_task(other_side, &theirs) : NULL;
    if (other) {
        rc = talk(&ours);
        cio_abort(ours.s);
        their_rc = cio_await(other);
    } else {
        cio_abort(ours.s);
        cio_abort(theirs.s);
        rc = rc < 0 ? rc : -ENOMEM;
    }
    cio_tls_context_free(ours.context);
    cio_tls_context_free(theirs.context);
    return rc < 0 ? rc : their_rc;
}

TEST_SLOW(streams_over_tls)
{
    net_fill(much, MUCH, 1, 0);
    test_server();
    memory_torture(over_tls);
}

/* ---- a server, and a client's usual way ---- */

static int greet(cio_stream *s, void *arg)
{
    (void)arg;
    return cio_printf(s, "hello\n");
}

static int connect_and_read(const char *port, const cio_tls_context *context)
{
    cio_stream *s;
    char line[100];
    cio_connect_options how = {.tls = context, .server_hostname = "localhost"};
    int rc = cio_open_connection(&s, "127.0.0.1", port, &how);
    if (rc < 0)
        return rc;
    ssize_t n = cio_read_line(s, line, sizeof line);
    if (n > 0)
        assert_string_equal(line, "hello\n");
    rc = cio_close(s);
    return n < 0 ? (int)n : n == 0 ? CIO_EOF : rc;
}

static int with_server(void *arg)
{
    cio_server *server;
    char port[8];
    cio_tls_context *contexts[2] = {NULL, NULL};
    (void)arg;
    cio_tls_options options = {.ca_data = test_authority()->certificate,
                               .ca_size = strlen(test_authority()->certificate)};
    int rc = cio_tls_client_context(&contexts[0], &options);
    use_pem(&options, test_server());
    if (rc == 0)
        rc = cio_tls_server_context(&contexts[1], &options);
    cio_server_options how = {.tls = contexts[1], .close_timeout = 1};
    if (rc == 0)
        rc = cio_start_server(&server, greet, NULL, "127.0.0.1", "0", &how);
    if (rc == 0) {
        name_port(port, server);
        rc = connect_and_read(port, contexts[0]);
        cio_server_close(server);
        cio_server_abort_clients(server);
        int waited = cio_server_wait_closed(server);
        rc = rc < 0 ? rc : waited;
        cio_server_free(server);
    }
    cio_tls_context_free(contexts[0]);
    cio_tls_context_free(contexts[1]);
    return rc;
}

TEST_SLOW(server_over_tls)
{
    test_server();
    memory_torture(with_server);
}
