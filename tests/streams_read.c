/*
 * Reading from streams: every call, at every boundary, with limits, ends, errors and cancellations
 * (T69).
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

static int read_some(void *arg)
{
    struct ends e;
    char data[100];
    (void)arg;
    ends_open(&e, NULL);
    say_to(&e, "hello");
    assert_int_equal(cio_read(e.s, data, sizeof data), 5);
    assert_memory_equal(data, "hello", 5);
    say_to(&e, "more");
    assert_int_equal(cio_read(e.s, data, 1), 1);
    assert_int_equal(cio_buffered(e.s), 3); /* small reads share a receive */
    assert_int_equal(cio_read(e.s, data, 0), 0);
    assert_int_equal(cio_read(e.s, data, 2), 2);
    assert_int_equal(cio_read(e.s, data, 100), 1);
    assert_int_equal(data[0], 'e');
    assert_false(cio_at_eof(e.s));
    close(e.peer);
    assert_int_equal(cio_read(e.s, data, 0), 0); /* asks nobody */
    assert_false(cio_at_eof(e.s));
    assert_int_equal(cio_read(e.s, data, 100), 0);
    assert_true(cio_at_eof(e.s));
    assert_int_equal(cio_read(e.s, data, 100), 0);
    return cio_close(e.s);
}

TEST(read_gives_what_is_there)
{
    assert_int_equal(run_quiet(read_some, NULL), 0);
}

static int exactly(void *arg)
{
    struct ends e;
    char data[100];
    (void)arg;
    ends_open(&e, NULL);
    say_to(&e, "abcdefgh");
    assert_int_equal(cio_read_exactly(e.s, data, 3), 3);
    assert_int_equal(cio_read_exactly(e.s, data, 0), 0);
    assert_int_equal(cio_read_exactly(e.s, data + 3, 5), 5);
    assert_memory_equal(data, "abcdefgh", 8);
    say_to(&e, "xyz");
    assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
    assert_int_equal(cio_read_exactly(e.s, data, 10), CIO_EOF);
    assert_int_equal(cio_partly_read(e.s), 3);
    assert_memory_equal(data, "xyz", 3);
    assert_int_equal(cio_read_exactly(e.s, data, 10), CIO_EOF);
    assert_int_equal(cio_partly_read(e.s), 0);
    assert_int_equal(cio_read_exactly(e.s, data, 0), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t69_read_exactly_tells_what_came_before_the_end)
{
    assert_int_equal(run_quiet(exactly, NULL), 0);
}

/* Sizes around those at which a read is received straight into the caller's memory. */
static int exactly_sizes(int fds[2])
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 300000};
    static char data[300000], wanted[300000];
    struct ends e;
    net_set_blocking(fds[1], false);
    ends_of(&e, fds, NULL);
    size_t offset = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sending sending = {e.peer, sizes[i] + 10, 5, offset};
        cio_task *sender = cio_create_task(send_bytes, &sending);
        assert_int_equal(cio_read_exactly(e.s, data, 7), 7); /* leaves an odd rest */
        net_check(data, 7, 5, offset);
        assert_int_equal(cio_read_exactly(e.s, data, sizes[i]), sizes[i]);
        net_check(data, sizes[i], 5, offset + 7);
        assert_int_equal(cio_read_exactly(e.s, data, 3), 3);
        net_check(data, 3, 5, offset + 7 + sizes[i]);
        offset += sizes[i] + 10;
        assert_int_equal(cio_await(sender), 0);
    }
    (void)wanted;
    assert_int_equal(cio_close(e.s), 0);
    return cio_sock_close(e.peer);
}

TEST(read_exactly_of_every_size)
{
    net_run_on_all(exactly_sizes);
}

