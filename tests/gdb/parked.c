/*
 * A program whose tasks are parked in different ways, for gdb to look at. When they all are it
 * calls all_parked(). With an argument it sleeps instead, and an alarm stops it in the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cio.h>

/* A frame of its own, which nothing is optimised out of: work remains after the call. */
#define FRAME __attribute__((noinline))

static volatile int depth;

FRAME static int five(double seconds)
{
    int rc = cio_sleep(seconds);
    depth++;
    return rc;
}

FRAME static int four(double seconds)
{
    int rc = five(seconds);
    depth++;
    return rc;
}

FRAME static int three(double seconds)
{
    int rc = four(seconds);
    depth++;
    return rc;
}

FRAME static int two(double seconds)
{
    int rc = three(seconds);
    depth++;
    return rc;
}

FRAME static int one(double seconds)
{
    int rc = two(seconds);
    depth++;
    return rc;
}

static int sleeper(void *arg)
{
    int rc = one(*(double *)arg);
    depth++;
    return rc;
}

FRAME static int wait_for_it(cio_future *future)
{
    int rc = cio_await(future);
    depth++;
    return rc;
}

static int awaiter(void *arg)
{
    int rc = wait_for_it(cio_ref(arg));
    depth++;
    return rc;
}

FRAME static ssize_t read_line(int fd)
{
    char line[100];
    ssize_t rc = cio_sock_recv(fd, line, sizeof line);
    depth++;
    return rc;
}

static int receiver(void *arg)
{
    int rc = (int)read_line(*(int *)arg);
    depth++;
    return rc;
}

FRAME static int yield_for_ever(bool or_sleep)
{
    int rc = 0;
    while (rc == 0) {
        rc = or_sleep ? cio_sleep(CIO_FOREVER) : cio_yield();
        depth++;
    }
    return rc;
}

static int yielder(void *arg)
{
    int rc = yield_for_ever(arg != NULL);
    depth++;
    return rc;
}

static int never_begun(void *arg)
{
    (void)arg;
    return 0;
}

/* gdb's breakpoint. */
FRAME static void all_parked(void)
{
    depth++;
}

/* Created eagerly by main, which is held up meanwhile. */
static int eager(void *arg)
{
    (void)arg;
    cio_task *new = cio_create_task_with(&(cio_task_options){.name = "new"}, never_begun, NULL);
    all_parked();
    int rc = cio_await(new);
    depth++;
    return rc;
}

static int dozer(void *arg)
{
    (void)arg;
    ualarm(300000, 0);
    int rc = cio_sleep(1);
    depth++;
    return rc;
}

static cio_task *create(const char *name, bool now, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.name = name, .eager = now}, fn, arg);
    if (!task)
        abort();
    return task;
}

static int main_task(void *arg)
{
    int ends[2];
    double seconds = 1000;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    cio_set_name(cio_current_task(), "main");
    cio_task *sleeping = create("sleeper", false, sleeper, &seconds);
    cio_task *others[] = {
        create("awaiter", false, awaiter, sleeping),
        create("receiver", false, receiver, &ends[0]),
        create("yielder", false, yielder, arg),
    };
    cio_sleep(0.01); /* they park */
    cio_task *last = arg ? create("dozer", true, dozer, NULL) : create("eager", true, eager, NULL);
    int rc = cio_await(last);
    cio_cancel(sleeping);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cio_cancel(others[i]);
        cio_await(others[i]);
    }
    cio_await(sleeping);
    cio_sock_close(ends[0]);
    close(ends[1]);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = cio_run(main_task, argc > 1 ? argv[1] : NULL);
    printf("ended %d\n", rc);
    return rc != 0;
}
