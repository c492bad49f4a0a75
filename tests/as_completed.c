/* cio_as_completed: an iterator in the order of completion (T41). */
#include "waits.h"

enum { N = 4 };

/* Awaits all that it gives, and notes their results. */
static int take_all(cio_future *const *futures, size_t n, double timeout)
{
    cio_as_completed it;
    cio_future *future;
    int rc;
    assert_int_equal(cio_as_completed_init(&it, futures, n, timeout), 0);
    while ((rc = cio_next_completed(&it, &future)) == 1) {
        assert_true(cio_done(future));
        note("%d", cio_await(future));
    }
    cio_as_completed_end(&it);
    return rc;
}

TEST(as_completed_gives_them_in_order_of_their_ends)
{
    struct job jobs[N] = {
        {.turns = 7, .end = 1}, {.turns = 1, .end = 2}, {.turns = 5, .end = -9}, {.turns = 3}};
    cio_task *tasks[N];
    start_jobs(jobs, N, tasks);
    assert_int_equal(take_all(tasks, N, CIO_FOREVER), 0);
    assert_noted("2 0 -9 1");
    return 0;
}

/* An error, and a cancellation, in each place. */
TEST(an_error_is_given_as_any_other_end)
{
    for (int bad = 0; bad < N; bad++) {
        struct job jobs[N] = {{0}};
        cio_task *tasks[N];
        for (int i = 0; i < N; i++)
            jobs[i] = (struct job){.turns = 3, .end = i == bad ? -5 : 0};
        start_jobs(jobs, N, tasks);
        assert_int_equal(take_all(tasks, N, CIO_FOREVER), 0);
        assert_noted(bad == 0   ? "-5 0 0 0"
                     : bad == 1 ? "0 -5 0 0"
                     : bad == 2 ? "0 0 -5 0"
                                : "0 0 0 -5");
    }
    return 0;
}

TEST(a_canceled_one_is_given_too)
{
    struct job jobs[] = {{.turns = FOREVER}, {.turns = 9, .end = 1}};
    cio_task *tasks[2];
    start_jobs(jobs, 2, tasks);
    wait_turns(1);
    cio_cancel(tasks[0]);
    assert_int_equal(take_all(tasks, 2, CIO_FOREVER), 0);
    assert_noted("-4097 1");
    assert_int_equal(requests(), 0);
    return 0;
}

TEST(what_is_done_already_comes_first)
{
    struct job jobs[] = {{.turns = 6, .end = 1}, {.turns = 0, .end = 2}, {.turns = 0, .end = 3}};
    cio_task *tasks[3];
    start_jobs(jobs, 3, tasks);
    wait_turns(2);
    assert_int_equal(take_all(tasks, 3, CIO_FOREVER), 0);
    assert_noted("2 3 1");
    return 0;
}

TEST(the_futures_stay_ours)
{
    struct job jobs[] = {{.turns = 1, .end = 1}, {.turns = 2, .end = 2}};
    cio_task *tasks[2];
    cio_as_completed it;
    cio_future *future = NULL;
    start_jobs(jobs, 2, tasks);
    assert_int_equal(cio_as_completed_init(&it, tasks, 2, CIO_FOREVER), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cio_next_completed(&it, &future), 1);
        assert_ptr_equal(future, tasks[i]);
    }
    assert_int_equal(cio_next_completed(&it, &future), 0);
    assert_int_equal(cio_await(tasks[1]), 2);
    assert_int_equal(cio_await(tasks[0]), 1);
    return 0;
}

TEST(the_array_is_not_kept)
{
    struct job jobs[] = {{.turns = 1, .end = 1}, {.turns = 2, .end = 2}};
    cio_task *tasks[2], *gone[2];
    cio_as_completed it;
    cio_future *future;
    start_jobs(jobs, 2, tasks);
    memcpy(gone, tasks, sizeof gone);
    assert_int_equal(cio_as_completed_init(&it, gone, 2, CIO_FOREVER), 0);
    memset(gone, 0, sizeof gone);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cio_next_completed(&it, &future), 1);
        assert_int_equal(cio_await(future), i + 1);
    }
    cio_as_completed_end(&it);
    return 0;
}

TEST(as_completed_of_nothing)
{
    cio_future *none[1] = {NULL};
    assert_int_equal(take_all(none, 0, CIO_FOREVER), 0);
    assert_noted("");
    return 0;
}

TEST(as_completed_until_a_timeout)
{
    struct job jobs[] = {{.turns = FOREVER}, {.turns = 1, .end = 1}, {.turns = FOREVER}};
    cio_task *tasks[3];
    start_jobs(jobs, 3, tasks);
    double start = now();
    assert_int_equal(take_all(tasks, 3, 0.03), CIO_ETIMEDOUT);
    assert_true(now() - start >= 0.03);
    assert_noted("1");
    assert_int_equal(jobs[0].n_canceled + jobs[2].n_canceled, 0);
    assert_false(cio_done(tasks[0]) || cio_done(tasks[2]));
    cancel_all(&tasks[0], 1);
    cancel_all(&tasks[2], 1);
    return 0;
}

/* The time is one for all of them, not one for each. */
TEST(as_completed_has_one_deadline)
{
    cio_as_completed it;
    cio_future *future, *pending = cio_future_new(), *soon = cio_future_new();
    cio_future *both[] = {pending, soon};
    double start = now();
    assert_int_equal(cio_as_completed_init(&it, both, 2, 0.5), 0);
    assert_int_equal(cio_sleep(0.03), 0);
    cio_set_result(soon, 1, NULL);
    assert_int_equal(cio_next_completed(&it, &future), 1);
    assert_int_equal(cio_next_completed(&it, &future), CIO_ETIMEDOUT);
    assert_true(now() - start >= 0.5);
    cio_as_completed_end(&it);
    cio_detach(soon);
    return cio_detach(pending);
}

