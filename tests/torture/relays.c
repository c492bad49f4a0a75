/*
 * Bytes through a chain of streams, at random: a source that writes and sends pieces of a file,
 * relays by pipe and by copy that are stopped and go on, peers that pause, shrink their buffers,
 * reset and are canceled. Every byte comes, in order and once; where somebody breaks the chain, what
 * came is a beginning, and everybody ends.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "net.h"
#include "random.h"

enum { HOPS_MOST = 3, BYTES_MOST = 400000, PIECE_MOST = 20000, SEED = 7 };

struct hop {
    cio_stream *from, *to;
    bool began;
};

static struct {
    int n_hops;
    size_t size;
    int file; /* the whole of it, in its places */
    cio_stream *source;
    struct hop hops[HOPS_MOST];
    int sink;
    bool breaks; /* somebody does, and errors are to be expected */
    size_t reset_at;
    size_t received;
} world;

/* ---- the chain ---- */

static cio_stream *stream_of(int fd)
{
    cio_stream *s;
    if (chance(30))
        net_small_buffers(fd);
    CHECK(cio_open_stream(&s, fd, NULL) == 0);
    return s;
}

static void build(void)
{
    int fds[2];
    net_connected(fds, (enum net_kind)random_below(NET_KINDS));
    world.source = stream_of(fds[0]);
    for (int i = 0; i < world.n_hops; i++) {
        world.hops[i] = (struct hop){.from = stream_of(fds[1])};
        net_connected(fds, (enum net_kind)random_below(NET_KINDS));
        world.hops[i].to = stream_of(fds[0]);
    }
    world.sink = fds[1];
}

static void pause_sometimes(void)
{
    if (chance(10))
        cio_sleep(random_below(1000) / 1e6);
    else if (chance(30))
        cio_yield();
}

/* Some calls have no time: they are canceled where they are. */
static void enter(cio_timeout *scope)
{
    double seconds = chance(30) ? random_below(500) / 1e6 : CIO_FOREVER;
    CHECK(cio_timeout_enter(scope, seconds) == 0);
}

/* ---- the source ---- */

static int write_piece(size_t at, size_t *ret_sent)
{
    static char piece[PIECE_MOST];
    size_t size = 1 + (size_t)random_below(PIECE_MOST);
    if (size > world.size - at)
        size = world.size - at;
    net_fill(piece, size, SEED, at);
    *ret_sent = size;
    return cio_write(world.source, piece, size);
}

static int send_piece(size_t at, size_t *ret_sent)
{
    int64_t sent = 0, count = chance(10) ? CIO_TO_END : random_below(100000);
    cio_sendfile_options options = {.sent = &sent};
    cio_timeout scope;
    enter(&scope);
    int64_t rc = cio_sendfile_with(world.source, world.file, (int64_t)at, count, &options);
    CHECK(rc < 0 || rc == sent);
    *ret_sent = (size_t)sent;
    int ended = cio_timeout_exit(&scope, rc < 0 ? (int)rc : 0);
    return ended == CIO_ETIMEDOUT ? 0 : ended;
}

static int source(void *arg)
{
    int rc = 0;
    (void)arg;
    for (size_t at = 0, sent; rc == 0 && at < world.size; at += sent) {
        rc = chance(50) ? write_piece(at, &sent) : send_piece(at, &sent);
        pause_sometimes();
    }
    CHECK(rc == 0 || world.breaks);
    rc = rc < 0 ? cio_abort(world.source) : cio_close(world.source);
    CHECK(rc == 0 || world.breaks);
    return 0;
}

/* ---- the relays ---- */

/* By hand, which reads what a stopped relay has given back. 1: the end has come, and was passed on. */
static int copy_piece(struct hop *hop)
{
    char piece[4096];
    ssize_t n = cio_read(hop->from, piece, 1 + (size_t)random_below(sizeof piece));
    if (n == 0) {
        int rc = cio_write_eof(hop->to);
        return rc < 0 ? rc : 1;
    }
    return n < 0 ? (int)n : cio_write(hop->to, piece, (size_t)n);
}

static int relay_piece(struct hop *hop)
{
    cio_relay_options options = {.limit = chance(50) ? 1 + random_below(100000) : 0,
                                 .copy = chance(50)};
    cio_timeout scope;
    enter(&scope);
    int64_t n = cio_relay(hop->from, hop->to, &options);
    CHECK(n < 0 || !options.limit || n <= options.limit);
    int rc = cio_timeout_exit(&scope, n < 0 ? (int)n : 0);
    if (rc == CIO_ETIMEDOUT)
        return 0;
    return rc < 0 ? rc : !options.limit || n < options.limit;
}

static void abort_hop(struct hop *hop)
{
    cio_abort(hop->to);
    cio_abort(hop->from);
}

static int relay(void *arg)
{
    struct hop *hop = arg;
    int rc = 0;
    hop->began = true;
    while (rc == 0) {
        rc = chance(80) ? relay_piece(hop) : copy_piece(hop);
        pause_sometimes();
    }
    CHECK(rc == 1 || world.breaks);
    if (rc == 1 && cio_close(hop->to) == 0 && cio_close(hop->from) == 0)
        return 0;
    CHECK(world.breaks);
    abort_hop(hop);
    return 0;
}

/* One that has not begun never does, and its streams are nobody's. */
static void cancel_one(cio_task *const *relays)
{
    int i = random_below(world.n_hops);
    cio_sleep(random_below(5000) / 1e6);
    if (cio_cancel(relays[i]) && !world.hops[i].began)
        abort_hop(&world.hops[i]);
}

/* ---- the sink ---- */

static int sink(void *arg)
{
    static char piece[PIECE_MOST];
    ssize_t n;
    (void)arg;
    while ((n = cio_sock_recv(world.sink, piece, 1 + (size_t)random_below(sizeof piece))) > 0) {
        CHECK(world.received + (size_t)n <= world.size);
        net_check(piece, (size_t)n, SEED, world.received);
        world.received += (size_t)n;
        if (world.reset_at && world.received >= world.reset_at) {
            net_reset(world.sink);
            return 0;
        }
        pause_sometimes();
    }
    CHECK(n == 0 || world.breaks);
    cio_sock_close(world.sink);
    return 0;
}

static int one_chain(void *arg)
{
    cio_task *relays[HOPS_MOST] = {NULL};
    (void)arg;
    world.n_hops = 1 + random_below(HOPS_MOST);
    world.breaks = chance(30);
    world.size = 1 + (size_t)random_below(world.breaks || chance(50) ? BYTES_MOST : 1000);
    world.file = file_make(world.size, SEED);
    world.reset_at = world.breaks && chance(50) ? 1 + (size_t)random_below((int)world.size) : 0;
    world.received = 0;
    build();
    cio_task *sending = cio_create_task(source, NULL);
    for (int i = 0; i < world.n_hops; i++)
        relays[i] = cio_create_task(relay, &world.hops[i]);
    cio_task *receiving = cio_create_task(sink, NULL);
    if (world.breaks && !world.reset_at)
        cancel_one(relays);
    CHECK(cio_await(sending) == 0);
    for (int i = 0; i < world.n_hops; i++)
        CHECK(cio_await(relays[i]) == 0 || world.breaks);
    CHECK(cio_await(receiving) == 0);
    CHECK(world.breaks || world.received == world.size);
    close(world.file);
    return 0;
}

TEST_SLOW(t64_relays_at_random)
{
    run_seeds(test_scale(400), one_chain);
}
