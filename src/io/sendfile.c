/* Files to streams, transports and sockets. */
#include <cio/sendfile.h>

#include <errno.h>

#include "io/call.h"
#include "io/file_pieces.h"
#include "io/stream.h"
#include "io/transport.h"

/* A file on its way through a write queue. */
struct sending {
    struct cio__file_pieces file;
    struct cio__chunk chunk;
    struct cio__write_queue *queue;
    cio_stream *stream; /* NULL: a transport's queue */
    const struct cio__wait_kind *kind;
};

static int64_t sent_of(const struct cio__file_pieces *file)
{
    return file->offset - file->begin;
}

/* The result, which tells how much has left wherever somebody asks. */
static int64_t result(const struct cio__file_pieces *file, int rc,
                      const cio_sendfile_options *options)
{
    if (options && options->sent)
        *options->sent = sent_of(file);
    return rc < 0 ? rc : sent_of(file);
}

/* 0 if it may go on. The queue is touched only if it still has the chunk. */
static int check(const struct sending *self)
{
    if (self->stream && self->stream->closing)
        return -EBUSY;
    return self->chunk.done ? self->chunk.error : 0;
}

static int wait_for_piece(struct sending *self)
{
    struct cio__wait wait = {.kind = self->kind};
    int rc = self->stream ? cio__stream_wait_for_queue(self->stream, 0, self->kind)
                          : cio__wait(&wait);
    return rc < 0 ? rc : check(self);
}

/* Waits for something else than the queue. */
#define AWAY(self, expression)                                                                     \
    ({                                                                                             \
        (self)->chunk.away = true;                                                                 \
        __typeof__(expression) away_ = (expression);                                               \
        (self)->chunk.away = false;                                                                \
        away_;                                                                                     \
    })

/* One piece: out at once if the socket takes it, and then the others have their turn. */
static int pass(struct sending *self, const void *data, size_t size)
{
    struct cio__chunk *chunk = &self->chunk;
    int rc = cio__queue_feed(self->queue, chunk, data ? NULL : &self->file.source, data, size);
    bool at_once = rc == 0 && chunk->size == 0;
    while (rc == 0 && chunk->size > 0)
        rc = wait_for_piece(self);
    if (data)
        cio__pieces_advance(&self->file, size - chunk->size);
    if (at_once && self->file.left > 0)
        rc = AWAY(self, cio_yield());
    return rc < 0 ? rc : check(self);
}

static int pass_all(struct sending *self)
{
    for (;;) {
        const void *data;
        ssize_t size = AWAY(self, cio__pieces_next(&self->file, &data));
        int rc = size == CIO_ECANCELED ? CIO_ECANCELED : check(self);
        if (rc < 0 || size <= 0)
            return rc < 0 ? rc : (int)size;
        rc = pass(self, data, (size_t)size);
        if (rc < 0)
            return rc;
    }
}

static int send_through(struct sending *self)
{
    struct cio__channel *channel = self->queue->channel;
    self->file.loop = channel->loop;
    self->file.sink = channel->file->fd;
    if (!cio__channel_sends_past(channel)) {
        self->file.refused = true;
        self->file.error = -EOPNOTSUPP;
    }
    cio__queue_begin_feed(self->queue, &self->chunk);
    int rc = pass_all(self);
    cio__queue_end_feed(self->queue, &self->chunk);
    cio__pieces_end(&self->file);
    return rc;
}

/* ---- streams ---- */

static int send_to_stream(struct sending *self)
{
    cio_stream *s = self->stream;
    int rc = cio__stream_check_write(s);
    if (rc == 0)
        rc = cio__be_fair(s->channel.loop);
    if (rc == 0)
        rc = cio__stream_check_write(s);
    if (rc < 0 || self->file.left == 0)
        return rc;
    rc = send_through(self);
    if (s->closing && !s->closed)
        cio__queue_poke(&s->out); /* who closes it waits until the queue is empty */
    s->partly_written = (size_t)sent_of(&self->file);
    return rc;
}

