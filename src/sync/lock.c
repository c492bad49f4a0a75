/*
 * asyncio.Lock, to the letter: a release does not hand the lock over, it wakes the first who waits.
 * Newcomers queue until that one has run, so nobody takes it in between.
 */
#include <errno.h>

#include "sync/waiters.h"

static inline void take(cio_lock *lock, cio_task *task)
{
    lock->locked = true;
    lock->owner = task;
    lock->owner_id = task ? task->id : 0;
}

static inline bool is_idle(const cio_lock *lock)
{
    return !lock->locked && !lock->waiters.first && !lock->waiters.woken;
}

/*
 * If the first is canceled and has not run, nobody is woken, as in asyncio: it will come here when
 * it does.
 */
static void wake_first(cio_lock *lock)
{
    struct cio__waiters *waiters = &lock->waiters;
    if (!waiters->first || waiters->first->wait.canceled || waiters->woken)
        return;
    waiters->woken++;
    cio__waiter_wake(waiters->first);
}

static void tell_owner(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_lock *lock = ((const struct cio__waiter *)wait)->object;
    if (lock->locked)
        cio__tell_holder(tale, "lock", lock, lock->owner, lock->owner_id);
    else
        cio__tell(tale, "lock %p, free", (const void *)lock);
}

static int wait_for(cio_lock *lock)
{
    static const struct cio__wait_kind kind = {.name = "cio_lock_acquire", .tell = tell_owner};
    int rc = cio__waiters_check(&lock->waiters);
    if (rc < 0)
        return rc;
    struct cio__waiter waiter = {.wait.kind = &kind, .object = lock};
    rc = cio__waiters_wait(&lock->waiters, &waiter);
    if (waiter.woken)
        lock->waiters.woken--;
    if (unlikely(rc < 0 && !lock->locked))
        wake_first(lock);
    return rc;
}

static __attribute__((noinline)) int acquire_slowly(cio_lock *lock)
{
    if (!lock)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (lock->locked || cio__waiters_in_line(&lock->waiters)) {
        int rc = wait_for(lock);
        if (rc < 0)
            return rc;
    }
    take(lock, cio__current);
    return 0;
}

int cio_lock_acquire(cio_lock *lock)
{
    cio_task *task = cio__current;
    if (unlikely(!lock || !task || !is_idle(lock)))
        return acquire_slowly(lock);
    take(lock, task);
    return 0;
}

int cio_lock_acquire_nowait(cio_lock *lock)
{
    if (!lock)
        return -EINVAL;
    if (lock->locked || (!is_idle(lock) && cio__waiters_in_line(&lock->waiters)))
        return -EAGAIN;
    take(lock, cio__current);
    return 0;
}

static __attribute__((noinline)) int release_slowly(cio_lock *lock)
{
    int rc = cio__waiters_check_wake(&lock->waiters);
    if (rc < 0)
        return rc;
    lock->locked = false;
    lock->owner = NULL;
    wake_first(lock);
    return 0;
}

int cio_lock_release(cio_lock *lock)
{
    if (unlikely(!lock))
        return -EINVAL;
    if (unlikely(!lock->locked))
        return CIO_ESTATE;
    if (unlikely(lock->waiters.first != NULL))
        return release_slowly(lock);
    lock->locked = false;
    lock->owner = NULL;
    return 0;
}

bool cio_lock_locked(const cio_lock *lock)
{
    return lock && lock->locked;
}

cio_task *cio_lock_owner(const cio_lock *lock)
{
    struct cio__tasks *tasks = cio__running ? cio__running->tasks : NULL;
    return lock && lock->locked ? cio__live_task(tasks, lock->owner, lock->owner_id) : NULL;
}

int cio_lock_destroy(cio_lock *lock)
{
    if (!lock)
        return -EINVAL;
    return lock->locked || cio__waiters_are_there(&lock->waiters) ? -EBUSY : 0;
}
