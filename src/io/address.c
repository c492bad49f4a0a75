/* Hosts, services, paths. */
#include "io/address.h"

#include <errno.h>
#include <string.h>

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

static int error_of(int code)
{
    switch (code) {
    case 0: return 0;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return errno ? -errno : -EINVAL;
    case EAI_FAMILY:
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
        return -EAFNOSUPPORT;
    default: return -EINVAL;
    }
}

/* The C library takes any number, and cuts it. */
static bool is_port(const char *service)
{
    unsigned port = 0;
    if (!service || !*service)
        return false;
    for (; *service; service++) {
        if (*service < '0' || *service > '9')
            return false;
        port = port * 10 + (unsigned)(*service - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

int cio__resolve(const char *host, const char *service, int family, bool passive,
                 struct addrinfo **ret)
{
    *ret = NULL;
    if (!is_port(service))
        return -EINVAL;
    if (host && !*host)
        host = NULL;
    struct addrinfo hints = {.ai_family = family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (passive)
        hints.ai_flags |= AI_PASSIVE;
    return error_of(getaddrinfo(host, service, &hints, ret));
}

void cio__addresses_free(struct addrinfo *addresses)
{
    if (addresses)
        freeaddrinfo(addresses);
}
