/* Transports: what the loop calls a protocol for. The order of these calls is asyncio's. */
#include "io/transport.h"

#include <errno.h>

#include "os/memory.h"

void cio__transport_free(cio_transport *t)
{
    cio__free(t);
}

/* ---- the end ---- */

/* connection_lost has been or need not be called: gives everything back. */
static void finish(cio_transport *t)
{
    t->lost = true;
    cio_handle_cancel(&t->handle);
    cio__queue_close(&t->out, CIO_ECLOSED);
    cio__channel_close(&t->channel);
    cio__open_end(t->channel.loop, &t->open);
    if (t->on_closed)
        t->on_closed(t, t->arg);
    if (t->waiter)
        cio__wake(t->waiter);
    if (!t->held)
        cio__transport_free(t);
}

static void lose(void *arg)
{
    cio_transport *t = arg;
    if (t->protocol->connection_lost)
        t->protocol->connection_lost(t->self, t->rc);
    finish(t);
}

/* Its protocol has never heard of it. */
static void vanish(void *arg)
{
    finish(arg);
}

/* By call_soon, always, so that it comes inside no other call; after connection_made. */
static void lose_soon(cio_transport *t, int rc)
{
    t->losing = true;
    t->rc = rc;
    if (t->made || t->securing)
        cio_call_soon(t->channel.loop, &t->handle, t->made ? lose : vanish, t);
}

/* The peer knows the end, or does not want to know. */
static void parted(void *arg, int rc)
{
    cio_transport *t = arg;
    if (t->losing)
        return;
    t->losing = true;
    t->rc = rc;
    lose(t);
}

/* All is sent. Returns 1 if parted() will be called, 0, or an error. */
static int part(cio_transport *t)
{
    if (t->parting)
        return 1;
    t->parting = true;
    return cio__channel_part(&t->channel, parted, t);
}

static void stop_reading(cio_transport *t)
{
    if (t->listening)
        cio__channel_unlisten(&t->handle);
    t->listening = false;
}

static void force_close(cio_transport *t, int rc)
{
    if (t->losing)
        return;
    cio__queue_close(&t->out, rc < 0 ? rc : -ECONNABORTED);
    t->closing = true;
    stop_reading(t);
    lose_soon(t, rc);
}

int cio_transport_close(cio_transport *t)
{
    if (!t)
        return -EINVAL;
    if (t->closing)
        return 0;
    t->closing = true;
    stop_reading(t);
    int rc = cio__queue_is_empty(&t->out) ? part(t) : 1;
    if (rc <= 0)
        lose_soon(t, rc);
    return 0;
}

int cio_transport_abort(cio_transport *t)
{
    if (!t)
        return -EINVAL;
    force_close(t, 0);
    return 0;
}

void cio__transport_fail(cio_transport *t, int rc)
{
    force_close(t, rc);
}

static void fail(cio_transport *t, const char *message, int rc)
{
    cio__report(t->channel.loop, message, rc, NULL, NULL);
    force_close(t, rc);
}

/* The loop closes, and the transport is still there: nobody can be told any more. */
static void drop(struct cio__open *open)
{
    cio_transport *t = (cio_transport *)open;
    if (!t->closing)
        cio__open_forgotten(t->channel.loop, open, "transport was never closed");
    t->waiter = NULL;
    t->held = false;
    stop_reading(t);
    finish(t);
}

/* ---- reading ---- */

static void read_ready(void *arg);

static int start_reading(cio_transport *t)
{
    if (!t->made || t->listening || t->closing || t->reading_paused || t->ended || t->securing)
        return 0;
    t->handle.fn = read_ready;
    t->handle.arg = t;
    t->handle.loop = t->channel.loop;
    t->handle.hint = t;
    int rc = cio__channel_listen(&t->channel, CIO__READ, &t->handle);
    t->listening = rc == 0;
    if (rc < 0)
        force_close(t, rc);
    return rc;
}

static void on_eof(cio_transport *t)
{
    t->ended = true;
    int rc = t->protocol->eof_received ? t->protocol->eof_received(t->self) : 0;
    if (rc < 0)
        fail(t, "fatal error: protocol.eof_received() call failed", rc);
    else if (rc == 0)
        cio_transport_close(t);
}

/* Something came, or nothing: what is common to both kinds of protocols. True: n bytes came. */
static bool received(cio_transport *t, ssize_t n)
{
    if (n > 0)
        return true;
    if (n == 0)
        on_eof(t);
    else if (n != -EAGAIN)
        force_close(t, (int)n); /* the connection's failure is no bug of anybody's */
    return false;
}

