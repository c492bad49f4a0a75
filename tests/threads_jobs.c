/* Blocking functions in threads: cio_to_thread() and cio_run_in_executor(). Trap T49. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs.h"

#define RUN(fn, arg) assert_int_equal(cio_run(fn, arg), 0)

/* ---- cio_to_thread ---- */

static int write_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 3;
}

static int calls_in_a_thread(void *arg)
{
    (void)arg;
    pthread_t thread = pthread_self();
    assert_int_equal(cio_to_thread(write_thread, &thread), 3);
    assert_false(pthread_equal(thread, pthread_self()));
    int error = -EIO;
    assert_int_equal(cio_to_thread(return_it, &error), -EIO);
    error = CIO_ECANCELED;
    assert_int_equal(cio_to_thread(return_it, &error), CIO_ECANCELED);
    assert_int_equal(cio_cancelling(cio_current_task()), 0);
    return 0;
}

TEST(to_thread_returns_what_the_function_returns)
{
    RUN(calls_in_a_thread, NULL);
}

static int opens(void *arg)
{
    struct gate *gate = arg;
    wait_for(&gate->begun);
    sem_post(&gate->open);
    return 0;
}

static int others_run_meanwhile(void *arg)
{
    (void)arg;
    struct gate gate;
    gate_init(&gate, 5);
    cio_task *opener = cio_create_task(opens, &gate);
    assert_int_equal(cio_to_thread(pass, &gate), 5);
    return cio_await(opener);
}

TEST(other_tasks_run_while_one_waits_for_a_thread)
{
    RUN(others_run_meanwhile, NULL);
}

/* Two jobs that wait for each other: so there are two threads. */
struct meeting {
    sem_t *mine, *other;
};

static int meet(void *arg)
{
    struct meeting *meeting = arg;
    sem_post(meeting->other);
    wait_for(meeting->mine);
    return 0;
}

static int meets(void *arg)
{
    return cio_to_thread(meet, arg);
}

static int two_at_once(void *arg)
{
    (void)arg;
    sem_t a, b;
    sem_init(&a, 0, 0);
    sem_init(&b, 0, 0);
    for (int round = 0; round < 100; round++) { /* the threads are new, then idle */
        cio_task *both[] = {cio_create_task(meets, &(struct meeting){&a, &b}),
                            cio_create_task(meets, &(struct meeting){&b, &a})};
        assert_int_equal(cio_gather(both, 2, 0), 0);
    }
    return 0;
}

TEST(two_jobs_run_at_once)
{
    RUN(two_at_once, NULL);
}

static int thousands(void *arg)
{
    (void)arg;
    enum { N = 3000 };
    static cio_task *tasks[N];
    _Atomic int n = 0;
    struct errand errand = {.fn = count, .arg = &n};
    for (int i = 0; i < N; i++)
        tasks[i] = cio_create_task(run_errand, &errand);
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    assert_int_equal(n, N);
    return 0;
}

TEST(thousands_of_jobs)
{
    RUN(thousands, NULL);
}

/* ---- cancellation ---- */

struct busy {
    cio_executor *executor; /* of one thread, which waits at the gate */
    struct gate gate;
    cio_task *task;
};

static void keep_busy(struct busy *busy)
{
    gate_init(&busy->gate, 8);
    busy->executor = new_executor(1);
    static struct errand errand;
    errand = (struct errand){busy->executor, pass, &busy->gate};
    busy->task = cio_create_task(run_errand, &errand);
    cio_yield();
    wait_for(&busy->gate.begun);
}

static void let_go(struct busy *busy)
{
    sem_post(&busy->gate.open);
    assert_int_equal(cio_await(busy->task), 8);
    free_executor(busy->executor);
}

