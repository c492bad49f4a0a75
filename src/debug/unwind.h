/* Stacks of others: copies of them, and who called whom there. */
#ifndef CIO_DEBUG_UNWIND_H
#define CIO_DEBUG_UNWIND_H

#include "debug/symbols.h"

#define CIO__FRAMES_MOST 64

/* The innermost frame, and a copy of the stack from its sp on. */
struct cio__stack_copy {
    struct cio__frame frame; /* pc 0: there is none */
    const char *bytes;
    size_t size;
};

/*
 * Copies up to `room` bytes of the stack [sp, end) to `bytes`; also from a signal handler. What
 * lies there may be anything.
 */
void cio__stack_copy(struct cio__stack_copy *copy, struct cio__frame frame, uintptr_t end,
                     char *bytes, size_t room);

/*
 * The places in the functions of the stack, innermost first: each address lies within the call (or
 * where the innermost stands). Returns how many. Whatever the copy holds, this ends.
 */
int cio__unwind(const struct cio__stack_copy *copy, struct cio__symbols *symbols, uintptr_t *pcs,
                int most);

/*
 * The calls that led here, by frame pointers alone: quick, and for signal handlers. It reads
 * nothing beyond [fp, end).
 */
int cio__backtrace(uintptr_t fp, uintptr_t end, uintptr_t *pcs, int most);

#endif
