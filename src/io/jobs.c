/* Jobs: how an executor's threads come to them, and how they go home. */
#include <errno.h>
#include <stdio.h>

#include "io/mail.h"
#include "io/pool.h"
#include "io/remote.h"

_Thread_local struct cio__job *cio__job_current;

/* ---- the queue ---- */

static void append(cio_executor *executor, struct cio__job *job)
{
    job->queued = true;
    cio__ring_append(&executor->queue, &job->place);
    executor->n_queued++;
}

static void unlink_queued(cio_executor *executor, struct cio__job *job)
{
    cio__ring_remove(&job->place);
    job->queued = false;
    executor->n_queued--;
}

struct cio__job *cio__job_take_first(cio_executor *executor)
{
    if (cio__ring_empty(&executor->queue))
        return NULL;
    struct cio__job *job = (struct cio__job *)executor->queue.next; /* its first field */
    unlink_queued(executor, job);
    return job;
}

/* ---- threads ---- */

/* It will not be done: its context goes. */
static void drop_context(struct cio__job *job)
{
    cio__vars_drop(job->vars);
    job->vars = NULL;
}

/* The job goes home. It is not touched any more: it may be gone. */
static void send_back(struct cio__job *job)
{
    cio_loop *loop = job->loop;
    cio_executor *executor = job->executor;
    if (cio__mail(loop, &job->handle, cio__job_arrived, job) < 0) {
        job->orphaned(job);
        cio__executor_release(executor);
    }
    cio__loop_release(loop);
}

void cio__job_send_back_undone(struct cio__job *job)
{
    job->rc = CIO_ECANCELED;
    drop_context(job);
    send_back(job);
}

/* Returns false in a forked child, where this is no thread of the pool. */
static bool do_job(struct cio__job *job)
{
    unsigned generation = cio__executor_forks;
    struct cio__vars *vars = job->vars;
    job->vars = NULL;
    cio__job_current = job;
    struct cio__thread_vars before = cio__vars_enter(vars);
    int rc = job->fn(job->arg);
    cio__job_current = NULL;
    if (generation != cio__executor_forks)
        return false;
    cio__vars_leave(before);
    job->rc = rc;
    __atomic_fetch_sub(&job->executor->n_busy, 1, __ATOMIC_RELEASE); /* before it is known */
    send_back(job);
    return true;
}

static void *work(void *executor);

static int start_thread(cio_executor *executor)
{
    cio__executor_hold(executor);
    pthread_t thread;
    int rc = cio__thread_start(&thread, executor->stack_size, work, executor);
    if (rc < 0) {
        __atomic_fetch_sub(&executor->references, 1, __ATOMIC_RELAXED);
        return rc;
    }
    executor->n_threads++;
    executor->waking = true;
    return 0;
}

/*
 * With the lock held: sees to it that a thread comes for what is queued, if none is on its way. It
 * will call this in turn before it begins its job: so a burst of jobs costs whoever submits them
 * one wake, and not one each. Returns an idle thread to be unparked, or NULL. If no thread can be
 * started, those that there are must do; *rc tells.
 */
static struct worker *call_thread(cio_executor *executor, int *rc)
{
    *rc = 0;
    if (executor->waking || cio__ring_empty(&executor->queue))
        return NULL;
    struct worker *idle = executor->idle;
    if (idle) {
        executor->idle = idle->next_idle;
        executor->waking = true;
    } else if (executor->n_threads < executor->max_threads) {
        *rc = start_thread(executor);
    }
    return idle;
}

/* With the lock held: whether to wait awake for a while. One thread of a pool does at a time. */
static bool begin_spin(cio_executor *executor)
{
    if (__atomic_load_n(&executor->spinning, __ATOMIC_ACQUIRE))
        return false;
    bool spins = cio__spin_begin(&executor->spin);
    __atomic_store_n(&executor->spinning, spins, __ATOMIC_RELAXED);
    return spins;
}

static bool spin(cio_executor *executor, struct worker *self)
{
    bool hit = cio__park_awake(&self->parker);
    cio__spin_end(&executor->spin, hit);
    __atomic_store_n(&executor->spinning, false, __ATOMIC_RELEASE);
    return hit;
}

/* With the lock held, which it lets go meanwhile: until there may be a job. */
static void wait_idle(cio_executor *executor, struct worker *self)
{
    self->next_idle = executor->idle;
    executor->idle = self;
    bool spins = begin_spin(executor);
    pthread_mutex_unlock(&executor->lock);
    if (!spins || !spin(executor, self))
        cio__park(&self->parker, INT64_MAX);
    pthread_mutex_lock(&executor->lock);
}

