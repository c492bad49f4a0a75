/*
 * runblaster: the same echo server by threads, by coroutines, by callbacks and by tasks, under the
 * same load: three blasters at once, of 300 connections and 100000 messages of 1024 bytes each.
 *
 *     runblaster [-c CONNECTIONS] [-m MESSAGES] [-s SIZE] [-p BLASTERS] [SERVER ...]
 *
 * The coroutines are those of pyos, a scheduler of a few lines; the tasks are cio's. Messages a
 * second are those of all blasters; the last column is the processor time of the server alone.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/net.h"

static const struct server {
    const char *name;
    const char *program;
    const char *argument; /* before the port */
} servers[] = {
    {"threads", "echo_threads", NULL},
    {"coroutines", "pyos_echo", "quiet"},
    {"callbacks", "echo_callbacks", NULL},
    {"tasks", "echo_tasks", NULL},
};
enum { SERVERS = sizeof servers / sizeof servers[0], BLASTERS_MOST = 64 };

/* What is asked of each server; numbers as they were given, for the blasters. */
static struct {
    const char *connections, *messages, *size;
    long blasters;
} load = {"300", "100000", "1024", 3};

struct child {
    pid_t pid;
    FILE *out;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static _Noreturn void become(const char *program, const char *const *arguments)
{
    char path[4096];
    const char *words[8] = {program};
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (slash) {
        strcpy(slash + 1, program);
        for (int i = 0; arguments[i]; i++)
            words[i + 1] = arguments[i];
        execv(path, (char *const *)words);
    }
    perror(program);
    _exit(1);
}

/* False: there is no process, or nothing to hear it by. */
static bool start(struct child *child, const char *program, const char *const *arguments)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    child->pid = fork();
    if (child->pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        become(program, arguments);
    }
    close(fds[1]);
    child->out = fdopen(fds[0], "r");
    return child->pid > 0 && child->out;
}

/* Returns its processor time in seconds. */
static double end(struct child *child)
{
    struct rusage used = {0};
    kill(child->pid, SIGKILL);
    wait4(child->pid, NULL, 0, &used);
    fclose(child->out);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

/* Returns how many messages went wrong; -1: a blaster could not do its work. */
static long blast(const char *port, long *ret_messages)
{
    struct child blasters[BLASTERS_MOST];
    long wrong = 0;
    int n = 0;
    *ret_messages = 0;
    while (n < load.blasters &&
           start(&blasters[n], "blaster",
                 (const char *const[]){port, load.connections, load.messages, load.size, NULL}))
        n++;
    bool failed = n < load.blasters;
    for (int i = 0; i < n; i++) {
        long messages, wrong_ones;
        if (fscanf(blasters[i].out, "%ld messages, %ld wrong", &messages, &wrong_ones) == 2) {
            *ret_messages += messages;
            wrong += wrong_ones;
        } else {
            failed = true;
        }
        end(&blasters[i]);
    }
    return failed ? -1 : wrong;
}

/* One row of the table. False: something went wrong. */
static bool measure(const struct server *server)
{
    const char *arguments[] = {server->argument ? server->argument : "0",
                               server->argument ? "0" : NULL, NULL};
    struct child child;
    char port[8];
    if (!start(&child, server->program, arguments)) {
        perror(server->program);
        return false;
    }
    long messages = 0, wrong = -1;
    double begin = now();
    if (fscanf(child.out, "Server starting on port %7[0-9]", port) == 1)
        wrong = blast(port, &messages);
    double took = now() - begin;
    double used = end(&child);
    if (wrong < 0)
        printf("%-12s failed\n", server->name);
    else
        printf("%-12s %9ld %6ld %9.3f %11.0f %10.3f\n", server->name, messages, wrong, took,
               (double)messages / took, used);
    return wrong == 0;
}

static bool is_asked_for(const struct server *server, char *const *names)
{
    bool asked = !*names;
    for (; *names; names++)
        asked |= strcmp(*names, server->name) == 0;
    return asked;
}

static bool read_options(int argc, char **argv)
{
    int option;
    bool good = true;
    long number;
    while ((option = getopt(argc, argv, "c:m:s:p:")) != -1) {
        if (option == 'c')
            load.connections = optarg;
        else if (option == 'm')
            load.messages = optarg;
        else if (option == 's')
            load.size = optarg;
        else
            good &= option == 'p' && read_number(optarg, 1, BLASTERS_MOST, &load.blasters);
        good &= option == '?' || read_number(optarg, 1, 1000000000, &number);
    }
    for (int i = optind; i < argc; i++) {
        bool known = false;
        for (int j = 0; j < SERVERS; j++)
            known |= strcmp(argv[i], servers[j].name) == 0;
        good &= known;
    }
    return good;
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv)) {
        fprintf(stderr, "usage: runblaster [-c CONNECTIONS] [-m MESSAGES] [-s SIZE] [-p BLASTERS] "
                        "[threads] [coroutines] [callbacks] [tasks]\n");
        return 2;
    }
    bool good = true;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%ld x %s connections, %s messages of %s bytes\n", load.blasters, load.connections,
           load.messages, load.size);
    printf("%-12s %9s %6s %9s %11s %10s\n", "server", "messages", "wrong", "seconds", "messages/s",
           "server's s");
    for (int i = 0; i < SERVERS; i++)
        if (is_asked_for(&servers[i], argv + optind))
            good &= measure(&servers[i]);
    return !good;
}
