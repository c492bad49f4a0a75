/*
 * Threads, and how a thread waits for another: the seam to the system's. A thread that has to wait
 * parks; whoever ends the wait unparks it. Nothing here knows of loops.
 */
#ifndef CIO_OS_THREAD_H
#define CIO_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIO__THREAD_NAME_SIZE 16 /* what the kernel takes, with the end */

/*
 * Starts a thread that must be joined. Signals that are sent to the process go to other threads,
 * but for the profiler's; those that a thread's own faults raise stay its own. stack_size 0: the
 * system's usual. Returns 0, -EAGAIN if the system has no thread left, -EINVAL for a stack size.
 */
int cio__thread_start(pthread_t *thread, size_t stack_size, void *(*main)(void *), void *arg);

/* Names the calling thread, for ps, top and debuggers; what is too long is cut off. */
void cio__thread_set_name(const char *name);

/*
 * The calling thread lets go of all descriptors, for itself alone: it must never use one. The
 * kernel asks less of a process whose threads do not share its table, at each call on a
 * descriptor. Nothing where that cannot be had.
 */
void cio__thread_leave_files(void);

/* Whether a thread can have a stack of that size. */
bool cio__thread_stack_fits(size_t size);

/* How many processors this process may use. */
int cio__processors(void);

/* Where one thread waits for one event at a time. Zeroed, nothing has happened yet. */
struct cio__parker {
    uint32_t state;
};

/*
 * Waits for cio__unpark(), at most until deadline_ns of the monotonic clock (INT64_MAX: no limit).
 * At once if it came before. Returns false if the time is over first.
 */
bool cio__park(struct cio__parker *parker, int64_t deadline_ns);

/* The same for CIO__SPIN_NS, without sleeping: see spin.h. */
bool cio__park_awake(struct cio__parker *parker);

/*
 * Ends the wait, or the next one. Makes a system call only if somebody sleeps. What parker lies in
 * may be gone as soon as the waiting thread goes on, also before this returns.
 */
void cio__unpark(struct cio__parker *parker);

#endif
