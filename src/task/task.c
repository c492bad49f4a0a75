/* Tasks: their beginning, their steps, their end. */
#include <cio/task.h>

#include <errno.h>

#include "loop/debug.h"
#include "loop/run.h"
#include "task/task.h"

_Thread_local cio_task *cio__current;

#if defined(CIO__ASAN) || defined(CIO__TSAN)
#define SHADOW(x) (&(x)->shadow)
#else
#define SHADOW(x) ((struct cio__shadow *)NULL)
#endif

static void enlist(struct cio__tasks *tasks, cio_task *task)
{
    cio__ring_append(&tasks->all, &task->place);
    tasks->live++;
}

static inline void delist(struct cio__tasks *tasks, cio_task *task)
{
    cio__ring_remove(&task->place);
    if (--tasks->live == 0 && unlikely(tasks->stop_when_none))
        cio_stop(tasks->loop);
}

/* The task has ended; its stack may still be in use. Its own reference goes when it is not. */
static inline __attribute__((always_inline)) void finish(cio_loop *loop, cio_task *task, int rc)
{
    struct cio__tasks *tasks = loop->tasks;
    if (unlikely(task->vars))
        cio__vars_empty(&task->vars);
    if (unlikely(task->must_cancel) && rc >= 0)
        rc = CIO_ECANCELED; /* asked for, and no wait came to deliver it */
    delist(tasks, task);
    if (unlikely(tasks->shutting_down) && rc < 0 && rc != CIO_ECANCELED) {
        task->known = true;
        cio__report(loop, "unhandled error during cio_run() shutdown", rc, task,
                    cio_get_name(task));
    }
    cio__future_finish_in(loop, task, rc, task->value);
}

/*
 * Switches to the task, and comes back when it waits or has ended, or one to which it handed over
 * does. here lies in the caller's frame.
 */
static inline __attribute__((always_inline)) void enter(cio_task *task, struct cio__resumer *here)
{
    here->task = task;
    cio__current = task;
    task->resumer = here;
    cio__shadow_leave(SHADOW(here), SHADOW(task), 0);
    cio__context_switch(&here->context, &task->context);
    task = here->task;
    cio__shadow_arrive(SHADOW(here), SHADOW(task));
    cio__current = here->outer;
    if (unlikely(task && task->state != CIO__PENDING)) {
        cio__shadow_end(SHADOW(task));
        cio__stack_give(&task->step.loop->tasks->stacks, task->stack);
        task->stack = NULL;
        cio__unref(task);
    }
}

void cio__task_resume(void *task)
{
    struct cio__resumer here = {.outer = cio__current, .is_loop = false};
    ((cio_task *)task)->step.loop->counts.called++;
    enter(task, &here);
}

static void end_before_start(cio_loop *loop, cio_task *task, int rc)
{
    loop->counts.plain++;
    finish(loop, task, rc);
    cio__unref_in(loop, task);
}

/*
 * Makes ready for the first step; false if there will be none. The stack is taken here and not at
 * creation: tasks that never wait then share one warm stack.
 */
static inline __attribute__((always_inline)) bool prepare(cio_loop *loop, cio_task *task)
{
    size_t stack_size = task->stack_size;
    task->stack = NULL;
    if (unlikely(task->must_cancel)) {
        task->must_cancel = false;
        end_before_start(loop, task, CIO_ECANCELED);
        return false;
    }
    task->stack = cio__stack_take(&loop->tasks->stacks, stack_size);
    if (unlikely(!task->stack)) {
        end_before_start(loop, task, CIO_ENOSTACK);
        return false;
    }
    task->step.fn = cio__task_resume;
    cio__context_begin(&task->context, task->stack->bottom, task->stack->top);
    size_t size = (size_t)((char *)task->stack->top - (char *)task->stack->bottom);
    cio__shadow_begin(SHADOW(task), task->stack->bottom, size);
    return true;
}

static void begin(void *task)
{
    struct cio__resumer here = {.outer = cio__current, .is_loop = false};
    cio_task *self = task;
    self->step.loop->counts.called++;
    if (prepare(self->step.loop, self))
        enter(self, &here);
}

cio_task *cio__task_of_step(cio_callback *fn, void *arg)
{
    return fn == cio__task_resume || fn == begin ? arg : NULL;
}

bool cio__task_has_begun(const cio_task *task)
{
    return task->step.fn != begin;
}

struct runner {
    struct cio__resumer here;
    cio_loop *loop;
};

/* What the loop does with a handle: a task's is switched to right here, see loop/run.h. */
static inline __attribute__((always_inline)) void run(void *context, cio_callback *fn, void *arg,
                                                      const void *hint)
{
    struct runner *runner = context;
    if (likely(fn == cio__task_resume) || (fn == begin && prepare(runner->loop, arg))) {
        enter(arg, &runner->here);
    } else if (fn != begin) {
        runner->loop->counts.plain++;
        cio__call(fn, arg, hint);
    }
}

void cio__run_with_tasks(cio_loop *loop)
{
    struct runner runner = {.here = {.outer = NULL, .is_loop = true}, .loop = loop};
    cio__run_turns(loop, run, &runner);
}