static int cancels_queued(void *arg)
{
    (void)arg;
    struct busy busy;
    _Atomic int n = 0;
    keep_busy(&busy);
    cio_task *queued[3];
    struct errand errand = {busy.executor, count, &n};
    for (int i = 0; i < 3; i++)
        queued[i] = cio_create_task(run_errand, &errand);
    cio_yield();
    cio_cancel(queued[1]);
    assert_int_equal(cio_await(queued[1]), CIO_ECANCELED); /* at once: the thread is still busy */
    cio_cancel(queued[0]);
    cio_cancel(queued[0]);
    assert_int_equal(cio_await(queued[0]), CIO_ECANCELED);
    let_go(&busy);
    assert_int_equal(cio_await(queued[2]), 0);
    assert_int_equal(n, 1);
    return 0;
}

TEST(t49_canceled_before_it_began_a_job_is_not_done)
{
    RUN(cancels_queued, NULL);
}

static int cancels_before_the_call(void *arg)
{
    _Atomic int *n = arg;
    cio_cancel(cio_current_task());
    assert_int_equal(cio_to_thread(count, (void *)n), CIO_ECANCELED);
    assert_int_equal(*n, 0);
    assert_int_equal(cio_to_thread(count, (void *)n), 0);
    cio_uncancel(cio_current_task());
    return 0;
}

TEST(t49_canceled_before_the_call_a_job_is_not_begun)
{
    _Atomic int n = 0;
    RUN(cancels_before_the_call, (void *)&n);
    assert_int_equal(n, 1);
}

static int frame_of_the_job(void *arg)
{
    int *n_returned = arg;
    struct gate gate; /* in the frame that must not go */
    gate_init(&gate, 8);
    struct gate *given = &gate;
    *(struct gate **)(n_returned + 2) = given;
    int rc = cio_to_thread(pass, &gate);
    assert_int_equal(gate.n_ran, 1);
    ++*n_returned;
    return rc;
}

static int cancels_running(void *arg)
{
    (void)arg;
    struct {
        int n_returned, unused;
        struct gate *gate;
    } state = {0};
    cio_task *task = cio_create_task(frame_of_the_job, &state);
    cio_yield();
    wait_for(&state.gate->begun);
    for (int i = 0; i < 2; i++) { /* the second changes nothing */
        assert_int_equal(cio_cancel(task), 1);
        cio_sleep(0.001);
        assert_int_equal(state.n_returned, 0);
    }
    sem_post(&state.gate->open);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(state.n_returned, 1);
    return 0;
}

TEST(t49_canceled_while_it_runs_the_call_waits_for_its_end)
{
    RUN(cancels_running, NULL);
}

static int cancels_late(void *arg)
{
    (void)arg;
    struct gate gate;
    gate_init(&gate, 8);
    cio_task *task = cio_create_task(run_errand, &(struct errand){.fn = pass, .arg = &gate});
    cio_yield();
    wait_for(&gate.begun);
    sem_post(&gate.open);
    cio_executor *other = new_executor(1); /* something to wait for that says that it is done */
    while (gate.n_ran == 0)
        cio_yield();
    assert_int_equal(cio_cancel(task), 1); /* done, perhaps in the mail, perhaps woken already */
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    free_executor(other);
    return 0;
}

TEST(t49_canceled_when_the_job_is_done)
{
    RUN(cancels_late, NULL);
}

static int asks_until_cancelled(void *arg)
{
    sem_post(arg);
    while (!cio_job_cancelled())
        sched_yield();
    return 1;
}

static int cancels_a_willing_job(void *arg)
{
    (void)arg;
    sem_t begun;
    sem_init(&begun, 0, 0);
    cio_task *task = cio_create_task(run_errand,
                                     &(struct errand){.fn = asks_until_cancelled, .arg = &begun});
    cio_yield();
    wait_for(&begun);
    assert_false(cio_job_cancelled());
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    cio_future *future = cio_run_in_executor(NULL, asks_until_cancelled, &begun);
    wait_for(&begun);
    cio_cancel(future);
    assert_int_equal(cio_await(future), CIO_ECANCELED);
    return 0;
}

TEST(a_job_can_ask_whether_it_is_still_wanted)
{
    RUN(cancels_a_willing_job, NULL);
}

