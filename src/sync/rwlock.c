/*
 * A read-write lock with one line for readers and writers. Unlike a lock's, its release hands over:
 * who is next has it before it runs, as several may be let in at once.
 */
#include <errno.h>

#include "sync/waiters.h"

static void tell_holders(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_rwlock *lock = ((const struct cio__waiter *)wait)->object;
    if (lock->writing)
        cio__tell_holder(tale, "rwlock", lock, lock->writer, lock->writer_id);
    else
        cio__tell(tale, "rwlock %p, %zu read", (const void *)lock, lock->readers);
}

static const struct cio__wait_kind read_kind = {.name = "cio_rwlock_acquire_read",
                                                .tell = tell_holders};
static const struct cio__wait_kind write_kind = {.name = "cio_rwlock_acquire_write",
                                                 .tell = tell_holders};

/* What it may be taken as is told by the kind of the wait. */
static inline bool is_free_for(const cio_rwlock *lock, const struct cio__wait_kind *kind)
{
    return !lock->writing && (kind == &read_kind || lock->readers == 0);
}

static inline void take(cio_rwlock *lock, const struct cio__wait_kind *kind, cio_task *task)
{
    if (kind == &read_kind) {
        lock->readers++;
        return;
    }
    lock->writing = true;
    lock->writer = task;
    lock->writer_id = task ? task->id : 0;
}

static inline void give_back(cio_rwlock *lock, const struct cio__wait_kind *kind)
{
    if (kind == &read_kind)
        lock->readers--;
    else
        lock->writing = false;
}

/* Lets in those who are next, as far as they go together with those who are in. */
static void let_in(cio_rwlock *lock)
{
    struct cio__waiter *waiter;
    while ((waiter = cio__waiters_next(&lock->waiters)) && is_free_for(lock, waiter->wait.kind)) {
        take(lock, waiter->wait.kind, waiter->task);
        cio__waiter_wake(waiter);
    }
}

/* A canceled writer may have stood before readers who can go in now. */
static int wait_for(cio_rwlock *lock, const struct cio__wait_kind *kind)
{
    int rc = cio__waiters_check(&lock->waiters);
    if (rc < 0)
        return rc;
    struct cio__waiter waiter = {.wait.kind = kind, .object = lock};
    rc = cio__waiters_wait(&lock->waiters, &waiter);
    if (rc == 0)
        return 0;
    if (waiter.woken)
        give_back(lock, kind);
    let_in(lock);
    return rc;
}

static inline int acquire_nowait(cio_rwlock *lock, const struct cio__wait_kind *kind)
{
    if (!lock)
        return -EINVAL;
    if (!is_free_for(lock, kind) || (lock->waiters.first && cio__waiters_in_line(&lock->waiters)))
        return -EAGAIN;
    take(lock, kind, cio__current);
    return 0;
}

static inline int acquire(cio_rwlock *lock, const struct cio__wait_kind *kind)
{
    if (lock && !cio__current)
        return CIO_ENOTASK;
    int rc = acquire_nowait(lock, kind);
    return rc == -EAGAIN ? wait_for(lock, kind) : rc;
}

static inline int release(cio_rwlock *lock, const struct cio__wait_kind *kind)
{
    int rc = cio__waiters_check_wake(&lock->waiters);
    if (rc < 0)
        return rc;
    give_back(lock, kind);
    let_in(lock);
    return 0;
}

int cio_rwlock_acquire_read(cio_rwlock *lock)
{
    return acquire(lock, &read_kind);
}

int cio_rwlock_acquire_write(cio_rwlock *lock)
{
    return acquire(lock, &write_kind);
}

int cio_rwlock_acquire_read_nowait(cio_rwlock *lock)
{
    return acquire_nowait(lock, &read_kind);
}

int cio_rwlock_acquire_write_nowait(cio_rwlock *lock)
{
    return acquire_nowait(lock, &write_kind);
}

int cio_rwlock_release_read(cio_rwlock *lock)
{
    if (!lock)
        return -EINVAL;
    return lock->readers ? release(lock, &read_kind) : CIO_ESTATE;
}

int cio_rwlock_release_write(cio_rwlock *lock)
{
    if (!lock)
        return -EINVAL;
    return lock->writing ? release(lock, &write_kind) : CIO_ESTATE;
}

size_t cio_rwlock_readers(const cio_rwlock *lock)
{
    return lock ? lock->readers : 0;
}

bool cio_rwlock_writing(const cio_rwlock *lock)
{
    return lock && lock->writing;
}

int cio_rwlock_destroy(cio_rwlock *lock)
{
    if (!lock)
        return -EINVAL;
    bool busy = lock->readers || lock->writing || cio__waiters_are_there(&lock->waiters);
    return busy ? -EBUSY : 0;
}
