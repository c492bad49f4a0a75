/* The executors that a loop makes for itself, and what becomes of them at the end of a run. */
#include <errno.h>

#include <cio/names.h>

#include "io/executor.h"
#include "task/tell.h"

#define END_OF_RUN_SECONDS 300.0 /* asyncio's THREAD_JOIN_TIMEOUT */

static void report_late(cio_loop *loop)
{
    cio__report(loop, "the default executor's threads did not end in time", CIO_ETIMEDOUT, NULL,
                NULL);
}

/* The loop has none from now on. NULL: it had none. */
static cio_executor *take(cio_loop *loop, struct cio__own_executor *own)
{
    cio_executor *executor = own->executor;
    own->executor = NULL;
    own->ended = true;
    cio__tie_remove(loop, &own->tie);
    return executor;
}

struct end_of_run {
    cio_loop *loop;
    struct cio__sleeper sleeper;
    cio_handle timer;
    bool ended;
    bool late;
};

static void threads_ended(void *arg)
{
    struct end_of_run *end = arg;
    end->ended = true;
    cio_stop(end->loop);
}

static void time_over(void *arg)
{
    struct end_of_run *end = arg;
    end->late = true;
    cio_stop(end->loop);
}

/*
 * The loop runs meanwhile: a job may wait for it, and all come back to it before this returns. Needs
 * no memory but for the time limit, without which it waits for as long as it takes. False: that was
 * over.
 */
static bool wait_for_threads(cio_loop *loop, cio_executor *executor)
{
    struct end_of_run end = {.loop = loop};
    cio__executor_line_up_call(executor, &end.sleeper, loop, threads_ended, &end);
    cio_call_later(loop, &end.timer, END_OF_RUN_SECONDS, time_over, &end);
    while (!end.ended && !end.late && cio_run_forever(loop) == 0)
        continue; /* somebody else called cio_stop() */
    cio_handle_cancel(&end.timer);
    if (!end.ended)
        cio__sleeper_leave_call(&end.sleeper);
    cio__executor_join(executor);
    return !end.late;
}

/* Jobs are waited for. Lookups that are still under way are nobody's, and may take minutes. */
static void end_threads(cio_loop *loop)
{
    cio_executor *names = take(loop, &loop->names);
    cio_executor *jobs = take(loop, &loop->jobs);
    if (names) {
        cio__executor_stop(names, true);
        if (!cio__executor_is_busy(names))
            wait_for_threads(loop, names);
        cio_executor_free(names);
    }
    if (jobs) {
        cio__executor_stop(jobs, false);
        if (!wait_for_threads(loop, jobs))
            report_late(loop);
        cio_executor_free(jobs);
    }
}

/* The loop is closed without a run's end: its threads are not waited for. */
static void cut(struct cio__tie *tie)
{
    struct cio__own_executor *own =
        (struct cio__own_executor *)((char *)tie - offsetof(struct cio__own_executor, tie));
    cio_executor_free(own->executor);
    own->executor = NULL;
    own->ended = true;
}

static void adopt(cio_loop *loop, struct cio__own_executor *own, cio_executor *executor)
{
    own->executor = executor;
    own->tie = (struct cio__tie){.cut = cut};
    loop->end_threads = end_threads;
    cio__tie_add(loop, &own->tie);
}

static cio_executor *get(struct cio__own_executor *own, const cio_executor_options *options)
{
    if (own->ended)
        return cio__fail(CIO_ESHUTDOWN);
    if (!own->executor) {
        cio_executor *executor = cio_executor_new(options);
        if (!executor)
            return NULL;
        adopt(cio__running, own, executor);
    }
    return own->executor;
}

cio_executor *cio__default_executor(void)
{
    return get(&cio__running->jobs, NULL);
}

cio_executor *cio__name_threads(void)
{
    static const cio_executor_options options = {.max_threads = CIO_NAME_THREADS,
                                                 .name = "cio-names"};
    return get(&cio__running->names, &options);
}

int cio_set_default_executor(cio_loop *loop, cio_executor *executor)
{
    if (!loop || !executor)
        return -EINVAL;
    if (loop->closed)
        return CIO_ECLOSED;
    if (loop->jobs.ended)
        return CIO_ESHUTDOWN;
    if (loop->jobs.executor)
        return CIO_ESTATE;
    adopt(loop, &loop->jobs, executor);
    return 0;
}

static void tell_shutdown(const struct cio__wait *wait, struct cio__tale *tale)
{
    (void)wait;
    cio__tell(tale, "the end of the default executor's threads");
}

int cio_shutdown_default_executor(double seconds)
{
    static const struct cio__wait_kind kind = {.name = "cio_shutdown_default_executor",
                                               .cancel = cio__sleeper_cancel,
                                               .tell = tell_shutdown};
    if (seconds != seconds)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    cio_loop *loop = cio__running;
    cio_executor *executor = take(loop, &loop->jobs);
    if (!executor)
        return 0;
    cio__executor_stop(executor, false);
    int rc = cio__executor_wait(executor, &kind, seconds);
    if (rc < 0 && rc != CIO_ETIMEDOUT) {
        adopt(loop, &loop->jobs, executor); /* the end of the run waits for it */
        return rc;
    }
    if (rc < 0)
        report_late(loop);
    cio_executor_free(executor);
    return rc;
}
