/* Bytes through TLS: from a channel to OpenSSL and back. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "io/io.h"
#include "os/memory.h"
#include "tls/tls.h"

#define RECORD ((size_t)16 * 1024) /* bytes: as many as one may have */
#define RECORD_MORE ((size_t)256)  /* what encryption may add to them */
#define BUFFERS_A_CALL 4           /* sent before others have their turn */

/* ---- what OpenSSL's calls come to ---- */

static int describe(struct cio__tls *tls)
{
    bool shaking = tls->state == CIO__TLS_SHAKING;
    const char *when = shaking ? "handshake" : "connection";
    if (tls->socket_rc < 0)
        return cio__tls_lose(tls, tls->socket_rc, "%s: %s", when, cio_strerror(tls->socket_rc));
    if (cio__tls_no_memory())
        return cio__tls_lose(tls, -ENOMEM, "%s: %s", when, cio_strerror(-ENOMEM));
    bool refused = shaking && ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    bool missing = shaking &&
                   ERR_GET_REASON(ERR_peek_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
    return cio__tls_lose(tls, refused || missing ? CIO_ECERTIFICATE : CIO_ETLS, "%s: %s", when,
                         cio__tls_openssl_says());
}

/* What was written before can still be sent, and the end be told. */
static int truncated(struct cio__tls *tls)
{
    bool open = tls->state == CIO__TLS_OPEN;
    int rc = cio__tls_lose(tls, CIO_ETRUNCATED, "%s: the peer ended it without saying so",
                           tls->state == CIO__TLS_SHAKING ? "handshake" : "connection");
    if (open)
        tls->state = CIO__TLS_OPEN;
    return rc;
}

int cio__tls_outcome(struct cio__tls *tls, int ret)
{
    tls->more = false;
    /* After the peer's end OpenSSL would call a failure of the socket's that end once more. */
    switch (tls->socket_rc < 0 ? SSL_ERROR_SYSCALL : SSL_get_error(tls->ssl, ret)) {
    case SSL_ERROR_WANT_READ: return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return tls->eof ? truncated(tls) : 0;
    case SSL_ERROR_WANT_WRITE:
        if (tls->state == CIO__TLS_SHAKING)
            return -EAGAIN;
        return cio__tls_lose(tls, CIO_ETLS, "the peer wants more answers than it reads");
    default: break;
    }
    int rc = describe(tls);
    cio__tls_forget_errors();
    return rc;
}

/* ---- sending ---- */

static void drop_out(struct cio__tls *tls)
{
    if (tls->out)
        cio__buffer_give(tls->channel->loop, tls->out);
    tls->out = NULL;
}

static int send_out(struct cio__tls *tls)
{
    struct iovec rest = {tls->out + tls->out_begin, tls->out_end - tls->out_begin};
    ssize_t sent = rest.iov_len ? cio__socket_send(tls->channel, &rest, 1) : 0;
    if (sent < 0)
        return (int)sent;
    tls->out_begin += (uint32_t)sent;
    return tls->out_begin < tls->out_end ? -EAGAIN : 0;
}

/* What the socket will never take is not held: nobody would hear of it again, but wait for it. */
int cio__tls_flush(struct cio__tls *tls)
{
    if (!tls->out)
        return 0;
    int rc = unlikely(tls->kernel) ? cio__tls_kernel_flush(tls) : send_out(tls);
    if (rc != -EAGAIN)
        drop_out(tls);
    return rc;
}

/* Where one is in what is to be sent. */
struct cursor {
    const struct iovec *piece;
    size_t n;
    size_t offset; /* in the first piece */
};

static void advance(struct cursor *at, size_t by)
{
    at->offset += by;
    while (at->n && at->offset >= at->piece->iov_len) {
        at->offset -= at->piece->iov_len;
        at->piece++;
        at->n--;
    }
}

/* A record's worth of small pieces, one behind the other. */
static size_t gather(struct cursor at, char *to)
{
    size_t size = 0;
    while (at.n && size < RECORD) {
        size_t part = at.piece->iov_len - at.offset;
        part = part < RECORD - size ? part : RECORD - size;
        memcpy(to + size, (const char *)at.piece->iov_base + at.offset, part);
        size += part;
        advance(&at, part);
    }
    return size;
}

/* Encrypts the next record's worth. Returns how many bytes that were, or an error. */
static ssize_t send_record(struct cio__tls *tls, const struct cursor *at)
{
    const char *data = (const char *)at->piece->iov_base + at->offset;
    size_t size = at->piece->iov_len - at->offset, written = 0;
    char *gathered = NULL;
    if (size < RECORD && at->n > 1 && (gathered = cio__buffer_take(tls->channel->loop))) {
        size = gather(*at, gathered);
        data = gathered;
    }
    cio__tls_forget_errors();
    tls->alone = at->n == 1 ? size <= RECORD : size < RECORD;
    int ret = SSL_write_ex(tls->ssl, data, size < RECORD ? size : RECORD, &written);
    tls->alone = false;
    if (gathered)
        cio__buffer_give(tls->channel->loop, gathered);
    if (likely(ret == 1))
        return (ssize_t)written;
    int rc = cio__tls_outcome(tls, ret);
    if (rc == 0 || rc == -EAGAIN)
        rc = cio__tls_lose(tls, CIO_ETLS, "it cannot be written to now");
    return rc;
}

static bool has_room(const struct cio__tls *tls)
{
    return !tls->out || CIO__BUFFER_SIZE - tls->out_end >= RECORD + RECORD_MORE;
}

static ssize_t layer_send(struct cio__layer *layer, struct cio__channel *channel,
                          const struct iovec *buffers, size_t n)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    struct cursor at = {buffers, n, 0};
    size_t taken = 0;
    (void)channel;
    if (tls->kernel && tls->state == CIO__TLS_OPEN)
        return cio__tls_kernel_send(tls, buffers, n);
    int rc = tls->state == CIO__TLS_OPEN ? cio__tls_flush(tls) : tls->rc ? tls->rc : CIO_ESTATE;
    advance(&at, 0);
    for (int i = 0; i < BUFFERS_A_CALL && rc == 0 && at.n; i++) {
        while (at.n && has_room(tls)) {
            ssize_t part = send_record(tls, &at);
            if (part < 0)
                return part;
            taken += (size_t)part;
            advance(&at, (size_t)part);
        }
        rc = cio__tls_flush(tls);
    }
    return rc < 0 && rc != -EAGAIN ? rc : taken || rc == 0 ? (ssize_t)taken : rc;
}

