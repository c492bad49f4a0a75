/* What the tasks of loops do at one moment. */
#include "debug/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "debug/mode.h"
#include "task/generator.h"

#define RESERVED ((size_t)1024 * 1024 * 1024) /* of addresses; what is used is less by far */
#define RESERVED_LEAST ((size_t)1024 * 1024)
#define STACK_MOST ((size_t)32 * 1024) /* of one stack: what lies further out is cut off */

int cio__snapshot_begin(struct cio__snapshot *snapshot)
{
    *snapshot = (struct cio__snapshot){0};
    for (size_t size = RESERVED; size >= RESERVED_LEAST; size /= 4) {
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory != MAP_FAILED) {
            snapshot->memory = memory;
            snapshot->size = snapshot->high = size;
            return 0;
        }
    }
    return -ENOMEM;
}

void cio__snapshot_free(struct cio__snapshot *snapshot)
{
    if (snapshot->memory)
        munmap(snapshot->memory, snapshot->size);
    *snapshot = (struct cio__snapshot){0};
}

static void *take_low(struct cio__snapshot *snapshot, size_t size)
{
    if (snapshot->high - snapshot->low < size)
        return NULL;
    void *taken = snapshot->memory + snapshot->low;
    snapshot->low += size;
    return taken;
}

static void copy_stack(struct cio__snapshot *snapshot, struct cio__stack_copy *copy,
                       struct cio__frame frame, uintptr_t end)
{
    size_t wanted = end > frame.sp ? end - frame.sp + sizeof(uintptr_t) : 0;
    if (wanted > STACK_MOST)
        wanted = STACK_MOST;
    wanted &= ~(sizeof(uintptr_t) - 1);
    if (wanted > snapshot->high - snapshot->low)
        wanted = 0;
    snapshot->high -= wanted;
    cio__stack_copy(copy, frame, end, snapshot->memory + snapshot->high, wanted);
}

static bool lies_on(const struct cio__stack *stack, uintptr_t sp)
{
    return stack && sp >= (uintptr_t)stack->bottom && sp < (uintptr_t)stack->top;
}

/* Where the stack ends that a task stands on: its own, or that of a generator which it runs. */
static uintptr_t end_of(const cio_loop *loop, const cio_task *task, uintptr_t sp)
{
    const struct cio__stack *stack = task ? task->stack : NULL;
    if (!lies_on(stack, sp))
        stack = cio__stack_of(loop, (const void *)sp);
    return lies_on(stack, sp) ? (uintptr_t)stack->top : 0;
}

uintptr_t cio__stack_end(const cio_loop *loop, const struct cio__here *here)
{
    uintptr_t end = end_of(loop, here->current, here->frame.sp);
    return end || here->current ? end : (uintptr_t)loop->run_frame;
}

void cio__task_name(const cio_task *task, char *name, size_t size)
{
    if (task->name)
        snprintf(name, size, "%s", task->name);
    else
        snprintf(name, size, "Task-%" PRIu64, task->id);
}

static enum cio__task_state state_of(const cio_task *task)
{
    if (!cio__task_has_begun(task))
        return CIO__TASK_NEW;
    unsigned state = cio__handle_state(&task->step);
    if (state == CIO__TIMER)
        return CIO__TASK_SLEEPING;
    return state == CIO__IDLE ? CIO__TASK_WAITING : CIO__TASK_READY;
}

static void see_wait(struct cio__seen_task *seen, const cio_task *task)
{
    const struct cio__wait *wait = task->wait;
    seen->tale.task = task;
    if (!wait || seen->state == CIO__TASK_RUNNING)
        return;
    seen->wait = wait->kind->name;
    if (wait->kind->tell && seen->state != CIO__TASK_READY)
        wait->kind->tell(wait, &seen->tale);
}

