/*
 * Stacks, and where they come from. They are made in slabs of 64, one mapping each, with a guard page
 * below every stack; given back ones are kept and used again, the last first, because its pages are
 * warm and its memory is there. What a quiet time shows not to be needed goes back to the kernel.
 */
#ifndef CIO_TASK_STACKS_H
#define CIO_TASK_STACKS_H

#include <cio/loop.h>

struct cio__stack {
    void *bottom; /* the lowest usable byte; the guard lies below it */
    size_t size;  /* usable bytes, at least */
    void *top;    /* where the first frame goes */
    struct cio__stack *next; /* while it is free */
    struct cio__stack *previous;
    unsigned valgrind; /* its name there */
    bool single;       /* of a size of its own, in a mapping of its own */
};

struct cio__stacks {
    cio_loop *loop;
    size_t size;
    struct cio__stack *warm; /* free; its memory is resident; the last used first */
    struct cio__stack *warm_last;
    struct cio__stack *cold; /* free; its memory was never touched or given back */
    size_t warm_count;
    size_t live;        /* in use */
    size_t peak;        /* the most in use lately */
    cio_handle trimmer; /* a timer */
    struct cio__slab *slabs;
    struct cio__slab *singles;
};

void cio__stacks_init(struct cio__stacks *stacks, cio_loop *loop, size_t size);
void cio__stacks_free(struct cio__stacks *stacks);

/* A stack of the usual size, or of the given one if it is not 0. NULL: no memory or mapping left. */
struct cio__stack *cio__stack_take(struct cio__stacks *stacks, size_t size);
void cio__stack_give(struct cio__stacks *stacks, struct cio__stack *stack);

#endif
