/*
 * Datagrams: UDP and unix datagram sockets (asyncio's loop.create_datagram_endpoint), for tasks and
 * for protocols.
 *
 *     static int echo(void *arg)
 *     {
 *         cio_datagram *d;
 *         char data[2000];
 *         struct sockaddr_storage from;
 *         const cio_datagram_options here = {.local_service = "7777"};
 *         int rc = cio_datagram_open(&d, &here);
 *         while (rc >= 0) {
 *             socklen_t size = sizeof from;
 *             ssize_t n = cio_datagram_receive(d, data, sizeof data, (struct sockaddr *)&from, &size);
 *             rc = n < 0 ? (int)n
 *                        : cio_datagram_send(d, data, (size_t)n, (struct sockaddr *)&from, size);
 *         }
 *         ...
 *
 * When many datagrams are there, one system call receives up to 32 of them. Those that are sent
 * while more of them are at hand, up to 4 KiB each, are gathered and leave by one call too, at the
 * latest in the next turn of the loop.
 *
 * Both ways are bounded. What arrives waits in the system's buffer (receive_buffer): when that is
 * full the system drops what comes, and cio_datagram_dropped() says how many. What the system does
 * not take at once waits in a queue of 64 KiB, behind which senders wait.
 *
 * An error of the network is about a datagram, not about the socket, which goes on: -ECONNREFUSED
 * says that nobody listened where an earlier one went. It is told once, by the next call that
 * sends or receives; that one has then sent or received nothing.
 *
 * Common errors: -EINVAL for NULLs; CIO_ENOTASK outside a task, for calls that may wait;
 * CIO_EWRONGLOOP; -EBUSY if d is closed while a call waits, it is then gone; CIO_ECANCELED. The word
 * in brackets says what a canceled call leaves: total: nothing happened.
 */
#ifndef CIO_DATAGRAM_H
#define CIO_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

typedef struct cio_datagram cio_datagram;

#define CIO_DATAGRAM_MAX ((size_t)64 * 1024) /* bytes of the largest that can be received */

typedef struct cio_datagram_options {
    const char *local_host; /* where to receive; NULL: on all interfaces, if there is a service */
    const char *local_service;  /* the port; "0": any that is free */
    const char *remote_host;    /* connects: sends there, and receives from there only */
    const char *remote_service; /* the port */
    const char *local_path;  /* the same for unix sockets; '@' begins an abstract name. A socket */
    const char *remote_path; /* file that is there is replaced; yours to remove */
    int family;              /* AF_INET, AF_INET6, AF_UNIX; 0: as the names say */
    bool reuse_port;         /* SO_REUSEPORT: several processes share what comes */
    bool broadcast;          /* may send to broadcast addresses */
    int receive_buffer;      /* bytes in the system, SO_RCVBUF; 0: its default */
    int send_buffer;         /* SO_SNDBUF */
} cio_datagram_options;

/*
 * Opens a socket, binds it, connects it, as far as the options say (create_datagram_endpoint
 * without a protocol). With both a local and a remote address the first pair that goes together.
 * Returns 0 and leaves it in *ret, the caller's, to be ended by cio_datagram_close() or _abort();
 * -EINVAL also if there is neither an address nor a family, for a path and a host at once, or for a
 * host or service that is no number; -EAFNOSUPPORT; -ENAMETOOLONG; what the system said of the
 * first address; -ENOMEM. *ret is NULL after an error. [total]
 */
CIO_API int cio_datagram_open(cio_datagram **ret, const cio_datagram_options *options);

/*
 * The same of a datagram socket that is there (sock=), which is then d's. Returns 0; -EBADF;
 * -EPROTOTYPE if it is no datagram socket; CIO_ESTATE if it is watched or waited for, or another's;
 * CIO_ENOLOOP; -ENOMEM. After an error the socket is still the caller's. Does not wait.
 */
CIO_API int cio_datagram_open_fd(cio_datagram **ret, int fd);

/*
 * The next datagram, and who sent it, if from is not NULL: *from_size holds its room in bytes and
 * then the length of the address. Returns how many bytes; 0 is an empty datagram, no end. -EMSGSIZE
 * if it has more than size bytes: it stays, and cio_datagram_next_size() says how large it is.
 * -EOVERFLOW if it had more than CIO_DATAGRAM_MAX, and was dropped. An error of the network, see
 * above. -ENOMEM. One task at a time: a second one gets CIO_ESTATE, as anybody does where there is
 * a protocol. [total]
 */
