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

/*
 * Cancels what is left and lets it end. Needs no memory: the last task to end stops the loop. Tasks
 * that are created meanwhile are canceled before they begin.
 */
static void end_all_tasks(cio_loop *loop)
{
    struct cio__tasks *tasks = loop->tasks;
    tasks->shutting_down = true;
    if (!tasks->live)
        return;
    for (cio_task *task = cio__oldest_task(tasks); task; task = cio__next_task(tasks, task))
        cio_cancel(task);
    tasks->stop_when_none = true;
    while (tasks->live && cio_run_forever(loop) == 0)
        continue; /* somebody else called cio_stop() */
}

/*
 * Ends what the run has begun, in asyncio's order; each may leave tasks or ask for some. What the
 * ends of the last tasks have queued has its turn too.
 */
static void end_all(cio_loop *loop)
{
    end_all_tasks(loop);
    cio__close_generators(loop);
    end_all_tasks(loop);
    if (loop->end_threads)
        loop->end_threads(loop);
    if (!cio__ready_empty(&loop->ready)) {
        cio_stop(loop);
        cio_run_forever(loop);
    }
    end_all_tasks(loop);
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
    if (!cio__loop_inherited(loop))
        end_all(loop);
    cio__unref(main_task);
    return interrupted ? -EINTR : rc;
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
