/* Between streams and sockets. */
#include "io/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "io/io.h"
#include "task/tell.h"

struct file_wait {
    struct cio__wait wait;
    const struct cio__file *file;
    enum cio__direction direction;
};

void cio__tell_file(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct file_wait *waiting = (const struct file_wait *)wait;
    cio__tell(tale, "fd %d to be %s", waiting->file->fd,
              waiting->direction == CIO__READ ? "readable" : "writable");
}

int cio__await_file(cio_loop *loop, struct cio__file *file, enum cio__direction direction,
                    const struct cio__wait_kind *kind)
{
    struct file_wait waiting = {.wait.kind = kind, .file = file, .direction = direction};
    uint32_t generation = file->generation;
    cio_handle *step = &cio__current->step;
    loop->calls_in_a_row = 0;
    int rc = cio__file_wait(loop, file, direction, step);
    if (unlikely(rc < 0))
        return rc;
    rc = cio__wait(&waiting.wait);
    cio__ring_remove(&step->waiting);
    if (unlikely(generation != file->generation))
        return rc < 0 ? rc : -EBADF; /* closed while we waited */
    return rc;
}

int cio__yield_after_many(cio_loop *loop)
{
    loop->calls_in_a_row = 0;
    return cio_yield();
}

int cio__channel_open(struct cio__channel *channel, cio_loop *loop, int fd)
{
    if (fd < 0)
        return -EBADF;
    struct cio__file *file = cio__file_get(loop, fd);
    if (!file)
        return cio__file_missing(loop, fd);
    if (file->taken || cio__file_in_use(file))
        return CIO_ESTATE;
    if (!cio__io_of(loop))
        return -ENOMEM;
    if (file->owned_in != loop->runs) /* else it is known already, and registered perhaps */
        cio__file_own(loop, file);
    file->taken = true;
    *channel = (struct cio__channel){.loop = loop, .file = file, .generation = file->generation};
    return 0;
}

void cio__channel_close(struct cio__channel *channel)
{
    cio_loop *loop = channel->loop;
    if (channel->layer)
        channel->layer->ops->free(channel->layer);
    channel->layer = NULL;
    if (!cio__channel_is_open(channel))
        return; /* somebody closed it behind our back */
    cio__file_renew(loop, channel->file);
    loop->os->ops->close_fd(loop->os, channel->file->fd);
}

ssize_t cio__socket_receive(struct cio__channel *channel, void *data, size_t size)
{
    struct cio__file *file = channel->file;
    struct cio__os *os = channel->loop->os;
    if (unlikely(!cio__channel_is_open(channel)))
        return -EBADF;
    if (!cio__file_may(file, CIO__READ))
        return -EAGAIN;
    ssize_t n = os->ops->receive_into(os, file->fd, data, size);
    if (unlikely(n == -EAGAIN))
        cio__file_would_block(file, CIO__READ);
    cio__file_note_read(file, n, size);
    return n;
}

/* What a stream socket does not take whole has filled it. */
ssize_t cio__socket_send(struct cio__channel *channel, const struct iovec *buffers, size_t n)
{
    struct cio__file *file = channel->file;
    struct cio__os *os = channel->loop->os;
    if (unlikely(!cio__channel_is_open(channel)))
        return -EBADF;
    if (!cio__file_may(file, CIO__WRITE))
        return -EAGAIN;
    ssize_t sent = n == 1 ? os->ops->send(os, file->fd, buffers->iov_base, buffers->iov_len)
                          : os->ops->send_vector(os, file->fd, buffers, n);
    if (sent == -EAGAIN || (sent >= 0 && (size_t)sent < cio__buffers_size(buffers, n)))
        cio__file_would_block(file, CIO__WRITE);
    return sent;
}

ssize_t cio__socket_send_record(struct cio__channel *channel, uint8_t kind, const void *data,
                                size_t size)
{
    struct cio__file *file = channel->file;
    struct cio__os *os = channel->loop->os;
    if (!cio__channel_is_open(channel))
        return -EBADF;
    if (!cio__file_may(file, CIO__WRITE))
        return -EAGAIN;
    ssize_t sent = os->ops->tls_record(os, file->fd, kind, data, size);
    if (sent == -EAGAIN || (sent >= 0 && (size_t)sent < size))
        cio__file_would_block(file, CIO__WRITE);
    return sent;
}

