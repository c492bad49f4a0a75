/*
 * Floor 2: coroutines on the loop. This is what its files know of each other; the public faces are
 * <cio/future.h>, <cio/task.h>, <cio/wait.h>, <cio/timeout.h>, <cio/group.h>, <cio/runner.h>.
 *
 * There is one way to wait: cio__wait(). A wait is queued to go on by pushing the task's handle,
 * which every source of wakes can do: a future's end, a timer, a descriptor, a lock. There is one
 * way to cancel: cio_cancel(), which asks the wait in which the task stands.
 */
#ifndef CIO_TASK_TASK_H
#define CIO_TASK_TASK_H

#include <cio/error.h>
#include <cio/future.h>
#include <cio/task.h>

#include "loop/links.h"
#include "loop/loop.h"
#include "task/sanitizer.h"
#include "task/stacks.h"
#include "task/switch.h"

struct cio__wait;
struct cio__tale;

/*
 * What all waits of one kind have in common.
 *
 * cancel: passes a cancellation on to what is waited for, and says whether that took it, in which
 * case the wait goes on. NULL: the wait itself ends with CIO_ECANCELED.
 *
 * tell: says what is waited for; see tell.h. NULL: nothing beyond the name.
 */
struct cio__wait_kind {
    const char *name; /* the public call that waits, for those who look at the task */
    bool (*cancel)(struct cio__wait *wait);
    bool in_ring; /* the task's handle stands in a ring: out of it before it is queued */
    void (*tell)(const struct cio__wait *wait, struct cio__tale *tale);
};

/*
 * The wait in which a task stands. It lies in the waiting frame, first in a struct that says more
 * if there is more to say.
 */
struct cio__wait {
    const struct cio__wait_kind *kind;
    bool canceled; /* it took a cancellation */
    bool passing;  /* it is passing one on at the moment */
};

enum cio__future_state {
    CIO__PENDING = 0,
    CIO__FINISHED = 1, /* with rc and value; CIO_ECANCELED: canceled */
    CIO__FREE = 2,     /* in the pool */
};

/*
 * A future, and the task that may complete it. It fills three cache lines: the first is what the
 * ready ring reads, the second what a switch does, the third how it began and ended.
 */
struct cio_future {
    cio_handle step; /* resumes the task; tasks that sleep stand in the timer heap by it */
    struct cio__resumer *resumer;

    struct cio__context context;
    struct cio__wait *wait; /* NULL: not waiting, or only for its turn */
    union {
        struct cio__stack *stack; /* NULL: it is not, or no longer, running */
        size_t stack_size;        /* wished for, until it begins; 0: the usual */
    };
    int cancel_requests;
    uint8_t state;
    bool is_task;
    bool must_cancel; /* a cancellation that its next wait will get */
    bool known;       /* somebody saw its error, or will */
    struct cio__links waiters;

    int rc;
    uint32_t references;
    union {
        void *value;
        void *arg; /* until it begins */
    };
    uintptr_t vars;   /* its context: a place, see loop/vars.h */
    const char *name; /* NULL: "Task-<id>", made when it is asked for */
    cio_coroutine *fn;
    uint64_t id;
    union {
        cio_ring place; /* among the tasks that are not done, in order of creation */
        struct cio_future *next_free;
    };
#if defined(CIO__ASAN) || defined(CIO__TSAN)
    struct cio__shadow shadow;
#endif
} __attribute__((aligned(CIO__CACHE_LINE)));

/* Who resumed a task: it is switched back to. It lies in the resuming frame. */
struct cio__resumer {
    struct cio__context context;
    struct cio_future *task;  /* which it is by now: one hands over to the next; NULL: it is gone */
    struct cio_future *outer; /* the task that was current before */
    bool is_loop;             /* else somebody begins a task eagerly, and waits for it to wait */
#if defined(CIO__ASAN) || defined(CIO__TSAN)
    struct cio__shadow shadow;
#endif
};

/* What floor 2 keeps for a loop. */
struct cio__tasks {
    cio_loop *loop;
    struct cio__stacks stacks;
    struct cio__pool_block *blocks;
    struct cio_future *free;
    cio_ring all;                     /* the tasks that are not done */
    size_t live;                      /* how many there are */
    struct cio_generator *generators; /* those made while this loop ran */
    uint64_t last_id;
    bool shutting_down; /* tasks are canceled as soon as they are created */
    bool stop_when_none;
};

extern _Thread_local cio_task *cio__current __attribute__((tls_model("initial-exec")));

/* Floor 2's part of a loop, made when it is first asked for. NULL: no memory. */
struct cio__tasks *cio__tasks_of(cio_loop *loop);

/* Adds a block to the pool. False: no memory. */
bool cio__pool_grow(struct cio__tasks *tasks);

/* Whether it lies in this loop's pool, in use or not. future may point to what is long gone. */
bool cio__pool_has(const struct cio__tasks *tasks, const struct cio_future *future);

/*
 * A pending future from the pool with one reference. NULL: no memory. Its fields are set one by
 * one: the context needs no zeros, and clearing all of it would take longer than a switch.
 */
