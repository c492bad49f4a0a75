/* A pool of threads. */
#include "io/executor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/mail.h"
#include "io/remote.h"
#include "os/memory.h"

#define THREADS_USUAL_MOST 32
#define THREADS_MOST 4096
#define QUEUED_USUAL 65536

/* A thread of the pool; it lies on that thread's stack. */
struct worker {
    struct worker *next_idle;
    struct cio__parker parker;
};

struct cio_executor {
    pthread_mutex_t lock;
    struct cio__job *first; /* queued */
    struct cio__job *last;
    size_t n_queued;
    size_t max_queued;
    struct worker *idle; /* the one that became so last comes first: it is still warm */
    int n_threads;
    int max_threads;
    bool waking;   /* a thread was woken or started, and has not looked into the queue yet */
    int n_started; /* for their names */
    bool stopped;
    bool has_ended; /* a thread has ended that nobody has joined yet */
    pthread_t ended;
    struct cio__sleepers sleepers; /* until the last thread has ended */
    size_t stack_size;
    uint32_t references;       /* atomic: the owner's, the threads', the jobs' */
    struct cio_executor *next; /* all of the process, for forked children */
    char name[CIO__THREAD_NAME_SIZE];
};

_Thread_local struct cio__job *cio__job_current;

static struct cio_executor *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;
static unsigned fork_generation;

/*
 * The child has none of the threads, so it begins anew; the queued jobs are the parent's. The chain
 * is whole at any moment, because it is changed by single stores.
 */
static void begin_anew_in_child(void)
{
    fork_generation++;
    pthread_mutex_init(&all_lock, NULL);
    for (cio_executor *executor = all; executor; executor = executor->next) {
        pthread_mutex_init(&executor->lock, NULL);
        executor->first = executor->last = NULL;
        executor->n_queued = 0;
        executor->idle = NULL;
        executor->n_threads = 0;
        executor->waking = false;
        executor->has_ended = false;
        executor->sleepers = (struct cio__sleepers){0};
        executor->references = 1;
    }
}

static void watch_forks(void)
{
    fork_error = cio__at_fork(begin_anew_in_child);
}

static void enlist(cio_executor *executor)
{
    pthread_mutex_lock(&all_lock);
    executor->next = all;
    __atomic_store_n(&all, executor, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&all_lock);
}

static void delist(cio_executor *executor)
{
    pthread_mutex_lock(&all_lock);
    cio_executor **place = &all;
    while (*place && *place != executor)
        place = &(*place)->next;
    if (*place)
        *place = executor->next;
    pthread_mutex_unlock(&all_lock);
}

static int check_options(const cio_executor_options *options)
{
    if (options->max_threads < 0 || options->max_threads > THREADS_MOST)
        return -EINVAL;
    if (options->stack_size && !cio__thread_stack_fits(options->stack_size))
        return -EINVAL;
    return 0;
}

static int usual_threads(void)
{
    int n = cio__processors() + 4;
    return n < THREADS_USUAL_MOST ? n : THREADS_USUAL_MOST;
}

cio_executor *cio_executor_new(const cio_executor_options *options)
{
    static const cio_executor_options defaults;
    if (!options)
        options = &defaults;
    pthread_once(&fork_once, watch_forks);
    int rc = fork_error ? fork_error : check_options(options);
    if (rc < 0)
        return cio__fail(rc);
    cio_executor *executor = cio__alloc(sizeof *executor);
    if (!executor)
        return cio__fail(-ENOMEM);
    memset(executor, 0, sizeof *executor);
    pthread_mutex_init(&executor->lock, NULL);
    executor->max_threads = options->max_threads ? options->max_threads : usual_threads();
    executor->max_queued = options->max_queued ? options->max_queued : QUEUED_USUAL;
    executor->stack_size = options->stack_size;
    executor->references = 1;
    snprintf(executor->name, sizeof executor->name, "%s", options->name ? options->name : "cio");
    enlist(executor);
    return executor;
}

int cio__executor_size(const cio_executor *executor)
{
    return executor->max_threads;
}

static void hold(cio_executor *executor)
{
    __atomic_fetch_add(&executor->references, 1, __ATOMIC_RELAXED);
}

/* The thread that ended last has nobody to join it if it is this very one. */
static void forget_ended(cio_executor *executor)
{
    if (!executor->has_ended)
        return;
    if (pthread_equal(executor->ended, pthread_self()))
        pthread_detach(executor->ended);
    else
        pthread_join(executor->ended, NULL);
}

static void release(cio_executor *executor)
{
    if (__atomic_fetch_sub(&executor->references, 1, __ATOMIC_ACQ_REL) > 1)
        return;
    delist(executor);
    forget_ended(executor);
    pthread_mutex_destroy(&executor->lock);
    cio__free(executor);
}

/* ---- the queue ---- */

static void append(cio_executor *executor, struct cio__job *job)
{
    job->queued = true;
    job->next = NULL;
    job->previous = executor->last;
    if (executor->last)
        executor->last->next = job;
    else
        executor->first = job;
    executor->last = job;
    executor->n_queued++;
}

static void unlink_queued(cio_executor *executor, struct cio__job *job)
{
    if (job->previous)
        job->previous->next = job->next;
    else
        executor->first = job->next;
    if (job->next)
        job->next->previous = job->previous;
    else
        executor->last = job->previous;
    job->queued = false;
    executor->n_queued--;
}

static struct cio__job *take_first(cio_executor *executor)
{
    struct cio__job *job = executor->first;
    if (job)
        unlink_queued(executor, job);
    return job;
}

/* ---- threads ---- */

