/* What a loop counts. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fake_clock.h"
#include "test.h"

static cio_loop *loop;

static cio_loop_counters counters_of(const cio_loop *which)
{
    cio_loop_counters c;
    memset(&c, 0xa5, sizeof c);
    assert_int_equal(cio_loop_get_counters(which, &c), 0);
    return c;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void stop(void *arg)
{
    cio_stop(arg);
}

/* --- callbacks and turns --------------------------------------------------------------------- */

TEST(new_loop_has_counted_nothing)
{
    loop = new_fake_loop(0);
    cio_loop_counters zero = {0}, c = counters_of(loop);
    assert_memory_equal(&c, &zero, sizeof c);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int left;

static void chain(void *arg)
{
    if (--left > 0)
        cio_call_soon(loop, arg, chain, arg);
    else
        cio_stop(loop);
}

TEST(callbacks_and_turns)
{
    static cio_handle handle, once[10], canceled[5];
    loop = new_fake_loop(0);
    left = 100;
    cio_call_soon(loop, &handle, chain, &handle);
    for (int i = 0; i < 10; i++)
        cio_call_soon(loop, &once[i], nothing, NULL);
    for (int i = 0; i < 5; i++) {
        cio_call_soon(loop, &canceled[i], nothing, NULL);
        cio_handle_cancel(&canceled[i]);
    }
    assert_int_equal(cio_run_forever(loop), 0);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.turns, 100);
    assert_int_equal(c.callbacks, 110);
    assert_int_equal(c.switches, 0);
    assert_int_equal(c.hurried, 0);
    assert_int_equal(c.ready, 0);
    assert_int_equal(c.ready_max, 16);
    assert_int_equal(c.sleeps, 0);
    assert_int_equal(c.tasks_created, 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* --- tasks ----------------------------------------------------------------------------------- */

static int yield_some(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        cio_yield();
    return 0;
}

static int count_tasks(void *arg)
{
    enum { N = 50 };
    int yields = 7;
    cio_task *tasks[N];
    (void)arg;
    cio_loop_counters before = counters_of(loop);
    assert_int_equal(before.tasks, 1);
    assert_int_equal(before.stacks, 1);
    for (int i = 0; i < N; i++)
        tasks[i] = cio_create_task(yield_some, &yields);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.tasks, 1 + N);
    assert_int_equal(c.tasks_created, 1 + N);
    assert_int_equal(c.tasks_finished, 0);
    assert_int_equal(c.ready, N);
    assert_int_equal(c.switches, before.switches);
    cio_yield();
    c = counters_of(loop);
    assert_int_equal(c.stacks, 1 + N);
    assert_int_equal(c.switches - before.switches, 1 + N);
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    c = counters_of(loop);
    /* The main task: a yield, and the wait, which a callback for each child ends. */
    assert_int_equal(c.switches - before.switches, N * (yields + 1) + 2);
    assert_int_equal(c.tasks, 1);
    assert_int_equal(c.tasks_finished, N);
    assert_int_equal(c.stacks, 1);
    assert_true(c.stacks_free >= N);
    return 0;
}

static int run_in(cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, fn, arg);
    assert_non_null(task);
    return cio_run_until_complete(loop, task);
}

TEST(tasks_switches_and_stacks)
{
    loop = new_fake_loop(0);
    assert_int_equal(run_in(count_tasks, NULL), 0);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.tasks, 0);
    assert_int_equal(c.tasks_finished, 51);
    assert_int_equal(c.stacks, 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* A task that is alone makes no switch when it yields, but a turn. */
static int yield_alone(void *arg)
{
    (void)arg;
    cio_loop_counters before = counters_of(loop);
    for (int i = 0; i < 1000; i++)
        cio_yield();
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.turns - before.turns, 1000);
    assert_true(c.switches - before.switches < 500);
    assert_int_equal(c.switches - before.switches, c.callbacks - before.callbacks);
    return 0;
}

