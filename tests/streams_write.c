/*
 * Writing to streams: waits above the high-water mark, keeps each write together, lends large
 * writes (T58, T70); flush, the end of the writing side, the end of the stream (T59, T72).
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

enum { MUCH = 2000000 };
static char much[MUCH];
static char got[MUCH + 1000];

static void drain(const struct ends *e, size_t size, uint32_t seed, size_t offset)
{
    assert_true(size <= sizeof got);
    for (size_t n = 0; n < size;) {
        ssize_t part = cio_sock_recv(e->peer, got + n, size - n);
        assert_true(part > 0);
        n += (size_t)part;
    }
    net_check(got, size, seed, offset);
}

static int write_now(void *arg)
{
    struct ends e;
    char data[2000];
    struct iovec pieces[] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
    (void)arg;
    ends_open(&e, NULL);
    assert_int_equal(cio_write(e.s, "hello", 5), 0);
    assert_int_equal(recv(e.peer, data, sizeof data, MSG_DONTWAIT), 5);
    assert_int_equal(cio_write(e.s, "", 0), 0);
    assert_int_equal(cio_writev(e.s, pieces, 3), 0);
    assert_int_equal(cio_writev(e.s, pieces, 0), 0);
    assert_int_equal(recv(e.peer, data, sizeof data, MSG_DONTWAIT), 5);
    assert_memory_equal(data, "abcde", 5);
    assert_int_equal(cio_printf(e.s, "%d-%s", 42, "x"), 4);
    assert_int_equal(recv(e.peer, data, sizeof data, MSG_DONTWAIT), 4);
    assert_memory_equal(data, "42-x", 4);
    assert_int_equal(cio_printf(e.s, "%01500d", 7), 1500); /* more than fits on the stack */
    assert_int_equal(recv(e.peer, data, sizeof data, MSG_DONTWAIT), 1500);
    assert_int_equal(data[1499], '7');
    assert_int_equal(cio_unsent(e.s), 0);
    assert_int_equal(cio_flush(e.s), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t58_a_write_is_sent_at_once)
{
    assert_int_equal(run_quiet(write_now, NULL), 0);
}

/* Fills the socket and queues so many bytes behind it. Returns how many were written. */
static size_t fill(const struct ends *e, size_t queued)
{
    size_t written = 0;
    while (cio_unsent(e->s) == 0) {
        assert_int_equal(cio_write(e->s, much + written, 1000), 0);
        written += 1000;
    }
    assert_true(cio_unsent(e->s) <= queued);
    size_t rest = queued - cio_unsent(e->s);
    assert_int_equal(cio_write(e->s, much + written, rest), 0);
    assert_int_equal(cio_unsent(e->s), queued);
    return written + rest;
}

static int water(void *arg)
{
    struct ends e;
    cio_connect_options options = {.high_water = 20000};
    (void)arg;
    ends_open(&e, &options);
    size_t n = fill(&e, 20000); /* at the mark is not above it: that did not wait */
    struct writing w = {e.s, much + n, 1};
    cio_task *task = cio_create_task(write_task, &w);
    settle_streams();
    assert_false(cio_done(task));
    struct writing more = {e.s, much + n + 1, 100};
    cio_task *next = cio_create_task(write_task, &more);
    settle_streams();
    assert_false(cio_done(next)); /* who comes later waits too */
    while (!cio_done(task)) {
        if (recv(e.peer, got, 1000, MSG_DONTWAIT) < 0)
            assert_int_equal(cio_sleep(0.001), 0);
        if (cio_unsent(e.s) > 5000)
            assert_false(cio_done(task));
        assert_true(cio_unsent(e.s) <= 20101);
    }
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(cio_await(next), 0);
    cio_abort(e.s);
    close(e.peer);
    return 0;
}

TEST(t70_a_write_waits_above_the_mark_until_a_quarter_of_it)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(water, NULL), 0);
}

