/* The lives of executors: shutdown, the end of a run, two loops, closed loops, forks, no threads left. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "jobs.h"

#define RUN(fn, arg) assert_int_equal(cio_run(fn, arg), 0)

/* Threads of executors; they are known by their names. */
static int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file))
            n += strncmp(name, "test-", 5) == 0 || strncmp(name, "cio-", 4) == 0;
        if (file)
            fclose(file);
    }
    closedir(dir);
    return n;
}

/* One that was joined is listed for a moment longer, and a new one has its name a moment later. */
static void expect_threads(int n)
{
    while (count_threads() != n)
        usleep(100);
}

/* ---- threads are made as they are needed ---- */

static int lazily(void *arg)
{
    (void)arg;
    cio_executor *executor = new_executor(8);
    expect_threads(0);
    int number = 3;
    for (int i = 0; i < 50; i++) /* one after the other: the same thread, as it is idle again */
        assert_int_equal(cio_to_thread_in(executor, return_it, &number), 3);
    assert_in_range(count_threads(), 1, 8);
    free_executor(executor);
    expect_threads(0);
    return 0;
}

TEST(threads_are_made_lazily_and_end_with_the_executor)
{
    RUN(lazily, NULL);
}

static int at_most(void *arg)
{
    (void)arg;
    enum { N = 20 };
    struct gate gate;
    gate_init(&gate, 0);
    cio_future *jobs[N];
    cio_executor *executor = new_executor(3);
    for (int i = 0; i < N; i++)
        jobs[i] = cio_run_in_executor(executor, pass, &gate);
    for (int i = 0; i < 3; i++)
        wait_for(&gate.begun);
    expect_threads(3);
    assert_int_equal(sem_trywait(&gate.begun), -1);
    for (int i = 0; i < N; i++)
        sem_post(&gate.open);
    assert_int_equal(cio_gather(jobs, N, 0), 0);
    free_executor(executor);
    return 0;
}

TEST(there_are_never_more_threads_than_allowed)
{
    RUN(at_most, NULL);
}

/* ---- shutdown ---- */

static int shutdown_cancel(void *arg)
{
    (void)arg;
    struct gate gate;
    _Atomic int n = 0;
    gate_init(&gate, 9);
    cio_executor *executor = new_executor(1);
    cio_future *running = cio_run_in_executor(executor, pass, &gate);
    wait_for(&gate.begun);
    cio_future *future = cio_run_in_executor(executor, count, (void *)&n);
    cio_task *task = cio_create_task(run_errand, &(struct errand){executor, count, (void *)&n});
    cio_yield();
    assert_int_equal(cio_executor_shutdown(executor, CIO_SHUTDOWN_CANCEL | CIO_SHUTDOWN_NOWAIT), 0);
    assert_int_equal(cio_await(future), CIO_ECANCELED);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    sem_post(&gate.open);
    assert_int_equal(cio_executor_shutdown(executor, 0), 0);
    assert_int_equal(cio_await(running), 9);
    assert_int_equal(n, 0);
    assert_int_equal(cio_executor_free(executor), 0);
    return 0;
}

TEST(shutdown_can_cancel_what_is_queued)
{
    RUN(shutdown_cancel, NULL);
}

static int shut_it_down(void *arg)
{
    return cio_executor_shutdown(arg, 0);
}

static int shutdown_waits(void *arg)
{
    (void)arg;
    struct gate gate;
    gate_init(&gate, 9);
    cio_executor *executor = new_executor(2);
    cio_detach(cio_run_in_executor(executor, pass, &gate));
    wait_for(&gate.begun);
    cio_task *first = cio_create_task(shut_it_down, executor);
    cio_task *second = cio_create_task(shut_it_down, executor);
    cio_sleep(0.001);
    assert_false(cio_done(first));
    cio_cancel(second);
    assert_int_equal(cio_await(second), CIO_ECANCELED); /* at once */
    sem_post(&gate.open);
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_executor_shutdown(executor, 0), 0); /* again */
    assert_int_equal(cio_executor_free(executor), 0);
    return 0;
}

TEST(shutdown_waits_for_the_threads_and_can_be_canceled)
{
    RUN(shutdown_waits, NULL);
}

static int shut_own_executor_down(void *arg)
{
    assert_int_equal(cio_executor_shutdown(arg, 0), CIO_EDEADLOCK);
    return 0;
}

static void shut_down_in_callback(void *arg)
{
    assert_int_equal(cio_executor_shutdown(arg, 0), CIO_ENOTASK);
}

