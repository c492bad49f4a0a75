/*
 * A pool of threads, and the jobs that they do for tasks. What the files of this floor know of it;
 * the public face is <cio/thread.h>.
 *
 * A job lies in the frame of the task that waits for it (to_thread.c) or in a block of its own
 * (run_in_executor.c). It is queued, or given at once to a thread that is idle; then that thread's;
 * and comes back to its loop as a call. From when it was submitted until it has come back it holds
 * its loop and its executor, for either may be given up meanwhile.
 */
#ifndef CIO_IO_EXECUTOR_H
#define CIO_IO_EXECUTOR_H

#include <cio/thread.h>

#include "io/sleeper.h"

struct cio__job {
    cio_ring place; /* first; in the executor's queue */
    cio_job *fn;
    void *arg;
    struct cio__vars *vars; /* the context in which it is done, until it has begun; NULL: empty */
    int rc;
    bool queued; /* under the executor's lock: no thread has it yet */
    bool asked;  /* atomic: whoever waits for it was canceled; see cio_job_cancelled() */
    bool back;   /* it has come back to its loop, or will not */
    cio_executor *executor;
    cio_loop *loop;
    cio_handle handle;
    struct cio__tie tie;
    struct cio_remote *call; /* what it waits for in this loop, see remote.c; the loop's thread's */

    void (*ended)(struct cio__job *self);   /* in the loop: it has come back */
    void (*dropped)(struct cio__job *self); /* the same, but its loop is being closed */

    /*
     * Its loop was closed before. In the thread that did it, which does not touch it afterwards.
     * The tie was cut already, or will be.
     */
    void (*orphaned)(struct cio__job *self);
};

/* The job that this thread is doing; NULL: none. */
extern _Thread_local struct cio__job *cio__job_current;

/*
 * Hands a job over whose fn, arg and functions are filled in, and the tie's cut. executor
 * NULL: the default one of the running loop. A context is let go if that fails. Returns 0; CIO_ESHUTDOWN; -EAGAIN if there are too
 * many queued and it is not urgent, or no thread could be started and there is none; -ENOMEM.
 */
int cio__job_submit(struct cio__job *job, cio_executor *executor, bool urgent);

/* Takes it back if no thread has begun it. Then it is done with: ended() will not be called. */
bool cio__job_withdraw(struct cio__job *job);

/* Nobody wants its result any more: it is told, and so is the task that it waits for. */
void cio__job_ask_to_end(struct cio__job *job);

/* A job's call in its loop, and what happens if the loop is closed before it is made. */
void cio__job_arrived(void *job);
void cio__job_dropped(void *job);

/*
 * The default executor of the running loop, made when it is first asked for. NULL: see
 * cio_last_error().
 */
cio_executor *cio__default_executor(void);

/* The same of the one that looks names up. */
cio_executor *cio__name_threads(void);

/* What its threads are called, and how many there may be. */
const char *cio__executor_name(const cio_executor *executor);
int cio__executor_size(const cio_executor *executor);

/*
 * Nothing new is taken; with cancel, what is queued comes back canceled. Threads end when there is
 * nothing left for them to do.
 */
void cio__executor_stop(cio_executor *executor, bool cancel);

/* Whether a thread is doing a job. One whose job has come back may still look for the next. */
bool cio__executor_is_busy(const cio_executor *executor);

/*
 * Waits, in a task or a plain thread, until the threads of one that was stopped have ended. Whatever
 * they did for this loop has come back before. Returns 0, CIO_ETIMEDOUT, CIO_ECANCELED, -ENOMEM.
 */
int cio__executor_wait(cio_executor *executor, const struct cio__wait_kind *kind, double seconds);

/* The same where no task is: fn(arg) is called in the loop then. */
void cio__executor_line_up_call(cio_executor *executor, struct cio__sleeper *sleeper,
                                cio_loop *loop, cio_callback *fn, void *arg);

/* After the last thread has said that it ends: waits for that, which takes no time. */
void cio__executor_join(cio_executor *executor);

#endif
