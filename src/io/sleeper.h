/*
 * Who waits for something that happens in another thread: a plain thread, which blocks, a task,
 * whose loop goes on meanwhile, or a callback of a loop. A sleeper lies in the waiting frame and
 * stands in a list that belongs to what is waited for, under that thing's lock. Whoever ends the
 * wait takes it from the list under the lock, and wakes it when the lock is free again.
 *
 * A sleeper that was taken from its list will be woken, and must stay until it is: it may have been
 * given something. Only one that is still in its list may leave by itself.
 */
#ifndef CIO_IO_SLEEPER_H
#define CIO_IO_SLEEPER_H

#include "os/thread.h"
#include "task/task.h"

struct cio__sleeper {
    struct cio__sleeper *next;
    struct cio__sleeper *previous;
    bool listed;  /* under the lock */
    bool refused; /* taken from the list because what it waits for will not come */
    bool left;    /* it went by itself */
    bool lost;    /* atomic: it was woken, but its loop is closed */
    cio_task *task;
    cio_loop *loop; /* NULL: a thread */
    cio_handle handle;
    struct cio__parker parker;
    struct cio__tie tie;
    pthread_mutex_t *lock;
    struct cio__sleepers *list;
    void (*abandoned)(struct cio__sleeper *self); /* its loop was closed under it; may be NULL */
};

/* First come, first served. Zeroed: empty. */
struct cio__sleepers {
    struct cio__sleeper *first;
    struct cio__sleeper *last;
};

/*
 * Whether one may wait here: in a task, or in a thread that runs no loop. Else CIO_ENOTASK: a
 * callback would block its loop.
 */
int cio__sleeper_check(void);

/* With the lock held: the current task or thread lines up, behind those who came before. */
void cio__sleeper_line_up(struct cio__sleeper *sleeper, struct cio__sleepers *list,
                          pthread_mutex_t *lock);

/*
 * The same for a loop, outside its tasks: fn(arg) is called in it when the sleeper is woken.
 * The second takes it back without the lock, also if the call is on its way.
 */
void cio__sleeper_line_up_call(struct cio__sleeper *sleeper, struct cio__sleepers *list,
                               pthread_mutex_t *lock, cio_loop *loop, cio_callback *fn, void *arg);
void cio__sleeper_leave_call(struct cio__sleeper *sleeper);

/* With the lock held: the one who came first, taken from the list; NULL if there is none. */
struct cio__sleeper *cio__sleepers_take(struct cio__sleepers *list);

/* With the lock held: all of them, chained by next. */
struct cio__sleeper *cio__sleepers_take_all(struct cio__sleepers *list);

/* Without the lock: ends the wait. The sleeper is gone as soon as this begins. */
void cio__sleeper_wake(struct cio__sleeper *sleeper);
void cio__sleepers_wake(struct cio__sleeper *chain);

/*
 * Without the lock, after lining up: waits until woken. Returns 0; CIO_ECANCELED; CIO_ETIMEDOUT
 * after so many seconds; for a task also -ENOMEM. Unless the sleeper left, it has what it waited
 * for, whatever is returned, or was refused. kind is that of a task's wait, which lies first in a
 * struct cio__sleeper_wait.
 */
int cio__sleeper_wait(struct cio__sleeper *sleeper, const struct cio__wait_kind *kind,
                      double seconds);

/* A task's wait, for kinds' cancel functions. */
struct cio__sleeper_wait {
    struct cio__wait wait;
    struct cio__sleeper *sleeper;
};

/* What a kind's cancel function is if the wait itself ends. */
bool cio__sleeper_cancel(struct cio__wait *wait);

/* A sleeper's call in its loop, and what happens if the loop is closed before it is made. */
void cio__sleeper_woken(void *sleeper);
void cio__sleeper_dropped(void *sleeper);

#endif