static int times_out(void *arg)
{
    struct busy *busy = arg;
    _Atomic int n = 0;
    cio_timeout timeout;
    cio_timeout_enter(&timeout, 0.001);
    int rc = cio_to_thread_in(busy->executor, count, (void *)&n);
    assert_int_equal(cio_timeout_exit(&timeout, rc), CIO_ETIMEDOUT);
    assert_int_equal(n, 0);
    return 0;
}

static int times_out_queued(void *arg)
{
    (void)arg;
    struct busy busy;
    keep_busy(&busy);
    assert_int_equal(times_out(&busy), 0);
    let_go(&busy);
    return 0;
}

TEST(a_timeout_takes_a_queued_job_back)
{
    RUN(times_out_queued, NULL);
}

/* ---- cio_run_in_executor ---- */

static int futures(void *arg)
{
    (void)arg;
    int numbers[] = {1, 2, -EIO};
    cio_future *jobs[3];
    for (int i = 0; i < 3; i++)
        jobs[i] = cio_run_in_executor(NULL, return_it, &numbers[i]);
    cio_result_pair ends[3];
    assert_int_equal(cio_gather_into(jobs, 3, CIO_RETURN_ERRORS, ends), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ends[i].rc, numbers[i]);
    return 0;
}

TEST(run_in_executor_gives_a_future)
{
    RUN(futures, NULL);
}

static _Atomic int n_freed;

static void free_count(void *arg)
{
    (void)arg;
    n_freed++;
}

static int futures_canceled(void *arg)
{
    (void)arg;
    struct busy busy;
    _Atomic int n = 0;
    n_freed = 0;
    keep_busy(&busy);
    cio_job_options options = {.executor = busy.executor, .free_arg = free_count};
    cio_future *kept = cio_run_in_executor_with(&options, count, (void *)&n);
    cio_future *canceled = cio_run_in_executor_with(&options, count, (void *)&n);
    assert_int_equal(cio_cancel(canceled), 1);
    assert_int_equal(cio_cancel(canceled), 0);
    assert_int_equal(cio_await(canceled), CIO_ECANCELED); /* at once */
    cio_yield();
    assert_int_equal(n_freed, 1);
    let_go(&busy); /* and waits for what is queued */
    assert_int_equal(cio_await(kept), 0);
    assert_int_equal(n, 1);
    assert_int_equal(n_freed, 2);
    return 0;
}

TEST(t49_a_canceled_future_takes_its_queued_job_back)
{
    RUN(futures_canceled, NULL);
}

static int future_canceled_while_it_runs(void *arg)
{
    (void)arg;
    struct gate gate;
    gate_init(&gate, 8);
    n_freed = 0;
    cio_executor *executor = new_executor(1);
    cio_job_options options = {.executor = executor, .free_arg = free_count};
    cio_future *future = cio_run_in_executor_with(&options, pass, &gate);
    wait_for(&gate.begun);
    cio_cancel(future);
    assert_int_equal(cio_await(future), CIO_ECANCELED); /* at once: it runs on */
    assert_int_equal(gate.n_ran, 0);
    assert_int_equal(n_freed, 0);
    sem_post(&gate.open);
    free_executor(executor);
    assert_int_equal(gate.n_ran, 1);
    assert_int_equal(n_freed, 1);
    return 0;
}

TEST(t49_a_canceled_future_leaves_its_job_running)
{
    RUN(future_canceled_while_it_runs, NULL);
}

static char reported[256];

static void note_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    snprintf(reported, sizeof reported, "%s", context->message);
}

static int loses_an_error(void *arg)
{
    static int error = -EIO;
    (void)arg;
    cio_detach(cio_run_in_executor(NULL, return_it, &error));
    return 0;
}

TEST(an_error_that_nobody_asks_for_is_reported)
{
    cio_run_options options = {.exception_handler = note_report};
    assert_int_equal(cio_run_with(&options, loses_an_error, NULL), 0);
    assert_non_null(strstr(reported, "never retrieved"));
}

