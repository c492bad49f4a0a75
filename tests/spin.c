/* Waiting for another thread without sleeping: when it is tried, and that nothing is lost by it. */
#include <pthread.h>

#include "os/spin.h"
#include "os/thread.h"
#include "test.h"

enum { WAITS = 1280 };

static int tries(struct cio__spin *spin, bool hit)
{
    int n = 0;
    for (int i = 0; i < WAITS; i++)
        if (cio__spin_begin(spin)) {
            cio__spin_end(spin, hit);
            n++;
        }
    return n;
}

static void skip_if_alone(void)
{
    struct cio__spin spin = {0};
    if (!cio__spin_begin(&spin))
        test_skip("there is no other processor to wait for");
}

TEST(after_misses_fewer_and_fewer_waits_are_tried)
{
    struct cio__spin spin = {0};
    skip_if_alone();
    int missed = tries(&spin, false); /* 7 while it learns, then each 128th */
    assert_in_range(missed, WAITS / 128, 7 + WAITS / 128);
}

TEST(after_a_hit_each_wait_is_tried)
{
    struct cio__spin spin = {0};
    skip_if_alone();
    tries(&spin, false);
    while (!cio__spin_begin(&spin))
        continue;
    cio__spin_end(&spin, true);
    assert_int_equal(tries(&spin, true), WAITS);
}

TEST(a_notice_that_came_before_ends_the_wait)
{
    struct cio__parker parker = {0};
    cio__unpark(&parker);
    assert_true(cio__park_awake(&parker));
    assert_false(cio__park_awake(&parker)); /* once */
}

struct relay {
    struct cio__parker here, there;
};

static void *answer(void *arg)
{
    struct relay *relay = arg;
    for (int i = 0; i < WAITS; i++) {
        if (!cio__park_awake(&relay->there))
            cio__park(&relay->there, INT64_MAX);
        cio__unpark(&relay->here);
    }
    return NULL;
}

TEST(whoever_sleeps_after_a_miss_is_woken)
{
    struct relay relay = {0};
    pthread_t thread;
    assert_int_equal(cio__thread_start(&thread, 0, answer, &relay), 0);
    for (int i = 0; i < WAITS; i++) {
        cio__unpark(&relay.there);
        if (i % 2 == 0 || !cio__park_awake(&relay.here))
            cio__park(&relay.here, INT64_MAX);
    }
    pthread_join(thread, NULL);
}
