/* Tasks that other threads start and wait for: cio_run_threadsafe() and cio_call_threadsafe(). Trap T48. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobs.h"

/* ---- a loop that serves threads ---- */

struct server {
    cio_loop *loop;
    sem_t ready;
    cio_future *stop;
    pthread_t thread;
    char reported[128];
    int n_reported;
};

static void note_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop;
    struct server *server = arg;
    server->n_reported++;
    snprintf(server->reported, sizeof server->reported, "%s", context->message);
}

static int serve(void *arg)
{
    struct server *server = arg;
    server->loop = cio_get_running_loop();
    server->stop = cio_future_new();
    sem_post(&server->ready);
    return cio_await(server->stop);
}

static void *run_server(void *arg)
{
    struct server *server = arg;
    cio_run_options options = {.exception_handler = note_report, .exception_arg = server};
    assert_int_equal(cio_run_with(&options, serve, server), 0);
    return NULL;
}

static void server_start(struct server *server)
{
    *server = (struct server){0};
    sem_init(&server->ready, 0, 0);
    server->thread = start_thread(run_server, server);
    wait_for(&server->ready);
}

static int stop_server(void *arg)
{
    return cio_set_result(((struct server *)arg)->stop, 0, NULL);
}

/* By a remote task, which holds the loop, so that it can be freed at once. */
static void server_ask_to_stop(struct server *server)
{
    cio_remote_detach(cio_run_threadsafe(server->loop, stop_server, server));
}

static void server_stop(struct server *server)
{
    server_ask_to_stop(server);
    join(server->thread);
}

static int add_one(void *arg)
{
    cio_sleep(0.0001);
    assert_non_null(cio_current_task());
    return *(int *)arg + 1;
}

static int sleep_for_ever(void *arg)
{
    if (arg)
        sem_post(arg);
    return cio_sleep(CIO_FOREVER);
}

static int return_value(void *arg)
{
    return cio_return(1, arg);
}

/* ---- starting, waiting, results ---- */

TEST(a_thread_starts_a_task_and_waits_for_it)
{
    struct server server;
    server_start(&server);
    int number = 4;
    assert_int_equal(cio_call_threadsafe(server.loop, add_one, &number), 5);
    number = -100;
    assert_int_equal(cio_call_threadsafe(server.loop, add_one, &number), -99);
    cio_remote *remote = cio_run_threadsafe(server.loop, add_one, &number);
    assert_int_equal(cio_remote_wait(remote, CIO_FOREVER), 0);
    assert_int_equal(cio_remote_wait(remote, 0), 0);
    assert_true(cio_remote_done(remote));
    assert_int_equal(cio_remote_result(remote), -99);
    assert_int_equal(cio_remote_cancel(remote), 0);
    assert_int_equal(cio_remote_join(remote), -99);
    void *value = NULL;
    assert_int_equal(
        cio_remote_join_value(cio_run_threadsafe(server.loop, return_value, &number), &value), 1);
    assert_ptr_equal(value, &number);
    server_stop(&server);
    assert_int_equal(server.n_reported, 0); /* an error that is asked for is known */
}

TEST(a_wait_with_a_limit_leaves_the_task_alone)
{
    struct server server;
    server_start(&server);
    cio_remote *remote = cio_run_threadsafe(server.loop, sleep_for_ever, NULL);
    assert_int_equal(cio_remote_wait(remote, 0), CIO_ETIMEDOUT);
    assert_int_equal(cio_remote_wait(remote, 0.002), CIO_ETIMEDOUT);
    assert_int_equal(cio_remote_wait(remote, NAN), -EINVAL);
    assert_false(cio_remote_done(remote));
    assert_int_equal(cio_remote_result(remote), CIO_ESTATE);
    assert_int_equal(cio_remote_cancel(remote), 1);
    assert_int_equal(cio_remote_join(remote), CIO_ECANCELED);
    server_stop(&server);
}

static int swallow_one(void *arg)
{
    sem_post(arg);
    assert_int_equal(cio_sleep(CIO_FOREVER), CIO_ECANCELED);
    cio_uncancel(cio_current_task());
    sem_post(arg);
    return cio_sleep(CIO_FOREVER);
}