/* Much in one call: sent from the caller's memory, without a copy. */
static int lent(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, NULL);
    struct writing w = {e.s, much, MUCH};
    long before = counted_memory();
    cio_task *task = cio_create_task(write_task, &w);
    settle_streams();
    assert_false(cio_done(task));
    assert_true(counted_memory() - before < 20000);
    drain(&e, MUCH, 1, 0);
    assert_int_equal(cio_await(task), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(a_large_write_needs_no_memory)
{
    net_fill(much, MUCH, 1, 0);
    count_memory();
    assert_int_equal(run_quiet(lent, NULL), 0);
    count_memory_no_more();
}

struct member {
    cio_stream *s;
    uint32_t seed;
    size_t size;
    int rounds;
};

enum { HEADER = 8 };

static int write_messages(void *arg)
{
    struct member *m = arg;
    char *data = malloc(m->size);
    for (int i = 0; i < m->rounds; i++) {
        uint32_t header[2] = {m->seed, (uint32_t)m->size};
        net_fill(data, m->size, m->seed, (size_t)i);
        struct iovec pieces[] = {
            {header, HEADER}, {data, m->size / 2}, {data + m->size / 2, m->size - m->size / 2}};
        int rc = cio_writev(m->s, pieces, 3);
        if (rc < 0) {
            free(data);
            return rc;
        }
    }
    free(data);
    return 0;
}

/* Several tasks write messages of their own to one stream: none is torn. */
static int together(int fds[2])
{
    enum { WRITERS = 6 };
    static const size_t sizes[WRITERS] = {1, 100, 5000, 70000, 200000, 3};
    struct ends e;
    int rounds[WRITERS] = {0}, n = test_scale(4);
    struct member members[WRITERS];
    cio_task *tasks[WRITERS];
    net_small_buffers(fds[0]);
    ends_of(&e, fds, NULL);
    for (uint32_t i = 0; i < WRITERS; i++) {
        members[i] = (struct member){e.s, i, sizes[i], n};
        tasks[i] = cio_create_task(write_messages, &members[i]);
    }
    for (int i = 0; i < WRITERS * n; i++) {
        uint32_t header[2];
        for (size_t k = 0; k < HEADER;)
            k += (size_t)cio_sock_recv(e.peer, (char *)header + k, HEADER - k);
        assert_true(header[0] < WRITERS);
        assert_int_equal(header[1], sizes[header[0]]);
        drain(&e, header[1], header[0], (size_t)rounds[header[0]]++);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(cio_await(tasks[i]), 0);
        assert_int_equal(rounds[i], n);
    }
    assert_int_equal(cio_close(e.s), 0);
    return cio_sock_close(e.peer);
}

TEST(t70_writes_of_several_tasks_stay_together)
{
    net_run_on_all(together);
}

/* Canceled, a write tells how much went out or will; the stream goes on after that byte. */
static int canceled(void *arg)
{
    (void)arg;
    for (int round = 0; round < 12; round++) {
        struct ends e;
        ends_open(&e, NULL);
        size_t n = round % 3 ? 0 : fill(&e, 60000);
        struct writing w = {e.s, much + n, round % 2 ? 900000 : 80000};
        cio_task *task = cio_create_task(write_task, &w);
        settle_streams();
        for (int i = 0; i < round && !cio_done(task); i++) {
            drain(&e, 10000, 1, (size_t)i * 10000);
            cio_yield();
        }
        size_t drained = (size_t)round * 10000;
        bool pending = cio_cancel(task) == 1;
        cio_cancel(task);
        int rc = cio_await(task);
        if (!pending) { /* it had ended: the counts below are not kept then */
            cio_abort(e.s);
            close(e.peer);
            continue;
        }
        assert_int_equal(rc, CIO_ECANCELED);
        size_t part = cio_partly_written(e.s);
        assert_true(part < w.size);
        struct writing rest = {e.s, much + n + part, 1000};
        cio_task *next = cio_create_task(write_task, &rest);
        drain(&e, n + part + 1000 - drained, 1, drained);
        assert_int_equal(cio_await(next), 0);
        assert_int_equal(cio_flush(e.s), 0);
        close(e.peer);
        assert_int_equal(cio_close(e.s), 0);
    }
    return 0;
}

TEST(a_canceled_write_tells_how_far_it_got)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(canceled, NULL), 0);
}