CIO_API ssize_t cio_datagram_receive(cio_datagram *d, void *data, size_t size,
                                     struct sockaddr *from, socklen_t *from_size);

/* The same without a wait, also outside a task: -EAGAIN if none is there. */
CIO_API ssize_t cio_datagram_receive_nowait(cio_datagram *d, void *data, size_t size,
                                            struct sockaddr *from, socklen_t *from_size);

/* How large the next datagram is, if it is at hand; else 0. Skipping drops it: 0, or -EAGAIN. */
CIO_API size_t cio_datagram_next_size(const cio_datagram *d);
CIO_API int cio_datagram_skip(cio_datagram *d);

/*
 * Sends one datagram, also an empty one (transport.sendto); address NULL: to where it is connected.
 * Returns 0 when it was handed to the system or queued; waits while the queue has no room for it.
 * -EDESTADDRREQ without an address if it is not connected; -EINVAL also for another address than
 * the one that it is connected to; -EMSGSIZE; -EACCES for a broadcast address if that was not
 * allowed; -ENOBUFS; -ENOMEM. [total]
 */
CIO_API int cio_datagram_send(cio_datagram *d, const void *data, size_t size,
                              const struct sockaddr *address, socklen_t address_size);

/* The same without a wait, also outside a task: -EAGAIN if there is no room. Drop it, then. */
CIO_API int cio_datagram_send_nowait(cio_datagram *d, const void *data, size_t size,
                                     const struct sockaddr *address, socklen_t address_size);

/* Waits until all that is queued is handed to the system. Returns 0, or an error as above. [total] */
CIO_API int cio_datagram_flush(cio_datagram *d);

CIO_API size_t cio_datagram_unsent(const cio_datagram *d); /* datagrams that are queued */

/* How many the system dropped because its buffer was full; -EINVAL, or what it said. */
CIO_API int64_t cio_datagram_dropped(const cio_datagram *d);

/*
 * Ends it: waits until what is queued was handed to the system, closes, and frees it, whatever it
 * returns: never use d again. Canceled: CIO_ECANCELED, and what is still queued is dropped, as it
 * is outside a task. Where there is a protocol it does not wait: connection_lost comes when all is
 * sent.
 */
CIO_API int cio_datagram_close(cio_datagram *d);

/* Ends it at once: what is queued is dropped (transport.abort). NULL does nothing. No wait. */
CIO_API int cio_datagram_abort(cio_datagram *d);

/* As cio_peer_name() and its kin of <cio/stream.h>: for socket options, multicast groups too. */
CIO_API int cio_datagram_peer_name(const cio_datagram *d, struct sockaddr *address,
                                   socklen_t *size);
CIO_API int cio_datagram_sock_name(const cio_datagram *d, struct sockaddr *address,
                                   socklen_t *size);
CIO_API int cio_datagram_fd(const cio_datagram *d);

/* ---- Protocols ---- */

/*
 * What the loop calls (asyncio.DatagramProtocol). `self` is yours. Any member may be NULL. The order
 * and the rest are those of <cio/transport.h>; d lives until connection_lost has returned.
 */
typedef struct cio_datagram_protocol {
    void (*connection_made)(void *self, cio_datagram *d);

    /*
     * One datagram, for the time of the call; up to 32 of them in a turn. A negative result is
     * reported to the exception handler, and it goes on.
     */
    int (*datagram_received)(void *self, const void *data, size_t size, const struct sockaddr *from,
                             socklen_t from_size);

    /* The network said so of an earlier datagram, or a queued one could not be sent. */
    void (*error_received)(void *self, int rc);

    /* More than half of the queue is full, by a send, and no more than an eighth is. */
    void (*pause_writing)(void *self);
    void (*resume_writing)(void *self);

    void (*connection_lost)(void *self, int rc); /* rc is 0 */
} cio_datagram_protocol;

/*
 * Opens as cio_datagram_open() does, and waits until connection_made was called
 * (loop.create_datagram_endpoint). *ret is borrowed and may be NULL. -ECONNABORTED if
 * connection_lost was called already. Canceled: it is closed if it is there. [total]
 */
CIO_API int cio_create_datagram_endpoint(cio_datagram **ret, const cio_datagram_protocol *protocol,
                                         void *self, const cio_datagram_options *options);

CIO_END

#endif
