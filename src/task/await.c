/* Waiting for one future; asyncio's await. */
#include <cio/wait.h>

#include <errno.h>

#include "task/task.h"
#include "task/tell.h"

/* An await hands a cancellation to what it waits for. */
struct await {
    struct cio__wait wait;
    cio_future *future;
};

int cio__check_await(const cio_future *future)
{
    if (unlikely(!future))
        return -EINVAL;
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(future == cio__current))
        return CIO_ESELF;
    if (unlikely(future->step.loop != cio__running))
        return CIO_EWRONGLOOP;
    if (unlikely(future->state == CIO__FREE))
        return CIO_ESTATE;
    return 0;
}

int cio__check_await_all(cio_future *const *futures, size_t n)
{
    if (!futures && n)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    for (size_t i = 0; i < n; i++) {
        int rc = cio__check_await(futures[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool cancel_awaited(struct cio__wait *wait)
{
    return cio_cancel(((struct await *)wait)->future) == 1;
}

static void tell_awaited(const struct cio__wait *wait, struct cio__tale *tale)
{
    cio__tell_future(tale, ((const struct await *)wait)->future);
}

static int wait_until_done(cio_future *future)
{
    static const struct cio__wait_kind kind = {
        .name = "cio_await", .cancel = cancel_awaited, .tell = tell_awaited};
    struct await await = {.wait.kind = &kind, .future = future};
    cio_link link;
    cio__future_listen(future, &link, &cio__current->step);
    int rc = cio__wait(&await.wait);
    cio__link_remove(&link);
    return rc;
}

/*
 * Two may wait with one reference between them, against the rules. Each holds the future while it
 * waits, so that the later one finds out, instead of dropping what is no longer theirs.
 */
static int finish_handle(cio_future *future, int rc)
{
    if (unlikely(future->references == 1))
        rc = CIO_ESTATE;
    else
        future->references--;
    cio__unref_in(cio__running, future);
    return rc;
}

int cio_await_value(cio_future *future, void **value)
{
    int rc = cio__check_await(future);
    if (unlikely(rc < 0))
        return rc;
    future->references++;
    if (future->state == CIO__PENDING)
        rc = wait_until_done(future);
    if (rc == 0)
        rc = future->rc;
    void *found = future->value;
    future->known = true;
    rc = finish_handle(future, rc);
    if (value)
        *value = rc < 0 ? NULL : found;
    return rc;
}

int cio_await(cio_future *future)
{
    return cio_await_value(future, NULL);
}

int cio_return(int rc, void *value)
{
    if (cio__current && rc >= 0)
        cio__current->value = value;
    return rc;
}

/* asyncio.shield(): the wait ends by a cancellation, the future does not. */
struct shield {
    struct cio__wait wait;
    cio_future *future;
    cio_link link;
    cio_handle handle;
    cio_task *waiter;
};

static void shielded_done(void *arg)
{
    cio__wake(((struct shield *)arg)->waiter);
}

static void tell_shielded(const struct cio__wait *wait, struct cio__tale *tale)
{
    cio__tell_future(tale, ((const struct shield *)wait)->future);
}

int cio_shield(cio_future *future)
{
    int rc = cio__check_await(future);
    if (rc < 0)
        return rc;
    if (future->state != CIO__PENDING)
        return cio_await(future);

    static const struct cio__wait_kind kind = {.name = "cio_shield", .tell = tell_shielded};
    struct shield shield = {.wait.kind = &kind, .future = future, .waiter = cio__current};
    shield.handle = (cio_handle){.fn = shielded_done, .arg = &shield, .loop = cio__running};
    future->references++;
    cio__future_listen(future, &shield.link, &shield.handle);
    rc = cio__wait(&shield.wait);
    cio__link_remove(&shield.link);
    cio_handle_cancel(&shield.handle);
    if (rc == 0) {
        rc = future->rc;
        future->known = true;
    }
    return finish_handle(future, rc);
}
