/*
 * Tasks (asyncio's "Coroutines and Tasks"): functions with a stack of their own that run, on one
 * thread, until they wait. A coroutine is int fn(void *arg); it returns >= 0 or a negative error.
 * One that returns CIO_ECANCELED ends canceled.
 */
#ifndef CIO_TASK_H
#define CIO_TASK_H

#include <cio/export.h>
#include <cio/future.h>

CIO_BEGIN

typedef int cio_coroutine(void *arg);

typedef struct cio_task_options {
    const char *name;  /* copied; NULL: "Task-N" */
    size_t stack_size; /* usable bytes, 4 KiB .. 1 GiB, rounded up to pages; 0: the loop's */
    bool eager; /* if its loop runs: begin inside the call, until the first wait (eager_start) */
    cio_loop *loop;              /* NULL: the loop that runs in this thread */
    struct cio_context *context; /* runs in it, not in a copy of the current one; outlives it */
    int priority; /* enum cio_priority; 0: the normal class, whatever that of its creator is */
} cio_task_options;

/*
 * Starts fn(arg) as a task (asyncio.create_task): it is queued, and first runs when the caller next
 * waits. The caller owns the handle: cio_await(), cio_detach() or their kin finish it. arg must
 * outlive the task. The stack is taken when the task first runs; if it cannot be had the task ends
 * with CIO_ENOSTACK. NULL on failure, cio_last_error() says why: CIO_ENOLOOP, -ENOMEM, -EINVAL for
 * a NULL fn, a stack size out of bounds or a priority that is none, CIO_ECLOSED, CIO_ESHADOWSTACK;
 * fn then was not called and will not be.
 */
CIO_API cio_task *cio_create_task(cio_coroutine *fn, void *arg);
CIO_API cio_task *cio_create_task_with(const cio_task_options *options, cio_coroutine *fn,
                                       void *arg);

/*
 * Waits until it is done, drops your reference and returns how it ended. A value is left in *value
 * by the second form (NULL if there is none). At once if it is already done.
 *
 * Canceled meanwhile: the cancellation is passed on to what is awaited, and the await goes on until
 * that has ended (use cio_shield() to prevent it). The reference is dropped in every case but
 * these, in which nothing happens: -EINVAL for NULL, CIO_ENOTASK outside a task, CIO_ESELF for the
 * current task, CIO_EWRONGLOOP for another loop's future, CIO_ESTATE for a handle that was finished
 * before (or by another task while this one waited). The last is found out only until the handle's
 * place has been given to a new task: do not rely on it.
 */
CIO_API int cio_await(cio_future *future);
CIO_API int cio_await_value(cio_future *future, void **value);

/*
 * Ends a coroutine with a value: return cio_return(rc, value). Returns rc. rc < 0 stores no value.
 */
CIO_API int cio_return(int rc, void *value);

/*
 * Waits for so many seconds, never less (asyncio.sleep). Zero or less is cio_yield(); CIO_FOREVER
 * waits until canceled. Returns 0; CIO_ECANCELED (total: its timer is gone); -EINVAL for NaN;
 * CIO_ENOTASK; -ENOMEM.
 */
CIO_API int cio_sleep(double seconds);

/*
 * Lets every other ready task run once (asyncio.sleep(0)). Returns 0, CIO_ECANCELED or CIO_ENOTASK.
 */
CIO_API int cio_yield(void);

/* The task that is running in this thread (asyncio.current_task), borrowed; NULL outside a task. */
CIO_API cio_task *cio_current_task(void);

/*
 * Calls fn(task, arg) for each task of the running loop that is not done, oldest first
 * (asyncio.all_tasks), until it returns false; fn may cancel, but not wait. fn may be NULL. Returns
 * how many it was called for (NULL: how many there are), or CIO_ENOLOOP.
 */
CIO_API int cio_all_tasks(bool (*fn)(cio_task *task, void *arg), void *arg);

/*
 * How many cancellations are requested and not taken back (task.cancelling). 0 for a plain future.
 */
CIO_API int cio_cancelling(const cio_task *task);

/*
 * Takes one request back and returns how many remain (task.uncancel). At 0 a cancellation that was
 * not delivered yet is forgotten.
 */
CIO_API int cio_uncancel(cio_task *task);

/*
 * Puts the task into a class (enum cio_priority, which says what that means for its steps): from the
 * next time on that it becomes ready. No asyncio counterpart. Returns 0; -EINVAL for NULL, a plain
 * future or a priority that is none; CIO_ESTATE if it is done; CIO_ECLOSED; -ENOMEM.
 */
CIO_API int cio_set_priority(cio_task *task, int priority);

/* Its class. CIO_PRIORITY_NORMAL for NULL and plain futures. */
CIO_API int cio_get_priority(const cio_task *task);

/* Its name (task.get_name), for as long as the task lives and is not renamed. "?" for NULL. */
CIO_API const char *cio_get_name(const cio_task *task);

/* Renames it; the name is copied. Returns 0, -EINVAL for NULLs or a plain future, -ENOMEM. */
CIO_API int cio_set_name(cio_task *task, const char *name);

CIO_END

#endif
