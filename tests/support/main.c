/*
 * The main program of every test program.
 *
 *     prog --list     names the tests
 *     prog NAME       runs one, in this process: what CTest, gdb and valgrind want
 *     prog [NAME...]  runs these, or all, each in a forked child
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

#include "test.h"

enum { EXIT_SKIPPED = 77 };

/* cmocka turns these into longjmps; a crash must stay a crash, with its stack, for us and for the sanitizers. */
static const int crash_signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
enum { N_CRASH_SIGNALS = sizeof crash_signals / sizeof crash_signals[0] };
static struct sigaction crash_actions[N_CRASH_SIGNALS];

static struct test *first_test;
static struct test **last_test = &first_test;

void test_register(struct test *t)
{
    *last_test = t;
    last_test = &t->next;
}

#ifndef __has_feature
#define __has_feature(name) 0 /* gcc's way is a macro for each */
#endif

bool test_is_tsan(void)
{
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
}

bool test_is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
    return true;
#else
    return test_is_tsan();
#endif
}

bool test_is_valgrind(void)
{
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

bool test_is_slow(void)
{
    const char *slow = getenv("CIO_TEST_SLOW");
    return test_is_sanitized() || (slow && strcmp(slow, "1") == 0);
}

int test_scale(int n)
{
    if (!test_is_slow() || n <= 0)
        return n;
    return n < 10 ? 1 : n / 10;
}

void test_skip(const char *reason)
{
    printf("skipped: %s\n", reason);
    fflush(stdout);
    _exit(EXIT_SKIPPED);
}

/* Calls see for every open descriptor; returns how many there are. */
static int for_each_fd(void (*see)(int fd))
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(dir))
            continue;
        if (see)
            see(fd);
        count++;
    }
    closedir(dir);
    return count;
}

int test_count_fds(void)
{
    return for_each_fd(NULL);
}

static void print_fd(int fd)
{
    char link[64], target[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = '\0';
    fprintf(stderr, "    fd %d: %s\n", fd, target);
}

/* The one cmocka test: the struct test comes in as its state. */
static void run_and_check(void **state)
{
    struct test *t = *state;
    *state = NULL;
    for (int i = 0; i < N_CRASH_SIGNALS; i++)
        sigaction(crash_signals[i], &crash_actions[i], NULL);

    int before = test_count_fds();
    t->run(state);
    int after = test_count_fds();
    if (after > before) {
        fprintf(stderr, "%s leaked %d file descriptor(s); open now:\n", t->name, after - before);
        for_each_fd(print_fd);
        fail();
    }
}

static int run_here(struct test *t)
{
    struct CMUnitTest test = {.name = t->name, .test_func = run_and_check, .initial_state = t};
    for (int i = 0; i < N_CRASH_SIGNALS; i++)
        sigaction(crash_signals[i], NULL, &crash_actions[i]);
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    return _cmocka_run_group_tests("cio", &test, 1, NULL, NULL);
}

/* Returns 0 if t passed or was skipped, else 1. */
static int run_in_child(struct test *t)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exit(run_here(t));
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        perror(t->name);
        return 1;
    }
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_SKIPPED))
        return 0;
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s\n", t->name, strsignal(WTERMSIG(status)));
    fprintf(stderr, "[  FAILED  ] %s\n", t->name);
    return 1;
}

static struct test *find(const char *name)
{
    for (struct test *t = first_test; t; t = t->next) {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    fprintf(stderr, "no test is called %s\n", name);
    exit(2);
}

static int list(void)
{
    for (struct test *t = first_test; t; t = t->next)
        puts(t->name);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 2)
        return run_here(find(argv[1]));

    int n_failed = 0, n_run = 0;
    if (argc == 1) {
        for (struct test *t = first_test; t; t = t->next, n_run++)
            n_failed += run_in_child(t);
    }
    for (int i = 1; i < argc; i++, n_run++)
        n_failed += run_in_child(find(argv[i]));
    printf("%d run, %d failed\n", n_run, n_failed);
    return n_failed > 0;
}
