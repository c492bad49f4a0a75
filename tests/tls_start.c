/*
 * TLS from the middle of a connection on (T65): no byte is lost, neither of those that were
 * received too early nor of those that wait to be sent; who may use the stream meanwhile.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

struct upgrade {
    cio_stream *s;
    cio_tls_context *context;
    const char *host;
};

static int upgrade(void *arg)
{
    const struct upgrade *u = arg;
    return cio_start_tls(u->s, u->context, u->host);
}

static void open_pair(cio_stream *s[2])
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_open_stream(&s[0], fds[0], NULL), 0);
    assert_int_equal(cio_open_stream(&s[1], fds[1], NULL), 0);
}

static void say_and_hear(cio_stream *from, cio_stream *to, const char *text)
{
    char line[100];
    assert_int_equal(cio_printf(from, "%s\n", text), strlen(text) + 1);
    assert_int_equal(cio_read_line(to, line, sizeof line), strlen(text) + 1);
    assert_memory_equal(line, text, strlen(text));
}

static int in_the_middle(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *server = server_context(NULL), *client = client_context(NULL);
    cio_tls_info info;
    (void)arg;
    open_pair(s);
    say_and_hear(s[0], s[1], "STARTTLS");
    assert_int_equal(cio_tls_get_info(s[0], &info), -ENOTCONN);
    struct upgrade u = {s[1], server, NULL};
    cio_task *other = cio_create_task(upgrade, &u);
    assert_int_equal(cio_start_tls(s[0], client, "localhost"), 0);
    assert_int_equal(cio_await(other), 0);
    assert_int_equal(cio_tls_get_info(s[0], &info), 0);
    assert_string_equal(info.server_name, "localhost");
    for (int i = 0; i < 10; i++) {
        say_and_hear(s[0], s[1], "from the client");
        say_and_hear(s[1], s[0], "from the server");
    }
    assert_int_equal(cio_start_tls(s[0], client, "localhost"), CIO_ESTATE); /* it does already */
    say_and_hear(s[0], s[1], "still there");
    cio_task *closing = cio_create_task(close_task, &(struct writing){.s = s[0]});
    char byte;
    assert_int_equal(cio_read(s[1], &byte, 1), 0);
    assert_int_equal(cio_close(s[1]), 0);
    assert_int_equal(cio_await(closing), 0);
    cio_tls_context_free(server);
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_a_stream_speaks_tls_from_its_middle_on)
{
    assert_int_equal(run_quiet(in_the_middle, NULL), 0);
}

/* The client's hello comes with the line before it, in one piece: it is in the stream's buffer. */
static int early_bytes(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *server = server_context(NULL), *client = client_context(NULL);
    char line[100], byte;
    bool byte_by_byte = *(bool *)arg;
    open_pair(s);
    assert_int_equal(cio_printf(s[0], "STARTTLS\n"), 9);
    struct upgrade u = {s[0], client, "localhost"};
    cio_task *other = cio_create_task(upgrade, &u);
    settle_streams(); /* all of the hello is in the socket */
    if (byte_by_byte) {
        const void *data;
        assert_int_equal(cio_peek(s[1], 9, &data) > 100, true);
        for (int i = 0; i < 9; i++)
            assert_int_equal(cio_read(s[1], &byte, 1), 1);
    } else {
        assert_int_equal(cio_read_line(s[1], line, sizeof line), 9);
    }
    assert_true(cio_buffered(s[1]) > 100);
    assert_int_equal(cio_start_tls(s[1], server, NULL), 0);
    assert_int_equal(cio_buffered(s[1]), 0);
    assert_int_equal(cio_await(other), 0);
    say_and_hear(s[0], s[1], "from the client");
    say_and_hear(s[1], s[0], "from the server");
    cio_abort(s[0]);
    assert_int_equal(cio_read(s[1], &byte, 1), CIO_ETRUNCATED);
    cio_abort(s[1]);
    cio_tls_context_free(server);
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_what_was_received_too_early_is_not_lost)
{
    assert_int_equal(run_quiet(early_bytes, &(bool){false}), 0);
    assert_int_equal(run_quiet(early_bytes, &(bool){true}), 0);
}