static int deadlocks(void *arg)
{
    (void)arg;
    cio_executor *executor = new_executor(1);
    cio_handle handle = {0};
    cio_call_soon(cio_get_running_loop(), &handle, shut_down_in_callback, executor);
    cio_yield();
    assert_int_equal(cio_to_thread_in(executor, shut_own_executor_down, executor), 0);
    free_executor(executor);
    return 0;
}

TEST(shutdown_where_it_would_never_end_is_an_error)
{
    RUN(deadlocks, NULL);
}

static void *work_and_shut_down(void *arg)
{
    (void)arg;
    cio_executor *executor = new_executor(2);
    RUN(run_errand, &((struct errand){executor, return_it, &(int){0}}));
    free_executor(executor); /* blocks this thread */
    return NULL;
}

TEST(a_plain_thread_may_shut_down_too)
{
    join(start_thread(work_and_shut_down, NULL));
}

static int give_up(void *arg)
{
    struct gate *gate = arg;
    cio_executor *executor = new_executor(1);
    cio_future *future = cio_run_in_executor(executor, pass, gate);
    cio_future *queued = cio_run_in_executor(executor, pass, gate);
    assert_int_equal(cio_executor_free(executor), 0);
    sem_post(&gate->open);
    sem_post(&gate->open);
    assert_int_equal(cio_await(future), 2);
    return cio_await(queued) == 2 ? 0 : -1;
}

TEST(freed_it_still_does_what_it_has)
{
    struct gate gate;
    gate_init(&gate, 2);
    RUN(give_up, &gate);
    assert_int_equal(gate.n_ran, 2);
}

/* ---- the default executor ---- */

static struct gate left_behind;
static char reported[256];

static void note_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    snprintf(reported, sizeof reported, "%s", context->message);
}

static int leaves_a_job(void *arg)
{
    (void)arg;
    cio_detach(cio_run_in_executor(NULL, pass, &left_behind));
    wait_for(&left_behind.begun);
    return 0;
}

static void *open_soon(void *arg)
{
    usleep(2000);
    sem_post(arg);
    return NULL;
}

/* T50: after the tasks and before the loop is closed the executor's threads are waited for. */
TEST(t50_the_end_of_a_run_waits_for_the_default_executor)
{
    gate_init(&left_behind, 0);
    pthread_t opener = start_thread(open_soon, &left_behind.open);
    RUN(leaves_a_job, NULL);
    assert_int_equal(left_behind.n_ran, 1);
    join(opener);
    expect_threads(0);
}

static int cleans_up_in_a_thread(void *arg)
{
    int rc = cio_sleep(CIO_FOREVER);
    assert_int_equal(rc, CIO_ECANCELED);
    assert_int_equal(cio_to_thread(count, arg), 0); /* the executor goes after the tasks */
    return rc;
}

static int leaves_a_task(void *arg)
{
    cio_detach(cio_create_task(cleans_up_in_a_thread, arg));
    cio_yield();
    return 0;
}

TEST(t50_tasks_that_are_canceled_may_still_use_threads)
{
    _Atomic int n = 0;
    RUN(leaves_a_task, (void *)&n);
    assert_int_equal(n, 1);
}

static int sees_end(void *arg)
{
    (void)arg;
    return 0;
}

static int calls_until_refused(void *arg)
{
    int rc;
    (void)arg;
    do
        rc = cio_call_threadsafe(NULL, sees_end, NULL);
    while (rc == 0 || rc == CIO_ECANCELED); /* the end of the run may come upon a call */
    return rc == CIO_ESHUTDOWN ? 0 : rc;
}

static int leaves_a_caller(void *arg)
{
    (void)arg;
    cio_detach(cio_run_in_executor(NULL, calls_until_refused, NULL));
    return 0;
}

/* A job that asks for a task while the threads are waited for is refused, not left waiting. */
TEST(t50_a_job_that_calls_its_loop_at_the_end_of_a_run)
{
    cio_run_options options = {.exception_handler = note_report};
    reported[0] = '\0';
    assert_int_equal(cio_run_with(&options, leaves_a_caller, NULL), 0);
    assert_string_equal(reported, "");
}

static int ends_the_default(void *arg)
{
    (void)arg;
    struct gate gate;
    gate_init(&gate, 0);
    assert_int_equal(cio_shutdown_default_executor(NAN), -EINVAL);
    cio_future *future = cio_run_in_executor(NULL, pass, &gate);
    wait_for(&gate.begun);
    sem_post(&gate.open);
    assert_int_equal(cio_shutdown_default_executor(CIO_FOREVER), 0);
    assert_int_equal(cio_shutdown_default_executor(1), 0);
    assert_int_equal(cio_await(future), 0);
    assert_int_equal(cio_to_thread(sees_end, NULL), CIO_ESHUTDOWN);
    assert_null(cio_run_in_executor(NULL, sees_end, NULL));
    assert_int_equal(cio_last_error(), CIO_ESHUTDOWN);
    return 0;
}

