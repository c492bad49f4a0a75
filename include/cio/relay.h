/*
 * From one stream to another, as a proxy does it. No asyncio counterpart.
 *
 * What one has received and nobody has read goes first, then what its socket has. Where much comes
 * at a time, and neither has a layer (TLS, but kernel TLS for sending), the kernel moves it through
 * a pipe, and no byte is copied to user space; else it goes through the stream's buffer. No more is taken from `from` than
 * `to` accepts: at most 256 KiB are under way.
 */
#ifndef CIO_RELAY_H
#define CIO_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/stream.h>

CIO_BEGIN

typedef struct cio_relay_options {
    int64_t limit;    /* so many bytes at most; 0: until the end */
    bool keep_open;   /* at the end of from, do not end the writing side of to */
    bool copy;        /* never by a pipe */
    double idle;      /* CIO_ETIMEDOUT when nothing moved for so many seconds; 0: for ever */
    int64_t *relayed; /* told how many bytes have left, whatever is returned; NULL: nobody asks */
} cio_relay_options;

/*
 * Passes on what comes until the end, and then that too (cio_write_eof). options may be NULL.
 * Returns how many bytes; errors of cio_read() for from and of cio_write() for to; -EINVAL also for
 * a negative limit or idle and if both are one; CIO_ETIMEDOUT. Nobody else may read from `from`
 * meanwhile: CIO_ESTATE; what others write to `to` comes between two pieces. [partial: what was
 * taken from `from` and has not left is given back to it, and is what it reads next; so after
 * errors too]
 */
CIO_API int64_t cio_relay(cio_stream *from, cio_stream *to, const cio_relay_options *options);

CIO_END

#endif
