/* cio_gather: asyncio.gather's row of the table of waits (T27-T33). */
#include "waits.h"

enum { N = 5 };

TEST(gather_of_nothing_is_done_at_once)
{
    assert_int_equal(cio_gather(NULL, 0, 0), 0);
    assert_int_equal(cio_gather(NULL, 0, CIO_RETURN_ERRORS), 0);
    assert_int_equal(cio_gather_into(NULL, 0, 0, NULL), 0);
    return 0;
}

TEST(gather_gives_results_in_argument_order)
{
    struct job jobs[] = {{"a", 3, 1}, {"b", 1, 2}, {"c", 2, 3}, {"d", 0, 4}};
    cio_task *tasks[4];
    cio_result_pair results[4];
    start_jobs(jobs, 4, tasks);
    assert_int_equal(cio_gather_into(tasks, 4, 0, results), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(results[i].rc, i + 1);
        assert_null(results[i].value);
    }
    assert_noted("d b c a");
    return 0;
}

static int return_value(void *value)
{
    cio_yield();
    return cio_return(7, value);
}

TEST(gather_gives_values)
{
    int values[2];
    cio_task *tasks[2];
    cio_result_pair results[2];
    for (int i = 0; i < 2; i++)
        tasks[i] = cio_create_task(return_value, &values[i]);
    assert_int_equal(cio_gather_into(tasks, 2, 0, results), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(results[i].rc, 7);
        assert_ptr_equal(results[i].value, &values[i]);
    }
    return 0;
}

TEST(gather_without_results_returns_zero)
{
    struct job jobs[] = {{"a", 2, 5}, {"b", 1, 6}};
    cio_task *tasks[2];
    start_jobs(jobs, 2, tasks);
    assert_int_equal(cio_gather(tasks, 2, 0), 0);
    assert_noted("b a");
    return 0;
}

TEST(gather_of_what_is_done)
{
    struct job jobs[] = {{"a", 0, 1}, {"b", 0, -EIO}};
    cio_task *tasks[2];
    cio_result_pair results[2];
    start_jobs(jobs, 2, tasks);
    wait_turns(2);
    cio_ref(tasks[0]);
    assert_int_equal(cio_gather(tasks, 1, 0), 0);
    assert_int_equal(cio_gather_into(tasks, 2, CIO_RETURN_ERRORS, results), 0);
    assert_int_equal(results[0].rc, 1);
    assert_int_equal(results[1].rc, -EIO);
    return 0;
}

/* One of N fails early, in each place: its error comes at once, and the others run on. */
TEST(t27_the_first_error_comes_at_once_and_the_others_run_on)
{
    for (int bad = 0; bad < N; bad++) {
        struct job jobs[N] = {{0}};
        cio_task *tasks[N];
        cio_result_pair results[N];
        for (int i = 0; i < N; i++)
            jobs[i] = (struct job){.turns = 8, .end = i};
        jobs[bad] = (struct job){.turns = 2, .end = -EIO};
        start_jobs(jobs, N, tasks);
        assert_int_equal(cio_gather_into(tasks, N, 0, results), -EIO);
        for (int i = 0; i < N; i++) {
            assert_int_equal(results[i].rc, i == bad ? -EIO : CIO_ESTATE);
            assert_int_equal(jobs[i].n_ended, i == bad);
        }
        wait_turns(10);
        for (int i = 0; i < N; i++) {
            assert_int_equal(jobs[i].n_ended, 1);
            assert_int_equal(jobs[i].n_canceled, 0);
        }
    }
    return 0;
}

TEST(t27_the_error_that_comes_first_wins)
{
    struct job jobs[] = {{"a", 6, -EIO}, {"b", 4, -EBADF}, {"c", 2, -EPERM}};
    cio_task *tasks[3];
    start_jobs(jobs, 3, tasks);
    assert_int_equal(cio_gather(tasks, 3, 0), -EPERM);
    wait_turns(8);
    assert_noted("c b a");
    return 0; /* the later errors count as known: nothing was reported */
}

TEST(t27_errors_in_one_turn_the_first_in_order_of_ends)
{
    struct job jobs[] = {{"a", 2, -EIO}, {"b", 2, -EBADF}};
    cio_task *tasks[2];
    start_jobs(jobs, 2, tasks);
    assert_int_equal(cio_gather(tasks, 2, 0), -EIO);
    wait_turns(2);
    return 0;
}

TEST(t28_a_canceled_child_counts_as_an_error)
{
    struct job jobs[] = {{"a", 9, 1}, {"b", FOREVER}};
    cio_task *tasks[2];
    start_jobs(jobs, 2, tasks);
    wait_turns(1);
    cio_cancel(tasks[1]);
    assert_int_equal(cio_gather(tasks, 2, 0), CIO_ECANCELED);
    assert_int_equal(requests(), 0);
    assert_noted("-b");
    assert_int_equal(cio_yield(), 0);
    wait_turns(9);
    assert_noted("a");
    return 0;
}

