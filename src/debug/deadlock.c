/*
 * Whether anything is left that could wake a loop which is about to sleep for ever.
 *
 * It must never be said of a loop that something will wake. So only a loop of cio_run() is judged,
 * which nobody but the library and those who were given it can know, and the answer is yes unless
 * all of this holds:
 *
 * - no handle is queued or in the inbox, no timer runs (a sleep without an end is one: somebody
 *   wished it), and no descriptor is watched or waited for;
 * - no thread of the library's owes the loop a call (loop/ties.h), and no signal is waited for;
 * - the program was never given the loop (by cio_get_running_loop(), cio_get_loop(), its exception
 *   handler); or it has one thread only, and no signal handler but cio's own: then there is nobody
 *   who could call from outside.
 *
 * ^C does not count: it ends the program anyway.
 */
#include <cio/debug.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "debug/mode.h"
#include "debug/stop.h"
#include "loop/signals.h"
#include "loop/ticker.h"

/* The one that was found last is most often still in use. */
static bool any_file(cio_loop *loop)
{
    const struct cio__file *last = cio__file_find(loop, loop->used_fd);
    if (last && cio__file_in_use(last))
        return true;
    for (size_t i = 0; i < loop->files.n_blocks; i++)
        for (int k = 0; loop->files.blocks[i] && k < CIO__FILES_A_BLOCK; k++)
            if (cio__file_in_use(&loop->files.blocks[i][k])) {
                loop->used_fd = loop->files.blocks[i][k].fd;
                return true;
            }
    return false;
}

/* The library keeps one for itself, which wakes nobody. */
static bool any_timer(const cio_loop *loop)
{
    const struct cio__timers *timers = &loop->timers;
    return timers->n > 1 ||
           (timers->n == 1 && timers->heap[0].handle != &loop->tasks->stacks.trimmer);
}

/* A directory's links: itself, its parent, and one for each thread. */
static bool other_threads(void)
{
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) < 0)
        return true;
    return tasks.st_nlink > 3u + cio__service_runs() + cio__ticker_runs();
}

/* Those that tell of a fault wake nobody. */
static bool is_waking_signal(int number)
{
    return number != SIGSEGV && number != SIGBUS && number != SIGFPE && number != SIGILL &&
           number != SIGSYS && number != SIGTRAP && number != SIGABRT && !cio__stops_by(number) &&
           !cio__dumps_on(number) && !cio__signal_is_ours(number);
}

static bool any_signal_handler(void)
{
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
            action.sa_handler != SIG_IGN && is_waking_signal(number))
            return true;
    }
    return false;
}

static bool may_be_called(const cio_loop *loop)
{
    if (loop->expected > 0 || cio__signals_expected(loop))
        return true;
    return __atomic_load_n(&loop->given_away, __ATOMIC_RELAXED) &&
           (other_threads() || any_signal_handler());
}

bool cio__nothing_will_wake(cio_loop *loop)
{
    return loop->tasks && loop->tasks->live > 0 && !any_timer(loop) && !any_file(loop) &&
           !may_be_called(loop) && !cio__inbox_has_mail(loop);
}

void cio__report_deadlock(cio_loop *loop)
{
    struct cio__snapshot snapshot;
    char *text = NULL;
    size_t size = 0;
    struct cio__out out = {.stream = open_memstream(&text, &size)};
    if (out.stream && cio__snapshot_begin(&snapshot) == 0) {
        cio__see_loop(&snapshot, loop, NULL);
        cio__print_snapshot(&out, &snapshot);
        cio__snapshot_free(&snapshot);
    }
    if (out.stream)
        fclose(out.stream);
    cio_exception_context context = {
        .message = "cio_run() cannot go on", .error = CIO_EDEADLOCK, .details = text};
    cio_call_exception_handler(loop, &context);
    free(text);
}
