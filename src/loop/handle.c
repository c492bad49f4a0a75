/* Scheduling and canceling single calls. */
#include <errno.h>

#include "loop/loop.h"
#include "loop/signals.h"

int cio__check_call(const cio_loop *loop, const cio_handle *handle, cio_callback *fn)
{
    if (unlikely(!loop || !handle || !fn))
        return -EINVAL;
    int rc = cio__check_open(loop);
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(cio__handle_state(handle) != CIO__IDLE))
        return CIO_ESTATE;
    return 0;
}

static void fill(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg)
{
    handle->fn = fn;
    handle->arg = arg;
    handle->loop = loop;
    handle->hint = cio__vars_hint(handle, 0);
}

int cio_call_soon(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg)
{
    int rc = cio__check_call(loop, handle, fn);
    if (rc < 0)
        return rc;
    fill(loop, handle, fn, arg);
    cio__ready_push_last(&loop->ready, handle);
    return 0;
}

/* A new earliest deadline may be past already: then it is due in the next turn, as in asyncio. */
int cio__call_at_ns(cio_loop *loop, cio_handle *handle, int64_t when_ns)
{
    handle->when_ns = when_ns;
    int rc = cio__timers_add(&loop->timers, handle);
    if (rc == 0 && handle->slot == 0)
        cio__stop_by(loop, 0);
    return rc;
}

int cio_handle_set_priority(cio_loop *loop, cio_handle *handle, int priority)
{
    if (!loop || !handle || cio__check_priority(priority) < 0)
        return -EINVAL;
    if (loop->closed)
        return CIO_ECLOSED;
    if (cio__handle_state(handle) != CIO__IDLE)
        return CIO_ESTATE;
    int rc = priority == CIO_PRIORITY_NORMAL ? 0 : cio__lanes_use_classes(loop);
    if (rc == 0)
        handle->priority = (int8_t)priority;
    return rc;
}

static int fill_and_call_at(cio_loop *loop, cio_handle *handle, int64_t when_ns, cio_callback *fn,
                            void *arg)
{
    fill(loop, handle, fn, arg);
    int rc = cio__call_at_ns(loop, handle, when_ns);
    if (rc < 0)
        CIO__FORGET_VARS(handle);
    return rc;
}

int cio_call_later(cio_loop *loop, cio_handle *handle, double delay, cio_callback *fn, void *arg)
{
    int rc = cio__check_call(loop, handle, fn);
    if (rc < 0)
        return rc;
    if (delay != delay)
        return -EINVAL;
    int64_t when_ns = cio__deadline_after_ns(cio__now_ns(loop), delay);
    return fill_and_call_at(loop, handle, when_ns, fn, arg);
}

int cio_call_at(cio_loop *loop, cio_handle *handle, double when, cio_callback *fn, void *arg)
{
    int rc = cio__check_call(loop, handle, fn);
    if (rc < 0)
        return rc;
    if (when != when)
        return -EINVAL;
    return fill_and_call_at(loop, handle, cio__deadline_ns(when), fn, arg);
}

static bool unwatch(cio_loop *loop, const cio_handle *handle)
{
    int64_t what = handle->when_ns;
    if (what < 0)
        return cio__signal_unwatch(loop, (int)-what) == 1;
    return cio__file_unwatch(loop, (int)(what / 2), what % 2) == 1;
}

bool cio_handle_cancel(cio_handle *handle)
{
    if (!handle || cio__handle_state(handle) == CIO__IDLE)
        return false;
    cio_loop *loop = handle->loop;
    unsigned state = cio__handle_state(handle);
    if (state & CIO__WATCH)
        return unwatch(loop, handle);
    if (state == CIO__INBOX)
        cio__inbox_drain(loop);
    if (state == CIO__TIMER)
        cio__timers_remove(&loop->timers, handle);
    else
        cio__ready_remove(&loop->ready, handle);
    CIO__FORGET_VARS(handle);
    cio__handle_set_state(handle, CIO__IDLE);
    return true;
}

bool cio_handle_pending(const cio_handle *handle)
{
    return handle && cio__handle_state(handle) != CIO__IDLE;
}

double cio_handle_when(const cio_handle *handle)
{
    if (!handle || cio__handle_state(handle) != CIO__TIMER)
        return NAN;
    return handle->when_ns == CIO__NEVER ? CIO_FOREVER : (double)handle->when_ns * 1e-9;
}
