/*
 * timeout: three ways to say "no longer than this", and what a task that is stopped can still do.
 */
#include <stdio.h>

#include <cio.h>

static int work(void *arg)
{
    const double *seconds = arg;
    return cio_sleep(*seconds);
}

/* Told to stop, it tidies up first: whoever canceled it waits for that. */
static int careful_work(void *arg)
{
    int rc = work(arg);
    if (rc == CIO_ECANCELED)
        puts("  (tidying up)");
    return rc;
}

/* A limit for one call. */
static int limit_a_call(double limit, double takes)
{
    int rc = cio_wait_for(careful_work, &takes, limit);
    printf("a call of %g s within %g s: %s\n", takes, limit, cio_strerror(rc));
    return rc;
}

/* A limit for several waits together. */
static int limit_a_block(void)
{
    cio_timeout t;
    int rc = cio_timeout_enter(&t, 0.1);
    if (rc < 0)
        return rc;
    int steps = 0;
    while (rc == 0) {
        rc = cio_sleep(0.03);
        steps += rc == 0;
    }
    rc = cio_timeout_exit(&t, rc);
    printf("a block within 0.1 s: %s, %s\n", steps > 0 ? "some steps done" : "no step done",
           cio_strerror(rc));
    return rc;
}

/* A limit for the waiting only: the task itself runs on. */
static int limit_the_wait(void)
{
    double takes = 0.2;
    cio_task *task = cio_create_task(careful_work, &takes);
    if (!task)
        return cio_last_error();
    int done = cio_wait(&task, 1, CIO_ALL_COMPLETED, 0.05);
    printf("a wait of 0.05 s: %d of 1 task done\n", done);
    int rc = cio_await(task);
    printf("the task itself: %s\n", cio_strerror(rc));
    return rc;
}

static int main_task(void *arg)
{
    (void)arg;
    limit_a_call(1, 0.01);
    limit_a_call(0.05, 60);
    limit_a_block();
    return limit_the_wait();
}

int main(void)
{
    int rc = cio_run(main_task, NULL);
    if (rc < 0)
        fprintf(stderr, "timeout: %s\n", cio_strerror(rc));
    return rc < 0;
}
