/* The generators of a loop: closed at the end of a run, told of when the loop is closed. */
#include <errno.h>

#include <cio/runner.h>
#include <cio/wait.h>

#include "os/memory.h"
#include "task/generator.h"

void cio__generator_enlist(cio_generator *g)
{
    struct cio_generator **list = &g->loop->tasks->generators;
    g->next = *list;
    g->place = list;
    if (*list)
        (*list)->place = &g->next;
    *list = g;
}

void cio__generator_delist(cio_generator *g)
{
    *g->place = g->next;
    if (g->next)
        g->next->place = g->place;
}

/* A closer's cleanup may free others, so each closer looks for the next one itself. */
static cio_generator *next_to_shut(cio_loop *loop)
{
    cio_generator *g = loop->tasks->generators;
    while (g && (g->state != CIO_GENERATOR_SUSPENDED || g->being_shut))
        g = g->next;
    return g;
}

static size_t count_suspended(const cio_loop *loop)
{
    size_t n = 0;
    for (const cio_generator *g = loop->tasks->generators; g; g = g->next)
        n += g->state == CIO_GENERATOR_SUSPENDED;
    return n;
}

static int shut_one(void *arg)
{
    cio_loop *loop = arg;
    cio_generator *g = next_to_shut(loop);
    if (!g)
        return 0;
    g->being_shut = true;
    int rc = cio_generator_close(g); /* it may be freed by now */
    if (rc < 0 && rc != CIO_ECANCELED)
        cio__report(loop, "a generator failed while it was shut down", rc, NULL, NULL);
    return rc;
}

static int shut(cio_task **closers, size_t n)
{
    size_t started = 0;
    while (started < n && (closers[started] = cio_create_task(shut_one, cio__running)))
        started++;
    int rc = cio_gather(closers, started, CIO_RETURN_ERRORS);
    return started < n && rc == 0 ? -ENOMEM : rc;
}

int cio_shutdown_generators(void)
{
    if (!cio__current)
        return CIO_ENOTASK;
    size_t n = count_suspended(cio__running);
    if (n == 0)
        return 0;
    cio_task **closers = cio__alloc(n * sizeof *closers);
    if (!closers)
        return -ENOMEM;
    for (cio_generator *g = cio__running->tasks->generators; g; g = g->next)
        g->being_shut = false;
    int rc = shut(closers, n);
    cio__free(closers);
    return rc;
}

static int shut_all(void *arg)
{
    (void)arg;
    return cio_shutdown_generators();
}

void cio__close_generators(cio_loop *loop)
{
    if (!loop->tasks || count_suspended(loop) == 0)
        return;
    loop->tasks->shutting_down = false; /* a task is wanted once more */
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, shut_all, NULL);
    if (task && cio_run_until_complete(loop, task) == CIO_ESTOPPED)
        cio_detach(task);
}

void cio__report_generators(cio_loop *loop)
{
    for (cio_generator *g = loop->tasks->generators; g; g = g->next) {
        bool ended = g->state == CIO_GENERATOR_CLOSED || g->state == CIO_GENERATOR_CREATED;
        const char *message = ended ? "generator was never freed"
                                    : "generator was destroyed but it is suspended";
        cio__report(loop, message, 0, NULL, g->name ? g->name : "a generator");
    }
}

void cio__free_generators(cio_loop *loop)
{
    cio_generator *next;
    for (cio_generator *g = loop->tasks->generators; g; g = next) {
        next = g->next;
        cio__free(g->name);
        cio__free(g);
    }
    loop->tasks->generators = NULL;
}
