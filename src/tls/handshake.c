/*
 * The beginning and the end of TLS: while they last the loop drives OpenSSL, by one handle and one
 * timer, and on the loop's own stack, for handshakes need more of it than a task may have.
 */
#include <errno.h>
#include <openssl/err.h>

#include "io/io.h"
#include "tls/tls.h"

#define READS_A_STEP 4 /* then the others have their turn */

static void step(void *arg);

/* ---- while it is driven ---- */

static void stop(struct cio__tls *tls)
{
    if (!tls->done)
        return;
    tls->done = NULL;
    cio__channel_unlisten(&tls->handle);
    cio_handle_cancel(&tls->timer);
}

/* Last of all: who is told may free the layer. */
static void finish(struct cio__tls *tls, int rc)
{
    cio__layer_done *done = tls->done;
    if (rc < 0)
        cio__tls_lose(tls, rc, "%s", cio_strerror(rc));
    else
        tls->state = tls->state == CIO__TLS_SHAKING ? CIO__TLS_OPEN : CIO__TLS_OVER;
    stop(tls);
    done(tls->arg, rc);
}

static void time_over(void *arg)
{
    struct cio__tls *tls = arg;
    bool shaking = tls->state == CIO__TLS_SHAKING;
    double limit = shaking ? tls->context->handshake_timeout_s : tls->context->shutdown_timeout_s;
    cio__tls_lose(tls, CIO_ETIMEDOUT, "%s: not over after %g s", shaking ? "handshake" : "end",
                  limit);
    finish(tls, CIO_ETIMEDOUT);
}

/* What is to be sent goes first: the peer waits for it. */
static int listen_on(struct cio__tls *tls)
{
    tls->handle.fn = step;
    tls->handle.arg = tls;
    tls->handle.loop = tls->channel->loop;
    tls->handle.hint = tls;
    return cio__channel_listen(tls->channel, cio__tls_holds(tls) ? CIO__WRITE : CIO__READ,
                               &tls->handle);
}

static int drive(struct cio__tls *tls, enum cio__tls_state state, double timeout_s,
                 cio__layer_done *done, void *arg)
{
    int rc = 0;
    if (timeout_s != CIO_FOREVER)
        rc = cio_call_later(tls->channel->loop, &tls->timer, timeout_s, time_over, tls);
    if (rc < 0)
        return rc;
    tls->state = (uint8_t)state;
    tls->done = done;
    tls->arg = arg;
    cio__ring_init(&tls->handle.waiting);
    return 0;
}

/* ---- the handshake ---- */

static int shake(struct cio__tls *tls)
{
    cio__tls_forget_errors();
    int ret = SSL_do_handshake(tls->ssl);
    int rc = ret == 1 ? 0 : cio__tls_outcome(tls, ret);
    if (ret != 1 && rc == 0)
        rc = cio__tls_lose(tls, CIO_ETRUNCATED, "handshake: the peer ended it");
    int flushed = cio__tls_flush(tls); /* also an alert */
    tls->more = ret == 1 && SSL_has_pending(tls->ssl);
    return rc < 0 ? rc : flushed;
}

/* ---- the end ---- */

/* Whatever still comes is thrown away. Returns 0 when nothing more will come. */
static int drain(struct cio__tls *tls)
{
    void *data = cio__buffer_take(tls->channel->loop);
    ssize_t n = -ENOMEM;
    for (int i = 0; data && i < READS_A_STEP; i++) {
        n = cio__tls_read(tls, data, CIO__BUFFER_SIZE);
        if (n <= 0)
            break;
    }
    if (data)
        cio__buffer_give(tls->channel->loop, data);
    return n > 0 ? -EAGAIN : (int)n;
}

/* All has been sent: if the peer ends without a word, or with nonsense, nothing is lost by that. */
static int part(struct cio__tls *tls)
{
    int rc = cio__tls_tell_end(tls);
    if (rc == 0 && !(SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) && !tls->eof)
        rc = drain(tls);
    return rc == CIO_ETRUNCATED || rc == CIO_ETLS ? 0 : rc;
}

static void step(void *arg)
{
    struct cio__tls *tls = arg;
    cio__channel_unlisten(&tls->handle);
    int rc = tls->state == CIO__TLS_SHAKING ? shake(tls) : part(tls);
    bool goes_on = rc == -EAGAIN;
    if (goes_on)
        rc = listen_on(tls);
    if (!goes_on || rc < 0)
        finish(tls, rc);
}

/* ---- for streams and transports ---- */

int cio__tls_start(struct cio__layer *layer, struct cio__channel *channel,
                   struct cio__write_queue *queue, cio__layer_done *done, void *arg)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    tls->channel = channel;
    tls->queue = queue;
    int rc = drive(tls, CIO__TLS_SHAKING, tls->context->handshake_timeout_s, done, arg);
    return rc < 0 ? rc : cio_call_soon(channel->loop, &tls->handle, step, tls);
}

int cio__tls_part(struct cio__layer *layer, cio__layer_done *done, void *arg)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    if (tls->state != CIO__TLS_OPEN || !cio__channel_is_open(tls->channel))
        return 0;
    int rc = part(tls);
    if (rc != -EAGAIN)
        return rc;
    rc = drive(tls, CIO__TLS_PARTING, tls->context->shutdown_timeout_s, done, arg);
    if (rc == 0)
        rc = listen_on(tls);
    return rc < 0 ? rc : 1;
}

void cio__tls_stop(struct cio__layer *layer, int rc)
{
    struct cio__tls *tls = (struct cio__tls *)layer;
    stop(tls);
    if (tls->rc == 0)
        tls->rc = rc;
    tls->state = CIO__TLS_OVER;
}
