/*
 * A storm on streams: random sizes, pauses, cancellations at every wait, half closes and resets, in
 * both directions of every connection at once, each byte checked. Every run prints its seed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "test.h"
#ifdef CIO_TESTS_TLS
#include "tls.h"
#endif

enum { CHUNK = 70000 };

/* What a client tells the server of their connection. */
struct header {
    uint32_t seed;
    uint32_t there; /* bytes from client to server */
    uint32_t back;
    uint32_t server_breaks; /* after so many bytes received it aborts; 0: never */
};

/* One end of a connection. */
struct end {
    cio_stream *s;
    uint32_t random;
    uint32_t seed_out;
    uint32_t seed_in;
    size_t out;
    size_t in;
    size_t breaks_after;
    bool broken; /* somebody aborts this connection, or may do so */
    bool calm;   /* no cancellations: the peer is slow enough */
    size_t sent;
    size_t got;
};

static size_t some(struct end *e)
{
    static const size_t most[] = {1, 20, 500, 5000, 20000, CHUNK};
    return net_random(&e->random, most[net_random(&e->random, 6) - 1]);
}

static bool one_in(struct end *e, size_t n)
{
    return net_random(&e->random, n) == 1;
}

/*
 * Not so the receive buffer: the peer has been promised more. Where that is taken back, TCP drops
 * what goes beyond, and with it the acknowledgements of what goes the other way: who writes without
 * reading then waits for ever.
 */
static void small_send_buffer(int fd)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){16384}, sizeof(int)), 0);
}

/* Every so often a call gets a time limit that it may not keep. */
struct limit {
    cio_timeout scope;
    bool set;
};

static void limit_begin(struct limit *l, struct end *e)
{
    l->set = !e->calm && one_in(e, 4);
    if (l->set)
        assert_int_equal(cio_timeout_enter(&l->scope, (double)net_random(&e->random, 20) * 1e-5),
                         0);
}

static ssize_t limit_end(struct limit *l, ssize_t rc)
{
    if (!l->set)
        return rc;
    int end = cio_timeout_exit(&l->scope, rc < 0 ? (int)rc : 0);
    return end < 0 ? end : rc;
}

static void pause_sometimes(struct end *e)
{
    if (one_in(e, 20))
        cio_yield();
    if (one_in(e, 100))
        cio_sleep((double)net_random(&e->random, 100) * 1e-5);
}

static bool is_break(const struct end *e, ssize_t rc)
{
    return e->broken && (rc == -ECONNRESET || rc == -EPIPE || rc == -EBUSY || rc == CIO_EOF ||
                         rc == CIO_ETRUNCATED);
}

/* ---- one direction ---- */

static int write_piece(struct end *e, const char *data, size_t size)
{
    size_t half = size / 2;
    struct iovec pieces[] = {{(char *)data, half}, {(char *)data + half, size - half}};
    return one_in(e, 2) ? cio_write(e->s, data, size) : cio_writev(e->s, pieces, 2);
}

static int pump_out(void *arg)
{
    struct end *e = arg;
    char *data = malloc(CHUNK);
    int rc = 0;
    while (e->sent < e->out) {
        struct limit limit;
        size_t size = some(e);
        size = size < e->out - e->sent ? size : e->out - e->sent;
        net_fill(data, size, e->seed_out, e->sent);
        limit_begin(&limit, e);
        rc = (int)limit_end(&limit, write_piece(e, data, size));
        if (rc == CIO_ETIMEDOUT)
            e->sent += cio_partly_written(e->s);
        else if (rc < 0)
            break;
        else
            e->sent += size;
        pause_sometimes(e);
    }
    free(data);
    if (rc == CIO_ETIMEDOUT)
        rc = 0;
    if (rc == 0 && e->sent == e->out)
        rc = one_in(e, 2) ? cio_write_eof(e->s) : cio_flush(e->s) < 0 ? 0 : cio_write_eof(e->s);
    if (!is_break(e, rc) && rc != -EBUSY)
        assert_true(rc == 0 || e->broken);
    return 0;
}

