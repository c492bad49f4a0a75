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
 * The addresses of a host and a service, to be freed by cio__addresses_free(). THE SEAM for names:
 * for now both must be numbers. passive: to listen at; a NULL or empty host then means all
 * interfaces. Returns 0, -EINVAL, -ENOMEM, -EAFNOSUPPORT.
 */
int cio__resolve(const char *host, const char *service, int family, bool passive,
                 struct addrinfo **ret);
void cio__addresses_free(struct addrinfo *addresses);

#endif
