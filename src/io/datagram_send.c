/* Sending datagrams: at once, or gathered and many by a call. */
#include "io/datagram.h"

#include <string.h>

#define GATHER_MOST ((size_t)4096) /* bytes of a datagram that is copied to leave with others */
#define HIGH_WATER (CIO__BUFFER_SIZE / 2)
#define LOW_WATER (CIO__BUFFER_SIZE / 8)

/*
 * A unix socket that is not connected is not told when a peer has room again: it tries again after
 * so many seconds.
 */
#define RETRY_AFTER 0.002

/* In the queue: this, the address, the bytes. */
struct record {
    uint32_t size;
    uint32_t address_size;
};

static size_t rounded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t length_of(const struct record *record)
{
    return sizeof *record + rounded(record->address_size) + rounded(record->size);
}

/* ---- the queue ---- */

void cio__datagram_drop_output(cio_datagram *d)
{
    if (d->out)
        cio__buffer_give(d->channel.loop, d->out);
    d->out = NULL;
    d->begin = d->end = d->n_out = 0;
}

/* Returns 0; -EAGAIN if there is no room, -ENOMEM. */
static int append(cio_datagram *d, const void *data, size_t size, const struct sockaddr *address,
                  socklen_t address_size)
{
    size_t length = sizeof(struct record) + rounded(address_size) + rounded(size);
    if (length > CIO__BUFFER_SIZE - (d->end - d->begin))
        return -EAGAIN;
    if (!d->out && !(d->out = cio__buffer_take(d->channel.loop)))
        return -ENOMEM;
    if (length > CIO__BUFFER_SIZE - d->end) {
        memmove(d->out, d->out + d->begin, d->end - d->begin);
        d->end -= d->begin;
        d->begin = 0;
    }
    struct record *record = (struct record *)(void *)(d->out + d->end);
    *record = (struct record){(uint32_t)size, address_size};
    if (address_size)
        memcpy(record + 1, address, address_size);
    if (size)
        memcpy((char *)(record + 1) + rounded(address_size), data, size);
    d->end += length;
    d->n_out++;
    return 0;
}

/* The first `sent` have left, or were dropped. */
static void remove_first(cio_datagram *d, size_t sent)
{
    d->n_out -= sent;
    for (; sent > 0; sent--)
        d->begin += length_of((struct record *)(void *)(d->out + d->begin));
    if (d->n_out == 0)
        cio__datagram_drop_output(d);
}

static unsigned gather(const cio_datagram *d, struct mmsghdr *messages, struct iovec *pieces)
{
    unsigned n = 0;
    for (size_t at = d->begin; at < d->end && n < CIO__DATAGRAMS_A_CALL; n++) {
        struct record *record = (struct record *)(void *)(d->out + at);
        char *address = (char *)(record + 1);
        pieces[n] = (struct iovec){address + rounded(record->address_size), record->size};
        messages[n].msg_hdr = (struct msghdr){.msg_name = record->address_size ? address : NULL,
                                              .msg_namelen = record->address_size,
                                              .msg_iov = &pieces[n],
                                              .msg_iovlen = 1};
        at += length_of(record);
    }
    return n;
}

/* What the kernel said of the first one that is queued, which is dropped. */
static void fail_first(cio_datagram *d, int rc)
{
    remove_first(d, 1);
    if (d->protocol && d->protocol->error_received)
        d->protocol->error_received(d->self, rc);
    else if (!d->protocol && d->error == 0)
        d->error = rc;
}

static bool waits_by_time(const cio_datagram *d)
{
    return d->is_unix && !d->connected;
}

static void note_full(cio_datagram *d)
{
    if (!waits_by_time(d))
        d->channel.file->ready &= (uint8_t)~CIO__WRITABLE;
}

