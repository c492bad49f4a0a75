/*
 * The real kernel's system calls. All are made so that they cannot block, whatever the descriptor's
 * flags say, wherever the kernel allows to ask for that per call.
 */
#include "os/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

int64_t cio__monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * CIO__NS_PER_S + t.tv_nsec;
}

int64_t cio__kernel_now_ns(struct cio__os *os)
{
    (void)os;
    return cio__monotonic_ns();
}

int cio__kernel_socket(struct cio__os *os, int family, int type, int protocol)
{
    (void)os;
    return RETRY(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

bool cio__kernel_is_open(struct cio__os *os, int fd)
{
    (void)os;
    return fcntl(fd, F_GETFD) >= 0;
}

bool cio__kernel_blocks(struct cio__os *os, int fd)
{
    (void)os;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK);
}

/* On Linux the descriptor is gone even when close() was interrupted: never repeated. */
int cio__kernel_close_fd(struct cio__os *os, int fd)
{
    (void)os;
    if (close(fd) == 0 || errno == EINTR)
        return 0;
    return -errno;
}

/* An interrupted connect() goes on by itself, as a non-blocking one does. */
int cio__kernel_connect(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size)
{
    (void)os;
    if (connect(fd, address, size) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

static int socket_option(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0)
        return -errno;
    return value;
}

int cio__kernel_socket_error(struct cio__os *os, int fd)
{
    (void)os;
    int error = socket_option(fd, SO_ERROR);
    return error > 0 ? -error : error;
}

bool cio__kernel_is_tcp(struct cio__os *os, int fd)
{
    (void)os;
    return socket_option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

int cio__kernel_accept(struct cio__os *os, int fd, struct sockaddr *address, socklen_t *size)
{
    (void)os;
    return RETRY(accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

ssize_t cio__kernel_receive(struct cio__os *os, int fd, struct msghdr *message)
{
    (void)os;
    return RETRY(recvmsg(fd, message, MSG_DONTWAIT));
}

ssize_t cio__kernel_receive_into(struct cio__os *os, int fd, void *data, size_t size)
{
    (void)os;
    return RETRY(recv(fd, data, size, MSG_DONTWAIT));
}

ssize_t cio__kernel_send(struct cio__os *os, int fd, const void *data, size_t size)
{
    (void)os;
    return RETRY(send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

ssize_t cio__kernel_send_to(struct cio__os *os, int fd, const void *data, size_t size,
                            const struct sockaddr *address, socklen_t address_size)
{
    (void)os;
    return RETRY(sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, address, address_size));
}

ssize_t cio__kernel_send_vector(struct cio__os *os, int fd, const struct iovec *buffers, size_t n)
{
    (void)os;
    struct msghdr message = {.msg_iov = (struct iovec *)buffers, .msg_iovlen = n};
    return RETRY(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int cio__kernel_receive_many(struct cio__os *os, int fd, struct mmsghdr *messages, unsigned n)
{
    (void)os;
    return RETRY(recvmmsg(fd, messages, n, MSG_DONTWAIT, NULL));
}

int cio__kernel_send_many(struct cio__os *os, int fd, struct mmsghdr *messages, unsigned n)
{
    (void)os;
    return RETRY(sendmmsg(fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int cio__kernel_socket_type(struct cio__os *os, int fd)
{
    (void)os;
    return socket_option(fd, SO_TYPE);
}

int64_t cio__kernel_socket_drops(struct cio__os *os, int fd)
{
    uint32_t figures[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof figures;
    (void)os;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, figures, &size) < 0)
        return -errno;
    return figures[SK_MEMINFO_DROPS];
}

int cio__kernel_shut_writing(struct cio__os *os, int fd)
{
    (void)os;
    return RETRY(shutdown(fd, SHUT_WR));
}

int cio__kernel_bind(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size)
{
    (void)os;
    return RETRY(bind(fd, address, size));
}

int cio__kernel_listen(struct cio__os *os, int fd, int backlog)
{
    (void)os;
    return RETRY(listen(fd, backlog));
}

int cio__kernel_set_option(struct cio__os *os, int fd, int level, int option, int value)
{
    (void)os;
    return RETRY(setsockopt(fd, level, option, &value, sizeof value));
}

int cio__kernel_socket_name(struct cio__os *os, int fd, bool peer, struct sockaddr *address,
                            socklen_t *size)
{
    (void)os;
    return peer ? RETRY(getpeername(fd, address, size)) : RETRY(getsockname(fd, address, size));
}
