/*
 * Signals. Python's own handler of a signal writes its number to a descriptor; while the loop runs
 * in the main thread, or has handlers, that is one end of a pair of sockets whose other end the
 * loop watches. So no signal finds the loop asleep for long, and it is also how the handlers of
 * add_signal_handler() are called.
 */
#ifndef PY_SIGNALS_H
#define PY_SIGNALS_H

#include "loop.h"

/* While the loop runs, signals wake it. Not in other threads, nor if the program does so itself. */
int py__signals_begin_run(struct py__loop *self);
void py__signals_end_run(struct py__loop *self);

/* Removes all handlers. 0, or -1 with an exception. */
int py__signals_close(struct py__loop *self);

/* Gives the descriptors back: before the loop below is closed. */
void py__signals_free(struct py__loop *self);

#endif
