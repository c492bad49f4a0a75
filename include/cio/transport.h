/*
 * Transports and protocols: connections for callbacks (asyncio's "Transports and Protocols"). They
 * need no task: a hundred thousand idle connections are a hundred thousand small structs.
 *
 * For each connection the loop calls the functions of a struct cio_protocol, in this order:
 * connection_made once, data_received any number of times, eof_received at most once,
 * connection_lost once and last. Each is called by the loop, never from inside a call that you
 * make, but for pause_writing, which a write calls itself.
 *
 * A transport lives until connection_lost has returned. All calls below are for its loop's thread,
 * inside and outside of tasks, and none waits unless it says so. Common errors: -EINVAL for NULLs;
 * CIO_ESHUTDOWN once it is closing.
 */
#ifndef CIO_TRANSPORT_H
#define CIO_TRANSPORT_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cio/export.h>
#include <cio/loop.h>
#include <cio/stream.h>

CIO_BEGIN

typedef struct cio_transport cio_transport;

/*
 * What a protocol does. `self` is yours, one for each connection. Any member may be NULL: then what
 * asyncio's base class does is done, which is nothing (eof_received: 0). A negative result of a
 * callback is reported to the exception handler, and the connection is aborted with it.
 */
typedef struct cio_protocol {
    void (*connection_made)(void *self, cio_transport *t);

    /* size bytes, more than 0, for the time of the call. Returns 0 or an error. */
    int (*data_received)(void *self, const void *data, size_t size);

    /*
     * BufferedProtocol: if get_buffer is set it is asked for memory instead, and buffer_updated is
     * told how many bytes came into it. get_buffer leaves a pointer in *buffer and returns how many
     * bytes there are; 0 is an error, hint is advice, 0 if there is none.
     */
    ssize_t (*get_buffer)(void *self, size_t hint, void **buffer);
    int (*buffer_updated)(void *self, size_t size);

    /*
     * The peer will send no more. 0: the transport closes itself, after what is queued; 1: it stays
     * open for writing.
     */
    int (*eof_received)(void *self);

    /*
     * More than the high-water mark is queued: write less, or nothing. No more than the low-water
     * mark is: go on. They take turns.
     */
    void (*pause_writing)(void *self);
    void (*resume_writing)(void *self);

    /*
     * The end. rc is 0 after a close, an abort or the peer's end, else why: -ECONNRESET, what a
     * callback returned, ... When it returns the transport is gone.
     */
    void (*connection_lost)(void *self, int rc);
} cio_protocol;

/*
 * Bytes that a transport queues at most, whatever its water marks: cio_transport_write() refuses
 * more, so that a protocol without pause_writing cannot fill the memory.
 */
#define CIO_WRITE_QUEUE_MAX ((size_t)16 * 1024 * 1024)

/*
 * Connects and makes a transport (loop.create_connection); the address as in cio_open_connection(),
 * options' limit and close_timeout are not used. Waits in a task until connection_made was called.
 * Returns 0 and the transport, borrowed, in *ret (may be NULL); CIO_ENOTASK; -ECONNABORTED if
 * connection_lost was called already; as cio_open_connection(). Canceled: CIO_ECANCELED; the
 * connection is closed if there is one. [total]
 */
CIO_API int cio_create_connection(cio_transport **ret, const cio_protocol *protocol, void *self,
                                  const char *host, const char *service,
                                  const cio_connect_options *options);

/* The same by a unix socket's path (loop.create_unix_connection). */
CIO_API int cio_create_unix_connection(cio_transport **ret, const cio_protocol *protocol,
                                       void *self, const char *path,
                                       const cio_connect_options *options);

/*
 * Makes a transport of a connected stream socket, which is then the transport's
 * (loop.connect_accepted_socket). connection_made is called soon. Returns 0; -EBADF; CIO_ESTATE if
 * the socket is watched, waited for, or another's; CIO_ENOLOOP; -ENOMEM. After an error the socket
 * is still the caller's.
 */
CIO_API int cio_open_transport(cio_transport **ret, int fd, const cio_protocol *protocol,
                               void *self);

/*
 * Sends now what the socket takes and queues a copy of the rest (transport.write); calls
 * pause_writing if that is now more than the high-water mark. Returns 0; CIO_ESHUTDOWN once it is
 * closing: the bytes are dropped; CIO_ESTATE after cio_transport_write_eof(); -ENOBUFS, nothing
 * sent, if CIO_WRITE_QUEUE_MAX is queued already; -ENOMEM or what the system said: connection_lost
 * will hear of it too.
 */
CIO_API int cio_transport_write(cio_transport *t, const void *data, size_t size);

/* The same from n buffers in order (transport.writelines). */
CIO_API int cio_transport_writev(cio_transport *t, const struct iovec *buffers, size_t n);

/*
 * Ends the writing side after what is queued (transport.write_eof); a second time does nothing.
 * Returns 0 or an error.
 */
CIO_API int cio_transport_write_eof(cio_transport *t);

/*
 * Closes: reads no more, sends what is queued, then calls connection_lost(0) (transport.close). A
 * peer that never reads keeps it open: cio_transport_abort() does not ask it. Again: does nothing.
 * Returns 0.
 */
CIO_API int cio_transport_close(cio_transport *t);

/* Closes at once and drops what is queued; connection_lost(0) comes soon (transport.abort). */
CIO_API int cio_transport_abort(cio_transport *t);

CIO_API bool cio_transport_is_closing(const cio_transport *t); /* true for NULL */

/*
 * Stops reading, and goes on (pause_reading, resume_reading): no data_received, and no
 * eof_received, in between. Each again, or while it is closing, does nothing. Returns 0 or -EINVAL;
 * the second also -ENOMEM.
 */
CIO_API int cio_transport_pause_reading(cio_transport *t);
CIO_API int cio_transport_resume_reading(cio_transport *t);
CIO_API bool cio_transport_is_reading(const cio_transport *t); /* false for NULL */

/*
 * The water marks in bytes (set_write_buffer_limits); at first 64 KiB and a quarter of it.
 * CIO_DEFAULT_WATER for high: four times low, or 64 KiB if that is not given either; for low: a
 * quarter of high. pause_writing is called if that much is queued already. -EINVAL if low > high.
 */
#define CIO_DEFAULT_WATER SIZE_MAX
CIO_API int cio_transport_set_water(cio_transport *t, size_t high, size_t low);
CIO_API int cio_transport_get_water(const cio_transport *t, size_t *high, size_t *low);
CIO_API size_t cio_transport_unsent(const cio_transport *t); /* get_write_buffer_size */

/*
 * Another protocol, of either kind, from the next event on (transport.set_protocol);
 * connection_made is not called. And the one that it has.
 */
CIO_API int cio_transport_set_protocol(cio_transport *t, const cio_protocol *protocol, void *self);
CIO_API const cio_protocol *cio_transport_get_protocol(const cio_transport *t, void **self);

/* As cio_peer_name(), cio_sock_name() and cio_stream_fd() of <cio/stream.h> (get_extra_info). */
CIO_API int cio_transport_peer_name(const cio_transport *t, struct sockaddr *address,
                                    socklen_t *size);
CIO_API int cio_transport_sock_name(const cio_transport *t, struct sockaddr *address,
                                    socklen_t *size);
CIO_API int cio_transport_fd(const cio_transport *t);

CIO_END

#endif
