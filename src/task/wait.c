/* asyncio.wait(). */
#include <cio/wait.h>

#include <errno.h>

#include "task/members.h"

struct waiting {
    struct cio__wait wait;
    struct cio__members members;
    cio_task *waiter;
    size_t unfinished;
    cio_return_when when;
    cio_handle timer;
};

static void child_ended(void *arg)
{
    struct cio__member *member = arg;
    struct waiting *waiting = member->owner;
    int rc = member->future->rc;
    waiting->unfinished--;
    if (waiting->unfinished == 0 || waiting->when == CIO_FIRST_COMPLETED ||
        (waiting->when == CIO_FIRST_ERROR && rc < 0 && rc != CIO_ECANCELED))
        cio__wake(waiting->waiter);
}

static void tell_children(const struct cio__wait *wait, struct cio__tale *tale)
{
    cio__members_tell(&((const struct waiting *)wait)->members, tale);
}

static void time_over(void *arg)
{
    cio__wake(arg);
}

/* Done ones first, each part in its old order, which the members still have. Returns how many. */
static int sort_done_first(const struct cio__members *members, cio_future **futures)
{
    size_t place = 0;
    size_t done;
    for (size_t i = 0; i < members->n; i++)
        if (members->places[i].future->state != CIO__PENDING)
            futures[place++] = members->places[i].future;
    done = place;
    for (size_t i = 0; i < members->n; i++)
        if (members->places[i].future->state == CIO__PENDING)
            futures[place++] = members->places[i].future;
    return (int)done;
}

/* Without a child that ended or a timer that came, the wait ends by a cancellation only. */
static int wait_for_children(struct waiting *waiting, double timeout)
{
    if (timeout != CIO_FOREVER) {
        int rc = cio_call_later(cio__running, &waiting->timer, timeout, time_over, waiting->waiter);
        if (rc < 0)
            return rc;
    }
    int rc = cio__wait(&waiting->wait);
    cio_handle_cancel(&waiting->timer);
    return rc;
}

int cio_wait(cio_future **futures, size_t n, cio_return_when when, double timeout)
{
    int rc = cio__check_await_all(futures, n);
    if (rc < 0)
        return rc;
    if (n == 0 || n > INT32_MAX || timeout != timeout || (unsigned)when > CIO_FIRST_ERROR)
        return -EINVAL;

    static const struct cio__wait_kind kind = {.name = "cio_wait", .tell = tell_children};
    struct waiting waiting = {
        .wait.kind = &kind, .waiter = cio__current, .unfinished = n, .when = when};
    rc = cio__members_listen(&waiting.members, futures, n, child_ended, &waiting);
    if (rc < 0)
        return rc;
    rc = wait_for_children(&waiting, timeout);
    if (rc == 0)
        rc = sort_done_first(&waiting.members, futures);
    cio__members_leave(&waiting.members);
    return rc;
}
