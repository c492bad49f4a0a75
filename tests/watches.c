/* Watched file descriptors: add_reader and add_writer. Trap T66. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

struct watch {
    cio_loop *loop;
    cio_handle handle, other;
    int fd;
    int n_left; /* calls until it stops the loop */
};

static void make_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void take(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

/* Writes until nothing more fits. */
static void fill(int fd)
{
    static char block[65536];
    while (write(fd, block, sizeof block) > 0)
        ;
    while (write(fd, block, 1) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
}

static void drain(int fd)
{
    static char block[65536];
    while (read(fd, block, sizeof block) > 0)
        ;
}

static void take_one(void *arg)
{
    struct watch *w = arg;
    take(w->fd);
    note("r");
    if (--w->n_left == 0)
        stop_loop(w->loop);
}

/* Level-triggered: it is called as long as something is left, and no longer. */
TEST(reader_is_called_while_there_is_data)
{
    int fds[2];
    make_pipe(fds);
    put(fds[1], "12345");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    assert_int_equal(cio_add_reader(w.loop, fds[0], &w.handle, take_one, &w), 0);
    run_until_noted(w.loop, 5);
    assert_trace("rrrrr");
    put(fds[1], "6");
    run_until_noted(w.loop, 1);
    assert_trace("r");
    assert_true(cio_handle_pending(&w.handle));
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 1);
    put(fds[1], "7");
    run_for(w.loop, 0.005);
    assert_trace("");
    free_loop(w.loop);
    close_both(fds);
}

static void call_and_count(void *arg)
{
    struct watch *w = arg;
    if (--w->n_left == 0)
        stop_loop(w->loop);
}

TEST(reader_that_reads_nothing_is_called_again)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .n_left = 10};
    cio_add_reader(w.loop, fds[0], &w.handle, call_and_count, &w);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close_both(fds);
}

TEST(writer_is_called_while_there_is_room)
{
    int fds[2];
    make_pipe(fds);
    struct watch w = {.loop = new_loop(), .n_left = 10};
    cio_add_writer(w.loop, fds[1], &w.handle, call_and_count, &w);
    assert_int_equal(cio_run_forever(w.loop), 0);

    fill(fds[1]);
    w.n_left = 1000000;
    run_for(w.loop, 0.005);
    assert_int_equal(w.n_left, 1000000);

    drain(fds[0]);
    w.n_left = 3;
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close_both(fds);
}

static void note_and_remove_reader(void *arg)
{
    struct watch *w = arg;
    note("r");
    assert_int_equal(cio_remove_reader(w->loop, w->fd), 1);
}

static void note_and_remove_writer(void *arg)
{
    struct watch *w = arg;
    note("w");
    assert_int_equal(cio_remove_writer(w->loop, w->fd), 1);
}

/* Both sides of one descriptor: removing one leaves the other. */
TEST(reader_and_writer_of_one_descriptor)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0], .n_left = 3};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    cio_add_writer(w.loop, fds[0], &w.other, call_and_count, &w);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_trace("r");
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 0);
    assert_true(cio_handle_pending(&w.other));

    cio_add_reader(w.loop, fds[0], &w.handle, call_and_count, &w);
    assert_int_equal(cio_remove_writer(w.loop, fds[0]), 1);
    assert_int_equal(cio_add_writer(w.loop, fds[0], &w.other, note_and_remove_writer, &w), 0);
    w.n_left = 5;
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_trace("w");
    free_loop(w.loop);
    close_both(fds);
}

static void remove_both(void *arg)
{
    struct watch *w = arg;
    note("x");
    assert_int_equal(cio_remove_reader(w->loop, w->fd), 1);
    assert_int_equal(cio_remove_writer(w->loop, w->fd), 1);
}

/* Both are ready in one turn; the first to run removes both, so the second is not called. */
TEST(callback_removes_the_other_side_of_its_descriptor)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, remove_both, &w);
    cio_add_writer(w.loop, fds[0], &w.other, remove_both, &w);
    run_until_noted(w.loop, 1);
    assert_trace("x");
    free_loop(w.loop);
    close_both(fds);
}

