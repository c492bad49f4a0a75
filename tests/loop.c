/* The loop itself: its turns, and how it is stopped. Traps T1-T4, T10, T12. */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

TEST(new_loop_is_neither_running_nor_closed)
{
    cio_loop *loop = new_loop();
    assert_false(cio_is_running(loop));
    assert_false(cio_is_closed(loop));
    assert_null(cio_get_running_loop());
    free_loop(loop);
}

/* --- turns ----------------------------------------------------------------------------------- */

TEST(callbacks_run_in_the_order_of_their_calls)
{
    cio_loop *loop = new_loop();
    cio_handle a = {0}, b = {0}, c = {0};
    assert_int_equal(cio_call_soon(loop, &a, note, "a"), 0);
    assert_int_equal(cio_call_soon(loop, &b, note, "b"), 0);
    assert_int_equal(cio_call_soon(loop, &c, note, "c"), 0);
    assert_trace("");
    run_turn(loop);
    assert_trace("abc");
    free_loop(loop);
}

struct chain {
    cio_loop *loop;
    cio_handle first, second, third, timer;
};

static void queue_two_more(void *arg)
{
    struct chain *c = arg;
    note("[");
    assert_int_equal(cio_call_soon(c->loop, &c->second, note, "2"), 0);
    assert_int_equal(cio_call_soon(c->loop, &c->third, note, "3"), 0);
    note("]");
}

/* T3: what a callback queues runs in the next turn, behind what was queued before. */
TEST(t3_callback_of_a_callback_waits_for_the_next_turn)
{
    cio_handle last = {0};
    struct chain c = {.loop = new_loop()};
    cio_call_soon(c.loop, &c.first, queue_two_more, &c);
    cio_call_soon(c.loop, &last, note, "b");
    run_turn(c.loop);
    assert_trace("[]b");
    run_turn(c.loop);
    assert_trace("23");
    run_turn(c.loop);
    assert_trace("");
    free_loop(c.loop);
}

/* T4: we run what is ready first, then what is due, as the standard library does. */
TEST(t4_ready_callback_runs_before_a_due_timer)
{
    cio_loop *loop = new_loop();
    cio_handle due = {0}, zero = {0}, soon = {0};
    cio_call_at(loop, &due, cio_time(loop) - 10.0, note, "d");
    cio_call_later(loop, &zero, 0.0, note, "z");
    cio_call_soon(loop, &soon, note, "s");
    run_for(loop, 0.001);
    assert_trace("sdz");
    free_loop(loop);
}

static void queue_ready_and_due(void *arg)
{
    struct chain *c = arg;
    cio_call_at(c->loop, &c->timer, cio_time(c->loop) - 1.0, note, "t");
    cio_call_soon(c->loop, &c->second, note, "s");
}

/* T4 in the middle of a run: the timer is older, but the callback is already in the queue. */
TEST(t4_due_timer_of_a_callback_runs_after_what_it_queued)
{
    struct chain c = {.loop = new_loop()};
    cio_call_soon(c.loop, &c.first, queue_ready_and_due, &c);
    run_until_noted(c.loop, 2);
    assert_trace("st");
    free_loop(c.loop);
}

TEST(ready_file_runs_before_a_due_timer)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    cio_loop *loop = new_loop();
    cio_handle file = {0}, timer = {0};
    cio_call_at(loop, &timer, cio_time(loop) - 1.0, note, "t");
    assert_int_equal(cio_add_reader(loop, fds[0], &file, note, "f"), 0);
    run_turn(loop);
    assert_trace("ft");
    cio_call_at(loop, &timer, cio_time(loop) - 1.0, note, "t");
    run_for(loop, 0.0);
    assert_trace("ft");
    free_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

struct spinner {
    cio_loop *loop;
    cio_handle handle, file, timer;
    double give_up_at;
    bool heard_file, heard_timer;
};

static void spin(void *arg)
{
    struct spinner *s = arg;
    if ((s->heard_file && s->heard_timer) || cio_time(s->loop) > s->give_up_at)
        cio_stop(s->loop);
    else
        cio_call_soon(s->loop, &s->handle, spin, s);
}

static void hear_file(void *arg)
{
    ((struct spinner *)arg)->heard_file = true;
}

static void hear_timer(void *arg)
{
    ((struct spinner *)arg)->heard_timer = true;
}

