/* The thread that interrupts busy loops. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop.h"
#include "test.h"

#define PATIENCE_S 15.0

static const cio_loop_options with_budget = {.turn_budget = 0.001};

static cio_loop *open_loop(void)
{
    cio_loop *loop = cio_loop_new(&with_budget);
    assert_non_null(loop);
    return loop;
}

static void stop(void *arg)
{
    cio_stop(arg);
}

static void start_ticker(void *arg)
{
    assert_true(cio__ticker_start(arg));
    assert_true(cio__ticker_is_on(&((cio_loop *)arg)->ticking));
}

/* A callback that does not end until it is interrupted. */
static void wait_for_tick(void *arg)
{
    cio_loop *loop = arg;
    double end = cio_time(loop) + PATIENCE_S;
    cio__set_stop_at(loop, loop->turn_end);
    while (cio__stop_at(loop) != 0)
        assert_true(cio_time(loop) < end);
}

static void run_calls(cio_loop *loop, cio_callback *const *fns, int n)
{
    cio_handle handles[16] = {0};
    for (int i = 0; i < n; i++)
        assert_int_equal(cio_call_soon(loop, &handles[i], fns[i], loop), 0);
    assert_int_equal(cio_run_forever(loop), 0);
}

/* How many threads this process has, and the name of one besides this. */
static int count_threads(char *other, size_t size)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        if (atoi(entry->d_name) != getpid())
            snprintf(other, size, "%s", entry->d_name);
    }
    closedir(dir);
    return n;
}

TEST(callback_that_lasts_is_interrupted)
{
    cio_loop *loop = open_loop();
    run_calls(loop, (cio_callback *[]){start_ticker, wait_for_tick, wait_for_tick, stop}, 4);
    assert_false(cio__ticker_is_on(&loop->ticking)); /* it does not run */
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(ticker_ends_with_the_last_loop)
{
    char other[32];
    cio_loop *a = open_loop(), *b = open_loop();
    run_calls(a, (cio_callback *[]){start_ticker, stop}, 2);
    int with_ticker = count_threads(other, sizeof other); /* a sanitizer may have one too */
    run_calls(b, (cio_callback *[]){start_ticker, wait_for_tick, stop}, 3);
    assert_int_equal(count_threads(other, sizeof other), with_ticker);
    assert_int_equal(cio_loop_free(a), 0);
    assert_int_equal(count_threads(other, sizeof other), with_ticker);
    assert_int_equal(cio_loop_free(b), 0);
    while (count_threads(other, sizeof other) !=
           with_ticker - 1) /* the kernel takes it off later */
        usleep(100);
    a = open_loop();
    run_calls(a, (cio_callback *[]){start_ticker, wait_for_tick, stop}, 3);
    assert_int_equal(cio_loop_free(a), 0);
}

static void check_signals(void *arg)
{
    (void)arg;
    char other[32] = "", path[64], line[256];
    unsigned long long blocked = 0;
    count_threads(other, sizeof other);
    snprintf(path, sizeof path, "/proc/self/task/%s/status", other);
    FILE *status = fopen(path, "r");
    assert_non_null(status);
    while (fgets(line, sizeof line, status))
        sscanf(line, "SigBlk: %llx", &blocked);
    fclose(status);
    const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM};
    for (int i = 0; i < 5; i++)
        assert_true(blocked >> (signals[i] - 1) & 1);
}

