/* Stacks that a quiet time shows not to be needed give their memory back. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#define TOUCHED (32 * 1024)
#define PATIENCE_S 60

static size_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%ld %ld", &pages, &resident), 2);
    fclose(statm);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static __attribute__((noinline)) int touch_and_sleep(void *arg)
{
    volatile char memory[TOUCHED];
    for (size_t i = 0; i < sizeof memory; i += 512)
        memory[i] = 1;
    (void)arg;
    int rc = cio_sleep(0.01);
    assert_int_equal(memory[512], 1);
    return rc;
}

static void run_wave(int n)
{
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    for (int i = 0; i < n; i++)
        assert_non_null(cio_group_start(&g, touch_and_sleep, NULL));
    assert_int_equal(cio_group_exit(&g, 0), 0);
}

static int wave_then_quiet(void *arg)
{
    int n = *(int *)arg;
    size_t before = resident_bytes();
    run_wave(n);
    size_t wave = resident_bytes() - before;
    assert_true(wave > (size_t)n * TOUCHED / 2);

    double end = cio_time(NULL) + PATIENCE_S;
    while (resident_bytes() - before > wave / 4 && cio_time(NULL) < end)
        assert_int_equal(cio_sleep(0.1), 0);
    assert_true(resident_bytes() - before <= wave / 4);

    run_wave(n); /* those that were given back serve again */
    return 0;
}

TEST_SLOW(a_quiet_time_gives_the_memory_of_stacks_back)
{
    if (test_is_slow())
        test_skip("sanitizers and emulators keep memory of their own");
    int n = 2000;
    /* Nobody who has slept enough goes before those that have not begun: all have a stack at once. */
    cio_run_options options = {.loop.turn_budget = CIO_FOREVER};
    assert_int_equal(cio_run_with(&options, wave_then_quiet, &n), 0);
}