TEST(t49_after_its_shutdown_there_is_no_default_executor)
{
    RUN(ends_the_default, NULL);
    assert_int_equal(cio_shutdown_default_executor(1), CIO_ENOTASK);
}

static int ends_the_default_too_late(void *arg)
{
    struct gate *gate = arg;
    cio_future *future = cio_run_in_executor(NULL, pass, gate);
    wait_for(&gate->begun);
    assert_int_equal(cio_shutdown_default_executor(0.001), CIO_ETIMEDOUT);
    assert_non_null(strstr(reported, "did not end in time"));
    sem_post(&gate->open);
    return cio_await(future);
}

TEST(t50_a_shutdown_that_takes_too_long_is_reported)
{
    struct gate gate;
    gate_init(&gate, 0);
    cio_run_options options = {.exception_handler = note_report};
    assert_int_equal(cio_run_with(&options, ends_the_default_too_late, &gate), 0);
}

static int cancels_the_shutdown(void *arg)
{
    struct gate *gate = arg;
    cio_future *future = cio_run_in_executor(NULL, pass, gate);
    wait_for(&gate->begun);
    cio_cancel(cio_current_task());
    assert_int_equal(cio_shutdown_default_executor(CIO_FOREVER), CIO_ECANCELED);
    cio_uncancel(cio_current_task());
    assert_int_equal(cio_to_thread(sees_end, NULL), CIO_ESHUTDOWN);
    sem_post(&gate->open);
    cio_detach(future);
    return 0;
}

TEST(t50_a_canceled_shutdown_is_made_good_at_the_end_of_the_run)
{
    struct gate gate;
    gate_init(&gate, 0);
    RUN(cancels_the_shutdown, &gate);
    assert_int_equal(gate.n_ran, 1);
    expect_threads(0);
}

static int uses_a_given_default(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    cio_executor *executor = new_executor(1);
    assert_int_equal(cio_set_default_executor(loop, executor), 0);
    assert_int_equal(cio_set_default_executor(loop, executor), CIO_ESTATE);
    assert_int_equal(cio_set_default_executor(NULL, executor), -EINVAL);
    assert_int_equal(cio_set_default_executor(loop, NULL), -EINVAL);
    cio_future *jobs[8];
    for (int i = 0; i < 8; i++)
        jobs[i] = cio_run_in_executor(NULL, sees_end, NULL);
    assert_int_equal(cio_gather(jobs, 8, 0), 0);
    expect_threads(1);
    return 0;
}

TEST(a_loop_can_be_given_its_default_executor)
{
    RUN(uses_a_given_default, NULL);
}

/* ---- threads that have ended before anybody waits for them ---- */

/* A job failed and its thread has ended; that still lies in the loop's mail. */
static cio_future *failed_unheard_of(cio_executor *executor)
{
    struct gate gate;
    gate_init(&gate, -EIO);
    cio_future *future = cio_run_in_executor(executor, pass, &gate);
    assert_int_equal(cio_executor_shutdown(executor, CIO_SHUTDOWN_NOWAIT), 0);
    wait_for(&gate.begun);
    sem_post(&gate.open);
    expect_threads(0);
    assert_false(cio_done(future));
    return future;
}

static cio_executor *new_default(void)
{
    cio_executor *executor = new_executor(1);
    assert_int_equal(cio_set_default_executor(cio_get_running_loop(), executor), 0);
    return executor;
}

static void loses_an_error(void *arg)
{
    (void)arg;
    cio_detach(failed_unheard_of(new_default()));
}

static void loses_an_error_elsewhere(void *arg)
{
    cio_executor *executor = new_executor(1); /* which nobody waits for */
    cio_detach(failed_unheard_of(executor));
    *(cio_executor **)arg = executor;
}

struct last_turn {
    cio_callback *fn;
    cio_handle handle;
    cio_executor *executor;
};

static int ends_with_a_callback(void *arg)
{
    struct last_turn *last = arg;
    return cio_call_soon(cio_get_running_loop(), &last->handle, last->fn, &last->executor);
}

static void expect_report_of_the_last_turn(cio_callback *fn)
{
    struct last_turn last = {.fn = fn};
    cio_run_options options = {.exception_handler = note_report};
    assert_int_equal(cio_run_with(&options, ends_with_a_callback, &last), 0);
    assert_non_null(strstr(reported, "never retrieved"));
    cio_executor_free(last.executor);
}

