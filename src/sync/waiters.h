/*
 * Tasks that wait for one thing, in the order in which they came. Every primitive and every queue
 * stands on this list; none of them allocates to wait, as a waiter lies in the waiting frame.
 *
 *     struct cio__waiter waiter = {.wait.kind = &kind, .object = thing};
 *     int rc = cio__waiters_check(&thing->waiters);
 *     if (rc == 0)
 *         rc = cio__waiters_wait(&thing->waiters, &waiter);
 *     if (rc < 0 && waiter.woken)
 *         ...pass on what it had been handed: it was woken, and canceled before it ran
 *
 * A waiter is in the list from its wait to its wake; one that was canceled stays until its task
 * runs, or until somebody looks for the next to be woken. A woken one does not touch the list
 * again: whoever woke it may let go of the list at once. A wake queues the task's own handle, as
 * the end of asyncio's futures does, so that it resumes in the same turn as there.
 *
 * Whoever wakes asks cio__waiters_check_wake() first.
 */
#ifndef CIO_SYNC_WAITERS_H
#define CIO_SYNC_WAITERS_H

#include <cio/sync.h>

#include "task/task.h"
#include "task/tell.h"

struct cio__waiter {
    struct cio__wait wait;     /* first; .canceled: a cancellation came before a wake could */
    struct cio__waiters *list; /* NULL: in none */
    struct cio__waiter *next;
    struct cio__waiter *previous;
    cio_task *task;
    const void *object; /* the public struct that is waited for, for those who look at the task */
    void *arg;          /* the primitive's own */
    bool woken;         /* what it waits for was handed to it */
};

int cio__waiters_check_slowly(struct cio__waiters *list);
int cio__waiters_check_wake_slowly(struct cio__waiters *list);
bool cio__waiters_in_line_slowly(const struct cio__waiters *list);

/*
 * Whether the current task may wait here, and binds the list to its loop. Returns 0, CIO_ENOTASK,
 * or CIO_EWRONGLOOP if tasks of another loop have waited here and that loop is not closed yet.
 */
static inline int cio__waiters_check(struct cio__waiters *list)
{
    if (likely(cio__current && list->loop_id == cio__running->id))
        return 0;
    return cio__waiters_check_slowly(list);
}

/*
 * Whether those who wait here may be woken by the caller: 0, or CIO_EWRONGLOOP if they belong to
 * another loop than the one that runs here. A list that nobody waits in is anybody's.
 */
static inline int cio__waiters_check_wake(struct cio__waiters *list)
{
    if (likely(!list->first || (cio__running && cio__running->id == list->loop_id)))
        return 0;
    return cio__waiters_check_wake_slowly(list);
}

/* Whether a newcomer must queue: somebody waits and is not canceled, or was woken and counted. */
static inline bool cio__waiters_in_line(const struct cio__waiters *list)
{
    if (likely(list->woken && cio__running && cio__running->id == list->loop_id))
        return true;
    return cio__waiters_in_line_slowly(list);
}

/* task if it is one of these that is not done, and still the one with this id; else NULL. */
cio_task *cio__live_task(const struct cio__tasks *tasks, cio_task *task, uint64_t id);

/* Tells of an object that one task holds, which may have ended since. */
void cio__tell_holder(struct cio__tale *tale, const char *what, const void *object, cio_task *task,
                      uint64_t id);

/* Whether the list may not go: somebody is in it, canceled or not, or was woken and counted. */
bool cio__waiters_are_there(const struct cio__waiters *list);

static inline void cio__waiters_append(struct cio__waiters *list, struct cio__waiter *waiter)
{
    waiter->list = list;
    waiter->next = NULL;
    waiter->previous = list->last;
    if (list->last)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
}

/* Takes it out of its list; nothing if it is in none. */
static inline void cio__waiter_remove(struct cio__waiter *waiter)
{
    struct cio__waiters *list = waiter->list;
    if (!list)
        return;
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        list->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        list->last = waiter->previous;
    waiter->list = NULL;
}

/*
 * Waits behind all others until woken or canceled; after cio__waiters_check() said yes. Returns 0
 * or CIO_ECANCELED. In the latter case waiter->woken tells whether it had been woken already.
 */
static inline int cio__waiters_wait(struct cio__waiters *list, struct cio__waiter *waiter)
{
    waiter->task = cio__current;
    waiter->woken = false;
    cio__waiters_append(list, waiter);
    int rc = cio__wait(&waiter->wait);
    cio__waiter_remove(waiter);
    return rc;
}

/*
 * The one who has waited longest and is not canceled, NULL if there is none. Those who are canceled
 * go out of the list on the way, so that nobody passes by them twice.
 */
static inline struct cio__waiter *cio__waiters_next(struct cio__waiters *list)
{
    while (unlikely(list->first && list->first->wait.canceled))
        cio__waiter_remove(list->first);
    return list->first;
}

/*
 * Hands it what it waits for. It must be in the list and not canceled. As cio__wake(), but its loop
 * is the one that runs here, if one does: to look that up by way of a task that was parked just now
 * would hold up what follows.
 */
static inline void cio__waiter_wake(struct cio__waiter *waiter)
{
    cio_loop *loop = likely(cio__running != NULL) ? cio__running : waiter->task->step.loop;
    cio__waiter_remove(waiter);
    waiter->woken = true;
    if (cio__handle_state(&waiter->task->step) == CIO__IDLE)
        cio__ready_push(&loop->ready, &waiter->task->step);
}

/* Wakes the next. False: there is none. */
static inline bool cio__waiters_wake_next(struct cio__waiters *list)
{
    struct cio__waiter *waiter = cio__waiters_next(list);
    if (!waiter)
        return false;
    cio__waiter_wake(waiter);
    return true;
}

/* Wakes all, in order, and says how many. */
static inline size_t cio__waiters_wake_all(struct cio__waiters *list)
{
    size_t n = 0;
    while (cio__waiters_wake_next(list))
        n++;
    return n;
}

#endif
