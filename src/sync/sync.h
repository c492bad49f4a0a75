/* What others may know of the primitives: who holds what a task waits for. */
#ifndef CIO_SYNC_SYNC_H
#define CIO_SYNC_SYNC_H

#include <cio/sync.h>

#include "task/task.h"

/* The waits that end when one certain task does something: its .object has an owner. */
extern const struct cio__wait_kind cio__lock_acquire;
extern const struct cio__wait_kind cio__rwlock_acquire_read;
extern const struct cio__wait_kind cio__rwlock_acquire_write;

/*
 * The task that must give something back for this wait of the running loop to end, NULL if that is
 * no one task or not known. *object is the public struct that is waited for, NULL if it is none.
 */
cio_task *cio__wait_holder(const struct cio__wait *wait, const void **object);

/* task if it is one of the running loop's that is not done, and the one with this id; else NULL. */
cio_task *cio__live_task(cio_task *task, uint64_t id);

#endif