TEST(t50_the_end_of_a_run_hears_of_jobs_whose_threads_have_ended)
{
    expect_report_of_the_last_turn(loses_an_error);
}

TEST(t50_the_end_of_a_run_hears_what_was_posted_in_its_last_turn)
{
    expect_report_of_the_last_turn(loses_an_error_elsewhere);
}

static int waits_for_ended_threads(void *arg)
{
    (void)arg;
    cio_executor *executor = new_executor(1);
    cio_future *future = failed_unheard_of(executor);
    assert_int_equal(cio_executor_shutdown(executor, 0), 0);
    assert_true(cio_done(future));
    assert_int_equal(cio_await(future), -EIO);
    assert_int_equal(cio_executor_free(executor), 0);
    future = failed_unheard_of(new_default());
    assert_int_equal(cio_shutdown_default_executor(CIO_FOREVER), 0);
    assert_true(cio_done(future));
    assert_int_equal(cio_await(future), -EIO);
    return 0;
}

static int of_high_priority(void *arg)
{
    cio_task_options options = {.priority = CIO_PRIORITY_HIGH};
    return cio_await(cio_create_task_with(&options, waits_for_ended_threads, arg));
}

TEST(a_shutdown_hears_of_jobs_whose_threads_have_ended)
{
    RUN(waits_for_ended_threads, NULL);
    RUN(of_high_priority, NULL);
}

/* ---- several loops ---- */

static int many_jobs(void *arg)
{
    struct errand *errand = arg;
    enum { N = 200 };
    cio_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = cio_create_task(run_errand, errand);
    for (int i = 0; i < N; i += 7)
        cio_cancel(tasks[i]);
    cio_gather(tasks, N, CIO_RETURN_ERRORS);
    return 0;
}

static void *run_many_jobs(void *arg)
{
    for (int i = 0; i < 10; i++)
        RUN(many_jobs, arg);
    return NULL;
}

TEST(two_loops_share_an_executor)
{
    _Atomic int n = 0;
    struct errand errand = {new_executor(3), count, (void *)&n};
    pthread_t a = start_thread(run_many_jobs, &errand), b = start_thread(run_many_jobs, &errand);
    join(a);
    join(b);
    free_executor(errand.executor);
    assert_in_range(n, 2 * 10 * (200 - 29), 2 * 10 * 200);
}

/* ---- loops that are closed under their jobs ---- */

static cio_loop *loop_with_task(cio_coroutine *fn, void *arg)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, note_report, NULL);
    cio_detach(cio_create_task_with(&(cio_task_options){.loop = loop}, fn, arg));
    cio_stop(loop);
    assert_int_equal(cio_run_forever(loop), 0); /* one turn */
    return loop;
}

TEST(closing_a_loop_waits_for_jobs_whose_frames_go_with_it)
{
    struct gate gate;
    gate_init(&gate, 0);
    struct errand errand = {.fn = pass, .arg = &gate};
    cio_loop *loop = loop_with_task(run_errand, &errand);
    wait_for(&gate.begun);
    pthread_t opener = start_thread(open_soon, &gate.open);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(gate.n_ran, 1);
    join(opener);
}

TEST(closing_a_loop_takes_back_what_no_thread_has_begun)
{
    struct gate gate;
    _Atomic int n = 0;
    gate_init(&gate, 0);
    cio_executor *executor = new_executor(1);
    cio_loop *busy = loop_with_task(run_errand, &(struct errand){executor, pass, &gate});
    wait_for(&gate.begun);
    cio_loop *loop = loop_with_task(run_errand, &(struct errand){executor, count, (void *)&n});
    assert_int_equal(cio_loop_free(loop), 0);
    sem_post(&gate.open);
    assert_int_equal(cio_loop_free(busy), 0);
    free_executor(executor);
    assert_int_equal(n, 0);
}

TEST(closing_a_loop_with_a_jobs_end_in_its_mail)
{
    for (int i = 0; i < 50; i++) {
        struct gate gate;
        gate_init(&gate, 0);
        cio_executor *executor = new_executor(1);
        cio_loop *loop = loop_with_task(run_errand, &(struct errand){executor, pass, &gate});
        wait_for(&gate.begun);
        sem_post(&gate.open);
        if (i % 2)
            assert_int_equal(cio_executor_shutdown(executor, 0), 0);
        assert_int_equal(cio_loop_free(loop), 0);
        assert_int_equal(gate.n_ran, 1);
        free_executor(executor);
    }
}

static _Atomic int n_freed;

static void free_count(void *arg)
{
    (void)arg;
    n_freed++;
}

static cio_job_options detached;
static struct gate detached_gate;

