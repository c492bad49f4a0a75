/*
 * Stacks, and where they come from. They are made in slabs of 64, one mapping each, with a guard
 * page below every stack; given back ones are kept and used again, the last first, because its
 * pages are warm and its memory is there. What a quiet time shows not to be needed goes back to the
 * kernel.
 */
#ifndef CIO_TASK_STACKS_H
#define CIO_TASK_STACKS_H

#include <cio/loop.h>

#include "os/os.h"

struct cio__stack {
    void *bottom;            /* the lowest usable byte; the guard lies below it */
    size_t size;             /* usable bytes, at least */
    void *top;               /* where the first frame goes */
    struct cio__stack *next; /* while it is free */
    const char *holder;      /* a generator's name, or ""; NULL: it is a task's or nobody's */
    unsigned valgrind;       /* its name there */
    bool single;             /* of a size of its own, in a mapping of its own */
};

#define CIO__STACKS_KEPT 64 /* free warm stacks that are never trimmed */

struct cio__stacks {
    cio_loop *loop; /* whose timer trims them; NULL: none */
    size_t size;
    struct cio__stack *warm; /* free; its memory is resident; the last used first */
    struct cio__stack *cold; /* free; its memory was never touched or given back */
    size_t warm_count;
    size_t cold_count;
    size_t made;        /* of all kinds, in use or free */
    size_t warm_least;  /* how few there were lately: that many were not needed */
    cio_handle trimmer; /* a timer */
    struct cio__slab *slabs;
    struct cio__slab *singles;
};

void cio__stacks_init(struct cio__stacks *stacks, cio_loop *loop, size_t size);
void cio__stacks_free(struct cio__stacks *stacks);

struct cio__stack *cio__stack_take_slow(struct cio__stacks *stacks, size_t size);
void cio__stack_give_slow(struct cio__stacks *stacks, struct cio__stack *stack);

/* Gives the memory of n warm stacks back; CIO__STACKS_KEPT must remain. */
void cio__stacks_chill(struct cio__stacks *stacks, size_t n);

/* The stack that address points into, or into the guard page of, or NULL. */
const struct cio__stack *cio__stack_at(const struct cio__stacks *stacks, const void *address);

static inline struct cio__stack *cio__stack_take_warm(struct cio__stacks *stacks)
{
    struct cio__stack *stack = stacks->warm;
    stacks->warm = stack->next;
    if (--stacks->warm_count < stacks->warm_least)
        stacks->warm_least = stacks->warm_count;
    return stack;
}

static inline void cio__stack_give_warm(struct cio__stacks *stacks, struct cio__stack *stack)
{
    stack->next = stacks->warm;
    stacks->warm = stack;
    stacks->warm_count++;
}

/*
 * A stack of the usual size, or of the given one if it is not 0. NULL: no memory or mapping left.
 */
static inline struct cio__stack *cio__stack_take(struct cio__stacks *stacks, size_t size)
{
    if (unlikely(size || !stacks->warm))
        return cio__stack_take_slow(stacks, size);
    return cio__stack_take_warm(stacks);
}

static inline void cio__stack_give(struct cio__stacks *stacks, struct cio__stack *stack)
{
    if (unlikely(stack->single || stacks->warm_count >= CIO__STACKS_KEPT))
        cio__stack_give_slow(stacks, stack);
    else
        cio__stack_give_warm(stacks, stack);
}

#endif
