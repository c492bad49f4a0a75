/* What the tasks of loops do at one moment. */
#include "debug/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "debug/asleep.h"
#include "debug/mode.h"
#include "task/generator.h"

#define RESERVED ((size_t)1024 * 1024 * 1024) /* of addresses; what is used is less by far */
#define RESERVED_LEAST ((size_t)1024 * 1024)

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

static bool lies_in(const struct cio__stack *stack, uintptr_t address)
{
    return stack && address >= (uintptr_t)stack->bottom && address < (uintptr_t)stack->top;
}

/*
 * The thread's own stack, up to the loop's frame there. Or it may be one that is not known to us, a
 * signal's or the program's: the kernel is asked to read it, and says if there is nothing.
 */
static void copy_from_thread(struct cio__stack_copy *copy, struct cio__frame frame, uintptr_t end,
                             char *bytes, size_t room)
{
    frame.sp &= ~(sizeof frame.sp - 1);
    size_t size = end > frame.sp ? end - frame.sp : 0;
    if (size > room)
        size = room;
    if (!cio__peek(bytes, (const void *)frame.sp, size))
        size = 0;
    *copy = (struct cio__stack_copy){.frame = frame, .bytes = bytes, .size = size};
}

void cio__copy_stack_of(struct cio__stack_copy *copy, const cio_loop *loop, const cio_task *task,
                        struct cio__frame frame, char *bytes, size_t room)
{
    const struct cio__stack *stack = task ? task->stack : NULL;
    if (!lies_in(stack, frame.sp))
        stack = cio__stack_of(loop, (const void *)frame.sp); /* a generator's */
    if (lies_in(stack, frame.sp))
        cio__stack_copy(copy, frame, (uintptr_t)stack->top, bytes, room);
    else
        copy_from_thread(copy, frame, (uintptr_t)loop->run_frame, bytes, room);
}

/* How much it will be is not known before: what was not needed is given back. */
static void copy_stack(struct cio__snapshot *snapshot, const cio_loop *loop,
                       struct cio__stack_copy *copy, const cio_task *task, struct cio__frame frame)
{
    size_t room = snapshot->high - snapshot->low;
    room = room < CIO__STACK_COPIED ? 0 : CIO__STACK_COPIED;
    cio__copy_stack_of(copy, loop, task, frame, snapshot->memory + snapshot->low, room);
    snapshot->high -= copy->size;
    char *kept = snapshot->memory + snapshot->high;
    memmove(kept, copy->bytes, copy->size);
    copy->bytes = kept;
}

uintptr_t cio__stack_end(const cio_loop *loop, const cio_task *task, uintptr_t address)
{
    const struct cio__stack *stack = task ? task->stack : NULL;
    if (!lies_in(stack, address))
        stack = cio__stack_of(loop, (const void *)address);
    return lies_in(stack, address) ? (uintptr_t)stack->top : (uintptr_t)loop->run_frame;
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
                      const cio_task *task, const struct cio__context *context)
{
    if (seen->state == CIO__TASK_NEW || !task->stack)
        return;
    struct cio__frame frame = {.pc = (uintptr_t)context->pc,
                               .sp = (uintptr_t)context->sp,
                               .fp = (uintptr_t)context->fp,
                               .fp_known = true};
    copy_stack(snapshot, task->step.loop, &seen->stack, task, frame);
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
    see_stack(snapshot, seen, task, &task->context);
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
        copy_stack(snapshot, loop->loop, &seen->stack, here->current, here->frame);
    }
    const struct cio__resumer *resumer = here->current->resumer;
    for (int depth = 0; resumer && resumer->outer && depth < CIO__FRAMES_MOST; depth++) {
        const cio_task *outer = resumer->outer;
        seen = seen_as(loop, outer);
        if (!seen)
            return;
        seen->state = CIO__TASK_HELD_UP;
        see_stack(snapshot, seen, outer, &resumer->context);
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
    cio_loop_get_counters(loop, &seen->counters);
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
        copy_stack(snapshot, loop, &seen->callback, NULL, here->frame);
}

void cio__see_no_answer(struct cio__snapshot *snapshot, cio_loop *loop, int thread)
{
    struct cio__seen_loop *seen = add_loop(snapshot, loop);
    if (seen)
        seen->thread = thread;
}