static void read_into_buffer(cio_transport *t)
{
    void *buffer = NULL;
    ssize_t size = t->protocol->get_buffer(t->self, 0, &buffer);
    if (size <= 0 || !buffer) {
        fail(t, "fatal error: protocol.get_buffer() call failed", size < 0 ? (int)size : -EINVAL);
        return;
    }
    if (t->closing)
        return;
    ssize_t n = cio__channel_receive(&t->channel, buffer, (size_t)size);
    if (!received(t, n) || !t->protocol->buffer_updated)
        return;
    int rc = t->protocol->buffer_updated(t->self, (size_t)n);
    if (rc < 0)
        fail(t, "fatal error: protocol.buffer_updated() call failed", rc);
}

/* All transports of a loop share a buffer, as only one of them receives at a time. */
static void read_data(cio_transport *t)
{
    cio_loop *loop = t->channel.loop;
    void *buffer = cio__buffer_take(loop);
    if (!buffer) {
        force_close(t, -ENOMEM);
        return;
    }
    ssize_t n = cio__channel_receive(&t->channel, buffer, CIO__BUFFER_SIZE);
    if (received(t, n) && t->protocol->data_received) {
        int rc = t->protocol->data_received(t->self, buffer, (size_t)n);
        if (rc < 0)
            fail(t, "fatal error: protocol.data_received() call failed", rc);
    }
    cio__buffer_give(loop, buffer);
}

static void read_ready(void *arg)
{
    cio_transport *t = arg;
    cio__channel_unlisten(&t->handle);
    t->listening = false;
    if (t->protocol->get_buffer)
        read_into_buffer(t);
    else
        read_data(t);
    start_reading(t);
}

int cio_transport_pause_reading(cio_transport *t)
{
    if (!t)
        return -EINVAL;
    if (t->closing)
        return 0;
    t->reading_paused = true;
    stop_reading(t);
    return 0;
}

int cio_transport_resume_reading(cio_transport *t)
{
    if (!t)
        return -EINVAL;
    if (t->closing)
        return 0;
    t->reading_paused = false;
    return start_reading(t);
}

bool cio_transport_is_reading(const cio_transport *t)
{
    return t && !t->closing && !t->reading_paused;
}

/* ---- writing ---- */

static void pause_if_above(cio_transport *t)
{
    if (t->out.size <= t->out.high || t->out.paused)
        return;
    t->out.paused = true;
    if (t->protocol->pause_writing)
        t->protocol->pause_writing(t->self);
}

static void on_progress(struct cio__write_queue *queue)
{
    cio_transport *t = (cio_transport *)((char *)queue - offsetof(cio_transport, out));
    if (queue->error) {
        force_close(t, queue->error);
        return;
    }
    if (queue->paused && queue->size <= queue->low) {
        queue->paused = false;
        if (t->protocol->resume_writing)
            t->protocol->resume_writing(t->self);
    }
    if (t->waiter)
        cio__wake(t->waiter);
    if (t->closing && !t->losing && cio__queue_is_empty(queue)) {
        int rc = part(t);
        if (rc > 0)
            return;
        t->losing = true;
        t->rc = rc;
        if (t->made)
            lose(t); /* this is the loop's call: no need for another */
    }
}

static int fail_to_write(cio_transport *t, int rc)
{
    force_close(t, rc);
    return rc;
}

static int write_all(cio_transport *t, const struct iovec *buffers, size_t n, size_t total)
{
    if (t->out.ends || (t->securing && !t->closing))
        return CIO_ESTATE;
    if (t->closing)
        return CIO_ESHUTDOWN;
    if (total == 0)
        return 0;
    if (t->out.size > CIO_WRITE_QUEUE_MAX)
        return -ENOBUFS;
    ssize_t sent = cio__queue_try(&t->out, buffers, n);
    if (sent < 0)
        return fail_to_write(t, (int)sent);
    if ((size_t)sent == total)
        return 0;
    int rc = cio__queue_append(&t->out, buffers, n, (size_t)sent);
    if (rc == 0)
        rc = cio__queue_listen(&t->out);
    if (rc < 0)
        return fail_to_write(t, rc);
    pause_if_above(t);
    return 0;
}

int cio_transport_write(cio_transport *t, const void *data, size_t size)
{
    if (!t || (!data && size))
        return -EINVAL;
    struct iovec buffer = {(void *)data, size};
    return write_all(t, &buffer, 1, size);
}

int cio_transport_writev(cio_transport *t, const struct iovec *buffers, size_t n)
{
    size_t total;
    if (!t || cio__buffers_check(buffers, n, &total) < 0)
        return -EINVAL;
    return write_all(t, buffers, n, total);
}

int cio_transport_write_eof(cio_transport *t)
{
    if (!t)
        return -EINVAL;
    if (t->closing)
        return CIO_ESHUTDOWN;
    if (t->securing)
        return CIO_ESTATE;
    int rc = cio__queue_end(&t->out);
    if (rc < 0)
        force_close(t, rc);
    return rc;
}