static int layer_flush(struct cio__layer *layer, struct cio__channel *channel)
{
    (void)channel;
    return cio__tls_flush((struct cio__tls *)layer);
}

static int layer_send_past(struct cio__layer *layer)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    return tls->kernel && tls->state == CIO__TLS_OPEN ? cio__tls_kernel_ready(tls) : -EOPNOTSUPP;
}

/* OpenSSL says no end in the middle of a message of the peer's, a ticket for instance. */
static bool is_amid_message(const struct cio__tls *tls)
{
    return SSL_in_init(tls->ssl) && SSL_get_key_update_type(tls->ssl) == SSL_KEY_UPDATE_NONE;
}

int cio__tls_tell_end(struct cio__tls *tls)
{
    tls->end_is_due = is_amid_message(tls);
    if (!tls->end_is_due && !(SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)) {
        cio__tls_forget_errors();
        int ret = SSL_in_init(tls->ssl) ? SSL_do_handshake(tls->ssl) : 1; /* an update of keys */
        if (ret == 1)
            ret = SSL_shutdown(tls->ssl) < 0 ? -1 : 1;
        int rc = ret != 1 ? cio__tls_outcome(tls, ret) : 0;
        if (rc < 0 && rc != -EAGAIN)
            return rc;
    }
    return cio__tls_flush(tls);
}

static int layer_shut_writing(struct cio__layer *layer, struct cio__channel *channel)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    (void)channel;
    return tls->state == CIO__TLS_OPEN ? cio__tls_tell_end(tls) : tls->rc;
}

/* ---- receiving ---- */

ssize_t cio__tls_read(struct cio__tls *tls, void *data, size_t size)
{
    size_t n;
    cio__tls_forget_errors();
    int ret = SSL_read_ex(tls->ssl, data, size, &n);
    int rc = unlikely(ret != 1) ? cio__tls_outcome(tls, ret) : 1;
    if (unlikely(tls->end_is_due) && (rc > 0 || rc == -EAGAIN))
        cio__tls_tell_end(tls); /* the rest of the message has come, perhaps */
    if (unlikely(rc <= 0))
        return rc;
    tls->more = SSL_has_pending(tls->ssl) || tls->early;
    return (ssize_t)n;
}

/* Reading may have made something to send: an answer, or an alert, for which nobody waits. */
static void send_answers(struct cio__tls *tls)
{
    int rc = cio__tls_flush(tls);
    if (tls->state == CIO__TLS_OVER)
        drop_out(tls);
    else if (rc == -EAGAIN)
        cio__queue_listen(tls->queue);
}

