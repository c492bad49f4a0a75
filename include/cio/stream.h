/*
 * Streams: connections for tasks (asyncio's "Streams": StreamReader and StreamWriter in one).
 *
 *     static int fetch(void *arg)
 *     {
 *         cio_stream *s;
 *         char line[1000];
 *         int rc = cio_open_connection(&s, "127.0.0.1", "7777", NULL);
 *         if (rc < 0)
 *             return rc;
 *         rc = cio_printf(s, "hello %d\r\n", 42);
 *         if (rc >= 0)
 *             rc = (int)cio_read_line(s, line, sizeof line);
 *         cio_close(s);
 *         return rc;
 *     }
 *
 * Memory is bounded: a stream that nobody reads from buffers nothing, one that is read by lines or
 * peeked at no more than its limit and 64 KiB; a write waits while more than the high-water mark is
 * unsent. An idle stream holds no buffer. Time limits are scopes: cio_timeout_enter() and its kin.
 *
 * One task at a time may read from a stream (a second one gets CIO_ESTATE); any number may write:
 * each write's bytes stay together. Reading and writing may go on at the same time.
 *
 * Common errors: -EINVAL for NULLs; CIO_ENOTASK outside a task; CIO_EWRONGLOOP; what the system
 * said when the connection failed, -ECONNRESET for instance, again from every later call in that
 * direction; -EBUSY if the stream was closed while the call waited, and it is then gone;
 * CIO_ECANCELED. The word in brackets says what a canceled call leaves: total: nothing happened;
 * partial: some of it may have happened.
 */
#ifndef CIO_STREAM_H
#define CIO_STREAM_H

#include <stdarg.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

typedef struct cio_stream cio_stream;
typedef struct cio_tls_context cio_tls_context; /* see <cio/tls.h> */

#define CIO_STREAM_LIMIT ((size_t)64 * 1024) /* bytes: what limit 0 means */
#define CIO_CLOSE_TIMEOUT 30.0               /* seconds: what close_timeout 0 means */

/* ---- Connecting ---- */

/* An attempt to connect: to which address, and how it ended. */
typedef struct cio_connect_attempt {
    struct sockaddr_storage address;
    socklen_t address_size;
    int rc; /* 0: it won; CIO_ECANCELED: another won, or the call was canceled; else why it failed */
} cio_connect_attempt;

/*
 * What a call has tried, in order (all_errors=True). The memory is the caller's: `room` attempts
 * are noted at most. n is set by every call that gets it, to how many attempts it has made.
 */
typedef struct cio_connect_report {
    cio_connect_attempt *attempts;
    size_t room;
    size_t n;
} cio_connect_report;

#define CIO_HAPPY_EYEBALLS_DELAY 0.25 /* seconds: what happy_eyeballs_delay 0 means (RFC 8305) */

typedef struct cio_connect_options {
    int family;                /* AF_INET, AF_INET6; 0: either */
    const char *local_host;    /* the name or address to connect from; NULL: any */
    const char *local_service; /* and its port */

    /*
     * Seconds that an address has to itself before the next is tried beside it; 0: 0.25;
     * CIO_FOREVER: the next is tried when it has failed (happy_eyeballs_delay=None).
     */
    double happy_eyeballs_delay;
    int interleave; /* so many addresses of the first family come first, then the two families take
                       turns; 0: 1, or the order that was found if the delay is CIO_FOREVER; -1: the
                       order that was found */
    cio_connect_report *report; /* is told of every attempt; NULL: nobody is */

    size_t limit;         /* bytes that a line, or a part up to a separator, may have; 0: 64 KiB */
    size_t high_water;    /* writes wait above so many unsent bytes; 0: 64 KiB */
    bool keep_alive;      /* SO_KEEPALIVE */
    bool delay;           /* leave Nagle's algorithm on; it is off by default, as in asyncio */
    double close_timeout; /* how long a close may take to flush; 0: 30 s; CIO_FOREVER */
    const cio_tls_context *tls;  /* speak TLS: CIO_TLS_CLIENT, or a context of <cio/tls.h> */
    const char *server_hostname; /* the name to be verified, and asked for; NULL: the host */
} cio_connect_options;

