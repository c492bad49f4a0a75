/*
 * Turns that last: due timers go before the rest of them, and nothing else changes. By a clock that
 * goes on when a test says so; lateness is counted in jobs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_clock.h"
#include "journal.h"
#include "test.h"

#define N_JOBS 200
#define JOB_NS (10 * MS)
#define BUDGET (BUDGET_MS * 1e-3)

static struct {
    int beats, worst_jobs;
    int64_t worst_ns;
    int jobs_done;
    int jobs_when_due; /* how many were done when the heartbeat became due; -1: it is not yet */
    int64_t due_ns;
    bool stop;
    void (*spend)(int64_t ns);
} heart;

static void job_begins_or_ends(void)
{
    if (heart.jobs_when_due < 0 && heart.due_ns && fake.now_ns >= heart.due_ns)
        heart.jobs_when_due = heart.jobs_done;
}

/* 10 ms of work. A job in the middle of which the heartbeat becomes due is the one it waits for. */
static void work(void)
{
    job_begins_or_ends();
    heart.spend(JOB_NS);
    job_begins_or_ends();
    heart.jobs_done++;
}

static int job(void *arg)
{
    (void)arg;
    work();
    return 0;
}

static int job_in_parts(void *arg)
{
    for (int i = 0; i < 5; i++) {
        work();
        cio_yield();
    }
    return job(arg);
}

static void expect_beat_in(double seconds)
{
    heart.due_ns = fake.now_ns + (int64_t)(seconds * 1e9);
    heart.jobs_when_due = -1;
}

static void beat(void)
{
    int jobs = heart.jobs_when_due < 0 ? 0 : heart.jobs_done - heart.jobs_when_due;
    int64_t late_ns = fake.now_ns - heart.due_ns;
    assert_true(late_ns >= 0);
    if (jobs > heart.worst_jobs)
        heart.worst_jobs = jobs;
    if (late_ns > heart.worst_ns)
        heart.worst_ns = late_ns;
    heart.beats++;
}

static double period; /* of the heartbeat */

static int heartbeat(void *arg)
{
    (void)arg;
    while (!heart.stop) {
        expect_beat_in(period);
        int rc = cio_sleep(period);
        if (rc < 0)
            return rc;
        beat();
    }
    return 0;
}

static int run_jobs(cio_coroutine *fn)
{
    cio_group group;
    cio_group_enter(&group);
    for (int i = 0; i < N_JOBS; i++)
        assert_non_null(cio_group_start(&group, fn, NULL));
    return cio_group_exit(&group, 0);
}

/* The experiment: nullprogram's, with a group for its loop of create_task(). */
static int experiment(void *arg)
{
    cio_task *pulse = cio_create_task(heartbeat, NULL);
    int rc = cio_sleep(period * 2.5);
    assert_int_equal(rc, 0);
    rc = run_jobs((cio_coroutine *)arg);
    for (int i = 0; i < 3; i++)
        cio_yield(); /* it may be on its way */
    heart.stop = true;
    cio_cancel(pulse);
    cio_await(pulse);
    return rc;
}

