/*
 * For the tests of what waits for several things: tasks that do as they are told, and a TEST whose
 * body is the main task of a run. It returns 0; the exception handler must have heard nothing, or
 * just the failures that the test expects.
 */
#ifndef CIO_TESTS_WAITS_H
#define CIO_TESTS_WAITS_H

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static struct reports reports;
static int n_expected_reports;

static inline void run_in_main_task(cio_coroutine *fn)
{
    assert_int_equal(run_with_reports(&reports, fn, NULL), 0);
    for (int i = n_expected_reports; i < reports.n; i++)
        print_error("reported: %s (%s)\n", reports.seen[i].message, reports.seen[i].name);
    assert_int_equal(reports.n, n_expected_reports);
}

#undef TEST
#define TEST(test_name)                                                                            \
    static int task_##test_name(void *arg);                                                        \
    static void test_##test_name(void **state)                                                     \
    {                                                                                              \
        (void)state;                                                                               \
        run_in_main_task(task_##test_name);                                                        \
    }                                                                                              \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct test t = {.name = #test_name, .run = test_##test_name};                      \
        test_register(&t);                                                                         \
    }                                                                                              \
    static int task_##test_name(__attribute__((unused)) void *arg)

/* The whole journal is exactly these words; it starts anew. */
#define assert_noted(words)                                                                        \
    do {                                                                                           \
        assert_string_equal(noted(), words);                                                       \
        notes_clear();                                                                             \
    } while (0)

enum { FOREVER = -1 };

/* Jobs are written as {"a", turns}: what is not said is 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* A task's orders, and what became of it. Its name is noted when it ends: -name if it gave up. */
struct job {
    const char *name;
    int turns;     /* how long it takes, or FOREVER */
    int end;       /* what it returns */
    int cleanup;   /* how many turns it takes to give up when canceled */
    bool swallows; /* does not give up, but returns end all the same */
    int n_begun, n_canceled, n_ended;
};

/* Waits so many turns, or until canceled. */
static inline int wait_turns(int turns)
{
    if (turns == FOREVER)
        return cio_sleep(CIO_FOREVER);
    int rc = 0;
    for (int i = 0; i < turns && rc == 0; i++)
        rc = cio_yield();
    return rc;
}

static inline int do_job(void *arg)
{
    struct job *job = arg;
    job->n_begun++;
    int rc = wait_turns(job->turns);
    if (rc < 0) {
        assert_int_equal(rc, CIO_ECANCELED);
        job->n_canceled++;
        if (wait_turns(job->cleanup) < 0)
            job->n_canceled++;
    }
    bool gives_up = rc < 0 && !job->swallows;
    job->n_ended++;
    if (job->name)
        note("%s%s", gives_up ? "-" : "", job->name);
    return gives_up ? CIO_ECANCELED : job->end;
}

static inline cio_task *start_job(struct job *job)
{
    cio_task *task = cio_create_task(do_job, job);
    assert_non_null(task);
    return task;
}

static inline void start_jobs(struct job *jobs, size_t n, cio_task **tasks)
{
    for (size_t i = 0; i < n; i++)
        tasks[i] = start_job(&jobs[i]);
}

/* Ends tasks that a test has left running. */
static inline void cancel_all(cio_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cio_cancel(tasks[i]);
    for (size_t i = 0; i < n; i++)
        cio_await(tasks[i]);
}

/* Runs fn(arg) as a task, cancels it after so many turns, and returns how it ended. */
static inline int cancel_after(int turns, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task(fn, arg);
    assert_non_null(task);
    assert_int_equal(wait_turns(turns), 0);
    assert_int_equal(cio_cancel(task), 1);
    return cio_await(task);
}

static inline void start_in(cio_group *g, struct job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_non_null(cio_group_start(g, do_job, &jobs[i]));
}

/* A group of these jobs, whose body does nothing. */
static inline int run_group(struct job *jobs, size_t n)
{
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    start_in(&g, jobs, n);
    return cio_group_exit(&g, 0);
}

static inline int requests(void)
{
    return cio_cancelling(cio_current_task());
}

/* Calls fn(NULL) in the running loop, but outside of any task. */
static inline void call_outside_tasks(cio_callback *fn)
{
    cio_handle handle = CIO_HANDLE_INIT;
    assert_int_equal(cio_call_soon(cio_get_running_loop(), &handle, fn, NULL), 0);
    while (cio_handle_pending(&handle))
        assert_int_equal(cio_yield(), 0);
}

static inline double now(void)
{
    return cio_time(cio_get_running_loop());
}

/* An allocator that fails as long as it is told to; in force from the start of the program. */
static bool is_out_of_memory;

static void *failing_realloc(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return is_out_of_memory ? NULL : realloc(ptr, size);
}

__attribute__((constructor)) static void use_failing_allocator(void)
{
    static const cio_allocator allocator = {.realloc = failing_realloc};
    cio_set_allocator(&allocator);
}

#endif
