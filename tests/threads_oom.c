/* Every allocation of what uses threads fails in its turn; see oom.c. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "jobs.h"
#include "memory.h"

static int ok(void *arg)
{
    (void)arg;
    return 0;
}

static void count_freed(void *arg)
{
    ++*(int *)arg;
}

/* ---- scenarios ---- */

static int to_thread_scenario(void *arg)
{
    return cio_to_thread(ok, arg);
}

TEST(oom_to_thread)
{
    memory_torture(to_thread_scenario);
}

static int executor_scenario(void *arg)
{
    cio_executor *executor = cio_executor_new(NULL);
    if (!executor)
        return cio_last_error();
    int freed = 0;
    cio_job_options options = {executor, count_freed};
    cio_future *future = cio_run_in_executor_with(&options, ok, &freed);
    int rc = future ? 0 : cio_last_error();
    if (future)
        rc = cio_await(future);
    else
        assert_int_equal(freed, 0);
    int shut = cio_executor_shutdown(executor, 0);
    assert_int_equal(freed, future != NULL); /* exactly if it was taken */
    cio_executor_free(executor);
    (void)arg;
    return rc < 0 ? rc : shut;
}

TEST(oom_executor)
{
    memory_torture(executor_scenario);
}

static int calls_the_loop(void *arg)
{
    int rc = cio_call_threadsafe(NULL, ok, arg);
    cio_remote *remote = cio_run_threadsafe(NULL, ok, arg);
    if (!remote)
        return cio_last_error();
    cio_remote_wait(remote, 5);
    cio_remote_cancel(remote);
    int second = cio_remote_join(remote);
    return rc < 0 ? rc : second;
}

static int remote_scenario(void *arg)
{
    return cio_to_thread(calls_the_loop, arg);
}

TEST(oom_remote)
{
    memory_torture(remote_scenario);
}

static int queue_scenario(void *arg)
{
    cio_thread_queue *queue = cio_thread_queue_new(1, sizeof(int));
    if (!queue)
        return cio_last_error();
    int item = 1, rc = cio_thread_queue_put(queue, &item);
    assert_int_equal(rc, 0);
    rc = cio_thread_queue_put_for(queue, &item, 0.0001);
    assert_true(rc == CIO_ETIMEDOUT || rc == -ENOMEM);
    assert_int_equal(cio_thread_queue_get(queue, &item), 0);
    assert_int_equal(cio_thread_queue_free(queue), 0);
    (void)arg;
    return rc == CIO_ETIMEDOUT ? 0 : rc;
}

TEST(oom_thread_queue)
{
    memory_torture(queue_scenario);
}

static int limited_shutdown_scenario(void *arg)
{
    int rc = cio_to_thread(ok, arg);
    int shut = cio_shutdown_default_executor(10);
    assert_true(shut == 0 || shut == -ENOMEM);
    return rc < 0 ? rc : shut;
}

TEST(oom_shutdown_with_a_limit)
{
    memory_torture(limited_shutdown_scenario);
}