/* Returns 0 when nothing is left, or -EAGAIN. */
static int send_queued(cio_datagram *d)
{
    struct mmsghdr messages[CIO__DATAGRAMS_A_CALL];
    struct iovec pieces[CIO__DATAGRAMS_A_CALL];
    struct cio__os *os = d->channel.loop->os;
    while (d->n_out > 0) {
        if (!cio__channel_may_send(&d->channel))
            return -EAGAIN;
        unsigned n = gather(d, messages, pieces);
        int sent = -EBADF;
        if (cio__channel_is_open(&d->channel))
            sent = os->ops->send_many(os, d->channel.file->fd, messages, n);
        if (sent == -EAGAIN) {
            note_full(d);
            return -EAGAIN;
        }
        if (sent < 0)
            fail_first(d, sent);
        else
            remove_first(d, (size_t)sent);
    }
    return 0;
}

static void wake_writers(cio_datagram *d)
{
    for (cio_ring *place = d->writers.next; place != &d->writers; place = place->next)
        cio__wake(((struct cio__datagram_writer *)place)->task);
}

/* ---- flushing ---- */

static void after_progress(cio_datagram *d)
{
    wake_writers(d);
    if (d->paused && d->end - d->begin <= LOW_WATER) {
        d->paused = false;
        if (d->protocol && d->protocol->resume_writing)
            d->protocol->resume_writing(d->self);
    }
    if (d->protocol && d->closing && d->n_out == 0)
        cio__datagram_lose_soon(d);
}

static void flush(void *arg)
{
    cio_datagram *d = arg;
    cio__channel_unlisten(&d->flush);
    cio__datagram_flush_now(d);
}

static void prepare(cio_datagram *d)
{
    cio__channel_unlisten(&d->flush);
    d->flush.fn = flush;
    d->flush.arg = d;
    d->flush.loop = d->channel.loop;
    d->flush.hint = d;
}

/* In the next turn: what is gathered meanwhile goes with it. */
static void flush_soon(cio_datagram *d)
{
    if (cio__handle_state(&d->flush) != CIO__IDLE)
        return;
    prepare(d);
    cio__ready_push(&d->channel.loop->ready, &d->flush);
}

/* When the socket takes more. */
static void flush_later(cio_datagram *d)
{
    int rc = 0;
    if (!waits_by_time(d)) {
        prepare(d);
        rc = cio__channel_listen(&d->channel, CIO__WRITE, &d->flush);
    } else if (cio__handle_state(&d->retry) == CIO__IDLE) {
        rc = cio_call_later(d->channel.loop, &d->retry, RETRY_AFTER, flush, d);
    }
    if (rc < 0)
        flush_soon(d); /* no memory to wait with: it is tried in every turn */
}

void cio__datagram_flush_now(cio_datagram *d)
{
    bool was_queued = d->n_out > 0;
    if (send_queued(d) < 0)
        flush_later(d);
    else if (was_queued)
        cio__channel_unlisten(&d->flush);
    after_progress(d);
}

/* ---- calls ---- */

int cio__datagram_wait_for_progress(cio_datagram *d, const struct cio__wait_kind *kind)
{
    struct cio__wait wait = {.kind = kind};
    struct cio__datagram_writer writer = {.task = cio__current};
    cio__ring_append(&d->writers, &writer.place);
    int rc = cio__wait(&wait);
    cio__ring_remove(&writer.place);
    return rc;
}

static int send_at_once(cio_datagram *d, const void *data, size_t size,
                        const struct sockaddr *address, socklen_t address_size)
{
    struct cio__os *os = d->channel.loop->os;
    int fd = d->channel.file->fd;
    if (unlikely(!cio__channel_is_open(&d->channel)))
        return -EBADF;
    if (!cio__channel_may_send(&d->channel))
        return -EAGAIN;
    ssize_t rc = address ? os->ops->send_to(os, fd, data, size, address, address_size)
                         : os->ops->send(os, fd, data, size);
    if (rc == -EAGAIN)
        note_full(d);
    return rc < 0 ? (int)rc : 0;
}

/* More that was received will be answered in the same turn, probably. */
static bool should_gather(const cio_datagram *d, size_t size)
{
    return (d->in || d->dispatching) && size <= GATHER_MOST;
}