/* The first of two that wait gives up: the second's bytes come whole. */
static int canceled_in_line(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, NULL);
    size_t n = fill(&e, 65536);
    struct writing first = {e.s, much + n, 100000}, second = {e.s, much + n, 100000};
    cio_task *a = cio_create_task(write_task, &first);
    cio_task *b = cio_create_task(write_task, &second);
    settle_streams();
    cio_cancel(a);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_partly_written(e.s), 0);
    drain(&e, n + 100000, 1, 0);
    assert_int_equal(cio_await(b), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(a_canceled_write_in_line_leaves_nothing)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(canceled_in_line, NULL), 0);
}

/* ---- flush, ends ---- */

static int flushing(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, NULL);
    size_t n = fill(&e, 50000);
    struct writing w = {e.s, NULL, 0};
    cio_task *a = cio_create_task(flush_task, &w), *b = cio_create_task(flush_task, &w);
    cio_task *c = cio_create_task(flush_task, &w);
    settle_streams();
    assert_false(cio_done(a) || cio_done(b));
    cio_cancel(c);
    assert_int_equal(cio_await(c), CIO_ECANCELED);
    assert_int_equal(cio_unsent(e.s), 50000);
    drain(&e, n, 1, 0);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_await(b), 0);
    assert_int_equal(cio_unsent(e.s), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t70_several_tasks_flush)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(flushing, NULL), 0);
}

static int ends_side(void *arg)
{
    struct ends e;
    char data[10];
    size_t queued = arg ? 30000 : 0;
    ends_open(&e, NULL);
    size_t n = queued ? fill(&e, queued) : 0;
    assert_int_equal(cio_write_eof(e.s), 0);
    assert_int_equal(cio_write_eof(e.s), 0);
    assert_int_equal(cio_write(e.s, "x", 1), CIO_ESTATE);
    assert_int_equal(cio_write(e.s, "", 0), CIO_ESTATE);
    drain(&e, n, 1, 0);
    assert_int_equal(cio_sock_recv(e.peer, data, 1), 0);
    say_to(&e, "answer");
    assert_int_equal(cio_read(e.s, data, sizeof data), 6);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t58_write_eof)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(ends_side, NULL), 0);
    assert_int_equal(run_quiet(ends_side, ""), 0);
}

static int broken(void *arg)
{
    struct ends e;
    char data[10];
    (void)arg;
    ends_open(&e, NULL);
    say_to(&e, "last words");
    size_t n = fill(&e, 65536);
    (void)n;
    struct writing w = {e.s, much, MUCH};
    cio_task *writer = cio_create_task(write_task, &w);
    cio_task *flusher = cio_create_task(flush_task, &w);
    settle_streams();
    close(e.peer);
    int rc = cio_await(writer);
    assert_true(rc == -EPIPE || rc == -ECONNRESET);
    assert_int_equal(cio_await(flusher), rc);
    assert_int_equal(cio_write(e.s, "x", 1), rc); /* from now on */
    assert_int_equal(cio_flush(e.s), rc);
    assert_int_equal(cio_unsent(e.s), 0);
    assert_int_equal(cio_read(e.s, data, sizeof data), 10); /* what it had sent is there */
    assert_int_equal(cio_close(e.s), rc);
    return 0;
}

TEST(t61_a_broken_connection_is_told_to_all_writers)
{
    assert_int_equal(run_quiet(broken, NULL), 0);
}

static int close_flushes(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, NULL);
    size_t n = fill(&e, 60000);
    struct writing w = {e.s, NULL, 0};
    cio_task *closer = cio_create_task(close_task, &w);
    settle_streams();
    assert_false(cio_done(closer));
    assert_int_equal(cio_close(e.s), CIO_ESTATE);
    assert_int_equal(cio_abort(e.s), CIO_ESTATE);
    assert_int_equal(cio_write(e.s, "x", 1), -EBUSY);
    drain(&e, n, 1, 0);
    assert_int_equal(cio_sock_recv(e.peer, got, 1), 0);
    assert_int_equal(cio_await(closer), 0);
    close(e.peer);
    return 0;
}

