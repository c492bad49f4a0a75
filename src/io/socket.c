/* Sockets for tasks. */
#include <cio/socket.h>

#include <errno.h>
#include <limits.h>

#include "io/call.h"

int cio__call_wait(struct cio__call *call)
{
    static const struct cio__wait_kind kinds[] = {
        [CIO__READ] = {.name = "cio_wait_readable", .tell = cio__tell_file, .in_ring = true},
        [CIO__WRITE] = {.name = "cio_wait_writable", .tell = cio__tell_file, .in_ring = true}};
    return cio__await_file(call->loop, call->file, call->direction, &kinds[call->direction]);
}

/* Whether that a call may succeed is what the kernel said, and not a first guess. */
static bool said_to_be_ready(const struct cio__call *call)
{
    const struct cio__file *file = call->file;
    return file->owned_in == call->loop->runs && (file->registered & CIO__EDGE) &&
           cio__call_may_succeed(call);
}

static int wait_for_direction(int fd, enum cio__direction direction)
{
    struct cio__call call;
    int rc = cio__call_look_up(&call, fd, direction);
    if (unlikely(rc < 0))
        return rc;
    return said_to_be_ready(&call) ? cio__call_be_fair(&call) : cio__call_wait(&call);
}

int cio_wait_readable(int fd)
{
    return wait_for_direction(fd, CIO__READ);
}

int cio_wait_writable(int fd)
{
    return wait_for_direction(fd, CIO__WRITE);
}

/* fd has just been opened. */
static int own_or_close(cio_loop *loop, int fd)
{
    struct cio__file *file = cio__file_get(loop, fd);
    if (!file) {
        loop->os->ops->close_fd(loop->os, fd);
        return -ENOMEM;
    }
    cio__file_own(loop, file);
    return fd;
}

int cio_sock_open(int family, int type, int protocol)
{
    cio_loop *loop = cio__running;
    if (!loop)
        return cio__epoll_backend.socket(NULL, family, type, protocol);
    int fd = loop->os->ops->socket(loop->os, family, type, protocol);
    return fd < 0 ? fd : own_or_close(loop, fd);
}

int cio_sock_close(int fd)
{
    if (fd < 0)
        return -EINVAL;
    cio_loop *loop = cio__running;
    if (!loop)
        return cio__epoll_backend.close_fd(NULL, fd);
    struct cio__file *file = cio__file_find(loop, fd);
    if (file)
        cio__file_renew(loop, file);
    return loop->os->ops->close_fd(loop->os, fd);
}

/*
 * A socket about to be connected is new: from here on we know it, unless others wait on it already.
 */
static void adopt(struct cio__call *call)
{
    struct cio__file *file = call->file;
    if (file->owned_in == call->loop->runs || cio__file_in_use(file))
        return;
    cio__file_own(call->loop, file);
    call->generation = file->generation;
}

int cio_sock_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct cio__call call;
    if (!address)
        return -EINVAL;
    int rc = cio__call_begin(&call, fd, CIO__WRITE);
    if (rc < 0)
        return rc;
    rc = CIO__OS(&call, connect, fd, address, size);
    if (rc == 0 || rc == -EINPROGRESS)
        adopt(&call);
    if (rc != -EINPROGRESS)
        return rc;
    rc = cio__call_wait(&call);
    return rc < 0 ? rc : CIO__OS(&call, socket_error, fd);
}

int cio_sock_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    struct cio__call call;
    if (address && !size)
        return -EINVAL;
    int rc = cio__call_begin(&call, fd, CIO__READ);
    if (rc < 0)
        return rc;
    socklen_t room = size ? *size : 0;
    CIO__UNTIL_DONE(&call, rc,
                    (size ? *size = room : 0, CIO__OS(&call, accept, fd, address, size)));
    return rc < 0 ? rc : own_or_close(call.loop, rc);
}

ssize_t cio_sock_recv(int fd, void *data, size_t size)
{
    struct cio__call call;
    if (unlikely(!data && size))
        return -EINVAL;
    ssize_t rc = cio__call_begin(&call, fd, CIO__READ);
    if (unlikely(rc < 0))
        return rc;
    CIO__UNTIL_DONE(&call, rc, CIO__OS(&call, receive_into, fd, data, size));
    cio__file_note_read(call.file, rc, size);
    return rc;
}

ssize_t cio_sock_recv_into(int fd, const struct iovec *buffers, int n)
{
    struct cio__call call;
    if (!buffers || n < 1 || n > IOV_MAX)
        return -EINVAL;
    ssize_t rc = cio__call_begin(&call, fd, CIO__READ);
    if (rc < 0)
        return rc;
    struct msghdr message = {.msg_iov = (struct iovec *)buffers, .msg_iovlen = (size_t)n};
    CIO__UNTIL_DONE(&call, rc, CIO__OS(&call, receive, fd, &message));
    cio__file_note_read(call.file, rc, cio__buffers_size(buffers, (size_t)n));
    return rc;
}

int cio_sock_sendall(int fd, const void *data, size_t size)
{
    struct cio__call call;
    const char *next = data;
    if (unlikely(!data && size))
        return -EINVAL;
    ssize_t rc = cio__call_begin(&call, fd, CIO__WRITE);
    while (size > 0 && rc >= 0) {
        CIO__UNTIL_DONE(&call, rc, CIO__OS(&call, send, fd, next, size));
        if (rc > 0) {
            next += rc;
            size -= (size_t)rc;
        }
    }
    return rc < 0 ? (int)rc : 0;
}

ssize_t cio_sock_recvfrom(int fd, void *data, size_t size, struct sockaddr *address,
                          socklen_t *address_size)
{
    struct cio__call call;
    if ((!data && size) || (address && !address_size))
        return -EINVAL;
    ssize_t rc = cio__call_begin(&call, fd, CIO__READ);
    if (rc < 0)
        return rc;
    struct iovec buffer = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &buffer, .msg_iovlen = 1};
    socklen_t room = address ? *address_size : 0;
    CIO__UNTIL_DONE(&call, rc,
                    (message.msg_name = address, message.msg_namelen = room,
                     CIO__OS(&call, receive, fd, &message)));
    if (rc >= 0 && address)
        *address_size = message.msg_namelen;
    return rc;
}

ssize_t cio_sock_sendto(int fd, const void *data, size_t size, const struct sockaddr *address,
                        socklen_t address_size)
{
    struct cio__call call;
    if (!data && size)
        return -EINVAL;
    ssize_t rc = cio__call_begin(&call, fd, CIO__WRITE);
    if (rc < 0)
        return rc;
    CIO__UNTIL_DONE(&call, rc, CIO__OS(&call, send_to, fd, data, size, address, address_size));
    return rc;
}
