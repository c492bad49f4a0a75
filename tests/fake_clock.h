/*
 * A loop whose clock is a variable: time goes by when somebody says so, and in a sleep. The kernel
 * is real otherwise. There is no ticker beside it; spend() does what the ticker would.
 */
#ifndef CIO_TESTS_FAKE_CLOCK_H
#define CIO_TESTS_FAKE_CLOCK_H

#include "loop/loop.h"
#include "test.h"

#define BUDGET_MS 1
#define MS ((int64_t)1000000)

static struct {
    int64_t now_ns;
    const struct cio__os_ops *real;
    struct cio__os_ops ops;
} fake;

static int64_t fake_now_ns(struct cio__os *os)
{
    (void)os;
    return fake.now_ns;
}

static int fake_poll(struct cio__os *os, int64_t timeout_ns, struct cio__event *events, int n)
{
    int got = fake.real->poll(os, 0, events, n);
    assert_int_not_equal(timeout_ns, CIO__WAIT_FOREVER); /* nobody would end it */
    if (got == 0)
        fake.now_ns += timeout_ns;
    return got;
}

static inline cio_loop *new_fake_loop(double budget)
{
    cio_loop *loop = cio_loop_new(&(cio_loop_options){.turn_budget = budget});
    assert_non_null(loop);
    fake.now_ns = 1000 * MS;
    fake.real = loop->os->ops;
    fake.ops = *fake.real;
    fake.ops.real_time = false;
    fake.ops.now_ns = fake_now_ns;
    fake.ops.poll = fake_poll;
    loop->os->ops = &fake.ops;
    return loop;
}

/* The callback that runs takes so long; the ticker has come by at least once. */
static inline void spend(int64_t ns)
{
    fake.now_ns += ns;
    if (ns >= MS)
        cio__want_attention(cio_get_running_loop());
}

/* The same without a ticker. */
static inline void spend_unseen(int64_t ns)
{
    fake.now_ns += ns;
}

#endif