static int until(void *arg)
{
    struct ends e;
    char data[100];
    (void)arg;
    ends_open(&e, NULL);
    say_to(&e, "one\r\ntwo\r\n\r\nrest");
    assert_int_equal(cio_read_until(e.s, "\r\n", data, sizeof data), 5);
    assert_string_equal(data, "one\r\n");
    assert_int_equal(cio_read_until(e.s, "\r\n\r\n", data, sizeof data), 7);
    assert_string_equal(data, "two\r\n\r\n");
    assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
    assert_int_equal(cio_read_until(e.s, "\n", data, sizeof data), CIO_EOF);
    assert_int_equal(cio_partly_read(e.s), 4);
    assert_string_equal(data, "rest");
    assert_int_equal(cio_read_until(e.s, "\n", data, sizeof data), CIO_EOF);
    assert_int_equal(cio_partly_read(e.s), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t69_read_until)
{
    assert_int_equal(run_quiet(until, NULL), 0);
}

/* A separator that comes byte by byte, with false beginnings. */
static int until_in_pieces(void *arg)
{
    static const char text[] = "a\r\r\n\r\r\n\r\nb";
    struct ends e;
    char data[100];
    (void)arg;
    ends_open(&e, NULL);
    struct reading r = {.s = e.s, .data = data, .size = sizeof data, .separator = "\r\n\r\n"};
    cio_task *task = cio_create_task(read_until_task, &r);
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        assert_int_equal(cio_done(task), i > 8);
        assert_int_equal(send(e.peer, &text[i], 1, 0), 1);
        net_settle();
        cio_sleep(0.001);
    }
    assert_int_equal(cio_await(task), 9);
    assert_string_equal(data, "a\r\r\n\r\r\n\r\n");
    assert_int_equal(cio_buffered(e.s) <= 1, 1);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t69_a_separator_in_pieces)
{
    assert_int_equal(run_quiet(until_in_pieces, NULL), 0);
}

static int any(void *arg)
{
    struct ends e;
    char data[100];
    size_t which = 99;
    struct iovec separators[] = {{"END", 3}, {"\n", 1}, {"\0\1", 2}, {"ND", 2}};
    (void)arg;
    ends_open(&e, NULL);
    assert_int_equal(send(e.peer, "aEND\nb\0\1cENbNDx", 15, 0), 15);
    assert_int_equal(cio_read_until_any(e.s, separators, 3, data, sizeof data, &which), 4);
    assert_string_equal(data, "aEND");
    assert_int_equal(which, 0);
    assert_int_equal(cio_read_until_any(e.s, separators, 3, data, sizeof data, &which), 1);
    assert_int_equal(which, 1);
    assert_int_equal(cio_read_until_any(e.s, separators, 3, data, sizeof data, &which), 3);
    assert_int_equal(which, 2);
    assert_int_equal(cio_read_until_any(e.s, separators, 4, data, sizeof data, NULL), 6);
    assert_string_equal(data, "cENbND");
    assert_int_equal(cio_read_until_any(e.s, separators, 0, data, sizeof data, NULL), -EINVAL);
    separators[1].iov_len = 0;
    assert_int_equal(cio_read_until_any(e.s, separators, 3, data, sizeof data, NULL), -EINVAL);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t69_several_separators_the_first_to_end_counts)
{
    assert_int_equal(run_quiet(any, NULL), 0);
}

static int limits(void *arg)
{
    struct ends e;
    char data[100];
    cio_connect_options options = {.limit = 8};
    (void)arg;
    ends_open(&e, &options);
    say_to(&e, "12345678\n"); /* a separator after 8 bytes is within the limit, as in asyncio */
    assert_int_equal(cio_read_until(e.s, "\n", data, sizeof data), 9);
    say_to(&e, "123456789\nab");
    assert_int_equal(cio_read_until(e.s, "\n", data, sizeof data), CIO_ELIMIT);
    assert_int_equal(cio_partly_read(e.s), 9);
    assert_int_equal(cio_buffered(e.s), 12); /* kept */
    assert_int_equal(cio_read_until(e.s, "\n", data, sizeof data), CIO_ELIMIT);
    assert_int_equal(cio_consume(e.s, cio_partly_read(e.s)), 0);
    assert_int_equal(cio_read_until(e.s, "\n", data, sizeof data), 1);
    assert_int_equal(cio_read(e.s, data, sizeof data), 2);
    assert_memory_equal(data, "ab", 2);

    say_to(&e, "abcdefghijk\r");
    assert_int_equal(cio_read_until(e.s, "\r\n", data, sizeof data), CIO_ELIMIT);
    assert_int_equal(cio_partly_read(e.s), 11); /* the beginning of a separator stays */
    assert_int_equal(cio_consume(e.s, 11), 0);
    say_to(&e, "\n");
    assert_int_equal(cio_read_until(e.s, "\r\n", data, sizeof data), 2);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t69_beyond_the_limit_the_data_stay)
{
    assert_int_equal(run_quiet(limits, NULL), 0);
}

