/*
 * Calls from other threads and from signal handlers. Each pushes its handle on a stack, by a
 * compare-and-exchange; the loop takes the whole stack by one exchange and turns it over. A wake is
 * written only while the loop sleeps, and only by the first who finds it asleep.
 */
#include <errno.h>
#include <sched.h>

#include "loop/loop.h"

/* What stands in the inbox of a closed loop: no mail can be put on it. */
static cio_handle no_more;

static bool push(cio_loop *loop, cio_handle *handle)
{
    cio_handle *newest = __atomic_load_n(&loop->inbox.newest, __ATOMIC_RELAXED);
    do {
        if (newest == &no_more)
            return false;
        handle->next = newest;
    } while (!__atomic_compare_exchange_n(&loop->inbox.newest, &newest, handle, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return true;
}

/*
 * The first poster that finds the loop asleep wakes it; until it has, the loop does not go on, so
 * that what the wake needs is still there.
 */
static void wake(cio_loop *loop)
{
    uint8_t sleeping = CIO__ASLEEP;
    if (!__atomic_compare_exchange_n(&loop->inbox.sleep, &sleeping, CIO__BEING_WOKEN, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    __atomic_fetch_add(&loop->counts.shown.wakes, 1, __ATOMIC_RELAXED);
    loop->os->ops->wake(loop->os);
    __atomic_store_n(&loop->inbox.sleep, CIO__AWAKE, __ATOMIC_RELEASE);
}

void cio__inbox_wake(cio_loop *loop)
{
    if (__atomic_load_n(&loop->inbox.sleep, __ATOMIC_SEQ_CST) == CIO__ASLEEP)
        wake(loop);
}

bool cio__inbox_sleep(cio_loop *loop)
{
    /* An exchange and not a store: as cheap, and emulators order it before the load below. */
    (void)__atomic_exchange_n(&loop->inbox.sleep, CIO__ASLEEP, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&loop->inbox.newest, __ATOMIC_SEQ_CST) == NULL;
}

void cio__inbox_awake(cio_loop *loop)
{
    uint8_t sleeping = CIO__ASLEEP;
    if (__atomic_compare_exchange_n(&loop->inbox.sleep, &sleeping, CIO__AWAKE, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
        return;
    while (__atomic_load_n(&loop->inbox.sleep, __ATOMIC_ACQUIRE) == CIO__BEING_WOKEN)
        sched_yield();
}

/*
 * The poster stores the handle, then reads `sleep`; the loop stores `sleep`, then reads the inbox.
 * In a sequentially consistent order one of the two sees the other, so no wake is lost.
 */
static int post(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg, bool with_vars)
{
    if (__atomic_load_n(&loop->closed, __ATOMIC_ACQUIRE))
        return CIO_ECLOSED;
    uint8_t idle = CIO__IDLE;
    if (!__atomic_compare_exchange_n(&handle->state, &idle, CIO__INBOX, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return CIO_ESTATE;
    handle->fn = fn;
    handle->arg = arg;
    handle->loop = loop;
    handle->hint = with_vars ? cio__vars_hint(handle, 0) : handle;
    if (!push(loop, handle)) {
        CIO__FORGET_VARS(handle);
        cio__handle_set_state(handle, CIO__IDLE);
        return CIO_ECLOSED;
    }
    cio__inbox_wake(loop);
    return 0;
}

int cio__post(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg)
{
    return post(loop, handle, fn, arg, false);
}

int cio_call_soon_threadsafe(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg)
{
    return loop && handle && fn ? post(loop, handle, fn, arg, true) : -EINVAL;
}

static cio_handle *reversed(cio_handle *newest)
{
    cio_handle *oldest = NULL;
    while (newest) {
        cio_handle *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void take(cio_loop *loop, cio_handle *leave)
{
    cio_handle *newest = __atomic_exchange_n(&loop->inbox.newest, leave, __ATOMIC_ACQUIRE);
    uint64_t n = 0;
    for (cio_handle *handle = reversed(newest); handle; n++) {
        cio_handle *next = handle->next;
        cio__ready_push(&loop->ready, handle);
        handle = next;
    }
    cio__count(&loop->counts.shown.posts, n);
}

void cio__inbox_drain(cio_loop *loop)
{
    take(loop, NULL);
}

void cio__inbox_close(cio_loop *loop)
{
    take(loop, &no_more);
}
