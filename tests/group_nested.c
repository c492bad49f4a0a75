/* Groups within groups, and groups with timeouts, gathers and shields (T36, T38). */
#include "waits.h"

TEST(a_group_in_a_group)
{
    struct job outer[] = {{"a", 8}, {"b", 2}}, inner[] = {{"c", 3}, {"d", 4}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, outer, 2);
    int rc = run_group(inner, 2);
    note("inner");
    assert_int_equal(cio_group_exit(&g, rc), 0);
    assert_noted("b c d inner a");
    return 0;
}

TEST(the_inner_group_fails)
{
    struct job outer = {"a", FOREVER, .cleanup = 2}, inner[] = {{"c", FOREVER}, {"d", 2, -EIO}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &outer, 1);
    int rc = run_group(inner, 2);
    assert_int_equal(rc, -EIO);
    assert_int_equal(outer.n_canceled, 0);
    assert_int_equal(cio_group_exit(&g, rc), -EIO);
    assert_noted("d -c -a");
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(the_inner_failure_is_handled)
{
    struct job outer = {"a", 9}, inner[] = {{"c", FOREVER}, {"d", 2, -EIO}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &outer, 1);
    assert_int_equal(run_group(inner, 2), -EIO);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_noted("d -c a");
    assert_int_equal(outer.n_canceled, 0);
    return 0;
}

TEST(the_outer_group_fails_while_the_inner_waits)
{
    struct job outer = {"a", 3, -EIO}, inner[] = {{"c", FOREVER, .cleanup = 3}, {"d", FOREVER}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &outer, 1);
    int rc = run_group(inner, 2);
    assert_int_equal(rc, CIO_ECANCELED);
    assert_int_equal(cio_group_exit(&g, rc), -EIO);
    assert_noted("a -d -c");
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(t38_both_groups_fail_at_once)
{
    struct job outer = {"a", 3, -1}, inner[] = {{"c", FOREVER, -2, .swallows = true}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &outer, 1);
    int rc = run_group(inner, 1);
    assert_int_equal(rc, -2);
    assert_int_equal(cio_group_exit(&g, rc), -1);
    assert_int_equal(g.error_count, 2);
    assert_int_equal(g.errors[0], -1);
    assert_int_equal(g.errors[1], -2);
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

struct nest {
    int depth;
    struct job leaf;
};

static int do_nest(void *arg)
{
    struct nest *n = arg;
    struct nest below = {n->depth - 1, n->leaf};
    cio_group g;
    if (n->depth == 0)
        return do_job(&n->leaf);
    assert_int_equal(cio_group_enter(&g), 0);
    assert_non_null(cio_group_start(&g, do_nest, &below));
    int rc = cio_group_exit(&g, 0);
    note("%d", n->depth);
    return rc;
}

TEST(groups_in_children)
{
    struct nest fine = {3, {"leaf", 2}}, failing = {3, {"leaf", 2, -EIO}};
    assert_int_equal(do_nest(&fine), 0);
    assert_noted("leaf 1 2 3");
    assert_int_equal(do_nest(&failing), -EIO);
    assert_noted("leaf 1 2 3");
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(a_cancellation_goes_down_all_groups)
{
    struct nest nest = {5, {"leaf", FOREVER, .cleanup = 3}};
    assert_int_equal(cancel_after(12, do_nest, &nest), CIO_ECANCELED);
    assert_noted("-leaf 1 2 3 4 5");
    return 0;
}

TEST(a_timeout_of_a_group)
{
    struct job jobs[] = {{"a", FOREVER, .cleanup = 4}, {"b", FOREVER}};
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, run_group(jobs, 2)), CIO_ETIMEDOUT);
    assert_noted("-b -a");
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(a_timeout_of_a_group_whose_child_fails_then)
{
    struct job jobs[] = {{"a", FOREVER, -EIO, .swallows = true}, {"b", FOREVER}};
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.005), 0);
    assert_int_equal(cio_timeout_exit(&t, run_group(jobs, 2)), -EIO);
    assert_true(cio_timeout_expired(&t));
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(a_timeout_in_the_body_of_a_group)
{
    struct job job = {"a", 9};
    cio_group g;
    cio_timeout t;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
    int rc = cio_timeout_exit(&t, cio_sleep(60));
    assert_int_equal(rc, CIO_ETIMEDOUT);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_noted("a");
    return 0;
}

TEST(a_child_fails_while_the_body_is_in_a_timeout)
{
    struct job job = {"a", 2, -EIO};
    cio_group g;
    cio_timeout t;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_timeout_enter(&t, 60), 0);
    int rc = cio_timeout_exit(&t, cio_sleep(60));
    assert_int_equal(rc, CIO_ECANCELED);
    assert_int_equal(cio_group_exit(&g, rc), -EIO);
    assert_int_equal(requests(), 0);
    return 0;
}

static int time_out(void *arg)
{
    (void)arg;
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.002), 0);
    return cio_timeout_exit(&t, cio_sleep(60));
}

TEST(a_child_that_times_out_fails)
{
    struct job job = {"a", FOREVER};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_non_null(cio_group_start(&g, time_out, NULL));
    assert_int_equal(cio_group_exit(&g, 0), CIO_ETIMEDOUT);
    assert_noted("-a");
    return 0;
}

TEST(wait_for_a_group)
{
    struct nest nest = {2, {"leaf", FOREVER, .cleanup = 2}};
    assert_int_equal(cio_wait_for(do_nest, &nest, 0.01), CIO_ETIMEDOUT);
    assert_noted("-leaf 1 2");
    assert_int_equal(requests(), 0);
    return 0;
}

/* The children of a group may be waited for in other ways too; the group has them all the same. */
TEST(a_gather_of_children)
{
    struct job jobs[] = {{"a", 4, 1}, {"b", 3, 2}};
    cio_task *tasks[2];
    cio_result_pair results[2];
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    for (int i = 0; i < 2; i++)
        tasks[i] = cio_ref(cio_group_start(&g, do_job, &jobs[i]));
    assert_int_equal(cio_gather_into(tasks, 2, 0, results), 0);
    assert_int_equal(results[0].rc, 1);
    assert_int_equal(results[1].rc, 2);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    return 0;
}

TEST(a_shield_in_the_body)
{
    struct job job = {"a", 2, -EIO}, outside = {"outside", 9, 3};
    cio_task *task = start_job(&outside);
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    int rc = cio_shield(cio_ref(task));
    assert_int_equal(rc, CIO_ECANCELED);
    assert_int_equal(cio_group_exit(&g, rc), -EIO);
    assert_noted("a");
    assert_int_equal(cio_await(task), 3);
    assert_int_equal(outside.n_canceled, 0);
    return 0;
}
