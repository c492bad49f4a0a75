/*
 * Files to streams and sockets (T64): every byte and no other, in order with what is written,
 * partial when it is canceled, and the connection as good as before when the file is at fault.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"

enum { BIG = 3000000 };
static char zeros[300000];

/* ---- every byte ---- */

struct part {
    size_t size; /* of the file */
    int64_t offset;
    int64_t count;
    int64_t sent;
};

static const struct part parts[] = {
    {0, 0, CIO_TO_END, 0},
    {1, 0, CIO_TO_END, 1},
    {1, 0, 0, 0},
    {100, 0, 100, 100},
    {100, 30, 50, 50},
    {100, 30, 1000, 70},
    {100, 100, 10, 0},
    {100, 5000000000, 10, 0},
    {8192, 0, 8192, 8192},
    {8193, 0, 8193, 8193},
    {9000, 1, INT64_MAX, 8999},
    {300000, 4095, CIO_TO_END, 295905},
    {BIG, 0, BIG, BIG},
    {BIG, 777, CIO_TO_END, BIG - 777},
};

static bool by_stream;

static void send_part(const int fds[2], const struct part *part)
{
    int file = file_make(part->size, 7);
    int64_t sent = -1;
    cio_sendfile_options options = {.sent = &sent};
    struct file_check check = {.fd = fds[1], .seed = 7, .offset = (size_t)part->offset};
    cio_task *checking = cio_create_task(file_check, &check);
    if (by_stream) {
        cio_stream *s;
        assert_int_equal(cio_open_stream(&s, fds[0], NULL), 0);
        assert_int_equal(cio_sendfile_with(s, file, part->offset, part->count, &options),
                         part->sent);
        assert_int_equal(cio_close(s), 0);
    } else {
        assert_int_equal(cio_sock_sendfile(fds[0], file, part->offset, part->count, &options),
                         part->sent);
        cio_sock_close(fds[0]);
    }
    assert_int_equal(cio_await(checking), 0);
    assert_int_equal(check.received, part->sent);
    assert_int_equal(sent, part->sent);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 0); /* nobody's position has moved */
    cio_sock_close(fds[1]);
    close(file);
}

static int every_byte(int fds[2])
{
    static enum net_kind kind;
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        net_connected(fds, kind);
        send_part(fds, &parts[i]);
        kind = (enum net_kind)((kind + 1) % NET_KINDS);
    }
    return 0;
}

TEST(t64_a_stream_sends_every_byte_and_no_other)
{
    by_stream = true;
    net_run_on_all(every_byte);
}

TEST(t64_a_socket_sends_every_byte_and_no_other)
{
    net_run_on_all(every_byte);
}

/* In memory, where no file system says what is cached. */
static int from_memory(void *arg)
{
    int fds[2];
    char data[20000];
    (void)arg;
    int file = memfd_create("cio", MFD_CLOEXEC);
    assert_true(file >= 0);
    net_fill(data, sizeof data, 3, 0);
    assert_int_equal(pwrite(file, data, sizeof data, 0), sizeof data);
    net_tcp_pair(fds);
    struct file_check check = {.fd = fds[1], .seed = 3};
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 0, 100, NULL), 100);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 100, CIO_TO_END, NULL), sizeof data - 100);
    cio_sock_close(fds[0]);
    file_check_end(checking, &check, sizeof data);
    close(file);
    return 0;
}

TEST(sendfile_from_a_file_system_that_cannot_tell)
{
    assert_int_equal(cio_run(from_memory, NULL), 0);
}

static int from_disk(void *arg)
{
    int fds[2];
    (void)arg;
    int file = file_make(BIG, 7);
    bool was_cold = file_make_cold(file, BIG);
    net_tcp_pair(fds);
    struct file_check check = {.fd = fds[1], .seed = 7};
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 0, BIG, NULL), BIG);
    cio_sock_close(fds[0]);
    file_check_end(checking, &check, BIG);
    close(file);
    return was_cold;
}

TEST(sendfile_of_what_is_not_in_memory)
{
    if (cio_run(from_disk, NULL) == 0)
        test_skip("the page cache keeps what it should drop");
}

/* ---- order ---- */

struct file_to_stream {
    cio_stream *s;
    int file;
    int64_t offset, count;
    int64_t sent;
};