/* T3: a callback that always queues itself again delays files and timers, but starves neither. */
TEST(t3_spinner_starves_neither_files_nor_timers)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct spinner s = {.loop = new_loop()};
    s.give_up_at = cio_time(s.loop) + 10.0;
    cio_call_soon(s.loop, &s.handle, spin, &s);
    cio_add_reader(s.loop, fds[0], &s.file, hear_file, &s);
    cio_call_later(s.loop, &s.timer, 0.002, hear_timer, &s);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(cio_run_forever(s.loop), 0);
    assert_true(s.heard_file);
    assert_true(s.heard_timer);
    free_loop(s.loop);
    close(fds[0]);
    close(fds[1]);
}

/* --- stopping -------------------------------------------------------------------------------- */

static void stop_and_queue(void *arg)
{
    struct chain *c = arg;
    cio_stop(c->loop);
    cio_call_soon(c->loop, &c->second, note, "next");
}

/* T10: the turn in which stop is called is finished; the rest waits for the next run. */
TEST(t10_stop_lets_the_turn_finish)
{
    cio_handle last = {0};
    struct chain c = {.loop = new_loop()};
    cio_call_soon(c.loop, &c.first, stop_and_queue, &c);
    cio_call_soon(c.loop, &last, note, "last");
    assert_int_equal(cio_run_forever(c.loop), 0);
    assert_trace("last");
    assert_true(cio_handle_pending(&c.second));
    run_turn(c.loop);
    assert_trace("next");
    free_loop(c.loop);
}

struct busy {
    cio_loop *loop;
    cio_handle spinner, last, timer;
    int n_turns, turn_of_timer;
};

enum { BUSY_TURNS = 2000 };

/* Once the loop has got used to short callbacks, in which it asks neither clock nor kernel. */
static void stop_when_busy(void *arg)
{
    struct busy *b = arg;
    if (++b->n_turns == BUSY_TURNS) {
        cio_stop(b->loop);
        cio_call_soon(b->loop, &b->last, note, "next");
    }
    cio_call_soon(b->loop, &b->spinner, stop_when_busy, b);
}

TEST(t10_stop_of_a_busy_loop_lets_no_further_turn_begin)
{
    struct busy b = {.loop = new_loop()};
    cio_call_soon(b.loop, &b.spinner, stop_when_busy, &b);
    assert_int_equal(cio_run_forever(b.loop), 0);
    assert_int_equal(b.n_turns, BUSY_TURNS);
    assert_trace("");
    run_turn(b.loop);
    assert_int_equal(b.n_turns, BUSY_TURNS + 1);
    assert_trace("next");
    free_loop(b.loop);
}

static void note_turn_of_timer(void *arg)
{
    struct busy *b = arg;
    b->turn_of_timer = b->n_turns;
}

static void call_later_when_busy(void *arg)
{
    struct busy *b = arg;
    b->n_turns++;
    if (b->n_turns == BUSY_TURNS)
        cio_call_later(b->loop, &b->timer, 0.0, note_turn_of_timer, b);
    if (b->n_turns == BUSY_TURNS + 100)
        stop_loop(b->loop);
    cio_call_soon(b->loop, &b->spinner, call_later_when_busy, b);
}

/*
 * T3, T4: also in a busy loop a timer that is due at once runs in the very next turn, at its end.
 */
TEST(t4_timer_due_at_once_runs_in_the_next_turn_of_a_busy_loop)
{
    struct busy b = {.loop = new_loop()};
    cio_call_soon(b.loop, &b.spinner, call_later_when_busy, &b);
    assert_int_equal(cio_run_forever(b.loop), 0);
    assert_int_equal(b.turn_of_timer, BUSY_TURNS + 1);
    free_loop(b.loop);
}

/* T10: stop before run is one turn: no more, although the callbacks queue more, and no wait. */
TEST(t10_stop_before_run_is_one_turn_without_waiting)
{
    struct chain c = {.loop = new_loop()};
    cio_call_later(c.loop, &c.timer, 3600.0, note, "too early");
    assert_int_equal(cio_stop(c.loop), 0);
    assert_int_equal(cio_run_forever(c.loop), 0);
    assert_trace("");
    cio_call_soon(c.loop, &c.first, queue_two_more, &c);
    assert_int_equal(cio_stop(c.loop), 0);
    assert_int_equal(cio_stop(c.loop), 0);
    assert_int_equal(cio_run_forever(c.loop), 0);
    assert_trace("[]");
    free_loop(c.loop);
}

TEST(t10_turn_of_a_stopped_run_takes_due_timers_and_ready_files)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    cio_loop *loop = new_loop();
    cio_handle file = {0}, due = {0}, later = {0};
    cio_add_reader(loop, fds[0], &file, note, "f");
    cio_call_at(loop, &due, cio_time(loop) - 1.0, note, "t");
    cio_call_later(loop, &later, 3600.0, note, "too early");
    run_turn(loop);
    assert_trace("ft");
    free_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

