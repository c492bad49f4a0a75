/* Programs that tests run. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { NOT_THERE = 125, CANNOT_EXEC = 126 };

static _Noreturn void become(const char *path, const char *name, const char *const *arguments,
                             int out, int err)
{
    const char *argv[PROGRAM_ARGUMENTS_MOST + 2] = {name};
    for (int i = 0; i < PROGRAM_ARGUMENTS_MOST && arguments[i]; i++)
        argv[i + 1] = arguments[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
    signal(SIGINT, SIG_DFL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    /* Never by a shell, which would take a program of another machine for a script. */
    if (strchr(path, '/'))
        execv(path, (char *const *)argv);
    else
        execvp(path, (char *const *)argv);
    _exit(errno == ENOEXEC ? CANNOT_EXEC : NOT_THERE);
}

/* err < 0: it is kept like the output. */
static void start(struct program *p, int err, const char *path, const char *name,
                  const char *const *arguments)
{
    int out_pipe[2], err_pipe[2];
    memset(p, 0, sizeof *p);
    assert_int_equal(pipe2(out_pipe, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err_pipe, O_CLOEXEC), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        become(path, name, arguments, out_pipe[1], err < 0 ? err_pipe[1] : err);
    close(out_pipe[1]);
    close(err_pipe[1]);
    p->out = out_pipe[0];
    p->err = err_pipe[0];
}

void program_start(struct program *p, const char *name, const char *const *arguments)
{
    program_start_with(p, -1, name, arguments);
}

void program_start_with(struct program *p, int err, const char *name, const char *const *arguments)
{
#ifdef CIO_EXAMPLES_DIR
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", CIO_EXAMPLES_DIR, name);
    start(p, err, path, name, arguments);
    p->is_example = true;
#else
    (void)p, (void)err, (void)name, (void)arguments;
    test_skip("built without the examples");
#endif
}

void program_start_client(struct program *p, const char *name, const char *const *arguments)
{
    start(p, -1, name, name, arguments);
}

static void read_text(int fd, char *text, size_t room, const char *until)
{
    size_t used = strlen(text);
    while (used + 1 < room && !(until && strstr(text, until))) {
        ssize_t n = read(fd, text + used, room - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        text[used] = '\0';
    }
}

void program_read(struct program *p, const char *until)
{
    read_text(p->out, p->out_text, sizeof p->out_text, until);
}

void program_finish(struct program *p)
{
    int status = -1;
    program_read(p, NULL);
    read_text(p->err, p->err_text, sizeof p->err_text, NULL);
    close(p->out);
    close(p->err);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    if (WIFSIGNALED(status))
        fail_msg("killed by signal %d; stderr: %s", WTERMSIG(status), p->err_text);
    p->exit_code = WEXITSTATUS(status);
    if (p->exit_code == CANNOT_EXEC)
        test_skip("the examples are not for this machine");
    assert_false(p->exit_code == NOT_THERE && p->is_example);
    if (p->exit_code == NOT_THERE)
        test_skip("a program that it needs is not installed");
}

void program_run(struct program *p, const char *name, const char *const *arguments)
{
    program_start(p, name, arguments);
    program_finish(p);
}

void program_run_client(struct program *p, const char *name, const char *const *arguments)
{
    program_start_client(p, name, arguments);
    program_finish(p);
}

struct sockaddr_in program_address(struct program *p)
{
    int port = 0;
    program_read(p, "\n");
    if (!p->out_text[0])
        program_finish(p); /* it did not start: says why, or skips */
    if (sscanf(p->out_text, "listening on port %d", &port) != 1)
        fail_msg("told no port: %s%s", p->out_text, p->err_text);
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

void program_assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

void program_assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("a \"%s\" in:\n%s", part, text);
}

void program_assert_refused(const char *name, const char *const *arguments)
{
    struct program p;
    program_run(&p, name, arguments);
    assert_int_equal(p.exit_code, 2);
    assert_string_equal(p.out_text, "");
    program_assert_contains(p.err_text, name);
}
