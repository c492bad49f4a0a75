/* The real kernel's system calls that move bytes between files, pipes and sockets. */
#include "os/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

ssize_t cio__kernel_read_at(struct cio__os *os, int fd, void *data, size_t size, int64_t offset,
                            bool nowait)
{
    struct iovec buffer = {data, size};
    (void)os;
    return RETRY(nowait ? preadv2(fd, &buffer, 1, (off_t)offset, RWF_NOWAIT)
                        : pread(fd, data, size, (off_t)offset));
}

/*
 * These calls know no MSG_NOSIGNAL: SIGPIPE, which comes to the calling thread, is held back for
 * their time, and taken away if it was not there before.
 */
struct quiet {
    sigset_t before;
    bool was_pending;
};

static void pipe_signal(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

static void begin_quiet(struct quiet *quiet)
{
    sigset_t set;
    pipe_signal(&set);
    pthread_sigmask(SIG_BLOCK, &set, &quiet->before);
    quiet->was_pending = false;
    if (sigismember(&quiet->before, SIGPIPE)) {
        sigpending(&set);
        quiet->was_pending = sigismember(&set, SIGPIPE);
    }
}

/* Also a call that has passed on some bytes may have met a broken pipe then. */
static void end_quiet(const struct quiet *quiet, ssize_t rc, size_t size)
{
    bool may_be_broken = rc != -EAGAIN && (rc < 0 || (size_t)rc < size);
    if (may_be_broken && !quiet->was_pending) {
        sigset_t set;
        pipe_signal(&set);
        sigtimedwait(&set, NULL, &(struct timespec){0});
    }
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
}

ssize_t cio__kernel_send_file(struct cio__os *os, int fd, int file, int64_t offset, size_t size)
{
    struct quiet quiet;
    (void)os;
    begin_quiet(&quiet);
    off_t from = (off_t)offset;
    ssize_t rc = RETRY(sendfile(fd, file, &from, size));
    end_quiet(&quiet, rc, size);
    return rc;
}

/* Where the system grants no larger one, the usual size has to do. */
int cio__kernel_open_pipe(struct cio__os *os, int ends[2], size_t size)
{
    (void)os;
    int rc = RETRY(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    if (rc == 0)
        fcntl(ends[1], F_SETPIPE_SZ, (int)size);
    return rc;
}

ssize_t cio__kernel_pipe_in(struct cio__os *os, int fd, int pipe, size_t size)
{
    (void)os;
    return RETRY(splice(fd, NULL, pipe, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

ssize_t cio__kernel_pipe_out(struct cio__os *os, int pipe, int fd, size_t size)
{
    struct quiet quiet;
    (void)os;
    begin_quiet(&quiet);
    ssize_t rc = RETRY(splice(pipe, NULL, fd, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    end_quiet(&quiet, rc, size);
    return rc;
}

ssize_t cio__kernel_read(struct cio__os *os, int fd, void *data, size_t size)
{
    (void)os;
    return RETRY(read(fd, data, size));
}

ssize_t cio__kernel_write_vector(struct cio__os *os, int fd, const struct iovec *buffers, size_t n)
{
    (void)os;
    return RETRY(writev(fd, buffers, (int)n));
}

int cio__kernel_file_type(struct cio__os *os, int fd)
{
    struct stat status;
    (void)os;
    return fstat(fd, &status) < 0 ? -errno : (int)(status.st_mode & S_IFMT);
}

int cio__kernel_set_nonblocking(struct cio__os *os, int fd)
{
    (void)os;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK))
        return flags < 0 ? -errno : 0;
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}
