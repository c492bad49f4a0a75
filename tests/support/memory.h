/*
 * Memory that is counted and can be made to run out: every allocation of a scenario fails in its
 * turn, as in curl's torture tests. Fresh blocks are filled with a pattern: nobody may count on
 * zeroes. It may be asked from several threads.
 */
#ifndef CIO_TESTS_MEMORY_H
#define CIO_TESTS_MEMORY_H

#include <stdatomic.h>

#include <cio.h>

struct memory {
    _Atomic int calls;     /* for blocks and for pages */
    _Atomic int fail_at;   /* this call fails; 0: none */
    _Atomic bool for_good; /* and every later one */
    _Atomic int blocks;    /* that live */
    _Atomic size_t pages;  /* the same in bytes */
};

extern struct memory memory;

/* From now on cio's memory comes from here, and all of it; and no longer: none may be left. */
void memory_begin(void);
void memory_end(void);

/* From now on there is none; and again as much as one likes. */
void memory_lacks(void);
void memory_returns(void);

/*
 * Runs the scenario as a main task with its first allocation failing, then its second, until a run
 * makes it to its end without a failure; then the same with all later ones failing too. Each run may
 * fail or succeed, but the last must succeed, and none may crash, hang or leak memory or descriptors.
 */
void memory_torture(cio_coroutine *scenario);

#endif