int64_t cio_sendfile_with(cio_stream *s, int file, int64_t offset, int64_t count,
                          const cio_sendfile_options *options)
{
    static const struct cio__wait_kind kind = {.name = "cio_sendfile"};
    if (!s)
        return -EINVAL;
    struct sending self = {.stream = s, .queue = &s->out, .kind = &kind};
    int rc = cio__pieces_begin(&self.file, file, offset, count, options);
    if (rc == 0)
        rc = cio__stream_enter(s);
    if (rc < 0)
        return rc;
    s->partly_written = 0;
    rc = send_to_stream(&self);
    cio__stream_leave(s);
    return result(&self.file, rc, options);
}

int64_t cio_sendfile(cio_stream *s, int file, int64_t offset, int64_t count)
{
    return cio_sendfile_with(s, file, offset, count, NULL);
}

/* ---- transports ---- */

static int check_transport(const cio_transport *t)
{
    if (!cio__current)
        return CIO_ENOTASK;
    if (t->channel.loop != cio__running)
        return CIO_EWRONGLOOP;
    if (t->out.ends)
        return CIO_ESTATE;
    return t->closing ? CIO_ESHUTDOWN : 0;
}

int64_t cio_transport_sendfile(cio_transport *t, int file, int64_t offset, int64_t count,
                               const cio_sendfile_options *options)
{
    static const struct cio__wait_kind kind = {.name = "cio_transport_sendfile"};
    if (!t)
        return -EINVAL;
    struct sending self = {.queue = &t->out, .kind = &kind};
    int rc = cio__pieces_begin(&self.file, file, offset, count, options);
    if (rc == 0)
        rc = check_transport(t);
    if (rc < 0)
        return rc;
    if (self.file.left == 0)
        return 0;
    rc = send_through(&self);
    if (!self.chunk.done && t->closing)
        cio__queue_poke(&t->out); /* the close waits until the queue is empty */
    return result(&self.file, rc, options);
}

/* ---- sockets ---- */

/* All of what was read, or the kernel's own piece once. */
static int send_piece(struct cio__call *call, struct cio__file_pieces *file, const char *data,
                      size_t size)
{
    ssize_t rc = 0;
    if (!data) {
        CIO__UNTIL_DONE(call, rc,
                        CIO__OS(call, send_file, file->sink, file->file, file->offset, size));
        rc = cio__pieces_sent(file, rc);
        return rc < 0 ? (int)rc : 0;
    }
    while (size > 0 && rc >= 0) {
        CIO__UNTIL_DONE(call, rc, CIO__OS(call, send, file->sink, data, size));
        if (rc > 0) {
            cio__pieces_advance(file, (size_t)rc);
            data += rc;
            size -= (size_t)rc;
        }
    }
    return rc < 0 ? (int)rc : 0;
}

static int send_to_socket(struct cio__call *call, struct cio__file_pieces *file)
{
    for (;;) {
        const void *data;
        ssize_t size = cio__pieces_next(file, &data);
        if (size > 0 && cio__call_is_stale(call))
            return -EBADF; /* closed while a thread read */
        if (size <= 0)
            return (int)size;
        int rc = send_piece(call, file, data, (size_t)size);
        if (rc == 0 && file->left > 0)
            rc = cio_yield();
        if (rc == 0 && cio__call_is_stale(call))
            rc = -EBADF;
        if (rc < 0)
            return rc;
    }
}

int64_t cio_sock_sendfile(int fd, int file, int64_t offset, int64_t count,
                          const cio_sendfile_options *options)
{
    struct cio__call call;
    struct cio__file_pieces pieces;
    int rc = cio__pieces_begin(&pieces, file, offset, count, options);
    if (rc < 0)
        return rc;
    rc = cio__call_begin(&call, fd, CIO__WRITE);
    if (rc < 0)
        return rc;
    pieces.loop = call.loop;
    pieces.sink = fd;
    rc = send_to_socket(&call, &pieces);
    cio__pieces_end(&pieces);
    return result(&pieces, rc, options);
}
