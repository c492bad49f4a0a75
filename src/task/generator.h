/*
 * Generators, for the files of this floor: the coroutine itself in generator.c, what a loop does
 * with those that belong to it in generators.c, stacks for those without a loop in
 * generator_stacks.c.
 */
#ifndef CIO_TASK_GENERATOR_H
#define CIO_TASK_GENERATOR_H

#include <cio/generator.h>

#include "task/task.h"

/*
 * A generator is driven by whoever resumes it, and knows nothing of tasks: when its body waits, it
 * is the consumer's task that is switched away from, wherever that stands.
 */
struct cio_generator {
    struct cio__context context;  /* of the body, while it does not run */
    struct cio__context consumer; /* of whoever resumed it, while it runs */
    struct cio__stack *stack;     /* NULL: it has not begun or has ended */
    void **to_body;               /* where the body's yield wants what is sent, or NULL */
    void **to_consumer;           /* where the consumer wants what is yielded, or NULL */
    cio_loop *loop;               /* that it belongs to; NULL: none */
    int rc;                       /* the error thrown in; at last, how it ended */
    uint8_t state;                /* CIO_GENERATOR_...; atomic: other threads may ask */
    bool returned;                /* the body has, and its stack is to be given back */
    bool being_shut;

    void *result; /* by cio_generator_return() */
    cio_generator_fn *fn;
    void *arg;
    char *name; /* or NULL */
    size_t stack_size;
    struct cio_generator *next; /* those of the loop */
    struct cio_generator **place;
#if defined(CIO__ASAN) || defined(CIO__TSAN)
    struct cio__shadow shadow;
    struct cio__shadow consumer_shadow;
#endif
};

/* A stack for the body, and its return. NULL: no memory or mapping left. */
struct cio__stack *cio__generator_stack_take(const cio_generator *g);
void cio__generator_stack_give(const cio_generator *g, struct cio__stack *stack);

/*
 * The stack that address points into, or into the guard page of: one of the loop's, or one of those
 * that belong to no loop. NULL: none, or somebody is just changing them. For signal handlers too.
 */
const struct cio__stack *cio__stack_of(const cio_loop *loop, const void *address);

/* Enters a new generator into the loop's list, and takes it out. */
void cio__generator_enlist(cio_generator *g);
void cio__generator_delist(cio_generator *g);

/* At the end of a run: cio_shutdown_generators(), in a task of its own. */
void cio__close_generators(cio_loop *loop);

/* At the close of a loop: tells of those that are left, and frees them. */
void cio__report_generators(cio_loop *loop);
void cio__free_generators(cio_loop *loop);

#endif