static int submits(void *arg)
{
    int n = *(int *)arg;
    cio_future *future = NULL;
    while (n-- > 0) {
        cio_detach(future);
        future = cio_run_in_executor_with(&detached, pass, &detached_gate);
    }
    cio_cancel(future);
    cio_detach(future);
    return 0;
}

TEST(jobs_of_futures_outlive_their_loop)
{
    for (int n = 1; n < 4; n++)
        for (int when = 0; when < 3; when++) {
            n_freed = 0;
            gate_init(&detached_gate, -EIO);
            detached = (cio_job_options){new_executor(1), free_count};
            cio_loop *loop = loop_with_task(submits, &n);
            wait_for(&detached_gate.begun);
            for (int i = 0; when == 0 && i < n; i++)
                sem_post(&detached_gate.open);
            if (when == 1)
                cio_executor_shutdown(detached.executor, CIO_SHUTDOWN_CANCEL | CIO_SHUTDOWN_NOWAIT);
            assert_int_equal(cio_loop_free(loop), 0);
            for (int i = 0; when != 0 && i < n; i++)
                sem_post(&detached_gate.open);
            free_executor(detached.executor);
            assert_int_equal(n_freed, n);
        }
}

/* ---- forks ---- */

static int works_in_child(void *arg)
{
    struct errand *errand = arg;
    int number = 6;
    assert_int_equal(cio_to_thread_in(errand->executor, return_it, &number), 6);
    assert_int_equal(cio_to_thread(return_it, &number), 6);
    return 0;
}

static int forks(void *arg)
{
    struct errand *errand = arg;
    struct gate gate;
    gate_init(&gate, 0);
    cio_future *running = cio_run_in_executor(errand->executor, pass, &gate);
    wait_for(&gate.begun);
    cio_future *queued = cio_run_in_executor(errand->executor, count, errand->arg);
    pid_t child = fork();
    if (child == 0) {
        alarm(15);
        RUN(works_in_child, errand);
        free_executor(errand->executor);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sem_post(&gate.open);
    assert_int_equal(cio_await(running), 0);
    assert_int_equal(cio_await(queued), 0);
    return 0;
}

TEST(t56_a_forked_child_has_no_threads_and_starts_its_own)
{
    if (test_is_tsan())
        test_skip("ThreadSanitizer allows no threads in a forked child");
    if (test_is_valgrind())
        test_skip("what the parent's other threads held is lost in a child");
#ifdef __aarch64__
    if (test_is_slow())
        test_skip("qemu starts no thread in a child of many");
#endif
    _Atomic int n = 0;
    struct errand errand = {new_executor(1), NULL, (void *)&n};
    RUN(works_in_child, &errand);
    RUN(forks, &errand);
    free_executor(errand.executor);
    assert_int_equal(n, 1);
}

/* ---- no threads left ---- */

static int without_threads(void *arg)
{
    (void)arg;
    int number = 5;
    assert_int_equal(cio_to_thread(return_it, &number), -EAGAIN);
    assert_null(cio_run_in_executor(NULL, return_it, &number));
    assert_int_equal(cio_last_error(), -EAGAIN);
    return 0;
}

static int with_one_thread(void *arg)
{
    (void)arg;
    enum { N = 50 };
    cio_task *tasks[N];
    _Atomic int n = 0;
    struct gate gate;
    gate_init(&gate, 0);
    cio_future *first = cio_run_in_executor(NULL, pass, &gate);
    wait_for(&gate.begun);
    assert_int_equal(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}), 0);
    struct errand errand = {NULL, count, (void *)&n};
    for (int i = 0; i < N; i++)
        tasks[i] = cio_create_task(run_errand, &errand);
    cio_yield();
    sem_post(&gate.open);
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_gather(tasks, N, 0), 0);
    assert_int_equal(n, N);
    return 0;
}

static int run_out(void *arg)
{
    if (getuid() == 0 && setuid(65534) != 0)
        return 77;
    if (arg)
        return cio_run(with_one_thread, NULL) != 0;
    setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0});
    return cio_run(without_threads, NULL) != 0;
}

static void in_a_child_without_threads(bool one)
{
    struct child child;
    run_child(&child, run_out, one ? &child : NULL, NULL);
    if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == 77)
        test_skip("cannot become another user");
    if (child.status)
        print_error("%s\n", child.text);
    assert_int_equal(child.status, 0);
}

TEST(where_no_thread_can_be_started_a_job_is_refused)
{
    in_a_child_without_threads(false);
}

TEST(where_no_further_thread_can_be_started_jobs_wait_for_those_there_are)
{
    in_a_child_without_threads(true);
}
