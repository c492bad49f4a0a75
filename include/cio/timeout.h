/*
 * Timeouts as scopes (asyncio.timeout, asyncio.timeout_at):
 *
 *     cio_timeout t;
 *     int rc = cio_timeout_enter(&t, 1.5);
 *     if (rc < 0)
 *         return rc;
 *     rc = several(waits);
 *     rc = cio_timeout_exit(&t, rc);
 *
 * When the time is over the task is canceled; the exit turns that cancellation, and no other, into
 * CIO_ETIMEDOUT. Scopes nest; each must be exited, in reverse order, by the task that entered it,
 * before the frame that holds it returns: the loop's timers point to it.
 */
#ifndef CIO_TIMEOUT_H
#define CIO_TIMEOUT_H

#include <cio/export.h>
#include <cio/future.h>

CIO_BEGIN

typedef struct cio_timeout {
    cio_handle handle;
    cio_task *task;
    double when;
    int cancelling; /* the task's requests when it entered */
    int state;
} cio_timeout;

/*
 * Enters a scope that ends in so many seconds; CIO_FOREVER: no end yet. Zero or less: the task is
 * canceled at its first wait. t needs no initialisation. Returns 0, -EINVAL for NULL or NaN,
 * CIO_ENOTASK, -ENOMEM; then the scope is not entered.
 */
CIO_API int cio_timeout_enter(cio_timeout *t, double seconds);

/* The same for a time of cio_time() (asyncio.timeout_at). */
CIO_API int cio_timeout_enter_at(cio_timeout *t, double when);

/*
 * Leaves it. rc is what the body ended with: returned as it is, but CIO_ETIMEDOUT if this scope
 * expired, rc is CIO_ECANCELED and nobody else canceled the task. -EINVAL for NULL; CIO_ESTATE if
 * it was not entered or by another task.
 */
CIO_API int cio_timeout_exit(cio_timeout *t, int rc);

/*
 * Sets a new end, a time of cio_time() (Timeout.reschedule). Returns 0, -EINVAL for NULL or NaN,
 * CIO_ESTATE once it has expired or was left.
 */
CIO_API int cio_timeout_reschedule(cio_timeout *t, double when);

CIO_API double cio_timeout_when(const cio_timeout *t);  /* CIO_FOREVER: no end; NaN for NULL */
CIO_API bool cio_timeout_expired(const cio_timeout *t); /* its time came before its exit */

CIO_END

#endif
