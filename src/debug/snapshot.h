/*
 * What the tasks of loops do at one moment, in memory of its own: taken while the loop stands still,
 * without allocating, so that it can be looked at when the loop has long gone on. Pointers to
 * futures in it are names: they are compared, never followed.
 */
#ifndef CIO_DEBUG_SNAPSHOT_H
#define CIO_DEBUG_SNAPSHOT_H

#include <cio/counters.h>

#include "debug/unwind.h"
#include "task/task.h"
#include "task/tell.h"

#define CIO__SEEN_NAME 48
#define CIO__SITE_FRAMES 6

enum cio__task_state {
    CIO__TASK_NEW,
    CIO__TASK_READY,
    CIO__TASK_RUNNING,
    CIO__TASK_HELD_UP, /* it runs another, which it began eagerly */
    CIO__TASK_WAITING,
    CIO__TASK_SLEEPING,
};

struct cio__seen_task {
    uint64_t id;
    char name[CIO__SEEN_NAME];
    enum cio__task_state state;
    bool to_be_canceled;
    cio_coroutine *fn;
    const char *wait; /* the public call that waits; NULL: none */
    struct cio__tale tale;
    struct cio__stack_copy stack;
    int64_t since_ns;                 /* its last step ended; 0: not known */
    uintptr_t site[CIO__SITE_FRAMES]; /* where it was created, in debug mode */
};

struct cio__seen_loop {
    struct cio__seen_loop *next;
    const cio_loop *loop;
    int thread; /* that runs it; 0: none */
    bool answered;
    int64_t now_ns;
    size_t n_ready;
    size_t n_timers;
    cio_loop_counters counters;
    struct cio__stack_copy callback; /* the stack of a plain callback that runs */
    size_t omitted;                  /* tasks for which there was no room */
    size_t n;
    struct cio__seen_task tasks[]; /* oldest first */
};

struct cio__snapshot {
    char *memory;
    size_t size;
    size_t low;  /* loops and tasks fill it from below */
    size_t high; /* copies of stacks from above */
    struct cio__seen_loop *first;
    struct cio__seen_loop *last;
};

/* What runs in the loop's thread: a task or, on the thread's own stack, a callback. */
struct cio__here {
    cio_task *current;
    struct cio__frame frame;
};

/* Takes room for it. Returns 0 or -ENOMEM. */
int cio__snapshot_begin(struct cio__snapshot *snapshot);
void cio__snapshot_free(struct cio__snapshot *snapshot);

/*
 * Adds a loop and its tasks. The loop stands still: its thread is the caller's, or waits for it.
 * here is NULL if the loop is between callbacks.
 */
void cio__see_loop(struct cio__snapshot *snapshot, cio_loop *loop, const struct cio__here *here);

/* Adds a loop that could not be looked at. */
void cio__see_no_answer(struct cio__snapshot *snapshot, cio_loop *loop, int thread);

/* A task's name, also that of one that was never asked for it. */
void cio__task_name(const cio_task *task, char *name, size_t size);

#define CIO__STACK_COPIED ((size_t)64 * 1024) /* what lies further out is cut off */

/*
 * Copies the stack on which the frame stands, be it the task's, a generator's or, without a task,
 * the thread's. Its loop stands still.
 */
void cio__copy_stack_of(struct cio__stack_copy *copy, const cio_loop *loop, const cio_task *task,
                        struct cio__frame frame, char *bytes, size_t room);

/* Where the stack of this thread ends that the address lies in; in the loop that runs here. */
uintptr_t cio__stack_end(const cio_loop *loop, const cio_task *task, uintptr_t address);

#endif
