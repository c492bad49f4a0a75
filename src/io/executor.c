/* Executors: their making, their end, and what a fork does to them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/pool.h"
#include "os/memory.h"
#include "task/tell.h"

#define THREADS_USUAL_MOST 32
#define THREADS_MOST 4096
#define QUEUED_USUAL 65536

unsigned cio__executor_forks;
static struct cio_executor *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

/*
 * The child has none of the threads, so it begins anew; the queued jobs are the parent's. The chain
 * is whole at any moment, because it is changed by single stores.
 */
static void begin_anew_in_child(void)
{
    cio__executor_forks++;
    pthread_mutex_init(&all_lock, NULL);
    for (cio_executor *executor = all; executor; executor = executor->next) {
        pthread_mutex_init(&executor->lock, NULL);
        cio__ring_init(&executor->queue);
        executor->n_queued = 0;
        executor->idle = NULL;
        executor->n_threads = 0;
        executor->n_busy = 0;
        executor->waking = false;
        executor->spinning = false;
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
    cio__ring_init(&executor->queue);
    executor->max_threads = options->max_threads ? options->max_threads : usual_threads();
    executor->max_queued = options->max_queued ? options->max_queued : QUEUED_USUAL;
    executor->stack_size = options->stack_size;
    executor->references = 1;
    snprintf(executor->name, sizeof executor->name, "%s", options->name ? options->name : "cio");
    enlist(executor);
    return executor;
}

const char *cio__executor_name(const cio_executor *executor)
{
    return executor->name;
}

int cio__executor_size(const cio_executor *executor)
{
    return executor->max_threads;
}

bool cio__executor_is_busy(const cio_executor *executor)
{
    return __atomic_load_n(&executor->n_busy, __ATOMIC_ACQUIRE) > 0;
}

void cio__executor_hold(cio_executor *executor)
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

void cio__executor_release(cio_executor *executor)
{
    if (__atomic_fetch_sub(&executor->references, 1, __ATOMIC_ACQ_REL) > 1)
        return;
    delist(executor);
    forget_ended(executor);
    pthread_mutex_destroy(&executor->lock);
    cio__free(executor);
}

/* ---- the end ---- */

void cio__executor_stop(cio_executor *executor, bool cancel)
{
    cio_ring canceled;
    struct cio__job *job;
    cio__ring_init(&canceled);
    pthread_mutex_lock(&executor->lock);
    executor->stopped = true;
    while (cancel && (job = cio__job_take_first(executor)))
        cio__ring_append(&canceled, &job->place);
    struct worker *idle = executor->idle;
    executor->idle = NULL;
    pthread_mutex_unlock(&executor->lock);
    while (idle) {
        struct worker *next = idle->next_idle;
        cio__unpark(&idle->parker);
        idle = next;
    }
    while (!cio__ring_empty(&canceled)) {
        job = (struct cio__job *)canceled.next;
        cio__ring_remove(&job->place);
        cio__job_send_back_undone(job);
    }
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

/*
 * If there are no threads, whoever has lined up is woken all the same: in a loop that is mail, which
 * comes after the jobs that the threads have sent home before they ended.
 */
static void lined_up(cio_executor *executor)
{
    struct cio__sleeper *sleepers = NULL;
    if (executor->n_threads == 0)
        sleepers = cio__sleepers_take_all(&executor->sleepers);
    pthread_mutex_unlock(&executor->lock);
    cio__sleepers_wake(sleepers);
}

void cio__executor_line_up_call(cio_executor *executor, struct cio__sleeper *sleeper,
                                cio_loop *loop, cio_callback *fn, void *arg)
{
    pthread_mutex_lock(&executor->lock);
    cio__sleeper_line_up_call(sleeper, &executor->sleepers, &executor->lock, loop, fn, arg);
    lined_up(executor);
}

int cio__executor_wait(cio_executor *executor, const struct cio__wait_kind *kind, double seconds)
{
    struct cio__sleeper sleeper;
    pthread_mutex_lock(&executor->lock);
    cio__sleeper_line_up(&sleeper, &executor->sleepers, &executor->lock);
    lined_up(executor);
    int rc = cio__sleeper_wait(&sleeper, kind, seconds);
    if (rc == 0)
        cio__executor_join(executor);
    return rc;
}

static void tell_shutdown(const struct cio__wait *wait, struct cio__tale *tale)
{
    (void)wait;
    cio__tell(tale, "the end of an executor's threads");
}

int cio_executor_shutdown(cio_executor *executor, unsigned flags)
{
    static const struct cio__wait_kind kind = {
        .name = "cio_executor_shutdown", .cancel = cio__sleeper_cancel, .tell = tell_shutdown};
    if (!executor || flags & ~(CIO_SHUTDOWN_CANCEL | CIO_SHUTDOWN_NOWAIT))
        return -EINVAL;
    bool wait = !(flags & CIO_SHUTDOWN_NOWAIT);
    if (wait && cio__job_current && cio__job_current->executor == executor)
        return CIO_EDEADLOCK;
    int rc = wait ? cio__sleeper_check() : 0;
    if (rc < 0)
        return rc;
    cio__executor_stop(executor, flags & CIO_SHUTDOWN_CANCEL);
    return wait ? cio__executor_wait(executor, &kind, CIO_FOREVER) : 0;
}

int cio_executor_free(cio_executor *executor)
{
    if (!executor)
        return 0;
    cio__executor_stop(executor, false);
    cio__executor_release(executor);
    return 0;
}
