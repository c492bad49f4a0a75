/*
 * Counters: what a loop has done so far, and what stands before it. asyncio has nothing like it.
 */
#ifndef CIO_COUNTERS_H
#define CIO_COUNTERS_H

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

#define CIO_LATENESS_BUCKETS 12

/*
 * All since the loop was made. Differences of two readings are what happened between them; those of
 * nanoseconds are by the loop's clock.
 */
typedef struct cio_loop_counters {
    uint64_t turns;
    uint64_t callbacks; /* that were called, the steps of tasks included */
    uint64_t switches;  /* steps of tasks: how often one was switched to */
    uint64_t hurried; /* callbacks that were put before others: see the turn budget, and classes */

    uint64_t polls;   /* how often the kernel was asked for files */
    uint64_t events;  /* what it had to tell */
    uint64_t sleeps;  /* polls that could wait, because nothing was ready */
    uint64_t poll_ns; /* the time that those took */

    uint64_t ready;     /* callbacks that are queued */
    uint64_t ready_max; /* the most of them that were seen at a look at the clock */

    uint64_t timers;       /* that wait for their time */
    uint64_t timers_fired; /* whose time has come, the lateness of which the next lines tell */
    uint64_t late_max_ns;  /* from the deadline until the timer was queued to be called */
    uint64_t late_sum_ns;
    uint64_t
        late[CIO_LATENESS_BUCKETS]; /* [0]: below 1 us, [i]: below 4^i us; the last: the rest */

    uint64_t posts; /* calls that came from other threads and signal handlers */
    uint64_t wakes; /* how often one of those had to wake the loop */

    uint64_t tasks; /* that are not done */
    uint64_t tasks_created;
    uint64_t tasks_finished;
    uint64_t stacks;      /* that tasks stand on */
    uint64_t stacks_free; /* that are kept for others, their memory included */
} cio_loop_counters;

/*
 * Fills in *counters. From any thread, as long as the loop is not freed meanwhile; it neither waits
 * nor disturbs the loop. In the loop's own thread, while it runs, they are exact. To other threads
 * each is as it was when the loop last went to sleep, or looked at the kernel, which under load is
 * every 250 us or after the callback that lasts longer; they were not all read at one moment.
 * Returns 0, or -EINVAL for NULLs.
 */
CIO_API int cio_loop_get_counters(const cio_loop *loop, cio_loop_counters *counters);

CIO_END

#endif
