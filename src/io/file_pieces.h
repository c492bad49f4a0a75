/*
 * A file, piece by piece: which part goes next, and whether the kernel passes it on by itself or it
 * has to be read.
 */
#ifndef CIO_IO_FILE_PIECES_H
#define CIO_IO_FILE_PIECES_H

#include <cio/sendfile.h>

#include "io/write_queue.h"

struct cio__file_pieces {
    struct cio__source source; /* first: for the pieces that the kernel passes on */
    cio_loop *loop;
    int file;
    int sink; /* the socket's descriptor */
    int64_t begin;
    int64_t offset; /* where the next piece begins: up to here it was sent */
    int64_t left;
    bool native_only;
    bool sink_known; /* that it is non-blocking */
    bool refused;    /* the kernel does not do it, and why: */
    int error;
    char *buffer; /* of a piece that was read */
};

/* Returns 0 or -EINVAL. may_native: nothing but a socket is there to receive it. */
int cio__pieces_begin(struct cio__file_pieces *self, int file, int64_t offset, int64_t count,
                      const cio_sendfile_options *options);
void cio__pieces_end(struct cio__file_pieces *self);

/*
 * The size of the next piece; *data is where it was read to, or NULL: the kernel is to pass it on.
 * 0: there is no more. May wait for a thread. Errors are the file's, or CIO_ECANCELED.
 */
ssize_t cio__pieces_next(struct cio__file_pieces *self, const void **data);

/* What sendfile() returned: moves on. Returns it, or 0 if the file is at fault or at its end. */
ssize_t cio__pieces_sent(struct cio__file_pieces *self, ssize_t sent);

/* So much of what was read has left. */
static inline void cio__pieces_advance(struct cio__file_pieces *self, size_t n)
{
    self->offset += (int64_t)n;
    self->left -= (int64_t)n;
}

#endif
