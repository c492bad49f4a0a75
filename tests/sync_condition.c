/* cio_condition: asyncio.Condition (T45). */
#include "sync.h"

static int wait_with_lock(cio_condition *c)
{
    assert_int_equal(cio_condition_acquire(c), 0);
    int rc = cio_condition_wait(c);
    assert_true(cio_condition_locked(c));
    assert_int_equal(cio_condition_release(c), 0);
    return rc;
}

static void notify(cio_condition *c, int n, int expected)
{
    assert_int_equal(cio_condition_acquire(c), 0);
    assert_int_equal(cio_condition_notify(c, n), expected);
    assert_int_equal(cio_condition_release(c), 0);
}

TEST(notify_wakes_so_many_in_order)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *tasks[] = {CALL("a", wait_with_lock, &c), CALL("b", wait_with_lock, &c),
                         CALL("c", wait_with_lock, &c), CALL("d", wait_with_lock, &c)};
    assert_false(cio_condition_locked(&c)); /* given back while they wait */
    notify(&c, 0, 0);
    notify(&c, 1, 1);
    let_run();
    assert_noted("a");
    notify(&c, 2, 2);
    let_run();
    assert_noted("b c");
    notify(&c, 9, 1);
    notify(&c, 9, 0);
    let_run();
    assert_noted("d");
    for (int i = 0; i < 4; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return 0;
}

TEST(notify_all_and_the_lock)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c), *b = CALL("b", wait_with_lock, &c);
    assert_int_equal(cio_condition_acquire(&c), 0);
    assert_int_equal(cio_condition_notify_all(&c), 2);
    let_run();
    assert_noted(""); /* they need the lock */
    assert_int_equal(cio_condition_release(&c), 0);
    let_run();
    assert_noted("a b");
    assert_int_equal(cio_await(a) + cio_await(b), 0);
    assert_int_equal(cio_condition_destroy(&c), 0);
    return 0;
}

TEST(t45_without_the_lock)
{
    cio_condition c = CIO_CONDITION_INIT;
    assert_int_equal(cio_condition_wait(&c), CIO_ESTATE);
    assert_int_equal(cio_condition_notify(&c, 1), CIO_ESTATE);
    assert_int_equal(cio_condition_notify_all(&c), CIO_ESTATE);
    assert_int_equal(cio_condition_release(&c), CIO_ESTATE);
    return 0;
}

TEST(t45_a_canceled_wait_holds_the_lock_again)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c);
    assert_int_equal(cio_condition_acquire(&c), 0);
    for (int i = 0; i < 5; i++) {
        cio_cancel(a); /* the first ends the wait, the others the attempts to take the lock */
        let_run();
        assert_false(cio_done(a));
    }
    assert_int_equal(cio_condition_release(&c), 0);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_false(cio_condition_locked(&c));
    return 0;
}

TEST(t45_canceled_while_it_takes_the_lock_again)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c);
    assert_int_equal(cio_condition_acquire(&c), 0);
    assert_int_equal(cio_condition_notify(&c, 1), 1);
    let_run();
    cio_cancel(a);
    let_run();
    assert_false(cio_done(a));
    assert_int_equal(cio_condition_release(&c), 0);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    return 0;
}

/* The second waits while the first, notified, is canceled so many turns later. */
static void cancel_notified(int turns)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c), *b = CALL("b", wait_with_lock, &c);
    assert_int_equal(cio_condition_acquire(&c), 0);
    assert_int_equal(cio_condition_notify(&c, 1), 1);
    assert_int_equal(wait_turns(turns), 0);
    cio_cancel(a);
    assert_int_equal(cio_condition_release(&c), 0);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), 0);
    assert_noted("-a b");
}

TEST(a_notification_of_a_canceled_waiter_goes_to_the_next)
{
    for (int turns = 0; turns < 4; turns++)
        cancel_notified(turns);
    return 0;
}

TEST(a_canceled_waiter_that_was_not_notified_wakes_nobody)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c), *b = CALL("b", wait_with_lock, &c);
    cio_cancel(a);
    let_run();
    assert_noted("-a");
    notify(&c, 1, 1);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), 0);
    return 0;
}