#if defined(CIO__ASAN) || defined(CIO__TSAN)
#define MAY_HAND_OVER false /* the tools are told of switches between a task and its resumer only */
#else
#define MAY_HAND_OVER true
#endif

#ifdef CIO_SWITCH_SETJMP
#define MAY_BEGIN_ON_TASK false /* cio__context_begin() needs kilobytes of the current stack */
#else
#define MAY_BEGIN_ON_TASK true
#endif

/*
 * The task that the loop would resume next, made current, or NULL if the loop has something else to
 * do first. A task that was begun eagerly goes back to the one that it holds up. A new task is
 * begun here only if that costs next to nothing of the current stack, which may be small.
 */
static inline __attribute__((always_inline)) cio_task *next_task(cio_loop *loop,
                                                                 struct cio__resumer *resumer)
{
    if (!MAY_HAND_OVER || unlikely(!resumer->is_loop))
        return NULL;
    cio_handle *handle = cio__peek_ready(loop);
    if (unlikely(!handle))
        return NULL;
    cio_task *next = (cio_task *)handle; /* a task's is its first field: no need to load arg */
    if (unlikely(handle->fn != cio__task_resume)) {
        if (!MAY_BEGIN_ON_TASK || handle->fn != begin || next->must_cancel || next->stack_size ||
            !loop->tasks->stacks.warm)
            return NULL;
        prepare(loop, next);
    }
    cio__take_ready(loop, handle);
    next->resumer = resumer;
    resumer->task = next;
    return cio__current = next;
}

/* Switches from the current task to the next, or to whoever resumed it. */
static inline __attribute__((always_inline)) void leave(cio_loop *loop, cio_task *task)
{
    struct cio__resumer *there = task->resumer;
    cio_task *next = next_task(loop, there);
    cio__shadow_leave(SHADOW(task), SHADOW(there), 0);
    cio__context_switch(&task->context, next ? &next->context : &there->context);
    cio__shadow_arrive(SHADOW(task), SHADOW(task->resumer));
}

/*
 * The same for good, from a task that is done. Its stack is free before it is left: nothing runs in
 * between that could take it.
 */
static inline __attribute__((always_inline)) void leave_and_free(cio_loop *loop, cio_task *task)
{
    struct cio__resumer *there = task->resumer;
    struct cio__stack *stack = task->stack;
    struct cio__context unused;
    task->stack = NULL;
    there->task = NULL;
    cio__current = NULL;
    cio__unref_in(loop, task); /* may report its error: last of all, the stack */
    cio_task *next = next_task(loop, there);
    cio__stack_give(&loop->tasks->stacks, stack);
    cio__context_switch(&unused, next ? &next->context : &there->context);
}

void cio__task_main(struct cio__context *self)
{
    cio_task *task = (cio_task *)((char *)self - offsetof(cio_task, context));
    cio__shadow_arrive(SHADOW(task), SHADOW(task->resumer));
    cio_loop *loop = task->step.loop; /* in a forked child nothing runs */
    void *arg = task->arg;
    task->value = NULL;
    int rc = task->fn(arg);
    finish(loop, task, rc);
    if (MAY_HAND_OVER && task->resumer->is_loop && !task->stack->single)
        leave_and_free(loop, task);
    struct cio__resumer *there = task->resumer;
    cio__shadow_leave(SHADOW(task), SHADOW(there), 1);
    cio__context_switch(&task->context, &there->context);
    __builtin_unreachable();
}

static bool cancel_wait(cio_task *task)
{
    struct cio__wait *wait = task->wait;
    if (!wait)
        return false;
    if (wait->kind->cancel && !wait->passing) {
        wait->passing = true;
        bool passed_on = wait->kind->cancel(wait);
        wait->passing = false;
        return passed_on;
    }
    /* The wait is to end itself. So is one to which its own cancellation came round in a cycle. */
    if (wait->canceled || cio__handle_is_queued(&task->step))
        return false; /* it has ended; the task has not noticed yet */
    wait->canceled = true;
    if (wait->kind->in_ring)
        cio__ring_leave(&task->step.waiting);
    cio_handle_cancel(&task->step); /* of a sleeper: its timer */
    task->step.fn = cio__task_resume;
    cio__wake(task);
    return true;
}

int cio_cancel(cio_future *future)
{
    if (!future)
        return -EINVAL;
    if (future->state != CIO__PENDING)
        return 0;
    int rc = cio__check_open(future->step.loop);
    if (unlikely(rc < 0))
        return rc;
    if (!future->is_task) {
        cio__future_finish(future, CIO_ECANCELED, NULL);
        return 1;
    }
    future->cancel_requests++;
    if (!cancel_wait(future))
        future->must_cancel = true;
    return 1;
}

int cio__wait(struct cio__wait *wait)
{
    cio_task *task = cio__current;
    task->wait = wait;
    task->step.hint = __builtin_frame_address(0); /* before it can be queued: see cio_handle */
    if (unlikely(task->must_cancel) && cancel_wait(task))
        task->must_cancel = false;
    leave(cio__running, task);
    task = cio__current;
    task->wait = NULL;
    bool canceled = task->must_cancel || wait->canceled;
    task->must_cancel = false;
    return unlikely(canceled) ? CIO_ECANCELED : 0;
}

