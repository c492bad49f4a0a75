#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { CHILD_SECONDS = 15 };

static int ready_fd = -1;

void child_ready(void)
{
    assert_int_equal(write(ready_fd, "r", 1), 1);
}

static _Noreturn void be_child(int stderr_fd, int (*fn)(void *arg), void *arg)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* some of these die on purpose */
    dup2(stderr_fd, STDERR_FILENO);
    alarm(CHILD_SECONDS * (test_is_slow() ? 4 : 1));
    _exit(fn(arg));
}

static void read_all(int fd, char *text, size_t size)
{
    size_t used = 0;
    for (;;) {
        char rest[512];
        bool fits = used + 1 < size;
        ssize_t n = fits ? read(fd, text + used, size - used - 1) : read(fd, rest, sizeof rest);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0 && fits)
            used += (size_t)n;
    }
    text[used] = '\0';
}

void run_child(struct child *child, int (*fn)(void *arg), void *arg, void (*watch)(pid_t pid))
{
    int errors[2], ready[2];
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ready[0]);
        ready_fd = ready[1];
        be_child(errors[1], fn, arg);
    }
    close(errors[1]);
    close(ready[1]);
    char byte;
    if (watch && read(ready[0], &byte, 1) == 1)
        watch(pid);
    read_all(errors[0], child->text, sizeof child->text);
    close(errors[0]);
    close(ready[0]);
    assert_int_equal(waitpid(pid, &child->status, 0), pid);
}

bool child_died_of(const struct child *child, int signal)
{
    if (WIFSIGNALED(child->status))
        return WTERMSIG(child->status) == signal;
    return test_is_sanitized() && WIFEXITED(child->status) && WEXITSTATUS(child->status) != 0 &&
           strstr(child->text, "Sanitizer") != NULL;
}
