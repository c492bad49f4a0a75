/*
 * Threads and tasks (asyncio.to_thread, loop.run_in_executor, asyncio.run_coroutine_threadsafe):
 * blocking functions in threads, awaited by tasks; coroutines in a loop, started and waited for by
 * threads; and a queue between the two. The four ways to call:
 *
 *     a plain function calls a plain function      f(arg)
 *     a task calls a coroutine                     f(arg)
 *     a task calls a blocking function             cio_to_thread(f, arg)
 *     a plain function calls a coroutine           cio_call_threadsafe(loop, f, arg); where no loop
 *                                                  runs anywhere, cio_run(f, arg)
 *
 * Threads of a pool block all signals but those that their own faults raise, so that ^C and the
 * rest go to the program's other threads; what a job starts by fork() and exec() inherits that.
 * A forked child has no threads of the pool: an executor begins anew there.
 */
#ifndef CIO_THREAD_H
#define CIO_THREAD_H

#include <cio/export.h>
#include <cio/future.h>
#include <cio/task.h>

CIO_BEGIN

/*
 * A job of a thread: any function, which may block. It returns >= 0 or a negative error; one that
 * returns CIO_ECANCELED ends canceled. It may call cio_run() and everything of this header, but
 * nothing of the loop that it works for.
 */
typedef int cio_job(void *arg);

/* ---- Executors: pools of threads (concurrent.futures.ThreadPoolExecutor) ---- */

typedef struct cio_executor cio_executor;

typedef struct cio_executor_options {
    int max_threads;   /* 1 .. 4096; 0: 4 more than there are processors, at most 32 */
    size_t max_queued; /* jobs of cio_run_in_executor() that may wait for a thread; 0: 65 536 */
    size_t stack_size; /* bytes of a thread's stack, up to 1 GiB; 0: the system's usual */
    const char *name; /* threads are called NAME-0, NAME-1 ...; copied, 11 bytes count; NULL: cio */
} cio_executor_options;

/*
 * A new pool; options may be NULL. It starts a thread when a job comes and none is idle, until it
 * has as many as it may; they end with the executor. Any thread and any number of loops may use it.
 * The caller owns it: cio_executor_shutdown(), then cio_executor_free(). NULL: -EINVAL for numbers
 * out of bounds, -ENOMEM.
 */
CIO_API cio_executor *cio_executor_new(const cio_executor_options *options);

#define CIO_SHUTDOWN_NOWAIT 1u /* return at once; threads end when they have nothing left to do */
#define CIO_SHUTDOWN_CANCEL 2u /* jobs that no thread has begun come back with CIO_ECANCELED */

/*
 * Takes no further jobs, and waits until those that it has are done and its threads have ended
 * (Executor.shutdown). In a task others run meanwhile, and what the jobs were for in this loop has
 * heard of their ends when it returns 0; a plain thread blocks. Several may wait, and it may be
 * called again. Returns 0; -EINVAL for NULL or unknown flags; CIO_EDEADLOCK in a thread
 * of its own and CIO_ENOTASK in a callback of a loop, where nothing happens unless no wait was
 * asked for; CIO_ECANCELED [the executor is shut down, but its threads may still run].
 */
CIO_API int cio_executor_shutdown(cio_executor *executor, unsigned flags);

/*
 * Gives it up: shut down without waiting if it is not, it goes when its last thread does. NULL does
 * nothing. Returns 0.
 */
CIO_API int cio_executor_free(cio_executor *executor);

/*
 * Makes it the loop's default, in place of the one that the loop would make when it is first
 * needed (loop.set_default_executor). It is the loop's from now on: shut down at the end of
 * cio_run(), freed by cio_loop_close(). Returns 0; -EINVAL for NULLs; CIO_ECLOSED; CIO_ESTATE if
 * the loop has one already; CIO_ESHUTDOWN.
 */
CIO_API int cio_set_default_executor(cio_loop *loop, cio_executor *executor);

/*
 * Shuts the running loop's default executor down and waits for its threads, at most so many seconds
 * (loop.shutdown_default_executor); from then on it takes no jobs. Returns 0, also if there never was
 * one, and the futures of all its jobs have ended then; CIO_ETIMEDOUT, the exception handler hears of it too, and the threads go when they are done;
 * -EINVAL for NaN; CIO_ENOTASK; -ENOMEM and CIO_ECANCELED [it is shut down, but its threads may
 * still run; may be called again].
 *
 * cio_run() does it at its end, after the last task, with 300 seconds.
 */