/* As many records as are there already. What ends them is told by the next call. */
static ssize_t layer_receive(struct cio__layer *layer, struct cio__channel *channel, void *data,
                             size_t size)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    size_t got = 0;
    ssize_t n;
    (void)channel;
    if (unlikely(tls->state != CIO__TLS_OPEN) || unlikely(tls->rc < 0))
        return tls->rc ? tls->rc : CIO_ESTATE;
    do {
        n = cio__tls_read(tls, (char *)data + got, size - got);
        got += n > 0 ? (size_t)n : 0;
    } while (n > 0 && tls->more && got < size);
    if (unlikely(cio__tls_holds(tls)))
        send_answers(tls);
    if (unlikely(n <= 0) && n != -EAGAIN)
        tls->more = true; /* the end, or the failure, is there to be told */
    return got ? (ssize_t)got : n;
}

static bool layer_readable(const struct cio__layer *layer)
{
    const struct cio__tls *tls = (const struct cio__tls *)layer;
    return tls->more || tls->early;
}

static bool layer_holds(const struct cio__layer *layer)
{
    return cio__tls_holds((const struct cio__tls *)layer);
}

/* ---- beginning and end ---- */

static int copy_names(struct cio__tls *tls, const char *host, const char *service)
{
    size_t host_size = host ? strlen(host) + 1 : 0,
           service_size = service ? strlen(service) + 1 : 1;
    if (!host)
        return 0;
    tls->host = cio__alloc(host_size + service_size);
    if (!tls->host)
        return -ENOMEM;
    tls->service = tls->host + host_size;
    memcpy(tls->host, host, host_size);
    memcpy(tls->service, service ? service : "", service_size);
    if (host_size > 1 && tls->host[host_size - 2] == '.')
        tls->host[host_size - 2] = 0; /* "example.org." is that name at its fullest */
    return 0;
}

static int copy_early(struct cio__tls *tls, const void *early, size_t size)
{
    if (size == 0)
        return 0;
    tls->early = cio__alloc(size);
    if (!tls->early)
        return -ENOMEM;
    memcpy(tls->early, early, size);
    tls->early_end = size;
    return 0;
}

/* Asks for the name, and demands that the certificate has it. */
static bool set_host(struct cio__tls *tls)
{
    X509_VERIFY_PARAM *verify = SSL_get0_param(tls->ssl);
    bool numeric = X509_VERIFY_PARAM_set1_ip_asc(verify, tls->host) == 1;
    ERR_clear_error();
    if (!tls->context->checks_host)
        X509_VERIFY_PARAM_set1_ip(verify, NULL, 0);
    if (!numeric && SSL_set_tlsext_host_name(tls->ssl, tls->host) != 1)
        return false;
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return numeric || !tls->context->checks_host ||
           X509_VERIFY_PARAM_set1_host(verify, tls->host, 0) == 1;
}

static int set_up(struct cio__tls *tls)
{
    cio__tls_forget_errors();
    tls->ssl = SSL_new(tls->context->ssl);
    BIO *bio = tls->ssl ? cio__tls_bio_new(tls) : NULL;
    if (!bio) {
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    if (tls->context->server) {
        SSL_set_accept_state(tls->ssl);
        return 0;
    }
    SSL_set_connect_state(tls->ssl);
    if (tls->host && *tls->host && !set_host(tls))
        return cio__tls_fail(CIO_ETLS, "host %s: %s", tls->host, cio__tls_openssl_says());
    cio__tls_session_offer(tls);
    return 0;
}

static void layer_free(struct cio__layer *layer)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    cio__tls_stop(layer, -ECONNABORTED);
    drop_out(tls);
    SSL_free(tls->ssl);
    cio__tls_release(tls->context);
    cio__free(tls->early);
    cio__free(tls->host);
    cio__free(tls->why);
    cio__free(tls);
}

int cio__tls_layer_new(struct cio__layer **ret, const cio_tls_context *context, const char *host,
                       const char *service, const void *early, size_t early_size)
{
    int rc;
    context = cio__tls_resolve(context, &rc);
    if (!context)
        return rc;
    struct cio__tls *tls = cio__alloc(sizeof *tls);
    if (!tls)
        return -ENOMEM;
    *tls = (struct cio__tls){.layer.ops = &cio__tls_ops, .context = context};
    cio__tls_hold(context);
    rc = copy_names(tls, context->server ? NULL : host, service);
    if (rc == 0)
        rc = copy_early(tls, early, early_size);
    if (rc == 0)
        rc = set_up(tls);
    if (rc < 0)
        layer_free(&tls->layer);
    else
        *ret = &tls->layer;
    return rc;
}

const struct cio__layer_ops cio__tls_ops = {
    .receive = layer_receive,
    .send = layer_send,
    .flush = layer_flush,
    .shut_writing = layer_shut_writing,
    .readable = layer_readable,
    .holds = layer_holds,
    .send_past = layer_send_past,
    .free = layer_free,
    .start = cio__tls_start,
    .part = cio__tls_part,
    .stop = cio__tls_stop,
};
