/* Every allocation of what uses threads fails in its turn; see oom.c. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "jobs.h"

static struct {
    _Atomic int calls, blocks;
    _Atomic size_t pages;
    int fail_at;
    bool for_good;
} memory;

static bool fails(void)
{
    int call = ++memory.calls;
    return call == memory.fail_at || (memory.for_good && call > memory.fail_at);
}

static void *count_realloc(void *ptr, size_t size, void *arg)
{
    (void)arg;
    if (fails())
        return NULL;
    void *block = realloc(ptr, size);
    assert_non_null(block);
    if (!ptr) {
        memory.blocks++;
        memset(block, 0xa5, size);
    }
    return block;
}

static void count_free(void *ptr, void *arg)
{
    (void)arg;
    memory.blocks -= ptr != NULL;
    free(ptr);
}

static void *count_map(size_t size, void *arg)
{
    (void)arg;
    if (fails())
        return NULL;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    memory.pages += size;
    return pages;
}

static void count_unmap(void *ptr, size_t size, void *arg)
{
    (void)arg;
    memory.pages -= size;
    munmap(ptr, size);
}

static void ignore_reports(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

static bool run_once(cio_coroutine *scenario, int fail_at, bool for_good)
{
    memory.calls = 0;
    memory.fail_at = fail_at;
    memory.for_good = for_good;
    cio_run_options options = {.exception_handler = ignore_reports};
    int rc = cio_run_with(&options, scenario, NULL);
    bool failed = memory.calls >= fail_at;
    if (memory.blocks || memory.pages)
        print_error("allocation %d: %d blocks, %zu bytes of pages left\n", fail_at, memory.blocks,
                    memory.pages);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.pages, 0);
    if (!failed)
        assert_int_equal(rc, 0);
    return !failed;
}

static void torture(cio_coroutine *scenario)
{
    static const cio_allocator allocator = {count_realloc, count_free, count_map, count_unmap,
                                            NULL};
    cio_set_allocator(&allocator);
    for (int for_good = 0; for_good < 2; for_good++) {
        int n = 1;
        while (!run_once(scenario, n, for_good != 0))
            n++;
        assert_true(n > 1);
    }
    cio_set_allocator(NULL);
}

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
    torture(to_thread_scenario);
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
    torture(executor_scenario);
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
    torture(remote_scenario);
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
    torture(queue_scenario);
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
    torture(limited_shutdown_scenario);
}
