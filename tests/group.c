/* cio_group: asyncio.TaskGroup (T38). Its starts are in group_start.c. */
#include "waits.h"

TEST(the_exit_waits_for_every_child)
{
    struct job jobs[] = {{"a", 5, 1}, {"b", 1, 2}, {"c", 3, 3}};
    assert_int_equal(run_group(jobs, 3), 0);
    assert_noted("b c a");
    return 0;
}

TEST(the_bodys_result_is_returned)
{
    struct job job = {"a", 2, 1};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_group_exit(&g, 7), 7);
    assert_int_equal(g.error_count, 0);
    assert_int_equal(cio_group_enter(&g), 0);
    assert_int_equal(cio_group_exit(&g, 8), 8); /* no child at all */
    return 0;
}

TEST(t38_a_failing_child_in_each_place_cancels_the_others)
{
    enum { N = 5 };
    for (int bad = 0; bad < N; bad++) {
        struct job jobs[N] = {{0}};
        for (int i = 0; i < N; i++)
            jobs[i] = (struct job){.turns = FOREVER, .cleanup = i};
        jobs[bad] = (struct job){.turns = 2, .end = -EIO};
        assert_int_equal(run_group(jobs, N), -EIO);
        for (int i = 0; i < N; i++) {
            assert_int_equal(jobs[i].n_ended, 1);
            assert_int_equal(jobs[i].n_canceled, i != bad);
        }
        assert_int_equal(requests(), 0);
        assert_int_equal(cio_yield(), 0);
    }
    return 0;
}

TEST(t38_a_failing_child_cancels_the_body)
{
    struct job job = {"a", 2, -EIO};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(requests(), 1);
    assert_int_equal(cio_yield(), 0); /* once */
    assert_int_equal(cio_group_exit(&g, CIO_ECANCELED), -EIO);
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(t38_a_body_that_swallows_still_has_the_childs_error)
{
    struct job job = {"a", 2, -EIO};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(cio_group_exit(&g, 5), -EIO);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(t38_errors_of_several_children_are_kept)
{
    struct job jobs[] = {
        {"a", 4, -1},
        {"b", 1, -2},
        {"c", FOREVER, -3, .cleanup = 2, .swallows = true},
        {"d", FOREVER, .cleanup = 1},
    };
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, jobs, 4);
    assert_int_equal(cio_group_exit(&g, 0), -2);
    assert_int_equal(g.error_count, 2);
    assert_int_equal(g.errors[0], -2);
    assert_int_equal(g.errors[1], -3);
    return 0;
}

TEST(t38_more_errors_than_there_is_room_for)
{
    enum { N = CIO_GROUP_ERRORS_MAX + 4 };
    struct job jobs[N] = {{0}};
    cio_group g;
    for (int i = 0; i < N; i++)
        jobs[i] = (struct job){.turns = 2, .end = -1 - i};
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, jobs, N);
    assert_int_equal(cio_group_exit(&g, 0), -1);
    assert_int_equal(g.error_count, N);
    for (int i = 0; i < CIO_GROUP_ERRORS_MAX; i++)
        assert_int_equal(g.errors[i], -1 - i);
    return 0;
}

TEST(t38_the_bodys_error_joins_the_others)
{
    struct job jobs[] = {{"a", FOREVER, .cleanup = 2}, {"b", FOREVER, -3, .swallows = true}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, jobs, 2);
    wait_turns(2);
    assert_int_equal(cio_group_exit(&g, -EIO), -3);
    assert_noted("b -a");
    assert_int_equal(g.error_count, 2);
    assert_int_equal(g.errors[0], -3);
    assert_int_equal(g.errors[1], -EIO); /* last, whenever it came, as in asyncio */
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(a_body_that_fails_at_once)
{
    struct job job = {"a", 3};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_group_exit(&g, -EIO), -EIO);
    assert_int_equal(job.n_begun, 0); /* T15 */
    assert_int_equal(g.error_count, 1);
    return 0;
}

TEST(t38_a_canceled_child_is_no_error)
{
    struct job jobs[] = {{"a", FOREVER}, {"b", 6}};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    cio_task *child = cio_group_start(&g, do_job, &jobs[0]);
    start_in(&g, &jobs[1], 1);
    wait_turns(2);
    assert_int_equal(cio_cancel(child), 1);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_noted("-a b");
    assert_int_equal(jobs[1].n_canceled, 0);
    assert_int_equal(g.error_count, 0);
    return 0;
}

TEST(a_body_that_is_canceled_by_itself)
{
    struct job job = {"a", FOREVER};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    wait_turns(2);
    assert_int_equal(cio_group_exit(&g, CIO_ECANCELED), CIO_ECANCELED);
    assert_noted("-a");
    assert_int_equal(g.error_count, 0);
    return 0;
}

struct grouping {
    struct job jobs[3];
    size_t n;
    bool waits_in_body;
    int n_requests;
    int next_wait;
};

static int do_group(void *arg)
{
    struct grouping *what = arg;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, what->jobs, what->n);
    int rc = cio_group_exit(&g, what->waits_in_body ? cio_sleep(60) : 0);
    note("exit");
    what->n_requests = requests();
    what->next_wait = cio_yield();
    return rc;
}

