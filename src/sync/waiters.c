/* The list of waiting tasks: which loop it belongs to; who holds what they wait for. */
#include "sync/waiters.h"

/* The waiters of a loop that is closed went with their stacks: nothing in the list is valid. */
static void forget(struct cio__waiters *list)
{
    *list = (struct cio__waiters){0};
}

/*
 * asyncio binds for ever. Here a list is free again when its loop is closed, so that one at file
 * scope serves one cio_run() after another.
 */
int cio__waiters_check_slowly(struct cio__waiters *list)
{
    if (!cio__current)
        return CIO_ENOTASK;
    if (list->loop_id == cio__running->id)
        return 0;
    if (list->loop_id && cio__loop_is_open(list->loop_id))
        return CIO_EWRONGLOOP;
    forget(list);
    list->loop_id = cio__running->id;
    return 0;
}

/* Between two runs of their loop they may be woken; while another loop runs here they may not. */
int cio__waiters_check_wake_slowly(struct cio__waiters *list)
{
    if (!cio__loop_is_open(list->loop_id))
        forget(list);
    else if (cio__running)
        return CIO_EWRONGLOOP;
    return 0;
}

/* Of a closed loop's waiters nothing may be looked at. */
static bool is_alive(const struct cio__waiters *list)
{
    bool is_ours = cio__running && cio__running->id == list->loop_id;
    return is_ours || cio__loop_is_open(list->loop_id);
}

bool cio__waiters_are_there(const struct cio__waiters *list)
{
    return (list->first || list->woken) && is_alive(list);
}

bool cio__waiters_in_line_slowly(const struct cio__waiters *list)
{
    if (!is_alive(list))
        return false;
    const struct cio__waiter *waiter = list->first;
    while (waiter && waiter->wait.canceled)
        waiter = waiter->next;
    return waiter || list->woken;
}

cio_task *cio__live_task(const struct cio__tasks *tasks, cio_task *task, uint64_t id)
{
    if (!task || !tasks || !cio__pool_has(tasks, task))
        return NULL;
    bool lives = task->state == CIO__PENDING && task->is_task && task->id == id;
    return lives ? task : NULL;
}

void cio__tell_holder(struct cio__tale *tale, const char *what, const void *object, cio_task *task,
                      uint64_t id)
{
    cio_task *holder = cio__live_task(tale->task->step.loop->tasks, task, id);
    const char *held_by = holder ? "held by" : "held by no task, or one that has ended";
    cio__tell(tale, "%s %p, %s", what, object, held_by);
    cio__tell_future(tale, holder);
}