TEST(a_canceled_waiter_is_not_counted_by_notify)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c), *b = CALL("b", wait_with_lock, &c);
    cio_cancel(a);
    notify(&c, 1, 1); /* it has not run yet */
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), 0);
    return 0;
}

static int number;

static int is_three(void *arg)
{
    (void)arg;
    note("%d?", number);
    return number < 0 ? -EIO : number == 3 ? 33 : 0;
}

static int wait_for_three(cio_condition *c)
{
    assert_int_equal(cio_condition_acquire(c), 0);
    int rc = cio_condition_wait_for(c, is_three, NULL);
    assert_true(cio_condition_locked(c));
    cio_condition_release(c);
    return rc;
}

TEST(wait_for_a_predicate)
{
    cio_condition c = CIO_CONDITION_INIT;
    number = 3;
    assert_int_equal(wait_for_three(&c), 33);
    number = 1;
    cio_task *a = CALL("a", wait_for_three, &c);
    for (number = 2; number < 4; number++) {
        notify(&c, 1, 1);
        let_run();
    }
    assert_int_equal(cio_await(a), 33);
    assert_noted("3? 1? 2? 3? a");
    number = 0;
    cio_task *b = CALL("b", wait_for_three, &c);
    number = -1;
    notify(&c, 1, 1);
    assert_int_equal(cio_await(b), -EIO);
    number = 0;
    cio_task *d = CALL("d", wait_for_three, &c);
    cio_cancel(d);
    assert_int_equal(cio_await(d), CIO_ECANCELED);
    return 0;
}

TEST(conditions_that_share_a_lock)
{
    cio_lock lock = CIO_LOCK_INIT;
    cio_condition c = CIO_CONDITION_INIT_WITH(&lock), d = CIO_CONDITION_INIT_WITH(&lock);
    cio_task *a = CALL("a", wait_with_lock, &c), *b = CALL("b", wait_with_lock, &d);
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_true(cio_condition_locked(&c));
    assert_int_equal(cio_condition_notify_all(&d), 1);
    assert_int_equal(cio_condition_release(&c), 0);
    assert_int_equal(cio_await(b), 0);
    notify(&c, 1, 1);
    assert_int_equal(cio_await(a), 0);
    assert_noted("b a");
    return 0;
}

TEST(destroyed_while_in_use)
{
    cio_condition c = CIO_CONDITION_INIT;
    cio_task *a = CALL("a", wait_with_lock, &c);
    assert_int_equal(cio_condition_destroy(&c), -EBUSY);
    assert_int_equal(cio_condition_acquire(&c), 0);
    assert_int_equal(cio_condition_notify(&c, 1), 1);
    assert_int_equal(cio_condition_destroy(&c), -EBUSY);
    assert_int_equal(cio_condition_release(&c), 0);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_condition_destroy(&c), 0);
    return 0;
}

static cio_condition outside = CIO_CONDITION_INIT;

static void use_outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_condition_acquire(&outside), CIO_ENOTASK);
    assert_int_equal(cio_condition_wait(&outside), CIO_ENOTASK);
    assert_int_equal(cio_condition_wait_for(&outside, is_three, NULL), CIO_ENOTASK);
}

TEST(bad_input)
{
    cio_condition c = CIO_CONDITION_INIT;
    call_outside_tasks(use_outside);
    assert_int_equal(cio_condition_acquire(NULL), -EINVAL);
    assert_int_equal(cio_condition_release(NULL), -EINVAL);
    assert_int_equal(cio_condition_wait(NULL), -EINVAL);
    assert_int_equal(cio_condition_wait_for(NULL, is_three, NULL), -EINVAL);
    assert_int_equal(cio_condition_wait_for(&c, NULL, NULL), -EINVAL);
    assert_int_equal(cio_condition_notify(NULL, 1), -EINVAL);
    assert_int_equal(cio_condition_notify(&c, -1), -EINVAL);
    assert_int_equal(cio_condition_notify_all(NULL), -EINVAL);
    assert_int_equal(cio_condition_destroy(NULL), -EINVAL);
    assert_false(cio_condition_locked(NULL));
    return 0;
}