TEST(t59_close_waits_until_all_is_sent)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(close_flushes, NULL), 0);
}

/* Canceled, a close goes on without its caller. */
static int close_canceled(void *arg)
{
    bool late = arg != NULL;
    struct ends e;
    ends_open(&e, NULL);
    size_t n = fill(&e, 60000);
    struct writing w = {e.s, NULL, 0};
    cio_task *closer = cio_create_task(close_task, &w);
    if (late)
        settle_streams();
    else
        cio_yield();
    cio_cancel(closer);
    cio_cancel(closer);
    assert_int_equal(cio_await(closer), CIO_ECANCELED);
    drain(&e, n, 1, 0);
    assert_int_equal(cio_sock_recv(e.peer, got, 1), 0);
    close(e.peer);
    return 0;
}

TEST(t59_a_canceled_close_still_sends)
{
    net_fill(much, MUCH, 1, 0);
    assert_int_equal(run_quiet(close_canceled, NULL), 0);
    assert_int_equal(run_quiet(close_canceled, ""), 0);
}

static int close_times_out(void *arg)
{
    struct ends e;
    cio_connect_options options = {.close_timeout = 0.02};
    (void)arg;
    ends_open(&e, &options);
    fill(&e, 60000);
    assert_int_equal(cio_close(e.s), CIO_ETIMEDOUT);
    close(e.peer);
    return 0;
}

TEST(a_close_gives_a_peer_that_never_reads_so_much_time)
{
    assert_int_equal(run_quiet(close_times_out, NULL), 0);
}

/* Others are inside calls when it is closed: they are sent away, each by -EBUSY. */
static int close_under_others(void *arg)
{
    bool aborts = arg != NULL;
    struct ends e;
    char data[10];
    ends_open(&e, NULL);
    struct reading r = {.s = e.s, .data = data, .size = 10};
    struct writing w = {e.s, much, MUCH};
    cio_task *reader = cio_create_task(read_exactly_task, &r);
    cio_task *writer = cio_create_task(write_task, &w);
    cio_task *flusher = cio_create_task(flush_task, &w);
    say_to(&e, "half");
    settle_streams();
    if (aborts) {
        assert_int_equal(cio_abort(e.s), 0);
    } else {
        cio_task *closer = cio_create_task(close_task, &w);
        cio_yield();
        cio_yield();
        cio_cancel(closer);
        assert_true(cio_await(closer) <= 0);
    }
    assert_int_equal(cio_await(reader), -EBUSY);
    assert_int_equal(cio_await(writer), -EBUSY);
    assert_int_equal(cio_await(flusher), -EBUSY);
    close(e.peer);
    settle_streams();
    return 0;
}

TEST(closed_under_others_they_are_sent_away)
{
    assert_int_equal(run_quiet(close_under_others, NULL), 0);
    assert_int_equal(run_quiet(close_under_others, ""), 0);
}

static int leave_open(void *arg)
{
    struct ends *e = arg;
    ends_open(e, NULL);
    return 0;
}

TEST(t72_a_stream_left_open_is_reported_and_given_back)
{
    struct reports reports;
    struct ends e;
    assert_int_equal(run_with_reports(&reports, leave_open, &e), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].message, "stream was never closed");
    close(e.peer);
}

static int leave_closing(void *arg)
{
    struct ends *e = arg;
    ends_open(e, NULL);
    fill(e, 60000);
    struct writing w = {e->s, NULL, 0};
    cio_task *closer = cio_create_task(close_task, &w);
    settle_streams();
    cio_cancel(closer);
    return cio_await(closer) == CIO_ECANCELED ? 0 : -1;
}

TEST(a_close_under_way_at_the_end_is_dropped_silently)
{
    struct ends e;
    assert_int_equal(run_quiet(leave_closing, &e), 0);
    close(e.peer);
}

/* ---- bad input, other places ---- */

