/*
 * Streams over TLS, both ends ours: bytes, ends, and what is known of the connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

static int hello(void *arg)
{
    struct tls_server server;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char line[100];
    cio_tls_info info;
    (void)arg;
    serve_tls(&server, echo_client, NULL, NULL);
    int rc = connect_tls(&s, &server, context);
    if (rc < 0)
        print_error("%s: %s\n", cio_err_name(rc), cio_tls_why(NULL));
    assert_int_equal(rc, 0);
    assert_int_equal(cio_printf(s, "hello\n"), 6);
    assert_int_equal(cio_read_line(s, line, sizeof line), 6);
    assert_string_equal(line, "hello\n");
    assert_int_equal(cio_tls_get_info(s, &info), 0);
    assert_string_equal(info.version, "TLSv1.3");
    assert_non_null(strstr(info.cipher, "AES"));
    assert_false(info.server);
    assert_true(info.has_certificate);
    assert_string_equal(info.subject, "CN=localhost");
    assert_string_equal(info.issuer, "CN=Test CA");
    assert_string_equal(cio_tls_why(s), "");
    assert_int_equal(cio_close(s), 0);
    stop_tls(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_client_and_a_server_speak_tls)
{
    assert_int_equal(run_quiet(hello, NULL), 0);
}

/* ---- many bytes ---- */

struct flow {
    cio_stream *s;
    size_t size;
    uint32_t seed;
};

/* Writes of all sizes, single and in pieces. */
static int pour(void *arg)
{
    const struct flow *f = arg;
    uint32_t random = f->seed;
    char *mine = malloc(100000);
    for (size_t n = 0; n < f->size;) {
        size_t most = net_random(&random, 4) == 1 ? 100000 : 3000;
        size_t size = net_random(&random, most < f->size - n ? most : f->size - n);
        net_fill(mine, size, f->seed, n);
        size_t cut = net_random(&random, size) - 1,
               cut2 = cut + net_random(&random, size - cut) - 1;
        struct iovec pieces[] = {{mine, cut}, {mine + cut, cut2 - cut}, {mine + cut2, size - cut2}};
        int rc = n % 3 ? cio_writev(f->s, pieces, 3) : cio_write(f->s, mine, size);
        assert_int_equal(rc, 0);
        n += size;
        if (net_random(&random, 50) == 1)
            assert_int_equal(cio_flush(f->s), 0);
        if (net_random(&random, 30) == 1)
            assert_int_equal(cio_yield(), 0);
    }
    free(mine);
    return 0;
}

static int drink(void *arg)
{
    const struct flow *f = arg;
    uint32_t random = f->seed + 77;
    char *data = malloc(100000);
    size_t n = 0;
    while (n < f->size) {
        size_t size = net_random(&random, net_random(&random, 2) == 1 ? 100000 : 5000);
        if (size > f->size - n)
            size = f->size - n;
        ssize_t got = net_random(&random, 3) == 1 ? cio_read_exactly(f->s, data, size)
                                                  : cio_read(f->s, data, size);
        assert_true(got > 0);
        net_check(data, (size_t)got, f->seed, n);
        n += (size_t)got;
        if (net_random(&random, 40) == 1)
            assert_int_equal(cio_yield(), 0);
    }
    free(data);
    return 0;
}

enum { SEED_UP = 1, SEED_DOWN = 2 };

static int both_ways(cio_stream *s, size_t size, uint32_t out, uint32_t in)
{
    struct flow pouring = {s, size, out}, drinking = {s, size, in};
    cio_task *task = cio_create_task(pour, &pouring);
    assert_int_equal(drink(&drinking), 0);
    return cio_await(task);
}

struct bulk {
    size_t size;
    int version;
    const char *ciphers;
};

static int serve_both_ways(cio_stream *s, void *arg)
{
    const struct bulk *bulk = arg;
    char byte;
    assert_int_equal(both_ways(s, bulk->size, SEED_DOWN, SEED_UP), 0);
    assert_int_equal(cio_read(s, &byte, 1), 0);
    return cio_close(s);
}

