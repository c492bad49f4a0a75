/* Sleeping. */
#include <errno.h>

#include "task/task.h"

/*
 * A sleeping task stands in the timer heap by its own handle. When its time comes it is queued
 * behind what is ready, as the end of asyncio's sleep is a future's callback.
 */
static void time_over(void *arg)
{
    cio_task *task = arg;
    task->step.fn = cio__task_resume;
    cio__ready_push(&task->step.loop->ready, &task->step);
}

int cio_sleep(double seconds)
{
    cio_task *task = cio__current;
    if (unlikely(!task))
        return CIO_ENOTASK;
    if (unlikely(seconds != seconds))
        return -EINVAL;
    if (seconds <= 0)
        return cio_yield();

    static const struct cio__wait_kind kind = {.name = "cio_sleep"};
    struct cio__wait wait = {.kind = &kind};
    cio_loop *loop = task->step.loop;
    task->step.fn = time_over;
    int rc = cio__call_at_ns(loop, &task->step, cio__deadline_after_ns(cio__now_ns(loop), seconds));
    if (unlikely(rc < 0)) {
        task->step.fn = cio__task_resume;
        return rc;
    }
    return cio__wait(&wait);
}