static ssize_t take(struct end *e, char *data)
{
    size_t size = some(e);
    const void *seen;
    ssize_t n;
    switch (net_random(&e->random, 5)) {
    case 1: n = cio_read_exactly(e->s, data, size); break;
    case 2: {
        struct iovec separators[] = {{"\x17", 1}, {"ab", 2}, {"\0\1\2", 3}};
        n = cio_read_until_any(e->s, separators, 3, data, size + 1, NULL);
        break;
    }
    case 3:
        n = cio_peek(e->s, size < 60000 ? size : 60000, &seen);
        if (n > 0) {
            n = (ssize_t)net_random(&e->random, n < CHUNK ? (size_t)n : CHUNK);
            memcpy(data, seen, (size_t)n);
            assert_int_equal(cio_consume(e->s, (size_t)n), 0);
        }
        break;
    default: n = cio_read(e->s, data, size);
    }
    if (n == CIO_EOF)
        n = (ssize_t)cio_partly_read(e->s); /* 0: the end is told again by whatever comes next */
    else if (n == CIO_ELIMIT)
        n = cio_read(e->s, data, size);
    return n;
}

static int pump_in(void *arg)
{
    struct end *e = arg;
    char *data = malloc(CHUNK + 1);
    ssize_t n;
    for (;;) {
        struct limit limit;
        limit_begin(&limit, e);
        n = take(e, data);
        if (n > 0) { /* it has them, whatever the limit says */
            net_check(data, (size_t)n, e->seed_in, e->got);
            e->got += (size_t)n;
        }
        ssize_t rc = limit_end(&limit, n);
        if (rc == CIO_ETIMEDOUT)
            continue;
        if (n < 0 || (n == 0 && cio_at_eof(e->s)))
            break;
        if (e->breaks_after && e->got >= e->breaks_after)
            break;
        pause_sometimes(e);
    }
    free(data);
    if (n < 0 && !is_break(e, n))
        print_error("%s after %zu of %zu: %s\n", cio_err_name((int)n), e->got, e->in,
                    cio_tls_why(e->s));
    if (n < 0)
        assert_true(is_break(e, n));
    assert_true(e->got <= e->in);
    if (!e->broken)
        assert_int_equal(e->got, e->in);
    return 0;
}

/* Both directions, and the end. */
static int run_end(struct end *e)
{
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    assert_non_null(cio_group_start(&g, pump_out, e));
    int rc = pump_in(e);
    bool aborts = e->breaks_after && e->got >= e->breaks_after;
    if (aborts && one_in(e, 2)) {
        cio_abort(e->s); /* under the other task, which gets -EBUSY */
        e->s = NULL;
    }
    rc = cio_group_exit(&g, rc);
    if (e->s && aborts)
        cio_abort(e->s);
    return rc;
}

/* ---- both ends ours ---- */

static char port[8];

/* The same over TLS, if these are there. */
static cio_tls_context *tls_server, *tls_client;

static int served;

static int serve_one(cio_stream *s, void *arg)
{
    struct header h;
    (void)arg;
    served++;
    ssize_t n = cio_read_exactly(s, &h, sizeof h);
    if (n < 0)
        return 0; /* the client was reset before it said anything */
    struct end e = {.s = s,
                    .random = h.seed * 7 + 1,
                    .seed_out = h.seed + 1,
                    .seed_in = h.seed,
                    .out = h.back,
                    .in = h.there,
                    .breaks_after = h.server_breaks,
                    .broken = h.server_breaks == 1 || h.server_breaks > 1 || h.seed % 5 == 0};
    return run_end(&e);
}

