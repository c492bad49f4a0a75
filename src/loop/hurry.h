/*
 * What is due does not wait for the end of a turn that lasts.
 *
 * asyncio's order is that a turn runs what was ready when it began, and that due timers come behind
 * it: 200 jobs of 10 ms hold up a timer for two seconds. Here, when a turn has lasted longer than
 * the loop's budget, what is due hurries: due timers, whether they are ready already or not, and
 * what timers wake or have just woken, are put before the rest of the turn. This goes on for one
 * budget at most, or one callback; then the rest of the turn gets as much time as it took, and one
 * callback at least. What those make ready that timers woke is for the next turn, as ever.
 */
#ifndef CIO_LOOP_HURRY_H
#define CIO_LOOP_HURRY_H

#include "loop/loop.h"

/* Makes due timers ready. Between two turns: after all else, before cio__hurry_turn_begins(). */
void cio__queue_due_timers(cio_loop *loop, int64_t now_ns);

/* A turn is over: before anything is made ready. It was begun: before any of it runs. */
void cio__hurry_turn_ends(cio_loop *loop);
void cio__hurry_turn_begins(cio_loop *loop);

/* A turn was stopped on its way, at now_ns by the clock. */
void cio__hurry(cio_loop *loop, int64_t now_ns);

/* The turn goes on: sets where it must stop for the sake of what is above. */
void cio__hurry_turn_resumes(cio_loop *loop);

#endif
