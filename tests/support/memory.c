/* Memory that is counted and can be made to run out. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "test.h"

struct memory memory;

static bool fails(void)
{
    int call = ++memory.calls;
    int fail_at = memory.fail_at;
    return fail_at && (call == fail_at || (memory.for_good && call > fail_at));
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
    assert_true(memory.pages >= size);
    memory.pages -= size;
    assert_int_equal(munmap(ptr, size), 0);
}

void memory_begin(void)
{
    static const cio_allocator allocator = {count_realloc, count_free, count_map, count_unmap,
                                            NULL};
    memory_returns();
    cio_set_allocator(&allocator);
}

static void expect_nothing_left(int fds)
{
    if (memory.blocks || memory.pages || test_count_fds() != fds)
        print_error("allocation %d%s: %d blocks, %zu bytes of pages, %d files left\n",
                    memory.fail_at, memory.for_good ? " and later" : "", memory.blocks,
                    memory.pages, test_count_fds() - fds);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.pages, 0);
    assert_int_equal(test_count_fds(), fds);
}

void memory_end(void)
{
    expect_nothing_left(test_count_fds());
    cio_set_allocator(NULL);
}

void memory_lacks(void)
{
    memory.for_good = true;
    memory.fail_at = memory.calls + 1;
}

void memory_returns(void)
{
    memory.fail_at = 0;
    memory.for_good = false;
}

static void ignore_reports(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg; /* a task lost for want of memory may be reported */
}

/* One run; returns whether it got to its end without a failure. */
static bool run_once(cio_coroutine *scenario, int fail_at, bool for_good)
{
    int fds = test_count_fds();
    memory.calls = 0;
    memory.fail_at = fail_at;
    memory.for_good = for_good;
    cio_run_options options = {.exception_handler = ignore_reports};
    int rc = cio_run_with(&options, scenario, NULL);
    bool failed = memory.calls >= fail_at;
    expect_nothing_left(fds);
    if (!failed)
        assert_int_equal(rc, 0);
    return !failed;
}

void memory_torture(cio_coroutine *scenario)
{
    memory_begin();
    for (int for_good = 0; for_good < 2; for_good++) {
        int n = 1;
        while (!run_once(scenario, n, for_good != 0))
            n++;
        assert_true(n > 3); /* the allocator was asked at all */
    }
    memory_end();
}