static int send_task(void *arg)
{
    struct file_to_stream *f = arg;
    cio_sendfile_options options = {.sent = &f->sent};
    int64_t rc = cio_sendfile_with(f->s, f->file, f->offset, f->count, &options);
    if (rc >= 0)
        assert_int_equal(rc, f->sent);
    return rc < 0 ? (int)rc : 0;
}

/* So much is written that some is queued. */
static size_t fill(const struct ends *e)
{
    size_t n = 0;
    while (cio_unsent(e->s) == 0) {
        assert_int_equal(cio_write(e->s, zeros, 5000), 0);
        n += 5000;
    }
    return n;
}

/* What was written before comes before it, what is written meanwhile after it, and then the end. */
static int order(int fds[2])
{
    struct ends e;
    ends_of(&e, fds, NULL);
    int file = file_make(BIG, 7);
    struct file_check check = {.fd = e.peer, .before = fill(&e), .seed = 7};
    struct file_to_stream first = {.s = e.s, .file = file, .count = 1000000};
    struct file_to_stream second = {.s = e.s, .file = file, .offset = 1100000, .count = CIO_TO_END};
    char *between = malloc(100000);
    assert_non_null(between);
    net_fill(between, 100000, 7, 1000000);
    cio_task *sending = cio_create_task(send_task, &first);
    net_settle();
    struct writing w = {e.s, between, 100000};
    cio_task *writing = cio_create_task(write_task, &w);
    net_settle();
    cio_task *again = cio_create_task(send_task, &second);
    net_settle();
    assert_false(cio_done(sending) || cio_done(writing) || cio_done(again));
    assert_int_equal(cio_write_eof(e.s), 0); /* behind all of it */
    assert_int_equal(file_check(&check), 0);
    assert_int_equal(check.received, check.before + BIG);
    assert_int_equal(cio_await(sending), 0);
    assert_int_equal(cio_await(writing), 0);
    assert_int_equal(cio_await(again), 0);
    assert_int_equal(cio_close(e.s), 0);
    cio_sock_close(e.peer);
    free(between);
    close(file);
    return 0;
}

TEST(t64_earlier_writes_leave_first_and_later_ones_behind_it)
{
    net_run_on_all(order);
}

/* A flush waits for it. */
static int flushed(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, NULL);
    int file = file_make(BIG, 7);
    struct file_to_stream f = {.s = e.s, .file = file, .count = BIG};
    struct file_check check = {.fd = e.peer, .seed = 7};
    cio_task *sending = cio_create_task(send_task, &f);
    net_settle();
    struct writing w = {.s = e.s};
    cio_task *flushing = cio_create_task(flush_task, &w);
    net_settle();
    assert_false(cio_done(flushing));
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_await(flushing), 0);
    assert_int_equal(cio_await(sending), 0);
    assert_int_equal(cio_close(e.s), 0);
    file_check_end(checking, &check, BIG);
    close(file);
    return 0;
}

TEST(sendfile_is_waited_for_by_flush)
{
    assert_int_equal(run_quiet(flushed, NULL), 0);
}

/* ---- cancellation ---- */

/* After so many turns of the loop; then the stream goes on where the file stopped. */
static int canceled_after(int turns)
{
    struct ends e;
    ends_open(&e, NULL);
    int file = file_make(BIG, 7);
    cio_event go = CIO_EVENT_INIT;
    struct file_to_stream f = {.s = e.s, .file = file, .count = BIG, .sent = -1};
    struct file_check check = {.fd = e.peer, .seed = 7, .pause_at = BIG / 2, .go = &go};
    cio_task *checking = cio_create_task(file_check, &check);
    cio_task *sending = cio_create_task(send_task, &f);
    for (int i = 0; i < turns; i++)
        assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_cancel(sending), 1);
    assert_int_equal(cio_cancel(sending), 1); /* twice is once */
    assert_int_equal(cio_await(sending), CIO_ECANCELED);
    if (turns == 0)
        assert_int_equal(f.sent, -1); /* it never began */
    else
        assert_int_equal(cio_partly_written(e.s), f.sent);
    cio_event_set(&go);
    int64_t rest = BIG - (turns ? f.sent : 0);
    assert_int_equal(cio_sendfile(e.s, file, BIG - rest, CIO_TO_END), rest);
    assert_int_equal(cio_close(e.s), 0);
    file_check_end(checking, &check, BIG);
    close(file);
    return 0;
}