static int small_memory(void *arg)
{
    struct ends e;
    char data[6];
    (void)arg;
    ends_open(&e, NULL);
    say_to(&e, "1234\n12345\nx");
    assert_int_equal(cio_read_until(e.s, "\n", data, 6), 5); /* and the NUL */
    assert_string_equal(data, "1234\n");
    assert_int_equal(cio_read_until(e.s, "\n", data, 6), CIO_ELIMIT);
    assert_int_equal(cio_partly_read(e.s), 5);
    assert_int_equal(cio_read_line(e.s, data, 6), CIO_ELIMIT); /* discards the line */
    assert_int_equal(cio_buffered(e.s), 1);
    close(e.peer);
    assert_int_equal(cio_read_line(e.s, data, 6), 1);
    assert_string_equal(data, "x");
    assert_int_equal(cio_read_line(e.s, data, 6), 0);
    assert_string_equal(data, "");
    return cio_close(e.s);
}

TEST(t69_memory_that_is_too_small_is_a_limit_too)
{
    assert_int_equal(run_quiet(small_memory, NULL), 0);
}

static int lines(void *arg)
{
    struct ends e;
    char data[100];
    cio_connect_options options = {.limit = 8};
    (void)arg;
    ends_open(&e, &options);
    say_to(&e, "\nab\n");
    assert_int_equal(cio_read_line(e.s, data, sizeof data), 1);
    assert_int_equal(cio_read_line(e.s, data, sizeof data), 3);
    assert_string_equal(data, "ab\n");
    say_to(&e, "a line too long\nnext\n");
    assert_int_equal(cio_read_line(e.s, data, sizeof data), CIO_ELIMIT);
    assert_int_equal(cio_read_line(e.s, data, sizeof data), 5);
    assert_string_equal(data, "next\n");
    say_to(&e, "no end of it");
    assert_int_equal(cio_read_line(e.s, data, sizeof data), CIO_ELIMIT);
    assert_int_equal(cio_buffered(e.s), 0);
    say_to(&e, "last");
    close(e.peer);
    assert_int_equal(cio_read_line(e.s, data, sizeof data), 4);
    assert_string_equal(data, "last");
    assert_int_equal(cio_read_line(e.s, data, sizeof data), 0);
    return cio_close(e.s);
}

TEST(t69_lines_and_those_that_are_too_long)
{
    assert_int_equal(run_quiet(lines, NULL), 0);
}

static int peeking(void *arg)
{
    struct ends e;
    const void *data;
    cio_connect_options options = {.limit = 100};
    (void)arg;
    ends_open(&e, &options);
    say_to(&e, "abcdef");
    assert_int_equal(cio_peek(e.s, 0, &data), 6);
    assert_memory_equal(data, "abcdef", 6);
    assert_int_equal(cio_consume(e.s, 2), 0);
    assert_int_equal(cio_peek(e.s, 4, &data), 4);
    assert_memory_equal(data, "cdef", 4);
    assert_int_equal(cio_consume(e.s, 5), -EINVAL);
    assert_int_equal(cio_consume(e.s, 0), 0);
    say_to(&e, "gh");
    assert_int_equal(cio_peek(e.s, 6, &data), 6);
    assert_memory_equal(data, "cdefgh", 6);
    assert_int_equal(cio_peek(e.s, 101, &data), CIO_ELIMIT);
    close(e.peer);
    assert_int_equal(cio_peek(e.s, 100, &data), 6); /* the end came */
    assert_int_equal(cio_consume(e.s, 6), 0);
    assert_int_equal(cio_peek(e.s, 1, &data), 0);
    assert_int_equal(cio_consume(e.s, 1), -EINVAL);
    return cio_close(e.s);
}

TEST(peek_and_consume)
{
    assert_int_equal(run_quiet(peeking, NULL), 0);
}

static int large_limit(void *arg)
{
    struct ends e;
    enum { SIZE = 400000 };
    static char data[SIZE + 10];
    cio_connect_options options = {.limit = SIZE};
    const void *seen;
    (void)arg;
    ends_open(&e, &options);
    struct sending sending = {e.peer, SIZE, 9, 0};
    cio_task *sender = cio_create_task(send_bytes, &sending);
    assert_true(cio_peek(e.s, SIZE, &seen) == SIZE);
    net_check(seen, SIZE, 9, 0);
    assert_int_equal(cio_await(sender), 0);
    assert_int_equal(cio_read_exactly(e.s, data, SIZE), SIZE);
    net_check(data, SIZE, 9, 0);
    assert_int_equal(cio_buffered(e.s), 0);
    close(e.peer);
    return cio_close(e.s);
}

