/*
 * An operating system in the small. Its tasks are coroutines; what they yield are traps into it:
 * a bare yield gives up the processor, a system call asks for something, a coroutine calls it, and
 * a value returns it to the caller. It has a scheduler of its own and knows nothing of cio's loop.
 */
#ifndef COURSE_OS_H
#define COURSE_OS_H

#include <cio.h>

struct os;
struct os_task;

/* What a task yields; NULL is a bare yield. */
struct os_trap {
    enum { SYSTEM_CALL, CALL, RETURN } kind;
    void (*handle)(struct os *os, struct os_task *task, struct os_trap *trap); /* SYSTEM_CALL */
    cio_generator_fn *fn;                                                      /* CALL, NEW_TASK */
    void *arg;
    intptr_t number;
};

enum { CALLS_MAX = 16 };

/* A coroutine, the value that it is sent next, and those that it has called. */
struct os_task {
    int tid;
    cio_generator *stack[CALLS_MAX]; /* the last one runs */
    int depth;
    intptr_t sendval;
    struct os_task *next;    /* in a queue */
    struct os_task *waiting; /* those that wait for its end */
    int fd;                  /* that it waits for; -1: none */
};

struct os {
    struct os_task *ready, **ready_end;
    int n_ready;
    struct os_task **all; /* by tid */
    int room;             /* of all */
    int alive;
    int last_tid;
    int epoll;
    int n_for_files;        /* tasks that wait for a descriptor */
    bool leaves_ends_alone; /* step 2: nobody deals with a task that ends */
    bool quiet;             /* nor is it said */
};

/* Returns 0 or a negative error. */
int os_init(struct os *os);

/* Makes a task of a coroutine and queues it. Returns its number, or a negative error. */
int os_new(struct os *os, cio_generator_fn *fn, void *arg);

/* Runs a task to its next trap. > 0: with *trap; 0: it has ended. */
int os_task_run(struct os_task *task, struct os_trap **trap);

/*
 * Runs until no task is left, in rounds: the kernel is asked whose descriptors are ready, then each
 * task that can run does so once. With leaves_ends_alone, until a task has ended: -1.
 */
int os_mainloop(struct os *os);

/* ---- for tasks: each traps, and returns the answer or a negative error ---- */

int os_yield(cio_generator *g);
int os_get_tid(cio_generator *g);
int os_new_task(cio_generator *g, cio_generator_fn *fn, void *arg);
int os_kill_task(cio_generator *g, int tid); /* 1, or 0 if there is none */
int os_wait_task(cio_generator *g, int tid); /* the same */
int os_read_wait(cio_generator *g, int fd);
int os_write_wait(cio_generator *g, int fd);

/* Calls a coroutine by way of the trampoline, and returns from one. */
intptr_t os_call(cio_generator *g, cio_generator_fn *fn, void *arg);
int os_return(cio_generator *g, intptr_t value);

#endif