static int cancel(void *arg)
{
    (void)arg;
    for (int turns = 0; turns < 12; turns++)
        canceled_after(turns);
    return 0;
}

TEST(t64_canceled_it_says_how_much_was_sent_and_the_stream_goes_on)
{
    assert_int_equal(run_quiet(cancel, NULL), 0);
}

/* It waits behind what others wrote, and is canceled there: nothing of it was sent. */
static int cancel_behind(void *arg)
{
    struct ends e;
    (void)arg;
    ends_open(&e, NULL);
    int file = file_make(100, 7);
    size_t n = fill(&e);
    struct file_to_stream f = {.s = e.s, .file = file, .count = 100};
    cio_task *sending = cio_create_task(send_task, &f);
    net_settle();
    assert_int_equal(cio_unsent(e.s) > 0, 1);
    assert_int_equal(cio_cancel(sending), 1);
    assert_int_equal(cio_await(sending), CIO_ECANCELED);
    assert_int_equal(f.sent, 0);
    struct file_check check = {.fd = e.peer, .before = n};
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_close(e.s), 0);
    file_check_end(checking, &check, n);
    close(file);
    return 0;
}

TEST(sendfile_canceled_behind_writes_has_sent_nothing)
{
    assert_int_equal(run_quiet(cancel_behind, NULL), 0);
}

struct to_socket {
    int fd, file;
    int64_t sent;
};

static int socket_task(void *arg)
{
    struct to_socket *t = arg;
    cio_sendfile_options options = {.sent = &t->sent};
    return (int)cio_sock_sendfile(t->fd, t->file, 0, CIO_TO_END, &options);
}

/* Canceled, closed: at a wait for the socket. */
static int end_socket(int fds[2])
{
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    for (int how = 0; how < 2; how++) {
        int file = file_make(BIG, 7);
        struct to_socket t = {.fd = fds[0], .file = file};
        cio_task *sending = cio_create_task(socket_task, &t);
        settle_streams();
        assert_false(cio_done(sending));
        if (how == 0)
            assert_int_equal(cio_cancel(sending), 1);
        else
            cio_sock_close(fds[0]);
        assert_int_equal(cio_await(sending), how == 0 ? CIO_ECANCELED : -EBADF);
        if (how == 0) {
            assert_in_range(t.sent, 1, BIG - 1);
            struct file_check check = {.fd = fds[1], .seed = 7};
            cio_task *checking = cio_create_task(file_check, &check);
            while (check.received < (size_t)t.sent)
                assert_int_equal(cio_sleep(0.001), 0);
            assert_int_equal(check.received, t.sent);
            cio_cancel(checking);
            assert_int_equal(cio_await(checking), CIO_ECANCELED);
        }
        close(file);
    }
    cio_sock_close(fds[1]);
    return 0;
}

TEST(sendfile_to_a_socket_that_is_canceled_or_closed)
{
    net_run_on_all(end_socket);
}

/* ---- the connection ends ---- */

static int closed_meanwhile(void *arg)
{
    (void)arg;
    for (int how = 0; how < 2; how++) {
        struct ends e;
        ends_open(&e, &(cio_connect_options){.close_timeout = CIO_FOREVER});
        int file = file_make(BIG, 7);
        struct file_to_stream f = {.s = e.s, .file = file, .count = BIG};
        cio_task *sending = cio_create_task(send_task, &f);
        settle_streams();
        assert_false(cio_done(sending));
        if (how == 0)
            assert_int_equal(cio_close(e.s), 0); /* the peer reads nothing: it must not wait */
        else
            assert_int_equal(cio_abort(e.s), 0);
        assert_int_equal(cio_await(sending), -EBUSY);
        assert_in_range(f.sent, 1, BIG - 1);
        close(e.peer);
        close(file);
    }
    return 0;
}

TEST(sendfile_of_a_stream_that_is_closed_meanwhile)
{
    assert_int_equal(run_quiet(closed_meanwhile, NULL), 0);
}