TEST(a_limit_above_the_usual_buffer)
{
    assert_int_equal(run_quiet(large_limit, NULL), 0);
}

/* ---- who reads ---- */

static int two_readers(void *arg)
{
    struct ends e;
    char data[10], other[10];
    const void *seen;
    (void)arg;
    ends_open(&e, NULL);
    struct reading r = {.s = e.s, .data = data, .size = 4};
    cio_task *task = cio_create_task(read_exactly_task, &r);
    net_settle();
    assert_int_equal(cio_read(e.s, other, 1), CIO_ESTATE);
    assert_int_equal(cio_read_line(e.s, other, 10), CIO_ESTATE);
    assert_int_equal(cio_peek(e.s, 1, &seen), CIO_ESTATE);
    assert_int_equal(cio_consume(e.s, 0), CIO_ESTATE);
    say_to(&e, "1234");
    assert_int_equal(cio_await(task), 4);
    close(e.peer);
    return cio_close(e.s);
}

TEST(t69_one_reader_at_a_time)
{
    assert_int_equal(run_quiet(two_readers, NULL), 0);
}

static int reset(void *arg)
{
    struct ends e;
    int fds[2];
    char data[10];
    (void)arg;
    net_connected(fds, NET_TCP);
    ends_of(&e, fds, NULL);
    say_to(&e, "ab");
    assert_int_equal(cio_read(e.s, data, 1), 1);
    net_reset(e.peer);
    settle_streams();
    assert_int_equal(cio_read(e.s, data, 10), 1); /* what came before it is not lost */
    assert_int_equal(cio_read(e.s, data, 10), -ECONNRESET);
    assert_int_equal(cio_read_line(e.s, data, 10), -ECONNRESET); /* again and again */
    assert_int_equal(cio_write(e.s, "x", 1), -ECONNRESET);       /* and for writers too */
    assert_int_equal(cio_flush(e.s), -ECONNRESET);
    cio_close(e.s);
    return 0;
}

TEST(t69_an_error_stays_and_writers_have_it_too)
{
    assert_int_equal(run_quiet(reset, NULL), 0);
}

/* ---- cancellations ---- */

/* Each call is canceled while it waits, with something buffered: nothing of it is lost. */
static int canceled(void *arg)
{
    static cio_coroutine *const calls[] = {read_exactly_task, read_until_task, read_line_task,
                                           peek_task, read_task};
    static char data[100000], back[100000];
    (void)arg;
    for (int large = 0; large < 2; large++) {
        for (size_t i = 0; i < 5; i++) {
            struct ends e;
            bool is_read = calls[i] == read_task;
            ends_open(&e, NULL);
            struct reading r = {
                .s = e.s, .data = data, .size = large ? sizeof data : 2000, .separator = "\n"};
            cio_task *task = cio_create_task(calls[i], &r);
            net_settle();
            if (!is_read) {
                say_to(&e, "0123456789");
                settle_streams();
            }
            assert_false(cio_done(task));
            assert_int_equal(cio_cancel(task), 1);
            assert_int_equal(cio_cancel(task), 1);
            assert_int_equal(cio_await(task), CIO_ECANCELED);
            if (!is_read) {
                assert_int_equal(cio_buffered(e.s), 10);
                assert_int_equal(cio_read(e.s, back, 100), 10);
                assert_memory_equal(back, "0123456789", 10);
            }
            say_to(&e, "x\n"); /* and the stream is of use */
            assert_int_equal(cio_read_line(e.s, back, 100), 2);
            close(e.peer);
            assert_int_equal(cio_close(e.s), 0);
        }
    }
    return 0;
}

TEST(t69_canceled_reads_lose_nothing)
{
    assert_int_equal(run_quiet(canceled, NULL), 0);
}

