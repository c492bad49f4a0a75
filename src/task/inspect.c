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
