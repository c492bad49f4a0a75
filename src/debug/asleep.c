/* Looking at a thread that blocks in a system call. */
#include "debug/asleep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/valgrind.h"

/* What /proc knows of a thread. */
static bool read_file(char *text, size_t size, int thread, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", thread, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The last two lines of its status. */
static bool read_switches(char *text, size_t size, int thread)
{
    char status[4096];
    if (!read_file(status, sizeof status, thread, "status"))
        return false;
    const char *lines = strstr(status, "\nvoluntary_ctxt_switches:");
    return lines && (size_t)snprintf(text, size, "%s", lines) < size;
}

static bool read_both(struct cio__asleep *asleep, int thread)
{
    return read_switches(asleep->switches, sizeof asleep->switches, thread) &&
           read_file(asleep->text, sizeof asleep->text, thread, "syscall");
}

/* The last two words are sp and pc, after the call's number and its six arguments. */
static bool parse(struct cio__asleep *asleep)
{
    char *next;
    if (strtol(asleep->text, &next, 10) < 0 || next == asleep->text)
        return false;
    uintptr_t words[8] = {0};
    for (int i = 0; i < 8; i++) {
        char *word = next;
        words[i] = strtoul(word, &next, 16);
        if (next == word)
            return false;
    }
    asleep->frame = (struct cio__frame){.sp = words[6], .pc = words[7]};
    return true;
}

bool cio__asleep_begin(struct cio__asleep *asleep, int thread)
{
    return !RUNNING_ON_VALGRIND && /* the kernel would tell where valgrind stands */
           read_both(asleep, thread) && parse(asleep);
}

bool cio__asleep_still(const struct cio__asleep *asleep, int thread)
{
    struct cio__asleep now;
    return read_file(now.text, sizeof now.text, thread, "syscall") &&
           read_switches(now.switches, sizeof now.switches, thread) &&
           strcmp(now.text, asleep->text) == 0 && strcmp(now.switches, asleep->switches) == 0;
}

bool cio__peek(void *to, const void *from, size_t size)
{
    struct iovec ours = {.iov_base = to, .iov_len = size};
    struct iovec theirs = {.iov_base = (void *)from, .iov_len = size};
    return process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0) == (ssize_t)size;
}
