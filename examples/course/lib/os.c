/* The operating system: tasks, traps, the scheduler. */
#include "os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int os_init(struct os *os)
{
    *os = (struct os){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    os->ready_end = &os->ready;
    return os->epoll < 0 ? -errno : 0;
}

static void schedule(struct os *os, struct os_task *task)
{
    task->next = NULL;
    *os->ready_end = task;
    os->ready_end = &task->next;
    os->n_ready++;
}

static struct os_task *next_ready(struct os *os)
{
    struct os_task *task = os->ready;
    os->ready = task->next;
    os->n_ready--;
    if (!os->ready)
        os->ready_end = &os->ready;
    return task;
}

static bool make_room(struct os *os)
{
    if (os->last_tid + 1 < os->room)
        return true;
    int room = os->room ? os->room * 2 : 64;
    struct os_task **all = realloc(os->all, (size_t)room * sizeof(struct os_task *));
    if (!all)
        return false;
    os->all = all;
    os->room = room;
    return true;
}

int os_new(struct os *os, cio_generator_fn *fn, void *arg)
{
    struct os_task *task = calloc(1, sizeof *task);
    cio_generator *target = cio_generator_new(fn, arg);
    if (!task || !target || !make_room(os)) {
        free(task);
        cio_generator_free(target);
        return -ENOMEM;
    }
    task->tid = ++os->last_tid;
    task->fd = -1;
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
    if (!os->quiet)
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

/* The kernel remembers who waits for what, and says each once. Returns 0 or a negative error. */
static int wait_for_file(struct os *os, struct os_task *task, unsigned events, int fd)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.ptr = task};
    int rc = epoll_ctl(os->epoll, EPOLL_CTL_MOD, fd, &event);
    if (rc < 0 && errno == ENOENT)
        rc = epoll_ctl(os->epoll, EPOLL_CTL_ADD, fd, &event);
    if (rc < 0)
        return -errno;
    task->fd = fd;
    os->n_for_files++;
    return 0;
}

static void end_of_wait(struct os *os, struct os_task *task)
{
    task->fd = -1;
    os->n_for_files--;
    schedule(os, task);
}

/* Asks the kernel who can go on; waits for that if nobody else can. */
static void poll_files(struct os *os, bool wait)
{
    struct epoll_event events[64];
    int n = epoll_wait(os->epoll, events, 64, wait ? -1 : 0);
    for (int i = 0; i < n; i++)
        end_of_wait(os, events[i].data.ptr);
}

/* Runs a task to its next trap and deals with that. False: the system is to end. */
static bool step(struct os *os)
{
    struct os_task *task = next_ready(os);
    struct os_trap *trap;
    if (os_task_run(task, &trap) > 0) {
        if (trap && trap->kind == SYSTEM_CALL)
            trap->handle(os, task, trap);
        else
            schedule(os, task);
        return true;
    }
    if (os->leaves_ends_alone)
        return false;
    task_ended(os, task);
    return true;
}

int os_mainloop(struct os *os)
{
    bool goes_on = true;
    while (os->alive && goes_on) {
        if (os->n_for_files)
            poll_files(os, !os->ready);
        for (int n = os->n_ready; n > 0 && goes_on; n--)
            goes_on = step(os);
    }
    close(os->epoll);
    free(os->all);
    return goes_on ? 0 : -1;
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
    return tid > 0 && tid <= os->last_tid ? os->all[tid] : NULL;
}

/* It is closed here; the scheduler finds that it has ended when its turn comes. */
static void kill_task(struct os *os, struct os_task *task, struct os_trap *trap)
{
    struct os_task *victim = find(os, trap->number);
    task->sendval = victim && victim != task;
    if (task->sendval) {
        int fd = victim->fd;
        if (fd >= 0) {
            epoll_ctl(os->epoll, EPOLL_CTL_DEL, fd, NULL);
            end_of_wait(os, victim);
        }
        close_all(victim);
    }
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

static void wait_or_say_why(struct os *os, struct os_task *task, unsigned events, int fd)
{
    task->sendval = wait_for_file(os, task, events, fd);
    if (task->sendval < 0)
        schedule(os, task);
}

static void read_wait(struct os *os, struct os_task *task, struct os_trap *trap)
{
    wait_or_say_why(os, task, EPOLLIN, (int)trap->number);
}

static void write_wait(struct os *os, struct os_task *task, struct os_trap *trap)
{
    wait_or_say_why(os, task, EPOLLOUT, (int)trap->number);
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
