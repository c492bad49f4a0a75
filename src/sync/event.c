/* asyncio.Event. */
#include <errno.h>

#include "sync/waiters.h"

static void tell_event(const struct cio__wait *wait, struct cio__tale *tale)
{
    cio__tell(tale, "event %p", ((const struct cio__waiter *)wait)->object);
}

int cio_event_wait(cio_event *event)
{
    static const struct cio__wait_kind kind = {.name = "cio_event_wait", .tell = tell_event};
    if (!event)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (event->set)
        return 0;
    int rc = cio__waiters_check(&event->waiters);
    if (rc < 0)
        return rc;
    struct cio__waiter waiter = {.wait.kind = &kind, .object = event};
    return cio__waiters_wait(&event->waiters, &waiter);
}

int cio_event_set(cio_event *event)
{
    if (!event)
        return -EINVAL;
    if (event->set)
        return 0;
    int rc = cio__waiters_check_wake(&event->waiters);
    if (rc < 0)
        return rc;
    event->set = true;
    cio__waiters_wake_all(&event->waiters);
    return 0;
}

int cio_event_clear(cio_event *event)
{
    if (!event)
        return -EINVAL;
    event->set = false;
    return 0;
}

bool cio_event_is_set(const cio_event *event)
{
    return event && event->set;
}

int cio_event_destroy(cio_event *event)
{
    if (!event)
        return -EINVAL;
    return cio__waiters_are_there(&event->waiters) ? -EBUSY : 0;
}