TEST(t28_errors_and_cancellations_as_results)
{
    struct job jobs[] = {{"a", 4, 1}, {"b", 1, -EIO}, {"c", FOREVER}, {"d", 2, -EBADF}};
    cio_task *tasks[4];
    cio_result_pair results[4];
    start_jobs(jobs, 4, tasks);
    wait_turns(1);
    cio_cancel(tasks[2]);
    assert_int_equal(cio_gather_into(tasks, 4, CIO_RETURN_ERRORS, results), 0);
    assert_int_equal(results[0].rc, 1);
    assert_int_equal(results[1].rc, -EIO);
    assert_int_equal(results[2].rc, CIO_ECANCELED);
    assert_int_equal(results[3].rc, -EBADF);
    assert_noted("b -c d a");
    return 0;
}

struct gathering {
    cio_task *tasks[N];
    size_t n;
    unsigned flags;
    cio_result_pair results[N];
};

static int do_gather(void *arg)
{
    struct gathering *g = arg;
    int rc = cio_gather_into(g->tasks, g->n, g->flags, g->results);
    note("gather");
    return rc;
}

TEST(t29_canceled_it_cancels_all)
{
    for (unsigned flags = 0; flags <= CIO_RETURN_ERRORS; flags++) {
        struct job jobs[] = {{"a", FOREVER}, {"b", FOREVER}, {"c", FOREVER}};
        struct gathering g = {.n = 3, .flags = flags};
        start_jobs(jobs, 3, g.tasks);
        assert_int_equal(cancel_after(3, do_gather, &g), CIO_ECANCELED);
        assert_noted("-a -b -c gather");
        for (int i = 0; i < 3; i++) {
            assert_int_equal(jobs[i].n_canceled, 1);
            assert_int_equal(g.results[i].rc, CIO_ECANCELED);
        }
    }
    return 0;
}

TEST(t29_canceled_it_returns_with_the_first_that_ends)
{
    struct job jobs[] = {
        {.name = "a", .turns = FOREVER, .cleanup = 9},
        {.name = "b", .turns = FOREVER},
        {.name = "c", .turns = FOREVER, .cleanup = 9},
    };
    struct gathering g = {.n = 3};
    start_jobs(jobs, 3, g.tasks);
    assert_int_equal(cancel_after(3, do_gather, &g), CIO_ECANCELED);
    assert_noted("-b gather");
    assert_int_equal(g.results[0].rc, CIO_ESTATE);
    assert_int_equal(g.results[1].rc, CIO_ECANCELED);
    wait_turns(10);
    assert_noted("-a -c");
    return 0;
}

TEST(t29_canceled_with_errors_as_results_it_waits_for_all)
{
    struct job jobs[] = {
        {.name = "a", .turns = FOREVER, .cleanup = 5},
        {.name = "b", .turns = FOREVER},
        {.name = "c", .turns = FOREVER, .end = -EIO, .swallows = true},
    };
    struct gathering g = {.n = 3, .flags = CIO_RETURN_ERRORS};
    start_jobs(jobs, 3, g.tasks);
    assert_int_equal(cancel_after(3, do_gather, &g), CIO_ECANCELED);
    assert_noted("-b c -a gather");
    assert_int_equal(g.results[2].rc, -EIO);
    return 0;
}

TEST(t29_canceled_it_says_so_though_all_swallow)
{
    for (unsigned flags = 0; flags <= CIO_RETURN_ERRORS; flags++) {
        struct job jobs[] = {
            {.name = "a", .turns = FOREVER, .end = 1, .swallows = true},
            {.name = "b", .turns = FOREVER, .end = 2, .cleanup = 3, .swallows = true},
        };
        struct gathering g = {.n = 2, .flags = flags};
        start_jobs(jobs, 2, g.tasks);
        assert_int_equal(cancel_after(3, do_gather, &g), CIO_ECANCELED);
        assert_noted("a b gather");
        assert_int_equal(g.results[0].rc, 1);
        assert_int_equal(g.results[1].rc, 2);
    }
    return 0;
}

TEST(t29_canceled_an_error_of_a_child_is_still_its_error)
{
    struct job jobs[] = {
        {.name = "a", .turns = FOREVER, .end = -EIO, .swallows = true},
        {.name = "b", .turns = FOREVER, .cleanup = 5},
    };
    struct gathering g = {.n = 2};
    start_jobs(jobs, 2, g.tasks);
    assert_int_equal(cancel_after(3, do_gather, &g), -EIO);
    wait_turns(6);
    assert_noted("a gather -b");
    return 0;
}