TEST(remove_tells_whether_there_was_a_watch)
{
    int fds[2];
    make_pair(fds);
    struct watch w = {.loop = new_loop()};
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 0);
    assert_int_equal(cio_remove_writer(w.loop, fds[0]), 0);
    assert_int_equal(cio_remove_reader(w.loop, -1), 0);
    assert_int_equal(cio_remove_writer(w.loop, 1 << 30), 0);
    cio_add_reader(w.loop, fds[0], &w.handle, note, "r");
    assert_int_equal(cio_remove_writer(w.loop, fds[0]), 0);
    assert_int_equal(cio_remove_reader(w.loop, fds[1]), 0);
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 1);
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 0);
    assert_false(cio_handle_pending(&w.handle));
    free_loop(w.loop);
    close_both(fds);
}

TEST(cancel_of_a_watch_is_remove)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop()};
    cio_add_reader(w.loop, fds[0], &w.handle, note, "r");
    cio_add_writer(w.loop, fds[0], &w.other, note, "w");
    assert_true(cio_handle_cancel(&w.handle));
    assert_false(cio_handle_cancel(&w.handle));
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 0);
    assert_true(cio_handle_cancel(&w.other));
    assert_int_equal(cio_remove_writer(w.loop, fds[0]), 0);
    run_for(w.loop, 0.002);
    assert_trace("");
    free_loop(w.loop);
    close_both(fds);
}

static void cancel_myself(void *arg)
{
    struct watch *w = arg;
    note("r");
    assert_true(cio_handle_pending(&w->handle));
    assert_true(cio_handle_cancel(&w->handle));
    assert_false(cio_handle_pending(&w->handle));
    assert_false(cio_handle_cancel(&w->handle));
    assert_int_equal(cio_remove_reader(w->loop, w->fd), 0);
}

TEST(watch_is_canceled_by_its_own_callback)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_handle queued_before = {0};
    cio_call_soon(w.loop, &queued_before, note, "s");
    cio_add_reader(w.loop, fds[0], &w.handle, cancel_myself, &w);
    run_until_noted(w.loop, 2);
    assert_trace("sr");
    free_loop(w.loop);
    close_both(fds);
}

/* --- T66: replacing ----------------------------------------------------------------------------- */

TEST(t66_replaced_watch_is_canceled_and_given_back)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_handle *old = calloc(1, sizeof *old);
    assert_int_equal(cio_add_reader(w.loop, fds[0], old, note, "old"), 0);
    assert_int_equal(cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w), 0);
    assert_false(cio_handle_pending(old));
    assert_false(cio_handle_cancel(old));
    assert_true(cio_handle_pending(&w.handle));
    free(old);
    run_until_noted(w.loop, 1);
    assert_trace("r");
    free_loop(w.loop);
    close_both(fds);
}

static void replace_myself(void *arg)
{
    struct watch *w = arg;
    note("old");
    assert_int_equal(cio_add_reader(w->loop, w->fd, &w->other, note_and_remove_reader, w), 0);
    assert_false(cio_handle_pending(&w->handle));
}

TEST(t66_watch_replaces_itself_in_its_callback)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, replace_myself, &w);
    run_until_noted(w.loop, 4);
    assert_trace("oldr");
    free_loop(w.loop);
    close_both(fds);
}

/* Two readers that are ready in the same turn, each of which ends the other if it is the first. */
struct rivals {
    cio_loop *loop;
    cio_handle handles[2], fresh;
    int fds[2];   /* what they watch */
    int peers[2]; /* what makes it ready */
    int n_calls;
    void (*act)(struct rivals *r, int other);
};

static void rival(struct rivals *r, int mine)
{
    r->n_calls++;
    assert_int_equal(cio_remove_reader(r->loop, r->fds[mine]), 1);
    r->act(r, !mine);
}

static void rival_0(void *arg)
{
    rival(arg, 0);
}

static void rival_1(void *arg)
{
    rival(arg, 1);
}

static void start_rivals(struct rivals *r)
{
    r->loop = new_loop();
    for (int i = 0; i < 2; i++) {
        int fds[2];
        make_pair(fds);
        r->fds[i] = fds[0];
        r->peers[i] = fds[1];
        put(r->peers[i], "x");
        cio_add_reader(r->loop, r->fds[i], &r->handles[i], i ? rival_1 : rival_0, r);
    }
}

static void finish_rivals(struct rivals *r)
{
    free_loop(r->loop);
    close_both(r->fds);
    close_both(r->peers);
}