TEST(a_remote_task_is_canceled_before_while_and_again)
{
    struct server server;
    sem_t begun;
    sem_init(&begun, 0, 0);
    server_start(&server);
    cio_remote *remote = cio_run_threadsafe(server.loop, sleep_for_ever, NULL);
    cio_remote_cancel(remote); /* perhaps it has not begun */
    cio_remote_cancel(remote);
    assert_int_equal(cio_remote_join(remote), CIO_ECANCELED);
    remote = cio_run_threadsafe(server.loop, swallow_one, &begun);
    wait_for(&begun);
    assert_int_equal(cio_remote_cancel(remote), 1);
    wait_for(&begun);
    assert_int_equal(cio_remote_cancel(remote), 1);
    assert_int_equal(cio_remote_join(remote), CIO_ECANCELED);
    server_stop(&server);
}

static int fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

TEST(a_detached_tasks_error_is_reported)
{
    struct server server;
    server_start(&server);
    cio_loop *loop = server.loop;
    sem_t never;
    sem_init(&never, 0, 0);
    assert_int_equal(cio_remote_detach(cio_run_threadsafe(loop, sleep_for_ever, &never)), 0);
    cio_remote_detach(cio_run_threadsafe(loop, fail_at_once, NULL));
    int number = 1; /* comes after it */
    assert_int_equal(cio_call_threadsafe(loop, add_one, &number), 2);
    server_stop(&server);
    assert_in_range(server.n_reported, 0, 1); /* unless it had ended before it was detached */
    if (server.n_reported)
        assert_non_null(strstr(server.reported, "never retrieved"));
}

/* ---- where a call would never end ---- */

static int call_own_loop(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    int number = 1;
    assert_int_equal(cio_call_threadsafe(loop, add_one, &number), CIO_EDEADLOCK);
    cio_remote *remote = cio_run_threadsafe(loop, add_one, &number);
    assert_int_equal(cio_remote_wait(remote, 1), CIO_EDEADLOCK);
    assert_int_equal(cio_remote_join(remote), CIO_EDEADLOCK);
    while (!cio_remote_done(remote))
        cio_yield();
    assert_int_equal(cio_remote_wait(remote, 1), 0); /* no need to wait */
    assert_int_equal(cio_remote_join(remote), 2);
    return 0;
}

TEST(waiting_for_a_loop_in_its_own_thread_is_a_deadlock)
{
    assert_int_equal(cio_run(call_own_loop, NULL), 0);
}

static void call_in_callback(void *arg)
{
    struct server *server = arg;
    int number = 1;
    assert_int_equal(cio_call_threadsafe(server->loop, add_one, &number), CIO_ENOTASK);
    server->loop = NULL;
}

static int has_a_callback_call(void *arg)
{
    cio_handle handle = {0};
    cio_call_soon(cio_get_running_loop(), &handle, call_in_callback, arg);
    return cio_yield();
}

TEST(a_callback_cannot_wait_for_another_loop)
{
    struct server server;
    server_start(&server);
    struct server seen = {.loop = server.loop};
    assert_int_equal(cio_run(has_a_callback_call, &seen), 0);
    assert_null(seen.loop);
    server_stop(&server);
}

static int nest(void *arg);

static int in_a_thread(void *arg)
{
    return cio_call_threadsafe(NULL, nest, arg);
}

/* Down through loops and threads: each level takes one more thread of the executor. */
static int nest(void *arg)
{
    struct errand *errand = arg;
    return cio_to_thread_in(errand->executor, in_a_thread, errand);
}

/* The seed's "single thread executor already being used, would deadlock", for any number. */
TEST(threads_that_all_wait_for_a_thread_are_a_deadlock)
{
    for (int n = 1; n <= 4; n++) {
        struct errand errand = {.executor = new_executor(n)};
        assert_int_equal(cio_run(nest, &errand), CIO_EDEADLOCK);
        free_executor(errand.executor);
    }
}