static int storm(void *arg)
{
    struct bulk *bulk = arg;
    struct tls_server server;
    cio_tls_options options = {.max_version = bulk->version, .ciphers = bulk->ciphers};
    cio_tls_context *client = client_context(&options);
    cio_stream *s;
    serve_tls(&server, serve_both_ways, bulk, NULL);
    assert_int_equal(connect_tls(&s, &server, client), 0);
    assert_int_equal(both_ways(s, bulk->size, SEED_UP, SEED_DOWN), 0);
    assert_int_equal(cio_close(s), 0);
    stop_tls(&server);
    cio_tls_context_free(client);
    return 0;
}

TEST(every_byte_arrives_both_ways_at_once)
{
    struct bulk bulk = {.size = (size_t)test_scale(20000000)};
    assert_int_equal(run_quiet(storm, &bulk), 0);
}

TEST(every_byte_arrives_with_tls_1_2)
{
    struct bulk bulk = {(size_t)test_scale(5000000), CIO_TLS_1_2, NULL};
    assert_int_equal(run_quiet(storm, &bulk), 0);
    bulk.ciphers = "ECDHE-ECDSA-AES256-SHA384"; /* its records grow the most */
    assert_int_equal(run_quiet(storm, &bulk), 0);
}

/* ---- stacks: handshakes run on the loop's ---- */

enum { SMALL = 16 * 1024 };

static int echo_frugally(cio_stream *s, void *arg)
{
    const void *data;
    ssize_t n;
    int rc = 0;
    (void)arg;
    while (rc == 0 && (n = cio_peek(s, 1, &data)) > 0) {
        rc = cio_write(s, data, (size_t)n);
        cio_consume(s, (size_t)n);
    }
    return rc;
}

struct frugal {
    const char *port;
    const cio_tls_context *context;
};

static int ask_frugally(void *arg)
{
    const struct frugal *f = arg;
    cio_stream *s;
    char line[20];
    cio_connect_options how = {.tls = f->context, .server_hostname = "localhost"};
    int rc = cio_open_connection(&s, "127.0.0.1", f->port, &how);
    assert_int_equal(rc, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_write(s, "hello\n", 6), 0);
        assert_int_equal(cio_read_line(s, line, sizeof line), 6);
        assert_int_equal(cio_tls_update_keys(s, true), 0);
    }
    return cio_close(s);
}

static int small_stacks(void *arg)
{
    cio_server *server;
    char port[8];
    cio_tls_context *client = client_context(NULL), *ours = server_context(NULL);
    cio_server_options how = {.tls = ours, .stack_size = SMALL};
    (void)arg;
    assert_int_equal(cio_start_server(&server, echo_frugally, NULL, "127.0.0.1", "0", &how), 0);
    name_port(port, server);
    struct frugal f = {port, client};
    for (int i = 0; i < 3; i++) { /* the second is a resumption */
        cio_task_options small = {.stack_size = SMALL};
        assert_int_equal(cio_await(cio_create_task_with(&small, ask_frugally, &f)), 0);
    }
    assert_int_equal(cio_server_close(server), 0);
    assert_int_equal(cio_server_wait_closed(server), 0);
    cio_server_free(server);
    cio_tls_context_free(client);
    cio_tls_context_free(ours);
    return 0;
}

TEST(small_stacks_are_enough)
{
    if (test_is_slow())
        test_skip("sanitizers and emulators need larger frames");
    assert_int_equal(run_quiet(small_stacks, NULL), 0);
}

/* ---- blocking clients, which know OpenSSL only ---- */

struct blocking {
    size_t size;
    const struct tls_server *server;
    int version;
    uint32_t seed;
};

