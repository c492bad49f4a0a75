/*
 * Looking at the loop of another thread. It is asked first, by mail: it then stands still between
 * two callbacks. If it does not answer, because a callback blocks it, its thread is interrupted by
 * a signal and stands still in the handler. What the program does in a callback that has blocked
 * for so long leaves the loop's own records in order.
 */
#ifndef CIO_DEBUG_STOP_H
#define CIO_DEBUG_STOP_H

#include "debug/snapshot.h"

/* Installs the handler of SIGURG, unless the program has one; each begin takes one end. */
void cio__stopping_begin(void);
void cio__stopping_end(void);

/* The flag of a handler that is to run on that stack; see cio__handler_stack_give(). */
int cio__on_stack(void);

/* Whether this is the signal, and it has our handler. */
bool cio__stops_by(int signal_number);

/* Gives this thread a stack for signal handlers if it has none: those of tasks may be small. */
void cio__handler_stack_give(void);

/*
 * Has a thread stand still in its handler; what it was doing is left in *here. False if it does not
 * answer. One caller at a time: who holds the list of loops.
 */
bool cio__thread_stop(int thread, struct cio__here *here);
void cio__thread_go_on(void);

/* Adds a loop that another thread runs, whatever it takes. The caller holds the list of loops. */
void cio__see_other_loop(struct cio__snapshot *snapshot, cio_loop *loop);

#endif
