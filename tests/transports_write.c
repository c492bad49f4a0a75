/*
 * Writing to transports: try first, the queue, the water marks (T57, T58), the end of the writing
 * side, memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "test.h"

static char zeros[200000];

static int write_now(void *arg)
{
    struct recorder r = {0};
    char data[100];
    struct iovec pieces[] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
    (void)arg;
    recorder_begin(&r);
    assert_int_equal(cio_transport_write(r.transport, "hello", 5), 0);
    assert_int_equal(recv(r.peer, data, sizeof data, MSG_DONTWAIT), 5); /* before any turn */
    assert_int_equal(cio_transport_write(r.transport, "", 0), 0);
    assert_int_equal(cio_transport_writev(r.transport, pieces, 3), 0);
    assert_int_equal(recv(r.peer, data, sizeof data, MSG_DONTWAIT), 5);
    assert_memory_equal(data, "abcde", 5);
    assert_int_equal(cio_transport_unsent(r.transport), 0);
    assert_string_equal(noted(), "made");
    cio_transport_close(r.transport);
    recorder_end(&r);
    return 0;
}

TEST(t58_a_write_is_sent_at_once)
{
    assert_int_equal(run_quiet(write_now, NULL), 0);
}

/* Fills the socket, so that what follows is queued. */
static void fill_socket(struct recorder *r)
{
    while (cio_transport_unsent(r->transport) == 0)
        assert_int_equal(cio_transport_write(r->transport, zeros, 5000), 0);
}

/* Reads so many bytes from the peer's end. */
static void drain(const struct recorder *r, size_t size)
{
    static char data[65536];
    while (size) {
        ssize_t n = cio_sock_recv(r->peer, data, size < sizeof data ? size : sizeof data);
        assert_true(n > 0);
        size -= (size_t)n;
    }
}

/* At the low mark, and not when nothing is left. */
static void see_some_left(struct recorder *r)
{
    assert_in_range(cio_transport_unsent(r->transport), 1, 9000);
}

static int water(void *arg)
{
    struct recorder r = {.on_resume = see_some_left};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    net_small_buffers(cio_transport_fd(r.transport)); /* so that it empties in small steps */
    settle_io();
    fill_socket(&r);
    notes_clear();
    assert_int_equal(cio_transport_set_water(r.transport, 20000, 9000), 0);
    size_t unsent = cio_transport_unsent(r.transport);
    assert_int_equal(cio_transport_write(r.transport, zeros, 20000 - unsent), 0);
    assert_int_equal(cio_transport_unsent(r.transport), 20000);
    assert_string_equal(noted(), ""); /* at the mark is not above it */
    assert_int_equal(cio_transport_write(r.transport, "x", 1), 0);
    assert_string_equal(noted(), "pause"); /* inside the call */
    assert_int_equal(cio_transport_write(r.transport, zeros, 50000), 0);
    assert_string_equal(noted(), "pause"); /* once */
    for (int i = 0; i < 1000 && !strstr(noted(), "resume"); i++) {
        drain(&r, 1);
        char data[4096];
        ssize_t n = recv(r.peer, data, sizeof data, MSG_DONTWAIT);
        assert_true(n > 0 || errno == EAGAIN);
        cio_sleep(0);
        if (cio_transport_unsent(r.transport) > 9000)
            assert_string_equal(noted(), "pause");
    }
    assert_string_equal(noted(), "pause resume");
    assert_true(cio_transport_unsent(r.transport) <= 9000);
    cio_transport_abort(r.transport);
    recorder_end(&r);
    return 0;
}

TEST(t57_pause_above_the_high_mark_resume_at_the_low_one)
{
    assert_int_equal(run_quiet(water, NULL), 0);
}

static void assert_water(const cio_transport *t, size_t high, size_t low)
{
    size_t h, l;
    assert_int_equal(cio_transport_get_water(t, &h, &l), 0);
    assert_int_equal(h, high);
    assert_int_equal(l, low);
}

