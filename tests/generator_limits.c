/* Generators at the edges: many, no memory, other threads, forks, overflows. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "journal.h"
#include "test.h"

static void *number(intptr_t n)
{
    return (void *)n;
}

static cio_generator *new (cio_generator_fn *fn, void *arg)
{
    cio_generator *g = cio_generator_new(fn, arg);
    assert_non_null(g);
    return g;
}

static int count_up(cio_generator *g, void *arg)
{
    int rc = 0;
    for (intptr_t n = (intptr_t)arg; rc == 0; n++)
        rc = cio_generator_yield(g, number(n), NULL);
    return rc;
}

/* ---- many ---- */

/* All stand in a yield at once, and are asked in two orders. */
static int many(void *arg)
{
    int n = *(int *)arg;
    cio_generator **all = calloc((size_t)n, sizeof *all);
    assert_non_null(all);
    void *value;
    int rc = 0, begun = 0;
    while (begun < n && rc >= 0) {
        all[begun] = new (count_up, number(begun));
        rc = cio_generator_next(all[begun], &value);
        begun++;
    }
    if (rc == CIO_ENOSTACK && begun > 10000)
        begun--; /* before Linux 6.13: vm.max_map_count */
    else
        assert_int_equal(rc, 1);
    for (int i = begun - 1; i >= 0; i--) {
        assert_int_equal(cio_generator_next(all[i], &value), 1);
        assert_int_equal((intptr_t)value, i + 1);
    }
    for (int i = 0; i < n && all[i]; i++)
        assert_int_equal(cio_generator_free(all[i]), 0);
    free(all);
    return 0;
}

/* ThreadSanitizer knows of some 8 000 stacks at most. */
static int a_lot(void)
{
    return test_is_slow() ? 5000 : 100000;
}

TEST_SLOW(a_hundred_thousand_at_once)
{
    int n = a_lot();
    assert_int_equal(many(&n), 0);
    assert_int_equal(many(&n), 0); /* on the stacks of the first */
}

TEST_SLOW(a_hundred_thousand_at_once_in_a_loop)
{
    int n = a_lot();
    assert_int_equal(run_quiet(many, &n), 0);
}

/* Without a loop nobody notices a quiet time: stacks beyond a thousand are given back at once. */
TEST(idle_stacks_without_a_loop_are_given_back)
{
    int n = test_scale(20000), few = 10;
    if (test_is_slow())
        test_skip("memory is not the program's alone");
    assert_int_equal(many(&n), 0);
    assert_int_equal(many(&few), 0);
    FILE *statm = fopen("/proc/self/statm", "re");
    unsigned long size, resident;
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%lu %lu", &size, &resident), 2);
    fclose(statm);
    assert_true(resident < 6000); /* pages; a page or two a stack would be 20 000 and more */
}

/* ---- sizes ---- */

__attribute__((noinline)) static int dive(cio_generator *g, int bytes)
{
    volatile char frame[512];
    memset((void *)frame, bytes & 0x7f, sizeof frame);
    int rc = bytes > 600 ? dive(g, bytes - 600) : cio_generator_yield(g, NULL, NULL);
    for (size_t i = 0; i < sizeof frame; i++)
        assert_int_equal(frame[i], bytes & 0x7f);
    return rc;
}

static int dive_body(cio_generator *g, void *arg)
{
    int bytes = *(int *)arg;
    return dive(g, test_is_slow() ? bytes / 4 : bytes);
}

TEST(a_stack_of_another_size)
{
    static const size_t sizes[] = {16, 100, 1024, 8192};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cio_generator_options options = {.stack_size = sizes[i] * 1024};
        int bytes = (int)(sizes[i] * 1024 - 10 * 1024);
        cio_generator *g = cio_generator_new_with(&options, dive_body, &bytes);
        assert_non_null(g);
        assert_int_equal(cio_generator_next(g, NULL), 1);
        assert_int_equal(cio_generator_next(g, NULL), 0);
        assert_int_equal(cio_generator_free(g), 0);
    }
}

/* ---- no memory ---- */

static int calls, fail_at, blocks;

static void *failing_realloc(void *ptr, size_t size, void *arg)
{
    (void)arg;
    if (++calls == fail_at)
        return NULL;
    void *block = realloc(ptr, size);
    if (!ptr) {
        blocks++;
        memset(block, 0xa5, size);
    }
    return block;
}

static void count_free(void *ptr, void *arg)
{
    (void)arg;
    blocks -= ptr != NULL;
    free(ptr);
}

