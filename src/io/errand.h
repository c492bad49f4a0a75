/*
 * Errands: jobs that their task may leave behind. A job of cio_to_thread() lies in the waiting
 * frame, which must stay until the job is done. An errand lies in a block of its own with all that
 * it needs and finds: a canceled task leaves at once, and the block goes when the thread has come
 * back with it.
 */
#ifndef CIO_IO_ERRAND_H
#define CIO_IO_ERRAND_H

#include "io/executor.h"
#include "task/task.h"

/* First in the block. */
struct cio__errand {
    struct cio__job job;
    cio_task *task; /* who waits for it; NULL: it was left behind */
    bool alone;     /* atomic: of its thread and its loop's end one has let go, the other frees */
    void (*free)(struct cio__errand *self); /* the block and what was found; in any thread */
};

/* A task's wait for one, for kinds' tell functions. */
struct cio__errand_wait {
    struct cio__wait wait;
    const struct cio__errand *errand;
};

/*
 * Has job.fn called with the errand in a thread of the executor and waits for it. job.fn and free
 * are filled in, the rest is zeroed. kind has no cancel. Returns 0: it was done, job.rc is its
 * result, and the errand is the caller's again; or an error of cio__job_submit() or CIO_ECANCELED,
 * and it is gone or will go.
 */
int cio__errand_run(struct cio__errand *errand, cio_executor *executor,
                    const struct cio__wait_kind *kind);

#endif
