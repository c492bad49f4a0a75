/* Tasks as other threads see them: what the files of this floor know of them. */
#ifndef CIO_IO_REMOTE_H
#define CIO_IO_REMOTE_H

#include "io/executor.h"

/* A remote's calls in its loop, and what happens if the loop is closed before they are made. */
void cio__remote_begin(void *remote);
void cio__remote_begin_dropped(void *remote);
void cio__remote_ask_to_cancel(void *remote);
void cio__remote_ask_dropped(void *remote);

/* Cancels the task for which the job waits in cio_call_threadsafe(), if it does and it is ours. */
void cio__remote_cancel_call(struct cio__job *job);

/*
 * The current task has submitted the job and is about to wait for it. Says whether it never can be
 * begun: every thread of the executor waits for a task that waits like this. The second ends that.
 */
bool cio__remote_would_deadlock(struct cio__job *job);
void cio__remote_waits_no_more(const struct cio__job *job);

#endif
