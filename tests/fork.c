/* Child processes that inherit a loop. Traps T13 and T56. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

/* A child that ends by anything but _exit(0) fails the test; a failed assertion aborts it. */
static void expect_success(pid_t child)
{
    int status = -1;
    assert_true(child > 0);
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define IN_CHILD(...)                                                                              \
    do {                                                                                           \
        pid_t child = fork();                                                                      \
        if (child == 0) {                                                                          \
            __VA_ARGS__;                                                                           \
            _exit(0);                                                                              \
        }                                                                                          \
        expect_success(child);                                                                     \
    } while (0)

/* Everything that a loop can do, in a process that made it itself. */
static void use_own_loop(void)
{
    int fds[2];
    cio_loop *loop = new_loop();
    cio_handle soon = {0}, timer = {0}, file = {0}, posted = {0};
    trace.length = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    cio_call_soon(loop, &soon, note, "s");
    cio_call_soon_threadsafe(loop, &posted, note, "p");
    run_turn(loop);
    cio_add_writer(loop, fds[1], &file, note, "w");
    run_turn(loop);
    cio_remove_writer(loop, fds[1]);
    cio_call_later(loop, &timer, 0.001, note, "t");
    run_for(loop, 0.002);
    assert_trace("spwt");
    free_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

static void refuse_to_run(cio_loop *loop)
{
    assert_int_equal(cio_run_forever(loop), CIO_EFORKED);
}

TEST(t13_child_cannot_run_the_parents_loop)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    cio_call_soon(loop, &handle, note, "x");
    IN_CHILD(refuse_to_run(loop); refuse_to_run(loop); assert_trace(""));
    run_turn(loop);
    assert_trace("x");
    free_loop(loop);
}

static void look_as_a_child(cio_loop *parents)
{
    assert_null(cio_get_running_loop());
    assert_null(cio_create_task(NULL, NULL));
    assert_null(cio_future_new());
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    assert_null(cio_get_running_loop());
    use_own_loop();
    assert_null(cio_get_running_loop());
    refuse_to_run(parents);
}

static void fork_in_callback(void *arg)
{
    IN_CHILD(look_as_a_child(arg));
    assert_ptr_equal(cio_get_running_loop(), arg);
    note("parent");
}

/*
 * T13, T56: a child that was forked by a callback has no running loop, but may have one of its own.
 */
TEST(t56_child_of_a_callback_has_no_running_loop)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, after = {0};
    cio_call_soon(loop, &handle, fork_in_callback, loop);
    cio_call_soon(loop, &after, note, ",after");
    run_turn(loop);
    assert_trace("parent,after");
    free_loop(loop);
}

static bool in_child;

struct next_turn {
    cio_loop *loop;
    cio_handle handle, note, stop;
    int n_turns;
};

enum { BUSY_TURNS = 2000 };

/* In a loop that has got used to going on from turn to turn. */
static void fork_and_return(void *arg)
{
    struct next_turn *next = arg;
    if (++next->n_turns < BUSY_TURNS) {
        cio_call_soon(next->loop, &next->handle, fork_and_return, next);
        return;
    }
    cio_call_soon(next->loop, &next->note, note, "t");
    cio_call_soon(next->loop, &next->stop, stop_loop, next->loop);
    pid_t child = fork();
    in_child = child == 0;
    if (!in_child)
        expect_success(child);
}

/* A child that returns from the callback in which it was forked leaves the parent's loop. */
TEST(t13_child_that_returns_from_its_callback_leaves_the_loop)
{
    struct next_turn next = {.loop = new_loop()};
    cio_call_soon(next.loop, &next.handle, fork_and_return, &next);
    int rc = cio_run_forever(next.loop);
    if (in_child) {
        assert_int_equal(rc, CIO_EFORKED);
        assert_trace("");
        assert_null(cio_get_running_loop());
        use_own_loop();
        _exit(0);
    }
    assert_int_equal(rc, 0);
    assert_trace("t");
    free_loop(next.loop);
}

static int return_7(void *arg)
{
    (void)arg;
    int rc = cio_sleep(0.001);
    return rc < 0 ? rc : 7;
}

static void run_own_tasks(void)
{
    assert_null(cio_get_running_loop());
    assert_null(cio_current_task());
    assert_int_equal(cio_sleep(0.001), CIO_ENOTASK);
    use_own_loop();
    assert_int_equal(cio_run(return_7, NULL), 7);
    assert_int_equal(cio_run(return_7, NULL), 7);
}

static int fork_in_task(void *arg)
{
    (void)arg;
    cio_task *before = cio_current_task();
    IN_CHILD(run_own_tasks());
    assert_ptr_equal(cio_current_task(), before);
    assert_int_equal(cio_sleep(0.001), 0);
    return 3;
}