static int marks(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    assert_water(r.transport, 65536, 16384);
    assert_int_equal(cio_transport_set_water(r.transport, 100, 101), -EINVAL);
    assert_water(r.transport, 65536, 16384);
    assert_int_equal(cio_transport_set_water(r.transport, CIO_DEFAULT_WATER, 1000), 0);
    assert_water(r.transport, 4000, 1000);
    assert_int_equal(cio_transport_set_water(r.transport, 1000, CIO_DEFAULT_WATER), 0);
    assert_water(r.transport, 1000, 250);
    assert_int_equal(cio_transport_set_water(r.transport, 0, CIO_DEFAULT_WATER), 0);
    assert_water(r.transport, 0, 0);
    assert_int_equal(cio_transport_set_water(r.transport, CIO_DEFAULT_WATER, CIO_DEFAULT_WATER), 0);
    assert_water(r.transport, 65536, 16384);
    settle_io();
    fill_socket(&r);
    notes_clear();
    assert_int_equal(cio_transport_set_water(r.transport, 0, 0), 0);
    assert_string_equal(noted(), "pause"); /* lowered below what is queued */
    cio_transport_abort(r.transport);
    recorder_end(&r);
    return 0;
}

TEST(t57_the_marks_and_their_defaults)
{
    assert_int_equal(run_quiet(marks, NULL), 0);
}

static void write_more(struct recorder *r)
{
    static int times;
    if (++times > 3)
        cio_transport_close(r->transport);
    while (!cio_transport_is_closing(r->transport) && cio_transport_unsent(r->transport) <= 65536)
        cio_transport_write(r->transport, zeros, 100000);
}

/* Writes inside resume_writing pause again, never one inside the other. */
static int write_in_resume(void *arg)
{
    struct recorder r = {.on_resume = write_more};
    (void)arg;
    recorder_begin(&r);
    fill_socket(&r);
    cio_transport_write(r.transport, zeros, 100000);
    static char data[65536];
    ssize_t n;
    while ((n = cio_sock_recv(r.peer, data, sizeof data)) > 0)
        continue;
    assert_int_equal(n, 0);
    recorder_end(&r);
    assert_string_equal(noted(), "made pause resume pause resume pause resume pause resume lost");
    return 0;
}

TEST(t57_writing_and_closing_in_resume_writing)
{
    assert_int_equal(run_quiet(write_in_resume, NULL), 0);
}

static void abort_it(struct recorder *r)
{
    cio_transport_abort(r->transport);
}

static int abort_in_pause(void *arg)
{
    struct recorder r = {.on_pause = abort_it};
    (void)arg;
    recorder_begin(&r);
    for (int i = 0; i < 1000 && !cio_transport_is_closing(r.transport); i++)
        cio_transport_write(r.transport, zeros, sizeof zeros);
    recorder_end(&r);
    assert_string_equal(noted(), "made pause lost");
    return 0;
}

TEST(t57_abort_in_pause_writing)
{
    assert_int_equal(run_quiet(abort_in_pause, NULL), 0);
}

static int abort_in_resume(void *arg)
{
    struct recorder r = {.on_resume = abort_it};
    (void)arg;
    recorder_begin(&r);
    fill_socket(&r);
    cio_transport_write(r.transport, zeros, 100000);
    static char data[65536];
    while (cio_sock_recv(r.peer, data, sizeof data) > 0)
        continue;
    recorder_end(&r);
    assert_string_equal(noted(), "made pause resume lost");
    return 0;
}

TEST(t57_abort_in_resume_writing)
{
    assert_int_equal(run_quiet(abort_in_resume, NULL), 0);
}

static int ends(void *arg)
{
    struct recorder r = {.keep_open = 1};
    static char data[65536];
    bool queued = arg != NULL;
    size_t n = 0;
    recorder_begin(&r);
    if (queued) {
        fill_socket(&r);
        cio_transport_write(r.transport, zeros, 30000);
    }
    assert_int_equal(cio_transport_write_eof(r.transport), 0);
    assert_int_equal(cio_transport_write_eof(r.transport), 0);
    assert_int_equal(cio_transport_write(r.transport, "x", 1), CIO_ESTATE);
    for (ssize_t part; (part = cio_sock_recv(r.peer, data, sizeof data)) > 0;)
        n += (size_t)part;
    assert_true(queued ? n > 30000 : n == 0);
    assert_int_equal(send(r.peer, "back", 4, 0), 4); /* the other direction is open */
    recorder_wait_for(&r, 4);
    cio_transport_close(r.transport);
    assert_int_equal(cio_transport_write_eof(r.transport), CIO_ESHUTDOWN);
    recorder_end(&r);
    assert_string_equal(noted(), "made data:back lost");
    return 0;
}

