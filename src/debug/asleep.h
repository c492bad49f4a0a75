/*
 * Looking at a thread that blocks in a system call without a signal: many calls, sleep(3) and
 * poll(2) among them, would be cut short by one.
 */
#ifndef CIO_DEBUG_ASLEEP_H
#define CIO_DEBUG_ASLEEP_H

#include "debug/unwind.h"

/* Where a thread stands in a system call. Two that are equal: it has not moved. */
struct cio__asleep {
    char text[192];     /* what the kernel says: the call, its arguments, and where it was made */
    char switches[128]; /* and how often it fell asleep: some make the same call again and again */
    struct cio__frame frame;
};

/* False if it runs, or the kernel does not tell. */
bool cio__asleep_begin(struct cio__asleep *asleep, int thread);

/* Whether it still stands there: then what was read meanwhile belongs together. */
bool cio__asleep_still(const struct cio__asleep *asleep, int thread);

/* Reads our own memory, wherever that is: false where there is none. */
bool cio__peek(void *to, const void *from, size_t size);

#endif
