/* For tests of watched file descriptors: pipes, pairs of sockets, and callbacks for them. */
#ifndef CIO_TESTS_WATCHES_H
#define CIO_TESTS_WATCHES_H

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

struct watch {
    cio_loop *loop;
    cio_handle handle, other;
    int fd;
    int n_left; /* calls until it stops the loop */
};

static inline void make_pipe(int fds[2])
{
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
}

static inline void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static inline void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline void take(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

/* Writes until nothing more fits. */
static inline void fill(int fd)
{
    static char block[65536];
    while (write(fd, block, sizeof block) > 0)
        ;
    while (write(fd, block, 1) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
}

static inline void drain(int fd)
{
    static char block[65536];
    while (read(fd, block, sizeof block) > 0)
        ;
}

/* Stops the loop at the n_left-th call. */
static inline void call_and_count(void *arg)
{
    struct watch *w = arg;
    if (--w->n_left == 0)
        stop_loop(w->loop);
}

static inline void note_and_remove_reader(void *arg)
{
    struct watch *w = arg;
    note("r");
    assert_int_equal(cio_remove_reader(w->loop, w->fd), 1);
}

static inline void note_and_remove_writer(void *arg)
{
    struct watch *w = arg;
    note("w");
    assert_int_equal(cio_remove_writer(w->loop, w->fd), 1);
}

#endif
