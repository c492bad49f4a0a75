/* Sockets for tasks. */
#include <cio/socket.h>

#include <errno.h>
#include <limits.h>

#include "io/channel.h"
#include "loop/debug.h"

/* One call on a descriptor: what it needs to be tried, and to wait. */
struct call {
    cio_loop *loop;
    struct cio__file *file;
    enum cio__direction direction;
    uint32_t generation;
};

static int look_up(struct call *call, int fd, enum cio__direction direction)
{
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(fd < 0))
        return -EINVAL;
    call->loop = cio__running;
    call->direction = direction;
    call->file = cio__file_get(call->loop, fd);
    if (unlikely(!call->file))
        return cio__file_missing(call->loop, fd);
    call->generation = call->file->generation;
    return 0;
}

/* As asyncio's, but for those that only wait, the calls are particular in debug mode. */
static int begin(struct call *call, int fd, enum cio__direction direction)
{
    int rc = look_up(call, fd, direction);
    if (unlikely(rc < 0))
        return rc;
    return unlikely(call->loop->careful) ? cio__debug_check_fd(call->loop, fd) : 0;
}

static bool may_succeed(const struct call *call)
{
    return cio__file_may(call->file, call->direction);
}

static int wait_ready(struct call *call)
{
    static const struct cio__wait_kind kinds[] = {
        [CIO__READ] = {.name = "cio_wait_readable", .tell = cio__tell_file, .in_ring = true},
        [CIO__WRITE] = {.name = "cio_wait_writable", .tell = cio__tell_file, .in_ring = true}};
    return cio__await_file(call->loop, call->file, call->direction, &kinds[call->direction]);
}

static int be_fair(struct call *call)
{
    int rc = cio__be_fair(call->loop);
    if (rc == 0 && call->generation != call->file->generation)
        return -EBADF;
    return rc;
}

/*
 * Before the first try, and again after a try that found nothing: waits unless a call may succeed.
 * Returns 0 when there is one to be made.
 */
static int prepare(struct call *call)
{
    if (likely(may_succeed(call)))
        return be_fair(call);
    return wait_ready(call);
}

static bool would_block(struct call *call, ssize_t rc)
{
    if (likely(rc != -EAGAIN))
        return false;
    cio__file_would_block(call->file, call->direction);
    return true;
}

/* Tries until it does not say that it would block. `rc` is assigned, `expression` repeated. */
#define UNTIL_DONE(call, rc, expression)                                                           \
    do {                                                                                           \
        rc = prepare(call);                                                                        \
        if (rc < 0)                                                                                \
            break;                                                                                 \
        rc = (expression);                                                                         \
    } while (would_block(call, rc))

#define OS(call, function, ...) (call)->loop->os->ops->function((call)->loop->os, __VA_ARGS__)

/* Whether that a call may succeed is what the kernel said, and not a first guess. */
static bool said_to_be_ready(const struct call *call)
{
    const struct cio__file *file = call->file;
    return file->owned_in == call->loop->runs && (file->registered & CIO__EDGE) &&
           may_succeed(call);
}

static int wait_for_direction(int fd, enum cio__direction direction)
{
    struct call call;
    int rc = look_up(&call, fd, direction);
    if (unlikely(rc < 0))
        return rc;
    return said_to_be_ready(&call) ? be_fair(&call) : wait_ready(&call);
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
static void adopt(struct call *call)
{
    struct cio__file *file = call->file;
    if (file->owned_in == call->loop->runs || cio__file_in_use(file))
        return;
    cio__file_own(call->loop, file);
    call->generation = file->generation;
}

int cio_sock_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct call call;
    if (!address)
        return -EINVAL;
    int rc = begin(&call, fd, CIO__WRITE);
    if (rc < 0)
        return rc;
    rc = OS(&call, connect, fd, address, size);
    if (rc == 0 || rc == -EINPROGRESS)
        adopt(&call);
    if (rc != -EINPROGRESS)
        return rc;
    rc = wait_ready(&call);
    return rc < 0 ? rc : OS(&call, socket_error, fd);
}

int cio_sock_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    struct call call;
    if (address && !size)
        return -EINVAL;
    int rc = begin(&call, fd, CIO__READ);
    if (rc < 0)
        return rc;
    socklen_t room = size ? *size : 0;
    UNTIL_DONE(&call, rc, (size ? *size = room : 0, OS(&call, accept, fd, address, size)));
    return rc < 0 ? rc : own_or_close(call.loop, rc);
}

ssize_t cio_sock_recv(int fd, void *data, size_t size)
{
    struct call call;
    if (unlikely(!data && size))
        return -EINVAL;
    ssize_t rc = begin(&call, fd, CIO__READ);
    if (unlikely(rc < 0))
        return rc;
    UNTIL_DONE(&call, rc, OS(&call, receive_into, fd, data, size));
    cio__file_note_read(call.file, rc, size);
    return rc;
}

ssize_t cio_sock_recv_into(int fd, const struct iovec *buffers, int n)
{
    struct call call;
    if (!buffers || n < 1 || n > IOV_MAX)
        return -EINVAL;
    ssize_t rc = begin(&call, fd, CIO__READ);
    if (rc < 0)
        return rc;
    struct msghdr message = {.msg_iov = (struct iovec *)buffers, .msg_iovlen = (size_t)n};
    UNTIL_DONE(&call, rc, OS(&call, receive, fd, &message));
    cio__file_note_read(call.file, rc, cio__buffers_size(buffers, (size_t)n));
    return rc;
}

int cio_sock_sendall(int fd, const void *data, size_t size)
{
    struct call call;
    const char *next = data;
    if (unlikely(!data && size))
        return -EINVAL;
    ssize_t rc = begin(&call, fd, CIO__WRITE);
    while (size > 0 && rc >= 0) {
        UNTIL_DONE(&call, rc, OS(&call, send, fd, next, size));
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
    struct call call;
    if ((!data && size) || (address && !address_size))
        return -EINVAL;
    ssize_t rc = begin(&call, fd, CIO__READ);
    if (rc < 0)
        return rc;
    struct iovec buffer = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &buffer, .msg_iovlen = 1};
    socklen_t room = address ? *address_size : 0;
    UNTIL_DONE(
        &call, rc,
        (message.msg_name = address, message.msg_namelen = room, OS(&call, receive, fd, &message)));
    if (rc >= 0 && address)
        *address_size = message.msg_namelen;
    return rc;
}

ssize_t cio_sock_sendto(int fd, const void *data, size_t size, const struct sockaddr *address,
                        socklen_t address_size)
{
    struct call call;
    if (!data && size)
        return -EINVAL;
    ssize_t rc = begin(&call, fd, CIO__WRITE);
    if (rc < 0)
        return rc;
    UNTIL_DONE(&call, rc, OS(&call, send_to, fd, data, size, address, address_size));
    return rc;
}
