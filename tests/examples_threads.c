/* hash_files, the example of jobs in threads: it is run as a user runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#ifndef CIO_EXAMPLES_DIR
#define CIO_EXAMPLES_DIR "."
#endif

enum { CANNOT_EXEC = 126 };

struct run {
    pid_t pid;
    int out, err;
    int status;
    char text[4096], errors[4096];
};

static void run_start(struct run *run, const char *const *arguments)
{
    int out[2], err[2];
    memset(run, 0, sizeof *run);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    run->pid = fork();
    if (run->pid == 0) {
        signal(SIGINT, SIG_DFL);
        dup2(out[1], 1);
        dup2(err[1], 2);
        execv(CIO_EXAMPLES_DIR "/hash_files", (char *const *)arguments);
        _exit(errno == ENOEXEC || errno == ENOENT ? CANNOT_EXEC : 127);
    }
    close(out[1]);
    close(err[1]);
    run->out = out[0];
    run->err = err[0];
}

static void read_all(int fd, char *text, size_t size)
{
    size_t used = strlen(text);
    ssize_t n;
    while (used + 1 < size && (n = read(fd, text + used, size - used - 1)) > 0)
        used += (size_t)n;
    close(fd);
}

static void run_end(struct run *run)
{
    read_all(run->out, run->text, sizeof run->text);
    read_all(run->err, run->errors, sizeof run->errors);
    assert_int_equal(waitpid(run->pid, &run->status, 0), run->pid);
    if (WIFEXITED(run->status) && WEXITSTATUS(run->status) == CANNOT_EXEC)
        test_skip("the example cannot be run here");
}

static char folder[] = "/tmp/cio-hash-XXXXXX";
static char paths[4][64];

static void write_file(int i, const char *name, const char *content, int times)
{
    snprintf(paths[i], sizeof paths[i], "%s/%s", folder, name);
    FILE *file = fopen(paths[i], "w");
    assert_non_null(file);
    while (times-- > 0)
        fputs(content, file);
    assert_int_equal(fclose(file), 0);
}

/* The digests are those of the standard's own examples. */
TEST(hash_files_hashes_in_the_order_of_the_arguments)
{
    static const char *const digests[] = {
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"};
    struct run run;
    char expected[1024] = "";
    assert_non_null(mkdtemp(folder));
    write_file(0, "million", "aaaaaaaaaa", 100000);
    write_file(1, "abc", "abc", 1);
    write_file(2, "empty", "", 0);
    write_file(3, "two", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1);
    for (int i = 0; i < 4; i++) {
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s  %s\n", digests[i], paths[i]);
    }
    const char *arguments[] = {"hash_files", "-p",     paths[0], "/does/not/exist",
                               paths[1],     paths[2], paths[3], NULL};
    run_start(&run, arguments);
    run_end(&run);
    for (int i = 0; i < 4; i++)
        unlink(paths[i]);
    rmdir(folder);
    assert_string_equal(run.text, expected);
    assert_non_null(strstr(run.errors, "5 of 5 files, 1.0 MB"));
    assert_non_null(strstr(run.errors, "/does/not/exist: No such file"));
    assert_int_equal(WEXITSTATUS(run.status), 1);
}

TEST(hash_files_says_how_it_is_used)
{
    struct run run;
    const char *arguments[] = {"hash_files", NULL};
    run_start(&run, arguments);
    run_end(&run);
    assert_non_null(strstr(run.errors, "usage"));
    assert_int_equal(WEXITSTATUS(run.status), 2);
}

/* The file has no end: only a job that is asked to stop lets the program end. */
TEST(hash_files_is_interrupted)
{
    struct run run;
    const char *arguments[] = {"hash_files", "-p", "/dev/zero", NULL};
    run_start(&run, arguments);
    if (read(run.err, run.errors, 1) != 1) { /* the progress has begun, so the handler stands */
        run_end(&run);
        fail();
    }
    kill(run.pid, SIGINT);
    run_end(&run);
    assert_true(WIFEXITED(run.status));
    assert_int_equal(WEXITSTATUS(run.status), 1);
    assert_non_null(strstr(run.errors, "hash_files: Interrupted"));
}
