/* Contexts: what connections have in common. */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "os/memory.h"
#include "tls/tls.h"

#define PROTOCOL_MOST 255 /* bytes of a protocol's name */
#define PROTOCOLS_MOST 1000
#define SERVER_SESSIONS_MOST 1024 /* that OpenSSL remembers for clients without tickets */

static int check_options(const cio_tls_options *options, bool server)
{
    double handshake = options->handshake_timeout, shutdown = options->shutdown_timeout;
    const cio_tls_certificate *c = &options->certificate;
    bool trusts = options->ca_file || options->ca_dir || options->ca_data || options->system_cas;
    if (!(handshake >= 0) || !(shutdown >= 0))
        return -EINVAL;
    if (options->verify < CIO_TLS_VERIFY_USUAL || options->verify > CIO_TLS_VERIFY_REQUIRED)
        return -EINVAL;
    if (server && !c->file && !c->data)
        return -EINVAL;
    if (server && options->verify >= CIO_TLS_VERIFY_OPTIONAL && !trusts)
        return -EINVAL; /* it could take nobody's */
    if (options->max_version && options->max_version < options->min_version)
        return -EINVAL;
    return 0;
}

static int refused(const char *what, const char *value)
{
    if (cio__tls_no_memory()) {
        ERR_clear_error();
        return -ENOMEM;
    }
    return cio__tls_fail(CIO_ETLS, "%s %s: %s", what, value, cio__tls_openssl_says());
}

/* ---- protocols ---- */

static int write_protocols(cio_tls_context *tls, const char *const *names)
{
    size_t size = 0;
    for (size_t i = 0; names[i]; i++) {
        size_t length = strlen(names[i]);
        if (length == 0 || length > PROTOCOL_MOST || i == PROTOCOLS_MOST)
            return -EINVAL;
        size += 1 + length;
    }
    if (size == 0)
        return 0;
    tls->alpn = OPENSSL_malloc(size);
    if (!tls->alpn)
        return -ENOMEM;
    for (size_t i = 0; names[i]; i++) {
        size_t length = strlen(names[i]);
        tls->alpn[tls->alpn_size++] = (unsigned char)length;
        memcpy(tls->alpn + tls->alpn_size, names[i], length);
        tls->alpn_size += length;
    }
    return 0;
}

