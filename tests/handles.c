/* Handles are their owner's: embedded in other structs, reused, freed by their own callbacks. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

struct job {
    char before[24];
    cio_handle handle;
    char after[24];
    cio_loop *loop;
    struct job *other;
    int n_left;
    int fd;
};

static struct job *new_job(cio_loop *loop)
{
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    memset(job->before, 0x55, sizeof job->before);
    memset(job->after, 0x55, sizeof job->after);
    job->loop = loop;
    return job;
}

/* Overwritten first, so that a use after this shows also without a sanitizer. */
static void free_job(struct job *job)
{
    for (size_t i = 0; i < sizeof job->before; i++)
        assert_true(job->before[i] == 0x55 && job->after[i] == 0x55);
    memset(job, 0xa5, sizeof *job);
    free(job);
}

static void finish_job(void *arg)
{
    note("x");
    free_job(arg);
}

TEST(handle_may_be_freed_by_its_own_callback)
{
    cio_loop *loop = new_loop();
    for (int i = 0; i < 5; i++) {
        struct job *soon = new_job(loop), *timer = new_job(loop), *posted = new_job(loop);
        cio_call_soon(loop, &soon->handle, finish_job, soon);
        cio_call_later(loop, &timer->handle, 0.0, finish_job, timer);
        cio_call_soon_threadsafe(loop, &posted->handle, finish_job, posted);
    }
    run_until_noted(loop, 15);
    assert_trace("xxxxxxxxxxxxxxx");
    free_loop(loop);
}

static void stop_watching(void *arg)
{
    struct job *job = arg;
    assert_true(cio_handle_pending(&job->handle));
    assert_int_equal(cio_remove_reader(job->loop, job->fd), 1);
    assert_false(cio_handle_pending(&job->handle));
    close(job->fd);
    finish_job(job);
}

TEST(watch_may_be_freed_by_its_own_callback)
{
    cio_loop *loop = new_loop();
    for (int i = 0; i < 5; i++) {
        int fds[2];
        struct job *job = new_job(loop);
        assert_int_equal(pipe(fds), 0);
        job->fd = fds[0];
        cio_add_reader(loop, job->fd, &job->handle, stop_watching, job);
        close(fds[1]);
    }
    run_until_noted(loop, 5);
    assert_trace("xxxxx");
    free_loop(loop);
}

static void free_the_other(void *arg)
{
    struct job *job = arg;
    note("1");
    assert_true(cio_handle_cancel(&job->other->handle));
    free_job(job->other);
}

/* Canceling takes it out of the queue of the running turn: nothing points to it any more. */
TEST(canceled_handle_may_be_freed_at_once)
{
    cio_loop *loop = new_loop();
    struct job *first = new_job(loop), *second = new_job(loop), *third = new_job(loop);
    first->other = second;
    cio_call_soon(loop, &first->handle, free_the_other, first);
    cio_call_soon(loop, &second->handle, note, "2");
    cio_call_soon(loop, &third->handle, note, "3");
    run_turn(loop);
    assert_trace("13");
    free_job(first);
    free_job(third);
    free_loop(loop);
}

TEST(posted_handle_may_be_canceled_and_freed_by_the_loops_thread)
{
    cio_loop *loop = new_loop();
    struct job *jobs[5];
    static const char *const letters[] = {"0", "1", "2", "3", "4"};
    for (int i = 0; i < 5; i++) {
        jobs[i] = new_job(loop);
        cio_call_soon_threadsafe(loop, &jobs[i]->handle, note, (void *)letters[i]);
    }
    static const int canceled[] = {2, 4, 0};
    for (int i = 0; i < 3; i++) {
        assert_true(cio_handle_cancel(&jobs[canceled[i]]->handle));
        free_job(jobs[canceled[i]]);
    }
    run_turn(loop);
    assert_trace("13");
    free_job(jobs[1]);
    free_job(jobs[3]);
    free_loop(loop);
}

TEST(cancel_tells_whether_a_call_was_pending)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    assert_false(cio_handle_cancel(NULL));
    assert_false(cio_handle_cancel(&handle));
    assert_false(cio_handle_pending(NULL));
    assert_false(cio_handle_pending(&handle));

    cio_call_soon(loop, &handle, note, "never");
    assert_true(cio_handle_pending(&handle));
    assert_true(cio_handle_cancel(&handle));
    assert_false(cio_handle_pending(&handle));
    assert_false(cio_handle_cancel(&handle));
    run_turn(loop);
    assert_trace("");

    cio_call_soon(loop, &handle, note, "x");
    run_turn(loop);
    assert_false(cio_handle_pending(&handle));
    assert_false(cio_handle_cancel(&handle));
    assert_trace("x");
    free_loop(loop);
}

static void again(void *arg)
{
    struct job *job = arg;
    assert_false(cio_handle_pending(&job->handle));
    assert_false(cio_handle_cancel(&job->handle));
    note("x");
    if (--job->n_left == 0)
        return;
    assert_int_equal(cio_call_soon(job->loop, &job->handle, again, job), 0);
    assert_true(cio_handle_pending(&job->handle));
}

