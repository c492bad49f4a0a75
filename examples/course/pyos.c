/*
 * pyos: an operating system built of coroutines, step by step. lib/os.c is the system; the programs
 * below are its users.
 *
 *     pyos 1            a task is a coroutine, and runs until it yields
 *     pyos 2 [ROUNDS]   a scheduler: two tasks in turn, for ever; with ROUNDS one of them ends,
 *                       which this scheduler does not expect
 *     pyos 3            one that deals with the end of a task
 *     pyos 4            system calls: a task asks for its number
 *     pyos 5            tasks make and kill tasks
 *     pyos 6            and wait for them
 *     pyos trampoline   coroutines call coroutines
 *
 * Steps 7 and 8, tasks that wait for sockets, are in pyos_echo.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/os.h"

struct speech {
    const char *text;
    long times; /* 0: for ever */
};

static int say(cio_generator *g, void *arg)
{
    const struct speech *speech = arg;
    int rc = 0;
    for (long i = 0; (!speech->times || i < speech->times) && rc >= 0; i++) {
        puts(speech->text);
        rc = os_yield(g);
    }
    return rc;
}

/* The same, with the number of the task. */
static int say_with_tid(cio_generator *g, void *arg)
{
    const struct speech *speech = arg;
    int tid = os_get_tid(g);
    int rc = tid;
    for (long i = 0; (!speech->times || i < speech->times) && rc >= 0; i++) {
        printf("%s %d\n", speech->text, tid);
        rc = os_yield(g);
    }
    return rc;
}

static int run(cio_generator_fn *fn, struct speech *a, struct speech *b, bool leaves_ends_alone)
{
    struct os os;
    if (os_init(&os) < 0)
        return -1;
    os.leaves_ends_alone = leaves_ends_alone;
    os_new(&os, fn, a);
    if (b)
        os_new(&os, fn, b);
    return os_mainloop(&os);
}

static int two_parts(cio_generator *g, void *arg)
{
    (void)arg;
    puts("Part 1");
    int rc = os_yield(g);
    if (rc < 0)
        return rc;
    puts("Part 2");
    return os_yield(g);
}

static int step_1(void)
{
    struct os_task task = {.tid = 1, .stack[0] = cio_generator_new(two_parts, NULL), .depth = 1};
    struct os_trap *trap;
    puts("Running foo()");
    os_task_run(&task, &trap);
    puts("Resuming foo()");
    os_task_run(&task, &trap);
    cio_generator_free(task.stack[0]);
    return 0;
}

static int step_2(long rounds)
{
    struct speech foo = {"I'm foo", rounds}, bar = {"I'm bar", 0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = run(say, &foo, &bar, true);
    if (rc < 0)
        fprintf(stderr, "pyos: a task has ended, and nobody expected it\n");
    return rc;
}

static int step_3(void)
{
    return run(say, &(struct speech){"I'm foo", 10}, &(struct speech){"I'm bar", 5}, false);
}

static int step_4(void)
{
    return run(say_with_tid, &(struct speech){"I'm foo", 5}, &(struct speech){"I'm bar", 10},
               false);
}

static int kill_child(cio_generator *g, void *arg)
{
    struct speech foo = {"I'm foo", 0};
    (void)arg;
    int child = os_new_task(g, say_with_tid, &foo);
    int rc = child;
    for (int i = 0; i < 5 && rc >= 0; i++)
        rc = os_yield(g);
    os_kill_task(g, child);
    puts("main done");
    return rc;
}

static int wait_for_child(cio_generator *g, void *arg)
{
    struct speech foo = {"I'm foo", 5};
    (void)arg;
    int child = os_new_task(g, say, &foo);
    puts("Waiting for child");
    int rc = os_wait_task(g, child);
    puts("Child done");
    return rc;
}

/* A subroutine, as far as the system is concerned: it could trap, and its caller would wait. */
static int add(cio_generator *g, void *arg)
{
    const int *numbers = arg;
    return os_return(g, numbers[0] + numbers[1]);
}

static int call_add(cio_generator *g, void *arg)
{
    (void)arg;
    intptr_t sum = os_call(g, add, (int[]){2, 2});
    printf("%d\n", (int)sum);
    return os_yield(g);
}

static int run_alone(cio_generator_fn *fn)
{
    return run(fn, NULL, NULL, false);
}

static int trampoline(void)
{
    struct os_task task = {.tid = 1, .stack[0] = cio_generator_new(call_add, NULL), .depth = 1};
    struct os_trap *trap;
    while (os_task_run(&task, &trap) > 0)
        continue;
    return 0;
}

int main(int argc, char **argv)
{
    const char *step = argc > 1 ? argv[1] : "";
    int rc = -2;
    if (strcmp(step, "1") == 0)
        rc = step_1();
    else if (strcmp(step, "2") == 0)
        rc = step_2(argc > 2 ? strtol(argv[2], NULL, 10) : 0);
    else if (strcmp(step, "3") == 0)
        rc = step_3();
    else if (strcmp(step, "4") == 0)
        rc = step_4();
    else if (strcmp(step, "5") == 0)
        rc = run_alone(kill_child);
    else if (strcmp(step, "6") == 0)
        rc = run_alone(wait_for_child);
    else if (strcmp(step, "trampoline") == 0)
        rc = trampoline();
    if (rc == -2)
        fprintf(stderr, "usage: pyos 1|2|3|4|5|6|trampoline\n");
    return -rc;
}