/* Writes and reads in turn, pieces of all sizes. */
static int blocking_client(void *arg)
{
    const struct blocking *b = arg;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(b->server->port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = net_connect_blocking(&address);
    SSL *ssl = blocking_tls(fd, false, b->version);
    enum { MOST = 60000 };
    char *data = malloc(MOST);
    uint32_t random = b->seed;
    assert_int_equal(SSL_connect(ssl), 1);
    for (size_t there = 0, back = 0; there < b->size || back < b->size;) {
        size_t n = net_random(&random, net_random(&random, 2) == 1 ? MOST : 300);
        n = n < b->size - there ? n : b->size - there;
        net_fill(data, n, SEED_UP, there);
        if (n)
            assert_int_equal(SSL_write(ssl, data, (int)n), n);
        there += n;
        while (back < there) {
            int got = SSL_read(ssl, data, (int)net_random(&random, MOST));
            assert_true(got > 0);
            net_check(data, (size_t)got, SEED_DOWN, back);
            back += (size_t)got;
        }
    }
    SSL_shutdown(ssl);
    assert_int_equal(SSL_read(ssl, data, MOST), 0);
    assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
    SSL_free(ssl);
    close(fd);
    free(data);
    return 0;
}

static int client_in_thread(void *arg)
{
    return cio_to_thread(blocking_client, arg);
}

static int blocking_clients(void *arg)
{
    enum { N = 6 };
    struct tls_server server;
    struct bulk bulk = {.size = *(size_t *)arg};
    struct blocking clients[N];
    test_authority();
    test_server();
    serve_tls(&server, serve_both_ways, &bulk, NULL);
    for (int i = 0; i < N; i++)
        clients[i] = (struct blocking){bulk.size, &server, i % 2 ? TLS1_2_VERSION : 0,
                                       (uint32_t)i + 1};
    assert_int_equal(cio_map(client_in_thread, clients, N, sizeof *clients, 3), 0);
    stop_tls(&server);
    return 0;
}

TEST(threads_every_byte_arrives_with_blocking_clients)
{
    size_t size = (size_t)test_scale(2000000);
    assert_int_equal(run_quiet(blocking_clients, &size), 0);
}

/* ---- ends ---- */

/* A stream and a blocking peer's connection, both open. */
struct duo {
    cio_stream *s;
    SSL *peer;
    int fd;
    bool is_server; /* the peer */
    bool is_unix;
    int version;
};

static int peer_shakes(void *arg)
{
    const struct duo *d = arg;
    int ret = SSL_do_handshake(d->peer);
    return ret == 1 ? 0 : CIO_ETLS;
}

static int peer_shakes_in_thread(void *arg)
{
    return cio_to_thread(peer_shakes, arg);
}

static void open_duo_with(struct duo *d, cio_tls_context *context)
{
    int fds[2];
    if (d->is_unix)
        net_pair(fds, SOCK_STREAM);
    else
        net_tcp_pair(fds);
    net_set_blocking(fds[1], true);
    setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    d->fd = fds[1];
    d->peer = blocking_tls(d->fd, d->is_server, d->version);
    assert_int_equal(cio_open_stream(&d->s, fds[0], NULL), 0);
    cio_future *job = cio_create_task(peer_shakes_in_thread, d);
    assert_int_equal(cio_start_tls(d->s, context, "localhost"), 0);
    assert_int_equal(cio_await(job), 0);
}

static void open_duo(struct duo *d)
{
    cio_tls_context *context = d->is_server ? client_context(NULL) : server_context(NULL);
    open_duo_with(d, context);
    cio_tls_context_free(context);
}

static void end_duo(struct duo *d)
{
    SSL_free(d->peer);
    close(d->fd);
}

/* An end that the peer announces, and one that it does not. */
static int ends_of_both_kinds(void *arg)
{
    char data[100];
    struct duo d = *(struct duo *)arg;
    open_duo(&d);
    assert_int_equal(SSL_write(d.peer, "last\n", 5), 5);
    assert_int_equal(SSL_shutdown(d.peer), 0);
    assert_int_equal(cio_read_line(d.s, data, sizeof data), 5);
    assert_int_equal(cio_read_line(d.s, data, sizeof data), 0);
    assert_int_equal(cio_read(d.s, data, sizeof data), 0);
    assert_true(cio_at_eof(d.s));
    assert_int_equal(cio_close(d.s), 0); /* does not wait: both have said it */
    assert_int_equal(SSL_read(d.peer, data, 1), 0);
    assert_int_equal(SSL_get_error(d.peer, 0), SSL_ERROR_ZERO_RETURN);
    end_duo(&d);

    open_duo(&d);
    assert_int_equal(SSL_write(d.peer, "last\nha", 7), 7);
    assert_int_equal(shutdown(d.fd, SHUT_WR), 0);
    assert_int_equal(cio_read_line(d.s, data, sizeof data), 5);
    assert_int_equal(cio_read_line(d.s, data, sizeof data), CIO_ETRUNCATED);
    assert_int_equal(cio_read_exactly(d.s, data, 3), CIO_ETRUNCATED);
    assert_false(cio_at_eof(d.s));
    assert_int_equal(cio_buffered(d.s), 2); /* what came is there */
    assert_int_equal(cio_read(d.s, data, 10), 2);
    assert_memory_equal(data, "ha", 2);
    assert_int_equal(cio_read(d.s, data, 10), CIO_ETRUNCATED);
    assert_non_null(strstr(cio_tls_why(d.s), "without saying so"));
    assert_int_equal(cio_write(d.s, "x", 1), CIO_ETRUNCATED);
    cio_close(d.s);
    end_duo(&d);

    /* In the middle of a record. */
    open_duo(&d);
    assert_int_equal(send(d.fd, "\x17\x03\x03\x01\x00half", 9, 0), 9);
    assert_int_equal(shutdown(d.fd, SHUT_WR), 0);
    assert_int_equal(cio_read(d.s, data, sizeof data), CIO_ETRUNCATED);
    cio_close(d.s);
    end_duo(&d);

    /* Nonsense, and a reset. */
    open_duo(&d);
    assert_int_equal(send(d.fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(cio_read(d.s, data, sizeof data), CIO_ETLS);
    assert_non_null(strstr(cio_tls_why(d.s), "connection: "));
    assert_int_equal(cio_read(d.s, data, sizeof data), CIO_ETLS);
    cio_close(d.s);
    end_duo(&d);
    open_duo(&d);
    SSL_free(d.peer);
    net_reset(d.fd);
    assert_int_equal(cio_read(d.s, data, sizeof data), -ECONNRESET);
    cio_close(d.s);
    return 0;
}

TEST(a_truncated_stream_is_no_ended_one)
{
    assert_int_equal(run_quiet(ends_of_both_kinds, &(struct duo){.is_server = true}), 0);
    assert_int_equal(run_quiet(ends_of_both_kinds, &(struct duo){.version = TLS1_2_VERSION}), 0);
}

/* Nobody is told our end when the peer has reset the connection: and nobody waits for that. */
static int end_after_a_reset(void *arg)
{
    struct duo d = {.is_server = true};
    (void)arg;
    open_duo(&d);
    SSL_free(d.peer);
    net_reset(d.fd);
    int rc = cio_write_eof(d.s);
    assert_true(rc == -ECONNRESET || rc == -EPIPE);
    double began = cio_time(cio_get_running_loop());
    cio_close(d.s);
    assert_true(cio_time(cio_get_running_loop()) - began < 10); /* of the 30 s that it has */
    return 0;
}

TEST(an_end_after_a_reset_is_over_at_once)
{
    assert_int_equal(run_quiet(end_after_a_reset, NULL), 0);
}

/* Our end: the peer hears of it, and may go on (TLS 1.3). */
static int half_closed(void *arg)
{
    struct duo d = {.is_server = true};
    char data[100];
    (void)arg;
    open_duo(&d);
    assert_int_equal(cio_write(d.s, "question", 8), 0);
    assert_int_equal(cio_write_eof(d.s), 0);
    assert_int_equal(cio_write_eof(d.s), 0);
    assert_int_equal(cio_write(d.s, "x", 1), CIO_ESTATE);
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 8);
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 0);
    assert_int_equal(SSL_get_error(d.peer, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(SSL_write(d.peer, "answer", 6), 6);
    assert_int_equal(SSL_shutdown(d.peer), 1);
    assert_int_equal(cio_read_exactly(d.s, data, 6), 6);
    assert_int_equal(cio_read(d.s, data, 1), 0);
    assert_int_equal(cio_close(d.s), 0);
    end_duo(&d);
    return 0;
}

TEST(t60_one_side_may_end_before_the_other)
{
    assert_int_equal(run_quiet(half_closed, NULL), 0);
}

struct closing {
    cio_stream *s;
    int rc;
};

/* A close says so to the peer, and waits for its answer; what comes meanwhile is thrown away. */
static int close_waits(void *arg)
{
    struct duo d = {.is_server = true};
    char data[1000] = "";
    (void)arg;
    open_duo(&d);
    assert_int_equal(cio_write(d.s, "bye", 3), 0);
    cio_task *task = cio_create_task(close_task, &(struct writing){.s = d.s});
    settle_streams();
    assert_false(cio_done(task));
    for (int i = 0; i < 200; i++)
        assert_int_equal(SSL_write(d.peer, data, sizeof data), sizeof data);
    settle_streams();
    assert_false(cio_done(task));
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 3);
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 0);
    assert_int_equal(SSL_shutdown(d.peer), 1);
    assert_int_equal(cio_await(task), 0);
    end_duo(&d);

    /* A peer that only hangs up has lost nothing of what we said. */
    open_duo(&d);
    task = cio_create_task(close_task, &(struct writing){.s = d.s});
    settle_streams();
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 0);
    shutdown(d.fd, SHUT_WR);
    assert_int_equal(cio_await(task), 0);
    end_duo(&d);
    return 0;
}

