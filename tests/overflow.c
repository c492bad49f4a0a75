/* A stack that overflows must kill the process, and say whose it was. In child processes. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "test.h"

static struct child child;

__attribute__((noinline)) static int fall(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    frame[sizeof frame - 1] = (char)(depth + 1);
    int rc = depth < 100000000 ? fall(depth + 1) : 0;
    return rc + frame[0] + frame[sizeof frame - 1];
}

static int fall_task(void *arg)
{
    (void)arg;
    return fall(0);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

static cio_task *create(const char *name, cio_coroutine *fn, size_t stack_size)
{
    cio_task_options options = {.name = name, .stack_size = stack_size};
    cio_task *t = cio_create_task_with(&options, fn, NULL);
    assert_non_null(t);
    return t;
}

/* The line that names the task, or NULL. */
static char *line_with(const char *name)
{
    return strstr(child.text, name);
}

static void expect_report(int (*fn)(void *arg), const char *name)
{
    run_child(&child, fn, NULL, NULL);
    if (!child_died_of(&child, SIGSEGV) || !line_with(name))
        print_error("status %#x, stderr: %s\n", child.status, child.text);
    assert_true(child_died_of(&child, SIGSEGV));
    assert_non_null(line_with(name));
}

static int one_main(void *arg)
{
    (void)arg;
    return cio_await(create("deep-diver", fall_task, 0));
}

static int run_one(void *arg)
{
    return cio_run(one_main, arg);
}

TEST(an_overflow_dies_of_sigsegv_and_names_the_task)
{
    expect_report(run_one, "deep-diver");
}

static int falling_main(void *arg)
{
    cio_set_name(cio_current_task(), "main-diver");
    return fall_task(arg);
}

static int run_falling_main(void *arg)
{
    return cio_run(falling_main, arg);
}

TEST(an_overflow_of_the_main_task)
{
    expect_report(run_falling_main, "main-diver");
}

static int sized_main(void *arg)
{
    (void)arg;
    return cio_await(create("sized-diver", fall_task, 300000));
}

static int run_sized(void *arg)
{
    return cio_run(sized_main, arg);
}

TEST(an_overflow_of_a_stack_of_another_size)
{
    expect_report(run_sized, "sized-diver");
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int reuse_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "bystander-%d", i);
        cio_detach(create(name, sleep_for_ever, 0));
    }
    cio_await(create("predecessor", nothing, 0));
    return cio_await(create("successor", fall_task, 0));
}

static int run_reuse(void *arg)
{
    return cio_run(reuse_main, arg);
}

TEST(an_overflow_in_a_crowd_names_the_right_one)
{
    expect_report(run_reuse, "successor");
    assert_null(line_with("predecessor"));
    assert_null(line_with("bystander"));
}

static void *thread_run(void *arg)
{
    cio_run(one_main, arg);
    return NULL;
}

static int run_in_thread(void *arg)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_run, arg) == 0)
        pthread_join(thread, NULL);
    return 0;
}

TEST(threads_report_their_overflows_too)
{
    expect_report(run_in_thread, "deep-diver");
}

/* ---- what is no overflow ---- */

static volatile uintptr_t wild = 64; /* no NULL: UBSan would be quicker than the hardware */

static int wild_main(void *arg)
{
    (void)arg;
    cio_set_name(cio_current_task(), "innocent");
    return *(volatile int *)wild;
}

static int run_wild(void *arg)
{
    return cio_run(wild_main, arg);
}

TEST(a_wild_pointer_is_not_called_an_overflow)
{
    run_child(&child, run_wild, NULL, NULL);
    assert_true(child_died_of(&child, SIGSEGV));
    assert_null(line_with("innocent"));
}

static int run_left_alone(void *arg)
{
    cio_run_options options = {.leave_sigsegv = true};
    return cio_run_with(&options, one_main, arg);
}

TEST(leave_sigsegv_leaves_it)
{
    run_child(&child, run_left_alone, NULL, NULL);
    assert_true(child_died_of(&child, SIGSEGV));
    assert_null(line_with("deep-diver"));
}

static void handle_segv(int number)
{
    static const char text[] = "my own handler\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(3);
}

static int run_with_handler(void *arg)
{
    struct sigaction mine = {.sa_handler = handle_segv, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &mine, NULL);
    return cio_run(wild_main, arg);
}

/* A crash reporter that the program has installed still gets what is not ours. */
TEST(a_handler_of_the_program_still_gets_its_crash)
{
    run_child(&child, run_with_handler, NULL, NULL);
    assert_non_null(line_with("my own handler"));
}
