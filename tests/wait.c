/* cio_wait: asyncio.wait's row of the table of waits. */
#include "waits.h"

enum { N = 4 };

/* Where the jobs' tasks now stand: "1 3 0 2". */
static void assert_order(cio_future **futures, cio_future **before, const char *expected)
{
    notes_clear();
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            if (futures[i] == before[j])
                note("%d", j);
        }
    }
    assert_noted(expected);
}

TEST(wait_for_all_keeps_the_order)
{
    struct job jobs[N] = {{"a", 3, 1}, {"b", 1, -EIO}, {"c", 2, 3}, {"d", 0, 4}};
    cio_task *tasks[N], *before[N];
    start_jobs(jobs, N, tasks);
    memcpy(before, tasks, sizeof tasks);
    assert_int_equal(cio_wait(tasks, N, CIO_ALL_COMPLETED, CIO_FOREVER), N);
    assert_order(tasks, before, "0 1 2 3");
    assert_int_equal(cio_await(tasks[0]), 1); /* no reference was dropped */
    assert_int_equal(cio_await(tasks[1]), -EIO);
    assert_int_equal(cio_await(tasks[2]), 3);
    assert_int_equal(cio_await(tasks[3]), 4);
    return 0;
}

TEST(wait_for_the_first_in_each_place)
{
    static const char *const orders[N] = {"0 1 2 3", "1 0 2 3", "2 0 1 3", "3 0 1 2"};
    for (int first = 0; first < N; first++) {
        struct job jobs[N] = {{0}};
        cio_task *tasks[N], *before[N];
        for (int i = 0; i < N; i++)
            jobs[i].turns = i == first ? 1 : 9;
        start_jobs(jobs, N, tasks);
        memcpy(before, tasks, sizeof tasks);
        assert_int_equal(cio_wait(tasks, N, CIO_FIRST_COMPLETED, CIO_FOREVER), 1);
        assert_order(tasks, before, orders[first]);
        for (int i = 0; i < N; i++)
            assert_int_equal(cio_await(tasks[i]), 0);
        for (int i = 0; i < N; i++)
            assert_int_equal(jobs[i].n_canceled, 0);
    }
    return 0;
}

TEST(wait_counts_all_that_are_done)
{
    struct job jobs[N] = {{"a", 9}, {"b", 1}, {"c", 9}, {"d", 1}};
    cio_task *tasks[N], *before[N];
    start_jobs(jobs, N, tasks);
    memcpy(before, tasks, sizeof tasks);
    assert_int_equal(cio_wait(tasks, N, CIO_FIRST_COMPLETED, CIO_FOREVER), 2);
    assert_order(tasks, before, "1 3 0 2");
    cancel_all(tasks, N);
    return 0;
}

TEST(wait_for_the_first_error_in_each_place)
{
    static const char *const orders[N] = {"0 1 2 3", "0 1 2 3", "0 2 1 3", "0 3 1 2"};
    for (int bad = 0; bad < N; bad++) {
        struct job jobs[N] = {{0}};
        cio_task *tasks[N], *before[N];
        for (int i = 0; i < N; i++)
            jobs[i] = (struct job){.turns = i == bad ? 3
                                            : i == 0 ? 1
                                                     : FOREVER,
                                   .end = i == bad ? -EIO : 0};
        start_jobs(jobs, N, tasks);
        memcpy(before, tasks, sizeof tasks);
        assert_int_equal(cio_wait(tasks, N, CIO_FIRST_ERROR, CIO_FOREVER), bad == 0 ? 1 : 2);
        assert_order(tasks, before, orders[bad]);
        cancel_all(tasks, N);
    }
    return 0;
}

TEST(wait_for_an_error_that_does_not_come)
{
    struct job jobs[N] = {{"a", 1}, {"b", 4}, {"c", 2}, {"d", 3}};
    cio_task *tasks[N];
    start_jobs(jobs, N, tasks);
    assert_int_equal(cio_wait(tasks, N, CIO_FIRST_ERROR, CIO_FOREVER), N);
    cancel_all(tasks, N);
    return 0;
}