static void *failing_map(size_t size, void *arg)
{
    (void)arg;
    if (++calls == fail_at)
        return NULL;
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                0);
}

/* One of each kind of stack; returns whether nothing failed. */
static bool try_all(void)
{
    bool good = true;
    cio_generator_options options = {.name = "a name", .stack_size = 128 * 1024};
    cio_generator *all[] = {cio_generator_new(count_up, number(1)),
                            cio_generator_new_with(&options, count_up, number(1))};
    for (int i = 0; i < 2; i++) {
        if (!all[i]) {
            assert_int_equal(cio_last_error(), -ENOMEM);
            good = false;
            continue;
        }
        int rc = cio_generator_next(all[i], NULL);
        if (rc < 0) { /* nothing has happened: it works when there is memory again */
            assert_int_equal(rc, CIO_ENOSTACK);
            assert_int_equal(cio_generator_state(all[i]), CIO_GENERATOR_CREATED);
            rc = cio_generator_next(all[i], NULL);
            good = false;
        }
        assert_int_equal(rc, 1);
        assert_int_equal(cio_generator_free(all[i]), 0);
    }
    return good;
}

TEST(every_allocation_fails_in_its_turn)
{
    cio_allocator allocator = {failing_realloc, count_free, failing_map, NULL, NULL};
    cio_set_allocator(&allocator);
    int at = 0;
    do {
        calls = 0;
        fail_at = ++at;
    } while (!try_all());
    assert_true(at > 4);
    assert_int_equal(blocks, 1); /* a slab of stacks that is kept for good */
    cio_set_allocator(NULL);
}

/* ---- threads ---- */

/* From different depths: whoever came in too early would find an old frame. */
__attribute__((noinline)) static int yield_deeper(cio_generator *g, intptr_t n, int depth)
{
    volatile char frame[64];
    frame[0] = (char)depth;
    int rc = depth ? yield_deeper(g, n, depth - 1) : cio_generator_yield(g, number(n), NULL);
    return rc + frame[0] - depth;
}

static int count_here_and_there(cio_generator *g, void *arg)
{
    int rc = 0;
    (void)arg;
    for (intptr_t n = 0; rc == 0; n++)
        rc = yield_deeper(g, n, (int)(n % 7));
    return rc;
}

struct crowd {
    cio_generator *g;
    int rounds;
    long got;
    long refused;
    intptr_t sum;
};

static void *crowd_thread(void *arg)
{
    struct crowd *crowd = arg;
    long got = 0, refused = 0;
    intptr_t sum = 0;
    for (int i = 0; i < crowd->rounds; i++) {
        void *value;
        int rc = cio_generator_next(crowd->g, &value);
        if (rc == 1) {
            got++;
            sum += (intptr_t)value;
        } else {
            assert_int_equal(rc, CIO_EREENTERED);
            refused++;
        }
    }
    __atomic_fetch_add(&crowd->got, got, __ATOMIC_RELAXED);
    __atomic_fetch_add(&crowd->refused, refused, __ATOMIC_RELAXED);
    __atomic_fetch_add(&crowd->sum, sum, __ATOMIC_RELAXED);
    return NULL;
}

/* Each value goes to one thread; who comes while it runs is refused. */
TEST(threads_of_a_crowd_each_get_it_or_are_refused)
{
    enum { THREADS = 4 };
    struct crowd crowd = {.g = new (count_here_and_there, NULL), .rounds = test_scale(2000000)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.got + crowd.refused, (long)THREADS * crowd.rounds);
    assert_int_equal(crowd.sum, (intptr_t)crowd.got * (crowd.got - 1) / 2);
    assert_int_equal(cio_generator_free(crowd.g), 0);
}

/* A body that is inside while the first thread comes to be, and is asked by it at once. */
static void *ask_while_it_runs(void *g)
{
    return number(cio_generator_next(g, NULL));
}

static int begin_a_thread(cio_generator *g, void *arg)
{
    pthread_t thread;
    void *rc = NULL;
    assert_int_equal(pthread_create(&thread, NULL, ask_while_it_runs, g), 0);
    pthread_join(thread, &rc);
    assert_int_equal((int)(intptr_t)rc, CIO_EREENTERED);
    (void)arg;
    return cio_generator_yield(g, number(1), NULL);
}

