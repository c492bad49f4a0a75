/*
 * The list of tasks that wait for one thing: a part of the structs in <cio/sync.h> and its like.
 * Nothing in it is for programs to use.
 */
#ifndef CIO_WAITERS_H
#define CIO_WAITERS_H

#include <stdint.h>

#include <cio/export.h>

CIO_BEGIN

struct cio__waiter;

/* All zeros: nobody waits, and no loop is meant yet. */
struct cio__waiters {
    struct cio__waiter *first;
    struct cio__waiter *last;
    uint64_t loop_id; /* the loop whose tasks wait here, since the first wait; 0: none yet */
    uint32_t woken;   /* who were woken and have not run; counted where newcomers must not pass */
};

#define CIO__WAITERS_INIT                                                                          \
    {                                                                                              \
        0, 0, 0, 0                                                                                 \
    }

CIO_END

#endif
