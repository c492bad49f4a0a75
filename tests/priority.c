/* Classes of callbacks and tasks: the order among them, within them, and that none is starved. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake_clock.h"
#include "journal.h"
#include "test.h"

static cio_loop *loop;

static void open_loop(void)
{
    loop = new_fake_loop(1e-3);
}

static void stop(void *arg)
{
    cio_stop(arg);
}

static void stop_in(double seconds)
{
    static cio_handle end;
    assert_int_equal(cio_call_later(loop, &end, seconds, stop, loop), 0);
}

static void run_and_free(void)
{
    stop_in(1.0);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

static void say(void *arg)
{
    note("%s", (const char *)arg);
}

static void call(cio_handle *handle, int priority, cio_callback *fn, void *arg)
{
    assert_int_equal(cio_handle_set_priority(loop, handle, priority), 0);
    assert_int_equal(cio_call_soon(loop, handle, fn, arg), 0);
}

/* --- the order ------------------------------------------------------------------------------- */

TEST(classes_go_in_their_order_and_each_in_its_own)
{
    static cio_handle h[9];
    static char *names[] = {"l1", "n1", "h1", "l2", "n2", "h2", "l3", "n3", "h3"};
    open_loop();
    for (int i = 0; i < 9; i++)
        call(&h[i], i % 3 - 1, say, names[i]);
    run_and_free();
    assert_string_equal(noted(), "h1 h2 h3 n1 n2 n3 l1 l2 l3");
}

static cio_handle late[3];

static void call_all_classes(void *arg)
{
    say(arg);
    call(&late[0], CIO_PRIORITY_LOW, say, "low");
    call(&late[1], CIO_PRIORITY_NORMAL, say, "normal");
    call(&late[2], CIO_PRIORITY_HIGH, say, "high");
}

/* One that becomes ready in a turn does not wait for its end if it is high. */
TEST(high_one_runs_after_the_callback_that_runs)
{
    static cio_handle h[3];
    open_loop();
    call(&h[0], CIO_PRIORITY_NORMAL, call_all_classes, "a");
    call(&h[1], CIO_PRIORITY_NORMAL, say, "b");
    call(&h[2], CIO_PRIORITY_NORMAL, say, "c");
    run_and_free();
    assert_string_equal(noted(), "a high b c normal low");
}

/* The low class is asked one by one, so what else becomes ready goes before the rest of it. */
TEST(normal_one_waits_for_one_low_one_at_most)
{
    static cio_handle h[3];
    open_loop();
    call(&h[0], CIO_PRIORITY_LOW, call_all_classes, "l1");
    call(&h[1], CIO_PRIORITY_LOW, say, "l2");
    call(&h[2], CIO_PRIORITY_LOW, say, "l3");
    run_and_free();
    assert_string_equal(noted(), "l1 high normal l2 l3 low");
}

static int say_twice(void *arg)
{
    for (int i = 0; i < 2; i++) {
        say(arg);
        cio_yield();
    }
    return 0;
}

static cio_task *start(int priority, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop, .priority = priority},
                                          fn, arg);
    assert_non_null(task);
    assert_int_equal(cio_get_priority(task), priority);
    return task;
}

TEST(tasks_have_classes)
{
    open_loop();
    cio_detach(start(CIO_PRIORITY_LOW, say_twice, "l1"));
    cio_detach(start(CIO_PRIORITY_LOW, say_twice, "l2"));
    cio_detach(start(CIO_PRIORITY_NORMAL, say_twice, "n1"));
    cio_detach(start(CIO_PRIORITY_NORMAL, say_twice, "n2"));
    cio_detach(start(CIO_PRIORITY_HIGH, say_twice, "h1"));
    cio_detach(start(CIO_PRIORITY_HIGH, say_twice, "h2"));
    run_and_free();
    assert_string_equal(noted(), "h1 h2 h1 h2 n1 n2 n1 n2 l1 l2 l1 l2");
}

static int start_a_child(void *arg)
{
    cio_task *child = cio_create_task(say_twice, arg);
    assert_int_equal(cio_get_priority(child), CIO_PRIORITY_NORMAL);
    return cio_await(child);
}