/* A stop ends one run only; the next one waits for its own. */
TEST(t10_stop_is_used_up_by_one_run)
{
    cio_loop *loop = new_loop();
    cio_handle timer = {0}, end = {0};
    run_turn(loop);
    cio_call_later(loop, &timer, 0.005, note, "t");
    cio_call_later(loop, &end, 0.010, stop_loop, loop);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_trace("t");
    free_loop(loop);
}

TEST(loop_goes_on_where_it_was_stopped)
{
    cio_loop *loop = new_loop();
    cio_handle a = {0}, b = {0}, c = {0};
    cio_call_soon(loop, &a, note, "a");
    cio_call_later(loop, &b, 0.002, note, "b");
    cio_call_later(loop, &c, 0.004, note, "c");
    for (int i = 0; i < 3; i++)
        run_turn(loop);
    run_for(loop, 0.010);
    assert_trace("abc");
    free_loop(loop);
}

/* T10: run_until_complete that is stopped says so, and the future is still the caller's. */
TEST(t10_stopped_run_until_complete_leaves_the_future)
{
    cio_loop *loop = new_loop();
    cio_handle stop = {0};
    cio_future *future = cio_create_future(loop);
    assert_non_null(future);
    cio_call_soon(loop, &stop, stop_loop, loop);
    assert_int_equal(cio_run_until_complete(loop, future), CIO_ESTOPPED);
    assert_false(cio_done(future));
    assert_int_equal(cio_set_result(future, 7, NULL), 0);
    assert_int_equal(cio_run_until_complete(loop, future), 7);
    free_loop(loop);
}

static void count_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    ++*(int *)arg;
}

/* T12: an error that run_until_complete returns is known; nobody reports it as lost. */
TEST(t12_error_of_run_until_complete_is_not_reported)
{
    int reports = 0;
    cio_loop *loop = new_loop();
    cio_set_exception_handler(loop, count_report, &reports);
    cio_future *future = cio_create_future(loop);
    assert_int_equal(cio_set_error(future, -ENOENT), 0);
    assert_int_equal(cio_run_until_complete(loop, future), -ENOENT);
    free_loop(loop);
    assert_int_equal(reports, 0);
}

/* --- tasks and futures are called by way of the loop ----------------------------------------- */

static int note_task(void *arg)
{
    note(arg);
    return 0;
}

static void create_a_task(void *arg)
{
    (void)arg;
    cio_task *task = cio_create_task(note_task, "c");
    assert_non_null(task);
    note("after-create,");
    cio_detach(task);
}

/* T1: a task does not begin inside cio_create_task(), but in the next turn. */
TEST(t1_task_begins_in_the_next_turn)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, same_turn = {0};
    cio_call_soon(loop, &handle, create_a_task, NULL);
    cio_call_soon(loop, &same_turn, note, "same-turn,");
    run_turn(loop);
    assert_trace("after-create,same-turn,");
    run_turn(loop);
    assert_trace("c");
    free_loop(loop);
}

static void note_done(cio_future *future, void *arg)
{
    assert_true(cio_done(future));
    note(arg);
}

/*
 * T2: callbacks of a future run soon after its end, in their order, never inside cio_set_result().
 */
TEST(t2_done_callbacks_run_by_way_of_the_loop)
{
    cio_loop *loop = new_loop();
    cio_future *future = cio_create_future(loop);
    cio_done_callback first = {0}, second = {0};
    assert_int_equal(cio_add_done_callback(future, &first, note_done, "1"), 0);
    assert_int_equal(cio_add_done_callback(future, &second, note_done, "2"), 0);
    assert_int_equal(cio_set_result(future, 0, NULL), 0);
    note("after-set,");
    run_turn(loop);
    assert_trace("after-set,12");
    cio_detach(future);
    free_loop(loop);
}

/* --- the kernel ------------------------------------------------------------------------------ */

static volatile sig_atomic_t n_signals;

static void count_signal(int number)
{
    (void)number;
    n_signals++;
}

/* A signal that interrupts the wait neither ends the run nor lets a timer fire early. */
TEST(interrupted_wait_goes_on)
{
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    cio_loop *loop = new_loop();
    double end = cio_time(loop) + 0.03;
    setitimer(ITIMER_REAL, &every_ms, NULL);
    run_for(loop, 0.03);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_true(cio_time(loop) >= end);
    assert_true(n_signals > 0);
    free_loop(loop);
}

TEST(time_does_not_go_back)
{
    cio_loop *loop = new_loop();
    double last = cio_time(NULL);
    for (int i = 0; i < 1000; i++) {
        double now = cio_time(i % 2 ? loop : NULL);
        assert_true(now >= last);
        last = now;
    }
    free_loop(loop);
}