CIO_API int cio_shutdown_default_executor(double seconds);

/* ---- Jobs ---- */

/*
 * Has fn(arg) called in a thread of the loop's default executor, waits for it, and returns what it
 * returned (asyncio.to_thread). fn sees the task's context variables; what it sets, it sets for
 * itself. Allocates nothing, but for the executor at the first call.
 *
 * Canceled before a thread has begun it: it is not called, and the call returns at once [total].
 * Canceled later: a thread cannot be stopped, and arg may lie in the caller's frame, so the call
 * goes on until fn has returned, and then returns CIO_ECANCELED [partial: fn has run, its result is
 * lost]; meanwhile cio_job_cancelled() is true for fn, and a cio_call_threadsafe() in which it
 * waits for this loop is canceled too. Use cio_run_in_executor() for jobs that should be left
 * behind.
 *
 * Also -EINVAL for a NULL fn; CIO_ENOTASK; CIO_ESHUTDOWN; -ENOMEM; -EAGAIN if the system has no
 * thread left and the executor has none; CIO_EDEADLOCK if every thread of the executor waits by
 * cio_call_threadsafe() for a task that in turn waits here for a thread. In all of these fn was not
 * called.
 */
CIO_API int cio_to_thread(cio_job *fn, void *arg);

/* The same in an executor of yours; NULL: the loop's default. */
CIO_API int cio_to_thread_in(cio_executor *executor, cio_job *fn, void *arg);

typedef struct cio_job_options {
    cio_executor *executor;      /* NULL: the running loop's default */
    void (*free_arg)(void *arg); /* called once when arg is not needed any more; NULL: nothing is */
} cio_job_options;

/*
 * Has fn(arg) called in a thread; the future ends with what it returns (loop.run_in_executor).
 * executor NULL: the running loop's default. Tasks and callbacks may call it. fn sees no context
 * variables, as in asyncio: use cio_context_run() for that. arg must live until
 * fn has returned, whatever becomes of the future: let the job own it, and options->free_arg end
 * it, in that thread after fn has returned, or in the loop's if fn will never be called.
 *
 * Canceling the future ends it at once. If no thread has begun the job it is taken from the queue
 * in the next turn; else it runs on and its result is lost. A job that is not done when its loop is
 * closed runs on as well.
 *
 * NULL, then neither fn nor free_arg will be called: CIO_ENOLOOP, -EINVAL for a NULL fn, -ENOMEM,
 * CIO_ESHUTDOWN, CIO_ECLOSED, -EAGAIN if as many jobs are queued as may be or if there is no thread
 * and none can be had.
 */
CIO_API cio_future *cio_run_in_executor(cio_executor *executor, cio_job *fn, void *arg);
CIO_API cio_future *cio_run_in_executor_with(const cio_job_options *options, cio_job *fn,
                                             void *arg);

/*
 * In a job: whether whoever waits for it was canceled, so that it may end early. False elsewhere.
 * No asyncio counterpart.
 */
CIO_API bool cio_job_cancelled(void);

/* ---- Tasks for other threads ---- */

/* A task as another thread sees it (the concurrent.futures.Future of run_coroutine_threadsafe). */
typedef struct cio_remote cio_remote;

/*
 * Starts fn(arg) as a task of the loop, from any thread (asyncio.run_coroutine_threadsafe). loop
 * NULL: the one that the present job works for. The task begins with the caller's context
 * variables. The caller owns what it gets: cio_remote_join() or
 * cio_remote_detach() finishes it. arg must live until the task has ended or is known not to run.
 *
 * The task ends with CIO_ESHUTDOWN, without having begun, if the loop is ending its last tasks, and
 * with CIO_ECLOSED if the loop is closed before the task has ended.
 *
 * NULL: -EINVAL for a NULL fn; CIO_ENOLOOP for a NULL loop where no job is done; CIO_ECLOSED;
 * CIO_EFORKED for a loop of the parent process; -ENOMEM.
 */
CIO_API cio_remote *cio_run_threadsafe(cio_loop *loop, cio_coroutine *fn, void *arg);

/*
 * Waits until the task has ended, at most so many seconds (Future.result with a timeout, but the
 * result is asked for apart). Any thread may; a task of another loop waits without blocking it.
 * Returns 0; CIO_ETIMEDOUT; -EINVAL for NULL or NaN; CIO_EDEADLOCK in the thread that runs the
 * task's loop; CIO_ENOTASK in a callback of another loop; CIO_EFORKED; -ENOMEM; CIO_ECANCELED
 * [total].
 */