TEST(yield_of_a_task_that_is_alone_is_a_turn)
{
    loop = new_fake_loop(0);
    assert_int_equal(run_in(yield_alone, NULL), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int eager_tasks(void *arg)
{
    (void)arg;
    int yields = 2;
    cio_loop_counters before = counters_of(loop);
    cio_task_options options = {.eager = true};
    cio_task *task = cio_create_task_with(&options, yield_some, &yields);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.switches - before.switches, 1);
    assert_int_equal(c.callbacks - before.callbacks, 0);
    cio_task *canceled = cio_create_task(yield_some, &yields);
    cio_cancel(canceled);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(cio_await(canceled), CIO_ECANCELED);
    c = counters_of(loop);
    assert_int_equal(c.switches - before.switches, 1 + 2 + 1); /* and the main task's */
    return 0;
}

TEST(eager_and_canceled_tasks)
{
    loop = new_fake_loop(0);
    assert_int_equal(run_in(eager_tasks, NULL), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* --- timers, sleep --------------------------------------------------------------------------- */

static void spend_3_ms(void *arg)
{
    (void)arg;
    spend(3 * MS);
}

TEST(lateness_of_timers)
{
    static cio_handle timers[4], call;
    loop = new_fake_loop(CIO_FOREVER);
    cio_call_soon(loop, &call, spend_3_ms, NULL);
    cio_call_later(loop, &timers[0], 0.002, nothing, NULL); /* 1 ms late: below 1024 us */
    cio_call_later(loop, &timers[1], 0.003, nothing, NULL); /* in time */
    cio_call_later(loop, &timers[2], 0.500, nothing, NULL); /* slept for */
    cio_call_later(loop, &timers[3], 1.000, stop, loop);
    assert_int_equal(counters_of(loop).timers, 0); /* it does not run */
    assert_int_equal(cio_run_forever(loop), 0);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.timers, 0);
    assert_int_equal(c.timers_fired, 4);
    assert_int_equal(c.late_max_ns, MS);
    assert_int_equal(c.late_sum_ns, MS);
    assert_int_equal(c.late[0], 3);
    assert_int_equal(c.late[5], 1);
    assert_int_equal(c.sleeps, 2);
    assert_int_equal(c.poll_ns, 997 * MS);
    assert_true(c.polls >= 2);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(hurried_callbacks)
{
    static cio_handle timer, end, calls[3];
    loop = new_fake_loop(0.001);
    for (int i = 0; i < 3; i++)
        cio_call_soon(loop, &calls[i], spend_3_ms, NULL);
    cio_call_later(loop, &timer, 0.002, nothing, NULL);
    cio_call_later(loop, &end, 1.0, stop, loop);
    assert_int_equal(cio_run_forever(loop), 0);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.hurried, 1);
    assert_int_equal(c.callbacks, 5);
    assert_int_equal(c.late_max_ns, MS);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* --- files and threads ----------------------------------------------------------------------- */

static int read_one(void *arg)
{
    char byte;
    assert_int_equal(cio_sock_recv(*(int *)arg, &byte, 1), 1);
    return 0;
}

static int wait_for_a_file(void *arg)
{
    (void)arg;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cio_task *task = cio_create_task(read_one, &fds[0]);
    cio_yield();
    cio_loop_counters before = counters_of(cio_get_running_loop());
    assert_int_equal(send(fds[1], "x", 1, 0), 1);
    assert_int_equal(cio_await(task), 0);
    cio_loop_counters c = counters_of(cio_get_running_loop());
    assert_true(c.events - before.events >= 1);
    assert_true(c.polls - before.polls >= 1);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    return 0;
}

TEST(polls_and_events)
{
    assert_int_equal(cio_run(wait_for_a_file, NULL), 0);
}

enum { POSTS = 500 };

static struct {
    cio_handle handles[POSTS], keep;
    int n;
} posts;

static void take_post(void *arg)
{
    (void)arg;
    if (++posts.n == POSTS)
        cio_stop(loop);
}

/* Another thread sees them grow, never shrink, and in the end all of them. */
static void *post_and_read(void *arg)
{
    (void)arg;
    cio_loop_counters before = counters_of(loop);
    for (int i = 0; i < POSTS; i++) {
        assert_int_equal(cio_call_soon_threadsafe(loop, &posts.handles[i], take_post, NULL), 0);
        cio_loop_counters c = counters_of(loop);
        assert_true(c.posts >= before.posts && c.posts <= (uint64_t)i + 1);
        assert_true(c.callbacks >= before.callbacks && c.turns >= before.turns);
        assert_true(c.wakes >= before.wakes && c.wakes <= (uint64_t)i + 1);
        before = c;
    }
    return NULL;
}

TEST(threads_read_counters)
{
    loop = cio_loop_new(NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_and_read, NULL), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.posts, POSTS);
    assert_int_equal(c.callbacks, POSTS);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int sleep_a_while(void *arg)
{
    return cio_sleep(*(double *)arg);
}

/* A loop that sleeps has counted all before it went to sleep. */
static void *read_while_it_sleeps(void *arg)
{
    double end = cio_time(NULL) + 15;
    while (counters_of(loop).switches < 4)
        assert_true(cio_time(NULL) < end);
    cio_loop_counters c = counters_of(loop);
    assert_int_equal(c.tasks, 3);
    assert_int_equal(c.timers, 3);
    assert_int_equal(c.ready, 0);
    cio_call_soon_threadsafe(loop, arg, stop, loop);
    return NULL;
}

static int three_sleepers(void *arg)
{
    (void)arg;
    double seconds[] = {1000, 1001, 1002};
    cio_task *tasks[3];
    for (int i = 0; i < 3; i++)
        cio_detach(tasks[i] = cio_create_task(sleep_a_while, &seconds[i]));
    cio_yield();
    for (int i = 0; i < 3; i++)
        seconds[i] = 0;
    return 0;
}

TEST(threads_read_counters_of_a_loop_that_sleeps)
{
    static cio_handle handle;
    loop = cio_loop_new(NULL);
    assert_int_equal(run_in(three_sleepers, NULL), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_while_it_sleeps, &handle), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    cio_set_exception_handler(loop, NULL, NULL);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(counters_of_nothing)
{
    cio_loop_counters c;
    loop = cio_loop_new(NULL);
    assert_int_equal(cio_loop_get_counters(NULL, &c), -EINVAL);
    assert_int_equal(cio_loop_get_counters(loop, NULL), -EINVAL);
    assert_int_equal(cio_loop_close(loop), 0);
    assert_int_equal(cio_loop_get_counters(loop, &c), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}