static void remove_other(struct rivals *r, int other)
{
    assert_int_equal(cio_remove_reader(r->loop, r->fds[other]), 1);
}

TEST(watch_removed_in_the_turn_in_which_it_is_ready_is_not_called)
{
    struct rivals r = {.act = remove_other};
    start_rivals(&r);
    run_for(r.loop, 0.005);
    assert_int_equal(r.n_calls, 1);
    finish_rivals(&r);
}

static void cancel_other(struct rivals *r, int other)
{
    assert_true(cio_handle_cancel(&r->handles[other]));
    assert_int_equal(cio_remove_reader(r->loop, r->fds[other]), 0);
}

TEST(watch_canceled_in_the_turn_in_which_it_is_ready_is_not_called)
{
    struct rivals r = {.act = cancel_other};
    start_rivals(&r);
    run_for(r.loop, 0.005);
    assert_int_equal(r.n_calls, 1);
    finish_rivals(&r);
}

static void replace_other_after_draining(struct rivals *r, int other)
{
    take(r->fds[other]);
    assert_int_equal(cio_add_reader(r->loop, r->fds[other], &r->fresh, note, "stale"), 0);
}

/* The old watch was ready, but the new one has nothing to hear of. */
TEST(t66_readiness_of_a_replaced_watch_is_not_inherited)
{
    struct rivals r = {.act = replace_other_after_draining};
    start_rivals(&r);
    run_for(r.loop, 0.005);
    assert_int_equal(r.n_calls, 1);
    assert_trace("");
    put(r.peers[0], "x");
    put(r.peers[1], "x");
    run_turn(r.loop);
    assert_trace("stale");
    finish_rivals(&r);
}

static void reuse_number_of_other(struct rivals *r, int other)
{
    int fds[2];
    assert_int_equal(cio_remove_reader(r->loop, r->fds[other]), 1);
    close(r->fds[other]);
    close(r->peers[other]);
    make_pair(fds);
    if (fds[0] != r->fds[other]) {
        assert_int_equal(dup2(fds[0], r->fds[other]), r->fds[other]);
        if (fds[1] == r->fds[other])
            fail();
        close(fds[0]);
    }
    r->peers[other] = fds[1];
    assert_int_equal(cio_add_reader(r->loop, r->fds[other], &r->fresh, note, "n"), 0);
}

/* T66: the event of the old file is in the queue already when its number gets a new file. */
TEST(t66_number_reused_within_a_turn_gets_no_stale_event)
{
    struct rivals r = {.act = reuse_number_of_other};
    start_rivals(&r);
    run_for(r.loop, 0.005);
    assert_int_equal(r.n_calls, 1);
    assert_trace("");
    put(r.peers[0], "x");
    put(r.peers[1], "x");
    run_turn(r.loop);
    assert_trace("n");
    finish_rivals(&r);
}

/* Makes a new pair whose first end has this number, which must be free. */
static int pair_at(int fd)
{
    int fds[2];
    make_pair(fds);
    if (fds[0] == fd)
        return fds[1];
    if (fds[1] == fd)
        return fds[0];
    assert_int_equal(dup2(fds[0], fd), fd);
    close(fds[0]);
    return fds[1];
}

/*
 * T66: the old file lives on under another number and is readable, so the kernel still knows it; the
 * watch was properly removed before the number was closed.
 */
TEST(t66_number_reused_while_the_old_file_lives_on)
{
    int fds[2];
    make_pair(fds);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note, "old");
    run_for(w.loop, 0.001);
    int copy = dup(fds[0]);
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 1);
    close(fds[0]);
    put(fds[1], "x");

    int peer = pair_at(fds[0]);
    cio_add_reader(w.loop, fds[0], &w.other, note_and_remove_reader, &w);
    run_for(w.loop, 0.005);
    assert_trace("");
    put(peer, "x");
    run_until_noted(w.loop, 1);
    assert_trace("r");
    free_loop(w.loop);
    close_both(fds);
    close(copy);
    close(peer);
}

/* A number that was closed without removing its watch, which is not allowed, still does no harm. */
TEST(t66_number_closed_with_its_watch_can_be_watched_again)
{
    int fds[2];
    make_pair(fds);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note, "old");
    run_for(w.loop, 0.001);
    close(fds[0]);
    int peer = pair_at(fds[0]);
    assert_int_equal(cio_add_reader(w.loop, fds[0], &w.other, note_and_remove_reader, &w), 0);
    assert_false(cio_handle_pending(&w.handle));
    run_for(w.loop, 0.002);
    assert_trace("");
    put(peer, "x");
    run_until_noted(w.loop, 1);
    assert_trace("r");
    free_loop(w.loop);
    close_both(fds);
    close(peer);
}

