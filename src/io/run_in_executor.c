/* loop.run_in_executor(): a job that a future stands for. */
#include <errno.h>

#include "io/executor.h"
#include "os/memory.h"

/* It has a block of its own, since nobody need wait for it. */
struct detached {
    struct cio__job job;
    cio_future *future;
    cio_done_callback callback; /* hears of a cancellation */
    cio_job *fn;
    void *arg;
    void (*free_arg)(void *arg);
    bool alone; /* atomic: of its thread and its loop's end one has let go, the other frees */
};

static struct detached *of_job(struct cio__job *job)
{
    return (struct detached *)((char *)job - offsetof(struct detached, job));
}

static void drop_arg(struct detached *self)
{
    if (self->free_arg)
        self->free_arg(self->arg);
    self->free_arg = NULL;
}

/* In the thread, also if the loop has gone. */
static int run(void *arg)
{
    struct detached *self = arg;
    int rc = self->fn(self->arg);
    drop_arg(self);
    return rc;
}

/* In the loop's thread. An argument that is still there belongs to a job that was never begun. */
static void end(struct detached *self, int rc)
{
    cio_future *future = self->future;
    drop_arg(self);
    cio_remove_done_callback(&self->callback);
    cio__free(self);
    if (future->state == CIO__PENDING)
        cio__future_finish(future, rc, NULL);
    cio__unref(future);
}

static void ended(struct cio__job *job)
{
    end(of_job(job), job->rc);
}

static void let_go(struct detached *self)
{
    if (__atomic_exchange_n(&self->alone, true, __ATOMIC_ACQ_REL))
        cio__free(self);
}

static void orphaned(struct cio__job *job)
{
    drop_arg(of_job(job)); /* if it was taken from the queue undone */
    let_go(of_job(job));
}

static void forget_future(struct detached *self)
{
    cio_remove_done_callback(&self->callback);
    cio__unref(self->future);
}

/* The loop is closed. It runs on, or still will, if it has not come back. */
static void cut(struct cio__tie *tie)
{
    struct cio__job *job = (struct cio__job *)((char *)tie - offsetof(struct cio__job, tie));
    forget_future(of_job(job));
    let_go(of_job(job));
}

static void dropped(struct cio__job *job)
{
    drop_arg(of_job(job));
    forget_future(of_job(job));
    cio__free(of_job(job));
}

static void on_end_of_future(cio_future *future, void *arg)
{
    struct detached *self = arg;
    if (cio__job_withdraw(&self->job))
        end(self, future->rc);
    else
        cio__job_ask_to_end(&self->job);
}

static struct detached *make(const cio_job_options *options, cio_job *fn, void *arg)
{
    struct detached *self = cio__alloc(sizeof *self);
    cio_future *future = self ? cio_future_new() : NULL;
    if (!future) {
        cio__free(self);
        return cio__fail(-ENOMEM);
    }
    *self = (struct detached){.fn = fn, .arg = arg, .free_arg = options->free_arg};
    self->job = (struct cio__job){.fn = run, .arg = self, .ended = ended};
    self->job.dropped = dropped;
    self->job.orphaned = orphaned;
    self->job.tie.cut = cut;
    self->future = future;
    return self;
}

cio_future *cio_run_in_executor_with(const cio_job_options *options, cio_job *fn, void *arg)
{
    static const cio_job_options defaults;
    if (!options)
        options = &defaults;
    if (!fn)
        return cio__fail(-EINVAL);
    if (!cio__running)
        return cio__fail(CIO_ENOLOOP);
    struct detached *self = make(options, fn, arg);
    if (!self)
        return NULL;
    cio_future *future = self->future;
    int rc = cio__job_submit(&self->job, options->executor, false);
    if (rc < 0) {
        cio__unref(future);
        cio__free(self);
        return cio__fail(rc);
    }
    cio_add_done_callback(future, &self->callback, on_end_of_future, self);
    return cio_ref(future);
}

cio_future *cio_run_in_executor(cio_executor *executor, cio_job *fn, void *arg)
{
    return cio_run_in_executor_with(&(cio_job_options){.executor = executor}, fn, arg);
}
