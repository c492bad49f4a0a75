/* Receiving datagrams, many by a call. */
#include "io/datagram.h"

#include <string.h>

#include "os/memory.h"

#define SLOT CIO_DATAGRAM_MAX

/* Not a power of two: else all datagrams would fall into the same sets of the caches. */
#define STRIDE (SLOT + 2112)

struct cio__batch {
    unsigned next; /* those from here on were not given out */
    unsigned n;
    unsigned used; /* since the address' rooms were set */
    struct mmsghdr messages[CIO__DATAGRAMS_A_CALL];
    struct iovec slots[CIO__DATAGRAMS_A_CALL];
    struct iovec direct[2]; /* the first datagram: into the caller's memory, and what is over */
    struct sockaddr_storage addresses[CIO__DATAGRAMS_A_CALL];
    char data[];
};

static char *slot(struct cio__batch *batch, unsigned i)
{
    return batch->data + i * STRIDE;
}

static struct cio__batch *new_batch(void)
{
    struct cio__batch *batch = cio__alloc(sizeof *batch + CIO__DATAGRAMS_A_CALL * STRIDE);
    if (!batch)
        return NULL;
    memset(batch, 0, sizeof *batch);
    for (unsigned i = 0; i < CIO__DATAGRAMS_A_CALL; i++) {
        batch->slots[i] = (struct iovec){slot(batch, i), SLOT};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->addresses[i], .msg_iov = &batch->slots[i], .msg_iovlen = 1};
    }
    batch->used = CIO__DATAGRAMS_A_CALL;
    return batch;
}

static struct cio__batch *take_batch(cio_loop *loop)
{
    struct cio__batch *batch = loop->io->batch;
    loop->io->batch = NULL;
    return batch ? batch : new_batch();
}

static void give_batch(cio_loop *loop, struct cio__batch *batch)
{
    batch->next = batch->n = 0;
    if (loop->io->batch)
        cio__free(batch);
    else
        loop->io->batch = batch;
}

void cio__datagram_drop_input(cio_datagram *d)
{
    if (d->in)
        give_batch(d->channel.loop, d->in);
    d->in = NULL;
}

/*
 * What is known of the socket now. Fewer than were asked for: it is empty, or failed after them,
 * which the next call is told; then the descriptor says that there is an error.
 */
static int note(struct cio__file *file, int n)
{
    if (n == CIO__DATAGRAMS_A_CALL)
        return n;
    if (n == -EAGAIN)
        file->ready &= (uint8_t) ~(CIO__READABLE | CIO__HANGUP);
    else if (n > 0 && (file->ready & CIO__HANGUP))
        file->ready &= (uint8_t)~CIO__HANGUP;
    else if (n > 0)
        file->ready &= (uint8_t)~CIO__READABLE;
    return n;
}

/* One call: into the batch, the first perhaps into memory of the caller's. Returns how many. */
static int receive_many(cio_datagram *d, struct cio__batch *batch, void *data, size_t size)
{
    struct cio__os *os = d->channel.loop->os;
    struct msghdr *first = &batch->messages[0].msg_hdr;
    for (unsigned i = 0; i < batch->used; i++)
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->addresses[i];
    batch->direct[0] = (struct iovec){data, size};
    batch->direct[1] = batch->slots[0];
    first->msg_iov = data ? batch->direct : batch->slots;
    first->msg_iovlen = data ? 2 : 1;
    int n = -EBADF;
    if (cio__channel_is_open(&d->channel))
        n = os->ops->receive_many(os, d->channel.file->fd, batch->messages, CIO__DATAGRAMS_A_CALL);
    batch->used = n < 0 ? 1 : (unsigned)n;
    batch->next = 0;
    batch->n = n < 0 ? 0 : (unsigned)n;
    return note(d->channel.file, n);
}

static bool is_too_large(const struct mmsghdr *message)
{
    return message->msg_len > SLOT || (message->msg_hdr.msg_flags & MSG_TRUNC);
}

static void tell_from(const struct mmsghdr *message, struct sockaddr *from, socklen_t *from_size)
{
    socklen_t size = message->msg_hdr.msg_namelen;
    if (!from)
        return;
    memcpy(from, message->msg_hdr.msg_name, size < *from_size ? size : *from_size);
    *from_size = size;
}

/* One of those at hand was given out. */
static void advance(cio_datagram *d)
{
    if (++d->in->next == d->in->n)
        cio__datagram_drop_input(d);
}

/* The next of those at hand. */
static ssize_t give_out(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                        socklen_t *from_size)
{
    const struct mmsghdr *message = &d->in->messages[d->in->next];
    size_t length = message->msg_len;
    if (unlikely(is_too_large(message))) {
        advance(d);
        return -EOVERFLOW;
    }
    if (unlikely(length > size))
        return -EMSGSIZE;
    if (length)
        memcpy(data, slot(d->in, d->in->next), length);
    tell_from(message, from, from_size);
    advance(d);
    return (ssize_t)length;
}

/*
 * The first one is in the caller's memory already. If that is too small it is put together in its
 * slot, and stays.
 */
static ssize_t give_first(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                          socklen_t *from_size)
{
    struct mmsghdr *message = &d->in->messages[0];
    size_t length = message->msg_len;
    if (unlikely(length > size) && !is_too_large(message)) {
        memmove(slot(d->in, 0) + size, slot(d->in, 0), length - size);
        memcpy(slot(d->in, 0), data, size);
        return -EMSGSIZE;
    }
    if (likely(length <= size))
        tell_from(message, from, from_size);
    advance(d);
    return likely(length <= size) ? (ssize_t)length : -EOVERFLOW;
}