/* Waits for a job. NULL: there will be none, and the lock is held. */
static struct cio__job *next_job(cio_executor *executor, struct worker *self, bool woken)
{
    pthread_mutex_lock(&executor->lock);
    for (;;) {
        executor->waking &= !woken;
        struct cio__job *job = cio__job_take_first(executor);
        if (job) {
            int rc;
            __atomic_fetch_add(&executor->n_busy, 1, __ATOMIC_RELAXED);
            struct worker *idle = call_thread(executor, &rc);
            pthread_mutex_unlock(&executor->lock);
            if (idle)
                cio__unpark(&idle->parker);
            return job;
        }
        if (executor->stopped)
            return NULL;
        wait_idle(executor, self);
        woken = true;
    }
}

/*
 * A thread ends. Each joins the one that ended before it, so that one is left at any time, which
 * whoever waits for the executor's end joins.
 */
static void end_thread(cio_executor *executor)
{
    bool has_ended = executor->has_ended;
    pthread_t ended = executor->ended;
    executor->has_ended = true;
    executor->ended = pthread_self();
    struct cio__sleeper *sleepers = NULL;
    if (--executor->n_threads == 0)
        sleepers = cio__sleepers_take_all(&executor->sleepers);
    pthread_mutex_unlock(&executor->lock);
    if (has_ended)
        pthread_join(ended, NULL);
    cio__sleepers_wake(sleepers);
    cio__executor_release(executor);
}

static void name_thread(cio_executor *executor)
{
    char name[CIO__THREAD_NAME_SIZE + 16];
    pthread_mutex_lock(&executor->lock);
    snprintf(name, sizeof name, "%.11s-%d", executor->name, executor->n_started++);
    pthread_mutex_unlock(&executor->lock);
    cio__thread_set_name(name);
}

static void *work(void *arg)
{
    cio_executor *executor = arg;
    struct worker self = {0};
    name_thread(executor);
    struct cio__job *job = next_job(executor, &self, true);
    while (job) {
        if (!do_job(job))
            return NULL;
        job = next_job(executor, &self, false);
    }
    end_thread(executor);
    return NULL;
}

/* ---- jobs ---- */

/* With the lock held: queues the job. *idle: a thread to be unparked, or NULL. */
static int place(cio_executor *executor, struct cio__job *job, bool urgent, struct worker **idle)
{
    if (executor->stopped)
        return CIO_ESHUTDOWN;
    if (!urgent && executor->n_queued >= executor->max_queued)
        return -EAGAIN;
    int rc;
    append(executor, job);
    *idle = call_thread(executor, &rc);
    if (rc < 0 && executor->n_threads == 0) {
        unlink_queued(executor, job);
        return rc;
    }
    return 0;
}

int cio__job_submit(struct cio__job *job, cio_executor *executor, bool urgent)
{
    if (!executor && !(executor = cio__default_executor())) {
        drop_context(job);
        return cio_last_error();
    }
    job->executor = executor;
    job->loop = cio__running;
    struct worker *idle = NULL;
    cio__executor_hold(executor);
    cio__loop_hold(job->loop);
    pthread_mutex_lock(&executor->lock);
    int rc = place(executor, job, urgent, &idle);
    pthread_mutex_unlock(&executor->lock);
    if (rc < 0) {
        drop_context(job);
        cio__loop_release(job->loop);
        cio__executor_release(executor);
        return rc;
    }
    if (idle)
        cio__unpark(&idle->parker);
    job->tie.brings = true;
    cio__tie_add(job->loop, &job->tie);
    return 0;
}

bool cio__job_withdraw(struct cio__job *job)
{
    if (job->back)
        return false;
    cio_executor *executor = job->executor;
    pthread_mutex_lock(&executor->lock);
    bool queued = job->queued;
    if (queued)
        unlink_queued(executor, job);
    pthread_mutex_unlock(&executor->lock);
    if (!queued)
        return false;
    job->back = true;
    drop_context(job);
    cio__tie_remove(job->loop, &job->tie);
    cio__loop_release(job->loop);
    cio__executor_release(executor);
    return true;
}

void cio__job_arrived(void *arg)
{
    struct cio__job *job = arg;
    cio_executor *executor = job->executor;
    job->back = true;
    cio__tie_remove(job->loop, &job->tie);
    job->ended(job);
    cio__executor_release(executor);
}

void cio__job_dropped(void *arg)
{
    struct cio__job *job = arg;
    cio_executor *executor = job->executor;
    job->back = true;
    cio__tie_remove(job->loop, &job->tie);
    job->dropped(job);
    cio__executor_release(executor);
}

void cio__job_ask_to_end(struct cio__job *job)
{
    __atomic_store_n(&job->asked, true, __ATOMIC_RELEASE);
    cio__remote_cancel_call(job);
}

bool cio_job_cancelled(void)
{
    struct cio__job *job = cio__job_current;
    return job && __atomic_load_n(&job->asked, __ATOMIC_ACQUIRE);
}
