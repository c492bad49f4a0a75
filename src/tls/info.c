/* What was agreed upon, and new keys. */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls.h"

/* The connection's TLS, if there is one, and it is open. */
static int find(const struct cio__channel *channel, const struct cio__tls **ret)
{
    const struct cio__tls *tls = cio__tls_of(channel);
    if (!tls || tls->state == CIO__TLS_NEW || tls->state == CIO__TLS_SHAKING)
        return -ENOTCONN;
    *ret = tls;
    return 0;
}

static void print_name(char *to, size_t size, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_read(bio, to, (int)size - 1);
    to[n > 0 ? n : 0] = 0;
    BIO_free(bio);
}

static void fill_certificate(const SSL *ssl, cio_tls_info *info)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    unsigned size = sizeof info->sha256;
    if (!certificate)
        return;
    info->has_certificate = true;
    print_name(info->subject, sizeof info->subject, X509_get_subject_name(certificate));
    print_name(info->issuer, sizeof info->issuer, X509_get_issuer_name(certificate));
    X509_digest(certificate, EVP_sha256(), info->sha256, &size);
}

static int get_info(const struct cio__channel *channel, cio_tls_info *info)
{
    const struct cio__tls *tls;
    int rc = find(channel, &tls);
    if (rc < 0)
        return rc;
    const unsigned char *alpn;
    unsigned alpn_size;
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    *info = (cio_tls_info){.version = SSL_get_version(tls->ssl),
                           .cipher = SSL_get_cipher_name(tls->ssl),
                           .server = SSL_is_server(tls->ssl),
                           .resumed = SSL_session_reused(tls->ssl),
                           .kernel_sends = tls->kernel};
    SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_size);
    if (alpn_size)
        memcpy(info->alpn, alpn, alpn_size); /* 255 at most */
    snprintf(info->server_name, sizeof info->server_name, "%s", name ? name : "");
    fill_certificate(tls->ssl, info);
    cio__tls_forget_errors();
    return 0;
}

int cio_tls_get_info(const cio_stream *s, cio_tls_info *info)
{
    return s && info ? get_info(&s->channel, info) : -EINVAL;
}

int cio_transport_tls_get_info(const cio_transport *t, cio_tls_info *info)
{
    return t && info ? get_info(&t->channel, info) : -EINVAL;
}

static ssize_t get_certificate(const struct cio__channel *channel, void *data, size_t size)
{
    const struct cio__tls *tls;
    unsigned char *der = NULL;
    int rc = find(channel, &tls);
    if (rc < 0)
        return rc;
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    int length = certificate ? i2d_X509(certificate, &der) : 0;
    if (length < 0) {
        ERR_clear_error();
        return -ENOMEM;
    }
    if (length > 0 && size > 0)
        memcpy(data, der, (size_t)length < size ? (size_t)length : size);
    OPENSSL_free(der);
    return length;
}

ssize_t cio_tls_peer_certificate(const cio_stream *s, void *data, size_t size)
{
    return s && (data || !size) ? get_certificate(&s->channel, data, size) : -EINVAL;
}

ssize_t cio_transport_tls_peer_certificate(const cio_transport *t, void *data, size_t size)
{
    return t && (data || !size) ? get_certificate(&t->channel, data, size) : -EINVAL;
}

int cio_tls_update_keys(cio_stream *s, bool both)
{
    const struct cio__tls *tls;
    if (!s)
        return -EINVAL;
    int rc = find(&s->channel, &tls);
    if (rc < 0)
        return rc;
    if (tls->state != CIO__TLS_OPEN || SSL_version(tls->ssl) < TLS1_3_VERSION || s->out.ends ||
        s->closing)
        return CIO_ESTATE;
    if (tls->kernel)
        return -EOPNOTSUPP;
    cio__tls_forget_errors();
    int ret = SSL_key_update(tls->ssl,
                             both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    cio__tls_forget_errors();
    return ret == 1 ? 0 : CIO_ESTATE;
}
