/* What the files of streams know of each other, and what servers know of a stream. */
#ifndef CIO_IO_STREAM_H
#define CIO_IO_STREAM_H

#include <errno.h>

#include <cio/stream.h>

#include "io/address.h"
#include "io/io.h"
#include "io/write_queue.h"

/* A task that waits for the write queue to become short enough. It lies in the waiting frame. */
struct cio__writer {
    cio_ring place;
    cio_task *task;
    size_t until; /* bytes that may be left in the queue */
};

/* What a request touches comes first, close together: it is cold when there are many streams. */
struct cio_stream {
    struct cio__channel channel;
    cio_task *reader; /* the one that is in a reading call */
    int users;        /* calls that are inside: the last to leave frees it when it is closed */
    int read_error;
    bool ended;    /* the peer has ended its side, or a server wants us to */
    bool closing;  /* the owner has given it up: what is queued is still sent */
    bool closed;   /* and all is over */
    bool asked;    /* a server wants it to end */
    bool securing; /* a handshake is under way: nobody else may use it */
    bool parting;  /* all is sent, and the layer tells the peer the end */

    /* What was received and not read: data[begin..end). NULL if there is nothing. */
    char *data;
    size_t begin;
    size_t end;
    size_t room;
    size_t limit;
    size_t partly_read;
    size_t partly_written;
    struct cio__write_queue out;

    struct cio__open open;
    cio_ring writers;
    struct cio__closer *closer; /* the task that waits for the close */
    double close_timeout_s;
    cio_handle timer;
    struct cio__peer peer;

    /* A server's connection is told that the owner has given it up, and of the end. */
    void (*on_close)(struct cio_stream *s, void *arg);
    void (*on_closed)(struct cio_stream *s, void *arg);
    void *arg;
};

/* 0 if the current task may use the stream. It is then held until cio__stream_leave(). */
static inline int cio__stream_enter(cio_stream *s)
{
    if (unlikely(!s))
        return -EINVAL;
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(s->channel.loop != cio__running))
        return CIO_EWRONGLOOP;
    s->users++;
    return 0;
}

void cio__stream_free(cio_stream *s);

static inline void cio__stream_leave(cio_stream *s)
{
    if (unlikely(--s->users == 0) && unlikely(s->closed))
        cio__stream_free(s);
}

/* What a call that has waited returns: the stream's end goes before all but a cancellation. */
static inline int cio__stream_after_wait(const cio_stream *s, int rc)
{
    if (unlikely(s->closing) && rc != CIO_ECANCELED)
        return -EBUSY;
    return unlikely(rc == -EBADF) && s->read_error ? s->read_error : rc;
}

/* ---- stream_read.c, for a relay ---- */

/* A reading call, as all of them begin and end. */
int cio__stream_begin_read(cio_stream *s);
ssize_t cio__stream_end_read(cio_stream *s, ssize_t rc);

/* Waits until the channel may have something. Returns 1, 0 at the end, or an error. */
int cio__stream_wait_for_input(cio_stream *s, const struct cio__wait_kind *kind);

/* Receives into the buffer. Returns how much, 0 at the end, or an error. */
ssize_t cio__stream_fill(cio_stream *s, const struct cio__wait_kind *kind);

void cio__stream_consume(cio_stream *s, size_t n);

/* What is in a pipe becomes what is read next; nothing is buffered. Else it is lost: -ENOMEM. */
int cio__stream_put_back(cio_stream *s, int pipe, size_t size);

/* Gives the receive buffer back. */
void cio__stream_drop_input(cio_stream *s);

/* Whether anything may be written. Returns 0 or why not. */
static inline int cio__stream_check_write(const cio_stream *s)
{
    if (unlikely(s->closing))
        return -EBUSY;
    if (unlikely(s->out.ends) || unlikely(s->securing))
        return CIO_ESTATE;
    return unlikely(s->read_error) ? s->read_error : s->out.error;
}

/* The task waits until no more than so many bytes are queued, or the queue failed; or shorter. */
int cio__stream_wait_for_queue(cio_stream *s, size_t until, const struct cio__wait_kind *kind);

/* Wakes those whose wait the queue's state ends. */
void cio__stream_wake_writers(cio_stream *s);

/* As cio_close(), without waiting for the flush. */
void cio__stream_close_soon(cio_stream *s);

/* As cio_abort(), whether it is closing already or not. */
void cio__stream_abort(cio_stream *s);

/*
 * Cuts the connection. The stream is still its owner's, and every call says -ECONNABORTED; one that
 * is closing already is gone.
 */
void cio__stream_break(cio_stream *s);

/* The reader finds the end now. */
void cio__stream_ask_to_end(cio_stream *s);

/* A stream of a socket, for tasks and servers. options are checked. Returns 0 or an error. */
int cio__stream_new(cio_stream **ret, cio_loop *loop, int fd, const cio_connect_options *options);

int cio__check_connect_options(const cio_connect_options *options);

/* What they say of TLS, for that host. */
int cio__check_tls_options(const cio_connect_options *options, const char *host);

#endif
