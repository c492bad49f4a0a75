/* The dispositions of signals. They are the process's, not a loop's, so no backend has them. */
#ifndef CIO_OS_SIGNALS_H
#define CIO_OS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

typedef void cio__signal_fn(int number);

/*
 * Has fn called, on the alternate stack if the thread has one, with all signals blocked. What was
 * there before is left in *before, unless it is fn already. Returns 0 or a negated errno.
 */
int cio__signal_catch(int number, cio__signal_fn *fn, struct sigaction *before);

/* Puts before back, unless it is no longer fn that is called. Async-signal-safe. */
void cio__signal_restore(int number, cio__signal_fn *fn, const struct sigaction *before);

bool cio__signal_is_default(int number);
bool cio__signal_is_caught(int number, cio__signal_fn *fn); /* by this one */

/* In its handler: the signal does what it does by default, when the handler returns. */
void cio__signal_default(int number);

/* Sends it to this process, or to this thread; both async-signal-safe. */
void cio__signal_send(int number);
void cio__signal_raise(int number);

#endif