/* What was done in time is given, also when it is asked for after the time. */
TEST(after_its_time_it_gives_what_was_done_in_time)
{
    struct job jobs[] = {{.turns = 2, .end = 1}, {.turns = FOREVER}, {.turns = 1, .end = 2}};
    cio_task *tasks[3];
    cio_as_completed it;
    cio_future *future;
    start_jobs(jobs, 3, tasks);
    assert_int_equal(cio_as_completed_init(&it, tasks, 3, 0.5), 0);
    assert_int_equal(cio_sleep(0.6), 0);
    assert_int_equal(cio_next_completed(&it, &future), 1);
    assert_int_equal(cio_await(future), 2);
    assert_int_equal(cio_next_completed(&it, &future), 1);
    assert_int_equal(cio_await(future), 1);
    assert_int_equal(cio_next_completed(&it, &future), CIO_ETIMEDOUT);
    cancel_all(&tasks[1], 1);
    return 0;
}

TEST(t41_left_early_it_cancels_nothing)
{
    struct job jobs[] = {{.turns = 1, .end = 1}, {.turns = 6, .end = 2}};
    cio_task *tasks[2];
    cio_as_completed it;
    cio_future *future;
    start_jobs(jobs, 2, tasks);
    assert_int_equal(cio_as_completed_init(&it, tasks, 2, 0.5), 0);
    assert_int_equal(cio_next_completed(&it, &future), 1);
    assert_int_equal(cio_await(future), 1);
    cio_as_completed_end(&it);
    cio_as_completed_end(&it);           /* twice does nothing */
    assert_int_equal(cio_sleep(0.6), 0); /* its deadline comes now, and nothing happens */
    assert_int_equal(cio_await(tasks[1]), 2);
    assert_int_equal(jobs[1].n_canceled, 0);
    return 0;
}

TEST(ended_before_the_first)
{
    struct job job = {.turns = 3, .end = 1};
    cio_task *task = start_job(&job);
    cio_as_completed it;
    assert_int_equal(cio_as_completed_init(&it, &task, 1, CIO_FOREVER), 0);
    cio_as_completed_end(&it);
    assert_int_equal(cio_await(task), 1);
    return 0;
}

static int take_next(void *arg)
{
    cio_as_completed *it = arg;
    cio_future *future = NULL;
    int rc = cio_next_completed(it, &future);
    return rc == 1 ? cio_await(future) : rc;
}

TEST(canceled_it_leaves_them_alone_and_goes_on)
{
    struct job jobs[] = {{.turns = 9, .end = 1}, {.turns = 12, .end = 2}};
    cio_task *tasks[2];
    cio_as_completed it;
    start_jobs(jobs, 2, tasks);
    assert_int_equal(cio_as_completed_init(&it, tasks, 2, CIO_FOREVER), 0);
    assert_int_equal(cancel_after(3, take_next, &it), CIO_ECANCELED);
    assert_int_equal(take_next(&it), 1); /* total: nothing was lost */
    assert_int_equal(take_next(&it), 2);
    cio_as_completed_end(&it);
    assert_int_equal(jobs[0].n_canceled + jobs[1].n_canceled, 0);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    cio_as_completed it;
    cio_future *future = cio_future_new();
    assert_int_equal(cio_as_completed_init(&it, &future, 1, CIO_FOREVER), CIO_ENOTASK);
    cio_detach(future);
}

TEST(as_completed_refuses)
{
    cio_as_completed it;
    cio_future *future = cio_future_new();
    cio_loop *other = cio_loop_new(NULL);
    cio_future *stranger = cio_create_future(other);

    assert_int_equal(cio_as_completed_init(NULL, &future, 1, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, NULL, 1, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, &future, 1, NAN), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, (cio_future *[]){future, NULL}, 2, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, (cio_future *[]){future, stranger}, 2, 1),
                     CIO_EWRONGLOOP);
    call_outside_tasks(outside);

    cio_detach(stranger);
    assert_int_equal(cio_loop_free(other), 0);
    return cio_detach(future);
}

TEST(as_completed_without_memory)
{
    cio_as_completed it;
    cio_future *futures[64];
    for (int i = 0; i < 64; i++) {
        futures[i] = cio_future_new();
        cio_set_result(futures[i], i, NULL);
    }
    is_out_of_memory = true;
    assert_int_equal(cio_as_completed_init(&it, futures, 64, CIO_FOREVER), -ENOMEM);
    is_out_of_memory = false;
    for (int i = 0; i < 64; i++)
        assert_int_equal(cio_await(futures[i]), i);
    return 0;
}

enum { MANY = 1000 };

TEST(as_completed_of_many)
{
    static struct job jobs[MANY];
    static cio_task *tasks[MANY];
    cio_as_completed it;
    cio_future *future;
    int last = 0;
    for (int i = 0; i < MANY; i++)
        jobs[i] = (struct job){.turns = (i * 7) % 31, .end = (i * 7) % 31};
    start_jobs(jobs, MANY, tasks);
    assert_int_equal(cio_as_completed_init(&it, tasks, MANY, CIO_FOREVER), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(cio_next_completed(&it, &future), 1);
        int turns = cio_await(future);
        assert_true(turns >= last);
        last = turns;
    }
    assert_int_equal(cio_next_completed(&it, &future), 0);
    return 0;
}
