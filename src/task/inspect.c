/* What can be asked of tasks: names, counts, who they are. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "os/memory.h"
#include "task/task.h"

#define AUTOMATIC_NAME_SIZE 32

cio_task *cio_current_task(void)
{
    return cio__current;
}

int cio_all_tasks(bool (*fn)(cio_task *task, void *arg), void *arg)
{
    if (!cio__running)
        return CIO_ENOLOOP;
    struct cio__tasks *tasks = cio__running->tasks;
    if (!tasks)
        return 0;
    if (!fn)
        return (int)tasks->live;
    int called = 0;
    bool go_on = true;
    cio_task *next;
    for (cio_task *task = cio__oldest_task(tasks); task && go_on; task = next) {
        next = cio__next_task(tasks,
                              task); /* read first, though canceling ends no task here and now */
        go_on = fn(task, arg);
        called++;
    }
    return called;
}

int cio_cancelling(const cio_task *task)
{
    return task ? task->cancel_requests : 0;
}

int cio_uncancel(cio_task *task)
{
    if (!task || task->cancel_requests == 0)
        return 0;
    if (--task->cancel_requests == 0)
        task->must_cancel = false;
    return task->cancel_requests;
}

/* Most tasks are never asked for their names: those are made up when they are. */
const char *cio_get_name(const cio_task *task)
{
    if (!task)
        return "?";
    if (task->name)
        return task->name;
    if (!task->is_task)
        return "Future";
    char name[AUTOMATIC_NAME_SIZE];
    snprintf(name, sizeof name, "Task-%" PRIu64, task->id);
    if (cio__set_name((cio_task *)task, name) < 0)
        return "Task-?";
    return task->name;
}

int cio__set_name(struct cio_future *future, const char *name)
{
    size_t size = strlen(name) + 1;
    char *copy = cio__alloc(size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, size);
    cio__free((void *)future->name);
    future->name = copy;
    return 0;
}

int cio_set_name(cio_task *task, const char *name)
{
    return task && task->is_task && name ? cio__set_name(task, name) : -EINVAL;
}

void cio__count_tasks(const cio_loop *loop, cio_loop_counters *shown)
{
    const struct cio__tasks *tasks = loop->tasks;
    uint64_t free = tasks->stacks.warm_count + tasks->stacks.cold_count;
    cio__show(&shown->tasks, tasks->live);
    cio__show(&shown->tasks_created, tasks->last_id);
    cio__show(&shown->tasks_finished, tasks->last_id - tasks->live);
    cio__show(&shown->stacks, tasks->stacks.made - free);
    cio__show(&shown->stacks_free, free);
}

int cio_set_priority(cio_task *task, int priority)
{
    if (!task || !task->is_task || cio__check_priority(priority) < 0)
        return -EINVAL;
    if (task->state != CIO__PENDING)
        return CIO_ESTATE;
    cio_loop *loop = task->step.loop;
    if (loop->closed)
        return CIO_ECLOSED;
    int rc = priority == CIO_PRIORITY_NORMAL ? 0 : cio__lanes_use_classes(loop);
    if (rc == 0)
        task->step.priority = (int8_t)priority;
    return rc;
}

int cio_get_priority(const cio_task *task)
{
    return task && task->is_task ? task->step.priority : CIO_PRIORITY_NORMAL;
}
