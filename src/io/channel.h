/*
 * A channel: the way from a stream or a transport to its socket. All their bytes go through the two
 * calls here, which never wait. Between them and the socket there may be a layer, TLS for instance,
 * that turns bytes into others; start_tls is putting one there.
 */
#ifndef CIO_IO_CHANNEL_H
#define CIO_IO_CHANNEL_H

#include <errno.h>

#include "task/task.h"

struct cio__layer;
struct cio__channel;
struct cio__write_queue;

/* Called by the loop, once, when what was begun is over; it may free the layer. */
typedef void cio__layer_done(void *arg, int rc);

/* All may fail with a negative code; -EAGAIN: the socket must become ready first. */
struct cio__layer_ops {
    /* Up to size bytes; 0: a proper end. It reads from the socket by cio__socket_receive(). */
    ssize_t (*receive)(struct cio__layer *layer, struct cio__channel *channel, void *data,
                       size_t size);
    /* Takes a beginning of the bytes. What it could not pass on yet it holds. */
    ssize_t (*send)(struct cio__layer *layer, struct cio__channel *channel,
                    const struct iovec *buffers, size_t n);
    /* Passes on what it holds: 0 when that is all. */
    int (*flush)(struct cio__layer *layer, struct cio__channel *channel);
    /* Ends the writing side, after the bytes that it holds. */
    int (*shut_writing)(struct cio__layer *layer, struct cio__channel *channel);
    /* A receive would give bytes without asking the socket. */
    bool (*readable)(const struct cio__layer *layer);
    bool (*holds)(const struct cio__layer *layer);
    /*
     * Whether what is sent may go to the socket past it, for the kernel does its work: 0 if so;
     * -EAGAIN: after what it holds; -EOPNOTSUPP if not.
     */
    int (*send_past)(struct cio__layer *layer);
    void (*free)(struct cio__layer *layer);

    /*
     * Begins to speak with the peer; until done is called the layer has the channel for itself.
     * From then on, what it holds after a receive it has the queue send. Returns 0 or an error.
     */
    int (*start)(struct cio__layer *layer, struct cio__channel *channel,
                 struct cio__write_queue *queue, cio__layer_done *done, void *arg);
    /*
     * Before the socket is closed, when all is sent: tells the peer, and waits for its answer.
     * Returns 1: done will be called; 0: that is over already; an error: so is it.
     */
    int (*part)(struct cio__layer *layer, cio__layer_done *done, void *arg);
    /* Does neither any more: from now on all says rc. */
    void (*stop)(struct cio__layer *layer, int rc);
};

struct cio__layer {
    const struct cio__layer_ops *ops;
};

struct cio__channel {
    cio_loop *loop;
    struct cio__file *file;
    struct cio__layer *layer; /* NULL: the socket itself */
    uint32_t generation;
};

/*
 * Takes a connected socket over: from now on it is the channel's to close. Returns 0; -EBADF;
 * CIO_ESTATE if somebody watches it, waits on it or has taken it; -ENOMEM: it is still the
 * caller's.
 */
int cio__channel_open(struct cio__channel *channel, cio_loop *loop, int fd);

/* Closes the socket, and frees the layer. Who waits on it is woken. */
void cio__channel_close(struct cio__channel *channel);

/* On the socket, beneath a layer. A short count says that the socket is not ready for more. */
ssize_t cio__socket_receive(struct cio__channel *channel, void *data, size_t size);
ssize_t cio__socket_send(struct cio__channel *channel, const struct iovec *buffers, size_t n);

/* A record of the kernel's own TLS there, not of data but of another kind. */
ssize_t cio__socket_send_record(struct cio__channel *channel, uint8_t kind, const void *data,
                                size_t size);

/*
 * From a file to the socket: -EOPNOTSUPP if a layer is between them. 0: the file ends there.
 */
ssize_t cio__socket_send_file(struct cio__channel *channel, int file, int64_t offset, size_t size);

/* The same from a pipe, and to one. 0 from a socket: the end. */
ssize_t cio__socket_send_pipe(struct cio__channel *channel, int pipe, size_t size);
ssize_t cio__socket_receive_pipe(struct cio__channel *channel, int pipe, size_t size);