TEST(t58_write_eof_with_nothing_queued)
{
    assert_int_equal(run_quiet(ends, NULL), 0);
}

TEST(t58_write_eof_after_what_is_queued)
{
    assert_int_equal(run_quiet(ends, ""), 0);
}

/* Small pieces and large ones, by write and writev, into a slow peer: every byte in its place. */
static int many_pieces(int fds[2])
{
    struct recorder r = {0};
    size_t total = (size_t)test_scale(1000000), sent = 0, got = 0;
    uint32_t random = 7;
    char *data = malloc(50000), *back = malloc(50000);
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    r.peer = fds[1];
    assert_int_equal(cio_open_transport(&r.transport, fds[0], &recording_protocol, &r), 0);
    while (got < total) {
        while (sent < total && cio_transport_unsent(r.transport) < 200000) {
            size_t size = net_random(&random, random % 4 ? 100 : 50000);
            size = size > total - sent ? total - sent : size;
            net_fill(data, size, 3, sent);
            struct iovec pieces[3] = {{data, size / 3}, {data + size / 3, 0}, {data, 0}};
            pieces[2] = (struct iovec){data + size / 3, size - size / 3};
            int rc = random % 2 ? cio_transport_write(r.transport, data, size)
                                : cio_transport_writev(r.transport, pieces, 3);
            assert_int_equal(rc, 0);
            sent += size;
        }
        ssize_t n = cio_sock_recv(r.peer, back, net_random(&random, 50000));
        assert_true(n > 0);
        net_check(back, (size_t)n, 3, got);
        got += (size_t)n;
    }
    cio_transport_close(r.transport);
    recorder_wait(&r);
    assert_int_equal(cio_sock_close(r.peer), 0);
    free(data);
    free(back);
    notes_clear();
    return 0;
}

TEST(every_byte_of_many_pieces)
{
    net_run_on_all(many_pieces);
}

/* A protocol that does not heed pause_writing fills no memory. */
static int never_reading(void *arg)
{
    struct recorder r = {0};
    static char block[1 << 20];
    int rc = 0;
    (void)arg;
    recorder_begin(&r);
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = cio_transport_write(r.transport, block, sizeof block);
    assert_int_equal(rc, -ENOBUFS);
    assert_true(cio_transport_unsent(r.transport) < CIO_WRITE_QUEUE_MAX + 2 * sizeof block);
    assert_false(cio_transport_is_closing(r.transport));
    cio_transport_abort(r.transport);
    recorder_end(&r);
    return 0;
}

TEST(a_peer_that_never_reads_is_bounded_in_memory)
{
    assert_int_equal(run_quiet(never_reading, NULL), 0);
}

/* The peer goes away while much is queued. */
static int reset_with_queue(void *arg)
{
    struct recorder r = {.keep_open = 1};
    int fds[2];
    (void)arg;
    net_connected(fds, NET_TCP);
    r.peer = fds[1];
    assert_int_equal(cio_open_transport(&r.transport, fds[0], &recording_protocol, &r), 0);
    settle_io();
    for (int i = 0; i < 1000 && cio_transport_unsent(r.transport) < 100000; i++)
        cio_transport_write(r.transport, zeros, sizeof zeros);
    cio_transport_pause_reading(r.transport);
    net_reset(r.peer);
    recorder_wait(&r);
    assert_string_equal(noted(), "made pause lost:ECONNRESET");
    return 0;
}

TEST(t61_a_reset_with_a_full_queue)
{
    assert_int_equal(run_quiet(reset_with_queue, NULL), 0);
}