/*
 * Connects to a host and a service (asyncio.open_connection): names or numbers, "example.org",
 * "127.0.0.1", "::1", "https", "80"; a NULL or empty host: this machine. options may be NULL.
 *
 * Names are looked up by cio_getaddrinfo(). If there are several addresses they are tried in turn,
 * IPv6 and IPv4 alternating, the next one 0.25 s after the last or as soon as one has failed; the
 * first connection that stands is kept, and the others are closed before the call returns ("happy
 * eyeballs", RFC 8305; in asyncio they are asked for). Not more than 8 are under way at once.
 *
 * Returns 0 and leaves the stream in *ret, the caller's, to be ended by cio_close() or cio_abort();
 * -EINVAL also if there is no service; as cio_getaddrinfo(); if no address could be connected, the
 * error of the first that says something of the peer, -ECONNREFUSED for instance, rather than that
 * this machine lacks a family or a route (the report has all of them); -ENOMEM. *ret is NULL after
 * an error. [total]
 */
CIO_API int cio_open_connection(cio_stream **ret, const char *host, const char *service,
                                const cio_connect_options *options);

/*
 * Connects to a unix socket (asyncio.open_unix_connection). A path that begins with '@' is an
 * abstract name. Returns as above, and -ENAMETOOLONG. [total]
 */
CIO_API int cio_open_unix_connection(cio_stream **ret, const char *path,
                                     const cio_connect_options *options);

/*
 * Makes a stream of a connected stream socket (open_connection(sock=...)), which is then the
 * stream's. Returns 0; -EBADF; CIO_ESTATE if it is watched or waited for, or another's; -ENOMEM;
 * CIO_ENOLOOP. After an error the socket is still the caller's. Does not wait.
 */
CIO_API int cio_open_stream(cio_stream **ret, int fd, const cio_connect_options *options);

/*
 * Ends the stream (writer.close() and wait_closed() in one): waits until what was written is handed
 * to the system, closes, and frees it, whatever it returns: never use s again. Returns 0; the error
 * that kept bytes from being sent; CIO_ETIMEDOUT if close_timeout was over and the rest is dropped;
 * -EINVAL for NULL. Canceled: CIO_ECANCELED, and the flush goes on without you, until the timeout.
 * Outside a task it does not wait, as if canceled, and returns 0. [partial]
 */
CIO_API int cio_close(cio_stream *s);

/* Ends it at once: what is not sent is dropped (transport.abort). NULL does nothing. No wait. */
CIO_API int cio_abort(cio_stream *s);

/* ---- Reading ---- */

/*
 * Up to size bytes, as many as are there (reader.read). Returns how many; 0: the end. [total]
 */
CIO_API ssize_t cio_read(cio_stream *s, void *data, size_t size);

/*
 * Exactly size bytes (reader.readexactly). Returns size; CIO_EOF if the end came first
 * (IncompleteReadError): what came before it is in data, cio_partly_read() bytes. -ENOMEM. [total:
 * what came stays in the stream]
 */
CIO_API ssize_t cio_read_exactly(cio_stream *s, void *data, size_t size);

/*
 * All bytes up to and with the separator (reader.readuntil), and a NUL, which is not counted.
 * Returns how many bytes; CIO_EOF if the end came first: what came before it is in data, as far as
 * it has room, cio_partly_read() bytes. CIO_ELIMIT (LimitOverrunError) if there is no separator
 * within the stream's limit or within size - 1 bytes: then the bytes stay in the stream, and
 * cio_partly_read() tells how many may be skipped by cio_consume() without losing a separator.
 * -EINVAL also for an empty separator or size 0. -ENOMEM. [total]
 */
CIO_API ssize_t cio_read_until(cio_stream *s, const char *separator, char *data, size_t size);

