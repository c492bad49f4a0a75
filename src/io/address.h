/* Addresses: what host, service and path mean, and the peer's as it is kept. */
#ifndef CIO_IO_ADDRESS_H
#define CIO_IO_ADDRESS_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A peer's address in little room: other families are asked for when they are wanted. */
struct cio__peer {
    union {
        struct sockaddr base;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

void cio__peer_set(struct cio__peer *peer, const struct sockaddr *address, socklen_t size);

/* Copies as much as there is room for, as getpeername() does. False: it is not known. */
int cio__peer_get(const struct cio__peer *peer, struct sockaddr *address, socklen_t *size);

/* A unix socket's address. Returns 0 or -ENAMETOOLONG, -EINVAL. */
int cio__unix_address(const char *path, struct sockaddr_un *address, socklen_t *ret_size);

/*
 * The addresses of a host and a service for a stream's socket, to be freed by cio_freeaddrinfo().
 * passive: to listen at; a NULL or empty host then means all interfaces. Returns as
 * cio_getaddrinfo(), and -EINVAL without a service.
 */
int cio__resolve(const char *host, const char *service, int family, bool passive,
                 struct addrinfo **ret);

/* Whether the same address stands in the list before this one. */
bool cio__address_is_double(const struct addrinfo *first, const struct addrinfo *address);

/* ---- lists of addresses, each freed as one by cio_freeaddrinfo() ---- */

/* What the C library found, as a list of ours. Returns 0, -ENOMEM, CIO_EAI_NODATA. */
int cio__addresses_copy(const struct addrinfo *found, struct addrinfo **ret);

/* What needs no waiting, as cio_getaddrinfo(). Returns 1: this does. */
int cio__addresses_of_numbers(const char *host, const char *service, const struct addrinfo *hints,
                              struct addrinfo **ret);

/* A list at the end of another, and freed with it. */
void cio__addresses_append(struct addrinfo *first, struct addrinfo *more);

#endif