TEST(class_is_not_inherited)
{
    open_loop();
    cio_detach(start(CIO_PRIORITY_HIGH, start_a_child, "child"));
    run_and_free();
    assert_string_equal(noted(), "child child");
}

static int raise_itself(void *arg)
{
    assert_int_equal(cio_set_priority(cio_current_task(), CIO_PRIORITY_HIGH), 0);
    say_twice(arg);
    assert_int_equal(cio_set_priority(cio_current_task(), CIO_PRIORITY_NORMAL), 0);
    return say_twice(arg);
}

TEST(class_of_a_task_may_change)
{
    open_loop();
    cio_detach(start(CIO_PRIORITY_NORMAL, raise_itself, "x"));
    cio_detach(start(CIO_PRIORITY_NORMAL, say_twice, "n"));
    cio_detach(start(CIO_PRIORITY_NORMAL, say_twice, "n"));
    run_and_free();
    assert_string_equal(noted(), "x x x n n x n n");
}

/* --- timers and files ------------------------------------------------------------------------ */

static void slow(void *arg)
{
    say(arg);
    spend(10 * MS);
}

TEST(timers_have_classes)
{
    static cio_handle calls[3], timers[3];
    static char *names[] = {"low", "normal", "high"};
    open_loop();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_handle_set_priority(loop, &timers[i], i - 1), 0);
        assert_int_equal(cio_call_later(loop, &timers[i], 0.0005, say, names[i]), 0);
        call(&calls[i], CIO_PRIORITY_NORMAL, i == 0 ? slow : say, "call");
    }
    run_and_free();
    assert_string_equal(noted(), "call normal high call call low");
}

static int pipe_fds[2];

static void say_read(void *arg)
{
    char byte;
    say(arg);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
}

static void write_one(void *arg)
{
    slow(arg);
    assert_int_equal(write(pipe_fds[1], "x", 1), 1);
}