/* What is not TLS is not taken for it: an order that was smuggled in behind STARTTLS, for example. */
static int smuggled(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *server = server_context(NULL);
    char line[100];
    (void)arg;
    open_pair(s);
    assert_int_equal(cio_printf(s[0], "STARTTLS\nDELETE everything, please\n"), 35);
    assert_int_equal(cio_read_line(s[1], line, sizeof line), 9);
    assert_int_equal(cio_start_tls(s[1], server, NULL), CIO_ETLS);
    assert_non_null(strstr(cio_tls_why(s[1]), "handshake: "));
    assert_int_equal(cio_read(s[1], line, sizeof line), CIO_ETLS);
    assert_int_equal(cio_write(s[1], "x", 1), CIO_ETLS);
    assert_int_equal(cio_buffered(s[1]), 0);
    assert_int_equal(cio_close(s[1]), CIO_ETLS);
    cio_abort(s[0]);
    cio_tls_context_free(server);
    return 0;
}

TEST(t65_orders_before_the_handshake_are_not_obeyed)
{
    assert_int_equal(run_quiet(smuggled, NULL), 0);
}

/* Much is queued when TLS is to begin: all of it goes first, and in plain. */
enum { MUCH = 500000 };
static char much[MUCH], got[MUCH];

static int read_plain_then_shake(void *arg)
{
    const struct upgrade *u = arg;
    assert_int_equal(cio_read_exactly(u->s, got, MUCH), MUCH);
    net_check(got, MUCH, 1, 0);
    return cio_start_tls(u->s, u->context, NULL);
}

static int queued(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *server = server_context(NULL), *client = client_context(NULL);
    int fds[2];
    cio_connect_options options = {.high_water = MUCH};
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    net_small_buffers(fds[0]);
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(cio_open_stream(&s[0], fds[0], &options), 0);
    assert_int_equal(cio_open_stream(&s[1], fds[1], NULL), 0);
    assert_int_equal(cio_write(s[0], much, MUCH), 0);
    assert_true(cio_unsent(s[0]) > 100000);
    struct upgrade u = {s[1], server, NULL};
    cio_task *other = cio_create_task(read_plain_then_shake, &u);
    assert_int_equal(cio_start_tls(s[0], client, "localhost"), 0);
    assert_int_equal(cio_await(other), 0);
    say_and_hear(s[0], s[1], "after it");
    cio_abort(s[0]);
    cio_abort(s[1]);
    cio_tls_context_free(server);
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_what_is_queued_goes_first)
{
    assert_int_equal(run_quiet(queued, NULL), 0);
}