/* T56: from inside a task too, on the copy of that task's stack. */
TEST(t56_child_of_a_task_runs_tasks_of_its_own)
{
    assert_int_equal(cio_run(fork_in_task, NULL), 3);
}

struct watched {
    cio_loop *loop;
    cio_handle reader, writer, timer, soon;
    int fds[2];
};

static void note_data(void *arg)
{
    struct watched *w = arg;
    char byte;
    assert_int_equal(read(w->fds[0], &byte, 1), 1);
    note("r");
}

static void start_watched(struct watched *w)
{
    assert_int_equal(pipe2(w->fds, O_CLOEXEC), 0);
    w->loop = new_loop();
    cio_add_reader(w->loop, w->fds[0], &w->reader, note_data, w);
    run_turn(w->loop);
    cio_call_soon(w->loop, &w->soon, note, "s");
    cio_call_later(w->loop, &w->timer, 0.002, note, "t");
}

static void count_poll(void *arg)
{
    ++*(int *)arg;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* The parent's loop still hears of its file, its timer and its wakes, and of nothing else. */
static void expect_undisturbed(struct watched *w)
{
    int n_polls = 0;
    assert_int_equal(write(w->fds[1], "x", 1), 1);
    run_until_noted(w->loop, 3);
    assert_int_equal(trace.length, 3);
    assert_non_null(strchr(trace.text, 's'));
    assert_non_null(strchr(trace.text, 'r'));
    assert_non_null(strchr(trace.text, 't'));
    cio_set_poll_hooks(w->loop, count_poll, do_nothing, &n_polls);
    run_for(w->loop, 0.03);
    assert_true(n_polls < 20);
    free_loop(w->loop);
    close(w->fds[0]);
    close(w->fds[1]);
}

/*
 * The kernel's side of a loop is shared with the child: closing there must not unregister anything.
 */
TEST(t13_child_may_close_the_parents_loop)
{
    struct watched w = {0};
    start_watched(&w);
    IN_CHILD(assert_int_equal(cio_loop_close(w.loop), 0); assert_true(cio_is_closed(w.loop));
             assert_int_equal(cio_loop_free(w.loop), 0); use_own_loop());
    expect_undisturbed(&w);
}

/* Nor may a child that only tidies up after itself. */
TEST(t13_child_may_remove_watches_of_the_parents_loop)
{
    struct watched w = {0};
    start_watched(&w);
    IN_CHILD(cio_remove_reader(w.loop, w.fds[0]); cio_handle_cancel(&w.timer);
             cio_handle_cancel(&w.soon));
    expect_undisturbed(&w);
}

static void add_to_the_parents_loop(struct watched *w)
{
    static cio_handle handles[4];
    cio_add_writer(w->loop, w->fds[1], &w->writer, note, "child");
    cio_add_reader(w->loop, w->fds[0], &handles[0], note, "child");
    cio_call_soon(w->loop, &handles[1], note, "child");
    cio_call_soon_threadsafe(w->loop, &handles[2], note, "child");
    cio_call_later(w->loop, &handles[3], 0.0, note, "child");
    refuse_to_run(w->loop);
}

/* What a child asks of the parent's loop does not reach the parent. */
TEST(t13_child_may_not_watch_through_the_parents_loop)
{
    struct watched w = {0};
    start_watched(&w);
    IN_CHILD(add_to_the_parents_loop(&w));
    expect_undisturbed(&w);
}

static void close_in_child(void *arg)
{
    IN_CHILD(assert_int_equal(cio_loop_close(arg), 0); use_own_loop());
    assert_false(cio_is_closed(arg));
    assert_true(cio_is_running(arg));
    note("ok");
}

/* The loop runs in the parent, but not in the child. */
TEST(t13_child_of_a_callback_may_close_the_parents_loop)
{
    struct watched w = {0};
    cio_handle handle = {0};
    start_watched(&w);
    cio_call_soon(w.loop, &handle, close_in_child, w.loop);
    run_until_noted(w.loop, 4);
    assert_non_null(strstr(trace.text, "ok"));
    trace.length = 0;
    cio_call_soon(w.loop, &w.soon, note, "s");
    cio_handle_cancel(&w.timer);
    cio_call_later(w.loop, &w.timer, 0.001, note, "t");
    expect_undisturbed(&w);
}

static void be_a_parent(cio_loop *grandparents)
{
    cio_loop *own = new_loop();
    IN_CHILD(refuse_to_run(own); refuse_to_run(grandparents));
    run_turn(own);
    free_loop(own);
}

/* Two generations: a child's loop is a parent's loop to the grandchild. */
TEST(t13_grandchild_cannot_run_the_childs_loop)
{
    cio_loop *loop = new_loop();
    IN_CHILD(be_a_parent(loop));
    run_turn(loop);
    free_loop(loop);
}