int cio__channel_shut_writing(struct cio__channel *channel);

/* As a layer's part: without one there is nothing to tell. */
int cio__channel_part(struct cio__channel *channel, cio__layer_done *done, void *arg);

/* A name of the socket's, as getpeername() and getsockname() do it. */
int cio__channel_name(const struct cio__channel *channel, bool peer, struct sockaddr *address,
                      socklen_t *size);

/* Whether the descriptor is still the one that was opened. */
static inline bool cio__channel_is_open(const struct cio__channel *channel)
{
    return channel->generation == channel->file->generation;
}

static inline ssize_t cio__channel_receive(struct cio__channel *channel, void *data, size_t size)
{
    if (unlikely(channel->layer != NULL))
        return channel->layer->ops->receive(channel->layer, channel, data, size);
    return cio__socket_receive(channel, data, size);
}

static inline ssize_t cio__channel_send(struct cio__channel *channel, const struct iovec *buffers,
                                        size_t n)
{
    if (unlikely(channel->layer != NULL))
        return channel->layer->ops->send(channel->layer, channel, buffers, n);
    return cio__socket_send(channel, buffers, n);
}

/* Whether the layer has something that the socket does not know of. */
static inline bool cio__channel_has_bytes(const struct cio__channel *channel)
{
    return unlikely(channel->layer != NULL) && channel->layer->ops->readable(channel->layer);
}

/* Whether a receive may give something without a wait. */
static inline bool cio__channel_may_receive(const struct cio__channel *channel)
{
    if (cio__channel_has_bytes(channel))
        return true;
    return cio__file_may(channel->file, CIO__READ);
}

static inline bool cio__channel_may_send(const struct cio__channel *channel)
{
    return cio__file_may(channel->file, CIO__WRITE);
}

static inline bool cio__channel_holds(const struct cio__channel *channel)
{
    return unlikely(channel->layer != NULL) && channel->layer->ops->holds(channel->layer);
}

/* Whether what the kernel sends by itself, from files and pipes, is what the peer shall get. */
static inline bool cio__channel_sends_past(const struct cio__channel *channel)
{
    return likely(!channel->layer) || channel->layer->ops->send_past(channel->layer) != -EOPNOTSUPP;
}

static inline size_t cio__buffers_size(const struct iovec *buffers, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += buffers[i].iov_len;
    return size;
}

/* A kind's tell, of a wait by cio__await_file(); such a kind also says in_ring. */
void cio__tell_file(const struct cio__wait *wait, struct cio__tale *tale);

/* Ends another task's wait by cio__await_file(), unless it is on its way already. */
static inline void cio__wake_from_file(cio_task *task)
{
    if (cio__handle_state(&task->step) != CIO__IDLE)
        return;
    cio__ring_leave(&task->step.waiting);
    cio__wake(task);
}

/*
 * The current task waits until a call in that direction may succeed. Returns 0, also early;
 * CIO_ECANCELED; -EBADF when the descriptor was closed meanwhile; what the kernel said.
 */
int cio__await_file(cio_loop *loop, struct cio__file *file, enum cio__direction direction,
                    const struct cio__wait_kind *kind);

/*
 * Before a call that will succeed at once: yields when there were many of those in a row. Returns 0
 * or CIO_ECANCELED.
 */
int cio__yield_after_many(cio_loop *loop);

/* A task whose calls always succeed at once would never let another run. */
#define CIO__CALLS_IN_A_ROW_MOST 64

static inline int cio__be_fair(cio_loop *loop)
{
    if (likely(++loop->calls_in_a_row < CIO__CALLS_IN_A_ROW_MOST))
        return 0;
    return cio__yield_after_many(loop);
}

/*
 * A handle that waits for a direction without a task: queued once when it may be ready. From the
 * first call on its place is of a ring's shape, so that the second is allowed at any time.
 */
int cio__channel_listen(struct cio__channel *channel, enum cio__direction direction,
                        cio_handle *handle);
void cio__channel_unlisten(cio_handle *handle);

#endif
