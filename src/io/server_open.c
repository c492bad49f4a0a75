/* Listening sockets. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cio/names.h>

#include "io/address.h"
#include "io/secure.h"
#include "io/server.h"
#include "os/memory.h"

#define BACKLOG 100 /* as asyncio */
#define HOSTS_MOST 1000

static void drop(struct cio__open *open)
{
    cio_server *server = (cio_server *)open;
    if (!server->orphan && !server->closed)
        cio__open_forgotten(server->loop, open, "server was never closed");
    cio__ring_init(&server->waiters);
    server->for_ever = false;
    while (!cio__ring_empty(&server->clients))
        cio__client_drop((struct cio__client *)server->clients.next);
    server->n_clients = 0;
    cio_server_free(server);
}

static int check_options(const cio_server_options *options)
{
    if (options->close_timeout < 0 || options->close_timeout != options->close_timeout ||
        !(options->grace >= 0) || options->backlog < 0)
        return -EINVAL;
    if (options->stack_size &&
        (options->stack_size < CIO__STACK_LEAST || options->stack_size > CIO__STACK_MOST))
        return -EINVAL;
    if (options->family && options->family != AF_INET && options->family != AF_INET6)
        return -EAFNOSUPPORT;
    return options->tls ? cio__tls_check(options->tls, true, NULL) : 0;
}

static cio_server *new_server(cio_loop *loop, const cio_server_options *options)
{
    if (!cio__io_of(loop))
        return NULL;
    cio_server *server = cio__alloc(sizeof *server);
    if (!server)
        return NULL;
    *server = (cio_server){
        .open.drop = drop,
        .loop = loop,
        .backlog = options->backlog ? options->backlog : BACKLOG,
        .max_clients = options->max_connections ? options->max_connections : CIO_CONNECTIONS_MAX,
        .stack_size = options->stack_size,
        .grace_s = options->grace,
        .stream_options = {.limit = options->limit,
                           .high_water = options->high_water,
                           .close_timeout = options->close_timeout},
        .tls = options->tls,
    };
    cio__tls_hold(server->tls);
    cio__ring_init(&server->clients);
    cio__ring_init(&server->waiters);
    cio__open_begin(loop, &server->open);
    return server;
}

