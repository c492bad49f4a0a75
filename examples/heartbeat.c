/*
 * heartbeat: 200 jobs of 10 ms, all started at once, against a task that wants to run twenty times
 * a second: the experiment of "Latency in Asynchronous Python" (nullprogram, 2020), where it comes
 * 1.5 s late. Here it is late by a job at most, and nobody had to do anything for it. With
 * --asyncio the turns run in asyncio's order, for comparison.
 */
#include <stdio.h>
#include <string.h>

#include <cio.h>

enum { JOBS = 200 };

static const double JOB_SECONDS = 0.010;
static const double PERIOD_SECONDS = 0.050;

struct experiment {
    double worst;    /* how late the heartbeat came, in seconds */
    int worst_jobs;  /* the same in jobs that ended meanwhile */
    int beats, jobs; /* that there were so far */
    double job_ends[JOBS];
};

/* How many jobs ended after the heartbeat was due. */
static int jobs_since(const struct experiment *e, double when)
{
    int n = 0;
    while (n < e->jobs && e->job_ends[e->jobs - n - 1] > when)
        n++;
    return n;
}

static int heartbeat(void *arg)
{
    struct experiment *e = arg;
    for (;;) {
        double due = cio_time(NULL) + PERIOD_SECONDS;
        int rc = cio_sleep(PERIOD_SECONDS);
        if (rc < 0)
            return rc;
        double late = cio_time(NULL) - due;
        int jobs = jobs_since(e, due);
        e->beats++;
        e->worst = late > e->worst ? late : e->worst;
        e->worst_jobs = jobs > e->worst_jobs ? jobs : e->worst_jobs;
    }
}

/* Work that does not wait: nothing else runs meanwhile. */
static int job(void *arg)
{
    struct experiment *e = arg;
    double end = cio_time(NULL) + JOB_SECONDS;
    while (cio_time(NULL) < end)
        continue;
    e->job_ends[e->jobs++] = cio_time(NULL);
    return 0;
}

static int run(void *arg)
{
    cio_task *pulse = cio_create_task(heartbeat, arg);
    if (!pulse)
        return cio_last_error();
    cio_group jobs;
    int rc = cio_group_enter(&jobs);
    if (rc == 0)
        rc = cio_sleep(PERIOD_SECONDS * 2.5);
    for (int i = 0; i < JOBS && rc == 0; i++)
        if (!cio_group_start(&jobs, job, arg))
            rc = cio_last_error();
    rc = cio_group_exit(&jobs, rc);
    if (rc == 0)
        rc = cio_sleep(PERIOD_SECONDS); /* one more, which shows when all were held up */
    cio_cancel(pulse);
    cio_await(pulse);
    return rc;
}

int main(int argc, char **argv)
{
    struct experiment e = {0};
    cio_run_options options = {0};
    if (argc == 2 && strcmp(argv[1], "--asyncio") == 0)
        options.loop.turn_budget = CIO_FOREVER;
    else if (argc > 1) {
        fprintf(stderr, "usage: heartbeat [--asyncio]\n");
        return 2;
    }
    int rc = cio_run_with(&options, run, &e);
    printf("%d jobs of %g ms, %d heartbeats, late by %.1f ms at most: %d %s\n", e.jobs,
           JOB_SECONDS * 1e3, e.beats, e.worst * 1e3, e.worst_jobs,
           e.worst_jobs == 1 ? "job" : "jobs");
    if (rc < 0)
        fprintf(stderr, "heartbeat: %s\n", cio_strerror(rc));
    return rc < 0;
}
