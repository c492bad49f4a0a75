/* The operating system: tasks, traps, the scheduler. */
#include "os.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

void os_init(struct os *os)
{
    *os = (struct os){0};
    os->ready_end = &os->ready;
}

static void schedule(struct os *os, struct os_task *task)
{
    task->next = NULL;
    *os->ready_end = task;
    os->ready_end = &task->next;
}

static struct os_task *next_ready(struct os *os)
{
    struct os_task *task = os->ready;
    os->ready = task->next;
    if (!os->ready)
        os->ready_end = &os->ready;
    return task;
}

int os_new(struct os *os, cio_generator_fn *fn, void *arg)
{
    struct os_task *task = calloc(1, sizeof *task);
    cio_generator *target = cio_generator_new(fn, arg);
    if (!task || !target || os->last_tid == 63) {
        free(task);
        cio_generator_free(target);
        return -1;
    }
    task->tid = ++os->last_tid;
    task->stack[task->depth++] = target;
    os->all[task->tid] = task;
    os->alive++;
    schedule(os, task);
    return task->tid;
}

/* ---- steps ---- */

static void end_call(struct os_task *task)
{
    cio_generator_free(task->stack[--task->depth]);
    task->stack[task->depth] = NULL;
}

/* The trampoline: no coroutine calls another; each bounces back here, where the stack is kept. */
static bool bounce(struct os_task *task, struct os_trap *trap)
{
    if (!trap || trap->kind == SYSTEM_CALL)
        return false;
    if (trap->kind == CALL && task->depth < CALLS_MAX) {
        task->stack[task->depth++] = cio_generator_new(trap->fn, trap->arg);
        task->sendval = 0;
        return true;
    }
    if (task->depth == 1)
        return false; /* the outermost has nobody to return to */
    task->sendval = trap->number;
    end_call(task);
    return true;
}

int os_task_run(struct os_task *task, struct os_trap **trap)
{
    void *value;
    while (task->depth > 0) {
        intptr_t sent = task->sendval;
        task->sendval = 0;
        int rc = cio_generator_send(task->stack[task->depth - 1], (void *)sent, &value);
        if (rc <= 0) {
            end_call(task); /* it has ended: its caller goes on, without a value */
            continue;
        }
        *trap = value;
        if (!bounce(task, *trap))
            return 1;
    }
    return 0;
}

/* Closes what is left of it, the innermost call first. */
static void close_all(struct os_task *task)
{
    while (task->depth > 0)
        end_call(task);
}

static void task_ended(struct os *os, struct os_task *task)
{
    printf("Task %d terminated\n", task->tid);
    os->all[task->tid] = NULL;
    os->alive--;
    struct os_task *next;
    for (struct os_task *waiter = task->waiting; waiter; waiter = next) {
        next = waiter->next;
        schedule(os, waiter);
    }
    free(task);
}

/* ---- descriptors ---- */

static int count_for_files(const struct os *os)
{
    int n = 0;
    for (const struct os_task *task = os->for_files; task; task = task->next)
        n++;
    return n;
}

static void wake_for_files(struct os *os, const struct pollfd *files)
{
    struct os_task **place = &os->for_files;
    for (int i = 0; *place; i++) {
        struct os_task *task = *place;
        if (!files[i].revents) {
            place = &task->next;
            continue;
        }
        *place = task->next;
        schedule(os, task);
    }
}

/* Asks the kernel who can go on; waits for that if nobody else can. */
static void poll_files(struct os *os, bool wait)
{
    struct pollfd files[64];
    int n = 0;
    for (struct os_task *task = os->for_files; task; task = task->next)
        files[n++] = (struct pollfd){.fd = task->fd, .events = task->events};
    if (poll(files, (nfds_t)n, wait ? -1 : 0) > 0)
        wake_for_files(os, files);
}