static struct header make_header(uint32_t seed)
{
    uint32_t random = seed;
    size_t most = (size_t)test_scale(300000) + 1000;
    struct header h = {.seed = seed};
    h.there = (uint32_t)(seed % 7 ? net_random(&random, most) : 0);
    h.back = (uint32_t)(seed % 9 ? net_random(&random, most) : 0);
    if (seed % 11 == 0)
        h.server_breaks = (uint32_t)net_random(&random, most);
    return h;
}

static int client(void *arg)
{
    uint32_t seed = *(uint32_t *)arg;
    struct header h = make_header(seed);
    struct end e = {.random = seed * 3 + 1,
                    .seed_out = seed,
                    .seed_in = seed + 1,
                    .out = h.there,
                    .in = h.back,
                    .broken = h.server_breaks || seed % 5 == 0};
    if (seed % 5 == 0)
        e.breaks_after = net_random(&e.random, h.back + 1);
    cio_connect_options options = {
        .high_water = seed % 2 ? 0 : 3000, .limit = 80000, .tls = tls_client};
    assert_int_equal(cio_open_connection(&e.s, "127.0.0.1", port, &options), 0);
    if (seed % 3 == 0)
        small_send_buffer(cio_stream_fd(e.s));
    assert_int_equal(cio_write(e.s, &h, sizeof h), 0);
    assert_int_equal(run_end(&e), 0);
    if (e.s && !(e.breaks_after && e.got >= e.breaks_after))
        cio_close(e.s);
    return 0;
}

