/* Starting the children of a group: when, by whom, eagerly, and when it fails (T25, T38). */
#include "waits.h"

TEST(t38_start_while_it_aborts)
{
    struct job job = {"a", 1, -EIO}, late = {"late", 1};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    assert_int_equal(cio_sleep(60), CIO_ECANCELED);
    assert_null(cio_group_start(&g, do_job, &late));
    assert_int_equal(cio_last_error(), CIO_ESHUTDOWN);
    assert_int_equal(cio_group_exit(&g, CIO_ECANCELED), -EIO);
    assert_int_equal(g.error_count, 1);
    assert_null(cio_group_start(&g, do_job, &late));
    assert_int_equal(cio_last_error(), CIO_ESTATE);
    assert_int_equal(late.n_begun, 0);
    return 0;
}

TEST(start_before_and_after)
{
    struct job job = {"a", 1};
    cio_group g = {.state = 0};
    assert_null(cio_group_start(&g, do_job, &job));
    assert_int_equal(cio_last_error(), CIO_ESTATE);
    assert_int_equal(cio_group_enter(&g), 0);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_null(cio_group_start(&g, do_job, &job));
    assert_int_equal(cio_last_error(), CIO_ESTATE);
    assert_null(cio_group_start(NULL, do_job, &job));
    assert_int_equal(cio_group_enter(&g), 0); /* it can be used again */
    assert_null(cio_group_start(&g, NULL, &job));
    assert_int_equal(cio_last_error(), -EINVAL);
    cio_group_exit(&g, 0);
    return 0;
}

struct starter {
    cio_group *group;
    struct job *job;
    struct starter *next;
};

static int start_more(void *arg)
{
    struct starter *s = arg;
    wait_turns(1);
    assert_non_null(cio_group_start(s->group, do_job, s->job));
    if (s->next)
        assert_non_null(cio_group_start(s->group, start_more, s->next));
    return 0;
}

TEST(children_start_children)
{
    cio_group g;
    struct job jobs[] = {{"a", 5}, {"b", 2}, {"c", 1}};
    struct starter last = {&g, &jobs[2], NULL}, second = {&g, &jobs[1], &last};
    struct starter first = {&g, &jobs[0], &second};
    assert_int_equal(cio_group_enter(&g), 0);
    assert_non_null(cio_group_start(&g, start_more, &first));
    assert_int_equal(cio_group_exit(&g, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobs[i].n_ended, 1);
    return 0;
}

TEST(another_task_starts_children)
{
    cio_group g;
    struct job keep = {"keep", 6}, job = {"a", 8};
    struct starter s = {&g, &job, NULL};
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &keep, 1);
    cio_task *other = cio_create_task(start_more, &s);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_noted("keep a");
    return cio_await(other);
}

TEST(a_child_can_be_kept)
{
    struct job job = {"a", 3, 4};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    cio_task *child = cio_ref(cio_group_start(&g, do_job, &job));
    assert_int_equal(cio_await(cio_ref(child)), 4);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_int_equal(cio_await(child), 4);
    return 0;
}

TEST(a_childs_error_that_the_body_awaits)
{
    struct job job = {"a", 3, -EIO};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    cio_task *child = cio_ref(cio_group_start(&g, do_job, &job));
    int rc = cio_await(child);
    assert_int_equal(rc, CIO_ECANCELED); /* the group heard of it first, and canceled the body */
    assert_int_equal(cio_group_exit(&g, rc), -EIO);
    assert_int_equal(g.error_count, 1);
    assert_int_equal(requests(), 0);
    assert_int_equal(cio_yield(), 0);
    return 0;
}

static cio_task *start_eager(cio_group *g, struct job *job)
{
    return cio_group_start_with(g, &(cio_task_options){.eager = true}, do_job, job);
}

TEST(t25_an_eager_child_that_is_done_at_once)
{
    struct job done = {"a", 0, 1}, blocked = {"b", 2, 1};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    assert_non_null(start_eager(&g, &done));
    assert_noted("a");
    assert_non_null(start_eager(&g, &blocked));
    assert_int_equal(blocked.n_begun, 1);
    assert_int_equal(cio_group_exit(&g, 0), 0);
    assert_noted("b");
    return 0;
}

TEST(t25_an_eager_child_that_fails_at_once)
{
    struct job sleeping = {"a", FOREVER}, failing = {"b", 0, -EIO};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &sleeping, 1);
    wait_turns(2);
    start_eager(&g, &failing);
    assert_int_equal(cio_group_exit(&g, cio_sleep(60)), -EIO);
    assert_noted("b -a");
    assert_int_equal(g.error_count, 1);
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(start_with_a_name)
{
    struct job job = {"a", 1};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    cio_task *child = cio_group_start_with(&g, &(cio_task_options){.name = "child"}, do_job, &job);
    assert_string_equal(cio_get_name(child), "child");
    assert_int_equal(cio_group_exit(&g, 0), 0);
    return 0;
}

TEST(start_without_memory_counts_as_a_failed_child)
{
    struct job job = {"a", FOREVER}, lost = {"lost", 1};
    cio_group g;
    cio_task *child = NULL;
    int n_kept = 0;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, &job, 1);
    wait_turns(1);
    is_out_of_memory = true;
    static struct job more[1000];
    for (; n_kept < 1000; n_kept++) { /* until the pools have nothing left */
        more[n_kept] = (struct job){.turns = FOREVER};
        child = cio_group_start(&g, do_job, &more[n_kept]);
        if (!child)
            break;
    }
    assert_null(child);
    assert_int_equal(cio_last_error(), -ENOMEM);
    is_out_of_memory = false;
    assert_int_equal(cio_group_exit(&g, 0), -ENOMEM);
    assert_int_equal(lost.n_begun, 0);
    assert_int_equal(job.n_canceled, 1);
    assert_int_equal(requests(), 0);
    return 0;
}