TEST(handle_may_be_used_again_by_its_own_callback)
{
    struct job *job = new_job(new_loop());
    job->n_left = 3;
    cio_call_soon(job->loop, &job->handle, again, job);
    for (int i = 0; i < 3; i++) {
        run_turn(job->loop);
        assert_trace("x");
    }
    run_turn(job->loop);
    assert_trace("");
    free_loop(job->loop);
    free_job(job);
}

static void cancel_myself_again(void *arg)
{
    struct job *job = arg;
    note("x");
    assert_int_equal(cio_call_soon(job->loop, &job->handle, note, "never"), 0);
    assert_true(cio_handle_cancel(&job->handle));
}

TEST(handle_used_again_can_be_canceled_in_the_same_callback)
{
    struct job *job = new_job(new_loop());
    cio_call_soon(job->loop, &job->handle, cancel_myself_again, job);
    run_turn(job->loop);
    run_turn(job->loop);
    assert_trace("x");
    free_loop(job->loop);
    free_job(job);
}

/* Canceled and queued again: it lost its place, and it runs once. */
TEST(handle_queued_again_goes_to_the_end)
{
    cio_loop *loop = new_loop();
    cio_handle a = {0}, b = {0}, c = {0};
    cio_call_soon(loop, &a, note, "a");
    cio_call_soon(loop, &b, note, "b");
    cio_call_soon(loop, &c, note, "c");
    assert_true(cio_handle_cancel(&a));
    cio_call_soon(loop, &a, note, "A");
    run_turn(loop);
    run_turn(loop);
    assert_trace("bcA");
    free_loop(loop);
}

/* One handle goes through every kind of use; each leaves it clean for the next. */
TEST(handle_changes_its_kind)
{
    int fds[2];
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_call_soon(loop, &handle, note, "s"), 0);
        run_turn(loop);
        assert_int_equal(cio_call_later(loop, &handle, 0.0, note, "t"), 0);
        run_turn(loop);
        assert_int_equal(cio_add_writer(loop, fds[0], &handle, note, "w"), 0);
        run_turn(loop);
        assert_true(cio_handle_cancel(&handle));
        assert_int_equal(cio_call_soon_threadsafe(loop, &handle, note, "p"), 0);
        run_turn(loop);
        assert_int_equal(cio_call_later(loop, &handle, 60.0, note, "never"), 0);
        assert_true(cio_handle_cancel(&handle));
    }
    assert_trace("stwpstwpstwp");
    free_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

TEST(handle_moves_between_loops)
{
    cio_loop *a = new_loop(), *b = new_loop();
    cio_handle handle = {0};
    assert_int_equal(cio_call_soon(a, &handle, note, "a"), 0);
    assert_int_equal(cio_call_soon(b, &handle, note, "b"), CIO_ESTATE);
    run_turn(b);
    run_turn(a);
    assert_int_equal(cio_call_later(b, &handle, 0.0, note, "b"), 0);
    run_turn(a);
    run_turn(b);
    assert_trace("ab");
    free_loop(a);
    free_loop(b);
}

struct counter {
    cio_handle handle;
    int number;
};

static int n_counted;

static void count_in_order(void *arg)
{
    const struct counter *counter = arg;
    assert_true(counter->number >= n_counted);
    n_counted = counter->number + 1;
}

/* More than any ring holds at first, with every third one canceled. */
TEST(many_handles_keep_their_order)
{
    int n = test_scale(200000);
    struct counter *counters = calloc((size_t)n, sizeof *counters);
    cio_loop *loop = new_loop();
    for (int i = 0; i < n; i++) {
        counters[i].number = i;
        assert_int_equal(cio_call_soon(loop, &counters[i].handle, count_in_order, &counters[i]), 0);
    }
    for (int i = 0; i < n - 1; i += 3)
        assert_true(cio_handle_cancel(&counters[i].handle));
    run_turn(loop);
    assert_int_equal(n_counted, n);
    free_loop(loop);
    free(counters);
}

/* Half run, then more come, then half run ...: wherever the ring's ends are, nothing is lost. */
TEST(queue_that_wraps_and_grows_keeps_its_order)
{
    enum { N = 3000 };
    struct counter *counters = calloc(N, sizeof *counters);
    cio_loop *loop = new_loop();
    for (int size = 1; size < N; size = size * 3 / 2 + 1) {
        for (int round = 0; round < 5; round++) {
            n_counted = 0;
            for (int i = 0; i < size; i++) {
                counters[i].number = i;
                cio_call_soon(loop, &counters[i].handle, count_in_order, &counters[i]);
            }
            run_turn(loop);
            assert_int_equal(n_counted, size);
        }
    }
    free_loop(loop);
    free(counters);
}

/* The handles of a closed loop are free; the memory may go before the loop does. */
TEST(handles_may_be_freed_between_close_and_free)
{
    cio_loop *loop = new_loop();
    struct job *soon = new_job(loop), *timer = new_job(loop), *posted = new_job(loop);
    cio_call_soon(loop, &soon->handle, note, "never");
    cio_call_later(loop, &timer->handle, 1.0, note, "never");
    cio_call_soon_threadsafe(loop, &posted->handle, note, "never");
    assert_int_equal(cio_loop_close(loop), 0);
    free_job(soon);
    free_job(timer);
    free_job(posted);
    free_loop(loop);
    assert_trace("");
}