TEST(t28_a_canceled_one_is_no_error)
{
    struct job jobs[] = {{"a", FOREVER}, {"b", 6, 2}};
    cio_task *tasks[2];
    start_jobs(jobs, 2, tasks);
    wait_turns(1);
    cio_cancel(tasks[0]);
    assert_int_equal(cio_wait(tasks, 2, CIO_FIRST_ERROR, CIO_FOREVER), 2);
    assert_noted("-a b");
    cancel_all(tasks, 2);
    return 0;
}

TEST(t28_a_canceled_one_is_the_first)
{
    struct job jobs[] = {{"a", 20}, {"b", FOREVER}};
    cio_task *tasks[2];
    start_jobs(jobs, 2, tasks);
    wait_turns(1);
    cio_cancel(tasks[1]);
    assert_int_equal(cio_wait(tasks, 2, CIO_FIRST_COMPLETED, CIO_FOREVER), 1);
    assert_int_equal(cio_result(tasks[0]), CIO_ECANCELED);
    cancel_all(tasks, 2);
    return 0;
}

TEST(wait_for_what_is_done_already)
{
    struct job jobs[] = {{"a", 0, -EIO}, {"b", 0}, {"c", FOREVER}};
    cio_task *tasks[3];
    start_jobs(jobs, 3, tasks);
    wait_turns(2);
    assert_int_equal(cio_wait(tasks, 2, CIO_ALL_COMPLETED, CIO_FOREVER), 2);
    assert_int_equal(cio_wait(tasks, 3, CIO_FIRST_COMPLETED, CIO_FOREVER), 2);
    assert_int_equal(cio_wait(tasks, 3, CIO_FIRST_ERROR, CIO_FOREVER), 2);
    assert_int_equal(cio_wait(tasks, 3, CIO_ALL_COMPLETED, 0), 2);
    cancel_all(tasks, 3);
    return 0;
}

TEST(wait_returns_at_the_timeout_and_leaves_them_alone)
{
    struct job jobs[] = {{"a", FOREVER}, {"b", 1}, {"c", FOREVER}};
    cio_task *tasks[3];
    start_jobs(jobs, 3, tasks);
    double start = now();
    assert_int_equal(cio_wait(tasks, 3, CIO_ALL_COMPLETED, 0.03), 1);
    assert_true(now() - start >= 0.03);
    assert_int_equal(cio_result(tasks[0]), 0);
    assert_int_equal(jobs[0].n_canceled + jobs[2].n_canceled, 0);
    assert_int_equal(cio_cancelling(tasks[1]), 0);
    assert_false(cio_done(tasks[1]));
    cancel_all(tasks, 3);
    return 0;
}

TEST(wait_with_no_time_at_all)
{
    cio_future *future = cio_future_new();
    assert_int_equal(cio_wait(&future, 1, CIO_ALL_COMPLETED, 0), 0);
    assert_int_equal(cio_wait(&future, 1, CIO_ALL_COMPLETED, -1), 0);
    assert_false(cio_done(future));
    return cio_detach(future);
}

TEST(wait_before_a_timeout_leaves_no_timer)
{
    struct job job = {"a", 2, 1};
    cio_task *task = start_job(&job);
    assert_int_equal(cio_wait(&task, 1, CIO_ALL_COMPLETED, 0.02), 1);
    assert_int_equal(cio_sleep(0.04), 0); /* its time comes now, and nothing happens */
    return cio_await(task) == 1 ? 0 : -1;
}

struct waiting {
    cio_task *tasks[N];
    size_t n;
    cio_return_when when;
};

static int do_wait(void *arg)
{
    struct waiting *w = arg;
    return cio_wait(w->tasks, w->n, w->when, CIO_FOREVER);
}

