/* cio_lock: asyncio.Lock (T42). */
#include "sync.h"

TEST(one_at_a_time)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_false(cio_lock_locked(&lock));
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_true(cio_lock_locked(&lock));
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    cio_task *b = CALL("b", cio_lock_acquire, &lock);
    let_run();
    assert_noted("");
    assert_int_equal(cio_lock_release(&lock), 0);
    let_run();
    assert_noted("a");
    assert_int_equal(cio_lock_release(&lock), 0);
    let_run();
    assert_noted("b");
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_false(cio_lock_locked(&lock));
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_await(b), 0);
    assert_int_equal(cio_lock_destroy(&lock), 0);
    return 0;
}

static int acquire_and_release(cio_lock *lock)
{
    int rc = cio_lock_acquire(lock);
    return rc < 0 ? rc : cio_lock_release(lock);
}

TEST(t42_a_newcomer_does_not_pass_by_who_was_woken)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = CALL("0", acquire_and_release, &lock);
    cio_task *b = CALL("1", acquire_and_release, &lock);
    cio_task *c = CALL("2", acquire_and_release, &lock);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_false(cio_lock_locked(&lock)); /* as in asyncio: nobody has it, and yet */
    assert_int_equal(cio_lock_acquire_nowait(&lock), -EAGAIN);
    assert_int_equal(acquire_and_release(&lock), 0);
    note("late");
    assert_noted("0 1 2 late");
    assert_int_equal(cio_await(a) + cio_await(b) + cio_await(c), 0);
    return 0;
}

TEST(t42_a_woken_waiter_that_is_canceled_wakes_the_next)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    cio_task *b = CALL("b", cio_lock_acquire, &lock);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_cancel(a), 1);
    let_run();
    assert_noted("-a b");
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), 0);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), 0);
    return 0;
}

TEST(t42_a_canceled_waiter_is_not_woken)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    cio_task *b = CALL("b", cio_lock_acquire, &lock);
    assert_int_equal(cio_cancel(a), 1);
    assert_int_equal(cio_lock_release(&lock), 0); /* it has not run yet */
    let_run();
    assert_noted("-a b");
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), 0);
    assert_int_equal(cio_lock_release(&lock), 0);
    return 0;
}

TEST(a_free_lock_may_be_taken_where_only_canceled_ones_wait)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    assert_int_equal(cio_cancel(a), 1);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_acquire_nowait(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), -EBUSY);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    return 0;
}

TEST(canceled_before_it_waits)
{
    cio_lock lock = CIO_LOCK_INIT;
    struct caller *c = CALLER("a", cio_lock_acquire, &lock);
    assert_int_equal(call_canceled(c), CIO_ECANCELED); /* took it, and ended canceled: T17 */
    assert_true(cio_lock_locked(&lock));
    assert_int_equal(call_canceled(c), CIO_ECANCELED); /* now it had to wait */
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), 0);
    return 0;
}

TEST(a_timeout_while_it_waits)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.001), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_lock_acquire(&lock)), CIO_ETIMEDOUT);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), 0);
    return 0;
}

TEST(released_too_often)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_release(&lock), CIO_ESTATE);
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_release(&lock), CIO_ESTATE);
    assert_int_equal(cio_lock_acquire(&lock), 0);
    return 0;
}

TEST(any_task_may_release_it)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_await(CALL("a", cio_lock_acquire, &lock)), 0);
    assert_true(cio_lock_locked(&lock));
    assert_int_equal(cio_await(CALL("b", cio_lock_release, &lock)), 0);
    assert_false(cio_lock_locked(&lock));
    return 0;
}

static int acquire_and_sleep(cio_lock *lock)
{
    int rc = cio_lock_acquire(lock);
    return rc < 0 ? rc : cio_sleep(CIO_FOREVER);
}

TEST(it_knows_who_has_it)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_null(cio_lock_owner(&lock));
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_ptr_equal(cio_lock_owner(&lock), cio_current_task());
    cio_task *a = CALL("a", acquire_and_sleep, &lock);
    assert_ptr_equal(cio_lock_owner(&lock), cio_current_task());
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_null(cio_lock_owner(&lock));
    let_run();
    assert_ptr_equal(cio_lock_owner(&lock), a);
    cio_cancel(a);
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_null(cio_lock_owner(&lock)); /* it has ended with the lock */
    assert_true(cio_lock_locked(&lock));
    struct job job = {"b", 1};
    cio_task *b = start_job(&job);
    assert_ptr_equal(a, b); /* another task in its place does not have it */
    assert_null(cio_lock_owner(&lock));
    assert_int_equal(cio_await(b), 0);
    return 0;
}

TEST(destroyed_while_in_use)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), -EBUSY);
    cio_task *a = CALL("a", cio_lock_acquire, &lock);
    assert_int_equal(cio_lock_destroy(&lock), -EBUSY);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), -EBUSY); /* woken, and has not run */
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_lock_destroy(&lock), 0);
    return 0;
}

enum { TAKERS = 50 };

static int n_inside, n_taken;

static int take_often(void *lock)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(cio_lock_acquire(lock), 0);
        assert_int_equal(n_inside++, 0);
        assert_int_equal(wait_turns(i % 3), 0);
        n_inside--;
        n_taken++;
        assert_int_equal(cio_lock_release(lock), 0);
    }
    return 0;
}

TEST(many_take_turns)
{
    static cio_lock lock = CIO_LOCK_INIT;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    for (int i = 0; i < TAKERS; i++)
        assert_non_null(cio_group_start(&g, take_often, &lock));
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_int_equal(n_taken, TAKERS * 20);
    return 0;
}

static cio_lock outside = CIO_LOCK_INIT;

static void use_outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_lock_acquire(&outside), CIO_ENOTASK);
    assert_false(cio_lock_locked(&outside));
    assert_int_equal(cio_lock_acquire_nowait(&outside), 0);
    assert_null(cio_lock_owner(&outside));
    assert_int_equal(cio_lock_release(&outside), 0);
}

TEST(outside_of_a_task)
{
    call_outside_tasks(use_outside);
    return 0;
}

TEST(bad_input)
{
    assert_int_equal(cio_lock_acquire(NULL), -EINVAL);
    assert_int_equal(cio_lock_acquire_nowait(NULL), -EINVAL);
    assert_int_equal(cio_lock_release(NULL), -EINVAL);
    assert_int_equal(cio_lock_destroy(NULL), -EINVAL);
    assert_false(cio_lock_locked(NULL));
    assert_null(cio_lock_owner(NULL));
    return 0;
}

TEST(waiting_allocates_nothing)
{
    cio_lock lock = CIO_LOCK_INIT;
    assert_int_equal(cio_lock_acquire(&lock), 0);
    cio_task *a = cio_create_task(make_call, CALLER("a", cio_lock_acquire, &lock));
    is_out_of_memory = true;
    let_run();
    assert_int_equal(cio_lock_release(&lock), 0);
    assert_int_equal(cio_await(a), 0);
    is_out_of_memory = false;
    return 0;
}
