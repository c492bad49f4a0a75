/* The one loop that runs in a thread, and the end of loops. Trap T13. */
#include <pthread.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

static int note_task(void *arg)
{
    note(arg);
    return 0;
}

/* --- one running loop a thread (T13) --------------------------------------------------------- */

static void run_inside(void *arg)
{
    cio_loop *loop = arg, *other = new_loop();
    assert_ptr_equal(cio_get_running_loop(), loop);
    assert_true(cio_is_running(loop));
    assert_int_equal(cio_run_forever(loop), CIO_ERUNNING);
    assert_int_equal(cio_run_forever(other), CIO_ERUNNING);
    assert_int_equal(cio_run(note_task, "never"), CIO_ERUNNING);
    assert_false(cio_is_running(other));
    assert_ptr_equal(cio_get_running_loop(), loop);
    free_loop(other);
    assert_ptr_equal(cio_get_running_loop(), loop);
    note("ok");
}

TEST(t13_no_run_inside_a_run)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, after = {0};
    cio_call_soon(loop, &handle, run_inside, loop);
    cio_call_soon(loop, &after, note, ",after");
    run_turn(loop);
    assert_trace("ok,after");
    assert_null(cio_get_running_loop());
    assert_false(cio_is_running(loop));
    free_loop(loop);
}

static void *look_from_outside(void *arg)
{
    cio_loop *loop = arg;
    assert_null(cio_get_running_loop());
    assert_true(cio_is_running(loop));
    assert_int_equal(cio_run_forever(loop), CIO_ERUNNING);
    assert_int_equal(cio_loop_close(loop), CIO_ERUNNING);
    assert_int_equal(cio_loop_free(loop), CIO_ERUNNING);

    cio_loop *own = cio_loop_new(NULL);
    cio_handle stop = {0};
    cio_call_soon(own, &stop, stop_loop, own);
    assert_int_equal(cio_run_forever(own), 0);
    assert_int_equal(cio_loop_free(own), 0);
    return NULL;
}

static void look_in_a_thread(void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, look_from_outside, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ptr_equal(cio_get_running_loop(), arg);
    note("ok");
}

TEST(t13_running_loop_is_the_threads_own)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0};
    cio_call_soon(loop, &handle, look_in_a_thread, loop);
    run_turn(loop);
    assert_trace("ok");
    free_loop(loop);
}

static void *run_a_turn(void *arg)
{
    run_turn(arg);
    assert_null(cio_get_running_loop());
    return NULL;
}

TEST(loop_may_run_in_one_thread_after_the_other)
{
    cio_loop *loop = new_loop();
    for (int i = 0; i < 3; i++) {
        cio_handle handle = {0};
        pthread_t thread;
        cio_call_soon(loop, &handle, note, "x");
        assert_int_equal(pthread_create(&thread, NULL, run_a_turn, loop), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    run_turn(loop);
    assert_trace("xxx");
    free_loop(loop);
}

TEST(two_loops_take_turns_in_one_thread)
{
    cio_loop *a = new_loop(), *b = new_loop();
    cio_handle in_a = {0}, in_b = {0};
    cio_call_soon(a, &in_a, note, "a");
    cio_call_soon(b, &in_b, note, "b");
    run_turn(b);
    run_turn(a);
    assert_trace("ba");
    free_loop(b);
    free_loop(a);
}

/* --- closing --------------------------------------------------------------------------------- */

/* Everything that is still owed is dropped, and every handle is its owner's again. */
TEST(close_drops_what_is_owed)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    cio_loop *loop = new_loop();
    cio_handle handles[5] = {0};
    cio_call_soon(loop, &handles[0], note, "soon");
    cio_call_later(loop, &handles[1], 0.0, note, "timer");
    cio_add_reader(loop, fds[0], &handles[2], note, "reader");
    cio_add_writer(loop, fds[1], &handles[3], note, "writer");
    cio_call_soon_threadsafe(loop, &handles[4], note, "posted");
    for (int i = 0; i < 5; i++)
        assert_true(cio_handle_pending(&handles[i]));

    assert_int_equal(cio_loop_close(loop), 0);
    assert_true(cio_is_closed(loop));
    for (int i = 0; i < 5; i++) {
        assert_false(cio_handle_pending(&handles[i]));
        assert_false(cio_handle_cancel(&handles[i]));
    }
    free_loop(loop);
    assert_trace("");

    loop = new_loop();
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_call_soon(loop, &handles[i], note, "x"), 0);
    run_turn(loop);
    assert_trace("xxxxx");
    free_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

TEST(close_gives_every_descriptor_back)
{
    int before = test_count_fds();
    cio_loop *loop = new_loop();
    run_turn(loop);
    assert_int_equal(cio_loop_close(loop), 0);
    assert_int_equal(test_count_fds(), before);
    assert_int_equal(cio_loop_close(loop), 0);
    assert_true(cio_is_closed(loop));
    free_loop(loop);
}

static void close_myself(void *arg)
{
    assert_int_equal(cio_loop_close(arg), CIO_ERUNNING);
    assert_int_equal(cio_loop_free(arg), CIO_ERUNNING);
    assert_false(cio_is_closed(arg));
    note("ok");
}

TEST(running_loop_cannot_be_closed_or_freed)
{
    cio_loop *loop = new_loop();
    cio_handle handle = {0}, after = {0};
    cio_call_soon(loop, &handle, close_myself, loop);
    cio_call_soon(loop, &after, note, ",after");
    run_turn(loop);
    assert_trace("ok,after");
    free_loop(loop);
}

TEST(many_loops_come_and_go)
{
    cio_loop *loops[50];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 50; i++)
            loops[i] = new_loop();
        for (int i = 0; i < 50; i++)
            free_loop(loops[i]);
    }
}