static void note_queued(cio_datagram *d, bool gathered)
{
    if (gathered && d->n_out < CIO__DATAGRAMS_A_CALL)
        flush_soon(d);
    else
        cio__datagram_flush_now(d);
    if (d->end - d->begin <= HIGH_WATER || d->paused)
        return;
    d->paused = true;
    if (d->protocol && d->protocol->pause_writing)
        d->protocol->pause_writing(d->self);
}

/* Returns -EAGAIN if there is no room; then the socket is waited for. */
static int send_now(cio_datagram *d, const void *data, size_t size, const struct sockaddr *address,
                    socklen_t address_size)
{
    if (unlikely(d->error))
        return cio__datagram_take_error(d);
    bool gathered = should_gather(d, size);
    if (d->n_out == 0 && !gathered) {
        int rc = send_at_once(d, data, size, address, address_size);
        if (rc != -EAGAIN)
            return rc;
    }
    int rc = append(d, data, size, address, address_size);
    if (rc == 0)
        note_queued(d, gathered);
    else if (rc == -EAGAIN)
        flush_later(d);
    return rc;
}

/* A connected one takes no address but its own, which the kernel need not be told again. */
static int check_send(const cio_datagram *d, const void *data, size_t size,
                      const struct sockaddr **address, socklen_t *address_size)
{
    if ((!data && size) || (*address && *address_size > sizeof(struct sockaddr_storage)))
        return -EINVAL;
    if (d->closing)
        return d->protocol ? CIO_ESHUTDOWN : -EBUSY;
    if (!*address) {
        *address_size = 0;
        return d->connected ? 0 : -EDESTADDRREQ;
    }
    if (!d->connected)
        return 0;
    if (*address_size != d->peer_size || memcmp(*address, &d->peer, d->peer_size) != 0)
        return -EINVAL;
    *address = NULL;
    *address_size = 0;
    return 0;
}

static int send_waiting(cio_datagram *d, const void *data, size_t size,
                        const struct sockaddr *address, socklen_t address_size)
{
    static const struct cio__wait_kind kind = {.name = "cio_datagram_send"};
    int rc = cio__datagram_after_wait(d, cio__be_fair(d->channel.loop));
    while (rc == 0) {
        rc = send_now(d, data, size, address, address_size);
        if (rc != -EAGAIN)
            return rc;
        rc = cio__datagram_after_wait(d, cio__datagram_wait_for_progress(d, &kind));
    }
    return rc;
}

int cio_datagram_send(cio_datagram *d, const void *data, size_t size,
                      const struct sockaddr *address, socklen_t address_size)
{
    int rc = cio__datagram_enter(d, true);
    if (unlikely(rc < 0))
        return rc;
    rc = check_send(d, data, size, &address, &address_size);
    if (likely(rc == 0))
        rc = send_waiting(d, data, size, address, address_size);
    cio__datagram_leave(d);
    return rc;
}

int cio_datagram_send_nowait(cio_datagram *d, const void *data, size_t size,
                             const struct sockaddr *address, socklen_t address_size)
{
    int rc = cio__datagram_enter(d, false);
    if (rc < 0)
        return rc;
    rc = check_send(d, data, size, &address, &address_size);
    if (rc == 0)
        rc = send_now(d, data, size, address, address_size);
    cio__datagram_leave(d);
    return rc;
}

int cio_datagram_flush(cio_datagram *d)
{
    static const struct cio__wait_kind kind = {.name = "cio_datagram_flush"};
    int rc = cio__datagram_enter(d, true);
    if (rc < 0)
        return rc;
    cio__datagram_flush_now(d);
    rc = cio__datagram_after_wait(d, 0);
    while (rc == 0 && d->n_out > 0)
        rc = cio__datagram_after_wait(d, cio__datagram_wait_for_progress(d, &kind));
    if (rc == 0)
        rc = cio__datagram_take_error(d);
    cio__datagram_leave(d);
    return rc;
}

size_t cio_datagram_unsent(const cio_datagram *d)
{
    return d ? d->n_out : 0;
}
