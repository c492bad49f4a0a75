/* Who holds what a task waits for. */
#include "sync/sync.h"
#include "sync/waiters.h"

cio_task *cio__wait_holder(const struct cio__wait *wait, const void **object)
{
    *object = NULL;
    if (wait->kind == &cio__lock_acquire) {
        const cio_lock *lock = ((const struct cio__waiter *)wait)->object;
        *object = lock;
        return cio_lock_owner(lock);
    }
    if (wait->kind == &cio__rwlock_acquire_read || wait->kind == &cio__rwlock_acquire_write) {
        const cio_rwlock *lock = ((const struct cio__waiter *)wait)->object;
        *object = lock;
        return lock->writing ? cio__live_task(lock->writer, lock->writer_id) : NULL;
    }
    return NULL;
}
