/*
 * Sockets for tests: pairs, listeners, plain blocking peers, and streams of bytes that can be
 * checked at any position. Every function asserts that it succeeded.
 */
#ifndef CIO_TESTS_NET_H
#define CIO_TESTS_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A listening TCP socket of cio_sock_open() on a free loopback port. */
int net_listen(struct sockaddr_in *address, int backlog);

/* A plain non-blocking pair, as a user makes it: AF_UNIX of the given type. */
void net_pair(int fds[2], int type);

/* The same over loopback TCP. */
void net_tcp_pair(int fds[2]);

/*
 * The ways in which a connection comes about. The loop knows more of sockets that it has opened
 * itself, and takes short cuts there that it must not take elsewhere.
 */
enum net_kind { NET_UNIX, NET_TCP, NET_UNIX_OWN, NET_TCP_OWN, NET_KINDS };

/* A connected stream of that kind. Inside a task only. */
void net_connected(int fds[2], enum net_kind kind);

/*
 * Runs fn(fds) as a main task for each kind from first to last, with descriptors that are new to the
 * loop and with such that have been waited for. fn closes them.
 */
void net_run_on(enum net_kind first, enum net_kind last, int (*fn)(int fds[2]));
void net_run_on_all(int (*fn)(int fds[2]));

/* A blocking TCP connection to the address, for a peer that knows nothing of cio. */
int net_connect_blocking(const struct sockaddr_in *address);

/* A UDP socket of cio_sock_open(), bound to a free loopback port. */
int net_udp(struct sockaddr_in *address);

void net_set_blocking(int fd, bool blocking);

/* The smallest buffers with which data still flows quickly. */
void net_small_buffers(int fd);

/* Closes with a reset instead of an end. */
void net_reset(int fd);

/* For blocking descriptors: all of it; and up to size bytes, fewer only at the end. */
void net_write(int fd, const void *data, size_t size);
size_t net_read(int fd, void *data, size_t size);

/* The bytes of stream `seed`, from position `offset` on. */
void net_fill(void *data, size_t size, uint32_t seed, size_t offset);
void net_check(const void *data, size_t size, uint32_t seed, size_t offset);

/* A number from 1 to max (xorshift: the same sequence for the same state). */
size_t net_random(uint32_t *state, size_t max);

/* Lets the other tasks run until they wait. */
void net_settle(void);

#endif
