/*
 * Sockets for tasks (loop.sock_recv and its kin). Every call tries the system call first unless the
 * descriptor is known not to be ready, and waits then; a task that has made 64 calls in a row
 * without a wait also yields once before the next, so that others get their turn. Descriptors must
 * be non-blocking; debug mode refuses others, see <cio/debug.h>.
 *
 * Common errors: CIO_ENOTASK outside a task; -EINVAL for a negative fd or NULL data; -EBADF; what
 * the system call says; -ENOMEM; CIO_ECANCELED. The word in brackets says what a canceled call
 * leaves: total: nothing happened; partial: some of it may have happened; terminal: the socket is
 * of no use.
 *
 * Several tasks may wait on one descriptor; all try again when it is ready.
 */
#ifndef CIO_SOCKET_H
#define CIO_SOCKET_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

/*
 * socket(2) with SOCK_NONBLOCK and SOCK_CLOEXEC. The descriptor is the caller's, to be closed by
 * cio_sock_close(). Returns it or a negated errno, -ENOMEM among them. Works outside a loop
 * too.
 */
CIO_API int cio_sock_open(int family, int type, int protocol);

/*
 * Closes fd. Tasks of this loop that wait on it get -EBADF. Sockets that came from cio_sock_open(),
 * cio_sock_accept() or went through cio_sock_connect() must be closed by this call, because the
 * loop remembers their state; others may be closed by close(2) when no task waits on them. Returns
 * 0 or a negated errno. Works outside a loop too.
 */
CIO_API int cio_sock_close(int fd);

/* Connects (loop.sock_connect). Returns 0 or the reason. [terminal: close the socket] */
CIO_API int cio_sock_connect(int fd, const struct sockaddr *address, socklen_t size);

/*
 * The next connection of a listening socket, non-blocking and close-on-exec (loop.sock_accept). The
 * peer's address is left in *address if that is not NULL; *size holds its room in bytes and then
 * its length. Returns the new descriptor, the caller's, to be closed by cio_sock_close(). Out of
 * descriptors: -EMFILE or -ENFILE at once, the connection stays queued in the kernel. Out of
 * memory: -ENOMEM, the connection is closed. [total]
 */
CIO_API int cio_sock_accept(int fd, struct sockaddr *address, socklen_t *size);

/* Up to size bytes, as many as are there (loop.sock_recv); 0: the end. Returns how many. [total] */
CIO_API ssize_t cio_sock_recv(int fd, void *data, size_t size);

/* The same into several buffers, in order, 1 to IOV_MAX of them (loop.sock_recv_into). [total] */
CIO_API ssize_t cio_sock_recv_into(int fd, const struct iovec *buffers, int n);

/*
 * Sends all of it (loop.sock_sendall). Returns 0, or an error after which it is unknown how much
 * was sent. Never raises SIGPIPE: -EPIPE. [partial]
 */
CIO_API int cio_sock_sendall(int fd, const void *data, size_t size);

/*
 * One datagram and its sender (loop.sock_recvfrom); address and from_size as in cio_sock_accept().
 * Returns its length; what does not fit is lost. [total]
 */
CIO_API ssize_t cio_sock_recvfrom(int fd, void *data, size_t size, struct sockaddr *address,
                                  socklen_t *address_size);

/* Sends one datagram (loop.sock_sendto). Returns its length. [total] */
CIO_API ssize_t cio_sock_sendto(int fd, const void *data, size_t size,
                                const struct sockaddr *address, socklen_t address_size);

/*
 * Waits until fd, of any kind that can be polled, can be read from or written to without blocking,
 * or has failed: for libraries that make their own system calls, and for servers that take a buffer
 * only when there is something to put into it. It may also return early: the call that follows then
 * says -EAGAIN, or waits. asyncio: a future that add_reader() or add_writer() completes. Returns 0;
 * -EPERM for a regular file, which is always ready. [total]
 */
CIO_API int cio_wait_readable(int fd);
CIO_API int cio_wait_writable(int fd);

CIO_END

#endif