/* What a file of the high class has to say is asked for in the middle of a turn that lasts. */
TEST(file_of_the_high_class_does_not_wait_for_the_turn)
{
    static cio_handle watch, calls[3];
    open_loop();
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(cio_handle_set_priority(loop, &watch, CIO_PRIORITY_HIGH), 0);
    assert_int_equal(cio_add_reader(loop, pipe_fds[0], &watch, say_read, "file"), 0);
    call(&calls[0], CIO_PRIORITY_NORMAL, write_one, "a");
    call(&calls[1], CIO_PRIORITY_NORMAL, slow, "b");
    call(&calls[2], CIO_PRIORITY_NORMAL, slow, "c");
    run_and_free();
    assert_string_equal(noted(), "a file b c");
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void *post(void *arg)
{
    assert_int_equal(cio_call_soon_threadsafe(loop, arg, say, "posted"), 0);
    return NULL;
}

TEST(call_from_another_thread_has_a_class)
{
    static cio_handle posted, calls[2];
    open_loop();
    call(&calls[0], CIO_PRIORITY_NORMAL, say, "a");
    call(&calls[1], CIO_PRIORITY_NORMAL, say, "b");
    assert_int_equal(cio_handle_set_priority(loop, &posted, CIO_PRIORITY_HIGH), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post, &posted), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    run_and_free();
    assert_string_equal(noted(), "posted a b");
}

/* --- nobody starves -------------------------------------------------------------------------- */

static struct spinner {
    cio_handle handle;
    long n;
} spinners[3];

static void spin(void *arg)
{
    struct spinner *s = arg;
    s->n++;
    spend_unseen(1000);
    cio_call_soon(loop, &s->handle, spin, s);
}

static void spin_in_classes(bool low, bool normal, bool high)
{
    bool which[] = {low, normal, high};
    open_loop();
    for (int i = 0; i < 3; i++)
        if (which[i])
            call(&spinners[i].handle, i - 1, spin, &spinners[i]);
    stop_in(2.0);
    assert_int_equal(cio_run_forever(loop), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_handle_pending(&spinners[i].handle), which[i]);
    assert_int_equal(cio_loop_free(loop), 0);
    for (int i = 0; i < 3; i++)
        assert_false(cio_handle_pending(&spinners[i].handle));
}

TEST(high_spinner_leaves_one_in_65)
{
    spin_in_classes(false, true, true);
    assert_true(spinners[1].n >= 2000000 / 66);
    assert_true(spinners[2].n >= 2000000 / 66 * 64);
}

TEST(normal_spinner_leaves_one_in_10_ms)
{
    spin_in_classes(true, true, false);
    assert_in_range(spinners[0].n, 190, 200);
}

TEST(low_one_runs_among_spinners_of_both_classes)
{
    spin_in_classes(true, true, true);
    assert_in_range(spinners[0].n, 150, 200);
    assert_true(spinners[1].n >= 2000000 / 70);
}

static long yields[2];

static int yield_for_ever(void *arg)
{
    long *n = arg;
    while (cio_yield() == 0) {
        spend_unseen(1000);
        ++*n;
    }
    return CIO_ECANCELED;
}

static int cancel_all(void *arg)
{
    cio_sleep(1.0);
    for (int i = 0; i < 2; i++)
        cio_cancel(((cio_task **)arg)[i]);
    return cio_gather(arg, 2, CIO_RETURN_ERRORS);
}

/* Two of the low class that yield go by turns, and do not keep a normal one waiting. */
TEST(tasks_that_yield_share)
{
    open_loop();
    cio_task *tasks[] = {start(CIO_PRIORITY_LOW, yield_for_ever, &yields[0]),
                         start(CIO_PRIORITY_LOW, yield_for_ever, &yields[1])};
    cio_task *main_task = start(CIO_PRIORITY_NORMAL, cancel_all, tasks);
    assert_int_equal(cio_run_until_complete(loop, main_task), 0);
    assert_true(yields[0] > 400000 && labs(yields[0] - yields[1]) <= 2);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* --- cancel, close, many --------------------------------------------------------------------- */

static cio_handle doomed[3];

static void cancel_doomed(void *arg)
{
    say(arg);
    for (int i = 0; i < 3; i++) {
        assert_true(cio_handle_cancel(&doomed[i]));
        assert_false(cio_handle_pending(&doomed[i]));
        assert_false(cio_handle_cancel(&doomed[i]));
    }
}

TEST(call_in_a_lane_may_be_canceled)
{
    static cio_handle first, last;
    open_loop();
    call(&first, CIO_PRIORITY_HIGH, cancel_doomed, "first");
    for (int i = 0; i < 3; i++)
        call(&doomed[i], i - 1, say, "doomed");
    call(&last, CIO_PRIORITY_LOW, say, "last");
    run_and_free();
    assert_string_equal(noted(), "first last");
}

TEST(close_gives_back_what_stands_in_lanes)
{
    static cio_handle h[300];
    open_loop();
    for (int i = 0; i < 300; i++)
        call(&h[i], i % 3 - 1, say, "never");
    assert_int_equal(cio_loop_close(loop), 0);
    for (int i = 0; i < 300; i++)
        assert_false(cio_handle_pending(&h[i]));
    assert_int_equal(cio_loop_free(loop), 0);
    open_loop();
    for (int i = 0; i < 3; i++)
        call(&h[i], CIO_PRIORITY_NORMAL, say, "x");
    run_and_free();
    assert_string_equal(noted(), "x x x");
}

static int order[3000], n_order;

static void put_down(void *arg)
{
    order[n_order++] = (int)(intptr_t)arg;
}

TEST(many_of_each_class_keep_their_order)
{
    static cio_handle h[3000];
    int next[3] = {0, 1, 2};
    open_loop();
    for (int i = 0; i < 3000; i++)
        call(&h[i], i % 3 - 1, put_down, (void *)(intptr_t)i);
    run_and_free();
    assert_int_equal(n_order, 3000);
    for (int i = 0; i < 3000; i++) {
        int class = order[i] % 3;
        assert_int_equal(order[i], next[class]);
        next[class] += 3;
    }
    for (int i = 0; i < 64; i++)
        assert_int_equal(order[i] % 3, 2);
    assert_int_equal(order[64] % 3, 1);
    for (int i = 2100; i < 3000; i++)
        assert_int_equal(order[i] % 3, 0);
}

/* --- bad input and no memory ----------------------------------------------------------------- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(priorities_that_are_none)
{
    static cio_handle h;
    open_loop();
    const int bad[] = {-2, 2, 100, INT32_MIN, INT32_MAX};
    cio_task *task = start(CIO_PRIORITY_NORMAL, nothing, NULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(cio_handle_set_priority(loop, &h, bad[i]), -EINVAL);
        assert_int_equal(cio_set_priority(task, bad[i]), -EINVAL);
        assert_null(cio_create_task_with(&(cio_task_options){.loop = loop, .priority = bad[i]},
                                         nothing, NULL));
        assert_int_equal(cio_last_error(), -EINVAL);
    }
    assert_int_equal(cio_handle_set_priority(NULL, &h, 0), -EINVAL);
    assert_int_equal(cio_handle_set_priority(loop, NULL, 0), -EINVAL);
    assert_int_equal(cio_set_priority(NULL, 0), -EINVAL);
    assert_int_equal(cio_get_priority(NULL), CIO_PRIORITY_NORMAL);
    cio_call_soon(loop, &h, say, "");
    assert_int_equal(cio_handle_set_priority(loop, &h, CIO_PRIORITY_HIGH), CIO_ESTATE);
    cio_handle_cancel(&h);
    assert_int_equal(cio_run_until_complete(loop, cio_ref(task)), 0);
    assert_int_equal(cio_set_priority(task, CIO_PRIORITY_HIGH), CIO_ESTATE);
    cio_detach(task);
    assert_int_equal(cio_loop_close(loop), 0);
    assert_int_equal(cio_handle_set_priority(loop, &h, CIO_PRIORITY_HIGH), CIO_ECLOSED);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int see_future_refused(void *arg)
{
    (void)arg;
    cio_future *future = cio_future_new();
    assert_int_equal(cio_set_priority(future, CIO_PRIORITY_HIGH), -EINVAL);
    assert_int_equal(cio_get_priority(future), CIO_PRIORITY_NORMAL);
    cio_detach(future);
    return 0;
}

TEST(plain_future_has_no_class)
{
    assert_int_equal(cio_run(see_future_refused, NULL), 0);
}

static bool no_memory;

static void *maybe_realloc(void *block, size_t size, void *arg)
{
    (void)arg;
    return no_memory ? NULL : realloc(block, size);
}

static void plain_free(void *block, void *arg)
{
    (void)arg;
    free(block);
}

/* Without memory there are no classes; with them, calls beyond the memory still run in order. */
TEST(classes_without_memory)
{
    static cio_handle h[1000];
    int next[3] = {0, 1, 2};
    assert_int_equal(cio_set_allocator(&(cio_allocator){maybe_realloc, plain_free, 0, 0, NULL}), 0);
    open_loop();
    cio_task *task = start(CIO_PRIORITY_NORMAL, nothing, NULL);
    no_memory = true;
    assert_int_equal(cio_handle_set_priority(loop, &h[0], CIO_PRIORITY_HIGH), -ENOMEM);
    assert_int_equal(cio_set_priority(task, CIO_PRIORITY_LOW), -ENOMEM);
    no_memory = false;
    assert_int_equal(cio_handle_set_priority(loop, &h[0], CIO_PRIORITY_HIGH), 0);
    no_memory = true;
    for (int i = 0; i < 1000; i++)
        call(&h[i], i % 3 - 1, put_down, (void *)(intptr_t)i);
    assert_true(cio_handle_cancel(&h[998]) && cio_handle_cancel(&h[996]));
    no_memory = false;
    stop_in(1.0);
    no_memory = true;
    cio_detach(task);
    assert_int_equal(cio_run_forever(loop), 0);
    no_memory = false;
    assert_int_equal(n_order, 998);
    for (int i = 0; i < 998; i++) {
        int class = order[i] % 3;
        assert_int_equal(order[i], next[class]);
        next[class] += next[class] == 993 ? 6 : next[class] == 995 ? 6 : 3;
    }
    assert_int_equal(cio_loop_free(loop), 0);
}
