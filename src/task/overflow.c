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
#include "task/task.h"

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
static void say_who(const cio_task *task)
{
    char line[256];
    char name[64];
    snprintf(name, sizeof name, "Task-%llu", (unsigned long long)task->id);
    int n = snprintf(line, sizeof line, "cio: task '%.100s' overflowed its %zu KiB stack\n",
                     task->name ? task->name : name, task->stack->size / 1024);
    ssize_t written = write(STDERR_FILENO, line, (size_t)n);
    (void)written;
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    cio_task *task = cio__current;
    if (task && task->stack && in_guard(task->stack, info->si_addr))
        say_who(task);
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
