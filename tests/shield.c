/* cio_shield (T40). */
#include "waits.h"

TEST(shield_gives_the_end_and_drops_the_reference)
{
    struct job jobs[] = {{"a", 2, 3}, {"b", 2, -EIO}};
    assert_int_equal(cio_shield(start_job(&jobs[0])), 3);
    assert_int_equal(cio_shield(start_job(&jobs[1])), -EIO);
    return 0;
}

TEST(shield_of_what_is_done)
{
    struct job job = {"a", 0, 3};
    cio_task *task = start_job(&job);
    wait_turns(2);
    assert_int_equal(cio_shield(cio_ref(task)), 3);
    assert_int_equal(cio_shield(task), 3);
    return 0;
}

static int do_shield(void *task)
{
    int rc = cio_shield(task);
    note("shield");
    return rc;
}

TEST(t40_canceled_it_returns_at_once_and_the_task_runs_on)
{
    struct job job = {"a", 8, 3};
    cio_task *task = start_job(&job);
    assert_int_equal(cancel_after(3, do_shield, cio_ref(task)), CIO_ECANCELED);
    assert_false(cio_done(task));
    assert_int_equal(cio_cancelling(task), 0);
    assert_int_equal(cio_await(task), 3);
    assert_noted("shield a");
    assert_int_equal(job.n_canceled, 0);
    return 0;
}

TEST(t40_canceled_it_leaves_the_task_detached)
{
    struct job job = {"a", 8, 3};
    assert_int_equal(cancel_after(3, do_shield, start_job(&job)), CIO_ECANCELED);
    wait_turns(10);
    assert_noted("shield a");
    assert_int_equal(cio_all_tasks(NULL, NULL), 1);
    return 0;
}

TEST(t40_the_error_of_an_orphan_is_reported)
{
    struct job job = {"a", 8, -EIO};
    cio_task *task = start_job(&job);
    cio_set_name(task, "orphan");
    n_expected_reports = 1;
    assert_int_equal(cancel_after(3, do_shield, task), CIO_ECANCELED);
    wait_turns(10);
    assert_int_equal(reports_of(&reports, "orphan"), 1);
    return 0;
}

TEST(t40_a_canceled_task_cancels_the_wait)
{
    struct job job = {"a", FOREVER};
    cio_task *task = start_job(&job);
    cio_task *shielding = cio_create_task(do_shield, cio_ref(task));
    wait_turns(3);
    cio_cancel(task);
    assert_int_equal(cio_await(cio_ref(shielding)), CIO_ECANCELED);
    assert_int_equal(cio_cancelling(shielding), 0);
    cio_detach(shielding);
    return cio_detach(task);
}

static int shield_until_done(void *task)
{
    int n_canceled = 0;
    while (cio_shield(cio_ref(task)) == CIO_ECANCELED)
        n_canceled++;
    assert_int_equal(cio_await(task), 3);
    return n_canceled;
}

TEST(t40_it_can_be_waited_for_again_and_again)
{
    struct job job = {"a", 20, 3};
    cio_task *shielding = cio_create_task(shield_until_done, start_job(&job));
    for (int i = 0; i < 3; i++) {
        wait_turns(3);
        assert_int_equal(cio_cancel(shielding), 1);
    }
    assert_int_equal(cio_await(shielding), 3);
    assert_int_equal(job.n_canceled, 0);
    return 0;
}

TEST(t40_canceled_as_the_result_comes)
{
    cio_future *future = cio_future_new();
    cio_task *shielding = cio_create_task(do_shield, cio_ref(future));
    wait_turns(2);
    cio_set_result(future, 4, NULL);
    assert_int_equal(cio_cancel(shielding), 1);
    assert_int_equal(cio_await(shielding), CIO_ECANCELED);
    assert_int_equal(cio_result(future), 4);
    return cio_detach(future);
}

TEST(shield_protects_from_a_timeout)
{
    struct job job = {"a", FOREVER, .end = 5, .swallows = true};
    cio_task *task = start_job(&job);
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_shield(cio_ref(task))), CIO_ETIMEDOUT);
    assert_int_equal(job.n_canceled, 0);
    cio_cancel(task);
    assert_int_equal(cio_await(task), 5);
    return 0;
}

TEST(shield_several_at_once)
{
    struct job job = {"a", 9, 3};
    cio_task *task = start_job(&job), *shieldings[3];
    for (int i = 0; i < 3; i++)
        shieldings[i] = cio_create_task(do_shield, cio_ref(task));
    wait_turns(2);
    cio_cancel(shieldings[1]);
    assert_int_equal(cio_await(shieldings[0]), 3);
    assert_int_equal(cio_await(shieldings[1]), CIO_ECANCELED);
    assert_int_equal(cio_await(shieldings[2]), 3);
    return cio_detach(task);
}

static void outside(void *arg)
{
    (void)arg;
    cio_future *future = cio_future_new();
    assert_int_equal(cio_shield(future), CIO_ENOTASK);
    cio_detach(future);
}

TEST(shield_refuses)
{
    cio_loop *other = cio_loop_new(NULL);
    cio_future *stranger = cio_create_future(other);
    assert_int_equal(cio_shield(NULL), -EINVAL);
    assert_int_equal(cio_shield(stranger), CIO_EWRONGLOOP);
    assert_int_equal(cio_shield(cio_current_task()), CIO_ESELF);
    call_outside_tasks(outside);
    cio_detach(stranger);
    assert_int_equal(cio_loop_free(other), 0);
    return 0;
}
