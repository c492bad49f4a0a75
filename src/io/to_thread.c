/* asyncio.to_thread(): a task waits for a job. */
#include <errno.h>

#include "io/executor.h"
#include "io/remote.h"
#include "task/tell.h"

/*
 * The job lies in the frame of the task that waits for it, so the frame must not go before the job
 * is done, whatever happens: not when the task is canceled, nor when its loop is closed.
 */
struct to_thread {
    struct cio__wait wait;
    struct cio__job job;
    cio_task *task;
    struct cio__parker *closer; /* atomic: who closes the loop and waits; ORPHAN: it need not */
};

#define ORPHAN ((struct cio__parker *)1)

static struct to_thread *of_job(struct cio__job *job)
{
    return (struct to_thread *)((char *)job - offsetof(struct to_thread, job));
}

static void ended(struct cio__job *job)
{
    cio__wake(of_job(job)->task);
}

/* The loop is closed with the job's end in its mail. */
static void dropped(struct cio__job *job)
{
    (void)job;
}

static void orphaned(struct cio__job *job)
{
    struct to_thread *self = of_job(job);
    struct cio__parker *closer = __atomic_exchange_n(&self->closer, ORPHAN, __ATOMIC_ACQ_REL);
    if (closer)
        cio__unpark(closer);
}

/* The loop is closed under a task that was never canceled: the frame goes when this returns. */
static void cut(struct cio__tie *tie)
{
    struct cio__job *job = (struct cio__job *)((char *)tie - offsetof(struct cio__job, tie));
    struct cio__parker parker = {0};
    if (cio__job_withdraw(job))
        return;
    if (!__atomic_exchange_n(&of_job(job)->closer, &parker, __ATOMIC_ACQ_REL))
        cio__park(&parker, INT64_MAX);
}

static bool cancel(struct cio__wait *wait)
{
    struct to_thread *self = (struct to_thread *)wait;
    if (wait->canceled || self->job.back)
        return false; /* it has ended, or will; the task has not noticed yet */
    wait->canceled = true;
    if (cio__job_withdraw(&self->job)) {
        cio__wake(self->task);
        return true;
    }
    cio__job_ask_to_end(&self->job);
    return true;
}

static void tell(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct to_thread *self = (const struct to_thread *)wait;
    cio__tell(tale, "a job of executor %s", cio__executor_name(self->job.executor));
}

int cio_to_thread_in(cio_executor *executor, cio_job *fn, void *arg)
{
    static const struct cio__wait_kind kind = {
        .name = "cio_to_thread", .cancel = cancel, .tell = tell};
    if (!fn)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (cio__current->must_cancel) { /* before it can begin */
        cio__current->must_cancel = false;
        return CIO_ECANCELED;
    }
    struct to_thread self = {.wait.kind = &kind, .task = cio__current};
    self.job = (struct cio__job){.fn = fn, .arg = arg, .ended = ended};
    self.job.dropped = dropped;
    self.job.orphaned = orphaned;
    self.job.tie.cut = cut;
    self.job.vars = cio__vars_capture(); /* the job sees the task's context variables */
    int rc = cio__job_submit(&self.job, executor, true);
    if (rc < 0)
        return rc;
    if (cio__remote_would_deadlock(&self.job) && cio__job_withdraw(&self.job))
        rc = CIO_EDEADLOCK;
    else if ((rc = cio__wait(&self.wait)) == 0)
        rc = self.job.rc;
    cio__remote_waits_no_more(&self.job);
    return rc;
}

int cio_to_thread(cio_job *fn, void *arg)
{
    return cio_to_thread_in(NULL, fn, arg);
}
