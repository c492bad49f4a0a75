/* Where futures and tasks live: blocks of 64, never moved, given back when the loop is freed. */
#include <pthread.h>
#include <string.h>

#include <cio/debug.h>

#include "os/memory.h"
#include "task/generator.h"

#define BLOCK_FUTURES 64

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

struct cio__pool_block {
    struct cio__pool_block *next;
    struct cio_future *futures; /* in what follows, on cache lines of their own */
    char room[BLOCK_FUTURES * sizeof(struct cio_future) + CIO__CACHE_LINE];
};

bool cio__pool_grow(struct cio__tasks *tasks)
{
    struct cio__pool_block *block = cio__alloc(sizeof *block);
    if (!block)
        return false;
    uintptr_t room = (uintptr_t)block->room + CIO__CACHE_LINE - 1;
    block->futures = (struct cio_future *)(room / CIO__CACHE_LINE * CIO__CACHE_LINE);
    block->next = tasks->blocks;
    tasks->blocks = block;
    for (int i = BLOCK_FUTURES - 1; i >= 0; i--) {
        block->futures[i].state = CIO__FREE;
        block->futures[i].next_free = tasks->free;
        tasks->free = &block->futures[i];
    }
    return true;
}

bool cio__pool_has(const struct cio__tasks *tasks, const struct cio_future *future)
{
    const struct cio__pool_block *block = tasks->blocks;
    while (block && (future < block->futures || future >= block->futures + BLOCK_FUTURES))
        block = block->next;
    return block != NULL;
}

static void report_unknown_error(struct cio_future *future)
{
    const char *message = future->is_task ? "task's error was never retrieved"
                                          : "future's error was never retrieved";
    cio__report(future->step.loop, message, future->rc, future, cio_get_name(future));
}

void cio__future_bury(struct cio_future *future)
{
    if (future->rc < 0 && !future->known && future->rc != CIO_ECANCELED) {
        future->references = 1; /* the handler may look at it */
        report_unknown_error(future);
    }
    cio__free((void *)future->name);
}

static void report_leftover(cio_loop *loop, struct cio_future *future)
{
    const char *message;
    if (future->state == CIO__PENDING)
        message = future->is_task ? "task was destroyed but it is pending"
                                  : "future was destroyed but it is pending";
    else
        message = future->is_task ? "task was never awaited or detached"
                                  : "future was never awaited or detached";
    int error = future->state == CIO__FINISHED && !future->known ? future->rc : 0;
    cio__report(loop, message, error < 0 ? error : 0, future, cio_get_name(future));
}

static void close_future(cio_loop *loop, struct cio_future *future)
{
    report_leftover(loop, future);
    cio__contexts_forget(future);
}

static void close_tasks(cio_loop *loop)
{
    if (cio__loop_inherited(loop))
        return; /* they are the parent process's */
    for (struct cio__pool_block *block = loop->tasks->blocks; block; block = block->next)
        for (int i = 0; i < BLOCK_FUTURES; i++)
            if (block->futures[i].state != CIO__FREE)
                close_future(loop, &block->futures[i]);
    cio__report_generators(loop);
}

static void free_tasks(cio_loop *loop)
{
    struct cio__tasks *tasks = loop->tasks;
    while (tasks->blocks) {
        struct cio__pool_block *block = tasks->blocks;
        tasks->blocks = block->next;
        for (int i = 0; i < BLOCK_FUTURES; i++)
            if (block->futures[i].state != CIO__FREE)
                cio__free((void *)block->futures[i].name);
        cio__free(block);
    }
    cio__free_generators(loop);
    cio__stacks_free(&tasks->stacks);
    cio__free(tasks);
    loop->tasks = loop->quick_tasks = NULL;
}

/* A forked child runs on a task's stack perhaps, but in none of the parent's tasks. */
static void forget_in_child(void)
{
    struct cio__vars *vars = cio__vars_capture(); /* which is the child's too */
    cio__current = NULL;
    cio__vars_enter(vars);
}

static void watch_forks(void)
{
    fork_error = cio__at_fork(forget_in_child);
}

struct cio__tasks *cio__tasks_of(cio_loop *loop)
{
    if (likely(loop->tasks != NULL))
        return loop->tasks;
    pthread_once(&fork_once, watch_forks);
    cio__contexts_know_tasks();
    if (fork_error)
        return NULL;
    struct cio__tasks *tasks = cio__alloc(sizeof *tasks);
    if (!tasks)
        return NULL;
    *tasks = (struct cio__tasks){.loop = loop};
    cio__ring_init(&tasks->all);
    cio__stacks_init(&tasks->stacks, loop, loop->stack_size);
    loop->tasks = tasks;
    loop->quick_tasks = cio_get_debug(loop) ? NULL : tasks;
    cio__set_run_turns(loop, cio__run_with_tasks);
    loop->count_tasks = cio__count_tasks;
    loop->close_tasks = close_tasks;
    loop->free_tasks = free_tasks;
    return tasks;
}