TEST(t29_canceled_it_leaves_them_alone)
{
    struct job jobs[] = {{"a", FOREVER}, {"b", 1}, {"c", 20}};
    struct waiting w = {.n = 3};
    cio_task *before[3];
    start_jobs(jobs, 3, w.tasks);
    memcpy(before, w.tasks, sizeof before);
    assert_int_equal(cancel_after(4, do_wait, &w), CIO_ECANCELED);
    assert_memory_equal(before, w.tasks, sizeof before); /* total: in the old order */
    assert_int_equal(jobs[0].n_canceled + jobs[2].n_canceled, 0);
    assert_int_equal(cio_await(before[2]), 0);
    assert_int_equal(cio_await(before[1]), 0);
    cancel_all(before, 1);
    return 0;
}

TEST(two_wait_for_the_same)
{
    struct job jobs[] = {{"a", 2}, {"b", 6}};
    struct waiting first = {.n = 2, .when = CIO_FIRST_COMPLETED}, all = {.n = 2};
    start_jobs(jobs, 2, first.tasks);
    memcpy(all.tasks, first.tasks, sizeof all.tasks);
    cio_task *one = cio_create_task(do_wait, &first), *two = cio_create_task(do_wait, &all);
    assert_int_equal(cio_await(one), 1);
    assert_int_equal(cio_await(two), 2);
    cancel_all(all.tasks, 2);
    return 0;
}

TEST(t23_wait_does_not_count_as_having_seen_an_error)
{
    struct job job = {"a", 1, -EIO};
    cio_task *task = start_job(&job);
    cio_set_name(task, "lost");
    assert_int_equal(cio_wait(&task, 1, CIO_ALL_COMPLETED, CIO_FOREVER), 1);
    n_expected_reports = 1;
    cio_detach(task);
    assert_int_equal(reports_of(&reports, "lost"), 1);
    assert_int_equal(reports.seen[0].error, -EIO);
    return 0;
}

TEST(the_same_twice)
{
    struct job job = {"a", 2, 1};
    cio_task *task = start_job(&job);
    cio_future *both[2] = {task, task};
    assert_int_equal(cio_wait(both, 2, CIO_ALL_COMPLETED, CIO_FOREVER), 2);
    assert_int_equal(cio_await(task), 1);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    cio_future *future = cio_future_new();
    assert_int_equal(cio_wait(&future, 1, CIO_ALL_COMPLETED, 0), CIO_ENOTASK);
    cio_detach(future);
}

TEST(wait_refuses)
{
    cio_future *future = cio_future_new(), *me = cio_current_task();
    cio_loop *other = cio_loop_new(NULL);
    cio_future *stranger = cio_create_future(other);

    assert_int_equal(cio_wait(&future, 0, CIO_ALL_COMPLETED, 0), -EINVAL);
    assert_int_equal(cio_wait(NULL, 1, CIO_ALL_COMPLETED, 0), -EINVAL);
    assert_int_equal(cio_wait(&future, 1, CIO_ALL_COMPLETED, NAN), -EINVAL);
    assert_int_equal(cio_wait((cio_future *[]){future, NULL}, 2, CIO_ALL_COMPLETED, 0), -EINVAL);
    assert_int_equal(cio_wait((cio_future *[]){future, me}, 2, CIO_ALL_COMPLETED, 0), CIO_ESELF);
    assert_int_equal(cio_wait((cio_future *[]){future, stranger}, 2, CIO_ALL_COMPLETED, 0),
                     CIO_EWRONGLOOP);
    call_outside_tasks(outside);

    cio_detach(stranger);
    assert_int_equal(cio_loop_free(other), 0);
    return cio_detach(future);
}

enum { MANY = 1000 };

TEST(wait_for_many)
{
    static cio_future *futures[MANY];
    for (int i = 0; i < MANY; i++)
        futures[i] = cio_future_new();
    for (int i = 0; i < MANY; i += 2)
        cio_set_result(futures[i], i, NULL);
    assert_int_equal(cio_wait(futures, MANY, CIO_ALL_COMPLETED, 0.01), MANY / 2);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(cio_done(futures[i]), i < MANY / 2);
        if (i < MANY / 2)
            assert_int_equal(cio_result(futures[i]), 2 * i);
        cio_detach(futures[i]);
    }
    return 0;
}