static cio_server *start_server(void)
{
    cio_server *server;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd;
    cio_server_options options = {.limit = 80000, .backlog = 4096, .tls = tls_server};
    assert_int_equal(cio_start_server(&server, serve_one, NULL, "127.0.0.1", "0", &options), 0);
    cio_server_sockets(server, &fd, 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    return server;
}

static int storm(void *arg)
{
    uint32_t first = *(uint32_t *)arg;
    enum { MOST = 400 };
    size_t n = (size_t)test_scale(MOST);
    static uint32_t seeds[MOST];
    for (size_t i = 0; i < n; i++)
        seeds[i] = first + (uint32_t)i;
    cio_server *server = start_server();
    assert_int_equal(cio_map(client, seeds, n, sizeof *seeds, 30), 0);
    assert_true(cio_server_shutdown(server, 10) >= 0);
    return cio_server_free(server);
}

static void ignore_reports(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

TEST_SLOW(storm_with_both_ends_ours)
{
    uint32_t seed = (uint32_t)time(NULL) % 1000000 * 1000 + 1;
    print_message("seed %u\n", seed);
    cio_run_options options = {.exception_handler = ignore_reports};
    assert_int_equal(cio_run_with(&options, storm, &seed), 0);
}

#ifdef CIO_TESTS_TLS
TEST_SLOW(storm_over_tls)
{
    uint32_t seed = (uint32_t)time(NULL) % 1000000 * 1000 + 1;
    print_message("seed %u\n", seed);
    cio_run_options options = {.exception_handler = ignore_reports};
    tls_server = server_context(NULL);
    tls_client = client_context(NULL);
    assert_int_equal(cio_run_with(&options, storm, &seed), 0);
    cio_tls_context_free(tls_server);
    cio_tls_context_free(tls_client);
}
#endif

/* ---- plain blocking clients ---- */

struct blocking {
    pthread_t reader;
    uint32_t seed;
    struct header header;
    int fd;
    const struct sockaddr_in *address;
};

static void dawdle(uint32_t *random)
{
    if (net_random(random, 30) == 1)
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void *read_blocking(void *arg)
{
    struct blocking *b = arg;
    static _Thread_local char data[CHUNK];
    uint32_t random = b->seed + 5;
    size_t got = 0;
    for (size_t n = 1; n > 0; got += n) {
        n = net_read(b->fd, data, net_random(&random, CHUNK));
        net_check(data, n, b->seed + 1, got);
        dawdle(&random);
    }
    assert_int_equal(got, b->header.back);
    return NULL;
}

static void *talk_blocking(void *arg)
{
    struct blocking *b = arg;
    static _Thread_local char data[CHUNK];
    uint32_t random = b->seed + 6;
    b->fd = net_connect_blocking(b->address);
    net_write(b->fd, &b->header, sizeof b->header);
    assert_int_equal(pthread_create(&b->reader, NULL, read_blocking, b), 0);
    for (size_t sent = 0; sent < b->header.there;) {
        size_t size = net_random(&random, CHUNK);
        size = size < b->header.there - sent ? size : b->header.there - sent;
        net_fill(data, size, b->seed, sent);
        net_write(b->fd, data, size);
        sent += size;
        dawdle(&random);
    }
    assert_int_equal(shutdown(b->fd, SHUT_WR), 0);
    pthread_join(b->reader, NULL);
    close(b->fd);
    return NULL;
}

static int until_all_have_gone(void *arg)
{
    enum { CLIENTS = 8 };
    static struct blocking clients[CLIENTS];
    static pthread_t threads[CLIENTS];
    uint32_t seed = *(uint32_t *)arg;
    cio_server *server = start_server();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint32_t s = seed + i * 3;
        s += s % 5 == 0;
        clients[i] = (struct blocking){.seed = s, .header = make_header(s), .address = &address};
        clients[i].header.server_breaks = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, talk_blocking, &clients[i]), 0);
    }
    while (served < CLIENTS)
        assert_int_equal(cio_sleep(0.001), 0);
    cio_server_close(server);
    assert_int_equal(cio_server_wait_closed(server), 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    return cio_server_free(server);
}

TEST_SLOW(threads_storm_with_blocking_clients)
{
    uint32_t seed = (uint32_t)time(NULL) % 1000000 * 1000 + 1;
    print_message("seed %u\n", seed);
    assert_int_equal(cio_run(until_all_have_gone, &seed), 0);
}

/* ---- many at once ---- */

/* The kernel refuses those for whom there is no place in its queue. */
enum { DIALING_MOST = 500 };
static int dialing, talking;
static const int *arg_of_many;

static int short_client(void *arg)
{
    uint32_t seed = *(uint32_t *)arg;
    char data[200], back[200];
    size_t size = seed % sizeof data + 1;
    struct header h = {.seed = seed * 5 + 1, .there = (uint32_t)size, .back = (uint32_t)size};
    cio_stream *s;
    while (dialing == DIALING_MOST)
        assert_int_equal(cio_sleep(0.001), 0);
    dialing++;
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, NULL), 0);
    assert_int_equal(cio_write(s, &h, sizeof h), 0);
    dialing--;
    talking++;
    while (talking < *arg_of_many) /* all are connected at the same time */
        assert_int_equal(cio_sleep(0.01), 0);
    net_fill(data, size, h.seed, 0);
    assert_int_equal(cio_write(s, data, size), 0);
    assert_int_equal(cio_read_exactly(s, back, size), size);
    net_check(back, size, h.seed + 1, 0);
    assert_int_equal(cio_write_eof(s), 0);
    assert_int_equal(cio_read(s, back, 1), 0);
    return cio_close(s);
}

static int many(void *arg)
{
    arg_of_many = arg;
    size_t n = (size_t)*arg_of_many;
    uint32_t *seeds = calloc(n, sizeof *seeds);
    for (size_t i = 0; i < n; i++)
        seeds[i] = (uint32_t)i;
    cio_server *server = start_server();
    assert_int_equal(cio_map(short_client, seeds, n, sizeof *seeds, n), 0);
    assert_int_equal(cio_server_shutdown(server, 20), 0);
    free(seeds);
    return cio_server_free(server);
}

/* As many as there are descriptors for, up to 10 000. */
TEST_SLOW(ten_thousand_connections_at_once)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int n = test_scale(10000);
    if ((rlim_t)n > limit.rlim_cur / 2 - 50)
        n = (int)(limit.rlim_cur / 2) - 50;
    print_message("%d connections\n", n);
    assert_int_equal(cio_run(many, &n), 0);
}