static int four = 4;

static void from_a_callback(void *arg)
{
    *(cio_future **)arg = cio_run_in_executor(NULL, return_it, &four);
}

static int waits_for_a_callback(void *arg)
{
    (void)arg;
    cio_handle handle = {0};
    cio_future *future = NULL;
    cio_call_soon(cio_get_running_loop(), &handle, from_a_callback, &future);
    cio_yield();
    return cio_await(future) == 4 ? 0 : -1;
}

TEST(a_callback_may_have_a_job_done)
{
    RUN(waits_for_a_callback, NULL);
}

/* ---- what a job may do ---- */

static int adds(void *arg)
{
    cio_sleep(0.0001);
    return *(int *)arg + 1;
}

static int runs_a_loop(void *arg)
{
    assert_null(cio_get_running_loop());
    assert_null(cio_current_task());
    return cio_run(adds, arg);
}

static int in_turn(void *arg)
{
    return cio_to_thread(runs_a_loop, arg);
}

static int runs_a_loop_that_uses_threads(void *arg)
{
    return cio_run(in_turn, arg);
}

static int jobs_with_loops(void *arg)
{
    (void)arg;
    int number = 4;
    assert_int_equal(cio_to_thread(runs_a_loop, &number), 5);
    assert_int_equal(cio_to_thread(runs_a_loop_that_uses_threads, &number), 5);
    return 0;
}

TEST(a_job_may_run_a_loop_of_its_own)
{
    RUN(jobs_with_loops, NULL);
}

static int looks_at_itself(void *arg)
{
    (void)arg;
    sigset_t mask;
    char name[16];
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_true(sigismember(&mask, SIGINT));
    assert_true(sigismember(&mask, SIGTERM));
    assert_true(sigismember(&mask, SIGCHLD));
    assert_false(sigismember(&mask, SIGSEGV));
    pthread_getname_np(pthread_self(), name, sizeof name);
    assert_string_equal(name, "test-0");
    return 0;
}

