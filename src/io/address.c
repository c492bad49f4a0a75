/* Hosts, services, paths. */
#include "io/address.h"

#include <errno.h>
#include <string.h>

#include <cio/names.h>

void cio__peer_set(struct cio__peer *peer, const struct sockaddr *address, socklen_t size)
{
    peer->base.sa_family = AF_UNSPEC;
    if ((address->sa_family == AF_INET && size == sizeof peer->in) ||
        (address->sa_family == AF_INET6 && size == sizeof peer->in6))
        memcpy(peer, address, size);
}

int cio__peer_get(const struct cio__peer *peer, struct sockaddr *address, socklen_t *size)
{
    if (peer->base.sa_family == AF_UNSPEC)
        return 0;
    socklen_t length = peer->base.sa_family == AF_INET ? sizeof peer->in : sizeof peer->in6;
    memcpy(address, peer, *size < length ? *size : length);
    *size = length;
    return 1;
}

int cio__unix_address(const char *path, struct sockaddr_un *address, socklen_t *ret_size)
{
    if (!path || !*path)
        return -EINVAL;
    size_t length = strlen(path);
    bool abstract = *path == '@';
    if (length + !abstract > sizeof address->sun_path)
        return -ENAMETOOLONG;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    if (abstract)
        address->sun_path[0] = 0; /* its length is what the kernel goes by */
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
    return 0;
}

int cio__resolve(const char *host, const char *service, int family, bool passive,
                 struct addrinfo **ret)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    *ret = NULL;
    if (!service || !*service)
        return -EINVAL;
    if (host && !*host)
        host = NULL;
    if (passive)
        hints.ai_flags |= AI_PASSIVE;
    return cio_getaddrinfo(host, service, &hints, ret);
}

bool cio__address_is_double(const struct addrinfo *first, const struct addrinfo *address)
{
    for (; first != address; first = first->ai_next)
        if (first->ai_addrlen == address->ai_addrlen &&
            memcmp(first->ai_addr, address->ai_addr, address->ai_addrlen) == 0)
            return true;
    return false;
}
