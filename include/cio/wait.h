/*
 * Waiting for several things (asyncio's gather, wait, as_completed, wait_for, shield). All return
 * CIO_ENOTASK outside a task, CIO_EWRONGLOOP if a future belongs to another loop, CIO_ESELF if one
 * is the current task, CIO_ESTATE if one was finished before (see cio_await()), -EINVAL for NULL
 * where something is needed: then nothing has happened and no reference was dropped. cio_gather()
 * and cio_wait() allocate for more than 16 futures, cio_map() for each of its tasks,
 * cio_as_completed_init() always, and a timeout may: -ENOMEM has the same promise.
 */
#ifndef CIO_WAIT_H
#define CIO_WAIT_H

#include <cio/export.h>
#include <cio/future.h>
#include <cio/task.h>

CIO_BEGIN

/*
 * cio_gather()'s flag: wait for all, take errors and cancellations as results (return_exceptions).
 */
#define CIO_RETURN_ERRORS 1u

/* How one future ended. */
typedef struct cio_result_pair {
    int rc;
    void *value;
} cio_result_pair;

/*
 * Waits for n futures together and drops your reference to each (asyncio.gather). The same future
 * may stand there twice if you hold two references. n = 0 returns 0 at once.
 *
 * Without flags: 0 when all succeed; the first error, as soon as it happens, a canceled one
 * counting as CIO_ECANCELED. The others then run on, and their later errors count as known. With
 * CIO_RETURN_ERRORS: 0 when all are done. Canceled meanwhile: all are canceled; CIO_ECANCELED as
 * soon as the first of them has ended so, or, with CIO_RETURN_ERRORS or if they all go on, when all
 * have ended. -EINVAL for unknown flags.
 */
CIO_API int cio_gather(cio_future *const *futures, size_t n, unsigned flags);

/* The same, and results[i] tells how futures[i] ended; CIO_ESTATE in rc if it has not. */
CIO_API int cio_gather_into(cio_future *const *futures, size_t n, unsigned flags,
                            cio_result_pair *results);

typedef enum cio_return_when {
    CIO_ALL_COMPLETED,
    CIO_FIRST_COMPLETED,
    CIO_FIRST_ERROR, /* FIRST_EXCEPTION: a canceled future does not count as an error */
} cio_return_when;

/*
 * Waits until all, one, or one error of n futures is there, or the time is over (asyncio.wait),
 * then reorders futures so that the done ones come first, each part in its old order. Returns how
 * many are done. Drops no reference and cancels nothing, neither at the timeout nor when canceled
 * itself (CIO_ECANCELED, total: the order is unchanged). timeout in seconds or CIO_FOREVER; NaN and
 * n = 0 are -EINVAL.
 */
CIO_API int cio_wait(cio_future **futures, size_t n, cio_return_when when, double timeout);

/* asyncio.as_completed: an iterator over futures in the order of their completion. */
typedef struct cio_as_completed {
    struct cio__member *members; /* a place for each future */
    struct cio__member *done;    /* ended and not given out: the first, the last */
    struct cio__member *done_last;
    size_t n;
    size_t unfinished;
    size_t given;
    cio_task *waiter; /* who waits in cio_next_completed() */
    cio_handle timer;
    bool timed_out;
} cio_as_completed;

/*
 * Prepares it: all are given out within timeout seconds, or CIO_FOREVER. The futures stay yours,
 * and the array is not kept. Allocates. Returns 0, -EINVAL, -ENOMEM, CIO_ENOTASK, CIO_EWRONGLOOP.
 */
CIO_API int cio_as_completed_init(cio_as_completed *it, cio_future *const *futures, size_t n,
                                  double timeout);

/*
 * Waits for the next one and leaves it in *future, done, for you to cio_await(). Returns 1; 0 after
 * the last; CIO_ETIMEDOUT; CIO_ECANCELED (total); CIO_ESTATE if another task waits in it. After 0
 * or CIO_ETIMEDOUT the iterator is ended.
 */
CIO_API int cio_next_completed(cio_as_completed *it, cio_future **future);

/* Ends it early; nothing is canceled. Ending twice does nothing. */
CIO_API void cio_as_completed_end(cio_as_completed *it);

/*
 * Calls fn(arg) in the current task with a limit in seconds (asyncio.wait_for on a coroutine, as in
 * 3.12 and later). When the time is over fn is canceled, and waited for: CIO_ETIMEDOUT, or what it
 * returns if it is not CIO_ECANCELED. seconds <= 0: CIO_ETIMEDOUT, fn is not called. CIO_FOREVER:
 * no limit. Its own errors, before fn is called: -EINVAL for NaN, -ENOMEM, CIO_ENOTASK.
 */
CIO_API int cio_wait_for(cio_coroutine *fn, void *arg, double seconds);

/*
 * The same for a task or future that exists: canceled and waited for when the time is over
 * (asyncio.wait_for on a future). Drops your reference as cio_await() does, and passes a
 * cancellation on like it. seconds <= 0: its result if it is done.
 */
CIO_API int cio_await_for(cio_future *future, double seconds);

/*
 * Awaits it without passing a cancellation on (await asyncio.shield(f)): canceled meanwhile, it
 * returns CIO_ECANCELED at once and the future runs on, detached. Drops your reference in every
 * case: take one with cio_ref() to wait for it again.
 */
CIO_API int cio_shield(cio_future *future);

/*
 * Calls fn(&items[i]) for each of n items of the given size, each in a task of its own group, at
 * most `concurrency` at a time, in order of start. Returns 0, or the first error, after which the
 * other calls were canceled and waited for and no further one started. Canceled: as a group.
 * concurrency 0 is -EINVAL. No asyncio counterpart.
 */
CIO_API int cio_map(cio_coroutine *fn, void *items, size_t n, size_t size, size_t concurrency);

CIO_END

#endif
