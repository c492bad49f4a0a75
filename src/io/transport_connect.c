/* Connecting, for a protocol. */
#include <errno.h>

#include <cio/socket.h>

#include "io/connect.h"
#include "io/secure.h"
#include "io/stream.h"
#include "io/transport.h"
#include "os/memory.h"

/* Waits until connection_made was called, or connection_lost already. */
static int wait_until_made(cio_transport *t)
{
    static const struct cio__wait_kind kind = {.name = "cio_create_connection"};
    struct cio__wait wait = {.kind = &kind};
    t->waiter = cio__current;
    t->held = true;
    int rc = cio__wait(&wait);
    t->waiter = NULL;
    t->held = false;
    if (t->lost) {
        if (rc == 0)
            rc = t->rc < 0 ? t->rc : -ECONNABORTED;
        cio__free(t);
        return rc;
    }
    if (rc == 0 && t->securing && t->losing) { /* no handshake */
        cio__tls_remember(t->channel.layer);
        return t->rc < 0 ? t->rc : -ECONNABORTED;
    }
    if (rc < 0)
        cio_transport_close(t);
    return rc;
}

static int connect_protocol(cio_transport **ret, const cio_protocol *protocol, void *self, int fd,
                            const char *host, const char *service,
                            const cio_connect_options *options)
{
    cio_transport *t;
    struct cio__layer *layer = NULL;
    if (fd < 0)
        return fd;
    int rc = 0;
    if (options->tls)
        rc = cio__tls_layer_new(&layer, options->tls, host, service, NULL, 0);
    if (rc >= 0)
        rc = cio_open_transport(&t, fd, protocol, self);
    if (rc < 0) {
        if (layer)
            layer->ops->free(layer);
        cio_sock_close(fd);
        return rc;
    }
    if (options->high_water)
        cio_transport_set_water(t, options->high_water, CIO_DEFAULT_WATER);
    if (layer && (rc = cio__transport_start_layer(t, layer)) < 0)
        cio__transport_fail(t, rc);
    rc = wait_until_made(t);
    if (ret && rc == 0)
        *ret = t;
    return rc;
}

static int check(cio_transport **ret, const cio_protocol *protocol, const char *host,
                 const cio_connect_options *options)
{
    cio__report_nothing(options);
    if (ret)
        *ret = NULL;
    if (!protocol)
        return -EINVAL;
    int rc = cio__check_connect_options(options);
    if (rc == 0)
        rc = cio__check_tls_options(options, host);
    return rc < 0 ? rc : cio__current ? 0 : CIO_ENOTASK;
}

int cio_create_connection(cio_transport **ret, const cio_protocol *protocol, void *self,
                          const char *host, const char *service, const cio_connect_options *options)
{
    static const cio_connect_options defaults;
    if (!options)
        options = &defaults;
    int rc = check(ret, protocol, host, options);
    if (rc == 0)
        rc = cio__connect(host, service, options);
    if (options->server_hostname)
        host = options->server_hostname;
    return connect_protocol(ret, protocol, self, rc, host, service, options);
}

int cio_create_unix_connection(cio_transport **ret, const cio_protocol *protocol, void *self,
                               const char *path, const cio_connect_options *options)
{
    static const cio_connect_options defaults;
    if (!options)
        options = &defaults;
    int rc = check(ret, protocol, NULL, options);
    if (rc == 0)
        rc = cio__connect_unix(path, options);
    return connect_protocol(ret, protocol, self, rc, options->server_hostname, path, options);
}