static int not_now(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *server = server_context(NULL), *client = client_context(NULL);
    char byte;
    (void)arg;
    open_pair(s);
    assert_int_equal(cio_start_tls(NULL, client, "localhost"), -EINVAL);
    assert_int_equal(cio_start_tls(s[0], NULL, "localhost"), -EINVAL);
    assert_int_equal(cio_start_tls(s[0], client, NULL), -EINVAL);
    assert_int_equal(cio_start_tls(s[0], CIO_TLS_CLIENT, ""), -EINVAL);

    struct reading r = {s[0], &byte, 1, NULL};
    cio_task *reader = cio_create_task(read_task, &r);
    settle_streams();
    assert_int_equal(cio_start_tls(s[0], client, "localhost"), CIO_ESTATE);
    assert_int_equal(cio_write(s[1], "x", 1), 0);
    assert_int_equal(cio_await(reader), 1);

    struct upgrade u = {s[0], client, "localhost"};
    cio_task *task = cio_create_task(upgrade, &u);
    settle_streams();
    assert_false(cio_done(task));
    assert_int_equal(cio_read(s[0], &byte, 1), CIO_ESTATE);
    assert_int_equal(cio_write(s[0], "x", 1), CIO_ESTATE);
    assert_int_equal(cio_write_eof(s[0]), CIO_ESTATE);
    assert_int_equal(cio_start_tls(s[0], client, "localhost"), CIO_ESTATE);
    assert_int_equal(cio_start_tls(s[1], server, NULL), 0);
    assert_int_equal(cio_await(task), 0);
    say_and_hear(s[0], s[1], "it was not disturbed");
    cio_abort(s[0]);
    cio_abort(s[1]);

    open_pair(s);
    assert_int_equal(cio_write_eof(s[0]), 0);
    assert_int_equal(cio_start_tls(s[0], client, "localhost"), CIO_ESTATE);
    assert_int_equal(cio_close(s[0]), 0);
    assert_int_equal(cio_start_tls(s[1], server, NULL), CIO_ETRUNCATED);
    assert_non_null(strstr(cio_tls_why(s[1]), "without saying so"));
    assert_int_equal(cio_close(s[1]), CIO_ETRUNCATED);
    cio_tls_context_free(server);
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_who_may_not_start_it_and_who_may_not_use_it_meanwhile)
{
    assert_int_equal(run_quiet(not_now, NULL), 0);
}

/* The owner ends the stream under the handshake, or cancels it. */
static int ended_meanwhile(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *client = client_context(NULL);
    char byte;
    (void)arg;
    open_pair(s);
    struct upgrade u = {s[0], client, "localhost"};
    cio_task *task = cio_create_task(upgrade, &u);
    settle_streams();
    assert_int_equal(cio_close(s[0]), 0);
    assert_int_equal(cio_await(task), -EBUSY);
    cio_abort(s[1]);

    for (int waits = 0; waits < 2; waits++) { /* before it begins, and while it waits */
        open_pair(s);
        u.s = s[0];
        task = cio_create_task(upgrade, &u);
        if (waits)
            settle_streams();
        else
            assert_int_equal(cio_yield(), 0);
        assert_true(cio_cancel(task));
        assert_int_equal(cio_await(task), CIO_ECANCELED);
        assert_int_equal(cio_read(s[0], &byte, 1), -ECONNABORTED);
        assert_int_equal(cio_write(s[0], "x", 1), -ECONNABORTED);
        cio_close(s[0]);
        cio_abort(s[1]);
    }
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_a_stream_is_ended_under_its_handshake)
{
    assert_int_equal(run_quiet(ended_meanwhile, NULL), 0);
}

/* Canceled when the handshake is over, and the task has not run yet. */
static int late_cancel(void *arg)
{
    cio_stream *s[2];
    cio_tls_context *server = server_context(NULL), *client = client_context(NULL);
    (void)arg;
    int canceled = 0;
    for (int turns = 0; turns < 60; turns++) {
        open_pair(s);
        struct upgrade u = {s[0], client, "localhost"}, v = {s[1], server, NULL};
        cio_task *task = cio_create_task(upgrade, &u), *other = cio_create_task(upgrade, &v);
        for (int i = 0; i < turns; i++)
            assert_int_equal(cio_yield(), 0);
        cio_cancel(task);
        int rc = cio_await(task);
        assert_true(rc == CIO_ECANCELED || rc == 0);
        canceled += rc != 0;
        cio_abort(s[0]);
        rc = cio_await(other);
        assert_true(rc == 0 || rc == CIO_ETRUNCATED || rc == -EPIPE || rc == -ECONNRESET);
        cio_abort(s[1]);
    }
    assert_true(canceled > 0);
    cio_tls_context_free(server);
    cio_tls_context_free(client);
    return 0;
}

TEST(t65_a_handshake_is_canceled_in_any_turn)
{
    assert_int_equal(run_quiet(late_cancel, NULL), 0);
}
