/* The loop's memory: where it comes from, how little it is, and what happens when there is none. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

/* An allocator that counts, and that can be made to fail. */
static struct {
    long n_calls;         /* of realloc and map */
    long n_blocks;        /* not given back yet */
    long n_bytes;         /* asked for in all, blocks and mappings */
    long n_until_failure; /* < 0: never; 0: from now on always */
} memory = {.n_until_failure = -1};

static bool must_fail(void)
{
    memory.n_calls++;
    if (memory.n_until_failure > 0)
        memory.n_until_failure--;
    else if (memory.n_until_failure == 0)
        return true;
    return false;
}

static void *count_realloc(void *ptr, size_t size, void *arg)
{
    assert_ptr_equal(arg, &memory);
    assert_true(size > 0);
    if (must_fail())
        return NULL;
    void *block = realloc(ptr, size);
    if (!ptr)
        memory.n_blocks++;
    memory.n_bytes += (long)size;
    return block;
}

static void count_free(void *ptr, void *arg)
{
    assert_ptr_equal(arg, &memory);
    if (ptr)
        memory.n_blocks--;
    free(ptr);
}

static void *count_map(size_t size, void *arg)
{
    assert_ptr_equal(arg, &memory);
    if (must_fail())
        return NULL;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    memory.n_blocks++;
    memory.n_bytes += (long)size;
    return pages;
}

static void count_unmap(void *ptr, size_t size, void *arg)
{
    assert_ptr_equal(arg, &memory);
    memory.n_blocks--;
    munmap(ptr, size);
}

