/*
 * The ticker: a thread that interrupts busy loops once a millisecond.
 *
 * A loop that runs quick callbacks looks at the clock after many of them, and so would notice a run
 * of slow ones after as many. To look after each costs more than a switch. So while a loop does not
 * look each time, and has timers or files that would be late, the ticker writes 0 to its stop_at,
 * and it looks after the callback that runs then. That costs the callbacks nothing.
 *
 * There is one thread for all loops of the process. It is started by the first loop that needs it,
 * waits while none does, and ends with the last of them. It takes no signals and allocates nothing.
 */
#ifndef CIO_LOOP_TICKER_H
#define CIO_LOOP_TICKER_H

#include <stdbool.h>

#include <cio/loop.h>

struct cio__ticking {
    bool on;       /* atomic: the ticker's list has the loop; the thread may take it out */
    bool user;     /* it keeps the thread alive */
    bool failed;   /* there is no thread for it */
    unsigned idle; /* the thread's: for how many ticks the loop has been asleep */
    cio_loop *next;
};

static inline bool cio__ticker_is_on(const struct cio__ticking *ticking)
{
    return __atomic_load_n(&ticking->on, __ATOMIC_RELAXED);
}

/* From now on the loop is interrupted while it is busy. False: there is no thread for that. */
bool cio__ticker_start(cio_loop *loop);

/* No longer; nothing if it was not. And the same for good. */
void cio__ticker_stop(cio_loop *loop);
void cio__ticker_leave(cio_loop *loop);

/* Whether the process has that thread: it wakes nobody. */
bool cio__ticker_runs(void);

/* In a forked child there is no such thread. */
void cio__ticker_forget(void);

#endif