/*
 * Whether the next turn would begin at once and run this task only: then there is nobody to yield
 * to, and the turn is counted without being made.
 */
static inline bool alone(cio_loop *loop, const cio_task *task)
{
    const struct cio__ready *ready = &loop->ready;
    if (ready->head != ready->tail || ready->capacity == 0 || ready->head + 1 >= loop->check_at ||
        cio__stop_at(loop) == 0 || cio__inbox_has_mail(loop) || task->must_cancel ||
        !task->resumer->is_loop)
        return false;
    loop->check_at--;
    return true;
}

/* Apart, so that a task that is alone does not save the registers for a switch that it spares. */
static __attribute__((noinline)) int yield_to_others(cio_loop *loop, cio_task *task)
{
    task->step.hint = __builtin_frame_address(0);
    cio__ready_push_last(&loop->ready, &task->step);
    leave(loop, task);
    task = cio__current;
    if (unlikely(task->must_cancel)) {
        task->must_cancel = false;
        return CIO_ECANCELED;
    }
    return 0;
}

int cio_yield(void)
{
    cio_task *task = cio__current;
    if (unlikely(!task))
        return CIO_ENOTASK;
    cio_loop *loop = cio__running;
    return alone(loop, task) ? 0 : yield_to_others(loop, task);
}

/* Apart, for most programs have no variables. */
static __attribute__((noinline)) void inherit_context(cio_task *task)
{
    task->vars = (uintptr_t)cio__vars_capture_used();
}

/* A task that is not queued yet. NULL: no memory. */
static inline cio_task *make(struct cio__tasks *tasks, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio__future_alloc(tasks);
    if (unlikely(!task))
        return NULL;
    task->is_task = true;
    task->references = 2; /* the caller's and its own, until it is done */
    task->fn = fn;
    task->arg = arg;
    task->id = ++tasks->last_id;
    task->step.fn = begin;
    task->step.arg = task;
    task->step.hint = NULL;
    task->must_cancel = tasks->shutting_down;
    enlist(tasks, task);
    if (cio__vars_in_use())
        inherit_context(task);
    return task;
}

static int check_create(const cio_task_options *options, const cio_loop *loop, cio_coroutine *fn)
{
    if (!fn)
        return -EINVAL;
    if (!loop)
        return CIO_ENOLOOP;
    int rc = cio__check_open(loop);
    if (rc < 0)
        return rc;
    if (!loop->tasks && cio__shadow_stack_is_on())
        return CIO_ESHADOWSTACK;
    if (cio__check_priority(options->priority) < 0)
        return -EINVAL;
    if (options->stack_size &&
        (options->stack_size < CIO__STACK_LEAST || options->stack_size > CIO__STACK_MOST))
        return -EINVAL;
    return 0;
}

static cio_task *make_with(const cio_task_options *options, cio_loop *loop, cio_coroutine *fn,
                           void *arg)
{
    struct cio__tasks *tasks = cio__tasks_of(loop);
    cio_task *task = tasks ? make(tasks, fn, arg) : NULL;
    if (!task)
        return NULL;
    task->stack_size = options->stack_size;
    if (unlikely(options->context)) {
        cio__vars_empty(&task->vars);
        task->vars = (uintptr_t)options->context | CIO__PLACE_IS_ELSEWHERE;
        cio__vars_are_used();
    }
    if ((options->priority && cio_set_priority(task, options->priority) < 0) ||
        (options->name && cio__set_name(task, options->name) < 0)) {
        cio__vars_empty(&task->vars);
        delist(tasks, task);
        task->references = 1;
        cio__unref(task);
        return NULL;
    }
    return task;
}

cio_task *cio_create_task_with(const cio_task_options *options, cio_coroutine *fn, void *arg)
{
    static const cio_task_options defaults;
    if (!options)
        options = &defaults;
    cio_loop *loop = options->loop ? options->loop : cio__running;
    int rc = check_create(options, loop, fn);
    if (rc < 0)
        return cio__fail(rc);
    cio_task *task = make_with(options, loop, fn, arg);
    if (!task)
        return cio__fail(-ENOMEM);
    if (unlikely(!loop->quick_tasks))
        cio__debug_created(loop, task);
    if (options->eager && loop == cio__running)
        begin(task);
    else
        cio__ready_push_last(&loop->ready, &task->step);
    return task;
}

/* The usual case, without the questions that only the others need. */
cio_task *cio_create_task(cio_coroutine *fn, void *arg)
{
    cio_loop *loop = cio__running;
    if (unlikely(!fn || !loop || !loop->quick_tasks))
        return cio_create_task_with(NULL, fn, arg);
    cio_task *task = make(loop->quick_tasks, fn, arg);
    if (unlikely(!task))
        return cio__fail(-ENOMEM);
    cio__ready_push_last(&loop->ready, &task->step);
    return task;
}