static void count_memory(void)
{
    static cio_allocator allocator = {count_realloc, count_free, count_map, count_unmap, &memory};
    assert_int_equal(cio_set_allocator(&allocator), 0);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

TEST(loop_gives_all_its_memory_back)
{
    int fds[2];
    cio_handle soon = {0}, timer = {0}, file = {0}, posted = {0};
    count_memory();
    assert_int_equal(pipe(fds), 0);
    cio_loop *loop = new_loop();
    assert_true(memory.n_blocks > 0);
    for (int i = 0; i < 3; i++) {
        cio_call_soon(loop, &soon, do_nothing, NULL);
        cio_call_later(loop, &timer, i < 2 ? 0.0 : 60.0, do_nothing, NULL);
        cio_call_soon_threadsafe(loop, &posted, do_nothing, NULL);
        if (i < 2)
            run_turn(loop);
    }
    cio_add_reader(loop, fds[0], &file, do_nothing, NULL);
    free_loop(loop);
    assert_int_equal(memory.n_blocks, 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(null_puts_the_default_allocator_back)
{
    count_memory();
    assert_int_equal(cio_set_allocator(NULL), 0);
    cio_loop *loop = new_loop();
    run_turn(loop);
    free_loop(loop);
    assert_int_equal(memory.n_calls, 0);
}

TEST(null_members_keep_their_defaults)
{
    cio_allocator allocator = {.arg = &memory};
    assert_int_equal(cio_set_allocator(&allocator), 0);
    memset(&allocator, 0xff, sizeof allocator); /* it was copied */
    cio_loop *loop = new_loop();
    run_turn(loop);
    free_loop(loop);
}

/* --- the steady state allocates nothing ------------------------------------------------------ */

enum { N_HANDLES = 1000 };

struct rounds {
    cio_loop *loop;
    int fds[2];
    cio_handle soon[N_HANDLES], timers[N_HANDLES], canceled[N_HANDLES], posted[N_HANDLES];
    cio_handle reader, writer;
};

static void use_everything(struct rounds *r)
{
    double past = cio_time(r->loop) - 1.0;
    for (int i = 0; i < N_HANDLES; i++) {
        assert_int_equal(cio_call_soon(r->loop, &r->soon[i], do_nothing, NULL), 0);
        assert_int_equal(cio_call_at(r->loop, &r->timers[i], past, do_nothing, NULL), 0);
        assert_int_equal(cio_call_later(r->loop, &r->canceled[i], 60.0, do_nothing, NULL), 0);
        assert_int_equal(cio_call_soon_threadsafe(r->loop, &r->posted[i], do_nothing, NULL), 0);
    }
    assert_int_equal(cio_add_reader(r->loop, r->fds[0], &r->reader, do_nothing, NULL), 0);
    assert_int_equal(cio_add_writer(r->loop, r->fds[0], &r->writer, do_nothing, NULL), 0);
    run_for(r->loop, 0.0001);
    for (int i = 0; i < N_HANDLES; i++)
        assert_true(cio_handle_cancel(&r->canceled[i]));
    assert_int_equal(cio_remove_reader(r->loop, r->fds[0]), 1);
    assert_int_equal(cio_remove_writer(r->loop, r->fds[0]), 1);
}

TEST(steady_state_allocates_nothing)
{
    struct rounds *r = calloc(1, sizeof *r);
    count_memory();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r->fds), 0);
    r->loop = new_loop();
    use_everything(r);
    use_everything(r);
    long before = memory.n_calls;
    for (int i = 0; i < 20; i++)
        use_everything(r);
    assert_int_equal(memory.n_calls, before);
    free_loop(r->loop);
    assert_int_equal(memory.n_blocks, 0);
    close(r->fds[0]);
    close(r->fds[1]);
    free(r);
}

/* T9: timers that are made and canceled do not pile up. */
TEST(t9_canceled_timers_take_no_room)
{
    cio_handle handles[10] = {0};
    count_memory();
    cio_loop *loop = new_loop();
    cio_call_later(loop, &handles[0], 60.0, do_nothing, NULL);
    long before = memory.n_calls;
    for (int i = 0; i < 100000; i++) {
        cio_handle *handle = &handles[i % 10];
        cio_handle_cancel(handle);
        assert_int_equal(cio_call_later(loop, handle, 60.0 + i % 7, do_nothing, NULL), 0);
    }
    assert_true(memory.n_calls - before < 10);
    free_loop(loop);
    assert_int_equal(memory.n_blocks, 0);
}

/* --- no memory ------------------------------------------------------------------------------- */

/* Each allocation of a new loop fails in turn: it says so and leaves nothing behind. */
TEST(loop_without_memory_says_so)
{
    int fds = test_count_fds();
    cio_loop *loop = NULL;
    count_memory();
    for (int i = 0; !loop; i++) {
        assert_true(i < 1000);
        memory.n_until_failure = i;
        loop = cio_loop_new(NULL);
        if (!loop) {
            assert_int_equal(cio_last_error(), -ENOMEM);
            assert_int_equal(memory.n_blocks, 0);
            assert_int_equal(test_count_fds(), fds);
        }
    }
    assert_true(memory.n_calls > 1);
    memory.n_until_failure = -1;
    run_turn(loop);
    free_loop(loop);
    assert_int_equal(memory.n_blocks, 0);
}

struct numbered {
    cio_handle handle;
    int number;
};

static int n_called;

/* Turns may be shorter than usual while there is no memory. */
static void run_until_called(cio_loop *loop, const int *count, int n)
{
    for (int turns = 0; *count < n; turns++) {
        assert_true(turns <= n);
        run_turn(loop);
    }
}

static void expect_next(void *arg)
{
    assert_int_equal(((struct numbered *)arg)->number, n_called++);
}

/* call_soon allocates nothing that could fail: without any memory all calls are made, in order. */
TEST(call_soon_needs_no_memory)
{
    int n = test_scale(50000);
    struct numbered *calls = calloc((size_t)n, sizeof *calls);
    count_memory();
    cio_loop *loop = new_loop();
    memory.n_until_failure = 0;
    for (int i = 0; i < n; i++) {
        calls[i].number = i;
        assert_int_equal(cio_call_soon(loop, &calls[i].handle, expect_next, &calls[i]), 0);
        assert_true(cio_handle_pending(&calls[i].handle));
    }
    run_until_called(loop, &n_called, n);
    assert_int_equal(n_called, n);
    free_loop(loop);
    free(calls);
}

/* The same for calls that are posted; memory comes back halfway. */
TEST(posts_need_no_memory)
{
    int n = test_scale(50000);
    struct numbered *calls = calloc((size_t)n, sizeof *calls);
    count_memory();
    cio_loop *loop = new_loop();
    memory.n_until_failure = 0;
    for (int i = 0; i < n; i++) {
        calls[i].number = i;
        assert_int_equal(cio_call_soon_threadsafe(loop, &calls[i].handle, expect_next, &calls[i]),
                         0);
        if (i == n / 2) {
            run_turn(loop);
            memory.n_until_failure = -1;
        }
    }
    run_until_called(loop, &n_called, n);
    assert_int_equal(n_called, n);
    free_loop(loop);
    free(calls);
}

struct tally {
    cio_handle handle;
    int *n_ran;
};

static void count_run(void *arg)
{
    ++*((struct tally *)arg)->n_ran;
}

/* Handles that wait for room can be canceled, and freed, like any other. */
TEST(calls_queued_without_memory_can_be_canceled)
{
    int n = test_scale(20000), n_ran = 0, n_canceled = 0;
    struct tally **calls = calloc((size_t)n, sizeof(struct tally *));
    count_memory();
    cio_loop *loop = new_loop();
    memory.n_until_failure = 0;
    for (int i = 0; i < n; i++) {
        calls[i] = calloc(1, sizeof *calls[i]);
        calls[i]->n_ran = &n_ran;
        assert_int_equal(cio_call_soon(loop, &calls[i]->handle, count_run, calls[i]), 0);
    }
    /* From the end, the start and the middle of whatever list it is. */
    for (int i = n - 1; i >= 0; i -= n / 10) {
        assert_true(cio_handle_cancel(&calls[i]->handle));
        free(calls[i]);
        calls[i] = NULL;
        n_canceled++;
    }
    /* One more, behind a list whose last one is gone. */
    struct tally last = {.n_ran = &n_ran};
    assert_int_equal(cio_call_soon(loop, &last.handle, count_run, &last), 0);
    run_until_called(loop, &n_ran, n - n_canceled + 1);
    run_turn(loop);
    assert_int_equal(n_ran, n - n_canceled + 1);
    free_loop(loop);
    for (int i = 0; i < n; i++)
        free(calls[i]);
    free(calls);
}

TEST(loop_closed_while_calls_wait_for_room_gives_them_back)
{
    int n = test_scale(20000);
    struct numbered *calls = calloc((size_t)n, sizeof *calls);
    count_memory();
    cio_loop *loop = new_loop();
    memory.n_until_failure = 0;
    for (int i = 0; i < n; i++)
        cio_call_soon(loop, &calls[i].handle, expect_next, &calls[i]);
    assert_int_equal(cio_loop_close(loop), 0);
    for (int i = 0; i < n; i++)
        assert_false(cio_handle_pending(&calls[i].handle));
    free_loop(loop);
    assert_int_equal(memory.n_blocks, 0);
    free(calls);
}

/* A timer for which there is no room is refused; those that are there go on. */
TEST(timer_without_memory_is_refused)
{
    int n = 100000, n_made = 0, n_refused = 0;
    struct numbered *calls = calloc((size_t)n, sizeof *calls);
    count_memory();
    cio_loop *loop = new_loop();
    double past = cio_time(loop) - 1.0;
    memory.n_until_failure = 1;
    for (int i = 0; i < n; i++) {
        calls[i].number = n_made;
        int rc = cio_call_at(loop, &calls[i].handle, past, expect_next, &calls[i]);
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_int_equal(cio_handle_pending(&calls[i].handle), rc == 0);
        n_made += rc == 0;
        n_refused += rc != 0;
    }
    assert_true(n_refused > 0);
    run_until_called(loop, &n_called, n_made);
    assert_int_equal(n_called, n_made);
    free_loop(loop);
    free(calls);
}

/* The same for a watch; nothing is left of it in the kernel either. */
TEST(watch_without_memory_is_refused)
{
    int fds[2];
    cio_handle handle = {0};
    count_memory();
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    cio_loop *loop = new_loop();
    int rc = -ENOMEM;
    for (int i = 0; rc == -ENOMEM; i++) {
        assert_true(i < 100);
        memory.n_until_failure = i;
        rc = cio_add_reader(loop, fds[0], &handle, note, "r");
        memory.n_until_failure = -1;
        assert_int_equal(cio_handle_pending(&handle), rc == 0);
        if (rc < 0)
            run_turn(loop);
    }
    assert_int_equal(rc, 0);
    assert_trace("");
    run_turn(loop);
    assert_trace("r");
    free_loop(loop);
    assert_int_equal(memory.n_blocks, 0);
    close(fds[0]);
    close(fds[1]);
}

/* A number that is no descriptor must not make the loop's table grow to hold it. */
TEST(impossible_descriptor_costs_no_memory)
{
    cio_handle handle = {0};
    count_memory();
    cio_loop *loop = new_loop();
    long before = memory.n_bytes;
    assert_int_equal(cio_add_reader(loop, INT32_MAX, &handle, note, "x"), -EBADF);
    assert_int_equal(cio_add_writer(loop, 1 << 29, &handle, note, "x"), -EBADF);
    assert_true(memory.n_bytes - before < 1024 * 1024);
    free_loop(loop);
}
