/*
 * A task that overruns its stack touches its guard page. The handler, on a stack of its own, says
 * which task it was; then the process dies as it would have without it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/memory.h"
#include "task/generator.h"

#define HANDLER_STACK ((size_t)64 * 1024)

/* Where each thread's handler runs; the handler that stood there before ours. */
static _Thread_local void *handler_stack;
static struct sigaction previous;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users; /* threads in cio_run() */

static bool in_guard(const struct cio__stack *stack, const void *address)
{
    const char *bottom = stack->bottom;
    const char *fault = address;
    return fault < bottom && fault >= bottom - cio__page_size();
}

/* Only calls that a signal handler may make; names are strings already, or made up here. */
static void describe(char *text, size_t room, const cio_task *task)
{
    char name[64];
    snprintf(name, sizeof name, "Task-%llu", (unsigned long long)task->id);
    snprintf(text, room, "task '%.100s'", task->name ? task->name : name);
}

static void say_who(const char *who, const struct cio__stack *stack)
{
    char line[512];
    int n = snprintf(line, sizeof line, "cio: %s overflowed its %zu KiB stack\n", who,
                     stack->size / 1024);
    ssize_t written = write(STDERR_FILENO, line, (size_t)n);
    (void)written;
}

/* A generator's body runs as a part of the current task, if there is one. */
static void say_which_generator(const struct cio__stack *stack, const cio_task *task)
{
    char who[256], consumer[128] = "a callback";
    if (task)
        describe(consumer, sizeof consumer, task);
    if (*stack->holder)
        snprintf(who, sizeof who, "generator '%.100s' in %s", stack->holder, consumer);
    else
        snprintf(who, sizeof who, "a generator in %s", consumer);
    say_who(who, stack);
}

static void report(const void *address)
{
    const cio_task *task = cio__current;
    const struct cio__stack *stack;
    char who[128];
    if (task && task->stack && in_guard(task->stack, address)) {
        describe(who, sizeof who, task);
        say_who(who, task->stack);
    } else if ((stack = cio__stack_of(cio__running, address)) && stack->holder &&
               in_guard(stack, address)) {
        say_which_generator(stack, task);
    }
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    report(info->si_addr);
    sigaction(signal_number, &previous, NULL); /* the fault repeats, and goes there */
}

static bool install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    return sigaction(SIGSEGV, &action, &previous) == 0;
}

/* A thread that has such a stack of its own keeps it: ours would be no better. */
static bool give_stack(void)
{
    stack_t there;
    if (sigaltstack(NULL, &there) < 0)
        return false;
    if (!(there.ss_flags & SS_DISABLE))
        return true;
    handler_stack = cio__alloc(HANDLER_STACK);
    if (!handler_stack)
        return false;
    stack_t ours = {.ss_sp = handler_stack, .ss_size = HANDLER_STACK};
    return sigaltstack(&ours, NULL) == 0;
}

static void take_stack(void)
{
    if (!handler_stack)
        return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    cio__free(handler_stack);
    handler_stack = NULL;
}

bool cio__overflow_reports_begin(void)
{
    if (!give_stack()) {
        take_stack();
        return false;
    }
    pthread_mutex_lock(&lock);
    bool installed = users > 0 || install();
    users += installed;
    pthread_mutex_unlock(&lock);
    if (!installed)
        take_stack();
    return installed;
}

void cio__overflow_reports_end(void)
{
    pthread_mutex_lock(&lock);
    if (--users == 0)
        sigaction(SIGSEGV, &previous, NULL);
    pthread_mutex_unlock(&lock);
    take_stack();
}