TEST(ticker_takes_no_signals)
{
    char other[32];
    if (test_is_slow() || count_threads(other, sizeof other) != 1)
        test_skip("there are other threads");
    cio_loop *loop = open_loop();
    run_calls(loop, (cio_callback *[]){start_ticker, check_signals, stop}, 3);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int sleep_until_it_is_off(void *arg)
{
    (void)arg;
    cio_loop *loop = cio_get_running_loop();
    start_ticker(loop);
    double end = cio_time(loop) + PATIENCE_S;
    while (cio__ticker_is_on(&loop->ticking)) {
        assert_true(cio_time(loop) < end);
        cio_sleep(0.2);
    }
    start_ticker(loop);
    wait_for_tick(loop);
    return 0;
}

TEST(loop_that_sleeps_is_left_alone)
{
    cio_run_options options = {.loop = with_budget};
    assert_int_equal(cio_run_with(&options, sleep_until_it_is_off, NULL), 0);
}

/* Quick callbacks, and a timer that could be late. */
static int be_quick(void *arg)
{
    cio_loop *loop = cio_get_running_loop();
    cio_handle far = CIO_HANDLE_INIT;
    if (*(bool *)arg)
        cio_call_later(loop, &far, 1000, stop, loop);
    double end = cio_time(loop) + (*(bool *)arg ? PATIENCE_S : 0.02);
    while (!cio__ticker_is_on(&loop->ticking) && cio_time(loop) < end)
        for (int i = 0; i < 100; i++)
            cio_yield();
    assert_int_equal(cio__ticker_is_on(&loop->ticking), *(bool *)arg);
    cio_handle_cancel(&far);
    return 0;
}

TEST(ticker_is_there_when_it_is_needed)
{
    if (test_is_slow())
        test_skip("no callback is quick here");
    cio_run_options options = {.loop = with_budget};
    assert_int_equal(cio_run_with(&options, be_quick, &(bool){true}), 0);
}

/* Bursts of quick callbacks with a sleep after each. */
static int be_quick_in_bursts(void *arg)
{
    cio_loop *loop = cio_get_running_loop();
    cio_handle far = {0};
    assert_int_equal(cio_call_later(loop, &far, 1000, stop, loop), 0);
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < *(int *)arg; k++)
            cio_yield();
        assert_int_equal(cio_sleep(0.00001), 0);
    }
    *(int *)arg = cio__ticker_is_on(&loop->ticking);
    cio_handle_cancel(&far);
    return 0;
}

/* Servers are so: each event from the kernel is answered by a callback or two, and a call or two. */
TEST(ticker_is_not_there_for_a_loop_that_polls_as_often_as_it_works)
{
    int arg = 40;
    char other[32];
    cio_run_options options = {.loop = with_budget};
    assert_int_equal(cio_run_with(&options, be_quick_in_bursts, &arg), 0);
    assert_int_equal(arg, 0);
    if (!test_is_slow())
        assert_int_equal(count_threads(other, sizeof other), 1);
}

TEST(ticker_is_there_for_a_loop_that_works_more_than_it_polls)
{
    if (test_is_slow())
        test_skip("no callback is quick here");
    int arg = 2000;
    cio_run_options options = {.loop = with_budget};
    assert_int_equal(cio_run_with(&options, be_quick_in_bursts, &arg), 0);
    assert_int_equal(arg, 1);
}

/* It is not to be one of those who keep a descriptor open. */
TEST(ticker_shares_no_descriptors)
{
    int fds[2];
    char path[64], byte;
    cio_loop *loop = open_loop();
    assert_int_equal(pipe(fds), 0);
    assert_true(cio__ticker_start(loop));
    if (count_threads(path, sizeof path) != 2)
        test_skip("there are other threads");
    close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 0); /* the end: nobody else has the other side */
    close(fds[0]);
    assert_int_equal(cio_loop_free(loop), 0);
}

TEST(ticker_is_not_there_when_nothing_can_be_late)
{
    cio_run_options options = {.loop = with_budget};
    assert_int_equal(cio_run_with(&options, be_quick, &(bool){false}), 0);
    char other[32];
    if (!test_is_slow())
        assert_int_equal(count_threads(other, sizeof other), 1);
}

static void fork_here(void *arg)
{
    (void)arg;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cio_loop *own = open_loop();
        run_calls(own, (cio_callback *[]){start_ticker, wait_for_tick, stop}, 3);
        assert_int_equal(cio_loop_free(own), 0);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

TEST(forked_child_has_a_ticker_of_its_own)
{
    if (test_is_slow())
        test_skip("a sanitizer may not start threads in a forked child");
    cio_loop *loop = open_loop();
    cio_callback *calls[] = {start_ticker, fork_here, wait_for_tick, stop};
    run_calls(loop, calls, 4);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* Loops that come and go in several threads, each ticked. */
static void *come_and_go(void *arg)
{
    int rounds = test_scale(60);
    for (int i = 0; i < rounds; i++) {
        cio_loop *loop = open_loop();
        cio_callback *calls[] = {start_ticker, i % 8 == 0 ? wait_for_tick : start_ticker, stop};
        run_calls(loop, calls, 3);
        if (i % 2)
            run_calls(loop, calls, 3);
        assert_int_equal(cio_loop_free(loop), 0);
    }
    return arg;
}

TEST(loops_of_several_threads_share_the_ticker)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}
