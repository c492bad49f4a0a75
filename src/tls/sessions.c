/* What a client remembers of servers, so that the next handshake with them is short. */
#include <string.h>

#include "tls/tls.h"

static void forget(struct cio__tls_session *place)
{
    SSL_SESSION_free(place->session);
    OPENSSL_free(place->host);
    OPENSSL_free(place->service);
    *place = (struct cio__tls_session){0};
}

/* The place of that server; else a free one, or the one that was not used for longest. */
static struct cio__tls_session *find(cio_tls_context *tls, const char *host, const char *service,
                                     bool *found)
{
    struct cio__tls_session *oldest = tls->sessions;
    *found = true;
    for (size_t i = 0; i < CIO__TLS_SESSIONS_MOST; i++) {
        struct cio__tls_session *place = &tls->sessions[i];
        if (place->session && strcmp(place->host, host) == 0 &&
            strcmp(place->service, service) == 0)
            return place;
        if (place->used < oldest->used)
            oldest = place;
    }
    *found = false;
    return oldest;
}

static int store(cio_tls_context *tls, const char *host, const char *service, SSL_SESSION *session)
{
    bool found;
    char *our_host = OPENSSL_strdup(host), *our_service = OPENSSL_strdup(service);
    if (!our_host || !our_service) {
        OPENSSL_free(our_host);
        OPENSSL_free(our_service);
        return 0;
    }
    pthread_mutex_lock(&tls->lock);
    struct cio__tls_session *place = find(tls, host, service, &found);
    forget(place);
    *place = (struct cio__tls_session){session, our_host, our_service, ++tls->connections};
    pthread_mutex_unlock(&tls->lock);
    return 1;
}

/* OpenSSL has one for us, also long after the handshake. Returns 1 if it is ours to free. */
static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct cio__tls *tls = SSL_get_app_data(ssl);
    if (!tls || !tls->host || !SSL_SESSION_is_resumable(session))
        return 0;
    return store((cio_tls_context *)tls->context, tls->host, tls->service, session);
}

/* A session of TLS 1.3 is to be used once: with a second use one could be followed. */
void cio__tls_session_offer(struct cio__tls *tls)
{
    cio_tls_context *context = (cio_tls_context *)tls->context;
    SSL_SESSION *session = NULL;
    bool found;
    if (context->server || !tls->host)
        return;
    pthread_mutex_lock(&context->lock);
    struct cio__tls_session *place = find(context, tls->host, tls->service, &found);
    if (found) {
        session = place->session;
        SSL_SESSION_up_ref(session);
        place->used = ++context->connections;
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            forget(place);
    }
    pthread_mutex_unlock(&context->lock);
    if (session)
        SSL_set_session(tls->ssl, session);
    SSL_SESSION_free(session);
}

void cio__tls_sessions_begin(cio_tls_context *tls)
{
    SSL_CTX_set_session_cache_mode(tls->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->ssl, on_new);
}

void cio__tls_sessions_end(cio_tls_context *tls)
{
    for (size_t i = 0; i < CIO__TLS_SESSIONS_MOST; i++)
        forget(&tls->sessions[i]);
}