/*
 * The same with n separators, of which the one that ends first counts (readuntil with a tuple,
 * 3.13). They are bytes, of any value. Which it was is left in *which if that is not NULL.
 */
CIO_API ssize_t cio_read_until_any(cio_stream *s, const struct iovec *separators, size_t n,
                                   char *data, size_t size, size_t *which);

/*
 * One line with its "\n" and a NUL (reader.readline). The last line may lack its "\n". Returns its
 * length; 0: the end. CIO_ELIMIT for a line that is too long, which is then discarded as far as it
 * has come. [total]
 */
CIO_API ssize_t cio_read_line(cio_stream *s, char *data, size_t size);

/*
 * Looks at what comes next without a copy: waits until `least` bytes have come (0 counts as 1), or
 * the end. *data points to them until the next call that reads from s, consumes or ends it. Returns
 * how many there are: fewer than `least` at the end only, 0 if nothing is left. CIO_ELIMIT if
 * `least` is more than the limit. -ENOMEM. No asyncio counterpart. [total]
 */
CIO_API ssize_t cio_peek(cio_stream *s, size_t least, const void **data);

/* Takes n bytes from what was peeked at. Returns 0, or -EINVAL if there are not so many. */
CIO_API int cio_consume(cio_stream *s, size_t n);

CIO_API size_t cio_partly_read(const cio_stream *s); /* see cio_read_exactly(), cio_read_until() */
CIO_API size_t cio_buffered(const cio_stream *s);    /* bytes that were received and not read */
CIO_API bool cio_at_eof(const cio_stream *s); /* the end was seen, and nothing is left (at_eof) */

/* ---- Writing ---- */

/*
 * Writes all of it (writer.write and drain in one). Returns 0 when it is sent or queued; waits
 * while more than the high-water mark is unsent, until no more than a quarter of it is. Copies no
 * more than that: the rest is sent from your memory while you wait. CIO_ESTATE after
 * cio_write_eof(). Never raises SIGPIPE: -EPIPE. Needs no memory that could lack. [partial:
 * cio_partly_written() tells how many bytes went out or will]
 */
CIO_API int cio_write(cio_stream *s, const void *data, size_t size);

/* The same from n buffers in order (writer.writelines). */
CIO_API int cio_writev(cio_stream *s, const struct iovec *buffers, size_t n);

/* The same as printf() would write it. Returns how many bytes; -ENOMEM; -EINVAL for bad formats. */
CIO_API int cio_printf(cio_stream *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
CIO_API int cio_vprintf(cio_stream *s, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Waits until everything that was written is handed to the system (more than writer.drain, which
 * waits for the low-water mark only). Returns 0 or an error, a reader's first. [total]
 */
CIO_API int cio_flush(cio_stream *s);

/*
 * Ends the writing side, after what is queued: the peer reads an end, and may go on sending
 * (writer.write_eof). A second time does nothing. Returns 0 or an error. No wait.
 */
CIO_API int cio_write_eof(cio_stream *s);

CIO_API size_t cio_partly_written(const cio_stream *s); /* of the last write that failed */
CIO_API size_t cio_unsent(const cio_stream *s);         /* bytes that are queued */

/* ---- What it is ---- */

/*
 * The peer's and our own address (get_extra_info); *size holds the room of address and then its
 * length. The peer's is remembered for IPv4 and IPv6, also after the connection is lost. Returns 0,
 * -EINVAL for NULLs, or a negated errno.
 */
CIO_API int cio_peer_name(const cio_stream *s, struct sockaddr *address, socklen_t *size);
CIO_API int cio_sock_name(const cio_stream *s, struct sockaddr *address, socklen_t *size);

/* Its descriptor, the stream's: for socket options. -EINVAL for NULL; -EBADF if it was cut off. */
CIO_API int cio_stream_fd(const cio_stream *s);

/* A server wants its clients to end: reads find the end, what is written is still sent. */
CIO_API bool cio_is_closing(const cio_stream *s);

CIO_END

#endif
