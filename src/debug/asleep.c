/* Looking at a thread that blocks in a system call. */
#include "debug/asleep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/valgrind.h"

static bool read_state(char *text, size_t size, int thread)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
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
           read_state(asleep->text, sizeof asleep->text, thread) && parse(asleep);
}

bool cio__asleep_still(const struct cio__asleep *asleep, int thread)
{
    char text[sizeof asleep->text];
    return read_state(text, sizeof text, thread) && strcmp(text, asleep->text) == 0;
}

bool cio__peek(void *to, const void *from, size_t size)
{
    struct iovec ours = {.iov_base = to, .iov_len = size};
    struct iovec theirs = {.iov_base = (void *)from, .iov_len = size};
    return process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0) == (ssize_t)size;
}
