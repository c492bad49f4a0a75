/*
 * Futures: results that are not there yet (asyncio.Future). A task is a future that a coroutine
 * completes: one opaque type, so every wait takes both.
 *
 * A future ends once: with a result (an int >= 0 and, if there is one, a void *), with an error (a
 * negative int) or canceled (its result then is CIO_ECANCELED).
 *
 * Ownership is pthread's: whoever made a future holds one reference and finishes it once, by
 * cio_await() or its kin, or by cio_detach(). Each further holder, for instance the one who will
 * set the result, takes a reference with cio_ref() and gives it back with cio_detach(). A future
 * that is never finished is reported when its loop closes.
 *
 * Futures are used in their loop's thread only.
 */
#ifndef CIO_FUTURE_H
#define CIO_FUTURE_H

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

typedef struct cio_future cio_future;
typedef struct cio_future cio_task;

/* A new pending future of the loop that runs in this thread. NULL: CIO_ENOLOOP or -ENOMEM. */
CIO_API cio_future *cio_future_new(void);

/*
 * The same for a loop that need not run yet (loop.create_future). NULL: -EINVAL, CIO_ECLOSED,
 * -ENOMEM.
 */
CIO_API cio_future *cio_create_future(cio_loop *loop);

/*
 * Completes a pending future (future.set_result): rc >= 0, value may be NULL and stays the
 * caller's. Its callbacks and waiters are queued, none runs inside this call. Returns 0; CIO_ESTATE
 * if it is done already or is a task; CIO_ECLOSED; -EINVAL for NULL or rc < 0.
 */
CIO_API int cio_set_result(cio_future *future, int rc, void *value);

/*
 * Completes it with an error, rc < 0 (future.set_exception). CIO_ECANCELED cancels it, as an int
 * cannot be both. Returns as above.
 */
CIO_API int cio_set_error(cio_future *future, int rc);

CIO_API bool cio_done(const cio_future *future); /* result, error or canceled; false for NULL */
CIO_API bool cio_cancelled(const cio_future *future); /* ended canceled; false for NULL */

/*
 * How it ended: its result, its error, or CIO_ECANCELED (future.result, future.exception). An error
 * that was looked at counts as known. CIO_ESTATE if it is not done, -EINVAL for NULL.
 */
CIO_API int cio_result(cio_future *future);

/* The value that it ended with; NULL if it has none, is not done, or for NULL. */
CIO_API void *cio_result_value(const cio_future *future);

/*
 * Asks for its end (future.cancel, task.cancel). A pending future ends canceled at once. A task
 * gets CIO_ECANCELED, once, from the wait in which it stands, or from its next wait; it may clean
 * up and may even go on. What it stands in cio_await() or cio_gather() for is canceled with it; the
 * other waits end alone. A task not yet begun never runs its function. Returns 1, or 0 if it was
 * already done, or -EINVAL for NULL, or CIO_ECLOSED.
 */
CIO_API int cio_cancel(cio_future *future);

/*
 * Takes one more reference and returns future (NULL for NULL); it buys one more cio_await() or
 * cio_detach().
 */
CIO_API cio_future *cio_ref(cio_future *future);

/*
 * Gives a reference back without waiting: a task runs on. If the last reference goes and nobody has
 * seen the error that it ended or will end with, the exception handler hears of it. NULL does
 * nothing. Returns 0, or CIO_ESTATE for a handle that was finished before.
 */
CIO_API int cio_detach(cio_future *future);

/* The loop it belongs to (future.get_loop); NULL for NULL. */
CIO_API cio_loop *cio_get_loop(const cio_future *future);

typedef void cio_done_fn(cio_future *future, void *arg);

/* A callback's place, owned by the caller like a cio_handle, to be zeroed before its first use. */
typedef struct cio_done_callback {
    cio_link link;
    cio_handle handle;
    cio_future *future;
    cio_done_fn *fn;
    void *arg;
} cio_done_callback;

/*
 * Calls fn(future, arg) by way of cio_call_soon() when it is done, or soon if it is already
 * (future.add_done_callback). Callbacks run in the order in which they were added; the future lives
 * at least until its callbacks have run. Returns 0, -EINVAL for NULLs, CIO_ESTATE if the place is
 * in use, CIO_ECLOSED. The callback does not mark an error as known: call cio_result().
 */
CIO_API int cio_add_done_callback(cio_future *future, cio_done_callback *callback, cio_done_fn *fn,
                                  void *arg);

/* Takes it back, also if it is already queued. Returns 1 if it was to be called, 0 if not. */
CIO_API int cio_remove_done_callback(cio_done_callback *callback);

CIO_END

#endif
