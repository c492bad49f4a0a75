/* libuv: jobs of its thread pool, one at a time and many at once. */
#include "subject.h"
#include "uv_threads.h"

#include <stdlib.h>
#include <uv.h>

enum { WARM = 1000 };

static int64_t begin_ns, begin_cpu_ns;
static long n_jobs, n_ended;

static void begin(void)
{
    begin_ns = wall_ns();
    begin_cpu_ns = cpu_ns();
}

static void tell(long n)
{
    subject_value("time", (double)(wall_ns() - begin_ns) / (double)n);
    subject_value("cpu", (double)(cpu_ns() - begin_cpu_ns) / (double)n);
}

static void no_work(uv_work_t *job)
{
    (void)job;
}

static void queue(uv_work_t *job, uv_after_work_cb after)
{
    if (uv_queue_work(uv_default_loop(), job, no_work, after) != 0)
        subject_fail("uv_queue_work");
}

static void next_one(uv_work_t *job, int status)
{
    (void)status;
    n_ended++;
    if (n_ended == WARM)
        begin();
    if (n_ended < WARM + n_jobs)
        queue(job, next_one);
    else
        tell(n_jobs);
}

void bench_thread_round_trip(long n)
{
    uv_work_t job;
    n_jobs = n > 0 ? n : THREAD_ROUND_TRIPS;
    queue(&job, next_one);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static uv_work_t *jobs;
static long rounds_left, n_rounds;

static void one_of_many(uv_work_t *job, int status);

static void next_round(void)
{
    n_ended = 0;
    if (rounds_left == n_rounds)
        begin();
    if (rounds_left-- == 0) {
        tell(n_rounds * n_jobs);
        return;
    }
    for (long i = 0; i < n_jobs; i++)
        queue(&jobs[i], one_of_many);
}

static void one_of_many(uv_work_t *job, int status)
{
    (void)job, (void)status;
    if (++n_ended == n_jobs)
        next_round();
}

void bench_thread_jobs(long n)
{
    n_jobs = n;
    n_rounds = steps_for(n, THREAD_JOBS);
    rounds_left = n_rounds + 3; /* some to warm up */
    jobs = calloc((size_t)n, sizeof *jobs);
    next_round();
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    free(jobs);
}
