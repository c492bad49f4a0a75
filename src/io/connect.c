/* Connecting by host and service, or by path. */
#include "io/connect.h"

#include <errno.h>
#include <netinet/tcp.h>

#include <cio/names.h>
#include <cio/socket.h>

#include "io/address.h"
#include "io/eyeballs.h"
#include "io/secure.h"

void cio__set_socket_options(cio_loop *loop, int fd, bool delay, bool keep_alive)
{
    struct cio__os *os = loop->os;
    if (!delay && os->ops->is_tcp(os, fd))
        os->ops->set_option(os, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (keep_alive)
        os->ops->set_option(os, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int cio__connect(const char *host, const char *service, const cio_connect_options *options)
{
    struct addrinfo *peers = NULL, *local = NULL;
    int rc = cio__resolve(host, service, options->family, false, &peers);
    if (rc == 0 && (options->local_host || options->local_service))
        rc = cio__resolve(options->local_host,
                          options->local_service ? options->local_service : "0", options->family,
                          true, &local);
    if (rc == 0) {
        cio__interleave(peers, options);
        rc = cio__connect_any(peers, local, options);
    }
    cio_freeaddrinfo(peers);
    cio_freeaddrinfo(local);
    if (rc >= 0)
        cio__set_socket_options(cio__running, rc, options->delay, options->keep_alive);
    return rc;
}

int cio__connect_unix(const char *path, const cio_connect_options *options)
{
    struct sockaddr_un address;
    socklen_t size;
    (void)options;
    int rc = cio__unix_address(path, &address, &size);
    if (rc < 0)
        return rc;
    int fd = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    rc = cio_sock_connect(fd, (struct sockaddr *)&address, size);
    if (rc < 0)
        cio_sock_close(fd);
    return rc < 0 ? rc : fd;
}

/* ---- streams ---- */

static const cio_connect_options defaults;

static int make_stream(cio_stream **ret, int fd, const cio_connect_options *options)
{
    if (fd < 0)
        return fd;
    cio_connect_options plain = *options;
    plain.tls = NULL;
    plain.server_hostname = NULL;
    int rc = cio_open_stream(ret, fd, &plain);
    if (rc < 0)
        cio_sock_close(fd);
    return rc;
}

/* The stream speaks TLS from its first byte on, or is none. */
static int secure(cio_stream **ret, const char *host, const char *service,
                  const cio_connect_options *options, const struct cio__wait_kind *kind)
{
    if (options->server_hostname)
        host = options->server_hostname;
    int rc = cio__stream_secure(*ret, options->tls, host, service, kind);
    if (rc < 0) {
        cio_abort(*ret);
        *ret = NULL;
    }
    return rc;
}

static int check(cio_stream **ret, const cio_connect_options *options, const char *host)
{
    cio__report_nothing(options);
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    int rc = cio__check_connect_options(options);
    if (rc == 0)
        rc = cio__check_tls_options(options, host);
    return rc < 0 ? rc : cio__current ? 0 : CIO_ENOTASK;
}

int cio_open_connection(cio_stream **ret, const char *host, const char *service,
                        const cio_connect_options *options)
{
    if (!options)
        options = &defaults;
    static const struct cio__wait_kind kind = {.name = "cio_open_connection", .in_ring = true};
    int rc = check(ret, options, host);
    if (rc == 0)
        rc = make_stream(ret, cio__connect(host, service, options), options);
    return rc < 0 || !options->tls ? rc : secure(ret, host, service, options, &kind);
}

int cio_open_unix_connection(cio_stream **ret, const char *path, const cio_connect_options *options)
{
    if (!options)
        options = &defaults;
    static const struct cio__wait_kind kind = {.name = "cio_open_unix_connection", .in_ring = true};
    int rc = check(ret, options, NULL);
    if (rc == 0)
        rc = make_stream(ret, cio__connect_unix(path, options), options);
    return rc < 0 || !options->tls ? rc : secure(ret, NULL, path, options, &kind);
}
