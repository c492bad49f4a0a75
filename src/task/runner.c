/* asyncio.run(): a loop from its beginning to its end. */
#include <cio/runner.h>

#include <errno.h>

#include "loop/debug.h"
#include "loop/signals.h"
#include "os/signals.h"
#include "task/generator.h"

static void stop_loop(cio_future *future, void *arg)
{
    (void)future;
    cio_stop(arg);
}

static int check_until_complete(const cio_loop *loop, const cio_future *future)
{
    if (!loop || !future)
        return -EINVAL;
    return future->step.loop == loop ? 0 : CIO_EWRONGLOOP;
}

int cio_run_until_complete(cio_loop *loop, cio_future *future)
{
    int rc = check_until_complete(loop, future);
    if (rc < 0)
        return rc;
    cio_done_callback callback = {0};
    rc = cio_add_done_callback(future, &callback, stop_loop, loop);
    if (rc < 0)
        return rc;
    rc = cio_run_forever(loop);
    cio_remove_done_callback(&callback);
    if (rc < 0)
        return rc;
    if (future->state == CIO__PENDING)
        return CIO_ESTOPPED;
    rc = cio_result(future);
    cio__unref(future);
    return rc;
}

/* ^C, while the main task runs. */
struct interrupt {
    cio_loop *loop;
    cio_task *main;
    bool watched;
    bool canceled_main;
};

static void cancel_main(void *arg)
{
    struct interrupt *interrupt = arg;
    interrupt->canceled_main = cio_cancel(interrupt->main) == 1;
}

static void watch_sigint(struct interrupt *interrupt)
{
    interrupt->watched = cio__in_main_thread() && cio__signal_is_default(SIGINT) &&
                         cio__signal_rule_begin(interrupt->loop, SIGINT, cancel_main, interrupt) ==
                             0;
}

/* Whether the program was interrupted and ended by it. */
static bool unwatch_sigint(struct interrupt *interrupt, int rc)
{
    if (interrupt->watched)
        cio__signal_rule_end(interrupt->loop, SIGINT);
    return interrupt->canceled_main && rc == CIO_ECANCELED && cio_uncancel(interrupt->main) == 0;
}

static void cancel_all(struct cio__tasks *tasks)
{
    for (cio_task *task = cio__oldest_task(tasks); task; task = cio__next_task(tasks, task))
        cio_cancel(task);
}

#define STUCK_MOST 100 /* cancellations that a task may refuse, one after the other */

/*
 * Cancels what is left and lets it end. Needs no memory: the last task to end stops the loop. Tasks
 * that are created meanwhile are canceled before they begin. Those that refuse, and wait for what
 * never comes, are canceled again; true if some do not end for all that.
 */
static bool end_all_tasks(cio_loop *loop)
{
    struct cio__tasks *tasks = loop->tasks;
    tasks->shutting_down = true;
    if (!tasks->live)
        return false;
    cancel_all(tasks);
    tasks->stop_when_none = true;
    bool reported = loop->stuck;
    loop->stuck = false;
    size_t left = tasks->live;
    for (int times = 0; tasks->live && times < STUCK_MOST && cio_run_forever(loop) == 0;) {
        if (!loop->stuck)
            continue; /* somebody else called cio_stop() */
        loop->stuck = false;
        if (!reported)
            cio__report_deadlock(loop);
        reported = true;
        times = tasks->live < left ? 0 : times + 1;
        left = tasks->live;
        cancel_all(tasks);
    }
    return tasks->live > 0;
}

/*
 * Ends what the run has begun, in asyncio's order; each may leave tasks or ask for some. What the
 * ends of the last tasks have queued and what other threads have posted has its turn too. True if
 * some tasks do not end.
 */
static bool end_all(cio_loop *loop)
{
    bool stuck = end_all_tasks(loop);
    cio__close_generators(loop);
    stuck |= end_all_tasks(loop);
    if (loop->end_threads)
        loop->end_threads(loop);
    if (!cio__ready_empty(&loop->ready) || !cio__lanes_empty(&loop->lanes) ||
        cio__inbox_has_mail(loop)) {
        cio_stop(loop);
        cio_run_forever(loop);
    }
    return stuck | end_all_tasks(loop);
}

static int run_main(cio_loop *loop, const cio_run_options *options, cio_coroutine *fn, void *arg)
{
    cio_task *main_task = cio_create_task_with(&(cio_task_options){.loop = loop}, fn, arg);
    if (!main_task)
        return cio_last_error();
    cio_ref(main_task); /* the interrupt asks it afterwards */
    struct interrupt interrupt = {.loop = loop, .main = main_task};
    if (!options->leave_sigint)
        watch_sigint(&interrupt);
    int rc = cio_run_until_complete(loop, main_task);
    bool interrupted = unwatch_sigint(&interrupt, rc);
    if (rc == CIO_ESTOPPED)
        cio__unref(main_task);
    bool deadlock = loop->stuck;
    if (deadlock)
        cio__report_deadlock(loop);
    if (!cio__loop_inherited(loop))
        deadlock |= end_all(loop);
    cio__unref(main_task);
    return interrupted ? -EINTR : deadlock ? CIO_EDEADLOCK : rc;
}

int cio_run_with(const cio_run_options *options, cio_coroutine *fn, void *arg)
{
    static const cio_run_options defaults;
    if (!options)
        options = &defaults;
    if (!fn)
        return -EINVAL;
    if (cio__running)
        return CIO_ERUNNING;
    cio_loop *loop = cio_loop_new(&options->loop);
    if (!loop)
        return cio_last_error();
    cio_set_exception_handler(loop, options->exception_handler, options->exception_arg);
    loop->finds_deadlocks = !options->external_wakers;
    bool reporting = !options->leave_sigsegv && cio__overflow_reports_begin();
    bool dumping = cio__dump_signal_begin(options->dump_signal);
    int rc = run_main(loop, options, fn, arg);
    if (dumping && !cio__loop_inherited(loop))
        cio__dump_signal_end();
    if (reporting)
        cio__overflow_reports_end();
    cio_loop_free(loop);
    return rc;
}

int cio_run(cio_coroutine *fn, void *arg)
{
    return cio_run_with(NULL, fn, arg);
}
