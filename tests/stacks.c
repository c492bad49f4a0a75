/* Stacks: their size, their reuse, many of them, and what survives a switch from one to another. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "journal.h"
#include "test.h"

enum { KIB = 1024 };

/* What a sanitizer's larger frames leave of a default stack for a test's own use. */
static int room(int bytes)
{
    return test_is_slow() ? bytes / 4 : bytes;
}

/* Uses about `bytes` of stack, all the way down, and waits at the bottom. */
__attribute__((noinline)) static int dive(int bytes)
{
    volatile char frame[512];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)(bytes + (int)i);
    int deeper = bytes > 600 ? dive(bytes - 600) : cio_yield();
    for (size_t i = 0; i < sizeof frame; i++)
        assert_true(frame[i] == (char)(bytes + (int)i));
    return deeper;
}

static int dive_task(void *arg)
{
    return dive(*(int *)arg);
}

/* ---- sizes ---- */

static int deep_main(void *arg)
{
    (void)arg;
    int bytes = room(48 * KIB);
    cio_task *a = cio_create_task(dive_task, &bytes);
    cio_task *b = cio_create_task(dive_task, &bytes);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_await(b), 0);
    return dive(bytes);
}

TEST(deep_recursion_within_the_default_stack)
{
    assert_int_equal(run_quiet(deep_main, NULL), 0);
}

static int sizes_main(void *arg)
{
    (void)arg;
    static const int sizes[] = {16, 32, 64, 100, 256, 1024, 8192};
    enum { N = sizeof sizes / sizeof sizes[0] };
    cio_task *tasks[N];
    int bytes[N];
    for (int i = 0; i < N; i++) {
        cio_task_options options = {.stack_size = (size_t)sizes[i] * KIB};
        bytes[i] = room(sizes[i] * KIB - 10 * KIB);
        tasks[i] = cio_create_task_with(&options, dive_task, &bytes[i]);
        assert_non_null(tasks[i]);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return 0;
}

TEST(each_task_may_have_a_stack_size_of_its_own)
{
    assert_int_equal(run_quiet(sizes_main, NULL), 0);
}

static int loop_size_main(void *arg)
{
    (void)arg;
    int bytes = room(900 * KIB);
    assert_int_equal(dive(bytes), 0); /* the main task's too */
    return cio_await(cio_create_task(dive_task, &bytes));
}

TEST(the_loop_sets_the_default_size)
{
    cio_run_options options = {.loop.stack_size = 1000 * KIB};
    assert_int_equal(cio_run_with(&options, loop_size_main, NULL), 0);
}

static int bad_sizes_main(void *arg)
{
    (void)arg;
    int bytes = 0;
    static const size_t bad[] = {1, 4095, ((size_t)1 << 30) + 1, SIZE_MAX, SIZE_MAX - 4096};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cio_task_options options = {.stack_size = bad[i]};
        assert_null(cio_create_task_with(&options, dive_task, &bytes));
        assert_int_equal(cio_last_error(), -EINVAL);
        cio_loop_options loop = {.stack_size = bad[i]};
        assert_null(cio_loop_new(&loop));
        assert_int_equal(cio_last_error(), -EINVAL);
    }
    return 0;
}

TEST(sizes_outside_the_limits_are_refused)
{
    assert_int_equal(run_quiet(bad_sizes_main, NULL), 0);
}

/* ---- many, and reuse ---- */

struct many {
    int alive;
    int most;
};

static int count_alive(void *arg)
{
    struct many *m = arg;
    volatile char frame[256];
    memset((char *)frame, m->alive & 0x7f, sizeof frame);
    char mine = frame[0];
    if (++m->alive > m->most)
        m->most = m->alive;
    cio_yield();
    for (size_t i = 0; i < sizeof frame; i++)
        assert_int_equal(frame[i], mine);
    m->alive--;
    return 0;
}

static int many_main(void *arg)
{
    struct many m = {0};
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        cio_task *t = cio_create_task(count_alive, &m);
        assert_non_null(t);
        cio_detach(t);
    }
    while (cio_all_tasks(NULL, NULL) > 1)
        cio_yield();
    assert_int_equal(m.alive, 0);
    assert_int_equal(m.most, n);
    return 0;
}

