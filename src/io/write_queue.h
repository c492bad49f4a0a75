/*
 * The write queue: what a transport or a stream has written and its socket has not taken. A write
 * is tried first; what is left waits here, and the loop sends it when the socket is writable, many
 * pieces by one call.
 *
 * A chunk either owns a copy of its bytes, or borrows them from a task that waits until they have
 * left or a copy has room. So a large write needs no memory but its caller's.
 *
 * A fed chunk holds a place in the queue for a task that puts one piece after another there, in
 * memory or in a file: what others write waits behind it.
 */
#ifndef CIO_IO_WRITE_QUEUE_H
#define CIO_IO_WRITE_QUEUE_H

#include <stdbool.h>

#include "io/channel.h"

#define CIO__HIGH_WATER ((size_t)64 * 1024)

/* Where bytes come from that are not in memory: a file, a pipe. First in a struct of its kind. */
struct cio__source {
    /*
     * Passes up to size of them on to the socket. Returns how many; 0: it has no more, or failed,
     * and knows why; a negative code: the socket failed, or -EAGAIN.
     */
    ssize_t (*send)(struct cio__source *source, struct cio__channel *channel, size_t size);
};

struct cio__chunk {
    struct cio__chunk *next;
    const char *data; /* what is still to be sent */
    size_t size;
    const struct iovec *more; /* borrowed: the pieces that follow; the first may be begun */
    size_t n_more;
    size_t room;                /* owned: bytes that can be appended */
    cio_task *writer;           /* borrowed: woken when it is done; NULL: owned */
    bool done;                  /* borrowed: it has left the queue */
    bool fed;                   /* borrowed: stays when its piece was sent, and wakes its writer */
    bool away;                  /* fed: its writer waits for something else, and is not woken */
    int error;                  /* fed: the queue's, when that took it out */
    struct cio__source *source; /* fed: the piece is there; NULL: in memory */
};

struct cio__write_queue {
    struct cio__channel *channel;
    struct cio__chunk *first;
    size_t size;    /* bytes in all chunks */
    int error;      /* the first failure; the queue is empty from then on */
    bool listening; /* for the socket to become writable */
    bool paused;    /* it was above high, and not yet at low again */
    bool ends;      /* the writing side ends after what is queued */
    bool ended;     /* and has done so */
    struct cio__chunk *last;
    size_t high;
    size_t low;
    /* Bytes have left, or error was set. Called by the loop, last of all: it may free the queue. */
    void (*progress)(struct cio__write_queue *queue);
    cio_handle handle;
};

/* What a caller's buffers must be: -EINVAL if they are not. Else 0, and their bytes. */
int cio__buffers_check(const struct iovec *buffers, size_t n, size_t *ret_size);

void cio__queue_init(struct cio__write_queue *queue, struct cio__channel *channel,
                     void (*progress)(struct cio__write_queue *));

/* Drops everything, and listens no longer. Writers whose chunks it held are woken. */
void cio__queue_close(struct cio__write_queue *queue, int error);

static inline bool cio__queue_is_empty(const struct cio__write_queue *queue)
{
    return !queue->first && !cio__channel_holds(queue->channel);
}

/*
 * Sends what can be sent at once if nothing is queued. Returns how many bytes, 0 if the socket is
 * not ready, or the error, which is then the queue's.
 */
ssize_t cio__queue_try(struct cio__write_queue *queue, const struct iovec *buffers, size_t n);

/*
 * Queues a copy of the bytes from position `skip` on. Returns 0, or -ENOMEM: nothing is queued. The
 * caller then calls cio__queue_listen().
 */
int cio__queue_append(struct cio__write_queue *queue, const struct iovec *buffers, size_t n,
                      size_t skip);

/* Queues the bytes themselves: the chunk and they stay until it is done or withdrawn. */
void cio__queue_lend(struct cio__write_queue *queue, struct cio__chunk *chunk,
                     const struct iovec *buffers, size_t n, size_t skip);

/* A copy takes the chunk's place. Returns 0 or -ENOMEM: then it stays. */
int cio__queue_own(struct cio__write_queue *queue, struct cio__chunk *chunk);

/* Takes it out if it is still in. Returns how many of its bytes were not sent. */
size_t cio__queue_withdraw(struct cio__write_queue *queue, struct cio__chunk *chunk);

/*
 * Puts a fed chunk at the end, with no piece yet. Until cio__queue_end_feed() it and its pieces
 * must stay, and nothing behind it is sent.
 */
void cio__queue_begin_feed(struct cio__write_queue *queue, struct cio__chunk *chunk);

/*
 * Its next piece, when the one before is sent (chunk->size is 0): memory, or size bytes of the
 * source. Sends at once what it can. A source that had nothing more leaves size 0 too. Returns 0 or
 * an error, the queue's.
 */
int cio__queue_feed(struct cio__write_queue *queue, struct cio__chunk *chunk,
                    struct cio__source *source, const void *data, size_t size);

/* Takes it out, if the queue has not done so; what is behind it is sent. */
void cio__queue_end_feed(struct cio__write_queue *queue, struct cio__chunk *chunk);

/* Has progress() called soon, by the loop, and before it what can be sent sent. */
void cio__queue_poke(struct cio__write_queue *queue);

/* Has the loop send what is queued. Returns 0, or an error, which is then the queue's. */
int cio__queue_listen(struct cio__write_queue *queue);

/* Ends the writing side when all is sent: now perhaps. Returns 0 or an error. */
int cio__queue_end(struct cio__write_queue *queue);

#endif
