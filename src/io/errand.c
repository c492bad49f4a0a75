/* Jobs that their task may leave behind. */
#include "io/errand.h"

static struct cio__errand *of_job(struct cio__job *job)
{
    return (struct cio__errand *)job; /* its first field */
}

/* The loop is closed before the task, which was woken, could take what was found. */
static void cut_found(struct cio__tie *tie)
{
    struct cio__job *job = (struct cio__job *)((char *)tie - offsetof(struct cio__job, tie));
    of_job(job)->free(of_job(job));
}

static void ended(struct cio__job *job)
{
    struct cio__errand *self = of_job(job);
    if (!self->task) {
        self->free(self);
        return;
    }
    job->tie = (struct cio__tie){.cut = cut_found};
    cio__tie_add(job->loop, &job->tie);
    cio__wake(self->task);
}

static void dropped(struct cio__job *job)
{
    of_job(job)->free(of_job(job));
}

static void let_go(struct cio__errand *self)
{
    if (__atomic_exchange_n(&self->alone, true, __ATOMIC_ACQ_REL))
        self->free(self);
}

static void orphaned(struct cio__job *job)
{
    let_go(of_job(job));
}

/* The loop is closed: the thread runs on, or still will. */
static void cut(struct cio__tie *tie)
{
    struct cio__job *job = (struct cio__job *)((char *)tie - offsetof(struct cio__job, tie));
    let_go(of_job(job));
}

/* The task was canceled: it leaves, and takes nothing with it. */
static void leave(struct cio__errand *self)
{
    if (self->job.back || cio__job_withdraw(&self->job)) {
        cio__tie_remove(cio__running, &self->job.tie);
        self->free(self);
        return;
    }
    self->task = NULL;
    cio__job_ask_to_end(&self->job);
}

int cio__errand_run(struct cio__errand *errand, cio_executor *executor,
                    const struct cio__wait_kind *kind)
{
    struct cio__errand_wait waiting = {.wait.kind = kind, .errand = errand};
    errand->task = cio__current;
    errand->job.arg = errand;
    errand->job.ended = ended;
    errand->job.dropped = dropped;
    errand->job.orphaned = orphaned;
    errand->job.tie.cut = cut;
    int rc = cio__job_submit(&errand->job, executor, true);
    if (rc < 0) {
        errand->free(errand);
        return rc;
    }
    rc = cio__wait(&waiting.wait);
    if (rc < 0)
        leave(errand);
    else
        cio__tie_remove(cio__running, &errand->job.tie);
    return rc;
}