TEST(many_stacks_at_once)
{
    int n = test_scale(5000);
    assert_int_equal(run_quiet(many_main, &n), 0);
}

/* A mapping for each guard page would end at vm.max_map_count / 2: 32 765 tasks. */
TEST_SLOW(more_stacks_than_the_kernel_has_mappings)
{
    enum { GUARD_INSTALL = 102, SIZE = 65536 };
    void *probe = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int rc = madvise(probe, 4096, GUARD_INSTALL);
    munmap(probe, SIZE);
    if (rc != 0 || test_is_slow())
        test_skip("needs MADV_GUARD_INSTALL, and a quick machine");
    int n = 70000;
    assert_int_equal(run_quiet(many_main, &n), 0);
}

struct mappings {
    int made;
    size_t live;
    size_t most;
};

static void *map_counted(size_t size, void *arg)
{
    struct mappings *m = arg;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    m->made++;
    m->live += size;
    m->most = m->live > m->most ? m->live : m->most;
    return p;
}

static void unmap_counted(void *ptr, size_t size, void *arg)
{
    struct mappings *m = arg;
    m->live -= size;
    munmap(ptr, size);
}

static int reuse_main(void *arg)
{
    struct mappings *m = arg;
    int bytes = 1000, before = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(cio_await(cio_create_task(dive_task, &bytes)), 0);
        if (i == 0)
            before = m->made;
    }
    assert_int_equal(m->made, before); /* the second task has the stack of the first */
    return 0;
}

TEST(the_stack_of_an_ended_task_is_used_again)
{
    struct mappings m = {0};
    cio_allocator allocator = {.map = map_counted, .unmap = unmap_counted, .arg = &m};
    cio_set_allocator(&allocator);
    assert_int_equal(run_quiet(reuse_main, &m), 0);
    assert_true(m.made > 0);
    assert_int_equal(m.live, 0);
    cio_set_allocator(NULL);
}

static int waves_main(void *arg)
{
    struct mappings *m = arg;
    int n = test_scale(1000);
    for (int i = 0; i < 5; i++)
        assert_int_equal(many_main(&n), 0);
    size_t most = m->most;
    for (int i = 0; i < 5; i++)
        assert_int_equal(many_main(&n), 0);
    assert_int_equal(m->most, most); /* no growth from wave to wave */
    return 0;
}

TEST(waves_of_tasks_do_not_grow_the_memory)
{
    struct mappings m = {0};
    cio_allocator allocator = {.map = map_counted, .unmap = unmap_counted, .arg = &m};
    cio_set_allocator(&allocator);
    assert_int_equal(run_quiet(waves_main, &m), 0);
    assert_int_equal(m.live, 0);
    cio_set_allocator(NULL);
}

/* ---- what survives a switch ---- */

typedef float vector __attribute__((vector_size(16)));

__attribute__((noinline)) static void store_aligned(void)
{
    volatile vector v = {1, 2, 3, 4}; /* an aligned store: faults on a crooked stack */
    assert_int_equal((uintptr_t)&v % 16, 0);
    assert_true(v[3] > 3);
}

static int entry(void *arg)
{
    _Alignas(64) volatile char line[64];
    line[0] = 1;
    assert_int_equal((uintptr_t)line % 64, 0);
#if defined(__x86_64__) || defined(__aarch64__)
    assert_int_equal((uintptr_t)__builtin_frame_address(0) % 16, 0);
#endif
    store_aligned();
    char text[64];
    snprintf(text, sizeof text, "%.2f %Lg %d %s", 3.25, 1.5L, 7, (const char *)arg); /* movaps */
    assert_string_equal(text, "3.25 1.5 7 x");
    cio_yield();
    store_aligned();
    return 0;
}