TEST(a_close_waits_for_the_peers_answer)
{
    assert_int_equal(run_quiet(close_waits, NULL), 0);
}

static int no_answer(void *arg)
{
    struct duo d = {.is_server = true};
    (void)arg;
    cio_tls_options options = {.shutdown_timeout = 0.05};
    cio_tls_context *context = client_context(&options);
    open_duo_with(&d, context);
    assert_int_equal(cio_close(d.s), CIO_ETIMEDOUT);
    end_duo(&d);

    /* Canceled, the close goes on without us, also as long as that. */
    open_duo_with(&d, context);
    cio_task *task = cio_create_task(close_task, &(struct writing){.s = d.s});
    settle_streams();
    assert_true(cio_cancel(task));
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    char byte;
    assert_int_equal(SSL_read(d.peer, &byte, 1), 0);
    assert_int_equal(SSL_get_error(d.peer, 0), SSL_ERROR_ZERO_RETURN);
    net_set_blocking(d.fd, false);
    assert_int_equal(cio_sock_recv(d.fd, &byte, 1), 0); /* until here */
    end_duo(&d);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_close_waits_no_longer_than_the_shutdown_timeout)
{
    assert_int_equal(run_quiet(no_answer, NULL), 0);
}

/* ---- keys ---- */

static int new_keys(void *arg)
{
    struct duo d = {.is_server = true};
    char data[100];
    (void)arg;
    open_duo(&d);
    for (int i = 0; i < 5; i++) {
        /* The peer's, and ours in answer. */
        assert_int_equal(SSL_key_update(d.peer, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(d.peer, "hello", 5), 5);
        assert_int_equal(cio_read_exactly(d.s, data, 5), 5);
        assert_int_equal(cio_write(d.s, "world", 5), 0);
        assert_int_equal(SSL_read(d.peer, data, sizeof data), 5);
        assert_memory_equal(data, "world", 5);
        /* Ours, and the peer's. */
        assert_int_equal(cio_tls_update_keys(d.s, i % 2 == 0), 0);
        assert_int_equal(cio_write(d.s, "again", 5), 0);
        assert_int_equal(SSL_read(d.peer, data, sizeof data), 5);
        assert_int_equal(SSL_write(d.peer, "and", 3), 3);
        assert_int_equal(cio_read_exactly(d.s, data, 3), 3);
    }
    assert_int_equal(SSL_shutdown(d.peer), 0);
    assert_int_equal(cio_close(d.s), 0);
    end_duo(&d);
    assert_int_equal(cio_tls_update_keys(NULL, true), -EINVAL);
    return 0;
}

TEST(keys_are_updated_by_either_side)
{
    assert_int_equal(run_quiet(new_keys, NULL), 0);
}

/* An update that nothing was written after goes out with the end. */
static int new_keys_and_the_end(void *arg)
{
    struct duo d = {.is_server = true};
    char byte;
    (void)arg;
    open_duo(&d);
    assert_int_equal(cio_tls_update_keys(d.s, false), 0);
    assert_int_equal(cio_write_eof(d.s), 0);
    assert_int_equal(SSL_read(d.peer, &byte, 1), 0);
    assert_int_equal(SSL_get_error(d.peer, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(SSL_shutdown(d.peer), 1);
    assert_int_equal(cio_read(d.s, &byte, 1), 0);
    assert_int_equal(cio_close(d.s), 0);
    end_duo(&d);
    return 0;
}

TEST(an_end_right_after_an_update_of_keys)
{
    assert_int_equal(run_quiet(new_keys_and_the_end, NULL), 0);
}

/* A ticket of many records has come in part when we end: the end is told when the rest is there. */
static int big_ticket(SSL *ssl, void *arg)
{
    static const char data[2000];
    (void)arg;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data, sizeof data);
}

static size_t make_ticket(SSL *peer, char *data, size_t size)
{
    BIO *socket = SSL_get_wbio(peer), *memory = BIO_new(BIO_s_mem());
    assert_non_null(memory);
    BIO_up_ref(socket);
    BIO_up_ref(memory);
    SSL_set0_wbio(peer, memory);
    SSL_CTX_set_session_ticket_cb(SSL_get_SSL_CTX(peer), big_ticket, NULL, NULL);
    SSL_set_max_send_fragment(peer, 512);
    assert_int_equal(SSL_new_session_ticket(peer), 1);
    assert_int_equal(SSL_do_handshake(peer), 1);
    int n = BIO_read(memory, data, (int)size);
    assert_true(n > 2000);
    SSL_set0_wbio(peer, socket);
    BIO_free(memory);
    return (size_t)n;
}

static int end_amid_a_ticket(void *arg)
{
    struct duo d = {.is_server = true};
    char ticket[10000], data[10];
    (void)arg;
    open_duo(&d);
    assert_int_equal(SSL_write(d.peer, "first", 5), 5);
    assert_int_equal(cio_read_exactly(d.s, data, 5), 5);
    size_t size = make_ticket(d.peer, ticket, sizeof ticket);
    cio_task *task = cio_create_task(read_task, &(struct reading){d.s, data, sizeof data, NULL});
    net_write(d.fd, ticket, 700);
    settle_streams();
    assert_int_equal(cio_write_eof(d.s), 0);
    net_write(d.fd, ticket + 700, size - 700);
    settle_streams();
    assert_int_equal(SSL_read(d.peer, data, sizeof data), 0);
    assert_int_equal(SSL_get_error(d.peer, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(SSL_write(d.peer, "last", 4), 4);
    assert_int_equal(cio_await(task), 4);
    assert_memory_equal(data, "last", 4);
    assert_int_equal(SSL_shutdown(d.peer), 1);
    assert_int_equal(cio_close(d.s), 0);
    end_duo(&d);
    return 0;
}

TEST(an_end_amid_a_ticket_is_told_after_it)
{
    assert_int_equal(run_quiet(end_amid_a_ticket, NULL), 0);
}

/* Questions for new keys from a peer that reads no answer: bounded, and then it is enough. */
static int key_flood(void *arg)
{
    struct duo d = {.is_server = true, .is_unix = true};
    char byte = 0;
    ssize_t rc = 1;
    (void)arg;
    open_duo(&d);
    net_small_buffers(cio_stream_fd(d.s));
    net_small_buffers(d.fd);
    long before = counted_memory();
    for (int i = 0; rc == 1 && i < 50000; i++) {
        assert_int_equal(SSL_key_update(d.peer, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(d.peer, &byte, 1), 1);
        rc = cio_read(d.s, &byte, 1);
        assert_true(counted_memory() - before < 200000);
    }
    assert_int_equal(rc, CIO_ETLS);
    assert_non_null(strstr(cio_tls_why(d.s), "more answers than it reads"));
    cio_close(d.s);
    end_duo(&d);
    return 0;
}

TEST(a_peer_that_asks_and_does_not_read)
{
    count_memory();
    assert_int_equal(run_quiet(key_flood, NULL), 0);
    count_memory_no_more();
}

static int renegotiation(void *arg)
{
    struct duo d = {.version = TLS1_2_VERSION};
    char data[10];
    (void)arg;
    open_duo(&d);
    assert_int_equal(cio_tls_update_keys(d.s, true), CIO_ESTATE); /* there is no such thing */
    assert_int_equal(SSL_renegotiate(d.peer), 1);
    net_set_blocking(d.fd, false);
    SSL_do_handshake(d.peer);
    struct reading r = {d.s, data, sizeof data, NULL};
    cio_task *task = cio_create_task(read_task, &r);
    settle_streams();
    SSL_do_handshake(d.peer); /* is told no, and gives up */
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    shutdown(d.fd, SHUT_RDWR);
    assert_true(cio_await(task) < 0);
    cio_close(d.s);
    end_duo(&d);
    return 0;
}

TEST(renegotiation_is_refused)
{
    assert_int_equal(run_quiet(renegotiation, NULL), 0);
}

/* ---- memory ---- */

/* Nobody reads: what is held stays bounded, and is small once all is sent. */
static int bounded(void *arg)
{
    struct duo d = {.is_server = true};
    static char much[1000000], got[100000];
    (void)arg;
    open_duo(&d);
    net_small_buffers(cio_stream_fd(d.s));
    net_small_buffers(d.fd);
    long idle = counted_memory();
    struct writing w = {d.s, much, sizeof much};
    cio_task *task = cio_create_task(write_task, &w);
    settle_streams();
    assert_false(cio_done(task));
    assert_true(counted_memory() - idle < 200000);
    for (size_t n = 0; n < sizeof much;) {
        net_set_blocking(d.fd, false);
        int part = SSL_read(d.peer, got, sizeof got);
        n += part > 0 ? (size_t)part : 0;
        assert_int_equal(cio_yield(), 0);
        ERR_clear_error();
    }
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(cio_flush(d.s), 0);
    assert_int_equal(cio_unsent(d.s), 0);
    assert_true(counted_memory() - idle < 200000);
    cio_abort(d.s);
    end_duo(&d);
    return 0;
}

TEST(a_peer_that_never_reads_costs_bounded_memory)
{
    count_memory();
    assert_int_equal(run_quiet(bounded, NULL), 0);
    count_memory_no_more();
}

/* A record that never ends is no reason to run. */
static int half_record(void *arg)
{
    struct duo d = {.is_server = true};
    char data[100];
    (void)arg;
    open_duo(&d);
    assert_int_equal(send(d.fd, "\x17\x03\x03\x01\x00half", 9, 0), 9);
    struct reading r = {d.s, data, sizeof data, NULL};
    cio_task *task = cio_create_task(read_task, &r);
    settle_streams();
    cio_loop_counters before, after;
    cio_loop_get_counters(cio_get_running_loop(), &before);
    assert_int_equal(cio_sleep(0.05), 0);
    cio_loop_get_counters(cio_get_running_loop(), &after);
    assert_true(after.turns - before.turns < 20);
    assert_false(cio_done(task));
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    cio_abort(d.s);
    end_duo(&d);
    return 0;
}

TEST(a_record_that_never_ends_is_waited_for)
{
    assert_int_equal(run_quiet(half_record, NULL), 0);
}
