#include "subject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_ABSENT = 77 };

int subject_main(const struct mode *modes, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    long n = argc > 2 ? atol(argv[2]) : 0;
    signal(SIGPIPE, SIG_IGN); /* a client that leaves is no reason to end */
    for (const struct mode *m = modes; m->name; m++) {
        if (strcmp(m->name, name) == 0) {
            m->run(n);
            return 0;
        }
    }
    fprintf(stderr, "usage: %s MODE [N], with a MODE of:\n", argv[0]);
    for (const struct mode *m = modes; m->name; m++)
        fprintf(stderr, "  %s\n", m->name);
    return 2;
}

void subject_value(const char *key, double value)
{
    printf("value %s %.6g\n", key, value);
    fflush(stdout);
}

static void say(const char *format, va_list arguments)
{
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

_Noreturn void subject_absent(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    exit(EXIT_ABSENT);
}

_Noreturn void subject_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    exit(1);
}

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t wall_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        subject_fail("/proc/self/statm cannot be read");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void pin_thread(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

int subject_listen(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        subject_fail("cannot listen: %s", strerror(errno));
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

void subject_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

long steps_for(long n, long total)
{
    long steps = total / (n > 0 ? n : 1);
    return steps > 10 ? steps : 10;
}

struct lockstep lockstep_for(long tasks, long total)
{
    return (struct lockstep){.tasks = tasks, .steps = steps_for(tasks, total)};
}

double lockstep_ns(const struct lockstep *l)
{
    return (double)(l->end_ns - l->begin_ns) / ((double)l->tasks * (double)l->steps);
}