/* Accepted sockets have these options from the one that listens. */
static void set_options(struct cio__os *os, int fd, int family, const cio_server_options *options)
{
    bool is_unix = family == AF_UNIX;
    if (!is_unix && !options->no_reuse_address)
        os->ops->set_option(os, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options->keep_alive)
        os->ops->set_option(os, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (!is_unix && !options->delay)
        os->ops->set_option(os, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (family == AF_INET6) /* the IPv4 half has a socket of its own */
        os->ops->set_option(os, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

/* A bound socket, or an error. */
static int bind_one(struct cio__os *os, const struct sockaddr *address, socklen_t size,
                    const cio_server_options *options)
{
    int fd = os->ops->socket(os, address->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    set_options(os, fd, address->sa_family, options);
    int rc = options->reuse_port ? os->ops->set_option(os, fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
    if (rc == 0)
        rc = os->ops->bind(os, fd, address, size);
    if (rc < 0)
        os->ops->close_fd(os, fd);
    return rc < 0 ? rc : fd;
}

/* The server's listeners grow by one; it does not listen yet. */
static int add_listener(cio_server *server, int fd)
{
    size_t size = (size_t)(server->n_listeners + 1) * sizeof *server->listeners;
    struct cio__listener *listeners = cio__realloc(server->listeners, size);
    if (listeners)
        server->listeners = listeners;
    struct cio__listener *listener = listeners ? &listeners[server->n_listeners] : NULL;
    int rc = -ENOMEM;
    if (listener) {
        *listener = (struct cio__listener){.server = server, .open = true};
        rc = cio__channel_open(&listener->channel, server->loop, fd);
    }
    if (rc < 0)
        server->loop->os->ops->close_fd(server->loop->os, fd);
    else
        server->n_listeners++;
    return rc;
}

/* The addresses of all hosts in one list. They are many at most by mistake. */
static int find_addresses(const char *host, const char *service, const cio_server_options *options,
                          struct addrinfo **ret)
{
    int rc = cio__resolve(host, service, options->family, true, ret);
    for (int i = 0; rc == 0 && options->more_hosts && options->more_hosts[i]; i++) {
        struct addrinfo *more = NULL;
        rc = i < HOSTS_MOST
                 ? cio__resolve(options->more_hosts[i], service, options->family, true, &more)
                 : -EINVAL;
        if (more)
            cio__addresses_append(*ret, more);
    }
    return rc;
}

/*
 * A family that this machine lacks is passed over, and an address that it has not: another may do.
 */
static int bind_addresses(cio_server *server, const struct addrinfo *addresses,
                          const cio_server_options *options)
{
    int rc = 0, passed_over = -EADDRNOTAVAIL;
    for (const struct addrinfo *a = addresses; a && rc == 0; a = a->ai_next) {
        if (cio__address_is_double(addresses, a))
            continue;
        int fd = bind_one(server->loop->os, a->ai_addr, a->ai_addrlen, options);
        if (fd >= 0)
            rc = add_listener(server, fd);
        else if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
            passed_over = fd;
        else
            rc = fd;
    }
    return rc < 0 ? rc : server->n_listeners ? 0 : passed_over;
}

/* A socket's file that is in the way goes; any other file stays, and the bind will say so. */
static void remove_stale(const char *path)
{
    struct stat there;
    if (*path != '@' && stat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path);
}

/* Remembers the file, to remove it at the end if it is still the same. */
static int remember_file(struct cio__listener *listener, const char *path)
{
    struct stat made;
    if (*path == '@' || stat(path, &made) < 0)
        return 0;
    listener->path = cio__alloc(strlen(path) + 1);
    if (!listener->path) {
        unlink(path);
        return -ENOMEM;
    }
    memcpy(listener->path, path, strlen(path) + 1);
    listener->device = made.st_dev;
    listener->inode = made.st_ino;
    return 0;
}

static int bind_path(cio_server *server, const char *path, const cio_server_options *options)
{
    struct sockaddr_un address;
    socklen_t size;
    int rc = cio__unix_address(path, &address, &size);
    if (rc < 0)
        return rc;
    remove_stale(path);
    int fd = bind_one(server->loop->os, (struct sockaddr *)&address, size, options);
    if (fd < 0)
        return fd;
    rc = add_listener(server, fd);
    if (rc < 0)
        unlink(path);
    return rc < 0 || options->keep_socket_file ? rc : remember_file(server->listeners, path);
}

/* What kind of server it is, and where. */
struct wish {
    cio_client_connected *fn;
    cio_protocol_factory *factory;
    void *arg;
    const char *host;
    const char *service;
    const char *path;
};

static int open_server(cio_server **ret, const struct wish *wish, struct addrinfo *addresses,
                       const cio_server_options *options)
{
    cio_server *server = new_server(cio__running, options);
    if (!server)
        return -ENOMEM;
    server->fn = wish->fn;
    server->factory = wish->factory;
    server->arg = wish->arg;
    int rc = wish->path ? bind_path(server, wish->path, options)
                        : bind_addresses(server, addresses, options);
    if (rc == 0 && !options->stopped)
        rc = cio_server_start_serving(server);
    if (rc < 0)
        cio_server_free(server);
    else
        *ret = server;
    return rc;
}

static int start(cio_server **ret, const struct wish *wish, const cio_server_options *options)
{
    static const cio_server_options defaults;
    struct addrinfo *addresses = NULL;
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    if (!options)
        options = &defaults;
    int rc = wish->fn || wish->factory ? check_options(options) : -EINVAL;
    if (rc < 0)
        return rc;
    if (!cio__running)
        return CIO_ENOLOOP;
    if (!wish->path)
        rc = find_addresses(wish->host, wish->service, options, &addresses);
    if (rc == 0)
        rc = open_server(ret, wish, addresses, options);
    cio_freeaddrinfo(addresses);
    return rc;
}

int cio_start_server(cio_server **ret, cio_client_connected *fn, void *arg, const char *host,
                     const char *service, const cio_server_options *options)
{
    struct wish wish = {.fn = fn, .arg = arg, .host = host, .service = service};
    return start(ret, &wish, options);
}

int cio_start_unix_server(cio_server **ret, cio_client_connected *fn, void *arg, const char *path,
                          const cio_server_options *options)
{
    struct wish wish = {.fn = fn, .arg = arg, .path = path ? path : ""};
    return start(ret, &wish, options);
}

int cio_create_server(cio_server **ret, cio_protocol_factory *factory, void *arg, const char *host,
                      const char *service, const cio_server_options *options)
{
    struct wish wish = {.factory = factory, .arg = arg, .host = host, .service = service};
    return start(ret, &wish, options);
}

int cio_create_unix_server(cio_server **ret, cio_protocol_factory *factory, void *arg,
                           const char *path, const cio_server_options *options)
{
    struct wish wish = {.factory = factory, .arg = arg, .path = path ? path : ""};
    return start(ret, &wish, options);
}