static int bad_input(void *arg)
{
    struct ends e;
    struct iovec none = {NULL, 1}, large[2] = {{"x", SIZE_MAX / 2}, {"x", SIZE_MAX / 2}};
    cio_stream *s = (cio_stream *)&e;
    cio_connect_options bad = {.close_timeout = -1}, family = {.family = AF_UNIX};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int fds[2];
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_open_stream(NULL, fds[0], NULL), -EINVAL);
    assert_int_equal(cio_open_stream(&s, fds[0], &bad), -EINVAL);
    assert_null(s);
    assert_int_equal(cio_open_stream(&s, fds[0], &family), -EAFNOSUPPORT);
    assert_int_equal(cio_open_stream(&s, -1, NULL), -EBADF);
    assert_int_equal(cio_open_stream(&s, 9999, NULL), -EBADF);
    ends_of(&e, fds, NULL);
    assert_int_equal(cio_open_stream(&s, fds[0], NULL), CIO_ESTATE);
    assert_int_equal(cio_write(NULL, "x", 1), -EINVAL);
    assert_int_equal(cio_write(e.s, NULL, 1), -EINVAL);
    assert_int_equal(cio_writev(e.s, NULL, 1), -EINVAL);
    assert_int_equal(cio_writev(e.s, &none, 1), -EINVAL);
    assert_int_equal(cio_writev(e.s, large, 2), -EINVAL);
    assert_int_equal(cio_printf(NULL, "x"), -EINVAL);
    assert_int_equal(cio_flush(NULL), -EINVAL);
    assert_int_equal(cio_write_eof(NULL), -EINVAL);
    assert_int_equal(cio_close(NULL), -EINVAL);
    assert_int_equal(cio_abort(NULL), 0);
    assert_int_equal(cio_unsent(NULL), 0);
    assert_int_equal(cio_partly_written(NULL), 0);
    assert_int_equal(cio_stream_fd(NULL), -EINVAL);
    assert_int_equal(cio_stream_fd(e.s), fds[0]);
    assert_false(cio_is_closing(NULL));
    assert_int_equal(cio_peer_name(e.s, NULL, NULL), -EINVAL);
    assert_int_equal(cio_peer_name(NULL, (struct sockaddr *)&address, &size), -EINVAL);
    assert_int_equal(cio_sock_name(NULL, (struct sockaddr *)&address, &size), -EINVAL);
    assert_int_equal(cio_sock_name(e.s, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(address.ss_family, AF_UNIX);
    close(fds[1]);
    return cio_close(e.s);
}

static struct ends outside;

static void call_outside_a_task(void *arg)
{
    char c;
    assert_int_equal(cio_read(outside.s, &c, 1), CIO_ENOTASK);
    assert_int_equal(cio_write(outside.s, &c, 1), CIO_ENOTASK);
    assert_int_equal(cio_flush(outside.s), CIO_ENOTASK);
    assert_int_equal(cio_open_connection(&outside.s, NULL, "1", NULL), CIO_ENOTASK);
    *(bool *)arg = true;
}

static int open_outside(void *arg)
{
    cio_handle handle = {0};
    bool called = false;
    (void)arg;
    ends_open(&outside, NULL);
    cio_stream *s = outside.s;
    cio_call_soon(cio_get_running_loop(), &handle, call_outside_a_task, &called);
    settle_streams();
    assert_true(called);
    close(outside.peer);
    return cio_close(s);
}

TEST(bad_input)
{
    int fds[2];
    cio_stream *s;
    assert_int_equal(run_quiet(bad_input, NULL), 0);
    assert_int_equal(run_quiet(open_outside, NULL), 0);
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_open_stream(&s, fds[0], NULL), CIO_ENOLOOP);
    close(fds[0]);
    close(fds[1]);
}

/* The peer reads nothing; a close waits for what is queued, and that write is not any more. */
static int written_meanwhile(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, &(cio_connect_options){.close_timeout = CIO_FOREVER});
    struct writing w = {e.s, much, MUCH};
    cio_task *writing = cio_create_task(write_task, &w);
    settle_streams();
    assert_int_equal(cio_close(e.s), 0);
    assert_int_equal(cio_await(writing), -EBUSY);
    close(e.peer);
    return 0;
}

TEST(a_close_does_not_wait_for_a_write_that_it_has_sent_away)
{
    assert_int_equal(run_quiet(written_meanwhile, NULL), 0);
}
