/* cio_semaphore and cio_bounded_semaphore (T43). */
#include <limits.h>

#include "sync.h"

TEST(so_many_at_a_time)
{
    cio_semaphore s = CIO_SEMAPHORE_INIT(2);
    assert_int_equal(cio_semaphore_acquire(&s), 0);
    assert_false(cio_semaphore_locked(&s));
    assert_int_equal(cio_semaphore_acquire(&s), 0);
    assert_true(cio_semaphore_locked(&s));
    assert_int_equal(cio_semaphore_acquire_nowait(&s), -EAGAIN);
    cio_task *a = CALL("a", cio_semaphore_acquire, &s);
    cio_task *b = CALL("b", cio_semaphore_acquire, &s);
    assert_int_equal(cio_semaphore_release(&s), 0);
    let_run();
    assert_noted("a");
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_await(a) + cio_await(b), 0);
    assert_int_equal(cio_semaphore_value(&s), 0);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_release(&s), 0); /* more than at the beginning */
    assert_int_equal(cio_semaphore_value(&s), 3);
    return 0;
}

TEST(t43_a_release_hands_over_and_it_stays_locked)
{
    cio_semaphore s = CIO_SEMAPHORE_INIT(0);
    cio_task *a = CALL("a", cio_semaphore_acquire, &s);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_value(&s), 0);
    assert_true(cio_semaphore_locked(&s));
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_value(&s), 1);
    assert_true(cio_semaphore_locked(&s)); /* there is one, but somebody has been woken before */
    assert_int_equal(cio_semaphore_acquire_nowait(&s), -EAGAIN);
    cio_task *b = CALL("b", cio_semaphore_acquire, &s);
    assert_int_equal(cio_await(a) + cio_await(b), 0);
    assert_noted("a b");
    assert_int_equal(cio_semaphore_value(&s), 0);
    return 0;
}

TEST(t43_those_who_queued_for_orders_sake_all_go_on)
{
    cio_semaphore s = CIO_SEMAPHORE_INIT(0);
    cio_task *a = CALL("a", cio_semaphore_acquire, &s);
    cio_task *b = cio_create_task(make_call, CALLER("b", cio_semaphore_acquire, &s));
    cio_task *c = cio_create_task(make_call, CALLER("c", cio_semaphore_acquire, &s));
    cio_task *d = cio_create_task(make_call, CALLER("d", cio_semaphore_acquire, &s));
    for (int i = 0; i < 4; i++) /* they run before a, which was woken, and queue behind it */
        assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(wait_turns(2), 0);
    assert_int_equal(cio_await(a) + cio_await(b) + cio_await(c) + cio_await(d), 0);
    assert_noted("a b c d");
    assert_int_equal(cio_semaphore_value(&s), 0);
    return 0;
}

TEST(t43_a_woken_waiter_that_is_canceled_wakes_the_next)
{
    cio_semaphore s = CIO_SEMAPHORE_INIT(0);
    cio_task *a = CALL("a", cio_semaphore_acquire, &s);
    cio_task *b = CALL("b", cio_semaphore_acquire, &s);
    assert_int_equal(cio_semaphore_release(&s), 0);
    cio_cancel(a);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), 0);
    assert_int_equal(cio_semaphore_value(&s), 0);

    cio_task *c = CALL("c", cio_semaphore_acquire, &s);
    assert_int_equal(cio_semaphore_release(&s), 0);
    cio_cancel(c);
    assert_int_equal(cio_await(c), CIO_ECANCELED);
    assert_int_equal(cio_semaphore_value(&s), 1); /* nobody is left to have it */
    assert_false(cio_semaphore_locked(&s));
    assert_noted("-a b -c");
    return 0;
}

TEST(canceled_waiters_are_passed_by)
{
    cio_semaphore s = CIO_SEMAPHORE_INIT(0);
    cio_task *a = CALL("a", cio_semaphore_acquire, &s);
    cio_task *b = CALL("b", cio_semaphore_acquire, &s);
    cio_task *c = CALL("c", cio_semaphore_acquire, &s);
    cio_cancel(a);
    cio_cancel(b);
    cio_cancel(b);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), CIO_ECANCELED);
    assert_int_equal(cio_await(c), 0);
    assert_int_equal(call_canceled(CALLER("d", cio_semaphore_acquire, &s)), CIO_ECANCELED);
    assert_int_equal(cio_semaphore_value(&s), 0);
    assert_int_equal(cio_semaphore_destroy(&s), 0);
    return 0;
}

TEST(a_bounded_one_is_not_released_too_often)
{
    cio_bounded_semaphore s = CIO_BOUNDED_SEMAPHORE_INIT(2);
    assert_int_equal(cio_semaphore_release(&s), CIO_ESTATE);
    assert_int_equal(cio_semaphore_acquire(&s), 0);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_release(&s), CIO_ESTATE);
    assert_int_equal(cio_semaphore_value(&s), 2);

    cio_semaphore most = CIO_SEMAPHORE_INIT(INT_MAX);
    assert_int_equal(cio_semaphore_release(&most), CIO_ESTATE);
    return 0;
}

TEST(initialised_by_a_call)
{
    cio_semaphore s;
    assert_int_equal(cio_semaphore_init(&s, 1), 0);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_value(&s), 2);
    assert_int_equal(cio_bounded_semaphore_init(&s, 1), 0);
    assert_int_equal(cio_semaphore_release(&s), CIO_ESTATE);
    assert_int_equal(cio_semaphore_init(&s, -1), -EINVAL);
    assert_int_equal(cio_bounded_semaphore_init(&s, -1), -EINVAL);
    assert_int_equal(cio_semaphore_value(&s), 1);
    return 0;
}

TEST(destroyed_while_waited_on)
{
    cio_semaphore s = CIO_SEMAPHORE_INIT(0);
    cio_task *a = CALL("a", cio_semaphore_acquire, &s);
    assert_int_equal(cio_semaphore_destroy(&s), -EBUSY);
    assert_int_equal(cio_semaphore_release(&s), 0);
    assert_int_equal(cio_semaphore_destroy(&s), -EBUSY);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_semaphore_destroy(&s), 0);
    return 0;
}

static cio_semaphore outside = CIO_SEMAPHORE_INIT(1);

static void use_outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_semaphore_acquire(&outside), CIO_ENOTASK);
    assert_int_equal(cio_semaphore_acquire_nowait(&outside), 0);
    assert_int_equal(cio_semaphore_acquire(&outside), CIO_ENOTASK);
    assert_int_equal(cio_semaphore_release(&outside), 0);
}

TEST(bad_input)
{
    call_outside_tasks(use_outside);
    assert_int_equal(cio_semaphore_init(NULL, 1), -EINVAL);
    assert_int_equal(cio_bounded_semaphore_init(NULL, 1), -EINVAL);
    assert_int_equal(cio_semaphore_acquire(NULL), -EINVAL);
    assert_int_equal(cio_semaphore_acquire_nowait(NULL), -EINVAL);
    assert_int_equal(cio_semaphore_release(NULL), -EINVAL);
    assert_int_equal(cio_semaphore_destroy(NULL), -EINVAL);
    assert_false(cio_semaphore_locked(NULL));
    assert_int_equal(cio_semaphore_value(NULL), 0);

    cio_semaphore negative = CIO_SEMAPHORE_INIT(-1);
    assert_int_equal(cio_semaphore_acquire(&negative), -EINVAL);
    assert_int_equal(cio_semaphore_acquire_nowait(&negative), -EINVAL);
    assert_int_equal(cio_semaphore_release(&negative), -EINVAL);
    return 0;
}