TEST(watch_of_a_closed_number_can_be_removed)
{
    int fds[2];
    make_pair(fds);
    struct watch w = {.loop = new_loop()};
    cio_add_reader(w.loop, fds[0], &w.handle, note, "r");
    cio_add_writer(w.loop, fds[0], &w.other, note, "w");
    run_turn(w.loop);
    assert_trace("w");
    close_both(fds);
    assert_int_equal(cio_remove_reader(w.loop, fds[0]), 1);
    assert_int_equal(cio_remove_writer(w.loop, fds[0]), 1);
    assert_false(cio_handle_pending(&w.handle));
    run_for(w.loop, 0.001);
    assert_trace("");
    free_loop(w.loop);
}

/* --- failures of the file ------------------------------------------------------------------------ */

TEST(reader_hears_of_the_end)
{
    int fds[2];
    make_pipe(fds);
    struct watch w = {.loop = new_loop(), .n_left = 3};
    cio_add_reader(w.loop, fds[0], &w.handle, call_and_count, &w);
    close(fds[1]);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close(fds[0]);
}

TEST(reader_hears_of_a_half_closed_socket)
{
    int fds[2];
    make_pair(fds);
    struct watch w = {.loop = new_loop(), .n_left = 3};
    cio_add_reader(w.loop, fds[0], &w.handle, call_and_count, &w);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close_both(fds);
}

/* A full pipe whose reader is gone will never have room, but a write says what is wrong. */
TEST(writer_hears_of_a_failure)
{
    int fds[2];
    make_pipe(fds);
    fill(fds[1]);
    struct watch w = {.loop = new_loop(), .n_left = 3};
    cio_add_writer(w.loop, fds[1], &w.handle, call_and_count, &w);
    close(fds[0]);
    assert_int_equal(cio_run_forever(w.loop), 0);
    assert_int_equal(w.n_left, 0);
    free_loop(w.loop);
    close(fds[1]);
}

TEST(both_watches_hear_of_a_hangup)
{
    int fds[2];
    make_pair(fds);
    fill(fds[0]);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    cio_add_writer(w.loop, fds[0], &w.other, note_and_remove_writer, &w);
    run_for(w.loop, 0.002);
    assert_trace("");
    close(fds[1]);
    run_until_noted(w.loop, 2);
    assert_int_equal(trace.length, 2);
    assert_non_null(strchr(trace.text, 'r'));
    assert_non_null(strchr(trace.text, 'w'));
    free_loop(w.loop);
    close(fds[0]);
}

/* Connects to a port that is taken, so that nobody else gets it, but at which nobody listens. */
static int connect_in_vain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int placeholder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(placeholder, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(placeholder, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), -1);
    assert_true(errno == EINPROGRESS || errno == ECONNREFUSED);
    close(placeholder);
    return fd;
}

TEST(writer_hears_of_a_refused_connection)
{
    struct watch w = {.loop = new_loop(), .fd = connect_in_vain()};
    cio_add_writer(w.loop, w.fd, &w.handle, note_and_remove_writer, &w);
    run_until_noted(w.loop, 1);
    assert_trace("w");
    free_loop(w.loop);
    close(w.fd);
}