static void run_in(cio_loop *loop, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, fn, arg);
    assert_non_null(task);
    assert_int_equal(cio_run_until_complete(loop, task), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

static void run_experiment(cio_coroutine *fn, void *arg, double seconds)
{
    heart.spend = spend;
    period = seconds;
    run_in(new_fake_loop(BUDGET), fn, arg);
}

TEST(heartbeat_among_200_jobs_is_late_by_one_at_most)
{
    run_experiment(experiment, job, 0.1);
    assert_int_equal(heart.jobs_done, N_JOBS);
    assert_true(heart.beats >= 2 + N_JOBS / 11);
    assert_in_range(heart.worst_jobs, 0, 1);
    assert_true(heart.worst_ns <= JOB_NS);
}

TEST(heartbeat_among_jobs_that_yield_is_late_by_one_at_most)
{
    run_experiment(experiment, job_in_parts, 0.033);
    assert_int_equal(heart.jobs_done, 6 * N_JOBS);
    assert_true(heart.beats >= 6 * N_JOBS * 10 / 43);
    assert_in_range(heart.worst_jobs, 0, 1);
    assert_true(heart.worst_ns <= JOB_NS);
}

/* A period shorter than a job: a beat after each. */
TEST(heartbeat_quicker_than_a_job_comes_after_each)
{
    run_experiment(experiment, job, 0.004);
    assert_true(heart.beats >= N_JOBS - 1);
    assert_true(heart.worst_ns <= JOB_NS);
}

/* The loop has just slept, so it looks at the clock after each callback, ticker or not. */
TEST(heartbeat_needs_no_ticker_after_a_sleep)
{
    heart.spend = spend_unseen;
    period = 0.1;
    run_in(new_fake_loop(BUDGET), experiment, job);
    assert_in_range(heart.worst_jobs, 0, 1);
    assert_true(heart.worst_ns <= JOB_NS);
}

TEST(asyncio_order_is_to_be_had)
{
    heart.spend = spend;
    period = 0.1;
    run_in(new_fake_loop(CIO_FOREVER), experiment, job);
    assert_true(heart.worst_jobs > N_JOBS * 3 / 4);
}

/* Due already when the jobs are started: it is queued behind them, and is taken from there. */
static int start_jobs_when_it_is_due(void *arg)
{
    (void)arg;
    cio_task *pulse = cio_create_task(heartbeat, NULL);
    cio_yield();
    spend(20 * MS);
    heart.jobs_when_due = 0;
    int rc = run_jobs(job);
    heart.stop = true;
    cio_cancel(pulse);
    cio_await(pulse);
    return rc;
}

TEST(timer_that_was_queued_behind_the_jobs_overtakes_them)
{
    run_experiment(start_jobs_when_it_is_due, NULL, 0.01);
    assert_true(heart.beats > 1);
    assert_in_range(heart.worst_jobs, 0, 1);
}

/* Its timer has run, in the turn in which the jobs were started: its task is queued behind them. */
static int start_jobs_when_it_is_woken(void *arg)
{
    (void)arg;
    cio_task *pulse = cio_create_task(heartbeat, NULL);
    cio_yield();
    spend(20 * MS);
    cio_yield(); /* now its timer is the end of the turn that runs */
    heart.jobs_when_due = 0;
    int rc = run_jobs(job);
    heart.stop = true;
    cio_cancel(pulse);
    cio_await(pulse);
    return rc;
}

TEST(task_that_a_timer_woke_overtakes_the_jobs)
{
    run_experiment(start_jobs_when_it_is_woken, NULL, 0.01);
    assert_true(heart.beats > 1);
    assert_in_range(heart.worst_jobs, 0, 1);
}

/* The loop has learnt that callbacks are quick: the ticker makes it look all the same. */
static int warm_up_first(void *arg)
{
    cio_task *pulse = cio_create_task(heartbeat, NULL);
    for (int i = 0; i < 10000; i++)
        cio_yield();
    int rc = run_jobs((cio_coroutine *)arg);
    heart.stop = true;
    cio_cancel(pulse);
    cio_await(pulse);
    return rc;
}

TEST(sudden_run_of_slow_jobs_is_noticed_after_the_first)
{
    run_experiment(warm_up_first, job, 0.05);
    assert_true(heart.beats > 10);
    assert_in_range(heart.worst_jobs, 0, 1);
    assert_true(heart.worst_ns <= JOB_NS);
}

TEST(without_a_ticker_it_is_noticed_after_8)
{
    heart.spend = spend_unseen;
    period = 0.005;
    run_in(new_fake_loop(BUDGET), warm_up_first, job);
    assert_in_range(heart.worst_jobs, 2, 8);
}

/* --- callbacks ------------------------------------------------------------------------------- */

static void slow_call(void *arg)
{
    note("%s", (const char *)arg);
    spend(JOB_NS);
}

static void quick_call(void *arg)
{
    note("%s", (const char *)arg);
    spend(1000);
}

static void stop(void *arg)
{
    cio_stop(arg);
}

/* Three calls and a timer that becomes due during the first; then the loop stops. */
static void run_three_and_a_timer(cio_loop *loop, cio_callback *fn, double when)
{
    static cio_handle calls[3], timer, end;
    static char *names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        cio_call_soon(loop, &calls[i], fn, names[i]);
    cio_call_later(loop, &timer, when, quick_call, "timer");
    cio_call_later(loop, &end, 1.0, stop, loop);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(t4_turn_of_quick_callbacks_is_not_overtaken)
{
    run_three_and_a_timer(new_fake_loop(BUDGET), quick_call, 500e-9);
    assert_string_equal(noted(), "a b c timer");
}

TEST(timer_overtakes_the_rest_of_a_turn_that_lasts)
{
    run_three_and_a_timer(new_fake_loop(BUDGET), slow_call, 0.005);
    assert_string_equal(noted(), "a timer b c");
}

TEST(budget_is_what_the_options_say)
{
    run_three_and_a_timer(new_fake_loop(0.015), slow_call, 0.005);
    assert_string_equal(noted(), "a b timer c");
}

TEST(budget_may_come_from_the_environment)
{
    setenv("CIO_TURN_BUDGET", "0.025", 1);
    run_three_and_a_timer(new_fake_loop(0), slow_call, 0.005);
    assert_string_equal(noted(), "a b c timer");
}

/* A turn that begins late is not a turn that lasts. */
TEST(turn_after_a_slow_one_begins_anew)
{
    cio_loop *loop = new_fake_loop(BUDGET);
    static cio_handle slow, calls[2], timer, end;
    cio_call_soon(loop, &slow, slow_call, "slow");
    cio_stop(loop);
    assert_int_equal(cio_run_forever(loop), 0);
    cio_call_later(loop, &timer, 0.0, quick_call, "timer");
    cio_call_soon(loop, &calls[0], quick_call, "a");
    cio_call_soon(loop, &calls[1], quick_call, "b");
    cio_call_later(loop, &end, 1.0, stop, loop);
    assert_int_equal(cio_run_forever(loop), 0);
    assert_string_equal(noted(), "slow a b timer");
    assert_int_equal(cio_loop_free(loop), 0);
}

static cio_handle first_timer, second_timer;

static void cancel_second(void *arg)
{
    note("%s", (const char *)arg);
    assert_true(cio_handle_cancel(&second_timer));
    assert_false(cio_handle_pending(&second_timer));
}

TEST(timer_that_overtakes_may_be_canceled)
{
    cio_loop *loop = new_fake_loop(BUDGET);
    cio_call_later(loop, &first_timer, 0.001, cancel_second, "first");
    cio_call_later(loop, &second_timer, 0.002, quick_call, "second");
    run_three_and_a_timer(loop, slow_call, 0.003);
    assert_string_equal(noted(), "a first timer b c");
}

/* What overtakes is not overtaken by what it queues for the next turn: T3. */
static cio_handle again;

static void queue_again(void *arg)
{
    note("timer");
    cio_call_soon(arg, &again, quick_call, "again");
}

TEST(t3_call_of_a_timer_that_overtook_is_for_the_next_turn)
{
    cio_loop *loop = new_fake_loop(BUDGET);
    cio_call_later(loop, &first_timer, 0.001, queue_again, loop);
    run_three_and_a_timer(loop, slow_call, 0.5);
    assert_string_equal(noted(), "a timer b c again timer");
}

/* Timers without end, each of 10 ms: the rest of the turn has every other callback. */
static cio_handle endless;
static int n_endless;

static void fire_again(void *arg)
{
    note("t");
    if (n_endless++ < 6)
        cio_call_later(arg, &endless, 0.0, fire_again, arg);
    spend(JOB_NS);
}

TEST(rest_of_the_turn_is_not_starved_by_timers)
{
    cio_loop *loop = new_fake_loop(BUDGET);
    cio_call_later(loop, &endless, 0.001, fire_again, loop);
    run_three_and_a_timer(loop, slow_call, 0.9);
    assert_true(strncmp(noted(), "a t b t c t", 11) == 0);
}

/* --- tasks ----------------------------------------------------------------------------------- */

static int wait_then_note(void *arg)
{
    cio_await(cio_ref(arg));
    note("waiter");
    return 0;
}

static int sleep_then_yield(void *arg)
{
    assert_int_equal(cio_sleep(0.005), 0);
    note("woken");
    cio_set_result(arg, 0, NULL);
    cio_yield();
    note("yielded");
    return 0;
}

static int slow_task(void *arg)
{
    slow_call(arg);
    return 0;
}

/* The timer and its task overtake; the yield, and who waits for the task, are for the next turn. */
static int see_who_overtakes(void *arg)
{
    (void)arg;
    cio_future *future = cio_future_new();
    cio_task *tasks[] = {cio_create_task(wait_then_note, future),
                         cio_create_task(sleep_then_yield, future), NULL, NULL, NULL};
    cio_yield();
    tasks[2] = cio_create_task(slow_task, "a");
    tasks[3] = cio_create_task(slow_task, "b");
    tasks[4] = cio_create_task(slow_task, "c");
    int rc = cio_gather(tasks, 5, 0);
    cio_detach(future);
    return rc;
}

TEST(woken_task_overtakes_and_what_it_wakes_does_not)
{
    run_in(new_fake_loop(BUDGET), see_who_overtakes, NULL);
    assert_string_equal(noted(), "a woken b c waiter yielded");
}

/* --- bad input ------------------------------------------------------------------------------- */

TEST(budgets_that_are_none)
{
    const double bad[] = {-1, -0.001, (double)NAN, -CIO_FOREVER};
    for (int i = 0; i < 4; i++) {
        assert_null(cio_loop_new(&(cio_loop_options){.turn_budget = bad[i]}));
        assert_int_equal(cio_last_error(), -EINVAL);
    }
    const char *ignored[] = {"", "soon", "-1", "nan", "0"};
    for (int i = 0; i < 5; i++) {
        setenv("CIO_TURN_BUDGET", ignored[i], 1);
        cio_loop *loop = cio_loop_new(NULL);
        assert_non_null(loop);
        assert_int_equal(loop->turn_budget_ns, MS);
        assert_int_equal(cio_loop_free(loop), 0);
    }
}
