/*
 * What this floor and the next ask of floor 4, src/debug/, which stands above them: in debug mode,
 * or when there is a failure to report. Nothing of it is on a path that must be quick.
 */
#ifndef CIO_LOOP_DEBUG_H
#define CIO_LOOP_DEBUG_H

#include "loop/loop.h"

/* A new loop's options and $CIO_DEBUG. Returns 0 or what cio_set_debug() says. */
int cio__debug_begin(cio_loop *loop, const cio_loop_options *options);
void cio__debug_free(cio_loop *loop);

/*
 * In debug mode: a future or task, or something that holds a descriptor, was made by the calling
 * function's caller. And that it is no more: for those that are not of the pool.
 */
void cio__debug_created(cio_loop *loop, const void *thing);
void cio__debug_ended(const cio_loop *loop, const void *thing);

/* Where that was, in text; NULL: not known. */
const char *cio__debug_created_at(cio_loop *loop, const void *thing, char *text, size_t size);

/* In debug mode: a poll is over that was to take asked_ns at most. */
void cio__debug_polled(const cio_loop *loop, int64_t asked_ns, int64_t took_ns, int n);

/* In debug mode: a lookup of a name, or of an address as text, was asked for then and is over. */
void cio__debug_looked_up(const cio_loop *loop, const char *name, int64_t asked_ns);

/* In debug mode tells of a descriptor that blocks, and returns -EINVAL; else 0. */
int cio__debug_check_fd(const cio_loop *loop, int fd);

/* Tells of a call from a thread that is not the loop's. Returns CIO_EWRONGLOOP. */
int cio__report_wrong_thread(const cio_loop *loop);

/*
 * Whether a loop of cio_run() that has nothing to do will never have: see debug/deadlock.c. And
 * tells the exception handler of its tasks.
 */
bool cio__nothing_will_wake(cio_loop *loop);
void cio__report_deadlock(cio_loop *loop);

/*
 * The signal, or that of $CIO_DUMP_SIGNAL, makes dumps until the end. False: it does not, and the end
 * must not be called.
 */
bool cio__dump_signal_begin(int signal_number);
void cio__dump_signal_end(void);

#endif