static inline struct cio_future *cio__future_alloc(struct cio__tasks *tasks)
{
    if (unlikely(!tasks->free) && !cio__pool_grow(tasks))
        return NULL;
    struct cio_future *future = tasks->free;
    tasks->free = future->next_free;
    future->step.fn = NULL;
    future->step.loop = tasks->loop;
    future->step.state = CIO__IDLE;
    future->step.priority = CIO_PRIORITY_NORMAL;
    future->step.lane = future->step.unused = 0; /* one store with the two before */
    future->wait = NULL;
    future->stack_size = 0;
    future->cancel_requests = 0;
    future->state = CIO__PENDING;
    future->is_task = future->must_cancel = future->known = false;
    future->waiters.first = future->waiters.last = NULL;
    future->rc = 0;
    future->references = 1;
    future->value = NULL;
    future->vars = 0;
    future->name = NULL;
    return future;
}

/* What an end without a reference may need: reports an error that nobody knows, frees the name. */
void cio__future_bury(struct cio_future *future);

/*
 * Two pairs follow: who runs in the future's loop knows it already. To ask the future costs hardly
 * an instruction more, but everything after a switch would wait for the answer.
 */

/* Drops one reference; the last one frees. */
static inline void cio__unref_in(cio_loop *loop, struct cio_future *future)
{
    if (--future->references > 0)
        return;
    if (unlikely(future->rc < 0 || future->name))
        cio__future_bury(future);
    struct cio__tasks *tasks = loop->tasks;
    future->state = CIO__FREE;
    future->next_free = tasks->free;
    tasks->free = future;
}

static inline void cio__unref(struct cio_future *future)
{
    cio__unref_in(future->step.loop, future);
}

/* Ends a pending future and queues its waiters. */
static inline void cio__future_finish_in(cio_loop *loop, struct cio_future *future, int rc,
                                         void *value)
{
    future->state = CIO__FINISHED;
    future->rc = rc;
    future->value = rc >= 0 ? value : NULL;
    if (future->waiters.first)
        cio__links_wake(loop, &future->waiters);
}

static inline void cio__future_finish(struct cio_future *future, int rc, void *value)
{
    cio__future_finish_in(future->step.loop, future, rc, value);
}

/* Queues handle when the future ends, or now if it has. link must be removed again if it is not. */
static inline void cio__future_listen(struct cio_future *future, cio_link *link, cio_handle *handle)
{
    if (likely(future->state == CIO__PENDING)) {
        cio__links_append(&future->waiters, link, handle);
        return;
    }
    link->list = NULL;
    if (cio__handle_state(handle) == CIO__IDLE)
        cio__ready_push(&future->step.loop->ready, handle);
}

/*
 * Waits in the current task until its handle is pushed. Returns CIO_ECANCELED if the wait was
 * canceled or had been asked for before, else 0. The caller then removes what it left with sources.
 */
int cio__wait(struct cio__wait *wait);

/* Ends another task's wait, unless it is on its way already. */
static inline void cio__wake(cio_task *task)
{
    if (cio__handle_state(&task->step) == CIO__IDLE)
        cio__ready_push(&task->step.loop->ready, &task->step);
}

static inline cio_task *cio__task_at(const struct cio__tasks *tasks, const cio_ring *place)
{
    if (place == &tasks->all)
        return NULL;
    return (cio_task *)((uintptr_t)place - offsetof(cio_task, place));
}

/* The task that was created first of those that are not done; NULL if there is none. */
static inline cio_task *cio__oldest_task(const struct cio__tasks *tasks)
{
    return cio__task_at(tasks, tasks->all.next);
}

/* The one created after it; NULL if it is the newest. */
static inline cio_task *cio__next_task(const struct cio__tasks *tasks, const cio_task *task)
{
    return cio__task_at(tasks, task->place.next);
}

/* Brings what the counters say of tasks up to date. */
void cio__count_tasks(const cio_loop *loop, cio_loop_counters *shown);

/* Copies name as the future's. Returns 0 or -ENOMEM. */
int cio__set_name(struct cio_future *future, const char *name);

/* Tells floor 1 which context is current in a task. */
void cio__contexts_know_tasks(void);

/* Lets go of the contexts that a loop's end finds: a task's, and those of done callbacks. */
void cio__contexts_forget(struct cio_future *future);

/* The handle's callback of a task that has begun. Called, it takes one step and comes back. */
void cio__task_resume(void *task);

/* The task whose step a handle's call is; NULL: another callback. And whether there was one yet. */
cio_task *cio__task_of_step(cio_callback *fn, void *arg);
bool cio__task_has_begun(const cio_task *task);

/* The instance of cio__run_turns() that knows tasks. */
void cio__run_with_tasks(cio_loop *loop);

/* 0 if the current task may wait for this future: else CIO_ENOTASK, CIO_ESELF, ... */
int cio__check_await(const cio_future *future);
int cio__check_await_all(cio_future *const *futures, size_t n);

/*
 * Has stack overflows of tasks of this thread reported, from here to the end. Returns false if that
 * cannot be had; then the end must not be called.
 */
bool cio__overflow_reports_begin(void);
void cio__overflow_reports_end(void);

#endif