static void count_poll(void *arg)
{
    ++*(int *)arg;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* The kernel reports a hangup whether asked or not; without a watch it must not keep the loop awake. */
TEST(hangup_without_a_watch_lets_the_loop_sleep)
{
    int fds[2], n_polls = 0;
    make_pair(fds);
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    close(fds[1]);
    run_until_noted(w.loop, 1);
    assert_trace("r");
    cio_set_poll_hooks(w.loop, count_poll, do_nothing, &n_polls);
    run_for(w.loop, 0.05);
    assert_true(n_polls < 20);
    free_loop(w.loop);
    close(fds[0]);
}

/* The same for data that nobody wants to read while a writer waits for room. */
TEST(data_without_a_reader_lets_the_loop_sleep)
{
    int fds[2], n_polls = 0;
    make_pair(fds);
    fill(fds[0]);
    put(fds[1], "x");
    struct watch w = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(w.loop, fds[0], &w.handle, note_and_remove_reader, &w);
    cio_add_writer(w.loop, fds[0], &w.other, note, "w");
    run_until_noted(w.loop, 1);
    assert_trace("r");
    cio_set_poll_hooks(w.loop, count_poll, do_nothing, &n_polls);
    run_for(w.loop, 0.05);
    assert_true(n_polls < 20);
    assert_trace("");
    free_loop(w.loop);
    close_both(fds);
}

TEST(regular_file_cannot_be_watched)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    struct watch w = {.loop = new_loop()};
    assert_int_equal(cio_add_reader(w.loop, fileno(file), &w.handle, note, "x"), -EPERM);
    assert_int_equal(cio_add_writer(w.loop, fileno(file), &w.handle, note, "x"), -EPERM);
    assert_false(cio_handle_pending(&w.handle));
    assert_int_equal(cio_remove_reader(w.loop, fileno(file)), 0);
    run_turn(w.loop);
    assert_trace("");
    free_loop(w.loop);
    fclose(file);
}

TEST(closed_descriptor_cannot_be_watched)
{
    int fds[2];
    struct watch w = {.loop = new_loop()};
    make_pipe(fds);
    close_both(fds);
    const int bad[] = {fds[0], -1, -100, INT32_MIN, 1 << 30, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(cio_add_reader(w.loop, bad[i], &w.handle, note, "x"), -EBADF);
        assert_int_equal(cio_add_writer(w.loop, bad[i], &w.handle, note, "x"), -EBADF);
        assert_int_equal(cio_remove_reader(w.loop, bad[i]), 0);
        assert_false(cio_handle_pending(&w.handle));
    }
    run_turn(w.loop);
    free_loop(w.loop);
}

/* --- many ---------------------------------------------------------------------------------------- */

static int n_missing;

static void take_and_count(void *arg)
{
    struct watch *w = arg;
    take(w->fd);
    w->n_left--;
    if (--n_missing == 0)
        stop_loop(w->loop);
}

TEST(many_descriptors_each_get_their_own_events)
{
    enum { N = 200, ROUNDS = 5 };
    static struct watch watches[N];
    int peers[N];
    cio_loop *loop = new_loop();
    for (int i = 0; i < N; i++) {
        int fds[2];
        make_pair(fds);
        watches[i] = (struct watch){.loop = loop, .fd = fds[0], .n_left = ROUNDS};
        peers[i] = fds[1];
        cio_add_reader(loop, fds[0], &watches[i].handle, take_and_count, &watches[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            put(peers[(i * 7) % N], "x");
        n_missing = N;
        assert_int_equal(cio_run_forever(loop), 0);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(watches[i].n_left, 0);
    free_loop(loop);
    for (int i = 0; i < N; i++) {
        close(watches[i].fd);
        close(peers[i]);
    }
}

TEST(high_descriptor_number_can_be_watched)
{
    int fds[2];
    struct rlimit limit;
    make_pair(fds);
    getrlimit(RLIMIT_NOFILE, &limit);
    int highest = limit.rlim_cur > 100000 ? 100000 : (int)limit.rlim_cur - 1;
    struct watch w = {.loop = new_loop(), .fd = highest};
    assert_int_equal(dup2(fds[0], highest), highest);
    assert_int_equal(cio_add_reader(w.loop, highest, &w.handle, note_and_remove_reader, &w), 0);
    put(fds[1], "x");
    run_until_noted(w.loop, 1);
    assert_trace("r");
    free_loop(w.loop);
    close(highest);
    close_both(fds);
}

TEST(two_loops_watch_one_descriptor)
{
    int fds[2];
    make_pair(fds);
    put(fds[1], "xy");
    struct watch a = {.loop = new_loop(), .fd = fds[0]}, b = {.loop = new_loop(), .fd = fds[0]};
    cio_add_reader(a.loop, fds[0], &a.handle, note_and_remove_reader, &a);
    cio_add_reader(b.loop, fds[0], &b.handle, note_and_remove_reader, &b);
    run_for(a.loop, 0.002);
    run_until_noted(b.loop, 2);
    assert_trace("rr");
    free_loop(a.loop);
    free_loop(b.loop);
    close_both(fds);
}
