/* Opening datagram sockets by host and service, or by path. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cio/names.h>
#include <cio/socket.h>

#include "io/address.h"
#include "io/datagram.h"

/* One address each; NULL: none. */
struct pair {
    int family;
    const struct sockaddr *local, *remote;
    socklen_t local_size, remote_size;
};

static int set_options(int fd, const cio_datagram_options *options)
{
    const struct {
        int option, value;
    } all[] = {{SO_REUSEPORT, options->reuse_port},
               {SO_BROADCAST, options->broadcast},
               {SO_RCVBUF, options->receive_buffer},
               {SO_SNDBUF, options->send_buffer}};
    struct cio__os *os = cio__running->os;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++)
        if (all[i].value)
            rc = os->ops->set_option(os, fd, SOL_SOCKET, all[i].option, all[i].value);
    return rc;
}

/* A datagram socket is connected at once: there is nothing to wait for. */
static int open_pair(const struct pair *pair, const cio_datagram_options *options)
{
    struct cio__os *os = cio__running->os;
    int fd = cio_sock_open(pair->family, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    int rc = set_options(fd, options);
    if (rc == 0 && pair->local)
        rc = os->ops->bind(os, fd, pair->local, pair->local_size);
    if (rc == 0 && pair->remote)
        rc = os->ops->connect(os, fd, pair->remote, pair->remote_size);
    if (rc < 0)
        cio_sock_close(fd);
    return rc < 0 ? rc : fd;
}

/* ---- hosts ---- */

/* The first pair of one family that can be had; else the first one's error. */
static int open_first(const struct addrinfo *locals, const struct addrinfo *remotes,
                      const cio_datagram_options *options)
{
    static const struct addrinfo none;
    int first = 0;
    for (const struct addrinfo *r = remotes ? remotes : &none; r; r = r->ai_next) {
        for (const struct addrinfo *l = locals ? locals : &none; l; l = l->ai_next) {
            if (l != &none && r != &none && l->ai_family != r->ai_family)
                continue;
            struct pair pair = {.family = r != &none ? r->ai_family : l->ai_family,
                                .local = l->ai_addr,
                                .local_size = l->ai_addrlen,
                                .remote = r->ai_addr,
                                .remote_size = r->ai_addrlen};
            int fd = open_pair(&pair, options);
            if (fd >= 0)
                return fd;
            first = first ? first : fd;
        }
    }
    return first ? first : -EADDRNOTAVAIL;
}

static int resolve(const char *host, const char *service, int family, int flags,
                   struct addrinfo **ret)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = flags};
    if (host && !*host)
        host = NULL;
    return host || service ? cio_getaddrinfo(host, service ? service : "0", &hints, ret) : 0;
}

static int open_hosts(const cio_datagram_options *options)
{
    struct addrinfo *locals = NULL, *remotes = NULL;
    int rc = resolve(options->local_host, options->local_service, options->family, AI_PASSIVE,
                     &locals);
    if (rc == 0)
        rc = resolve(options->remote_host, options->remote_service, options->family, 0, &remotes);
    if (rc == 0)
        rc = open_first(locals, remotes, options);
    cio_freeaddrinfo(locals);
    cio_freeaddrinfo(remotes);
    return rc;
}

/* ---- paths ---- */

static void remove_stale(const char *path)
{
    struct stat there;
    if (*path != '@' && stat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path);
}

static int open_paths(const cio_datagram_options *options)
{
    struct sockaddr_un local, remote;
    struct pair pair = {.family = AF_UNIX};
    int rc = 0;
    if (options->local_path) {
        rc = cio__unix_address(options->local_path, &local, &pair.local_size);
        pair.local = (struct sockaddr *)&local;
    }
    if (rc == 0 && options->remote_path) {
        rc = cio__unix_address(options->remote_path, &remote, &pair.remote_size);
        pair.remote = (struct sockaddr *)&remote;
    }
    if (rc < 0)
        return rc;
    if (options->local_path)
        remove_stale(options->local_path);
    return open_pair(&pair, options);
}

static int open_socket(const cio_datagram_options *options)
{
    const cio_datagram_options *o = options;
    bool hosts = o->local_host || o->local_service || o->remote_host || o->remote_service;
    bool paths = o->local_path || o->remote_path;
    if ((hosts && paths) || o->receive_buffer < 0 || o->send_buffer < 0)
        return -EINVAL;
    if (paths)
        return o->family && o->family != AF_UNIX ? -EINVAL : open_paths(o);
    if (hosts && o->family == AF_UNIX)
        return -EINVAL;
    if (hosts)
        return open_hosts(o);
    return o->family ? open_pair(&(struct pair){.family = o->family}, o) : -EINVAL;
}

/* ---- calls ---- */

static int open_datagram(cio_datagram **ret, const cio_datagram_options *options)
{
    if (!options)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    int fd = open_socket(options);
    if (fd < 0)
        return fd;
    int rc = cio__datagram_new(ret, cio__running, fd);
    if (rc < 0)
        cio_sock_close(fd);
    return rc;
}

int cio_datagram_open(cio_datagram **ret, const cio_datagram_options *options)
{
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    return open_datagram(ret, options);
}

int cio_datagram_open_fd(cio_datagram **ret, int fd)
{
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    if (fd < 0)
        return -EBADF;
    if (!cio__running)
        return CIO_ENOLOOP;
    struct cio__os *os = cio__running->os;
    int type = os->ops->socket_type(os, fd);
    if (type < 0)
        return type == -ENOTSOCK ? -EPROTOTYPE : type;
    return type == SOCK_DGRAM ? cio__datagram_new(ret, cio__running, fd) : -EPROTOTYPE;
}

int cio_create_datagram_endpoint(cio_datagram **ret, const cio_datagram_protocol *protocol,
                                 void *self, const cio_datagram_options *options)
{
    cio_datagram *d;
    if (ret)
        *ret = NULL;
    if (!protocol)
        return -EINVAL;
    int rc = open_datagram(&d, options);
    if (rc == 0)
        rc = cio__datagram_make(d, protocol, self);
    if (rc == 0 && ret)
        *ret = d;
    return rc;
}
