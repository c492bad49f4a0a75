/* Connecting, for a protocol. */
#include <errno.h>

#include <cio/socket.h>

#include "io/connect.h"
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
    if (rc < 0)
        cio_transport_close(t);
    return rc;
}

static int connect_protocol(cio_transport **ret, const cio_protocol *protocol, void *self, int fd,
                            const cio_connect_options *options)
{
    cio_transport *t;
    if (fd < 0)
        return fd;
    int rc = cio_open_transport(&t, fd, protocol, self);
    if (rc < 0) {
        cio_sock_close(fd);
        return rc;
    }
    if (options->high_water)
        cio_transport_set_water(t, options->high_water, CIO_DEFAULT_WATER);
    rc = wait_until_made(t);
    if (ret && rc == 0)
        *ret = t;
    return rc;
}

static int check(cio_transport **ret, const cio_protocol *protocol,
                 const cio_connect_options *options)
{
    cio__report_nothing(options);
    if (ret)
        *ret = NULL;
    if (!protocol)
        return -EINVAL;
    int rc = cio__check_connect_options(options);
    return rc < 0 ? rc : cio__current ? 0 : CIO_ENOTASK;
}

int cio_create_connection(cio_transport **ret, const cio_protocol *protocol, void *self,
                          const char *host, const char *service, const cio_connect_options *options)
{
    static const cio_connect_options defaults;
    if (!options)
        options = &defaults;
    int rc = check(ret, protocol, options);
    if (rc < 0)
        return rc;
    return connect_protocol(ret, protocol, self, cio__connect(host, service, options), options);
}

int cio_create_unix_connection(cio_transport **ret, const cio_protocol *protocol, void *self,
                               const char *path, const cio_connect_options *options)
{
    static const cio_connect_options defaults;
    if (!options)
        options = &defaults;
    int rc = check(ret, protocol, options);
    if (rc < 0)
        return rc;
    return connect_protocol(ret, protocol, self, cio__connect_unix(path, options), options);
}
