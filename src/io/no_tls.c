/* What stands for src/tls/ in a library that was built without TLS. */
#include <errno.h>

#include "io/secure.h"

int cio__tls_check(const cio_tls_context *tls, bool server, const char *host)
{
    (void)server, (void)host;
    return tls ? -ENOTSUP : -EINVAL;
}

void cio__tls_hold(const cio_tls_context *tls)
{
    (void)tls;
}

void cio__tls_release(const cio_tls_context *tls)
{
    (void)tls;
}

bool cio__tls_is_server(const cio_tls_context *tls)
{
    (void)tls;
    return false;
}

int cio__tls_layer_new(struct cio__layer **ret, const cio_tls_context *tls, const char *host,
                       const char *service, const void *early, size_t early_size)
{
    (void)ret, (void)tls, (void)host, (void)service, (void)early, (void)early_size;
    return -ENOTSUP;
}

void cio__tls_remember(const struct cio__layer *layer)
{
    (void)layer;
}

/* ---- for the program ---- */

int cio_tls_client_context(cio_tls_context **ret, const cio_tls_options *options)
{
    (void)options;
    if (ret)
        *ret = NULL;
    return ret ? -ENOTSUP : -EINVAL;
}

int cio_tls_server_context(cio_tls_context **ret, const cio_tls_options *options)
{
    return cio_tls_client_context(ret, options);
}

int cio_tls_add_certificate(cio_tls_context *tls, const cio_tls_certificate *certificate)
{
    return tls && certificate ? -ENOTSUP : -EINVAL;
}

void cio_tls_context_free(cio_tls_context *tls)
{
    (void)tls;
}

const char *cio_tls_why(const cio_stream *s)
{
    (void)s;
    return "";
}

const char *cio_transport_tls_why(const cio_transport *t)
{
    (void)t;
    return "";
}

int cio_tls_get_info(const cio_stream *s, cio_tls_info *info)
{
    return s && info ? -ENOTCONN : -EINVAL;
}

int cio_transport_tls_get_info(const cio_transport *t, cio_tls_info *info)
{
    return t && info ? -ENOTCONN : -EINVAL;
}

ssize_t cio_tls_peer_certificate(const cio_stream *s, void *data, size_t size)
{
    return s && (data || !size) ? -ENOTCONN : -EINVAL;
}

ssize_t cio_transport_tls_peer_certificate(const cio_transport *t, void *data, size_t size)
{
    return t && (data || !size) ? -ENOTCONN : -EINVAL;
}

int cio_tls_update_keys(cio_stream *s, bool both)
{
    (void)both;
    return s ? -ENOTCONN : -EINVAL;
}
