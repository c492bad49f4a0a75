/* asyncio.as_completed(). */
#include <cio/wait.h>

#include <errno.h>

#include "os/memory.h"
#include "task/members.h"
#include "task/tell.h"

/* The ended ones form a queue by their links, which their futures no longer use. */
static void child_ended(void *arg)
{
    struct cio__member *member = arg;
    cio_as_completed *it = member->owner;
    if (--it->unfinished == 0)
        cio_handle_cancel(&it->timer);
    member->link.next = NULL;
    if (it->done)
        it->done_last->link.next = &member->link;
    else
        it->done = member;
    it->done_last = member;
    if (it->waiter)
        cio__wake(it->waiter);
}

/* Those that have not ended are given up: nothing more is heard of them. */
static void time_over(void *arg)
{
    cio_as_completed *it = arg;
    it->timed_out = true;
    for (size_t i = 0; i < it->n; i++)
        cio__member_leave(&it->members[i]);
    if (it->waiter)
        cio__wake(it->waiter);
}

int cio_as_completed_init(cio_as_completed *it, cio_future *const *futures, size_t n,
                          double timeout)
{
    if (!it || timeout != timeout)
        return -EINVAL;
    *it = (cio_as_completed){0};
    int rc = cio__check_await_all(futures, n);
    if (rc < 0)
        return rc;
    if (n == 0)
        return 0;
    if (n > SIZE_MAX / sizeof *it->members)
        return -ENOMEM;
    it->members = cio__alloc(n * sizeof *it->members);
    if (!it->members)
        return -ENOMEM;
    if (timeout != CIO_FOREVER) {
        rc = cio_call_later(cio__running, &it->timer, timeout, time_over, it);
        if (rc < 0) {
            cio_as_completed_end(it);
            return rc;
        }
    }
    it->n = it->unfinished = n;
    for (size_t i = 0; i < n; i++)
        cio__member_listen(&it->members[i], futures[i], child_ended, it);
    return 0;
}

struct next_wait {
    struct cio__wait wait;
    cio_as_completed *it;
};

static void tell_unfinished(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_as_completed *it = ((const struct next_wait *)wait)->it;
    for (size_t i = 0; i < it->n; i++)
        if (it->members[i].link.list)
            cio__tell_future(tale, it->members[i].future);
    cio__tell(tale, "%zu of %zu left:", it->unfinished, it->n);
}

static int wait_for_next(cio_as_completed *it)
{
    static const struct cio__wait_kind kind = {.name = "cio_next_completed",
                                               .tell = tell_unfinished};
    int rc = 0;
    while (rc == 0 && !it->done && !it->timed_out) {
        struct next_wait waiting = {.wait.kind = &kind, .it = it};
        it->waiter = cio__current;
        rc = cio__wait(&waiting.wait);
        it->waiter = NULL;
    }
    return rc;
}

int cio_next_completed(cio_as_completed *it, cio_future **future)
{
    if (!it || !future)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (it->waiter)
        return CIO_ESTATE;
    if (it->given == it->n) {
        cio_as_completed_end(it);
        return 0;
    }
    int rc = wait_for_next(it);
    if (rc < 0)
        return rc;
    struct cio__member *member = it->done;
    if (!member) {
        cio_as_completed_end(it);
        return CIO_ETIMEDOUT;
    }
    it->done = (struct cio__member *)member->link.next;
    it->given++;
    *future = member->future;
    return 1;
}

void cio_as_completed_end(cio_as_completed *it)
{
    if (!it)
        return;
    cio_handle_cancel(&it->timer);
    for (size_t i = 0; i < it->n; i++)
        cio__member_leave(&it->members[i]);
    cio__free(it->members);
    *it = (cio_as_completed){0};
}