static int names_and_signals(void *arg)
{
    (void)arg;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    cio_executor *executor = new_executor(1);
    assert_int_equal(cio_to_thread_in(executor, looks_at_itself, NULL), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
    free_executor(executor);
    return 0;
}

TEST(threads_have_names_and_leave_signals_to_others)
{
    RUN(names_and_signals, NULL);
}

static int deep(void *arg)
{
    char data[600 * 1024];
    memset(data, *(char *)arg, sizeof data);
    return data[sizeof data / 2];
}

static int stack_size(void *arg)
{
    (void)arg;
    cio_executor *executor = cio_executor_new(
        &(cio_executor_options){.stack_size = 2 * 1024 * 1024});
    assert_int_equal(cio_to_thread_in(executor, deep, "a"), 'a');
    free_executor(executor);
    return 0;
}

TEST(threads_have_the_stack_that_was_asked_for)
{
    RUN(stack_size, NULL);
}

/* ---- context variables ---- */

static _Atomic int n_values;

static void release_value(void *value)
{
    n_values--;
    free(value);
}

static cio_context_var request = {.name = "request", .release = release_value};

static void set_request(int number)
{
    int *value = malloc(sizeof *value);
    *value = number;
    n_values++;
    assert_int_equal(cio_context_set(&request, value, NULL), 0);
}

static int get_request(void *arg)
{
    const int *value = cio_context_get(&request);
    (void)arg;
    return value ? *value : 0;
}

static int see_and_set_request(void *arg)
{
    int seen = get_request(arg);
    set_request(100);
    assert_int_equal(get_request(arg), 100);
    assert_int_equal(cio_call_threadsafe(NULL, get_request, NULL), 100); /* its task inherits it */
    return seen;
}

static int contexts_of_jobs(void *arg)
{
    (void)arg;
    struct busy busy;
    set_request(7);
    assert_int_equal(cio_to_thread(see_and_set_request, NULL), 7);
    assert_int_equal(get_request(NULL), 7);
    assert_int_equal(cio_to_thread(get_request, NULL), 7); /* nothing stays with the thread */
    cio_future *future = cio_run_in_executor(NULL, see_and_set_request, NULL);
    assert_int_equal(cio_await(future), 0);
    assert_int_equal(cio_await(cio_run_in_executor(NULL, get_request, NULL)), 0);
    keep_busy(&busy); /* contexts of jobs that are never done go too */
    struct errand errand = {busy.executor, get_request, NULL};
    cio_task *canceled = cio_create_task(run_errand, &errand);
    cio_task *shut_down = cio_create_task(run_errand, &errand);
    cio_yield();
    cio_cancel(canceled);
    assert_int_equal(cio_await(canceled), CIO_ECANCELED);
    cio_executor_shutdown(busy.executor, CIO_SHUTDOWN_CANCEL | CIO_SHUTDOWN_NOWAIT);
    assert_int_equal(cio_await(shut_down), CIO_ECANCELED);
    assert_int_equal(cio_to_thread_in(busy.executor, get_request, NULL), CIO_ESHUTDOWN);
    let_go(&busy);
    return 0;
}

TEST(t24_to_thread_inherits_context_variables_and_run_in_executor_does_not)
{
    RUN(contexts_of_jobs, NULL);
    assert_int_equal(n_values, 0);
}

/* ---- bad input ---- */

static int bad_calls(void *arg)
{
    (void)arg;
    assert_int_equal(cio_to_thread(NULL, NULL), -EINVAL);
    assert_null(cio_run_in_executor(NULL, NULL, NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
    cio_executor *executor = new_executor(1);
    assert_int_equal(cio_executor_shutdown(executor, 4), -EINVAL);
    assert_int_equal(cio_executor_shutdown(executor, CIO_SHUTDOWN_NOWAIT), 0);
    assert_int_equal(cio_to_thread_in(executor, count, NULL), CIO_ESHUTDOWN);
    assert_null(cio_run_in_executor(executor, count, NULL));
    assert_int_equal(cio_last_error(), CIO_ESHUTDOWN);
    free_executor(executor);
    return 0;
}

TEST(bad_calls_are_errors)
{
    RUN(bad_calls, NULL);
    assert_int_equal(cio_to_thread(count, NULL), CIO_ENOTASK);
    assert_null(cio_run_in_executor(NULL, count, NULL));
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    assert_false(cio_job_cancelled());
    assert_int_equal(cio_executor_shutdown(NULL, 0), -EINVAL);
    assert_int_equal(cio_executor_free(NULL), 0);
    const cio_executor_options bad[] = {{.max_threads = -1},
                                        {.max_threads = 4097},
                                        {.stack_size = 1},
                                        {.stack_size = (size_t)2 << 30}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(cio_executor_new(&bad[i]));
        assert_int_equal(cio_last_error(), -EINVAL);
    }
}

static int fills_the_queue(void *arg)
{
    (void)arg;
    struct gate gate;
    _Atomic int n = 0;
    gate_init(&gate, 0);
    cio_executor *executor = cio_executor_new(
        &(cio_executor_options){.max_threads = 1, .max_queued = 2});
    cio_future *futures_[4] = {cio_run_in_executor(executor, pass, &gate)};
    wait_for(&gate.begun);
    for (int i = 1; i < 3; i++)
        futures_[i] = cio_run_in_executor(executor, count, (void *)&n);
    assert_null(cio_run_in_executor(executor, count, (void *)&n));
    assert_int_equal(cio_last_error(), -EAGAIN);
    cio_task *task = cio_create_task(
        run_errand, &(struct errand){executor, count, (void *)&n}); /* it may wait */
    cio_yield();
    sem_post(&gate.open);
    assert_int_equal(cio_gather(futures_, 3, 0), 0);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(n, 3);
    free_executor(executor);
    return 0;
}

TEST(the_number_of_queued_jobs_is_bounded)
{
    RUN(fills_the_queue, NULL);
}
