/* asyncio.TaskGroup. */
#include <cio/group.h>

#include <errno.h>

#include "os/memory.h"
#include "task/members.h"
#include "task/tell.h"

/* The numbers are unlikely in a struct that was never entered. */
enum state {
    ENTERED = 0x6201,
    ABORTING = 0x6202, /* all children have been canceled */
    ENDED = 0x6203,
};

/* A child's place in its group. */
struct cio__child {
    struct cio__member member; /* first: the callback of its end gets it */
    struct cio__child *next;
    struct cio__child **place; /* what points to it */
    bool judged;               /* its end has been dealt with */
};

struct group_wait {
    struct cio__wait wait;
    cio_group *group;
};

static bool is_live(const cio_group *g)
{
    return g && (g->state == ENTERED || g->state == ABORTING);
}

int cio_group_enter(cio_group *g)
{
    if (!g)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    *g = (cio_group){.parent = cio__current, .state = ENTERED};
    return 0;
}

static void add_error(cio_group *g, int rc)
{
    if (g->error_count < CIO_GROUP_ERRORS_MAX)
        g->errors[g->error_count] = rc;
    g->error_count++;
}

static void cancel_children(cio_group *g)
{
    g->state = ABORTING;
    for (struct cio__child *child = g->children; child; child = child->next)
        cio_cancel(child->member.future);
}

/* Everything ends: the children, and the body by way of its task. */
static void abort_all(cio_group *g)
{
    if (g->state == ABORTING || g->parent_cancel_requested)
        return;
    cancel_children(g);
    g->parent_cancel_requested = true;
    cio_cancel(g->parent);
}

static void forget(struct cio__child *child)
{
    cio_group *g = child->member.owner;
    *child->place = child->next;
    if (child->next)
        child->next->place = child->place;
    else
        g->children_end = child->place;
    g->unfinished--;
    if (g->unfinished == 0 && g->waiter)
        cio__wake(g->waiter);
    cio__unref(child->member.future);
    cio__free(child);
}

static void judge(struct cio__child *child)
{
    int rc = child->member.future->rc;
    child->member.future->known = true;
    child->judged = true;
    if (rc >= 0 || rc == CIO_ECANCELED)
        return;
    add_error(child->member.owner, rc);
    abort_all(child->member.owner);
}

static void child_ended(void *arg)
{
    struct cio__child *child = arg; /* its member lies first in it */
    if (!child->judged)
        judge(child);
    forget(child);
}

/*
 * A child that ran eagerly may have failed already: then the group ends now, not in the next turn.
 */
static void adopt(cio_group *g, struct cio__child *child, cio_task *task)
{
    child->next = NULL;
    child->judged = false;
    child->place = g->children_end ? g->children_end : &g->children;
    *child->place = child;
    g->children_end = &child->next;
    g->unfinished++;
    cio__member_listen(&child->member, task, child_ended, g);
    if (task->state != CIO__PENDING)
        judge(child);
}

static cio_task *fail_to_start(cio_group *g, int rc)
{
    add_error(g, rc);
    abort_all(g);
    return cio__fail(rc);
}

cio_task *cio_group_start_with(cio_group *g, const cio_task_options *options, cio_coroutine *fn,
                               void *arg)
{
    if (!g)
        return cio__fail(-EINVAL);
    if (!is_live(g))
        return cio__fail(CIO_ESTATE);
    if (g->state == ABORTING)
        return cio__fail(CIO_ESHUTDOWN);
    struct cio__child *child = cio__alloc(sizeof *child);
    if (!child)
        return fail_to_start(g, -ENOMEM);
    cio_task *task = cio_create_task_with(options, fn, arg);
    if (!task) {
        cio__free(child);
        return fail_to_start(g, cio_last_error());
    }
    adopt(g, child, task);
    return task;
}

cio_task *cio_group_start(cio_group *g, cio_coroutine *fn, void *arg)
{
    return cio_group_start_with(g, NULL, fn, arg);
}

int cio_group_cancel(cio_group *g)
{
    if (!g)
        return -EINVAL;
    if (!is_live(g))
        return CIO_ESTATE;
    if (!g->exiting || g->unfinished)
        abort_all(g);
    return 0;
}

static void tell_children(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_group *g = ((const struct group_wait *)wait)->group;
    for (const struct cio__child *child = g->children; child; child = child->next)
        cio__tell_future(tale, child->member.future);
    cio__tell(tale, "%zu left:", g->unfinished);
}

/*
 * Waits until no child is left. A cancellation on the way cancels them, once. Returns whether there
 * was one; it may be our own.
 */
static bool wait_for_children(cio_group *g)
{
    static const struct cio__wait_kind kind = {.name = "cio_group_exit", .tell = tell_children};
    bool canceled = false;
    while (g->unfinished) {
        struct group_wait waiting = {.wait.kind = &kind, .group = g};
        g->waiter = g->parent;
        int rc = cio__wait(&waiting.wait);
        g->waiter = NULL;
        if (rc == 0)
            continue;
        canceled = true;
        if (g->state != ABORTING)
            cancel_children(g);
    }
    return canceled;
}

int cio_group_exit(cio_group *g, int rc)
{
    if (!g)
        return -EINVAL;
    if (!is_live(g) || g->exiting || g->parent != cio__current)
        return CIO_ESTATE;
    g->exiting = true;
    bool canceled = rc == CIO_ECANCELED;
    if (rc < 0 && g->state != ABORTING)
        cancel_children(g);
    canceled |= wait_for_children(g);
    g->state = ENDED;

    if (g->parent_cancel_requested && cio_uncancel(g->parent) == 0)
        canceled = false; /* it was all our own doing */
    if (rc < 0 && rc != CIO_ECANCELED)
        add_error(g, rc); /* after the children's, as in asyncio */
    if (g->error_count == 0)
        return canceled ? CIO_ECANCELED : rc == CIO_ECANCELED ? 0 : rc;
    if (cio_cancelling(g->parent)) {
        /* Errors go first; the cancellation from outside waits for the parent's next wait. */
        cio_uncancel(g->parent);
        cio_cancel(g->parent);
    }
    return g->errors[0];
}
