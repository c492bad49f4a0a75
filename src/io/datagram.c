/* Datagrams: their beginning and their end, and what they are. */
#include "io/datagram.h"

#include <string.h>

#include "os/memory.h"

void cio__datagram_free(cio_datagram *d)
{
    cio__free(d);
}

/* ---- the end ---- */

static void wake_all(cio_datagram *d)
{
    if (d->reader)
        cio__wake_from_file(d->reader);
    for (cio_ring *place = d->writers.next; place != &d->writers; place = place->next)
        cio__wake(((struct cio__datagram_writer *)place)->task);
}

/* Everything is given back; what is inside a call yet leaves with -EBUSY. */
static void finish(cio_datagram *d)
{
    d->closing = d->closed = true;
    cio__datagram_stop_reading(d);
    cio_handle_cancel(&d->handle);
    cio__channel_unlisten(&d->flush);
    cio_handle_cancel(&d->retry);
    cio__datagram_drop_input(d);
    cio__datagram_drop_output(d);
    wake_all(d);
    cio__channel_close(&d->channel);
    cio__open_end(d->channel.loop, &d->open);
    if (d->users == 0)
        cio__datagram_free(d);
}

static void lose(void *arg)
{
    cio_datagram *d = arg;
    if (d->protocol->connection_lost)
        d->protocol->connection_lost(d->self, 0);
    finish(d);
}

/* By call_soon, so that it comes inside no other call; after connection_made. */
void cio__datagram_lose_soon(cio_datagram *d)
{
    if (d->losing)
        return;
    d->losing = true;
    if (d->made)
        cio_call_soon(d->channel.loop, &d->handle, lose, d);
}

static int check_end(const cio_datagram *d)
{
    return cio__running && cio__running != d->channel.loop ? CIO_EWRONGLOOP : 0;
}

static void begin_close(cio_datagram *d)
{
    d->closing = true;
    cio__datagram_stop_reading(d);
    d->users++; /* as long as we look at it */
    cio__datagram_flush_now(d);
    d->users--;
}

static int close_waiting(cio_datagram *d)
{
    static const struct cio__wait_kind kind = {.name = "cio_datagram_close"};
    int rc = 0;
    wake_all(d);
    d->users++;
    while (rc == 0 && d->n_out > 0 && cio__current)
        rc = cio__datagram_wait_for_progress(d, &kind);
    if (rc == 0)
        rc = d->error;
    d->users--;
    finish(d);
    return rc;
}

int cio_datagram_close(cio_datagram *d)
{
    if (!d)
        return -EINVAL;
    int rc = check_end(d);
    if (rc < 0)
        return rc;
    if (d->closing)
        return d->protocol ? 0 : CIO_ESTATE;
    begin_close(d);
    if (!d->protocol)
        return close_waiting(d);
    if (d->n_out == 0)
        cio__datagram_lose_soon(d);
    return 0;
}

int cio_datagram_abort(cio_datagram *d)
{
    if (!d)
        return 0;
    int rc = check_end(d);
    if (rc < 0)
        return rc;
    if (!d->protocol) {
        if (d->closing)
            return CIO_ESTATE;
        finish(d);
        return 0;
    }
    d->closing = true;
    cio__datagram_stop_reading(d);
    cio__channel_unlisten(&d->flush);
    cio_handle_cancel(&d->retry);
    cio__datagram_drop_output(d);
    cio__datagram_lose_soon(d);
    return 0;
}

/* The loop closes, and it is still there. */
static void drop(struct cio__open *open)
{
    cio_datagram *d = (cio_datagram *)open;
    if (!d->closing)
        cio__open_forgotten(d->channel.loop, open, "datagram endpoint was never closed");
    d->users = 0; /* the tasks that are inside will never run again */
    d->reader = NULL;
    cio__ring_init(&d->writers);
    finish(d);
}

/* ---- the beginning ---- */

static void make(void *arg)
{
    cio_datagram *d = arg;
    if (d->protocol->connection_made)
        d->protocol->connection_made(d->self, d);
    d->made = true;
    if (d->losing)
        cio_call_soon(d->channel.loop, &d->handle, lose, d);
    else
        cio__datagram_start_reading(d);
    wake_all(d);
}

/* Has a protocol called, and waits until it knows. */
int cio__datagram_make(cio_datagram *d, const cio_datagram_protocol *protocol, void *self)
{
    static const struct cio__wait_kind kind = {.name = "cio_create_datagram_endpoint"};
    int rc = 0;
    d->protocol = protocol;
    d->self = self;
    d->users++;
    cio_call_soon(d->channel.loop, &d->handle, make, d);
    while (rc == 0 && !d->made && !d->closed)
        rc = cio__datagram_wait_for_progress(d, &kind);
    if (rc < 0)
        cio_datagram_close(d);
    else if (d->losing || d->closed)
        rc = -ECONNABORTED;
    cio__datagram_leave(d);
    return rc;
}

static void remember(cio_datagram *d)
{
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof own;
    cio__channel_name(&d->channel, false, (struct sockaddr *)&own, &size);
    d->is_unix = own.ss_family == AF_UNIX;
    d->peer_size = sizeof d->peer;
    d->connected = cio__channel_name(&d->channel, true, (struct sockaddr *)&d->peer,
                                     &d->peer_size) == 0;
}

int cio__datagram_new(cio_datagram **ret, cio_loop *loop, int fd)
{
    cio_datagram *d = cio__alloc(sizeof *d);
    if (!d)
        return -ENOMEM;
    memset(d, 0, sizeof *d);
    int rc = cio__channel_open(&d->channel, loop, fd);
    if (rc < 0) {
        cio__free(d);
        return rc;
    }
    d->open.drop = drop;
    cio__ring_init(&d->writers);
    cio__ring_init(&d->flush.waiting);
    cio__ring_init(&d->handle.waiting);
    remember(d);
    cio__open_begin(loop, &d->open);
    *ret = d;
    return 0;
}

/* ---- what it is ---- */

int cio_datagram_peer_name(const cio_datagram *d, struct sockaddr *address, socklen_t *size)
{
    return d ? cio__channel_name(&d->channel, true, address, size) : -EINVAL;
}

int cio_datagram_sock_name(const cio_datagram *d, struct sockaddr *address, socklen_t *size)
{
    return d ? cio__channel_name(&d->channel, false, address, size) : -EINVAL;
}

int cio_datagram_fd(const cio_datagram *d)
{
    if (!d)
        return -EINVAL;
    return cio__channel_is_open(&d->channel) ? d->channel.file->fd : -EBADF;
}

int64_t cio_datagram_dropped(const cio_datagram *d)
{
    if (!d)
        return -EINVAL;
    if (!cio__channel_is_open(&d->channel))
        return -EBADF;
    struct cio__os *os = d->channel.loop->os;
    return os->ops->socket_drops(os, d->channel.file->fd);
}
