/* cio_wait_readable() and cio_wait_writable(): waiting without a system call of ours to follow. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "test.h"

struct ends {
    int fds[2];
    bool woken;
};

static void open_pair(struct ends *e)
{
    *e = (struct ends){{-1, -1}, false};
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    assert_int_equal(socketpair(AF_UNIX, type, 0, e->fds), 0);
}

static void close_pair(struct ends *e)
{
    close(e->fds[0]);
    close(e->fds[1]);
}

static int wait_readable(void *arg)
{
    struct ends *e = arg;
    int rc = cio_wait_readable(e->fds[0]);
    e->woken = true;
    return rc;
}

static int wait_writable(void *arg)
{
    struct ends *e = arg;
    int rc = cio_wait_writable(e->fds[0]);
    e->woken = true;
    return rc;
}

static int run(cio_coroutine *fn)
{
    return cio_run(fn, NULL);
}

static int wakes_when_data_comes(void *arg)
{
    (void)arg;
    struct ends e;
    open_pair(&e);
    cio_task *waiter = cio_create_task(wait_readable, &e);
    assert_int_equal(cio_sleep(0.01), 0);
    assert_false(e.woken);
    assert_int_equal(write(e.fds[1], "x", 1), 1);
    assert_int_equal(cio_await(waiter), 0);
    char c;
    assert_int_equal(read(e.fds[0], &c, 1), 1); /* it took nothing */
    close_pair(&e);
    return 0;
}

TEST(a_reader_wakes_when_data_comes)
{
    assert_int_equal(run(wakes_when_data_comes), 0);
}

static int data_that_is_there(void *arg)
{
    (void)arg;
    struct ends e;
    open_pair(&e);
    assert_int_equal(write(e.fds[1], "xy", 2), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_wait_readable(e.fds[0]), 0);
    assert_int_equal(cio_wait_writable(e.fds[0]), 0);
    close(e.fds[1]);
    char text[4];
    assert_int_equal(cio_sock_recv(e.fds[0], text, sizeof text), 2);
    assert_int_equal(cio_wait_readable(e.fds[0]), 0); /* the end can be read */
    assert_int_equal(cio_sock_recv(e.fds[0], text, sizeof text), 0);
    close(e.fds[0]);
    return 0;
}

TEST(what_is_ready_is_said_at_once)
{
    assert_int_equal(run(data_that_is_there), 0);
}

static int full_until_read(void *arg)
{
    (void)arg;
    struct ends e;
    static char block[65536];
    open_pair(&e);
    while (send(e.fds[0], block, sizeof block, MSG_DONTWAIT) > 0)
        continue;
    cio_task *waiter = cio_create_task(wait_writable, &e);
    assert_int_equal(cio_sleep(0.01), 0);
    assert_false(e.woken);
    while (recv(e.fds[1], block, sizeof block, MSG_DONTWAIT) > 0)
        continue;
    assert_int_equal(cio_await(waiter), 0);
    close_pair(&e);
    return 0;
}

TEST(a_writer_wakes_when_there_is_room)
{
    assert_int_equal(run(full_until_read), 0);
}

static int canceled_waits(void *arg)
{
    (void)arg;
    struct ends e;
    char c;
    open_pair(&e);
    cio_task *waiter = cio_create_task(wait_readable, &e);
    assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_cancel(waiter), 1);
    assert_int_equal(cio_await(waiter), CIO_ECANCELED);
    assert_int_equal(cio_wait_for(wait_readable, &e, 0.01), CIO_ETIMEDOUT);
    assert_int_equal(write(e.fds[1], "x", 1), 1);
    assert_int_equal(cio_sock_recv(e.fds[0], &c, 1), 1); /* total: nothing was lost */
    close_pair(&e);
    return 0;
}

TEST(t67_a_canceled_wait_leaves_nothing)
{
    assert_int_equal(run(canceled_waits), 0);
}

static int pipes_and_bad_ones(void *arg)
{
    (void)arg;
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(cio_wait_writable(fds[1]), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(cio_wait_readable(fds[0]), 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(cio_wait_readable(-1), -EINVAL);
    assert_int_equal(cio_wait_readable(fds[0]), -EBADF);

    char path[] = "/tmp/cio-ready-XXXXXX";
    int file = mkostemp(path, O_CLOEXEC);
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(cio_wait_readable(file), -EPERM);
    close(file);
    return 0;
}

TEST(pipes_can_be_waited_for_and_bad_descriptors_are_refused)
{
    assert_int_equal(cio_wait_readable(0), CIO_ENOTASK);
    assert_int_equal(run(pipes_and_bad_ones), 0);
}

static int owned_server(void *arg)
{
    int listener = *(int *)arg;
    int fd = cio_sock_accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    ssize_t n = 1;
    while (n > 0) {
        char text[64];
        assert_int_equal(cio_wait_readable(fd), 0);
        n = cio_sock_recv(fd, text, sizeof text);
        if (n > 0)
            assert_int_equal(cio_sock_sendall(fd, text, (size_t)n), 0);
    }
    return cio_sock_close(fd);
}

static int echo_over_owned_sockets(void *arg)
{
    (void)arg;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address;
    int listener = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "cio-ready-%d", (int)getpid());
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    cio_task *server = cio_create_task(owned_server, &listener);
    int fd = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&address, size), 0);
    for (int i = 0; i < 100; i++) {
        char text[64];
        assert_int_equal(cio_sock_sendall(fd, "hello", 5), 0);
        assert_int_equal(cio_sock_recv(fd, text, sizeof text), 5);
    }
    cio_sock_close(fd);
    assert_int_equal(cio_await(server), 0);
    return cio_sock_close(listener);
}

TEST(a_server_may_wait_before_each_read)
{
    assert_int_equal(run(echo_over_owned_sockets), 0);
}
