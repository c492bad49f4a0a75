/* The inside of an executor, for the two files that know it: its life, and its jobs. */
#ifndef CIO_IO_POOL_H
#define CIO_IO_POOL_H

#include "io/executor.h"
#include "os/spin.h"

/* A thread of the pool; it lies on that thread's stack. */
struct worker {
    struct worker *next_idle;
    struct cio__parker parker;
};

struct cio_executor {
    pthread_mutex_t lock;
    cio_ring queue; /* of jobs */
    size_t n_queued;
    size_t max_queued;
    struct worker *idle; /* the one that became so last comes first: it is still warm */
    int n_threads;
    int max_threads;
    int n_busy;            /* atomic: jobs that threads have, and have not sent home */
    bool spinning;         /* atomic: an idle thread has not gone to sleep yet */
    struct cio__spin spin; /* how soon another job came; that thread's alone */
    bool waking;   /* a thread was woken or started, and has not looked into the queue yet */
    int n_started; /* for their names */
    bool stopped;
    bool has_ended; /* a thread has ended that nobody has joined yet */
    pthread_t ended;
    struct cio__sleepers sleepers; /* until the last thread has ended */
    size_t stack_size;
    uint32_t references;       /* atomic: the owner's, the threads', the jobs' */
    struct cio_executor *next; /* all of the process, for forked children */
    char name[CIO__THREAD_NAME_SIZE];
};

/* How often this process has been forked since its first ancestor. */
extern unsigned cio__executor_forks;

/* Whoever uses it from another thread holds it; the last to let go frees. */
void cio__executor_hold(cio_executor *executor);
void cio__executor_release(cio_executor *executor);

/* With the lock held: the next of the queue, NULL if there is none. */
struct cio__job *cio__job_take_first(cio_executor *executor);

/* A job that will not be done goes home with CIO_ECANCELED. It may be gone afterwards. */
void cio__job_send_back_undone(struct cio__job *job);

#endif
