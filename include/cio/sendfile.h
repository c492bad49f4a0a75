/*
 * Files to connections (loop.sendfile, loop.sock_sendfile).
 *
 * The kernel moves the bytes where it can: from the page cache to the socket by sendfile(2), in
 * pieces of at most 256 KiB with the other tasks' turns in between. Where it cannot (TLS that is not
 * the kernel's, a file system without it, a blocking socket), and for up to 8 KiB, where that is no slower, the file is
 * read and written in pieces of at most 64 KiB.
 *
 * Nobody waits for a disk in the loop: what is not in the page cache is read by a thread of the
 * loop's default executor. Where a file system cannot tell, tmpfs for instance, it is read in line,
 * a piece at a time.
 *
 * `file` is an open regular file or block device. Its position is neither used nor moved, other
 * than asyncio's, so that one descriptor may be sent to many at a time; how far a call has come is
 * told by cio_sendfile_options.sent.
 *
 * Each sends up to `count` bytes of it from position `offset` on, CIO_TO_END: all that is there.
 * Each returns how many were sent, fewer than count only if the file ended (it may have been cut
 * meanwhile: who has announced a length must check). A call that fails may have sent some.
 *
 * Common errors: -EINVAL for NULLs, a negative offset or count, unless that is CIO_TO_END;
 * CIO_ENOTASK; CIO_EWRONGLOOP; what the file said: -EBADF, -EISDIR, -ESPIPE for a pipe, -EIO: the
 * connection is as good as before; -EOPNOTSUPP if only the kernel should do it and it does not;
 * -ENOMEM; CIO_ECANCELED [partial].
 */
#ifndef CIO_SENDFILE_H
#define CIO_SENDFILE_H

#include <stdbool.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/stream.h>
#include <cio/transport.h>

CIO_BEGIN

#define CIO_TO_END ((int64_t)-1)

typedef struct cio_sendfile_options {
    bool native_only; /* fallback=False: -EOPNOTSUPP instead of reading and writing */
    int64_t *sent;    /* told how many bytes have left, whatever is returned; NULL: nobody asks */
} cio_sendfile_options;

/*
 * Sends what was written before, then the file; what others write meanwhile comes behind it.
 * Returns when all of it was handed to the system, so a slow peer is waited for; or -EBUSY and
 * errors of the connection as cio_write() does. cio_partly_written() tells what has left.
 */
CIO_API int64_t cio_sendfile(cio_stream *s, int file, int64_t offset, int64_t count);
CIO_API int64_t cio_sendfile_with(cio_stream *s, int file, int64_t offset, int64_t count,
                                  const cio_sendfile_options *options);

/*
 * The same to a transport, in a task. What the protocol writes meanwhile is queued behind the file
 * (asyncio refuses it), and close() waits for it. CIO_ESHUTDOWN if it is closing already,
 * CIO_ESTATE after cio_transport_write_eof(); when the connection is lost meanwhile the reason,
 * -ECONNABORTED after cio_transport_abort(): t is then gone. options may be NULL.
 */
CIO_API int64_t cio_transport_sendfile(cio_transport *t, int file, int64_t offset, int64_t count,
                                       const cio_sendfile_options *options);

/* The same to a socket of <cio/socket.h>, a stream socket. options may be NULL. */
CIO_API int64_t cio_sock_sendfile(int fd, int file, int64_t offset, int64_t count,
                                  const cio_sendfile_options *options);

CIO_END

#endif