CIO_API int cio_remote_wait(cio_remote *remote, double seconds);

/*
 * Waits until the task has ended, finishes the handle, and returns how it ended; a value that it
 * ended with is left in *value by the second form (NULL if there is none). Canceled meanwhile, in
 * a task of another loop: passed on, as by cio_await(), and it goes on until the task has ended.
 * Nothing happens and the handle stays yours with -EINVAL, CIO_EDEADLOCK, CIO_ENOTASK, CIO_EFORKED,
 * as above; call cio_remote_done() if your tasks end with such codes.
 */
CIO_API int cio_remote_join(cio_remote *remote);
CIO_API int cio_remote_join_value(cio_remote *remote, void **value);

/*
 * Finishes the handle without waiting: the task runs on, and an error that it ends with goes to the
 * loop's exception handler. NULL does nothing. Returns 0.
 */
CIO_API int cio_remote_detach(cio_remote *remote);

/*
 * Asks for the task's cancellation, from any thread (Future.cancel); it is asked in its loop, soon.
 * Returns 1, or 0 if it was done, or -EINVAL for NULL.
 */
CIO_API int cio_remote_cancel(cio_remote *remote);

CIO_API bool cio_remote_done(const cio_remote *remote); /* false for NULL */

/* How it ended. CIO_ESTATE if it has not, -EINVAL for NULL. */
CIO_API int cio_remote_result(const cio_remote *remote);

/*
 * Calls fn(arg) as a task of the loop and waits for it: cio_run_threadsafe(), then
 * cio_remote_join(). loop NULL: the one that the present job works for. arg may lie in the caller's
 * frame. Returns how the task ended, or why it was not begun: as both of these, CIO_EDEADLOCK in
 * the thread that runs the loop, where the coroutine can simply be called.
 */
CIO_API int cio_call_threadsafe(cio_loop *loop, cio_coroutine *fn, void *arg);

/* ---- A queue between threads and tasks (Janus) ---- */

/*
 * Items of one size, first in, first out, copied in and out. Every call may be made by tasks of any
 * loop, who then wait without blocking it, and by plain threads, who block. Those who wait get
 * their turn in the order in which they came, and whoever comes later waits behind them.
 */
typedef struct cio_thread_queue cio_thread_queue;

/*
 * A new queue for at most maxsize items of item_size bytes each; all memory is taken here. The
 * caller owns it: cio_thread_queue_free(). NULL: -EINVAL for zeros, -ENOMEM.
 */
CIO_API cio_thread_queue *cio_thread_queue_new(size_t maxsize, size_t item_size);

/*
 * Gives it back with what is in it. NULL does nothing. Returns 0, or -EBUSY while somebody waits in
 * it: close it first and let them go.
 */
CIO_API int cio_thread_queue_free(cio_thread_queue *queue);

/*
 * Puts *item in, and waits for room if there is none: for ever, at most so many seconds, or not at
 * all. Returns 0; CIO_ESHUTDOWN if it is closed or is closed meanwhile; CIO_ETIMEDOUT or, by the
 * last, -EAGAIN; -EINVAL for NULLs and NaN; CIO_ENOTASK in a callback of a loop, but for the last;
 * -ENOMEM for want of a timer; CIO_ECANCELED. In all of these nothing was put in [total].
 */
CIO_API int cio_thread_queue_put(cio_thread_queue *queue, const void *item);
CIO_API int cio_thread_queue_put_for(cio_thread_queue *queue, const void *item, double seconds);
CIO_API int cio_thread_queue_put_nowait(cio_thread_queue *queue, const void *item);

/*
 * Takes the oldest item out into *item, and waits for one if there is none. Returns as the puts do;
 * a closed queue gives out what is in it, and then CIO_ESHUTDOWN. [total]
 */
CIO_API int cio_thread_queue_get(cio_thread_queue *queue, void *item);
CIO_API int cio_thread_queue_get_for(cio_thread_queue *queue, void *item, double seconds);
CIO_API int cio_thread_queue_get_nowait(cio_thread_queue *queue, void *item);

/*
 * Nothing more can be put in; those who wait to do so, and those who wait for an item, are told
 * (Queue.shutdown). Closing twice is allowed. Returns 0 or -EINVAL for NULL.
 */
CIO_API int cio_thread_queue_close(cio_thread_queue *queue);

/* How many items are in it; 0 for NULL. */
CIO_API size_t cio_thread_queue_size(cio_thread_queue *queue);

CIO_END

#endif
