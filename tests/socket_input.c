/* Socket calls that are wrong: each has its error, and nothing else happens. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

static struct sockaddr_in somewhere = {.sin_family = AF_INET};
static const socklen_t somewhere_size = sizeof somewhere;

static struct sockaddr *address(void)
{
    somewhere.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    somewhere.sin_port = htons(9);
    return (struct sockaddr *)&somewhere;
}

/* What every call that works on a descriptor says of this one. */
static void all_calls_say(int fd, int rc)
{
    char data[8] = "";
    struct iovec buffer = {data, sizeof data};
    assert_int_equal(cio_sock_connect(fd, address(), somewhere_size), rc);
    assert_int_equal(cio_sock_accept(fd, NULL, NULL), rc);
    assert_int_equal(cio_sock_recv(fd, data, sizeof data), rc);
    assert_int_equal(cio_sock_recv_into(fd, &buffer, 1), rc);
    assert_int_equal(cio_sock_sendall(fd, data, sizeof data), rc);
    assert_int_equal(cio_sock_recvfrom(fd, data, sizeof data, NULL, NULL), rc);
    assert_int_equal(cio_sock_sendto(fd, data, sizeof data, address(), somewhere_size), rc);
}

static void all_calls_say_on_a_pair(int rc)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    all_calls_say(fds[0], rc);
    close(fds[0]);
    close(fds[1]);
}

TEST(outside_a_loop)
{
    all_calls_say_on_a_pair(CIO_ENOTASK);
}

static void from_a_callback(void *arg)
{
    all_calls_say_on_a_pair(CIO_ENOTASK);
    cio_set_result(arg, 0, NULL);
}

static int callback_main(void *arg)
{
    cio_handle handle = CIO_HANDLE_INIT;
    cio_future *future = cio_future_new();
    (void)arg;
    assert_non_null(future);
    assert_int_equal(cio_call_soon(cio_get_running_loop(), &handle, from_a_callback, future), 0);
    return cio_await(future);
}

TEST(in_a_callback_that_is_no_task)
{
    assert_int_equal(cio_run(callback_main, NULL), 0);
}

static int descriptors_main(void *arg)
{
    (void)arg;
    all_calls_say(-1, -EINVAL);
    all_calls_say(INT_MIN, -EINVAL);

    int fds[2];
    net_pair(fds, SOCK_STREAM);
    close(fds[0]);
    all_calls_say(fds[0], -EBADF);
    close(fds[1]);

    /* No table grows to hold them: such numbers cannot be open. */
    all_calls_say(INT_MAX, -EBADF);
    all_calls_say(1 << 30, -EBADF);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < INT_MAX && !test_is_valgrind())
        all_calls_say((int)limit.rlim_cur, -EBADF);

    assert_int_equal(cio_sock_close(-1), -EINVAL);
    assert_int_equal(cio_sock_close(INT_MAX), -EBADF);
    return 0;
}

TEST(descriptors_that_are_none)
{
    assert_int_equal(cio_run(descriptors_main, NULL), 0);
}

