/*
 * The timers: a heap of four children a node, with the deadlines in the array so that comparing
 * touches no handle, and each handle knowing its place so that canceling removes it at once.
 */
#ifndef CIO_LOOP_TIMERS_H
#define CIO_LOOP_TIMERS_H

#include <cio/loop.h>

#define CIO__NEVER INT64_MAX

struct cio__timer {
    int64_t when_ns;
    cio_handle *handle;
};

struct cio__timers {
    struct cio__timer *heap;
    uint32_t n;
    uint32_t capacity;
    uint64_t sequence; /* of the next timer: equal deadlines are first in, first out */
};

void cio__timers_free(struct cio__timers *timers);

/* Adds handle at handle->when_ns. Returns 0 or -ENOMEM. */
int cio__timers_add(struct cio__timers *timers, cio_handle *handle);
void cio__timers_remove(struct cio__timers *timers, cio_handle *handle);

/* The earliest deadline, CIO__NEVER if there is none. */
static inline int64_t cio__timers_next_ns(const struct cio__timers *timers)
{
    return timers->n ? timers->heap[0].when_ns : CIO__NEVER;
}

/*
 * The first time of the clock, in nanoseconds, at which a reader of it in seconds sees `when`
 * reached. when is not NaN.
 */
int64_t cio__deadline_ns(double when);

/* seconds from now_ns; rounded up, and CIO__NEVER if that is beyond the clock. */
int64_t cio__deadline_after_ns(int64_t now_ns, double seconds);

#endif
