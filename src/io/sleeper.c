/* Waiting for other threads, in a thread or in a task. */
#include "io/sleeper.h"

#include <sched.h>

#include <cio/timeout.h>

#include "io/mail.h"

int cio__sleeper_check(void)
{
    return cio__running && !cio__current ? CIO_ENOTASK : 0;
}

static void append(struct cio__sleepers *list, struct cio__sleeper *sleeper)
{
    sleeper->listed = true;
    sleeper->list = list;
    sleeper->next = NULL;
    sleeper->previous = list->last;
    if (list->last)
        list->last->next = sleeper;
    else
        list->first = sleeper;
    list->last = sleeper;
}

static void unlink_listed(struct cio__sleeper *sleeper)
{
    struct cio__sleepers *list = sleeper->list;
    if (sleeper->previous)
        sleeper->previous->next = sleeper->next;
    else
        list->first = sleeper->next;
    if (sleeper->next)
        sleeper->next->previous = sleeper->previous;
    else
        list->last = sleeper->previous;
    sleeper->listed = false;
}

/* Leaves the list by itself. False: it was taken already, and will be woken. */
static bool leave(struct cio__sleeper *sleeper)
{
    pthread_mutex_lock(sleeper->lock);
    bool listed = sleeper->listed;
    if (listed)
        unlink_listed(sleeper);
    pthread_mutex_unlock(sleeper->lock);
    sleeper->left = listed;
    return listed;
}

/* The same for a task. */
static bool leave_task(struct cio__sleeper *sleeper)
{
    if (!leave(sleeper))
        return false;
    cio__tie_remove(sleeper->loop, &sleeper->tie);
    cio__loop_release(sleeper->loop);
    return true;
}

/*
 * The loop is closed under a task that waits: its frame will go. Whoever is about to wake it finds
 * the loop closed, and is let finish first.
 */
static void cut(struct cio__tie *tie)
{
    struct cio__sleeper *self = (struct cio__sleeper *)((char *)tie -
                                                        offsetof(struct cio__sleeper, tie));
    if (!leave_task(self))
        while (!__atomic_load_n(&self->lost, __ATOMIC_ACQUIRE))
            sched_yield();
    if (self->abandoned)
        self->abandoned(self);
}

void cio__sleeper_woken(void *sleeper)
{
    struct cio__sleeper *self = sleeper;
    cio__tie_remove(self->loop, &self->tie);
    cio__wake(self->task);
}

void cio__sleeper_dropped(void *sleeper)
{
    __atomic_store_n(&((struct cio__sleeper *)sleeper)->lost, true, __ATOMIC_RELEASE);
}

void cio__sleeper_line_up(struct cio__sleeper *sleeper, struct cio__sleepers *list,
                          pthread_mutex_t *lock)
{
    *sleeper = (struct cio__sleeper){.task = cio__current, .loop = cio__running, .lock = lock};
    sleeper->handle.fn = cio__sleeper_woken;
    sleeper->handle.arg = sleeper;
    append(list, sleeper);
    if (!sleeper->task)
        return;
    sleeper->tie = (struct cio__tie){.cut = cut, .brings = true};
    cio__tie_add(sleeper->loop, &sleeper->tie);
    cio__loop_hold(sleeper->loop);
}

void cio__sleeper_line_up_call(struct cio__sleeper *sleeper, struct cio__sleepers *list,
                               pthread_mutex_t *lock, cio_loop *loop, cio_callback *fn, void *arg)
{
    *sleeper = (struct cio__sleeper){.loop = loop, .lock = lock};
    sleeper->handle.fn = fn;
    sleeper->handle.arg = arg;
    append(list, sleeper);
    cio__loop_hold(loop);
}

void cio__sleeper_leave_call(struct cio__sleeper *sleeper)
{
    if (leave_task(sleeper))
        return;
    while (!cio__handle_is_queued(&sleeper->handle)) {
        sched_yield(); /* it was taken already, and is being woken */
        cio__inbox_drain(sleeper->loop);
    }
    cio_handle_cancel(&sleeper->handle);
}

struct cio__sleeper *cio__sleepers_take(struct cio__sleepers *list)
{
    struct cio__sleeper *first = list->first;
    if (first) {
        unlink_listed(first);
        first->next = NULL;
    }
    return first;
}

struct cio__sleeper *cio__sleepers_take_all(struct cio__sleepers *list)
{
    struct cio__sleeper *chain = list->first;
    for (struct cio__sleeper *sleeper = chain; sleeper; sleeper = sleeper->next)
        sleeper->listed = false;
    *list = (struct cio__sleepers){0};
    return chain;
}

void cio__sleeper_wake(struct cio__sleeper *sleeper)
{
    cio_loop *loop = sleeper->loop;
    if (!loop) {
        cio__unpark(&sleeper->parker);
        return;
    }
    cio_handle *handle = &sleeper->handle;
    if (cio__mail(loop, handle, handle->fn, handle->arg) < 0)
        cio__sleeper_dropped(sleeper);
    cio__loop_release(loop);
}

void cio__sleepers_wake(struct cio__sleeper *chain)
{
    while (chain) {
        struct cio__sleeper *next = chain->next;
        cio__sleeper_wake(chain);
        chain = next;
    }
}

bool cio__sleeper_cancel(struct cio__wait *wait)
{
    struct cio__sleeper *sleeper = ((struct cio__sleeper_wait *)wait)->sleeper;
    if (wait->canceled || !leave_task(sleeper))
        return false; /* it has ended; the task has not noticed yet */
    wait->canceled = true;
    cio__wake(sleeper->task);
    return true;
}

static int wait_in_thread(struct cio__sleeper *sleeper, double seconds)
{
    int64_t deadline_ns = INT64_MAX;
    if (seconds < CIO_FOREVER)
        deadline_ns = cio__deadline_after_ns(cio__monotonic_ns(), seconds);
    if (cio__park(&sleeper->parker, deadline_ns))
        return 0;
    if (leave(sleeper))
        return CIO_ETIMEDOUT;
    cio__park(&sleeper->parker, INT64_MAX); /* on its way */
    return 0;
}

static int wait_in_task(struct cio__sleeper *sleeper, const struct cio__wait_kind *kind,
                        double seconds)
{
    struct cio__sleeper_wait waiting = {.wait.kind = kind, .sleeper = sleeper};
    cio_timeout timeout;
    int rc = seconds < CIO_FOREVER ? cio_timeout_enter(&timeout, seconds) : 0;
    if (rc < 0 && leave_task(sleeper))
        return rc; /* no memory for the timer */
    if (rc < 0)
        return cio__wait(&waiting.wait);
    rc = cio__wait(&waiting.wait);
    return seconds < CIO_FOREVER ? cio_timeout_exit(&timeout, rc) : rc;
}

int cio__sleeper_wait(struct cio__sleeper *sleeper, const struct cio__wait_kind *kind,
                      double seconds)
{
    return sleeper->task ? wait_in_task(sleeper, kind, seconds) : wait_in_thread(sleeper, seconds);
}