TEST(t38_canceled_in_the_body_or_in_the_exit)
{
    for (int i = 0; i < 2; i++) {
        struct grouping what = {
            .jobs = {{"a", FOREVER}, {"b", FOREVER, .cleanup = 4}},
            .n = 2,
            .waits_in_body = i == 0,
        };
        assert_int_equal(cancel_after(3, do_group, &what), CIO_ECANCELED);
        assert_noted("-a -b exit");
        assert_int_equal(what.n_requests, 1);
        assert_int_equal(what.next_wait, 0);
    }
    return 0;
}

TEST(t38_canceled_again_and_again_it_still_waits_for_all)
{
    struct grouping what = {
        .jobs = {{"a", FOREVER, .cleanup = 30}, {"b", FOREVER, .cleanup = 1}},
        .n = 2,
    };
    cio_task *task = cio_create_task(do_group, &what);
    wait_turns(3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_cancel(task), 1);
        wait_turns(4);
    }
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_noted("-b -a exit");
    assert_int_equal(what.jobs[0].n_canceled,
                     1); /* the children are canceled once, as in asyncio */
    assert_int_equal(what.n_requests, 3);
    return 0;
}

TEST(a_child_that_swallows_is_waited_for)
{
    struct grouping what = {
        .jobs = {{"a", FOREVER, .end = 3, .cleanup = 6, .swallows = true}, {"b", 1, -EIO}},
        .n = 2,
    };
    assert_int_equal(run_group(what.jobs, 2), -EIO);
    assert_noted("b a");
    return 0;
}

/* T38: the error is returned, and the cancellation is not lost: the next wait has it. */
TEST(t38_a_cancellation_and_an_error_at_once)
{
    struct grouping what = {
        .jobs = {{"a", FOREVER}, {"b", FOREVER, -EIO, .swallows = true}},
        .n = 2,
    };
    assert_int_equal(cancel_after(3, do_group, &what), -EIO);
    assert_int_equal(what.n_requests, 1);
    assert_int_equal(what.next_wait, CIO_ECANCELED);
    return 0;
}

TEST(t38_a_cancellation_while_it_aborts_is_kept)
{
    struct grouping what = {.jobs = {{"a", FOREVER, .cleanup = 9}, {"b", 1, -EIO}}, .n = 2};
    assert_int_equal(cancel_after(6, do_group, &what), -EIO);
    assert_noted("b -a exit");
    assert_int_equal(what.n_requests, 1);
    assert_int_equal(what.next_wait, CIO_ECANCELED);
    return 0;
}

static int group_in_cleanup(void *arg)
{
    struct job jobs[] = {{"a", 3, 1}, {"b", 4, 2}};
    (void)arg;
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_int_equal(run_group(jobs, 2), 0);
    assert_noted("a b");
    assert_int_equal(requests(), 1);
    return CIO_ECANCELED;
}

TEST(a_group_in_the_cleanup_of_a_canceled_task)
{
    assert_int_equal(cancel_after(2, group_in_cleanup, NULL), CIO_ECANCELED);
    return 0;
}

TEST(canceled_by_its_own_call)
{
    struct job jobs[] = {{"a", FOREVER}, {"b", FOREVER, .cleanup = 3}}, late = {"late", 1};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, jobs, 2);
    wait_turns(2);
    assert_int_equal(cio_group_cancel(&g), 0);
    assert_int_equal(cio_group_cancel(&g), 0); /* twice is once */
    assert_null(cio_group_start(&g, do_job, &late));
    assert_int_equal(cio_last_error(), CIO_ESHUTDOWN);
    assert_int_equal(cio_group_exit(&g, cio_sleep(60)), 0);
    assert_noted("-a -b");
    assert_int_equal(g.error_count, 0);
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_group_cancel(&g), CIO_ESTATE);
    return 0;
}

static int cancel_group(void *group)
{
    wait_turns(2);
    return cio_group_cancel(group);
}

TEST(canceled_by_a_child)
{
    struct job job = {"a", FOREVER};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_non_null(cio_group_start(&g, cancel_group, &g));
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_noted("-a");
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

TEST(canceled_by_its_own_call_a_childs_error_is_still_one)
{
    struct job job = {"a", FOREVER, -EIO, .swallows = true};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    wait_turns(2);
    assert_int_equal(cio_group_cancel(&g), 0);
    assert_int_equal(cio_group_exit(&g, CIO_ECANCELED), -EIO);
    assert_int_equal(requests(), 0);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    cio_group g;
    assert_int_equal(cio_group_enter(&g), CIO_ENOTASK);
}

TEST(group_refuses)
{
    cio_group g = {.state = 0};
    assert_int_equal(cio_group_enter(NULL), -EINVAL);
    assert_int_equal(cio_group_cancel(&g), CIO_ESTATE);
    call_outside_tasks(outside);
    return 0;
}

TEST(group_of_many)
{
    enum { MANY = 2000 };
    static struct job jobs[MANY];
    for (int i = 0; i < MANY; i++)
        jobs[i] = (struct job){.turns = i % 11, .end = i};
    assert_int_equal(run_group(jobs, MANY), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(jobs[i].n_ended, 1);
    for (int i = 0; i < MANY; i++)
        jobs[i] = (struct job){.turns = i == MANY / 2 ? 20 : FOREVER, .end = -EIO};
    assert_int_equal(run_group(jobs, MANY), -EIO);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(jobs[i].n_ended, 1);
    return 0;
}
