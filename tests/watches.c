/* Watched file descriptors: add_reader and add_writer. */
#include <stdio.h>
#include <sys/resource.h>

#include "watches.h"

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

/* --- many ------------------------------------------------------------------------------------ */

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
