/* asyncio.Condition. */
#include <errno.h>
#include <limits.h>

#include "sync/waiters.h"

static inline cio_lock *lock_of(cio_condition *condition)
{
    return condition->lock ? condition->lock : &condition->own;
}

int cio_condition_acquire(cio_condition *condition)
{
    return cio_lock_acquire(condition ? lock_of(condition) : NULL);
}

int cio_condition_release(cio_condition *condition)
{
    return cio_lock_release(condition ? lock_of(condition) : NULL);
}

bool cio_condition_locked(const cio_condition *condition)
{
    return condition && cio_lock_locked(lock_of((cio_condition *)condition));
}

/* Whatever comes: who waited with the lock goes on with it. */
static int acquire_at_last(cio_lock *lock, bool *canceled)
{
    int rc;
    while ((rc = cio_lock_acquire(lock)) == CIO_ECANCELED)
        *canceled = true;
    return rc;
}

static void tell_condition(const struct cio__wait *wait, struct cio__tale *tale)
{
    cio__tell(tale, "condition %p", ((const struct cio__waiter *)wait)->object);
}

/*
 * A notification that reached a canceled waiter goes on to the next. (asyncio, since 3.13, wakes
 * one for every canceled waiter, notified or not.)
 */
static int wait_unlocked(cio_condition *condition, cio_lock *lock)
{
    static const struct cio__wait_kind kind = {.name = "cio_condition_wait",
                                               .tell = tell_condition};
    struct cio__waiter waiter = {.wait.kind = &kind, .object = condition};
    bool canceled = cio__waiters_wait(&condition->waiters, &waiter) < 0;
    int rc = acquire_at_last(lock, &canceled);
    if (canceled && waiter.woken)
        cio__waiters_wake_next(&condition->waiters);
    return rc == 0 && canceled ? CIO_ECANCELED : rc;
}

int cio_condition_wait(cio_condition *condition)
{
    if (!condition)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    cio_lock *lock = lock_of(condition);
    if (!lock->locked)
        return CIO_ESTATE;
    int rc = cio__waiters_check(&condition->waiters);
    if (rc == 0)
        rc = cio_lock_release(lock);
    return rc < 0 ? rc : wait_unlocked(condition, lock);
}

int cio_condition_wait_for(cio_condition *condition, int (*predicate)(void *arg), void *arg)
{
    if (!condition || !predicate)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    int found = predicate(arg);
    while (found == 0) {
        int rc = cio_condition_wait(condition);
        if (rc < 0)
            return rc;
        found = predicate(arg);
    }
    return found;
}

int cio_condition_notify(cio_condition *condition, int n)
{
    if (!condition || n < 0)
        return -EINVAL;
    if (!cio_condition_locked(condition))
        return CIO_ESTATE;
    int rc = cio__waiters_check_wake(&condition->waiters);
    if (rc < 0)
        return rc;
    int woken = 0;
    while (woken < n && cio__waiters_wake_next(&condition->waiters))
        woken++;
    return woken;
}

int cio_condition_notify_all(cio_condition *condition)
{
    return cio_condition_notify(condition, INT_MAX);
}

int cio_condition_destroy(cio_condition *condition)
{
    if (!condition)
        return -EINVAL;
    return cio__waiters_are_there(&condition->waiters) ? -EBUSY : cio_lock_destroy(&condition->own);
}