static int not_sockets_main(void *arg)
{
    (void)arg;
    int pipes[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    all_calls_say(pipes[0], -ENOTSOCK);
    all_calls_say(pipes[1], -ENOTSOCK);
    all_calls_say(file, -ENOTSOCK);
    close(pipes[0]);
    close(pipes[1]);
    close(file);
    return 0;
}

TEST(files_that_are_no_sockets)
{
    assert_int_equal(cio_run(not_sockets_main, NULL), 0);
}

static int null_main(void *arg)
{
    (void)arg;
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_sock_sendall(fds[1], "unread", 6), 0);
    assert_int_equal(cio_sock_connect(fds[0], NULL, 0), -EINVAL);
    assert_int_equal(cio_sock_recv(fds[0], NULL, 4), -EINVAL);
    assert_int_equal(cio_sock_recv_into(fds[0], NULL, 1), -EINVAL);
    assert_int_equal(cio_sock_sendall(fds[0], NULL, 4), -EINVAL);
    assert_int_equal(cio_sock_recvfrom(fds[0], NULL, 4, NULL, NULL), -EINVAL);
    assert_int_equal(cio_sock_sendto(fds[0], NULL, 4, address(), somewhere_size), -EINVAL);

    char data[8];
    struct sockaddr_storage peer;
    assert_int_equal(cio_sock_accept(fds[0], (struct sockaddr *)&peer, NULL), -EINVAL);
    assert_int_equal(cio_sock_recvfrom(fds[0], data, sizeof data, (struct sockaddr *)&peer, NULL),
                     -EINVAL);
    assert_int_equal(cio_sock_recv(fds[0], data, sizeof data), 6); /* nothing was taken */
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(null_where_something_is_needed)
{
    assert_int_equal(cio_run(null_main, NULL), 0);
}

static int vectors_main(void *arg)
{
    (void)arg;
    int fds[2];
    char data[8];
    net_pair(fds, SOCK_STREAM);
    struct iovec *buffers = calloc(IOV_MAX + 1, sizeof *buffers);
    assert_non_null(buffers);
    for (int i = 0; i <= IOV_MAX; i++)
        buffers[i] = (struct iovec){data, 1};
    assert_int_equal(cio_sock_sendall(fds[1], "x", 1), 0);
    assert_int_equal(cio_sock_recv_into(fds[0], buffers, 0), -EINVAL);
    assert_int_equal(cio_sock_recv_into(fds[0], buffers, -1), -EINVAL);
    assert_int_equal(cio_sock_recv_into(fds[0], buffers, IOV_MAX + 1), -EINVAL);
    assert_int_equal(cio_sock_recv_into(fds[0], buffers, INT_MAX), -EINVAL);
    assert_int_equal(cio_sock_recv_into(fds[0], buffers, IOV_MAX), 1);
    free(buffers);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(numbers_of_buffers)
{
    assert_int_equal(cio_run(vectors_main, NULL), 0);
}

/* Nothing to send is sent at once; no room to receive takes nothing. */
static int empty_main(void *arg)
{
    (void)arg;
    int fds[2];
    char data[8];
    net_tcp_pair(fds);
    assert_int_equal(cio_sock_sendall(fds[0], "", 0), 0);
    assert_int_equal(cio_sock_sendall(fds[0], "x", 1), 0);
    assert_int_equal(cio_sock_recv(fds[1], data, 0), 0);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 1);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(sizes_of_zero)
{
    assert_int_equal(cio_run(empty_main, NULL), 0);
}

static int unconnected_main(void *arg)
{
    (void)arg;
    char data[8] = "";
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(cio_sock_recv(fd, data, sizeof data), -ENOTCONN);
    assert_int_equal(cio_sock_sendall(fd, data, sizeof data), -EPIPE);
    assert_int_equal(cio_sock_accept(fd, NULL, NULL), -EINVAL);
    assert_int_equal(cio_sock_connect(fd, address(), 3), -EINVAL);
    struct sockaddr_in6 other = {.sin6_family = AF_INET6};
    assert_int_equal(cio_sock_connect(fd, (struct sockaddr *)&other, sizeof other), -EAFNOSUPPORT);
    cio_sock_close(fd);

    struct sockaddr_in own;
    int listener = net_listen(&own, 1);
    assert_int_equal(cio_sock_recv(listener, data, sizeof data), -ENOTCONN);
    cio_sock_close(listener);

    int udp = net_udp(&own);
    assert_int_equal(cio_sock_sendto(udp, data, 1, NULL, 0), -EDESTADDRREQ);
    assert_int_equal(cio_sock_sendall(udp, data, 1), -EDESTADDRREQ);
    assert_int_equal(cio_sock_accept(udp, NULL, NULL), -EOPNOTSUPP);
    return cio_sock_close(udp);
}

TEST(sockets_in_the_wrong_state)
{
    assert_int_equal(cio_run(unconnected_main, NULL), 0);
}

TEST(open_of_what_does_not_exist)
{
    assert_int_equal(cio_sock_open(-1, SOCK_STREAM, 0), -EAFNOSUPPORT);
    assert_int_equal(cio_sock_open(AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
    assert_int_equal(cio_sock_open(AF_UNIX, 9, 0), -ESOCKTNOSUPPORT);
}
