/* What the files of datagrams know of each other. */
#ifndef CIO_IO_DATAGRAM_H
#define CIO_IO_DATAGRAM_H

#include <errno.h>

#include <cio/datagram.h>

#include "io/channel.h"
#include "io/io.h"

#define CIO__DATAGRAMS_A_CALL 32

/*
 * Datagrams that came by one call. They have room for the largest that there can be, of which the
 * kernel touches what it needs. One is at hand while there is something in it, else it is the
 * loop's.
 */
struct cio__batch;

/* A task that waits for progress of the queue. It lies in the waiting frame. */
struct cio__datagram_writer {
    cio_ring place;
    cio_task *task;
};

struct cio_datagram {
    struct cio__open open; /* first */
    struct cio__channel channel;
    cio_task *reader; /* the one that is in a receiving call */
    int users;        /* calls that are inside */
    int error;        /* of a queued datagram: the next call tells it */
    bool connected;
    bool is_unix;
    bool closing; /* the owner has given it up: what is queued is still sent */
    bool closed;
    bool dispatching;      /* a batch is being given to the protocol */
    struct cio__batch *in; /* what was received and not given out; NULL: nothing */

    /* The send queue: records in one of the loop's buffers, from begin to end. NULL: empty. */
    char *out;
    size_t begin;
    size_t end;
    size_t n_out;
    bool paused;
    cio_handle flush; /* sends it: soon, or when the socket is writable */
    cio_handle retry; /* or after a while */
    cio_ring writers; /* tasks that wait for progress */

    const cio_datagram_protocol *protocol;
    void *self;
    cio_handle handle; /* its next call: connection_made, then reading, then connection_lost */
    bool listening;
    bool made;
    bool losing;

    socklen_t peer_size;
    struct sockaddr_storage peer;
};

/* 0 if it may be used here. It is then held until cio__datagram_leave(). */
static inline int cio__datagram_enter(cio_datagram *d, bool in_task)
{
    if (unlikely(!d))
        return -EINVAL;
    if (unlikely(in_task && !cio__current))
        return CIO_ENOTASK;
    if (unlikely(d->channel.loop != cio__running))
        return cio__running ? CIO_EWRONGLOOP : CIO_ENOLOOP;
    d->users++;
    return 0;
}

void cio__datagram_free(cio_datagram *d);

static inline void cio__datagram_leave(cio_datagram *d)
{
    if (unlikely(--d->users == 0) && unlikely(d->closed))
        cio__datagram_free(d);
}

/* What a call that has waited returns. */
static inline int cio__datagram_after_wait(const cio_datagram *d, int rc)
{
    return unlikely(d->closing) && rc != CIO_ECANCELED ? -EBUSY : rc;
}

/* The error that is to be told, which is then told. */
static inline int cio__datagram_take_error(cio_datagram *d)
{
    int error = d->error;
    d->error = 0;
    return error;
}

/* ---- datagram.c ---- */

int cio__datagram_new(cio_datagram **ret, cio_loop *loop, int fd);
int cio__datagram_make(cio_datagram *d, const cio_datagram_protocol *protocol, void *self);
void cio__datagram_lose_soon(cio_datagram *d);

/* ---- datagram_receive.c ---- */

void cio__datagram_drop_input(cio_datagram *d);

/* The protocol begins to hear what comes, and hears no more. */
void cio__datagram_start_reading(cio_datagram *d);
void cio__datagram_stop_reading(cio_datagram *d);

/* ---- datagram_send.c ---- */

void cio__datagram_drop_output(cio_datagram *d);

/* Sends what is queued as far as the socket takes it. */
void cio__datagram_flush_now(cio_datagram *d);

/* Waits until something has become of what is queued, or of d. */
int cio__datagram_wait_for_progress(cio_datagram *d, const struct cio__wait_kind *kind);

#endif