TEST(threads_that_a_body_starts_are_refused)
{
    cio_generator *g = new (begin_a_thread, NULL);
    assert_int_equal(cio_generator_next(g, NULL), 1);
    assert_int_equal(cio_generator_next(g, NULL), 0);
    assert_int_equal(cio_generator_free(g), 0);
}

/* From thread to thread: begun in one, asked in others, freed in the first. */
static void *ask_once(void *arg)
{
    void *value;
    assert_int_equal(cio_generator_next(arg, &value), 1);
    return value;
}

TEST(threads_may_pass_one_on)
{
    cio_generator *g = new (count_up, number(0));
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *value = NULL;
        assert_int_equal(pthread_create(&thread, NULL, ask_once, g), 0);
        pthread_join(thread, &value);
        assert_int_equal((intptr_t)value, 2 * i);
        assert_int_equal((intptr_t)ask_once(g), 2 * i + 1);
    }
    assert_int_equal(cio_generator_free(g), 0);
}

static void *ask_anothers(void *g)
{
    return number(cio_generator_next(g, NULL));
}

static int loops_own_main(void *arg)
{
    cio_generator *g = new (count_up, number(0));
    pthread_t thread;
    void *rc = NULL;
    assert_int_equal(cio_generator_next(g, NULL), 1);
    assert_int_equal(pthread_create(&thread, NULL, ask_anothers, g), 0);
    pthread_join(thread, &rc);
    assert_int_equal((int)(intptr_t)rc, CIO_EWRONGLOOP);
    (void)arg;
    return cio_generator_free(g);
}

TEST(threads_leave_a_loops_alone)
{
    assert_int_equal(run_quiet(loops_own_main, NULL), 0);
}

/* ---- forks ---- */

static int use_in_child(void *g)
{
    void *value;
    bool good = cio_generator_next(g, &value) == 1 && (intptr_t)value == 2 &&
                cio_generator_free(g) == 0;
    g = cio_generator_new(count_up, number(7));
    good = good && cio_generator_next(g, &value) == 1 && (intptr_t)value == 7;
    good = good && cio_generator_free(g) == 0;
    return good ? 0 : 1;
}

TEST(a_forked_child_goes_on_with_its_copy)
{
    static struct child child;
    void *value;
    cio_generator *g = new (count_up, number(1));
    assert_int_equal(cio_generator_next(g, NULL), 1);
    run_child(&child, use_in_child, g, NULL);
    assert_int_equal(child.status, 0);
    assert_int_equal(cio_generator_next(g, &value), 1);
    assert_int_equal((intptr_t)value, 2);
    assert_int_equal(cio_generator_free(g), 0);
}

/* ---- overflows ---- */

__attribute__((noinline)) static int fall(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    frame[sizeof frame - 1] = (char)(depth + 1);
    int rc = depth < 100000000 ? fall(depth + 1) : 0;
    return rc + frame[0] + frame[sizeof frame - 1];
}

static int falling(cio_generator *g, void *arg)
{
    if (arg)
        cio_sleep(0.001); /* and back on its stack */
    (void)g;
    return fall(0);
}

static cio_generator_options options;

static int overflow_main(void *arg)
{
    cio_set_name(cio_current_task(), "consumer");
    cio_generator *g = cio_generator_new_with(&options, falling, arg);
    return cio_generator_next(g, NULL);
}

static int overflow_of_outsider_main(void *g)
{
    cio_set_name(cio_current_task(), "consumer");
    return cio_generator_next(g, NULL);
}

static int run_overflow(void *arg)
{
    return cio_run(overflow_main, arg);
}

static int run_overflow_of_outsider(void *arg)
{
    return cio_run(overflow_of_outsider_main, cio_generator_new_with(&options, falling, arg));
}

static void expect_report(int (*fn)(void *arg), void *arg, const char *text)
{
    static struct child child;
    run_child(&child, fn, arg, NULL);
    assert_true(child_died_of(&child, SIGSEGV));
    if (!strstr(child.text, text))
        fail_msg("no \"%s\" in: %s", text, child.text);
}

TEST(an_overflow_names_the_generator_and_the_task)
{
    expect_report(run_overflow, NULL, "cio: a generator in task 'consumer' overflowed its 64 KiB");
    options = (cio_generator_options){.name = "faller", .stack_size = 100 * 1024};
    const char *text = "cio: generator 'faller' in task 'consumer' overflowed its 100 KiB stack";
    expect_report(run_overflow, NULL, text);
    expect_report(run_overflow, number(1), text);
    expect_report(run_overflow_of_outsider, number(1), text);
}
