/* cio_group: asyncio.TaskGroup (T25, T38). */
#include "waits.h"

static void start_in(cio_group *g, struct job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_non_null(cio_group_start(g, do_job, &jobs[i]));
}

/* A group of these jobs, whose body does nothing. */
static int run_group(struct job *jobs, size_t n)
{
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, jobs, n);
    return cio_group_exit(&g, 0);
}

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
    assert_int_equal(what.jobs[0].n_canceled, 1); /* the children are canceled once, as in asyncio */
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