static ssize_t receive_from_socket(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                                   socklen_t *from_size)
{
    struct cio__batch *batch = take_batch(d->channel.loop);
    if (unlikely(!batch))
        return -ENOMEM;
    int n = receive_many(d, batch, data, size);
    if (n <= 0) {
        give_batch(d->channel.loop, batch);
        return n == 0 ? -EAGAIN : n;
    }
    d->in = batch;
    return data ? give_first(d, data, size, from, from_size)
                : give_out(d, data, size, from, from_size);
}

/* Whether the kernel should be asked: it has not said that there is nothing, or not been asked. */
static bool may_receive(const cio_datagram *d)
{
    const struct cio__file *file = d->channel.file;
    bool told = file->owned_in == d->channel.loop->runs && (file->registered & CIO__EDGE);
    return !told || cio__channel_may_receive(&d->channel);
}

static int check_receive(const cio_datagram *d, const void *data, size_t size,
                         const struct sockaddr *from, const socklen_t *from_size)
{
    if ((!data && size) || (from && !from_size))
        return -EINVAL;
    if (d->closing)
        return -EBUSY;
    return d->protocol || d->reader ? CIO_ESTATE : 0;
}

static ssize_t receive_now(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                           socklen_t *from_size)
{
    if (d->in)
        return give_out(d, data, size, from, from_size);
    if (unlikely(d->error))
        return cio__datagram_take_error(d);
    if (!may_receive(d))
        return -EAGAIN;
    return receive_from_socket(d, data, size, from, from_size);
}

static ssize_t receive(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                       socklen_t *from_size)
{
    static const struct cio__wait_kind kind = {
        .name = "cio_datagram_receive", .tell = cio__tell_file, .in_ring = true};
    int rc = cio__datagram_after_wait(d, cio__be_fair(d->channel.loop));
    while (rc == 0) {
        ssize_t n = receive_now(d, data, size, from, from_size);
        if (n != -EAGAIN)
            return n;
        rc = cio__await_file(d->channel.loop, d->channel.file, CIO__READ, &kind);
        rc = cio__datagram_after_wait(d, rc);
    }
    return rc;
}

ssize_t cio_datagram_receive(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                             socklen_t *from_size)
{
    ssize_t rc = cio__datagram_enter(d, true);
    if (unlikely(rc < 0))
        return rc;
    rc = check_receive(d, data, size, from, from_size);
    if (likely(rc == 0)) {
        d->reader = cio__current;
        rc = receive(d, data, size, from, from_size);
        d->reader = NULL;
    }
    cio__datagram_leave(d);
    return rc;
}

ssize_t cio_datagram_receive_nowait(cio_datagram *d, void *data, size_t size, struct sockaddr *from,
                                    socklen_t *from_size)
{
    ssize_t rc = cio__datagram_enter(d, false);
    if (rc < 0)
        return rc;
    rc = check_receive(d, data, size, from, from_size);
    if (rc == 0)
        rc = receive_now(d, data, size, from, from_size);
    cio__datagram_leave(d);
    return rc;
}

size_t cio_datagram_next_size(const cio_datagram *d)
{
    if (!d || !d->in || is_too_large(&d->in->messages[d->in->next]))
        return 0;
    return d->in->messages[d->in->next].msg_len;
}

int cio_datagram_skip(cio_datagram *d)
{
    if (!d)
        return -EINVAL;
    if (!d->in)
        return -EAGAIN;
    advance(d);
    return 0;
}

/* ---- for protocols ---- */

static void tell_protocol(cio_datagram *d, struct cio__batch *batch)
{
    const struct mmsghdr *message = &batch->messages[batch->next];
    const struct msghdr *header = &message->msg_hdr;
    int rc = is_too_large(message) ? -EOVERFLOW : 0;
    if (rc < 0 && d->protocol->error_received)
        d->protocol->error_received(d->self, rc);
    if (rc < 0 || !d->protocol->datagram_received)
        return;
    rc = d->protocol->datagram_received(d->self, slot(batch, batch->next), message->msg_len,
                                        header->msg_name, header->msg_namelen);
    if (rc < 0)
        cio__report(d->channel.loop, "protocol.datagram_received() call failed", rc, NULL, NULL);
}

/* All that came by one call. What the protocol sends meanwhile leaves by one call too. */
static void read_ready(void *arg)
{
    cio_datagram *d = arg;
    cio__channel_unlisten(&d->handle);
    d->listening = false;
    struct cio__batch *batch = take_batch(d->channel.loop);
    int n = batch ? receive_many(d, batch, NULL, 0) : -ENOMEM;
    if (n < 0 && n != -EAGAIN && d->protocol->error_received)
        d->protocol->error_received(d->self, n);
    d->dispatching = true;
    for (; n > 0 && batch->next < batch->n && !d->closing; batch->next++)
        tell_protocol(d, batch);
    d->dispatching = false;
    if (batch)
        give_batch(d->channel.loop, batch);
    cio__datagram_flush_now(d);
    cio__datagram_start_reading(d);
}

void cio__datagram_start_reading(cio_datagram *d)
{
    if (!d->made || d->listening || d->closing)
        return;
    d->handle.fn = read_ready;
    d->handle.arg = d;
    d->handle.loop = d->channel.loop;
    d->handle.hint = d;
    int rc = cio__channel_listen(&d->channel, CIO__READ, &d->handle);
    d->listening = rc == 0;
    if (rc < 0 && d->protocol->error_received)
        d->protocol->error_received(d->self, rc);
}

void cio__datagram_stop_reading(cio_datagram *d)
{
    if (d->listening)
        cio__channel_unlisten(&d->handle);
    d->listening = false;
}
