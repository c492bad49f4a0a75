/* The contexts of tasks: a task is a place that has one. The rest is floor 1's, see loop/vars.h. */
#include <cio/context.h>

#include <errno.h>

#include "task/task.h"

static struct cio__place place_in(cio_task *task)
{
    return (struct cio__place){.at = &task->vars, .where = task, .id = task->id};
}

static bool place_of_current_task(struct cio__place *place)
{
    if (!cio__current)
        return false;
    *place = place_in(cio__current);
    return true;
}

void cio__contexts_know_tasks(void)
{
    __atomic_store_n(&cio__vars_of_task, place_of_current_task, __ATOMIC_RELAXED);
}

int cio_get_context(const cio_task *task, cio_context *context)
{
    if (!task || !context || !task->is_task)
        return -EINVAL;
    if (task->state != CIO__PENDING)
        return CIO_ESTATE;
    context->vars = (uintptr_t)cio__vars_share(cio__vars_at(place_in((cio_task *)task)));
    return 0;
}

void cio__contexts_forget(struct cio_future *future)
{
    if (future->is_task && future->state == CIO__PENDING)
        cio__vars_empty(&future->vars);
    for (cio_link *link = future->waiters.first; cio__vars_in_use() && link; link = link->next)
        CIO__FORGET_VARS(link->handle);
}