static int reset(int fds[2])
{
    struct ends e;
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    ends_of(&e, fds, NULL);
    int file = file_make(BIG, 7);
    struct file_to_stream f = {.s = e.s, .file = file, .count = BIG};
    cio_task *sending = cio_create_task(send_task, &f);
    settle_streams();
    net_reset(e.peer);
    cio_sock_close(e.peer);
    int rc = cio_await(sending);
    assert_true(rc == -ECONNRESET || rc == -EPIPE);
    assert_in_range(f.sent, 1, BIG - 1);
    rc = (int)cio_sendfile(e.s, file, 0, 100000); /* would raise SIGPIPE by itself */
    assert_true(rc == -ECONNRESET || rc == -EPIPE);
    assert_int_equal(cio_partly_written(e.s), 0);
    cio_close(e.s);
    close(file);
    return 0;
}

TEST(sendfile_to_a_peer_that_resets)
{
    signal(SIGPIPE, SIG_DFL);
    net_run_on_all(reset);
}

static int broken_pipe(int fds[2])
{
    sigset_t before, after;
    int file = file_make(100000, 7);
    cio_sendfile_options options = {.native_only = true};
    cio_sock_close(fds[1]);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    int64_t rc = 0;
    for (int i = 0; i < 100 && rc >= 0; i++) { /* TCP hears of it after the first */
        rc = cio_sock_sendfile(fds[0], file, 0, CIO_TO_END, &options);
        assert_int_equal(cio_sleep(0.001), 0);
    }
    assert_true(rc == -EPIPE || rc == -ECONNRESET);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 0, CIO_TO_END, &options), -EPIPE);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGPIPE), sigismember(&before, SIGPIPE));
    sigpending(&after);
    assert_false(sigismember(&after, SIGPIPE));
    cio_sock_close(fds[0]);
    close(file);
    return 0;
}

TEST(sendfile_raises_no_sigpipe)
{
    signal(SIGPIPE, SIG_DFL);
    net_run_on_all(broken_pipe);
}

/* ---- the file is at fault ---- */

static int bad_files(void *arg)
{
    struct ends e;
    int pipes[2];
    (void)arg;
    ends_open(&e, NULL);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int64_t counts[] = {10, 100000, CIO_TO_END};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_sendfile(e.s, -1, 0, counts[i]), -EBADF);
        assert_int_equal(cio_sendfile(e.s, 1000000, 0, counts[i]), -EBADF);
        assert_int_equal(cio_sendfile(e.s, pipes[0], 0, counts[i]), -ESPIPE);
        assert_int_equal(cio_sendfile(e.s, folder, 0, counts[i]), -EISDIR);
        assert_int_equal(cio_sendfile(e.s, write_only, 0, counts[i]), -EBADF);
        assert_int_equal(cio_sock_sendfile(e.peer, pipes[0], 0, counts[i], NULL), -ESPIPE);
    }
    assert_int_equal(cio_sendfile(e.s, folder, 0, 0), 0); /* nothing of it is nothing */
    assert_int_equal(cio_printf(e.s, "still there"), 11);
    char data[20];
    assert_int_equal(recv(e.peer, data, sizeof data, MSG_DONTWAIT), 11);
    assert_int_equal(cio_close(e.s), 0);
    close(e.peer);
    close(pipes[0]);
    close(pipes[1]);
    close(folder);
    close(write_only);
    return 0;
}

TEST(t64_a_bad_file_leaves_the_connection_alone)
{
    assert_int_equal(run_quiet(bad_files, NULL), 0);
}

static int bad_input(void *arg)
{
    struct ends e;
    (void)arg;
    int64_t sent = 5;
    cio_sendfile_options options = {.sent = &sent};
    int file = file_make(10, 7);
    ends_open(&e, NULL);
    assert_int_equal(cio_sendfile(NULL, file, 0, 1), -EINVAL);
    assert_int_equal(cio_sendfile(e.s, file, -1, 1), -EINVAL);
    assert_int_equal(cio_sendfile(e.s, file, 0, -2), -EINVAL);
    assert_int_equal(cio_sendfile_with(e.s, file, 0, INT64_MIN, &options), -EINVAL);
    assert_int_equal(sent, 0);
    assert_int_equal(cio_sock_sendfile(-1, file, 0, 1, NULL), -EINVAL);
    assert_int_equal(cio_sock_sendfile(1000000, file, 0, 1, NULL), -EBADF);
    assert_int_equal(cio_sock_sendfile(e.peer, file, -1, 1, NULL), -EINVAL);
    assert_int_equal(cio_transport_sendfile(NULL, file, 0, 1, NULL), -EINVAL);
    assert_int_equal(cio_write_eof(e.s), 0);
    assert_int_equal(cio_sendfile(e.s, file, 0, 1), CIO_ESTATE);
    cio_close(e.s);
    close(e.peer);
    close(file);
    return 0;
}