/* Whether the kernel may move bytes past us in that direction now. */
static int may_move(const struct cio__channel *channel, enum cio__direction direction)
{
    if (!cio__channel_is_open(channel))
        return -EBADF;
    if (!cio__file_may(channel->file, direction))
        return -EAGAIN;
    if (!channel->layer)
        return 0;
    return direction == CIO__WRITE ? channel->layer->ops->send_past(channel->layer) : -EOPNOTSUPP;
}

static ssize_t note_moved(struct cio__channel *channel, enum cio__direction direction, ssize_t n)
{
    if (n == -EAGAIN)
        cio__file_would_block(channel->file, direction);
    return n;
}

/*
 * Has it send what it holds back for more to come. Before Linux 6.5 sendfile() promised more until
 * it had sent all that it was asked for, also at the end of the file; and kernel TLS may run out of
 * room while everything there waits for more, which nothing would ever end.
 */
static void push(const struct cio__channel *channel)
{
    struct cio__os *os = channel->loop->os;
    os->ops->set_option(os, channel->file->fd, IPPROTO_TCP, TCP_CORK, 0);
}

/*
 * A short count may be the file's end, after which no change of the socket's would be told: so only
 * -EAGAIN says that it is full.
 */
ssize_t cio__socket_send_file(struct cio__channel *channel, int file, int64_t offset, size_t size)
{
    struct cio__os *os = channel->loop->os;
    int rc = may_move(channel, CIO__WRITE);
    if (rc < 0)
        return rc;
    ssize_t n = os->ops->send_file(os, channel->file->fd, file, offset, size);
    if (n == 0 || (n == -EAGAIN && channel->layer))
        push(channel);
    return note_moved(channel, CIO__WRITE, n);
}

ssize_t cio__socket_send_pipe(struct cio__channel *channel, int pipe, size_t size)
{
    struct cio__os *os = channel->loop->os;
    int rc = may_move(channel, CIO__WRITE);
    if (rc < 0)
        return rc;
    ssize_t n = os->ops->pipe_out(os, pipe, channel->file->fd, size);
    if (n == -EAGAIN && channel->layer)
        push(channel);
    return note_moved(channel, CIO__WRITE, n);
}

ssize_t cio__socket_receive_pipe(struct cio__channel *channel, int pipe, size_t size)
{
    struct cio__os *os = channel->loop->os;
    int rc = may_move(channel, CIO__READ);
    if (rc < 0)
        return rc;
    return note_moved(channel, CIO__READ, os->ops->pipe_in(os, channel->file->fd, pipe, size));
}

int cio__channel_shut_writing(struct cio__channel *channel)
{
    if (!cio__channel_is_open(channel))
        return -EBADF;
    if (channel->layer)
        return channel->layer->ops->shut_writing(channel->layer, channel);
    struct cio__os *os = channel->loop->os;
    return os->ops->shut_writing(os, channel->file->fd);
}

int cio__channel_part(struct cio__channel *channel, cio__layer_done *done, void *arg)
{
    if (likely(!channel->layer) || !cio__channel_is_open(channel))
        return 0;
    return channel->layer->ops->part(channel->layer, done, arg);
}

int cio__channel_name(const struct cio__channel *channel, bool peer, struct sockaddr *address,
                      socklen_t *size)
{
    if (!address || !size)
        return -EINVAL;
    if (!cio__channel_is_open(channel))
        return -EBADF;
    struct cio__os *os = channel->loop->os;
    return os->ops->socket_name(os, channel->file->fd, peer, address, size);
}

int cio__channel_listen(struct cio__channel *channel, enum cio__direction direction,
                        cio_handle *handle)
{
    cio__ring_init(&handle->waiting);
    if (!cio__channel_is_open(channel))
        return -EBADF;
    struct cio__file *file = channel->file;
    bool told = file->owned_in == channel->loop->runs && (file->registered & CIO__EDGE);
    bool now = told && cio__file_may(file, direction); /* else the kernel is asked, and says so */
    if (now || (direction == CIO__READ && cio__channel_has_bytes(channel))) {
        cio__ready_push(&channel->loop->ready, handle);
        return 0;
    }
    int rc = cio__file_wait(channel->loop, file, direction, handle);
    if (rc < 0)
        cio__ring_init(&handle->waiting);
    return rc;
}

void cio__channel_unlisten(cio_handle *handle)
{
    if (cio__handle_state(handle) != CIO__IDLE)
        cio_handle_cancel(handle);
    cio__ring_leave(&handle->waiting);
}
