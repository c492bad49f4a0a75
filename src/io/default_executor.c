/* The executor that a loop makes for itself, and what becomes of it at the end of a run. */
#include <errno.h>

#include "io/executor.h"
#include "task/tell.h"

#define END_OF_RUN_SECONDS 300.0 /* asyncio's THREAD_JOIN_TIMEOUT */

static void report_late(cio_loop *loop)
{
    cio__report(loop, "the default executor's threads did not end in time", CIO_ETIMEDOUT, NULL,
                NULL);
}

/* The loop has none from now on. NULL: it had none. */
static cio_executor *take(cio_loop *loop)
{
    cio_executor *executor = loop->executor;
    loop->executor = NULL;
    loop->executor_ended = true;
    cio__tie_remove(loop, &loop->executor_tie);
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
 * The loop runs meanwhile: a job may wait for it. Needs no memory but for the time limit, without
 * which it waits for as long as it takes.
 */
static void end_threads(cio_loop *loop)
{
    cio_executor *executor = take(loop);
    if (!executor)
        return;
    struct end_of_run end = {.loop = loop};
    cio__executor_stop(executor, false);
    if (cio__executor_line_up_call(executor, &end.sleeper, loop, threads_ended, &end)) {
        cio_call_later(loop, &end.timer, END_OF_RUN_SECONDS, time_over, &end);
        while (!end.ended && !end.late && cio_run_forever(loop) == 0)
            continue; /* somebody else called cio_stop() */
        cio_handle_cancel(&end.timer);
        if (!end.ended)
            cio__sleeper_leave_call(&end.sleeper);
    }
    if (end.late)
        report_late(loop);
    cio__executor_join(executor);
    cio_executor_free(executor);
}

/* The loop is closed without a run's end: its threads are not waited for. */
static void cut(struct cio__tie *tie)
{
    cio_loop *loop = (cio_loop *)((char *)tie - offsetof(cio_loop, executor_tie));
    cio_executor_free(take(loop));
}

static void adopt(cio_loop *loop, cio_executor *executor)
{
    loop->executor = executor;
    loop->executor_tie = (struct cio__tie){.cut = cut};
    loop->end_threads = end_threads;
    cio__tie_add(loop, &loop->executor_tie);
}

cio_executor *cio__default_executor(void)
{
    cio_loop *loop = cio__running;
    if (loop->executor_ended)
        return cio__fail(CIO_ESHUTDOWN);
    if (!loop->executor) {
        cio_executor *executor = cio_executor_new(NULL);
        if (!executor)
            return NULL;
        adopt(loop, executor);
    }
    return loop->executor;
}

int cio_set_default_executor(cio_loop *loop, cio_executor *executor)
{
    if (!loop || !executor)
        return -EINVAL;
    if (loop->closed)
        return CIO_ECLOSED;
    if (loop->executor_ended)
        return CIO_ESHUTDOWN;
    if (loop->executor)
        return CIO_ESTATE;
    adopt(loop, executor);
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
    cio_executor *executor = take(loop);
    if (!executor)
        return 0;
    struct cio__sleeper sleeper;
    int rc = 0;
    cio__executor_stop(executor, false);
    if (cio__executor_line_up(executor, &sleeper))
        rc = cio__sleeper_wait(&sleeper, &kind, seconds);
    if (rc < 0 && rc != CIO_ETIMEDOUT) {
        adopt(loop, executor); /* the end of the run waits for it */
        return rc;
    }
    if (rc == 0)
        cio__executor_join(executor);
    else
        report_late(loop);
    cio_executor_free(executor);
    return rc;
}
