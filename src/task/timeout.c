/* asyncio.timeout() and what is made of it. */
#include <cio/timeout.h>

#include <errno.h>

#include <cio/wait.h>

#include "task/task.h"

/* The numbers are unlikely in a struct that was never entered. */
enum state {
    ENTERED = 0x7101,
    EXPIRING = 0x7102, /* the task was canceled, and has not left yet */
    EXPIRED = 0x7103,
    EXITED = 0x7104,
};

static void time_over(void *arg)
{
    cio_timeout *t = arg;
    t->state = EXPIRING;
    cio_cancel(t->task);
}

/* A time that has come is handed to the next turn, so that the body runs until its first wait. */
static int arm(cio_timeout *t, double when)
{
    cio_loop *loop = t->task->step.loop;
    t->when = when;
    if (when == CIO_FOREVER)
        return 0;
    if (when <= cio_time(loop))
        return cio_call_soon(loop, &t->handle, time_over, t);
    return cio_call_at(loop, &t->handle, when, time_over, t);
}

int cio_timeout_enter_at(cio_timeout *t, double when)
{
    if (!t || when != when)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    *t = (cio_timeout){.task = cio__current, .cancelling = cio__current->cancel_requests};
    int rc = arm(t, when);
    if (rc == 0)
        t->state = ENTERED;
    return rc;
}

int cio_timeout_enter(cio_timeout *t, double seconds)
{
    if (!cio__current)
        return t && seconds == seconds ? CIO_ENOTASK : -EINVAL;
    return cio_timeout_enter_at(t, cio_time(cio__running) + seconds);
}

int cio_timeout_exit(cio_timeout *t, int rc)
{
    if (!t)
        return -EINVAL;
    if ((t->state != ENTERED && t->state != EXPIRING) || t->task != cio__current)
        return CIO_ESTATE;
    cio_handle_cancel(&t->handle);
    if (t->state == ENTERED) {
        t->state = EXITED;
        return rc;
    }
    t->state = EXPIRED;
    bool only_ours = cio_uncancel(t->task) <= t->cancelling;
    return only_ours && rc == CIO_ECANCELED ? CIO_ETIMEDOUT : rc;
}

int cio_timeout_reschedule(cio_timeout *t, double when)
{
    if (!t || when != when)
        return -EINVAL;
    if (t->state != ENTERED)
        return CIO_ESTATE;
    double before = t->when;
    cio_handle_cancel(&t->handle);
    int rc = arm(t, when);
    if (rc < 0) {
        /* The place that was just given up in the heap is free: this cannot fail. */
        arm(t, before);
    }
    return rc;
}

double cio_timeout_when(const cio_timeout *t)
{
    return t ? t->when : (double)NAN;
}

bool cio_timeout_expired(const cio_timeout *t)
{
    return t && (t->state == EXPIRING || t->state == EXPIRED);
}

int cio_wait_for(cio_coroutine *fn, void *arg, double seconds)
{
    if (!fn || seconds != seconds)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (seconds <= 0)
        return CIO_ETIMEDOUT;
    cio_timeout t;
    int rc = cio_timeout_enter(&t, seconds);
    return rc < 0 ? rc : cio_timeout_exit(&t, fn(arg));
}

/* The time is over before it began: what has not ended is canceled and waited for. */
static int await_no_longer(cio_future *future)
{
    cio_cancel(future);
    int rc = cio_await(future);
    return rc == CIO_ECANCELED ? CIO_ETIMEDOUT : rc;
}

int cio_await_for(cio_future *future, double seconds)
{
    int rc = cio__check_await(future);
    if (rc < 0)
        return rc;
    if (seconds != seconds)
        return -EINVAL;
    if (cio_done(future))
        return cio_await(future);
    if (seconds <= 0)
        return await_no_longer(future);
    cio_timeout t;
    rc = cio_timeout_enter(&t, seconds);
    return rc < 0 ? rc : cio_timeout_exit(&t, cio_await(future));
}