TEST(without_a_loop_there_is_nobody_to_call)
{
    int number = 1;
    assert_int_equal(cio_call_threadsafe(NULL, add_one, &number), CIO_ENOLOOP);
    assert_null(cio_run_threadsafe(NULL, add_one, &number));
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    cio_loop *loop = cio_loop_new(NULL);
    assert_int_equal(cio_call_threadsafe(loop, NULL, NULL), -EINVAL);
    assert_null(cio_run_threadsafe(loop, NULL, NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
    cio_loop_close(loop);
    assert_int_equal(cio_call_threadsafe(loop, add_one, &number), CIO_ECLOSED);
    assert_null(cio_run_threadsafe(loop, add_one, &number));
    assert_int_equal(cio_last_error(), CIO_ECLOSED);
    cio_loop_free(loop);
    assert_int_equal(cio_remote_wait(NULL, 1), -EINVAL);
    assert_int_equal(cio_remote_join(NULL), -EINVAL);
    assert_int_equal(cio_remote_cancel(NULL), -EINVAL);
    assert_int_equal(cio_remote_result(NULL), -EINVAL);
    assert_int_equal(cio_remote_detach(NULL), 0);
    assert_false(cio_remote_done(NULL));
}

/* ---- the loop ends while threads wait ---- */

struct caller {
    cio_loop *loop;
    cio_coroutine *fn;
    void *arg;
    int rc;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    caller->rc = cio_call_threadsafe(caller->loop, caller->fn, caller->arg);
    return NULL;
}

TEST(t50_the_end_of_a_run_ends_what_threads_wait_for)
{
    struct server server;
    sem_t begun;
    sem_init(&begun, 0, 0);
    server_start(&server);
    struct caller caller = {server.loop, sleep_for_ever, &begun, 0};
    pthread_t thread = start_thread(call, &caller);
    wait_for(&begun);
    server_stop(&server);
    join(thread);
    assert_int_equal(caller.rc, CIO_ECANCELED);
}

static int return_two(void *arg)
{
    (void)arg;
    return 2;
}

static void *call_until_refused(void *arg)
{
    struct caller *caller = arg;
    do
        caller->rc = cio_call_threadsafe(caller->loop, caller->fn, caller->arg);
    while (caller->rc == 2);
    return NULL;
}

/*
 * Whenever the end comes, nobody is left waiting. The loop is freed last, for they may be about to
 * call it.
 */
TEST(t48_callers_of_a_loop_that_ends_are_all_answered)
{
    int n = test_scale(100);
    for (int i = 0; i < n; i++) {
        enum { N = 4 };
        int number = 1;
        cio_loop *loop = cio_loop_new(NULL);
        struct caller callers[N];
        pthread_t threads[N];
        for (int k = 0; k < N; k++) {
            callers[k] = (struct caller){loop, k % 2 ? add_one : return_two, &number, 0};
            threads[k] = start_thread(call_until_refused, &callers[k]);
        }
        for (int k = 0; k < i % 5; k++) {
            cio_stop(loop);
            cio_run_forever(loop);
        }
        struct server reports = {0};
        cio_set_exception_handler(loop, note_report, &reports);
        assert_int_equal(cio_loop_close(loop), 0);
        for (int k = 0; k < N; k++) {
            join(threads[k]);
            assert_int_equal(callers[k].rc, CIO_ECLOSED);
        }
        cio_loop_free(loop);
    }
}

TEST(a_closed_loop_answers_for_tasks_begun_and_not_begun)
{
    sem_t begun;
    sem_init(&begun, 0, 0);
    struct server reports = {0};
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, note_report, &reports);
    cio_remote *first = cio_run_threadsafe(loop, sleep_for_ever, &begun);
    cio_remote *canceled = cio_run_threadsafe(loop, sleep_for_ever, &begun);
    for (int i = 0; i < 2; i++) {
        cio_stop(loop);
        cio_run_forever(loop);
    }
    wait_for(&begun);
    cio_remote *second = cio_run_threadsafe(loop, sleep_for_ever, &begun);
    cio_remote *detached = cio_run_threadsafe(loop, sleep_for_ever, &begun);
    cio_remote_cancel(canceled);
    cio_remote_detach(detached);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(cio_remote_join(first), CIO_ECLOSED);
    assert_int_equal(cio_remote_join(second), CIO_ECLOSED);
    assert_int_equal(cio_remote_join(canceled), CIO_ECLOSED);
}

/* ---- the four directions ---- */

struct level {
    int n;
    pthread_t threads[4];
};

static void note_thread(struct level *level)
{
    level->threads[level->n++] = pthread_self();
}

static int innermost(void *arg)
{
    note_thread(arg);
    return 0;
}

static int inner_task(void *arg)
{
    note_thread(arg);
    cio_sleep(0.0001);
    return cio_to_thread(innermost, arg); /* async to sync */
}

static int middle_job(void *arg)
{
    note_thread(arg);
    return cio_call_threadsafe(NULL, inner_task, arg); /* sync to async */
}

static int outer_task(void *arg)
{
    note_thread(arg);
    return cio_to_thread(middle_job, arg);
}

TEST(sync_and_async_call_each_other_in_every_direction)
{
    struct level level = {0};
    assert_int_equal(cio_run(outer_task, &level), 0);
    assert_int_equal(level.n, 4);
    assert_true(pthread_equal(level.threads[0], pthread_self()));
    assert_true(pthread_equal(level.threads[2], pthread_self())); /* back in the loop's thread */
    assert_false(pthread_equal(level.threads[1], pthread_self()));
    assert_false(pthread_equal(level.threads[3], pthread_self()));
    assert_false(pthread_equal(level.threads[3], level.threads[1])); /* that one still waits */
}

static int job_that_calls(void *arg)
{
    assert_int_equal(cio_call_threadsafe(NULL, sleep_for_ever, arg), CIO_ECANCELED);
    assert_true(cio_job_cancelled());
    return 3;
}

static int cancels_the_outer_task(void *arg)
{
    (void)arg;
    sem_t begun;
    sem_init(&begun, 0, 0);
    struct errand errand = {.fn = job_that_calls, .arg = &begun};
    cio_task *task = cio_create_task(run_errand, &errand);
    while (sem_trywait(&begun) < 0)
        cio_sleep(0.0001);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    return 0;
}

TEST(a_cancellation_reaches_the_task_that_a_job_waits_for)
{
    assert_int_equal(cio_run(cancels_the_outer_task, NULL), 0);
}

/* ---- loops wait for each other without blocking ---- */

static int tick_on(void *arg)
{
    for (;;) {
        ++*(int *)arg;
        int rc = cio_sleep(0.0001);
        if (rc < 0)
            return rc;
    }
}

static int calls_other_loop(void *arg)
{
    struct server *server = arg;
    int ticks = 0, number = 1;
    cio_task *ticker = cio_create_task(tick_on, &ticks);
    for (int i = 0; i < 20; i++)
        assert_int_equal(cio_call_threadsafe(server->loop, add_one, &number), 2);
    assert_true(ticks > 0);
    cio_remote *remote = cio_run_threadsafe(server->loop, sleep_for_ever, NULL);
    assert_int_equal(cio_remote_wait(remote, 0.001), CIO_ETIMEDOUT);
    cio_cancel(ticker);
    assert_int_equal(cio_await(ticker), CIO_ECANCELED);
    cio_cancel(cio_current_task());
    assert_int_equal(cio_remote_wait(remote, 10), CIO_ECANCELED); /* leaves it alone */
    assert_false(cio_remote_done(remote));
    cio_cancel(cio_current_task());
    assert_int_equal(cio_remote_join(remote), CIO_ECANCELED); /* passes it on, waits for the end */
    while (cio_cancelling(cio_current_task()))
        cio_uncancel(cio_current_task());
    return 0;
}

TEST(a_task_waits_for_another_loop_without_blocking_its_own)
{
    struct server server;
    server_start(&server);
    assert_int_equal(cio_run(calls_other_loop, &server), 0);
    server_stop(&server);
}

static void *call_many(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < test_scale(2000); i++)
        assert_int_equal(cio_call_threadsafe(caller->loop, return_it, caller->arg), 3);
    return NULL;
}

TEST(many_threads_call_one_loop)
{
    struct server server;
    int number = 3;
    server_start(&server);
    struct caller caller = {.loop = server.loop, .arg = &number};
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        threads[i] = start_thread(call_many, &caller);
    for (int i = 0; i < 6; i++)
        join(threads[i]);
    server_stop(&server);
}

/* ---- forks ---- */

TEST(a_child_cannot_call_the_parents_loop)
{
    if (test_is_valgrind())
        test_skip("what the parent's other threads held is lost in a child");
    struct server server;
    int number = 1;
    server_start(&server);
    cio_remote *remote = cio_run_threadsafe(server.loop, sleep_for_ever, NULL);
    pid_t child = fork();
    if (child == 0) {
        assert_int_equal(cio_call_threadsafe(server.loop, add_one, &number), CIO_EFORKED);
        assert_int_equal(cio_remote_wait(remote, 1), CIO_EFORKED);
        assert_int_equal(cio_remote_join(remote), CIO_EFORKED);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cio_remote_cancel(remote);
    assert_int_equal(cio_remote_join(remote), CIO_ECANCELED);
    server_stop(&server);
}
