/* Handles that are finished more often than they were bought: told, and no memory is hurt. */
#include <errno.h>

#include "test.h"

static int sleep_and_give_7(void *arg)
{
    (void)arg;
    int rc = cio_sleep(0.001);
    return rc < 0 ? rc : 7;
}

static int await_it(void *arg)
{
    return cio_await(arg);
}

static int one_after_the_other(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(sleep_and_give_7, NULL);
    assert_int_equal(cio_await(t), 7);
    assert_int_equal(cio_await(t), CIO_ESTATE);
    assert_int_equal(cio_shield(t), CIO_ESTATE);
    assert_int_equal(cio_gather(&t, 1, 0), CIO_ESTATE);
    assert_int_equal(cio_wait(&t, 1, CIO_ALL_COMPLETED, 1), CIO_ESTATE);
    assert_int_equal(cio_detach(t), CIO_ESTATE);
    assert_int_equal(cio_result(t), CIO_ESTATE);
    assert_int_equal(cio_cancel(t), 0);
    assert_false(cio_done(t));
    return 0;
}

TEST(a_finished_handle_is_refused)
{
    assert_int_equal(cio_run(one_after_the_other, NULL), 0);
}

static int both_at_once(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(sleep_and_give_7, NULL);
    cio_task *waiters[2];
    for (int i = 0; i < 2; i++)
        waiters[i] = cio_create_task(await_it, t);
    cio_result_pair results[2];
    assert_int_equal(cio_gather_into(waiters, 2, CIO_RETURN_ERRORS, results), 0);
    assert_int_equal(results[0].rc, 7);
    assert_int_equal(results[1].rc, CIO_ESTATE);

    cio_task *next = cio_create_task(sleep_and_give_7, NULL);
    assert_int_equal(cio_await(next), 7); /* its place in the pool is whole */
    return 0;
}

TEST(two_that_wait_with_one_reference)
{
    assert_int_equal(cio_run(both_at_once, NULL), 0);
}

static int with_a_reference_each(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(sleep_and_give_7, NULL);
    cio_task *waiters[2] = {cio_create_task(await_it, cio_ref(t)), cio_create_task(await_it, t)};
    cio_result_pair results[2];
    assert_int_equal(cio_gather_into(waiters, 2, CIO_RETURN_ERRORS, results), 0);
    assert_int_equal(results[0].rc, 7);
    assert_int_equal(results[1].rc, 7);
    return 0;
}

TEST(two_that_wait_with_a_reference_each)
{
    assert_int_equal(cio_run(with_a_reference_each, NULL), 0);
}

static int give_a_value(void *arg)
{
    int rc = cio_yield();
    return rc < 0 ? rc : cio_return(1, arg);
}

static int no_value_for_the_second(void *arg)
{
    (void)arg;
    int thing;
    void *value = &value;
    cio_task *t = cio_create_task(give_a_value, &thing);
    assert_int_equal(cio_detach(t), 0);
    assert_int_equal(cio_await_value(t, &value), CIO_ESTATE);
    assert_null(value);
    return 0;
}

TEST(an_await_that_is_refused_gives_no_value)
{
    assert_int_equal(cio_run(no_value_for_the_second, NULL), 0);
}

static int after_a_detach(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(sleep_and_give_7, NULL);
    assert_int_equal(cio_detach(t), 0);
    assert_int_equal(cio_await(t), CIO_ESTATE); /* it waited, and nothing was left to it */
    t = cio_create_task(sleep_and_give_7, NULL);
    assert_int_equal(cio_detach(t), 0);
    assert_int_equal(cio_sleep(0.01), 0);
    assert_int_equal(cio_await(t), CIO_ESTATE);
    return 0;
}

TEST(a_detached_handle_is_refused)
{
    assert_int_equal(cio_run(after_a_detach, NULL), 0);
}

static int twice_in_a_gather(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(sleep_and_give_7, NULL);
    cio_task *both[2] = {t, t};
    cio_result_pair results[2];
    assert_int_equal(cio_gather_into(both, 2, 0, results), 0);
    assert_int_equal(results[0].rc, 7);
    assert_int_equal(results[1].rc, 7);
    assert_int_equal(cio_all_tasks(NULL, NULL), 1);
    return 0;
}

TEST(twice_in_a_gather_with_one_reference)
{
    assert_int_equal(cio_run(twice_in_a_gather, NULL), 0);
}