static int alignment_main(void *arg)
{
    cio_task *tasks[20]; /* the tops of stacks are coloured: try several */
    for (int i = 0; i < 20; i++)
        tasks[i] = cio_create_task(entry, arg);
    for (int i = 0; i < 20; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    cio_task_options eager = {.eager = true};
    return cio_await(cio_create_task_with(&eager, entry, arg));
}

TEST(stacks_are_aligned_as_the_abi_wants)
{
    assert_int_equal(run_quiet(alignment_main, "x"), 0);
}

struct numbers {
    int seed;
};

/* More live values across each wait than there are callee-saved registers. */
static int keep_numbers(void *arg)
{
    const struct numbers *n = arg;
    long i0 = n->seed, i1 = i0 * 3, i2 = i0 * 5, i3 = i0 * 7, i4 = i0 * 11, i5 = i0 * 13,
         i6 = i0 * 17;
    double d0 = n->seed + 0.5, d1 = d0 * 2, d2 = d0 * 3, d3 = d0 * 4, d4 = d0 * 5, d5 = d0 * 6;
    long double l0 = d0 * 7;
    float f0 = (float)d0;
    for (int turn = 0; turn < 50; turn++) {
        int rc = turn % 10 ? cio_yield() : cio_sleep(0.0001);
        assert_int_equal(rc, 0);
        i0 += 1, i1 += 3, i2 += 5, i3 += 7, i4 += 11, i5 += 13, i6 += 17;
        d0 += 1, d1 += 2, d2 += 3, d3 += 4, d4 += 5, d5 += 6, l0 += 7, f0 += 1;
    }
    long seed = n->seed + 50;
    double d = n->seed + 50.5;
    assert_true(i0 == seed && i1 == seed * 3 && i2 == seed * 5 && i3 == seed * 7);
    assert_true(i4 == seed * 11 && i5 == seed * 13 && i6 == seed * 17);
    assert_true(fabs(d0 - d) < 1e-9 && fabs(d1 - d * 2) < 1e-9 && fabs(d2 - d * 3) < 1e-9);
    assert_true(fabs(d3 - d * 4) < 1e-9 && fabs(d4 - d * 5) < 1e-9 && fabs(d5 - d * 6) < 1e-9);
    assert_true(fabs((double)l0 - d * 7) < 1e-9 && fabs((double)f0 - d) < 1e-3);
    return 0;
}

static int numbers_main(void *arg)
{
    (void)arg;
    cio_task *tasks[8];
    struct numbers numbers[8];
    for (int i = 0; i < 8; i++) {
        numbers[i].seed = i * 1000;
        tasks[i] = cio_create_task(keep_numbers, &numbers[i]);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return 0;
}

TEST(registers_survive_a_switch)
{
    assert_int_equal(run_quiet(numbers_main, NULL), 0);
}

/* ---- signals ---- */

static volatile sig_atomic_t signals_seen;

static void see_signal(int number)
{
    volatile char frame[1024];
    (void)number;
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)i;
    signals_seen++;
}

static int raise_main(void *arg)
{
    (void)arg;
    volatile int guard = 12345;
    raise(SIGUSR1);
    assert_int_equal(signals_seen, 1);
    cio_yield();
    raise(SIGUSR1);
    assert_int_equal(signals_seen, 2);
    assert_int_equal(guard, 12345);
    return 0;
}

TEST(a_signal_handler_may_run_on_a_stack)
{
    struct sigaction action = {.sa_handler = see_signal};
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(run_quiet(raise_main, NULL), 0);
}

static int storm_main(void *arg)
{
    (void)arg;
    struct itimerval often = {.it_interval = {0, 500}, .it_value = {0, 500}}, never = {0};
    setitimer(ITIMER_REAL, &often, NULL);
    int goal = test_scale(200), rc = 0;
    while (signals_seen < goal && rc == 0)
        rc = numbers_main(NULL); /* it switches and sleeps without end */
    setitimer(ITIMER_REAL, &never, NULL);
    return rc;
}

TEST(a_storm_of_signals_disturbs_no_switch)
{
    struct sigaction action = {.sa_handler = see_signal};
    sigaction(SIGALRM, &action, NULL);
    assert_int_equal(run_quiet(storm_main, NULL), 0);
}
