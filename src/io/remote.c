/* asyncio.run_coroutine_threadsafe(): tasks that other threads start and wait for. */
#include "io/remote.h"

#include <errno.h>

#include "io/mail.h"
#include "os/memory.h"
#include "task/tell.h"

struct cio_remote {
    pthread_mutex_t lock;
    struct cio__sleepers sleepers; /* until it is done */
    bool done;                     /* atomic: set under the lock, with what follows */
    int rc;
    void *value;
    uint32_t references; /* atomic: the owner's, the loop's, those of requests to cancel */
    bool detached;       /* atomic */
    cio_loop *loop;      /* held */
    cio_coroutine *fn;
    void *arg;
    cio_handle begin;
    cio_handle ask;

    /* The loop's thread's. */
    cio_task *task;
    cio_done_callback callback;
    struct cio__tie tie;

    /* Where a job waits for it, and the job's loop is this one. */
    struct cio__job *job;
    struct cio_remote *next;          /* in loop->calls */
    const struct cio__job *waits_for; /* the task waits in cio_to_thread() */
};

static void hold(cio_remote *remote)
{
    __atomic_fetch_add(&remote->references, 1, __ATOMIC_RELAXED);
}

static void release(cio_remote *remote)
{
    if (__atomic_fetch_sub(&remote->references, 1, __ATOMIC_ACQ_REL) > 1)
        return;
    cio__loop_release(remote->loop);
    pthread_mutex_destroy(&remote->lock);
    cio__free(remote);
}

/* ---- in the loop ---- */

static void enlist_call(cio_remote *remote)
{
    if (!remote->job)
        return;
    remote->job->call = remote;
    remote->next = remote->loop->calls;
    remote->loop->calls = remote;
}

static void delist_call(cio_remote *remote)
{
    if (!remote->job)
        return;
    remote->job->call = NULL;
    cio_remote **place = &remote->loop->calls;
    while (*place != remote)
        place = &(*place)->next;
    *place = remote->next;
}

/* Tells those who wait, and drops the loop's reference. */
static void finish(cio_remote *remote, int rc, void *value)
{
    pthread_mutex_lock(&remote->lock);
    remote->rc = rc;
    remote->value = rc < 0 ? NULL : value;
    __atomic_store_n(&remote->done, true, __ATOMIC_RELEASE);
    struct cio__sleeper *sleepers = cio__sleepers_take_all(&remote->sleepers);
    pthread_mutex_unlock(&remote->lock);
    cio__sleepers_wake(sleepers);
    release(remote);
}

/* An error that nobody will ask for goes to the exception handler, by way of the task's end. */
static void task_ended(cio_future *task, void *arg)
{
    cio_remote *remote = arg;
    cio__tie_remove(remote->loop, &remote->tie);
    delist_call(remote);
    remote->task = NULL;
    int rc = task->rc;
    void *value = task->value;
    if (!__atomic_load_n(&remote->detached, __ATOMIC_ACQUIRE))
        task->known = true;
    cio__unref(task);
    finish(remote, rc, value);
}

/* The loop is closed: a task that has not ended never will. */
static void cut(struct cio__tie *tie)
{
    cio_remote *remote = (cio_remote *)((char *)tie - offsetof(cio_remote, tie));
    if (remote->task->state != CIO__PENDING) {
        cio_remove_done_callback(&remote->callback);
        task_ended(remote->task, remote);
        return;
    }
    delist_call(remote);
    cio_remove_done_callback(&remote->callback);
    cio__unref(remote->task);
    remote->task = NULL;
    finish(remote, CIO_ECLOSED, NULL);
}

static int start_task(cio_remote *remote)
{
    cio_loop *loop = remote->loop;
    if (loop->tasks && loop->tasks->shutting_down)
        return CIO_ESHUTDOWN;
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, remote->fn,
                                          remote->arg);
    if (!task)
        return cio_last_error();
    remote->task = task;
    cio_add_done_callback(task, &remote->callback, task_ended, remote);
    remote->tie.cut = cut;
    cio__tie_add(loop, &remote->tie);
    enlist_call(remote);
    if (remote->job && __atomic_load_n(&remote->job->asked, __ATOMIC_ACQUIRE))
        cio_cancel(task); /* the job's own waiter was canceled before it called */
    return 0;
}

