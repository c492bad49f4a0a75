/* Signals, as the floors above see them; the public face is <cio/signal.h>. */
#ifndef CIO_LOOP_SIGNALS_H
#define CIO_LOOP_SIGNALS_H

#include <stdbool.h>

#include <cio/signal.h>

/* What one loop has to do with one signal; see signals.c. */
struct cio__signal;

/* For cio_handle_cancel(): removes the handler. Returns 1, or 0 if there was none. */
int cio__signal_unwatch(cio_loop *loop, int number);

/*
 * What happens with a signal that nobody in the loop has asked for: fn(arg) at the first one, in
 * the loop's thread; the next one does what it does by default, at once. Returns 0 or a negated
 * errno. One rule a signal and loop, to be ended.
 */
int cio__signal_rule_begin(cio_loop *loop, int number, cio_callback *fn, void *arg);
void cio__signal_rule_end(cio_loop *loop, int number);

/* Whether a signal could wake somebody: a handler stands, or a task waits for one. */
bool cio__signals_expected(const cio_loop *loop);

/* Whether it is caught for loops: then only those who asked for it are woken. Of this process. */
bool cio__signal_is_ours(int number);

/* The loop is closed, or we are a child that was just forked. */
void cio__signals_close(cio_loop *loop);
void cio__signals_forget_in_child(void);

#endif