/* The job goes home. It is not touched any more: it may be gone. */
static void send_back(struct cio__job *job)
{
    cio_loop *loop = job->loop;
    cio_executor *executor = job->executor;
    if (cio__mail(loop, &job->handle, cio__job_arrived, job) < 0) {
        job->orphaned(job);
        release(executor);
    }
    cio__loop_release(loop);
}

/* Returns false in a forked child, where this is no thread of the pool. */
static bool do_job(struct cio__job *job)
{
    unsigned generation = fork_generation;
    cio__job_current = job;
    int rc = job->fn(job->arg);
    cio__job_current = NULL;
    if (generation != fork_generation)
        return false;
    job->rc = rc;
    send_back(job);
    return true;
}

static void *work(void *executor);

static int start_thread(cio_executor *executor)
{
    hold(executor);
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
    if (executor->waking || !executor->first)
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

/* With the lock held, which it lets go meanwhile: until there may be a job. */
static void wait_idle(cio_executor *executor, struct worker *self)
{
    self->next_idle = executor->idle;
    executor->idle = self;
    pthread_mutex_unlock(&executor->lock);
    cio__park(&self->parker, INT64_MAX);
    pthread_mutex_lock(&executor->lock);
}

/* Waits for a job. NULL: there will be none, and the lock is held. */
static struct cio__job *next_job(cio_executor *executor, struct worker *self, bool woken)
{
    pthread_mutex_lock(&executor->lock);
    for (;;) {
        executor->waking &= !woken;
        struct cio__job *job = take_first(executor);
        if (job) {
            int rc;
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
    release(executor);
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
    if (!executor && !(executor = cio__default_executor()))
        return cio_last_error();
    job->executor = executor;
    job->loop = cio__running;
    struct worker *idle = NULL;
    hold(executor);
    cio__loop_hold(job->loop);
    pthread_mutex_lock(&executor->lock);
    int rc = place(executor, job, urgent, &idle);
    pthread_mutex_unlock(&executor->lock);
    if (rc < 0) {
        cio__loop_release(job->loop);
        release(executor);
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
    cio__tie_remove(job->loop, &job->tie);
    cio__loop_release(job->loop);
    release(executor);
    return true;
}

void cio__job_arrived(void *arg)
{
    struct cio__job *job = arg;
    cio_executor *executor = job->executor;
    job->back = true;
    cio__tie_remove(job->loop, &job->tie);
    job->ended(job);
    release(executor);
}

void cio__job_dropped(void *arg)
{
    struct cio__job *job = arg;
    cio_executor *executor = job->executor;
    job->back = true;
    cio__tie_remove(job->loop, &job->tie);
    job->dropped(job);
    release(executor);
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

/* ---- the end ---- */

void cio__executor_stop(cio_executor *executor, bool cancel)
{
    struct cio__job *canceled = NULL;
    pthread_mutex_lock(&executor->lock);
    executor->stopped = true;
    if (cancel) {
        canceled = executor->first;
        for (struct cio__job *job = canceled; job; job = job->next)
            job->queued = false;
        executor->first = executor->last = NULL;
        executor->n_queued = 0;
    }
    struct worker *idle = executor->idle;
    executor->idle = NULL;
    pthread_mutex_unlock(&executor->lock);
    while (idle) {
        struct worker *next = idle->next_idle;
        cio__unpark(&idle->parker);
        idle = next;
    }
    while (canceled) {
        struct cio__job *next = canceled->next;
        canceled->rc = CIO_ECANCELED;
        send_back(canceled);
        canceled = next;
    }
}

bool cio__executor_line_up(cio_executor *executor, struct cio__sleeper *sleeper)
{
    pthread_mutex_lock(&executor->lock);
    bool live = executor->n_threads > 0;
    if (live)
        cio__sleeper_line_up(sleeper, &executor->sleepers, &executor->lock);
    pthread_mutex_unlock(&executor->lock);
    return live;
}

bool cio__executor_line_up_call(cio_executor *executor, struct cio__sleeper *sleeper,
                                cio_loop *loop, cio_callback *fn, void *arg)
{
    pthread_mutex_lock(&executor->lock);
    bool live = executor->n_threads > 0;
    if (live)
        cio__sleeper_line_up_call(sleeper, &executor->sleepers, &executor->lock, loop, fn, arg);
    pthread_mutex_unlock(&executor->lock);
    return live;
}

void cio__executor_join(cio_executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    bool has_ended = executor->n_threads == 0 && executor->has_ended;
    pthread_t ended = executor->ended;
    if (has_ended)
        executor->has_ended = false;
    pthread_mutex_unlock(&executor->lock);
    if (has_ended)
        pthread_join(ended, NULL);
}

int cio_executor_shutdown(cio_executor *executor, unsigned flags)
{
    static const struct cio__wait_kind kind = {.name = "cio_executor_shutdown",
                                               .cancel = cio__sleeper_cancel};
    if (!executor || flags & ~(CIO_SHUTDOWN_CANCEL | CIO_SHUTDOWN_NOWAIT))
        return -EINVAL;
    bool wait = !(flags & CIO_SHUTDOWN_NOWAIT);
    if (wait && cio__job_current && cio__job_current->executor == executor)
        return CIO_EDEADLOCK;
    int rc = wait ? cio__sleeper_check() : 0;
    if (rc < 0)
        return rc;
    cio__executor_stop(executor, flags & CIO_SHUTDOWN_CANCEL);
    if (!wait)
        return 0;
    struct cio__sleeper sleeper;
    if (cio__executor_line_up(executor, &sleeper))
        rc = cio__sleeper_wait(&sleeper, &kind, CIO_FOREVER);
    if (rc == 0)
        cio__executor_join(executor);
    return rc;
}

int cio_executor_free(cio_executor *executor)
{
    if (!executor)
        return 0;
    cio__executor_stop(executor, false);
    release(executor);
    return 0;
}
