/* asyncio.gather(). */
#include <errno.h>

#include <cio/wait.h>

#include "task/members.h"

struct gather {
    struct cio__wait wait;
    struct cio__members members;
    cio_task *waiter;
    size_t unfinished;
    bool return_errors;
    bool cancel_requested;
    bool done;
    int rc;
};

static void end(struct gather *gather, int rc)
{
    gather->done = true;
    gather->rc = rc;
    cio__wake(gather->waiter);
}

static void child_ended(void *arg)
{
    struct cio__member *member = arg;
    struct gather *gather = member->owner;
    gather->unfinished--;
    if (gather->done)
        return;
    if (!gather->return_errors && member->future->rc < 0)
        end(gather, member->future->rc);
    else if (gather->unfinished == 0)
        end(gather, gather->cancel_requested ? CIO_ECANCELED : 0);
}

/* A cancellation goes to all children, and the wait goes on until their ends decide it. */
static bool cancel_children(struct cio__wait *wait)
{
    struct gather *gather = (struct gather *)wait;
    bool any = false;
    if (gather->done)
        return false;
    for (size_t i = 0; i < gather->members.n; i++)
        any |= cio_cancel(gather->members.places[i].future) == 1;
    gather->cancel_requested |= any;
    return any;
}

static void tell_children(const struct cio__wait *wait, struct cio__tale *tale)
{
    cio__members_tell(&((const struct gather *)wait)->members, tale);
}

static void hand_over(cio_future *const *futures, size_t n, cio_result_pair *results)
{
    for (size_t i = 0; results && i < n; i++) {
        bool done = futures[i]->state != CIO__PENDING;
        results[i].rc = done ? futures[i]->rc : CIO_ESTATE;
        results[i].value = done ? futures[i]->value : NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (unlikely(futures[i]->state == CIO__FREE))
            continue;             /* somebody finished it, or it stands twice with one reference */
        futures[i]->known = true; /* also of an error to come */
        cio__unref(futures[i]);
    }
}

int cio_gather_into(cio_future *const *futures, size_t n, unsigned flags, cio_result_pair *results)
{
    int rc = cio__check_await_all(futures, n);
    if (rc < 0)
        return rc;
    if (flags & ~CIO_RETURN_ERRORS)
        return -EINVAL;
    if (n == 0)
        return 0;

    static const struct cio__wait_kind kind = {
        .name = "cio_gather", .cancel = cancel_children, .tell = tell_children};
    struct gather gather = {.wait.kind = &kind,
                            .waiter = cio__current,
                            .unfinished = n,
                            .return_errors = flags & CIO_RETURN_ERRORS};
    rc = cio__members_listen(&gather.members, futures, n, child_ended, &gather);
    if (rc < 0)
        return rc;
    rc = cio__wait(&gather.wait);
    cio__members_leave(&gather.members);
    hand_over(futures, n, results);
    return rc < 0 ? rc : gather.rc;
}

int cio_gather(cio_future *const *futures, size_t n, unsigned flags)
{
    return cio_gather_into(futures, n, flags, NULL);
}