TEST(sendfile_refuses_bad_input)
{
    assert_int_equal(cio_sock_sendfile(0, 0, 0, 1, NULL), CIO_ENOTASK);
    assert_int_equal(run_quiet(bad_input, NULL), 0);
}

/* Cut while it is sent: fewer bytes are reported, and the stream lives. */
static int cut(void *arg)
{
    struct ends e;
    cio_event go = CIO_EVENT_INIT;
    (void)arg;
    ends_open(&e, NULL);
    int file = file_make(BIG, 7);
    struct file_to_stream f = {.s = e.s, .file = file, .count = BIG};
    struct file_check check = {.fd = e.peer, .seed = 7, .pause_at = 100000, .go = &go};
    cio_task *checking = cio_create_task(file_check, &check);
    cio_task *sending = cio_create_task(send_task, &f);
    settle_streams();
    assert_false(cio_done(sending));
    assert_int_equal(ftruncate(file, 2000000), 0);
    cio_event_set(&go);
    assert_int_equal(cio_await(sending), 0);
    assert_int_equal(f.sent, 2000000);
    assert_int_equal(cio_close(e.s), 0);
    file_check_end(checking, &check, 2000000);
    close(file);
    return 0;
}

TEST(t64_a_file_that_is_cut_meanwhile)
{
    assert_int_equal(run_quiet(cut, NULL), 0);
}

/* A blocking socket would stop the loop, as sendfile() cannot be told not to wait. */
static int blocking(int fds[2])
{
    int file = file_make(BIG, 7);
    cio_sendfile_options options = {.native_only = true};
    net_set_blocking(fds[0], true);
    net_small_buffers(fds[0]);
    net_small_buffers(fds[1]);
    assert_int_equal(cio_sock_sendfile(fds[0], file, 0, BIG, &options), -EOPNOTSUPP);
    struct to_socket t = {.fd = fds[0], .file = file};
    struct file_check check = {.fd = fds[1], .seed = 7};
    cio_task *sending = cio_create_task(socket_task, &t);
    settle_streams();
    assert_false(cio_done(sending));
    cio_task *checking = cio_create_task(file_check, &check);
    assert_int_equal(cio_await(sending), BIG);
    cio_sock_close(fds[0]);
    file_check_end(checking, &check, BIG);
    close(file);
    return 0;
}

TEST(sendfile_to_a_blocking_socket_does_not_stop_the_loop)
{
    net_run_on(NET_UNIX, NET_TCP, blocking);
}

/* ---- fairness ---- */

static int read_all(void *arg)
{
    int fd = (int)(intptr_t)arg;
    static char data[1 << 20];
    ssize_t n;
    while ((n = cio_sock_recv(fd, data, sizeof data)) > 0)
        ;
    return (int)n;
}

/* However fast the peer is, the others have a turn after each quarter of a megabyte. */
static int fair(void *arg)
{
    int fds[2], turns = 0;
    (void)arg;
    net_tcp_pair(fds);
    int file = file_make(BIG, 7);
    struct to_socket t = {.fd = fds[0], .file = file};
    cio_task *reading = cio_create_task(read_all, (void *)(intptr_t)fds[1]);
    cio_task *sending = cio_create_task(socket_task, &t);
    while (!cio_done(sending)) {
        assert_int_equal(cio_yield(), 0);
        turns++;
    }
    assert_true(turns >= BIG / (256 * 1024));
    assert_int_equal(cio_await(sending), BIG);
    cio_sock_close(fds[0]);
    assert_int_equal(cio_await(reading), 0);
    cio_sock_close(fds[1]);
    close(file);
    return 0;
}

TEST(sendfile_lets_others_run)
{
    assert_int_equal(cio_run(fair, NULL), 0);
}