static void see_stack(struct cio__snapshot *snapshot, struct cio__seen_task *seen,
                      const cio_loop *loop, const cio_task *task,
                      const struct cio__context *context)
{
    if (seen->state == CIO__TASK_NEW || !task->stack)
        return;
    struct cio__frame frame = {.pc = (uintptr_t)context->pc,
                               .sp = (uintptr_t)context->sp,
                               .fp = (uintptr_t)context->fp,
                               .fp_known = true};
    copy_stack(snapshot, &seen->stack, frame, end_of(loop, task, frame.sp));
}

static void see_task(struct cio__snapshot *snapshot, struct cio__seen_loop *loop, cio_task *task)
{
    struct cio__seen_task *seen = take_low(snapshot, sizeof *seen);
    if (!seen) {
        loop->omitted++;
        return;
    }
    loop->n++;
    *seen = (struct cio__seen_task){.id = task->id, .fn = task->fn};
    cio__task_name(task, seen->name, sizeof seen->name);
    seen->state = state_of(task);
    seen->to_be_canceled = task->must_cancel;
    see_wait(seen, task);
    see_stack(snapshot, seen, loop->loop, task, &task->context);
    cio__debug_see(loop->loop, task, &seen->since_ns, seen->site);
}

static struct cio__seen_task *seen_as(struct cio__seen_loop *loop, const cio_task *task)
{
    for (size_t i = 0; i < loop->n; i++)
        if (loop->tasks[i].tale.task == task)
            return &loop->tasks[i];
    return NULL;
}

/* The task that runs, and those that it holds up: each was left where it began the next. */
static void see_running(struct cio__snapshot *snapshot, struct cio__seen_loop *loop,
                        const struct cio__here *here)
{
    struct cio__seen_task *seen = seen_as(loop, here->current);
    if (seen) {
        seen->state = CIO__TASK_RUNNING;
        seen->wait = NULL;
        seen->tale = (struct cio__tale){.task = here->current};
        copy_stack(snapshot, &seen->stack, here->frame, cio__stack_end(loop->loop, here));
    }
    const struct cio__resumer *resumer = here->current->resumer;
    for (int depth = 0; resumer && resumer->outer && depth < CIO__FRAMES_MOST; depth++) {
        const cio_task *outer = resumer->outer;
        seen = seen_as(loop, outer);
        if (!seen)
            return;
        seen->state = CIO__TASK_HELD_UP;
        see_stack(snapshot, seen, loop->loop, outer, &resumer->context);
        resumer = outer->resumer;
    }
}

static struct cio__seen_loop *add_loop(struct cio__snapshot *snapshot, cio_loop *loop)
{
    struct cio__seen_loop *seen = take_low(snapshot, sizeof *seen);
    if (!seen)
        return NULL;
    *seen = (struct cio__seen_loop){.loop = loop};
    if (snapshot->last)
        snapshot->last->next = seen;
    else
        snapshot->first = seen;
    snapshot->last = seen;
    return seen;
}

void cio__see_loop(struct cio__snapshot *snapshot, cio_loop *loop, const struct cio__here *here)
{
    struct cio__seen_loop *seen = add_loop(snapshot, loop);
    if (!seen)
        return;
    seen->answered = true;
    seen->thread = loop->running ? loop->thread : 0;
    seen->now_ns = cio__now_ns(loop);
    seen->n_ready = loop->ready.tail - loop->ready.head;
    seen->n_timers = loop->timers.n;
    if (loop->tasks) {
        size_t most = loop->tasks->live + 1; /* should the list be in disorder, this ends */
        for (cio_task *task = cio__oldest_task(loop->tasks); task && most; most--) {
            see_task(snapshot, seen, task);
            task = cio__next_task(loop->tasks, task);
        }
    }
    if (here && here->current)
        see_running(snapshot, seen, here);
    else if (here)
        copy_stack(snapshot, &seen->callback, here->frame, cio__stack_end(loop, here));
}

void cio__see_no_answer(struct cio__snapshot *snapshot, cio_loop *loop, int thread)
{
    struct cio__seen_loop *seen = add_loop(snapshot, loop);
    if (seen)
        seen->thread = thread;
}
