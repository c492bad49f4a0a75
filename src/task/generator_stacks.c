/* The stacks of generators: their loop's, or, for those that belong to none, the process's. */
#include <pthread.h>

#include "task/generator.h"

#define SHARED_STACK_SIZE ((size_t)64 * 1024)
#define KEPT 1024 /* warm ones; or as many as are in use: no loop's timer notices a quiet time */
#define CHILL_FROM 64 /* so many more at once */

/* Threads share it. Its slabs are kept for good. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    struct cio__stacks stacks;
    size_t live; /* in use */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void lock_shared(void)
{
    pthread_mutex_lock(&shared.lock);
}

static void unlock_shared(void)
{
    pthread_mutex_unlock(&shared.lock);
}

/* A fork waits for the lock, so that the child finds it open. */
static void init_shared(void)
{
    cio__stacks_init(&shared.stacks, NULL, SHARED_STACK_SIZE);
    (void)pthread_atfork(lock_shared, unlock_shared, unlock_shared);
}

/* The memory of a busy moment goes back to the kernel as its stacks do. */
static void trim_shared(void)
{
    size_t keep = shared.live > KEPT ? shared.live : KEPT;
    if (shared.stacks.warm_count >= keep + CHILL_FROM)
        cio__stacks_chill(&shared.stacks, shared.stacks.warm_count - keep);
}

struct cio__stack *cio__generator_stack_take(const cio_generator *g)
{
    struct cio__stack *stack;
    if (g->loop) {
        stack = cio__stack_take(&g->loop->tasks->stacks, g->stack_size);
    } else {
        pthread_once(&shared.once, init_shared);
        lock_shared();
        stack = cio__stack_take(&shared.stacks, g->stack_size);
        shared.live += stack != NULL;
        unlock_shared();
    }
    if (stack)
        stack->holder = g->name ? g->name : "";
    return stack;
}

void cio__generator_stack_give(const cio_generator *g, struct cio__stack *stack)
{
    stack->holder = NULL;
    if (g->loop) {
        cio__stack_give(&g->loop->tasks->stacks, stack);
        return;
    }
    lock_shared();
    cio__stack_give(&shared.stacks, stack);
    shared.live--;
    trim_shared();
    unlock_shared();
}

const struct cio__stack *cio__stack_of(const cio_loop *loop, const void *address)
{
    const struct cio__stack *stack = NULL;
    if (loop && loop->tasks)
        stack = cio__stack_at(&loop->tasks->stacks, address);
    if (!stack && pthread_mutex_trylock(&shared.lock) == 0) {
        stack = cio__stack_at(&shared.stacks, address);
        unlock_shared();
    }
    return stack;
}