/* The server's preference decides. Who has none in common is refused, as RFC 7301 wants it. */
static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                        const unsigned char *offered, unsigned offered_size, void *arg)
{
    const cio_tls_context *tls = arg;
    unsigned char *out;
    (void)ssl;
    if (SSL_select_next_proto(&out, chosen_size, tls->alpn, (unsigned)tls->alpn_size, offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = out;
    return SSL_TLSEXT_ERR_OK;
}

static int set_protocols(cio_tls_context *tls, const char *const *names)
{
    int rc = names ? write_protocols(tls, names) : 0;
    if (rc < 0 || !tls->alpn)
        return rc;
    if (tls->server)
        SSL_CTX_set_alpn_select_cb(tls->ssl, on_protocols, tls);
    else if (SSL_CTX_set_alpn_protos(tls->ssl, tls->alpn, (unsigned)tls->alpn_size) != 0)
        return -ENOMEM;
    return 0;
}

/* ---- the name that a client asks for ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    const cio_tls_context *tls = arg;
    (void)alert;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const cio_tls_context *other = tls->choose(name, tls->choose_arg);
    if (other && other != CIO_TLS_CLIENT && other->server && other != tls)
        SSL_set_SSL_CTX(ssl, other->ssl);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- settings ---- */

static int verify_mode(const cio_tls_options *options, bool server)
{
    switch (options->verify) {
    case CIO_TLS_VERIFY_NONE: return SSL_VERIFY_NONE;
    case CIO_TLS_VERIFY_OPTIONAL: return SSL_VERIFY_PEER;
    case CIO_TLS_VERIFY_REQUIRED: return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    default: return server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    }
}

static void set_resumption(cio_tls_context *tls, bool none)
{
    static const unsigned char purpose[] = "cio";
    if (none) {
        SSL_CTX_set_session_cache_mode(tls->ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(tls->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(tls->ssl, 0);
    } else if (tls->server) {
        SSL_CTX_sess_set_cache_size(tls->ssl, SERVER_SESSIONS_MOST);
        SSL_CTX_set_session_id_context(tls->ssl, purpose, sizeof purpose - 1);
    } else {
        cio__tls_sessions_begin(tls);
    }
}

static int set_versions(cio_tls_context *tls, const cio_tls_options *options)
{
    int least = options->min_version ? (int)options->min_version : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(tls->ssl, least) != 1)
        return -EINVAL;
    if (SSL_CTX_set_max_proto_version(tls->ssl, (int)options->max_version) != 1)
        return -EINVAL;
    return 0;
}

static int set_up(cio_tls_context *tls, const cio_tls_options *options)
{
    int verify = verify_mode(options, tls->server);
    /* A stream hands over what it likes; of an idle connection OpenSSL keeps no buffers. */
    SSL_CTX_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* An end that was not announced is ours to tell; OpenSSL would not let us answer any more. */
    SSL_CTX_set_options(tls->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                      SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (options->kernel)
        SSL_CTX_set_options(tls->ssl, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_read_ahead(tls->ssl, 1); /* one call for a record, not one for its first bytes */
    SSL_CTX_set_verify(tls->ssl, verify, cio__tls_on_verify);
    set_resumption(tls, options->no_resumption);
    tls->checks_host = !tls->server && verify != SSL_VERIFY_NONE && !options->any_host;
    tls->handshake_timeout_s = options->handshake_timeout > 0 ? options->handshake_timeout
                                                              : CIO_TLS_HANDSHAKE_TIMEOUT;
    tls->shutdown_timeout_s = options->shutdown_timeout > 0 ? options->shutdown_timeout
                                                            : CIO_TLS_SHUTDOWN_TIMEOUT;
    int rc = set_versions(tls, options);
    if (rc == 0 && options->ciphers && SSL_CTX_set_cipher_list(tls->ssl, options->ciphers) != 1)
        rc = refused("ciphers", options->ciphers);
    if (rc == 0)
        rc = set_protocols(tls, options->alpn);
    if (rc == 0 && (options->certificate.file || options->certificate.data))
        rc = cio__tls_use_certificate(tls->ssl, &options->certificate);
    if (rc == 0 && verify != SSL_VERIFY_NONE)
        rc = cio__tls_trust(tls->ssl, options, tls->server);
    tls->choose = options->choose;
    tls->choose_arg = options->choose_arg;
    if (rc == 0 && tls->server && tls->choose) {
        SSL_CTX_set_tlsext_servername_callback(tls->ssl, on_name);
        SSL_CTX_set_tlsext_servername_arg(tls->ssl, tls);
    }
    return rc;
}

static void tear_down(cio_tls_context *tls)
{
    cio__tls_sessions_end(tls);
    SSL_CTX_free(tls->ssl);
    OPENSSL_free(tls->alpn);
    pthread_mutex_destroy(&tls->lock);
}

/* Fills the struct, which is zeroed. Returns 0 or an error: nothing is left then. */
static int make(cio_tls_context *tls, const cio_tls_options *options, bool server)
{
    tls->server = server;
    tls->references = 1;
    cio__tls_forget_errors();
    tls->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!tls->ssl) {
        ERR_clear_error();
        return -ENOMEM;
    }
    pthread_mutex_init(&tls->lock, NULL);
    int rc = set_up(tls, options);
    if (rc < 0)
        tear_down(tls);
    return rc;
}

static int new_context(cio_tls_context **ret, const cio_tls_options *options, bool server)
{
    static const cio_tls_options defaults;
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    if (!options)
        options = &defaults;
    int rc = check_options(options, server);
    if (rc < 0)
        return rc;
    cio_tls_context *tls = cio__alloc(sizeof *tls);
    if (!tls)
        return -ENOMEM;
    *tls = (cio_tls_context){0};
    rc = make(tls, options, server);
    if (rc < 0)
        cio__free(tls);
    else
        *ret = tls;
    return rc;
}

int cio_tls_client_context(cio_tls_context **ret, const cio_tls_options *options)
{
    return new_context(ret, options, false);
}

int cio_tls_server_context(cio_tls_context **ret, const cio_tls_options *options)
{
    return new_context(ret, options, true);
}

int cio_tls_add_certificate(cio_tls_context *tls, const cio_tls_certificate *certificate)
{
    if (!tls || tls == CIO_TLS_CLIENT || !certificate || (!certificate->file && !certificate->data))
        return -EINVAL;
    return cio__tls_use_certificate(tls->ssl, certificate);
}

/* ---- who holds it ---- */

/* The usual client's lies here, and stays until the process ends. */
const cio_tls_context *cio__tls_resolve(const cio_tls_context *tls, int *ret_rc)
{
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
    static cio_tls_context usual;
    static const cio_tls_options defaults;
    *ret_rc = 0;
    if (tls != CIO_TLS_CLIENT)
        return tls;
    pthread_mutex_lock(&making);
    if (!usual.ssl && (*ret_rc = make(&usual, &defaults, false)) < 0)
        memset(&usual, 0, sizeof usual);
    pthread_mutex_unlock(&making);
    return *ret_rc < 0 ? NULL : &usual;
}

void cio__tls_hold(const cio_tls_context *tls)
{
    if (tls && tls != CIO_TLS_CLIENT)
        __atomic_fetch_add(&((cio_tls_context *)tls)->references, 1, __ATOMIC_RELAXED);
}

void cio__tls_release(const cio_tls_context *tls)
{
    cio_tls_context *ours = (cio_tls_context *)tls;
    if (!tls || tls == CIO_TLS_CLIENT)
        return;
    if (__atomic_sub_fetch(&ours->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    tear_down(ours);
    cio__free(ours);
}

void cio_tls_context_free(cio_tls_context *tls)
{
    cio__tls_release(tls);
}

bool cio__tls_is_server(const cio_tls_context *tls)
{
    return tls && tls != CIO_TLS_CLIENT && tls->server;
}

int cio__tls_check(const cio_tls_context *tls, bool server, const char *host)
{
    int rc;
    if (!tls)
        return -EINVAL;
    const cio_tls_context *context = cio__tls_resolve(tls, &rc);
    if (!context)
        return rc;
    if (context->server != server || (context->checks_host && (!host || !*host)))
        return -EINVAL;
    return 0;
}