/* Canceled in the same turn in which the data came, and before the task could take them. */
static int canceled_late(void *arg)
{
    char data[100];
    (void)arg;
    for (int turns = 0; turns < 6; turns++) {
        struct ends e;
        ends_open(&e, NULL);
        struct reading r = {.s = e.s, .data = data, .size = 5};
        cio_task *task = cio_create_task(read_exactly_task, &r);
        settle_streams();
        say_to(&e, "12345");
        for (int i = 0; i < turns; i++)
            cio_sleep(0);
        assert_int_equal(cio_cancel(task), !cio_done(task));
        int rc = cio_await(task);
        if (rc == CIO_ECANCELED)
            assert_int_equal(cio_read_exactly(e.s, data, 5), 5);
        else
            assert_int_equal(rc, 5);
        assert_memory_equal(data, "12345", 5);
        close(e.peer);
        assert_int_equal(cio_close(e.s), 0);
    }
    return 0;
}

TEST(canceled_as_the_data_come)
{
    assert_int_equal(run_quiet(canceled_late, NULL), 0);
}

static int bad_input(void *arg)
{
    struct ends e;
    char data[10];
    const void *seen;
    struct iovec separator = {"\n", 1};
    (void)arg;
    ends_open(&e, NULL);
    assert_int_equal(cio_read(NULL, data, 1), -EINVAL);
    assert_int_equal(cio_read(e.s, NULL, 1), -EINVAL);
    assert_int_equal(cio_read_exactly(e.s, NULL, 1), -EINVAL);
    assert_int_equal(cio_read_exactly(NULL, data, 1), -EINVAL);
    assert_int_equal(cio_read_exactly(e.s, data, SIZE_MAX), -EINVAL);
    assert_int_equal(cio_read_until(e.s, "", data, 10), -EINVAL);
    assert_int_equal(cio_read_until(e.s, NULL, data, 10), -EINVAL);
    assert_int_equal(cio_read_until(e.s, "\n", data, 0), -EINVAL);
    assert_int_equal(cio_read_until(e.s, "\n", NULL, 10), -EINVAL);
    assert_int_equal(cio_read_until(NULL, "\n", data, 10), -EINVAL);
    assert_int_equal(cio_read_until_any(e.s, NULL, 1, data, 10, NULL), -EINVAL);
    assert_int_equal(cio_read_until_any(NULL, &separator, 1, data, 10, NULL), -EINVAL);
    assert_int_equal(cio_read_line(e.s, data, 1), -EINVAL);
    assert_int_equal(cio_read_line(e.s, NULL, 10), -EINVAL);
    assert_int_equal(cio_read_line(NULL, data, 10), -EINVAL);
    assert_int_equal(cio_peek(e.s, 1, NULL), -EINVAL);
    assert_int_equal(cio_peek(NULL, 1, &seen), -EINVAL);
    assert_int_equal(cio_consume(NULL, 0), -EINVAL);
    assert_int_equal(cio_partly_read(NULL), 0);
    assert_int_equal(cio_buffered(NULL), 0);
    assert_false(cio_at_eof(NULL));
    close(e.peer);
    return cio_close(e.s);
}

TEST(bad_input)
{
    assert_int_equal(run_quiet(bad_input, NULL), 0);
}

/* ---- memory ---- */

/* Many who have sent the beginning of a line hold little each. */
static int slow_loris(void *arg)
{
    enum { MOST = 500 };
    int n = test_scale(MOST);
    static struct ends e[MOST];
    static struct reading r[MOST];
    static char data[MOST][100];
    static cio_task *tasks[MOST];
    (void)arg;
    for (int i = 0; i < n; i++) {
        ends_open(&e[i], NULL);
        r[i] = (struct reading){
            .s = e[i].s, .data = data[i], .size = sizeof data[i], .separator = "\n"};
        tasks[i] = cio_create_task(read_until_task, &r[i]);
    }
    net_settle();
    long before = counted_memory();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < n; i++)
            say_to(&e[i], "x");
        settle_streams();
    }
    long each = (counted_memory() - before - 16L * 65536) / n;
    assert_true(each <= 512);
    for (int i = 0; i < n; i++) {
        say_to(&e[i], "\n");
        assert_int_equal(cio_await(tasks[i]), 4);
        close(e[i].peer);
    }
    assert_true((counted_memory() - before) <= 16L * 65536); /* none holds a buffer now */
    for (int i = 0; i < n; i++)
        assert_int_equal(cio_close(e[i].s), 0);
    return 0;
}

TEST(slow_loris_holds_little_memory)
{
    count_memory();
    assert_int_equal(run_quiet(slow_loris, NULL), 0);
    count_memory_no_more();
}