TEST(t29_canceled_again_it_cancels_all_again)
{
    struct job jobs[] = {
        {.name = "a", .turns = FOREVER, .cleanup = 20},
        {.name = "b", .turns = FOREVER, .cleanup = 20},
    };
    struct gathering g = {.n = 2};
    start_jobs(jobs, 2, g.tasks);
    cio_task *task = cio_create_task(do_gather, &g);
    for (int i = 0; i < 2; i++) {
        wait_turns(3);
        assert_int_equal(cio_cancel(task), 1);
    }
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(jobs[0].n_canceled, 2);
    assert_int_equal(jobs[1].n_canceled, 2);
    return 0;
}

TEST(t29_canceled_when_all_are_done_it_is_canceled_still)
{
    struct gathering g = {.n = 2};
    for (int i = 0; i < 2; i++)
        g.tasks[i] = cio_future_new();
    cio_future *first = cio_ref(g.tasks[0]), *second = cio_ref(g.tasks[1]);
    cio_task *task = cio_create_task(do_gather, &g);
    wait_turns(2);
    cio_set_result(first, 1, NULL);
    cio_set_result(second, 2, NULL);
    assert_int_equal(cio_cancel(task), 1);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    cio_detach(first);
    cio_detach(second);
    return 0;
}

TEST(t29_canceled_before_its_first_step_it_leaves_them_alone)
{
    struct job jobs[] = {{"a", 3, 1}, {"b", 3, 2}};
    struct gathering g = {.n = 2};
    start_jobs(jobs, 2, g.tasks);
    assert_int_equal(cancel_after(0, do_gather, &g), CIO_ECANCELED);
    assert_int_equal(cio_gather(g.tasks, 2, 0), 0); /* the references were never dropped */
    assert_noted("a b");
    return 0;
}

TEST(t33_the_same_twice_runs_once)
{
    struct job job = {"a", 3, 4};
    cio_task *task = start_job(&job);
    cio_future *both[2] = {task, cio_ref(task)};
    cio_result_pair results[2];
    assert_int_equal(cio_gather_into(both, 2, 0, results), 0);
    assert_int_equal(results[0].rc, 4);
    assert_int_equal(results[1].rc, 4);
    assert_int_equal(job.n_begun, 1);
    return 0;
}

TEST(gather_of_futures_and_tasks)
{
    struct job job = {"a", 2, 1};
    cio_future *future = cio_future_new();
    struct gathering g = {.tasks = {cio_ref(future), start_job(&job)}, .n = 2};
    assert_int_equal(cancel_after(4, do_gather, &g), CIO_ECANCELED);
    assert_true(cio_cancelled(future)); /* a pending future ends canceled at once */
    assert_int_equal(g.results[1].rc, 1);
    return cio_detach(future);
}

static void outside(void *arg)
{
    (void)arg;
    cio_future *future = cio_future_new();
    assert_int_equal(cio_gather(&future, 1, 0), CIO_ENOTASK);
    cio_detach(future);
}

TEST(gather_refuses_and_drops_no_reference)
{
    struct job job = {"a", 2, 3};
    cio_task *task = start_job(&job);
    cio_loop *other = cio_loop_new(NULL);
    cio_future *stranger = cio_create_future(other);

    assert_int_equal(cio_gather(NULL, 1, 0), -EINVAL);
    assert_int_equal(cio_gather((cio_future *[]){task, NULL}, 2, 0), -EINVAL);
    assert_int_equal(cio_gather((cio_future *[]){task, cio_current_task()}, 2, 0), CIO_ESELF);
    assert_int_equal(cio_gather((cio_future *[]){task, stranger}, 2, 0), CIO_EWRONGLOOP);
    call_outside_tasks(outside);

    assert_int_equal(cio_await(task), 3);
    cio_detach(stranger);
    assert_int_equal(cio_loop_free(other), 0);
    return 0;
}

enum { MANY = 1000 };

TEST(gather_of_many)
{
    static struct job jobs[MANY];
    static cio_task *tasks[MANY];
    static cio_result_pair results[MANY];
    for (int i = 0; i < MANY; i++)
        jobs[i] = (struct job){.turns = i % 7, .end = i};
    start_jobs(jobs, MANY, tasks);
    assert_int_equal(cio_gather_into(tasks, MANY, 0, results), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(results[i].rc, i);
    return 0;
}

static void gather_in_need(size_t n, int expected)
{
    static cio_future *futures[MANY];
    for (size_t i = 0; i < n; i++)
        futures[i] = cio_future_new();
    for (size_t i = 0; i < n; i++)
        cio_set_result(futures[i], 1, NULL);
    is_out_of_memory = true;
    int rc = cio_gather(futures, n, 0);
    is_out_of_memory = false;
    assert_true(rc == 0 || rc == expected);
    if (rc < 0)
        assert_int_equal(cio_gather(futures, n, 0), 0); /* nothing had happened */
}

TEST(gather_without_memory)
{
    gather_in_need(16, 0);
    gather_in_need(MANY, -ENOMEM);
    return 0;
}
