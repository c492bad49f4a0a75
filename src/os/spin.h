/*
 * A short wait for another thread without sleeping. To sleep and be woken takes tens of microseconds
 * where a processor that has nothing to do is put to rest, and what is waited for is often there
 * sooner. Whoever finds that it is not gives the processor up, and after each such miss leaves
 * twice as many waits alone before it tries again: so what a miss costs is spread over many waits.
 */
#ifndef CIO_OS_SPIN_H
#define CIO_OS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define CIO__SPIN_NS 50000      /* about what a sleep and a wake take */
#define CIO__SPIN_CHECKS 64     /* between two looks at the clock */
#define CIO__SPIN_MISSES_MOST 7 /* 127 waits of 128 are left alone then */

/* What one place of waiting has learnt. Zeroed, it knows nothing and tries. */
struct cio__spin {
    uint8_t misses; /* in a row */
    uint8_t left;   /* waits that are left alone before the next try */
};

/* Whether to try now. The other thread needs a processor of its own meanwhile. */
bool cio__spin_begin(struct cio__spin *spin);

static inline void cio__spin_end(struct cio__spin *spin, bool hit)
{
    if (hit)
        spin->misses = 0;
    else if (spin->misses < CIO__SPIN_MISSES_MOST)
        spin->misses++;
    spin->left = (uint8_t)((1u << spin->misses) - 1);
}

/* Tells the processor that this is one. */
static inline void cio__spin_pause(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb" ::: "memory");
#endif
}

#endif