void cio__remote_begin(void *arg)
{
    int rc = start_task(arg);
    if (rc < 0)
        finish(arg, rc, NULL);
}

void cio__remote_begin_dropped(void *arg)
{
    finish(arg, CIO_ECLOSED, NULL);
}

void cio__remote_ask_to_cancel(void *arg)
{
    cio_remote *remote = arg;
    if (remote->task)
        cio_cancel(remote->task);
    release(remote);
}

void cio__remote_ask_dropped(void *arg)
{
    release(arg);
}

void cio__remote_cancel_call(struct cio__job *job)
{
    if (job->call)
        cio_cancel(job->call->task);
}

static cio_remote *call_of_current_task(void)
{
    cio_remote *call = cio__running->calls;
    while (call && call->task != cio__current)
        call = call->next;
    return call;
}

static bool is_stuck(const cio_remote *call, const cio_executor *executor)
{
    return call->waits_for && call->waits_for->executor == executor &&
           call->job->executor == executor;
}

bool cio__remote_would_deadlock(struct cio__job *job)
{
    const cio_executor *executor = job->executor;
    cio_remote *own = cio__running->calls ? call_of_current_task() : NULL;
    if (!own)
        return false;
    own->waits_for = job;
    int n_stuck = 0;
    for (const cio_remote *call = cio__running->calls; call; call = call->next)
        n_stuck += is_stuck(call, executor);
    return n_stuck >= cio__executor_size(executor);
}

void cio__remote_waits_no_more(const struct cio__job *job)
{
    for (cio_remote *call = cio__running->calls; call; call = call->next)
        if (call->waits_for == job)
            call->waits_for = NULL;
}

/* ---- in other threads ---- */

static cio_remote *make(cio_loop *loop, cio_coroutine *fn, void *arg)
{
    cio_remote *remote = cio__alloc(sizeof *remote);
    if (!remote)
        return cio__fail(-ENOMEM);
    *remote = (cio_remote){.fn = fn, .arg = arg, .loop = loop, .references = 2};
    pthread_mutex_init(&remote->lock, NULL);
    cio__loop_hold(loop);
    return remote;
}

/* The loop that is meant: the job's if none is given. */
static cio_loop *meant(cio_loop *loop)
{
    return !loop && cio__job_current ? cio__job_current->loop : loop;
}

static int check_start(const cio_loop *loop, cio_coroutine *fn)
{
    if (!fn)
        return -EINVAL;
    if (!loop)
        return CIO_ENOLOOP;
    return cio__loop_inherited(loop) ? CIO_EFORKED : 0;
}

static cio_remote *start(cio_loop *loop, cio_coroutine *fn, void *arg, struct cio__job *job)
{
    int rc = check_start(loop, fn);
    if (rc < 0)
        return cio__fail(rc);
    cio_remote *remote = make(loop, fn, arg);
    if (!remote)
        return NULL;
    remote->job = job;
    rc = cio__mail_with_context(loop, &remote->begin, cio__remote_begin, remote);
    if (rc < 0) {
        remote->references = 1;
        release(remote);
        return cio__fail(rc);
    }
    return remote;
}

cio_remote *cio_run_threadsafe(cio_loop *loop, cio_coroutine *fn, void *arg)
{
    return start(meant(loop), fn, arg, NULL);
}

bool cio_remote_done(const cio_remote *remote)
{
    return remote && __atomic_load_n(&remote->done, __ATOMIC_ACQUIRE);
}

int cio_remote_result(const cio_remote *remote)
{
    if (!remote)
        return -EINVAL;
    return cio_remote_done(remote) ? remote->rc : CIO_ESTATE;
}

