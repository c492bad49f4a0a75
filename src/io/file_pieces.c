/* Which part of a file goes next, and how. */
#include "io/file_pieces.h"

#include <errno.h>

#include <cio/thread.h>

#include "io/io.h"

#define WINDOW ((int64_t)256 * 1024) /* bytes that the kernel is asked to pass on at once */

/*
 * Up to so many bytes a read and a send cost no more than a sendfile(), and the read says whether
 * they are in memory, for which sendfile() needs a call in advance. Measured on loopback TCP.
 */
#define SMALL ((int64_t)8 * 1024)

static ssize_t send_native(struct cio__source *source, struct cio__channel *channel, size_t size)
{
    struct cio__file_pieces *self = (struct cio__file_pieces *)source;
    return cio__pieces_sent(self, cio__socket_send_file(channel, self->file, self->offset, size));
}

int cio__pieces_begin(struct cio__file_pieces *self, int file, int64_t offset, int64_t count,
                      const cio_sendfile_options *options)
{
    if (options && options->sent)
        *options->sent = 0;
    if (offset < 0 || (count < 0 && count != CIO_TO_END))
        return -EINVAL;
    *self = (struct cio__file_pieces){.source.send = send_native,
                                      .file = file,
                                      .begin = offset,
                                      .offset = offset,
                                      .native_only = options && options->native_only};
    int64_t most = INT64_MAX - offset;
    self->left = count == CIO_TO_END || count > most ? most : count;
    return 0;
}

void cio__pieces_end(struct cio__file_pieces *self)
{
    if (self->buffer)
        cio__buffer_give(self->loop, self->buffer);
    self->buffer = NULL;
}

/* ---- what the kernel passes on ---- */

/* Errors for which the file may be to blame. Reading and sending will tell who it was. */
static bool is_of_the_file(ssize_t rc)
{
    switch (-rc) {
    case EBADF:
    case EINVAL:
    case EIO:
    case EISDIR:
    case ENOMEM:
    case ENOSYS:
    case EOPNOTSUPP:
    case EOVERFLOW:
    case EPERM:
    case ESPIPE: return true;
    default: return false;
    }
}

ssize_t cio__pieces_sent(struct cio__file_pieces *self, ssize_t sent)
{
    if (sent > 0)
        cio__pieces_advance(self, (size_t)sent);
    if (sent == 0)
        self->left = 0;
    if (sent >= 0 || !is_of_the_file(sent))
        return sent;
    self->refused = true;
    self->error = sent == -EINVAL || sent == -ENOSYS || sent == -EPERM ? -EOPNOTSUPP : (int)sent;
    return 0;
}

static ssize_t probe(const struct cio__file_pieces *self, int64_t offset)
{
    char byte;
    struct cio__os *os = self->loop->os;
    return os->ops->read_at(os, self->file, &byte, 1, offset, true);
}

/*
 * Whether sendfile() would find the window in memory: its last byte is asked for, as files are
 * read ahead in order; beyond the end its first.
 */
static bool is_in_memory(const struct cio__file_pieces *self, int64_t size)
{
    ssize_t rc = probe(self, self->offset + size - 1);
    if (rc == 0)
        rc = probe(self, self->offset);
    return rc != -EAGAIN;
}

/* How much the kernel shall pass on next; 0: it shall not. */
static ssize_t native_size(struct cio__file_pieces *self)
{
    struct cio__os *os = self->loop->os;
    int64_t size = self->left < WINDOW ? self->left : WINDOW;
    if (self->refused || (size <= SMALL && !self->native_only))
        return 0;
    if (!self->sink_known && os->ops->blocks(os, self->sink)) {
        self->refused = true;
        self->error = -EOPNOTSUPP;
        return 0;
    }
    self->sink_known = true;
    return self->native_only || is_in_memory(self, size) ? (ssize_t)size : 0;
}

/* ---- what is read ---- */

struct reading {
    const struct cio__file_pieces *pieces;
    size_t size;
    ssize_t rc;
};

static ssize_t read_piece(const struct cio__file_pieces *self, size_t size, bool nowait)
{
    struct cio__os *os = self->loop->os;
    return os->ops->read_at(os, self->file, self->buffer, size, self->offset, nowait);
}

static int read_job(void *arg)
{
    struct reading *reading = arg;
    reading->rc = read_piece(reading->pieces, reading->size, false);
    return 0;
}

/* The disk is waited for by a thread; by us only if there is none to be had. */
static ssize_t read_from_disk(const struct cio__file_pieces *self, size_t size)
{
    struct reading reading = {.pieces = self, .size = size};
    int rc = cio_to_thread(read_job, &reading);
    if (rc == CIO_ECANCELED)
        return rc;
    return rc < 0 ? read_piece(self, size, false) : reading.rc;
}

ssize_t cio__pieces_next(struct cio__file_pieces *self, const void **data)
{
    *data = NULL;
    if (self->left == 0)
        return 0;
    ssize_t native = native_size(self);
    if (native > 0)
        return native;
    if (self->native_only)
        return self->error;
    if (!self->buffer) {
        if (!cio__io_of(self->loop))
            return -ENOMEM;
        self->buffer = cio__buffer_take(self->loop);
        if (!self->buffer)
            return -ENOMEM;
    }
    int64_t most = (int64_t)CIO__BUFFER_SIZE;
    size_t size = (size_t)(self->left < most ? self->left : most);
    ssize_t n = read_piece(self, size, true);
    if (n == -EAGAIN)
        n = read_from_disk(self, size);
    else if (n == -EOPNOTSUPP || n == -ENOSYS || n == -EPERM)
        n = read_piece(self, size, false);
    *data = self->buffer;
    return n;
}
