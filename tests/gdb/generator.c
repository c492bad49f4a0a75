/*
 * A program whose task stands in a generator that waits in another one, and whose main task runs
 * one, for gdb to look at. When they do it calls all_parked().
 */
#include <cio.h>

#ifdef __clang__
#define FRAME __attribute__((noinline))
#else
#define FRAME __attribute__((noipa)) /* two functions of like bodies stay two */
#endif

static volatile int depth;

FRAME static int body_waits(void)
{
    int rc = cio_sleep(CIO_FOREVER);
    depth++;
    return rc;
}

static int inner(cio_generator *g, void *arg)
{
    (void)g, (void)arg;
    int rc = body_waits();
    depth++;
    return rc;
}

FRAME static int ask_inner(cio_generator *g)
{
    int rc = cio_generator_next(g, NULL);
    depth++;
    return rc;
}

static int outer(cio_generator *g, void *arg)
{
    (void)g;
    int rc = ask_inner(arg);
    depth++;
    return rc;
}

FRAME static int ask_outer(cio_generator *g)
{
    int rc = cio_generator_next(g, NULL);
    depth++;
    return rc;
}

static int consumer(void *arg)
{
    int rc = ask_outer(arg);
    depth++;
    return rc;
}

/* gdb's breakpoint. */
FRAME static void all_parked(void)
{
    depth++;
}

static int runs(cio_generator *g, void *arg)
{
    (void)g, (void)arg;
    all_parked();
    depth++;
    return 0;
}

static int main_task(void *arg)
{
    cio_generator_options options = {.name = "outer"};
    cio_generator *in = cio_generator_new(inner, arg);
    cio_generator *out = cio_generator_new_with(&options, outer, in);
    cio_generator *running = cio_generator_new(runs, arg);
    cio_set_name(cio_current_task(), "main");
    cio_task *task = cio_create_task_with(&(cio_task_options){.name = "consumer"}, consumer, out);
    cio_sleep(0.01);
    cio_generator_next(running, NULL);
    cio_cancel(task);
    cio_await(task);
    cio_generator_free(out);
    cio_generator_free(in);
    return cio_generator_free(running);
}

int main(void)
{
    return cio_run(main_task, NULL) < 0;
}
