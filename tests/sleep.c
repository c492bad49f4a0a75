/* Sleeping: never less than asked for, in the order of time; zero is one yield. */
#include "journal.h"
#include "test.h"

static int note_name(void *arg)
{
    note("%s", (const char *)arg);
    return 0;
}

static int sleep_and_note(void *arg)
{
    double *seconds = arg;
    double start = cio_time(cio_get_running_loop());
    int rc = cio_sleep(*seconds);
    assert_true(cio_time(cio_get_running_loop()) - start >= *seconds); /* never less */
    note("%g", *seconds);
    return rc;
}

/* Returns whether all fell asleep within less time than lies between two of their ends. */
static bool sleep_in_a_round(void)
{
    double seconds[] = {0.03, 0.01, 0.02};
    cio_task *tasks[3];
    double start = cio_time(cio_get_running_loop());
    for (int i = 0; i < 3; i++)
        tasks[i] = cio_create_task(sleep_and_note, &seconds[i]);
    cio_yield();
    bool together = cio_time(cio_get_running_loop()) - start < 0.01;
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return together;
}

static int sleepers_main(void *arg)
{
    (void)arg;
    while (!sleep_in_a_round()) /* the machine was busy elsewhere: their order is then open */
        notes_clear();
    return 0;
}

TEST(sleep_ends_in_the_order_of_time_and_never_early)
{
    assert_int_equal(run_quiet(sleepers_main, NULL), 0);
    assert_string_equal(noted(), "0.01 0.02 0.03");
}

static int sleep_zero_main(void *arg)
{
    double *seconds = arg;
    cio_detach(cio_create_task(note_name, "other"));
    assert_int_equal(cio_sleep(*seconds), 0);
    note("main");
    return 0;
}

TEST(sleep_of_zero_or_less_is_one_yield)
{
    assert_int_equal(run_quiet(sleep_zero_main, &(double){0}), 0);
    assert_int_equal(run_quiet(sleep_zero_main, &(double){-1}), 0);
    assert_int_equal(run_quiet(sleep_zero_main, &(double){-CIO_FOREVER}), 0);
    assert_string_equal(noted(), "other main other main other main");
}

/* ---- for ever, and for very short ---- */

static int wait_long(void *arg)
{
    return cio_sleep(*(double *)arg);
}

static int long_main(void *arg)
{
    cio_task *t = cio_create_task(wait_long, arg);
    assert_int_equal(cio_sleep(0.002), 0);
    assert_false(cio_done(t));
    cio_cancel(t);
    return cio_await(t);
}

/* Seconds beyond any deadline that fits into 64 bits of nanoseconds are for ever too. */
TEST(sleep_may_last_for_ever)
{
    static double seconds[] = {CIO_FOREVER, 1e300, 1e19, 9.3e9, 9.2e9};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
        assert_int_equal(run_quiet(long_main, &seconds[i]), CIO_ECANCELED);
}

static int short_main(void *arg)
{
    static const double seconds[] = {1e-6, 1e-9, 1e-12, 5e-324};
    (void)arg;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 50; k++)
            assert_int_equal(cio_sleep(seconds[i]), 0);
    return 0;
}

/* T6: rounding down to zero must not make the loop spin, nor wait for ever. */
TEST(t6_sleep_may_be_shorter_than_the_clock_can_tell)
{
    assert_int_equal(run_quiet(short_main, NULL), 0);
}

static int same_time(void *arg)
{
    int *next = arg;
    int mine = (*next)++;
    int rc = cio_sleep(0.001);
    note("%d", mine);
    return rc;
}

static int many_main(void *arg)
{
    int next = 0;
    (void)arg;
    cio_task *tasks[20];
    for (int i = 0; i < 20; i++)
        tasks[i] = cio_create_task(same_time, &next);
    for (int i = 0; i < 20; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return 0;
}

/* T5: asked for one after the other, the same time comes in that order: deadlines only grow. */
TEST(t5_equal_sleeps_end_in_the_order_in_which_they_began)
{
    assert_int_equal(run_quiet(many_main, NULL), 0);
    assert_string_equal(noted(), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19");
}
