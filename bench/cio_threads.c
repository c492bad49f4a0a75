/* Ourselves: jobs of the default pool, one at a time and many at once. */
#include "subject.h"
#include "subject_cio.h"

#include <stdlib.h>

static int no_work(void *arg)
{
    (void)arg;
    return 0;
}

static int one_at_a_time(void *arg)
{
    long n = *(long *)arg;
    for (int i = 0; i < 1000; i++)
        check(cio_to_thread(no_work, NULL), "cio_to_thread");
    int64_t begin_ns = wall_ns(), begin_cpu_ns = cpu_ns();
    for (long i = 0; i < n; i++)
        cio_to_thread(no_work, NULL);
    subject_value("time", (double)(wall_ns() - begin_ns) / (double)n);
    subject_value("cpu", (double)(cpu_ns() - begin_cpu_ns) / (double)n);
    return 0;
}

void bench_thread_round_trip(long n)
{
    n = n > 0 ? n : THREAD_ROUND_TRIPS;
    run_main(one_at_a_time, &n);
}

static int one_job(void *arg)
{
    return cio_to_thread(no_work, arg);
}

static void all_at_once(cio_task **tasks, long n)
{
    for (long i = 0; i < n; i++)
        tasks[i] = cio_create_task(one_job, NULL);
    check(cio_gather(tasks, (size_t)n, 0), "cio_gather");
}

static int many_at_once(void *arg)
{
    long n = *(long *)arg, rounds = steps_for(n, THREAD_JOBS);
    cio_task **tasks = calloc((size_t)n, sizeof(cio_task *));
    for (int i = 0; i < 3; i++)
        all_at_once(tasks, n);
    int64_t begin_ns = wall_ns(), begin_cpu_ns = cpu_ns();
    for (long i = 0; i < rounds; i++)
        all_at_once(tasks, n);
    subject_value("time", (double)(wall_ns() - begin_ns) / (double)(rounds * n));
    subject_value("cpu", (double)(cpu_ns() - begin_cpu_ns) / (double)(rounds * n));
    free(tasks);
    return 0;
}

void bench_thread_jobs(long n)
{
    run_main(many_at_once, &n);
}