int cio_transport_set_water(cio_transport *t, size_t high, size_t low)
{
    if (!t)
        return -EINVAL;
    if (high == CIO_DEFAULT_WATER)
        high = low == CIO_DEFAULT_WATER ? CIO__HIGH_WATER : low > SIZE_MAX / 4 ? low : low * 4;
    if (low == CIO_DEFAULT_WATER)
        low = high / 4;
    if (low > high)
        return -EINVAL;
    t->out.high = high;
    t->out.low = low;
    if (!t->closing)
        pause_if_above(t);
    return 0;
}

int cio_transport_get_water(const cio_transport *t, size_t *high, size_t *low)
{
    if (!t || !high || !low)
        return -EINVAL;
    *high = t->out.high;
    *low = t->out.low;
    return 0;
}

size_t cio_transport_unsent(const cio_transport *t)
{
    return t ? t->out.size : 0;
}

/* ---- the beginning ---- */

static void make(void *arg)
{
    cio_transport *t = arg;
    if (t->protocol->connection_made)
        t->protocol->connection_made(t->self, t);
    t->made = true;
    if (t->losing)
        lose_soon(t, t->rc);
    else
        start_reading(t);
    if (t->waiter)
        cio__wake(t->waiter);
}

int cio__transport_new(cio_transport **ret, cio_loop *loop, int fd, const cio_protocol *protocol,
                       void *self)
{
    cio_transport *t = cio__alloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    *t = (cio_transport){
        .open.drop = drop, .protocol = protocol, .self = self, .peer.base.sa_family = AF_UNSPEC};
    int rc = cio__channel_open(&t->channel, loop, fd);
    if (rc < 0) {
        cio__free(t);
        return rc;
    }
    cio__queue_init(&t->out, &t->channel, on_progress);
    cio__open_begin(loop, &t->open);
    cio_call_soon(loop, &t->handle, make, t);
    *ret = t;
    return 0;
}

/* ---- layers ---- */

void cio__transport_hush(cio_transport *t)
{
    t->securing = true;
    stop_reading(t);
}

static void layer_started(void *arg, int rc)
{
    cio_transport *t = arg;
    if (t->losing)
        return; /* it was aborted meanwhile */
    if (rc == 0 && !t->made && t->on_secured)
        rc = t->on_secured(t, t->arg);
    if (t->waiter)
        cio__wake(t->waiter); /* before the layer goes, which knows what was wrong */
    if (rc < 0) {
        force_close(t, rc);
        return;
    }
    t->securing = false;
    if (t->made)
        start_reading(t);
    else
        make(t);
}

int cio__transport_start_layer(cio_transport *t, struct cio__layer *layer)
{
    cio__transport_hush(t);
    if (!t->made)
        cio_handle_cancel(&t->handle);
    t->channel.layer = layer;
    return layer->ops->start(layer, &t->channel, &t->out, layer_started, t);
}

static void remember_peer(cio_transport *t)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (cio__channel_name(&t->channel, true, (struct sockaddr *)&peer, &size) == 0)
        cio__peer_set(&t->peer, (struct sockaddr *)&peer, size);
}

int cio_open_transport(cio_transport **ret, int fd, const cio_protocol *protocol, void *self)
{
    cio_transport *t;
    if (ret)
        *ret = NULL;
    if (!protocol)
        return -EINVAL;
    if (!cio__running)
        return CIO_ENOLOOP;
    int rc = cio__transport_new(&t, cio__running, fd, protocol, self);
    if (rc < 0)
        return rc;
    remember_peer(t);
    if (ret)
        *ret = t;
    return 0;
}

int cio_transport_set_protocol(cio_transport *t, const cio_protocol *protocol, void *self)
{
    if (!t || !protocol)
        return -EINVAL;
    t->protocol = protocol;
    t->self = self;
    return 0;
}

const cio_protocol *cio_transport_get_protocol(const cio_transport *t, void **self)
{
    if (self)
        *self = t ? t->self : NULL;
    return t ? t->protocol : NULL;
}

bool cio_transport_is_closing(const cio_transport *t)
{
    return !t || t->closing;
}

int cio_transport_peer_name(const cio_transport *t, struct sockaddr *address, socklen_t *size)
{
    if (!t || !address || !size)
        return -EINVAL;
    if (cio__peer_get(&t->peer, address, size))
        return 0;
    return cio__channel_name(&t->channel, true, address, size);
}

int cio_transport_sock_name(const cio_transport *t, struct sockaddr *address, socklen_t *size)
{
    return t ? cio__channel_name(&t->channel, false, address, size) : -EINVAL;
}

int cio_transport_fd(const cio_transport *t)
{
    return t ? t->channel.file->fd : -EINVAL;
}
