/* TLS for streams and transports: the wait for the handshake. */
#include "io/secure.h"

#include <errno.h>

/* A task that waits for a handshake. It lies in the waiting frame. */
struct handshake {
    struct cio__wait wait;
    cio_task *task;
    int rc;
    bool done;
};

static void handshake_done(void *arg, int rc)
{
    struct handshake *handshake = arg;
    handshake->rc = rc;
    handshake->done = true;
    cio__wake(handshake->task);
}

int cio__check_tls_options(const cio_connect_options *options, const char *host)
{
    if (!options->tls)
        return options->server_hostname ? -EINVAL : 0;
    return cio__tls_check(options->tls, false,
                          options->server_hostname ? options->server_hostname : host);
}

/* ---- streams ---- */

/* Waits until it is over, or the stream is. */
static int wait_for(struct handshake *handshake, const cio_stream *s,
                    const struct cio__wait_kind *kind)
{
    const struct cio__layer *layer = s->channel.layer;
    int rc = 0;
    while (rc == 0 && !handshake->done && !s->closing && s->channel.layer == layer) {
        handshake->wait = (struct cio__wait){.kind = kind};
        cio__ring_init(&handshake->task->step.waiting); /* as a reader who is sent away */
        rc = cio__wait(&handshake->wait);
    }
    if (rc == 0 && s->closing)
        return -EBUSY;
    if (rc == 0 && !handshake->done)
        return s->read_error; /* a server has cut it off */
    return rc < 0 ? rc : handshake->rc;
}

static int shake_hands(cio_stream *s, struct cio__layer *layer, const struct cio__wait_kind *kind)
{
    struct handshake handshake = {.task = cio__current};
    int rc = layer->ops->start(layer, &s->channel, &s->out, handshake_done, &handshake);
    if (rc == 0)
        rc = wait_for(&handshake, s, kind);
    if (rc == 0 || s->channel.layer != layer)
        return rc;
    int says = rc == CIO_ECANCELED || rc == -EBUSY ? -ECONNABORTED : rc;
    layer->ops->stop(layer, says);
    cio__tls_remember(layer);
    s->read_error = says;
    cio__queue_close(&s->out, says);
    return rc;
}

int cio__stream_secure(cio_stream *s, const cio_tls_context *tls, const char *host,
                       const char *service, const struct cio__wait_kind *kind)
{
    struct cio__layer *layer;
    int rc = cio__tls_layer_new(&layer, tls, host, service, s->data ? s->data + s->begin : NULL,
                                s->end - s->begin);
    if (rc < 0)
        return rc;
    s->users++;
    s->reader = cio__current;
    s->securing = true;
    cio__stream_drop_input(s);
    s->channel.layer = layer;
    rc = shake_hands(s, layer, kind);
    s->securing = false;
    s->reader = NULL;
    cio__stream_leave(s);
    return rc;
}

/* Whether it is in a state to speak TLS from here on. */
static int check_start(const cio_stream *s, const cio_tls_context *tls, const char *host)
{
    if (!tls)
        return -EINVAL;
    if (s->closing)
        return -EBUSY;
    if (s->reader || s->channel.layer || s->out.ends || !cio__ring_empty(&s->writers))
        return CIO_ESTATE;
    if (s->read_error || s->out.error)
        return s->read_error ? s->read_error : s->out.error;
    return cio__tls_check(tls, cio__tls_is_server(tls), host);
}

static int start_tls(cio_stream *s, const cio_tls_context *tls, const char *host)
{
    static const struct cio__wait_kind kind = {.name = "cio_start_tls", .in_ring = true};
    int rc = check_start(s, tls, host);
    if (rc == 0)
        rc = cio_flush(s);
    if (rc == 0)
        rc = check_start(s, tls, host); /* the flush may have waited */
    return rc < 0 ? rc : cio__stream_secure(s, tls, host, NULL, &kind);
}

int cio_start_tls(cio_stream *s, const cio_tls_context *tls, const char *host)
{
    int rc = cio__stream_enter(s);
    if (rc < 0)
        return rc;
    rc = start_tls(s, tls, host);
    cio__stream_leave(s);
    return rc;
}

/* ---- transports ---- */

/* Held, so that it is there when the wait is over, even if it was lost meanwhile. */
static int wait_until(cio_transport *t, bool (*over)(const cio_transport *t))
{
    static const struct cio__wait_kind kind = {.name = "cio_transport_start_tls"};
    int rc = 0;
    t->waiter = cio__current;
    t->held = true;
    while (rc == 0 && !t->lost && !over(t)) {
        struct cio__wait wait = {.kind = &kind};
        rc = cio__wait(&wait);
    }
    t->waiter = NULL;
    t->held = false;
    return rc;
}

static bool is_flushed(const cio_transport *t)
{
    return t->closing || cio__queue_is_empty(&t->out);
}

static bool is_secured(const cio_transport *t)
{
    return t->closing || !t->securing;
}

/* The waits are over: with rc, or with what ended the transport. */
static int end_start(cio_transport *t, int rc)
{
    bool lost = t->lost;
    int why = t->rc < 0 ? t->rc : CIO_ESHUTDOWN;
    if (rc == 0 && t->closing)
        rc = why;
    cio__tls_remember(t->channel.layer);
    if (lost)
        cio__transport_free(t);
    else if (rc < 0 && !t->closing)
        cio__transport_fail(t, rc == CIO_ECANCELED ? -ECONNABORTED : rc);
    return rc;
}

int cio_transport_start_tls(cio_transport *t, const cio_tls_context *tls, const char *host)
{
    struct cio__layer *layer;
    if (!t || !tls)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (t->channel.loop != cio__running)
        return CIO_EWRONGLOOP;
    if (t->closing)
        return CIO_ESHUTDOWN;
    if (!t->made || t->securing || t->waiter || t->channel.layer || t->out.ends || t->ended)
        return CIO_ESTATE;
    int rc = cio__tls_check(tls, cio__tls_is_server(tls), host);
    if (rc >= 0)
        rc = cio__tls_layer_new(&layer, tls, host, NULL, NULL, 0);
    if (rc < 0)
        return rc;
    cio__transport_hush(t);
    rc = wait_until(t, is_flushed);
    if (rc == 0 && !t->closing)
        rc = cio__transport_start_layer(t, layer);
    else
        layer->ops->free(layer);
    if (rc == 0 && !t->closing)
        rc = wait_until(t, is_secured);
    return end_start(t, rc);
}
