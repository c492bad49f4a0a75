/* One process of a subject: started in its own process so that resident memory, stacks and heap start clean. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORDS = 16, EXIT_ABSENT = 77 };

/* Subjects lie beside the runner, wherever that is. */
static int beside(const char *program, char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return -1;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    size_t room = size - (size_t)(slash + 1 - path);
    if ((size_t)snprintf(slash + 1, room, "%s", program) >= room) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return 0;
}

bool run_exists(const char *program)
{
    char path[4096];
    return beside(program, path, sizeof path) == 0 && access(path, X_OK) == 0;
}

static void split(char *words, char **argv)
{
    int n = 0;
    char *rest = NULL;
    for (char *w = strtok_r(words, " ", &rest); w && n < MAX_WORDS; w = strtok_r(NULL, " ", &rest))
        argv[n++] = w;
    argv[n] = NULL;
}

static void pin(int cpu)
{
    if (cpu < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set); /* a machine with one processor runs all the same */
}

static _Noreturn void become(char *path, const char *args, int cpu, int out_fd, int err_fd)
{
    char words[512];
    char *argv[MAX_WORDS + 2] = {path};
    snprintf(words, sizeof words, "%s", args);
    split(words, argv + 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* ^C on the runner leaves no server behind */
    pin(cpu);
    dup2(out_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    execv(path, argv);
    dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
    _exit(126);
}

int run_start(struct run *r, const char *program, const char *args, int cpu)
{
    char path[4096];
    int out[2];

    *r = (struct run){.pid = -1};
    if (beside(program, path, sizeof path) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    r->out_fd = out[0];
    r->err_fd = memfd_create("stderr", MFD_CLOEXEC);
    if (r->err_fd >= 0)
        r->pid = fork();
    if (r->pid == 0)
        become(path, args, cpu, out[1], r->err_fd);
    close(out[1]);
    if (r->pid > 0)
        return 0;
    int why = errno;
    close(out[0]);
    if (r->err_fd >= 0)
        close(r->err_fd);
    errno = why;
    return -1;
}

static bool take_line(struct run *r, char *line, size_t size)
{
    char *end = memchr(r->buffer, '\n', r->used);
    if (!end)
        return false;
    size_t length = (size_t)(end - r->buffer);
    snprintf(line, size, "%.*s", (int)length, r->buffer);
    r->used -= length + 1;
    memmove(r->buffer, end + 1, r->used);
    return true;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int run_line(struct run *r, char *line, size_t size, double seconds)
{
    double deadline = seconds_now() + seconds;
    while (!take_line(r, line, size)) {
        struct pollfd p = {.fd = r->out_fd, .events = POLLIN};
        double left = deadline - seconds_now();
        if (left <= 0 || r->used == sizeof r->buffer)
            return -1;
        if (poll(&p, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        ssize_t n = read(r->out_fd, r->buffer + r->used, sizeof r->buffer - r->used);
        if (n <= 0)
            return 0;
        r->used += (size_t)n;
    }
    return 1;
}

/* The reason of an absence or of a failure is the last thing that the subject said. */
static void last_words(int fd, char *why, size_t size)
{
    char text[2048];
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof text - 1 ? end - (off_t)sizeof text + 1 : 0;
    ssize_t n = pread(fd, text, sizeof text - 1, from);
    if (n <= 0)
        return;
    text[n] = '\0';
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    if (*line)
        snprintf(why, size, "%s", line);
}

enum ending run_end(struct run *r, char *why, size_t size)
{
    int status = 0;
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        snprintf(why, size, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(why, size, "exit status %d", WEXITSTATUS(status));
    last_words(r->err_fd, why, size);
    close(r->out_fd);
    close(r->err_fd);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return ENDED_WELL;
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_ABSENT ? ENDED_ABSENT : ENDED_BADLY;
}

void run_kill(struct run *r)
{
    char ignored[64];
    kill(r->pid, SIGKILL);
    run_end(r, ignored, sizeof ignored);
}
