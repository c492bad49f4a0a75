/* Sleeping. */
#include <errno.h>

#include "task/task.h"
#include "task/tell.h"

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

static void tell_time(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_handle *step = &tale->task->step;
    (void)wait;
    if (cio__handle_state(step) != CIO__TIMER)
        cio__tell(tale, "its time has come");
    else if (step->when_ns == CIO__NEVER)
        cio__tell(tale, "for ever");
    else
        cio__tell(tale, "%.3f s to go", (double)(step->when_ns - cio__now_ns(step->loop)) / 1e9);
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

    static const struct cio__wait_kind kind = {.name = "cio_sleep", .tell = tell_time};
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
