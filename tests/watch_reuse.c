/* Watches that are replaced, and descriptor numbers that are used again. Trap T66. */
#include <stdlib.h>

#include "watches.h"

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
 * T66: the old file lives on under another number and is readable, so the kernel still knows it;
 * the watch was properly removed before the number was closed.
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
