/* Running a program (asyncio's "Runners"). */
#ifndef CIO_RUNNER_H
#define CIO_RUNNER_H

#include <cio/export.h>
#include <cio/task.h>

CIO_BEGIN

typedef struct cio_run_options {
    cio_loop_options loop;
    cio_exception_handler *exception_handler; /* NULL: the default */
    void *exception_arg;
    bool leave_sigint;    /* do not touch SIGINT */
    bool leave_sigsegv;   /* do not install the handler that reports stack overflows */
    bool external_wakers; /* no deadlock is looked for: see cio_run() */
    int dump_signal;      /* see cio_dump_on_signal(); 0: $CIO_DUMP_SIGNAL, else none */
} cio_run_options;

/*
 * Runs fn(arg) as the main task of a new loop and returns how it ended (asyncio.run). At the end:
 * all other tasks are canceled and waited for, failures in this reach the exception handler, then
 * the loop is closed.
 *
 * ^C: in the main thread, and if SIGINT has its default action, the first one cancels the main
 * task, and cio_run() returns -EINTR if the task ends canceled by it; a second one kills the
 * process. A stack overflow in a task is reported to stderr by the task's name before the process
 * dies of it.
 *
 * Deadlock: when all tasks wait, nothing is queued, and no timer, descriptor, thread's job or signal
 * handler of cio's is left that could wake one, the exception handler hears of it, with each task,
 * its stack, what it waits for, and the cycles; all tasks are canceled, and cio_run() returns
 * CIO_EDEADLOCK. A loop that something else may wake is never taken for one: as soon as the program
 * has asked for the loop's address (cio_get_running_loop(), cio_get_loop(), an exception handler of
 * its own), this is done only while the process has no other thread and no signal handler of its
 * own. .external_wakers switches it off. A task in cio_sleep(CIO_FOREVER) is meant to wait, for ^C
 * say: while there is one, there is no deadlock.
 *
 * Also CIO_ERUNNING if a loop runs in this thread; CIO_ESTOPPED if somebody called cio_stop(), the
 * main task is then canceled too; CIO_EFORKED in a child that was forked inside; -EINVAL for NULL;
 * and what cio_loop_new() and cio_create_task() say.
 */
CIO_API int cio_run(cio_coroutine *fn, void *arg);
CIO_API int cio_run_with(const cio_run_options *options, cio_coroutine *fn, void *arg);

/*
 * Runs the loop until the future is done, and returns how it ended; drops your reference
 * (loop.run_until_complete). CIO_ESTOPPED if cio_stop() came first: the future is then still yours.
 * Also CIO_ERUNNING, CIO_ECLOSED, CIO_EWRONGLOOP, -EINVAL: nothing happened, it is still yours.
 */
CIO_API int cio_run_until_complete(cio_loop *loop, cio_future *future);

CIO_END

#endif
