/* A snapshot, as text. */
#ifndef CIO_DEBUG_PRINT_H
#define CIO_DEBUG_PRINT_H

#include <stdio.h>

#include "debug/snapshot.h"

/* Where text goes: to a stream, or, line by line, to a descriptor. */
struct cio__out {
    FILE *stream; /* NULL: fd */
    int fd;
    int rc;
};

void cio__print(struct cio__out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints a stack, a line a call, each after so many spaces. Returns how many. */
int cio__print_stack(struct cio__out *out, struct cio__symbols *symbols,
                     const struct cio__stack_copy *stack, int indent);

/* The same of addresses that lie within calls, up to the first 0. */
int cio__print_places(struct cio__out *out, struct cio__symbols *symbols, const uintptr_t *pcs,
                      int n, int indent);

/* Of the calls that led to a creation: which is the program's own. */
int cio__first_of_program(struct cio__symbols *symbols, const uintptr_t *pcs, int n);

/* "function (file:12)", or what is known instead. */
void cio__describe_place(struct cio__symbols *symbols, uintptr_t pc, char *text, size_t size);

/*
 * Prints all of a snapshot, in a thread of its own: to find the names of things takes more stack
 * than a task has. Returns 0 or what could not be written.
 */
int cio__print_snapshot(struct cio__out *out, const struct cio__snapshot *snapshot);

/* Who awaits whom, and the cycles; see tree.c. find[] is sorted by the task's address. */
struct cio__found {
    const cio_future *future;
    const struct cio__seen_task *task;
};
const struct cio__seen_task *cio__find_seen(const struct cio__found *found, size_t n,
                                            const cio_future *future);
void cio__print_tree(struct cio__out *out, const struct cio__seen_loop *loop,
                     const struct cio__found *found);

#endif