/* 0 if one may wait here, or need not. */
static int check_wait(const cio_remote *remote)
{
    if (!remote)
        return -EINVAL;
    if (cio_remote_done(remote))
        return 0;
    if (cio__running == remote->loop)
        return CIO_EDEADLOCK;
    if (cio__loop_inherited(remote->loop))
        return CIO_EFORKED;
    return cio__sleeper_check();
}

/* False: it is done. */
static bool line_up(cio_remote *remote, struct cio__sleeper *sleeper)
{
    pthread_mutex_lock(&remote->lock);
    bool pending = !remote->done;
    if (pending)
        cio__sleeper_line_up(sleeper, &remote->sleepers, &remote->lock);
    pthread_mutex_unlock(&remote->lock);
    return pending;
}

static void tell_remote(const struct cio__wait *wait, struct cio__tale *tale)
{
    (void)wait;
    cio__tell(tale, "a task of another loop");
}

int cio_remote_wait(cio_remote *remote, double seconds)
{
    static const struct cio__wait_kind kind = {
        .name = "cio_remote_wait", .cancel = cio__sleeper_cancel, .tell = tell_remote};
    int rc = seconds != seconds ? -EINVAL : check_wait(remote);
    if (rc < 0)
        return rc;
    struct cio__sleeper sleeper;
    return line_up(remote, &sleeper) ? cio__sleeper_wait(&sleeper, &kind, seconds) : 0;
}

int cio_remote_cancel(cio_remote *remote)
{
    if (!remote)
        return -EINVAL;
    if (cio_remote_done(remote))
        return 0;
    hold(remote);
    int rc = cio__mail(remote->loop, &remote->ask, cio__remote_ask_to_cancel, remote);
    if (rc < 0)
        release(remote);
    return rc == CIO_ECLOSED ? 0 : 1; /* CIO_ESTATE: it was asked for already */
}

static int finish_handle(cio_remote *remote, int rc, void **value)
{
    if (value)
        *value = rc < 0 ? NULL : remote->value;
    release(remote);
    return rc;
}

/* A task of another loop waits: it passes a cancellation on, and goes on waiting. */
struct join {
    struct cio__sleeper_wait waiting;
    cio_remote *remote;
};

static bool cancel_remote(struct cio__wait *wait)
{
    return cio_remote_cancel(((struct join *)wait)->remote) == 1;
}

int cio_remote_join_value(cio_remote *remote, void **value)
{
    static const struct cio__wait_kind kind = {
        .name = "cio_remote_join", .cancel = cancel_remote, .tell = tell_remote};
    int rc = check_wait(remote);
    if (rc < 0)
        return rc;
    struct cio__sleeper sleeper;
    if (!line_up(remote, &sleeper))
        return finish_handle(remote, remote->rc, value);
    if (sleeper.task) {
        struct join join = {.waiting = {.wait.kind = &kind, .sleeper = &sleeper}, .remote = remote};
        rc = cio__wait(&join.waiting.wait);
    } else {
        cio__park(&sleeper.parker, INT64_MAX);
    }
    return finish_handle(remote, rc < 0 ? rc : remote->rc, value);
}

int cio_remote_join(cio_remote *remote)
{
    return cio_remote_join_value(remote, NULL);
}

int cio_remote_detach(cio_remote *remote)
{
    if (!remote)
        return 0;
    __atomic_store_n(&remote->detached, true, __ATOMIC_RELEASE);
    release(remote);
    return 0;
}

int cio_call_threadsafe(cio_loop *loop, cio_coroutine *fn, void *arg)
{
    loop = meant(loop);
    int rc = check_start(loop, fn);
    if (rc < 0)
        return rc;
    if (loop == cio__running)
        return CIO_EDEADLOCK;
    rc = cio__sleeper_check();
    if (rc < 0)
        return rc;
    struct cio__job *job = cio__job_current;
    bool home = job && job->loop == loop && !cio__running;
    cio_remote *remote = start(loop, fn, arg, home ? job : NULL);
    return remote ? cio_remote_join(remote) : cio_last_error();
}