int os_mainloop(struct os *os)
{
    while (os->alive) {
        if (count_for_files(os))
            poll_files(os, !os->ready);
        if (!os->ready)
            continue;
        struct os_task *task = next_ready(os);
        struct os_trap *trap;
        if (os_task_run(task, &trap) > 0) {
            if (trap && trap->kind == SYSTEM_CALL)
                trap->handle(os, task, trap);
            else
                schedule(os, task);
        } else if (os->leaves_ends_alone) {
            return -1;
        } else {
            task_ended(os, task);
        }
    }
    return 0;
}

/* ---- system calls ---- */

static intptr_t trap_into(cio_generator *g, struct os_trap trap)
{
    void *answer;
    int rc = cio_generator_yield(g, &trap, &answer);
    return rc < 0 ? rc : (intptr_t)answer;
}

int os_yield(cio_generator *g)
{
    return cio_generator_yield(g, NULL, NULL);
}

static void get_tid(struct os *os, struct os_task *task, struct os_trap *trap)
{
    (void)trap;
    task->sendval = task->tid;
    schedule(os, task);
}

int os_get_tid(cio_generator *g)
{
    return (int)trap_into(g, (struct os_trap){SYSTEM_CALL, .handle = get_tid});
}

static void new_task(struct os *os, struct os_task *task, struct os_trap *trap)
{
    task->sendval = os_new(os, trap->fn, trap->arg);
    schedule(os, task);
}

int os_new_task(cio_generator *g, cio_generator_fn *fn, void *arg)
{
    struct os_trap trap = {SYSTEM_CALL, .handle = new_task, .fn = fn, .arg = arg};
    return (int)trap_into(g, trap);
}

static struct os_task *find(struct os *os, intptr_t tid)
{
    return tid > 0 && tid < 64 ? os->all[tid] : NULL;
}

/* It is closed here; the scheduler finds that it has ended when its turn comes. */
static void kill_task(struct os *os, struct os_task *task, struct os_trap *trap)
{
    struct os_task *victim = find(os, trap->number);
    task->sendval = victim && victim != task;
    if (task->sendval)
        close_all(victim);
    schedule(os, task);
}

int os_kill_task(cio_generator *g, int tid)
{
    return (int)trap_into(g, (struct os_trap){SYSTEM_CALL, .handle = kill_task, .number = tid});
}

static void wait_task(struct os *os, struct os_task *task, struct os_trap *trap)
{
    struct os_task *other = find(os, trap->number);
    task->sendval = other && other != task;
    if (!task->sendval) {
        schedule(os, task);
        return;
    }
    task->next = other->waiting;
    other->waiting = task;
}

int os_wait_task(cio_generator *g, int tid)
{
    return (int)trap_into(g, (struct os_trap){SYSTEM_CALL, .handle = wait_task, .number = tid});
}

static void wait_for_file(struct os *os, struct os_task *task, short events, int fd)
{
    task->fd = fd;
    task->events = events;
    task->next = os->for_files;
    os->for_files = task;
}

static void read_wait(struct os *os, struct os_task *task, struct os_trap *trap)
{
    wait_for_file(os, task, POLLIN, (int)trap->number);
}

static void write_wait(struct os *os, struct os_task *task, struct os_trap *trap)
{
    wait_for_file(os, task, POLLOUT, (int)trap->number);
}

int os_read_wait(cio_generator *g, int fd)
{
    return (int)trap_into(g, (struct os_trap){SYSTEM_CALL, .handle = read_wait, .number = fd});
}

int os_write_wait(cio_generator *g, int fd)
{
    return (int)trap_into(g, (struct os_trap){SYSTEM_CALL, .handle = write_wait, .number = fd});
}

intptr_t os_call(cio_generator *g, cio_generator_fn *fn, void *arg)
{
    return trap_into(g, (struct os_trap){CALL, .fn = fn, .arg = arg});
}

int os_return(cio_generator *g, intptr_t value)
{
    return (int)trap_into(g, (struct os_trap){RETURN, .number = value});
}
