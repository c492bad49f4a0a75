/*
 * The C library's resolver, which is a part of the outside world: it reads files, asks servers, and
 * blocks as long as that takes.
 */
#ifndef CIO_OS_NAMES_H
#define CIO_OS_NAMES_H

#include <netdb.h>
#include <sys/socket.h>

/* getaddrinfo(3) and getnameinfo(3). They return 0, a negated errno or one of CIO_EAI_*. */
int cio__libc_addresses(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret);
int cio__libc_names(const struct sockaddr *address, socklen_t size, char *host, size_t host_size,
                    char *service, size_t service_size, int flags);

void cio__libc_free(struct addrinfo *addresses); /* NULL does nothing */

#endif
