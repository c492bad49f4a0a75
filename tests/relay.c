/* From stream to stream: every byte, in order, none lost; the end, limits, cancellation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"

enum { BIG = 3000000 };

/* source - from | relay | to - target: plain sockets at both ends. */
struct chain {
    struct ends from, to;
    enum net_kind kind;
    cio_relay_options options;
    int64_t relayed;
};

static void chain_open(struct chain *c, enum net_kind kind)
{
    int fds[2];
    *c = (struct chain){.options.relayed = &c->relayed};
    c->relayed = -1;
    c->options.relayed = &c->relayed;
    net_connected(fds, kind);
    ends_of(&c->from, fds, NULL);
    net_connected(fds, kind);
    ends_of(&c->to, fds, NULL);
}

static void chain_close(struct chain *c)
{
    cio_abort(c->from.s);
    cio_abort(c->to.s);
    close(c->from.peer);
    close(c->to.peer);
}

static int relay_task(void *arg)
{
    struct chain *c = arg;
    int64_t rc = cio_relay(c->from.s, c->to.s, &c->options);
    if (rc >= 0)
        assert_int_equal(rc, c->relayed);
    return rc < 0 ? (int)rc : 0;
}

/* Sends it all in pieces of many sizes, and then the end. */
static int pour(void *arg)
{
    struct sending *all = arg;
    uint32_t random = all->seed;
    for (size_t n = 0; n < all->size;) {
        size_t most = net_random(&random, 3) == 1 ? 300000 : 500;
        struct sending part = *all;
        part.offset = n;
        part.size = net_random(&random, most);
        if (part.size > all->size - n)
            part.size = all->size - n;
        int rc = send_bytes(&part);
        if (rc < 0)
            return rc;
        n += part.size;
    }
    return shutdown(all->fd, SHUT_WR);
}

static int every_byte_by(enum net_kind kind, bool copy, int64_t first)
{
    struct chain c;
    chain_open(&c, kind);
    c.options.copy = copy;
    c.options.limit = first;
    struct sending all = {.fd = c.from.peer, .size = BIG, .seed = 7};
    struct file_check check = {.fd = c.to.peer, .seed = 7};
    cio_task *pouring = cio_create_task(pour, &all);
    cio_task *checking = cio_create_task(file_check, &check);
    char line[4];
    const void *data;
    assert_true(cio_peek(c.from.s, 1000, &data) >= 1000); /* what is buffered goes first */
    (void)line;
    if (first) {
        assert_int_equal(relay_task(&c), 0);
        assert_int_equal(c.relayed, first);
        c.options.limit = 0;
    }
    assert_int_equal(relay_task(&c), 0);
    assert_int_equal(c.relayed, BIG - first);
    assert_int_equal(cio_await(pouring), 0);
    assert_int_equal(cio_await(checking), 0); /* the end came through */
    assert_int_equal(check.received, BIG);
    chain_close(&c);
    return 0;
}

static int every_byte(void *arg)
{
    (void)arg;
    for (enum net_kind kind = NET_UNIX; kind < NET_KINDS; kind++)
        for (int how = 0; how < 4; how++)
            every_byte_by(kind, how & 1, how & 2 ? 1234567 : 0);
    return 0;
}

TEST(relay_passes_every_byte_on_and_the_end)
{
    assert_int_equal(run_quiet(every_byte, NULL), 0);
}

static int kept_open(void *arg)
{
    struct chain c;
    char data[10];
    (void)arg;
    chain_open(&c, NET_UNIX);
    c.options.keep_open = true;
    say_to(&c.from, "hello");
    shutdown(c.from.peer, SHUT_WR);
    assert_int_equal(relay_task(&c), 0);
    assert_int_equal(c.relayed, 5);
    assert_int_equal(cio_printf(c.to.s, "!"), 1);
    assert_int_equal(recv(c.to.peer, data, sizeof data, 0), 6);
    assert_int_equal(recv(c.to.peer, data, sizeof data, MSG_DONTWAIT), -1);
    assert_int_equal(cio_relay(c.from.s, c.to.s, NULL), 0);
    assert_int_equal(recv(c.to.peer, data, sizeof data, 0), 0);
    assert_int_equal(cio_relay(c.from.s, c.to.s, NULL), CIO_ESTATE); /* its side has ended */
    chain_close(&c);
    return 0;
}

TEST(relay_passes_the_end_on_by_choice)
{
    assert_int_equal(run_quiet(kept_open, NULL), 0);
}

