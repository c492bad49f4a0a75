/* cio_rwlock. */
#include "sync.h"

TEST(many_read_or_one_writes)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_acquire_read(&l), 0);
    assert_int_equal(cio_rwlock_acquire_read_nowait(&l), 0);
    assert_int_equal(cio_rwlock_readers(&l), 2);
    assert_int_equal(cio_rwlock_acquire_write_nowait(&l), -EAGAIN);
    cio_task *w = CALL("w", cio_rwlock_acquire_write, &l);
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    let_run();
    assert_noted("");
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    assert_true(cio_rwlock_writing(&l)); /* handed over */
    assert_int_equal(cio_await(w), 0);
    assert_int_equal(cio_rwlock_acquire_read_nowait(&l), -EAGAIN);
    assert_int_equal(cio_rwlock_acquire_write_nowait(&l), -EAGAIN);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    assert_int_equal(cio_rwlock_destroy(&l), 0);
    return 0;
}

TEST(one_line_for_both)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_acquire_read(&l), 0);
    cio_task *tasks[] = {
        CALL("w1", cio_rwlock_acquire_write, &l), CALL("r1", cio_rwlock_acquire_read, &l),
        CALL("r2", cio_rwlock_acquire_read, &l),  CALL("w2", cio_rwlock_acquire_write, &l),
        CALL("r3", cio_rwlock_acquire_read, &l),
    };
    assert_noted("");
    assert_int_equal(cio_rwlock_acquire_read_nowait(&l), -EAGAIN); /* not before a writer */
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    let_run();
    assert_noted("w1");
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    let_run();
    assert_noted("r1 r2"); /* together, and r3 behind w2 */
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    let_run();
    assert_noted("w2");
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    assert_noted("r3");
    return 0;
}

TEST(a_canceled_writer_lets_the_readers_behind_it_in)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_acquire_read(&l), 0);
    cio_task *w = CALL("w", cio_rwlock_acquire_write, &l);
    cio_task *r1 = CALL("r1", cio_rwlock_acquire_read, &l);
    cio_task *r2 = CALL("r2", cio_rwlock_acquire_read, &l);
    cio_cancel(w);
    assert_int_equal(cio_await(w), CIO_ECANCELED);
    assert_int_equal(cio_await(r1) + cio_await(r2), 0);
    assert_int_equal(cio_rwlock_readers(&l), 3);
    return 0;
}

TEST(who_was_let_in_and_is_canceled_gives_it_back)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    cio_task *w = CALL("w", cio_rwlock_acquire_write, &l);
    cio_task *r1 = CALL("r1", cio_rwlock_acquire_read, &l);
    cio_task *r2 = CALL("r2", cio_rwlock_acquire_read, &l);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    cio_cancel(w);
    assert_int_equal(cio_await(w), CIO_ECANCELED);
    assert_int_equal(cio_await(r1) + cio_await(r2), 0);
    assert_int_equal(cio_rwlock_readers(&l), 2);
    assert_int_equal(cio_rwlock_release_read(&l) + cio_rwlock_release_read(&l), 0);

    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    cio_task *r3 = CALL("r3", cio_rwlock_acquire_read, &l);
    cio_task *r4 = CALL("r4", cio_rwlock_acquire_read, &l);
    cio_task *w2 = CALL("w2", cio_rwlock_acquire_write, &l);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    assert_int_equal(cio_rwlock_readers(&l), 2);
    cio_cancel(r3);
    cio_cancel(r4);
    assert_int_equal(cio_await(w2), 0);
    assert_int_equal(cio_await(r3), CIO_ECANCELED);
    assert_int_equal(cio_await(r4), CIO_ECANCELED);
    assert_int_equal(cio_rwlock_readers(&l), 0);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    assert_int_equal(cio_rwlock_destroy(&l), 0);
    return 0;
}

TEST(canceled_before_it_waits)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    struct caller *read = CALLER("r", cio_rwlock_acquire_read, &l);
    struct caller *write = CALLER("w", cio_rwlock_acquire_write, &l);
    assert_int_equal(call_canceled(read), CIO_ECANCELED);
    assert_int_equal(call_canceled(write), CIO_ECANCELED);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    assert_int_equal(cio_rwlock_destroy(&l), 0);
    return 0;
}

static bool keeps_reading;

static int read_on(void *lock)
{
    while (keeps_reading) {
        assert_int_equal(cio_rwlock_acquire_read(lock), 0);
        assert_int_equal(wait_turns(2), 0);
        assert_int_equal(cio_rwlock_release_read(lock), 0);
    }
    return 0;
}

TEST(readers_who_never_stop_do_not_starve_a_writer)
{
    static cio_rwlock l = CIO_RWLOCK_INIT;
    cio_group g;
    keeps_reading = true;
    assert_int_equal(cio_group_enter(&g), 0);
    for (int i = 0; i < 5; i++) {
        assert_non_null(cio_group_start(&g, read_on, &l));
        assert_int_equal(cio_yield(), 0);
    }
    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    assert_int_equal(cio_rwlock_readers(&l), 0);
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    keeps_reading = false;
    assert_int_equal(cio_rwlock_release_write(&l), 0);
    return cio_group_exit(&g, 0);
}

TEST(released_too_often)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_release_read(&l), CIO_ESTATE);
    assert_int_equal(cio_rwlock_release_write(&l), CIO_ESTATE);
    assert_int_equal(cio_rwlock_acquire_read(&l), 0);
    assert_int_equal(cio_rwlock_release_write(&l), CIO_ESTATE);
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    assert_int_equal(cio_rwlock_acquire_write(&l), 0);
    assert_int_equal(cio_rwlock_release_read(&l), CIO_ESTATE);
    return 0;
}

TEST(destroyed_while_in_use)
{
    cio_rwlock l = CIO_RWLOCK_INIT;
    assert_int_equal(cio_rwlock_acquire_read(&l), 0);
    assert_int_equal(cio_rwlock_destroy(&l), -EBUSY);
    cio_task *w = CALL("w", cio_rwlock_acquire_write, &l);
    assert_int_equal(cio_rwlock_release_read(&l), 0);
    assert_int_equal(cio_rwlock_destroy(&l), -EBUSY);
    assert_int_equal(cio_await(w), 0);
    assert_int_equal(cio_rwlock_destroy(&l), -EBUSY);
    return 0;
}

static cio_rwlock outside = CIO_RWLOCK_INIT;

static void use_outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_rwlock_acquire_read(&outside), CIO_ENOTASK);
    assert_int_equal(cio_rwlock_acquire_write(&outside), CIO_ENOTASK);
    assert_int_equal(cio_rwlock_acquire_write_nowait(&outside), 0);
    assert_int_equal(cio_rwlock_release_write(&outside), 0);
    assert_int_equal(cio_rwlock_acquire_read_nowait(&outside), 0);
    assert_int_equal(cio_rwlock_release_read(&outside), 0);
}

TEST(bad_input)
{
    call_outside_tasks(use_outside);
    assert_int_equal(cio_rwlock_acquire_read(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_acquire_write(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_acquire_read_nowait(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_acquire_write_nowait(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_release_read(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_release_write(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_destroy(NULL), -EINVAL);
    assert_int_equal(cio_rwlock_readers(NULL), 0);
    assert_false(cio_rwlock_writing(NULL));
    return 0;
}