/* The target does not read; canceled, timed out: what was not sent can still be read. */
static void stop_after(enum net_kind kind, int turns, int how)
{
    struct chain c;
    static char data[BIG];
    cio_event go = CIO_EVENT_INIT;
    chain_open(&c, kind);
    net_small_buffers(cio_stream_fd(c.to.s));
    net_small_buffers(c.to.peer);
    c.options.idle = how == 1 ? 0.01 : 0;
    struct sending all = {.fd = c.from.peer, .size = BIG, .seed = 7};
    struct file_check check = {.fd = c.to.peer, .seed = 7, .pause_at = 300000, .go = &go};
    cio_task *pouring = cio_create_task(pour, &all);
    cio_task *checking = cio_create_task(file_check, &check);
    cio_task *relaying = cio_create_task(relay_task, &c);
    for (int i = 0; i < turns; i++)
        assert_int_equal(cio_yield(), 0);
    if (how == 0) {
        assert_int_equal(cio_cancel(relaying), 1);
        assert_int_equal(cio_cancel(relaying), 1);
    }
    int rc = cio_await(relaying);
    assert_int_equal(rc, how == 0 ? CIO_ECANCELED : CIO_ETIMEDOUT);
    cio_event_set(&go);
    size_t relayed = c.relayed < 0 ? 0 : (size_t)c.relayed; /* it may not have begun */
    assert_int_equal(cio_read_exactly(c.from.s, data, BIG - relayed), BIG - relayed);
    net_check(data, BIG - relayed, 7, relayed);
    assert_int_equal(cio_close(c.to.s), 0);
    assert_int_equal(cio_await(checking), 0);
    assert_int_equal(check.received, relayed);
    assert_int_equal(cio_await(pouring), 0);
    cio_abort(c.from.s);
    close(c.from.peer);
    close(c.to.peer);
}

static int stopped(void *arg)
{
    (void)arg;
    for (enum net_kind kind = NET_UNIX; kind < NET_KINDS; kind++) {
        for (int turns = 0; turns < 40; turns += turns < 10 ? 1 : 6)
            stop_after(kind, turns, 0);
        stop_after(kind, 1, 1);
    }
    return 0;
}

TEST(relay_that_is_stopped_loses_no_byte)
{
    assert_int_equal(run_quiet(stopped, NULL), 0);
}

/* Either stream is ended under it, or its peer goes. */
static int ended(void *arg)
{
    (void)arg;
    for (int how = 0; how < 6; how++) {
        struct chain c;
        chain_open(&c, NET_TCP_OWN);
        net_small_buffers(cio_stream_fd(c.to.s));
        net_small_buffers(c.to.peer);
        struct sending all = {.fd = c.from.peer, .size = BIG, .seed = 7};
        cio_task *relaying = cio_create_task(relay_task, &c);
        cio_task *pouring = how < 5 ? cio_create_task(pour, &all) : NULL;
        settle_streams();
        assert_false(cio_done(relaying));
        struct reading r = {c.from.s, NULL, 0, NULL};
        assert_int_equal(read_task(&r), CIO_ESTATE);
        switch (how) {
        case 0: cio_abort(c.from.s); break;
        case 1: cio_abort(c.to.s); break;
        case 2:
        case 5: cio_close(c.from.s); break;
        case 3: cio_close(c.to.s); break;
        case 4:
            net_reset(c.to.peer);
            close(c.to.peer);
            break;
        }
        int rc = cio_await(relaying);
        assert_true(how == 4 ? rc == -ECONNRESET || rc == -EPIPE : rc == -EBUSY);
        if (how == 1 || how == 3 || how == 4)
            cio_abort(c.from.s);
        if (how != 1 && how != 3)
            cio_abort(c.to.s);
        if (pouring) {
            cio_cancel(pouring);
            cio_await(pouring);
        }
        close(c.from.peer);
        if (how != 4)
            close(c.to.peer);
    }
    return 0;
}

TEST(relay_whose_streams_end)
{
    assert_int_equal(run_quiet(ended, NULL), 0);
}

static int bad_input(void *arg)
{
    struct chain c;
    (void)arg;
    chain_open(&c, NET_UNIX);
    assert_int_equal(cio_relay(NULL, c.to.s, NULL), -EINVAL);
    assert_int_equal(cio_relay(c.from.s, NULL, NULL), -EINVAL);
    assert_int_equal(cio_relay(c.from.s, c.from.s, NULL), -EINVAL);
    c.options.limit = -1;
    assert_int_equal(relay_task(&c), -EINVAL);
    c.options.limit = 0;
    c.options.idle = -1;
    assert_int_equal(relay_task(&c), -EINVAL);
    chain_close(&c);
    return 0;
}

TEST(relay_refuses_bad_input)
{
    assert_int_equal(run_quiet(bad_input, NULL), 0);
}
