/*
 * Broadcast channels: what is sent, every subscriber receives. asyncio has no counterpart.
 *
 *     static struct price room[64];
 *     static cio_broadcast prices = CIO_BROADCAST_INIT(room);
 *
 *     cio_subscriber s = CIO_SUBSCRIBER_INIT;
 *     cio_subscribe(&s, &prices, CIO_SLOW_SKIP);
 *     while (cio_subscriber_receive(&s, &price) == 0)
 *         show(&price);
 *     cio_unsubscribe(&s);
 *
 * A channel keeps the last `size` messages, copies of items of one size, once for all. A subscriber
 * receives, in order, what is sent after it came. What happens to one that is slow, so that the
 * channel would have to forget what it has not had yet, is each subscriber's choice. With nobody to
 * wait for, sending never waits, and without any subscriber a message is gone.
 *
 * Senders that wait go on in the order in which they came; a newcomer does not pass them. Several
 * tasks may wait in one subscriber: each message then goes to one of them, in order. Nothing but
 * cio_broadcast_init() allocates.
 *
 * A channel belongs to the loop whose tasks have waited in it, until that loop is closed; it is not
 * for several threads. Channel and subscriber must stay where they are; a subscriber must
 * unsubscribe before its struct goes.
 *
 * The calls return -EINVAL for NULLs, and CIO_EWRONGLOOP where tasks of another loop wait; those
 * that may wait return CIO_ENOTASK outside a task.
 */
#ifndef CIO_BROADCAST_H
#define CIO_BROADCAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/waiters.h>

CIO_BEGIN

/* What becomes of a subscriber that has not received the oldest message when a new one comes. */
typedef enum cio_slow {
    CIO_SLOW_WAIT, /* whoever sends waits for it */
    CIO_SLOW_SKIP, /* it loses the oldest message; cio_subscriber_lost() counts */
    CIO_SLOW_TELL, /* the same, and its next receive says so, once: -EOVERFLOW */
    CIO_SLOW_DROP, /* it is out: all its receives from now on return -EOVERFLOW */
} cio_slow;

struct cio_subscriber;

/* The fields are the channel's. */
typedef struct cio_broadcast {
    void *slots;      /* where messages are: the caller's storage or our own */
    size_t size;      /* messages */
    size_t item_size; /* bytes */
    bool owns_slots;
    bool is_closed;
    uint64_t sent;        /* the number of the next message */
    uint64_t slowest;     /* the first message that one that is waited for has not received */
    size_t n_slowest;     /* how many of those stand there */
    size_t n_waited_for;  /* how many of those there are */
    size_t n_subscribers; /* how many of all kinds */
    size_t promised;      /* places given to senders that were woken and have not run */
    size_t inside;        /* tasks that wait to send or receive, woken or not */
    struct cio_subscriber *first;
    struct cio_subscriber *last;
    struct cio__waiters senders;
} cio_broadcast;

/* The fields are the channel's. */
typedef struct cio_subscriber {
    cio_broadcast *broadcast; /* NULL: not subscribed */
    struct cio_subscriber *next;
    struct cio_subscriber *previous;
    uint64_t position; /* the number of the message that it receives next */
    uint64_t lost;
    size_t inside; /* tasks that wait in it, woken or not */
    cio_slow slow;
    struct cio__waiters receivers;
} cio_subscriber;

/*
 * A channel that keeps its messages in an array of the caller's, as many as that has. It never
 * allocates and needs no end.
 */
#define CIO_BROADCAST_INIT(storage)                                                                \
    {                                                                                              \
        (storage), sizeof(storage) / sizeof((storage)[0]), sizeof((storage)[0]), false, false, 0,  \
            0, 0, 0, 0, 0, 0, NULL, NULL, CIO__WAITERS_INIT                                        \
    }

#define CIO_SUBSCRIBER_INIT                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

/*
 * A channel of its own memory for size messages of item_size bytes. Ended by
 * cio_broadcast_destroy(). Returns 0; -EINVAL for NULL, and sizes that are zero or negative;
 * -ENOMEM.
 */
CIO_API int cio_broadcast_init(cio_broadcast *b, size_t size, size_t item_size);

/*
 * Ends a channel and frees what it had allocated. Returns 0; -EBUSY, and nothing has happened, while
 * somebody is subscribed or waits to send.
 */
CIO_API int cio_broadcast_destroy(cio_broadcast *b);

/*
 * Sends a copy of *item to all who are subscribed now, and waits until every CIO_SLOW_WAIT one has
 * room for it, behind those who wait already. Returns 0; CIO_ESHUTDOWN if it is closed, before or
 * while it waits; CIO_ESTATE if it was never initialised. After any error nobody receives it.
 * [total]
 */
CIO_API int cio_broadcast_send(cio_broadcast *b, const void *item);

/* The same without waiting, from anywhere in the loop's thread: -EAGAIN if it would have to. */
CIO_API int cio_broadcast_send_nowait(cio_broadcast *b, const void *item);

/*
 * Nothing more is sent: who waits to send has CIO_ESHUTDOWN; subscribers receive what was sent, then
 * CIO_ESHUTDOWN. Closing twice does no harm. Returns 0, or CIO_ESTATE if it was never initialised.
 */
CIO_API int cio_broadcast_close(cio_broadcast *b);

/* How many are subscribed; 0 for NULL. */
CIO_API size_t cio_broadcast_subscribers(const cio_broadcast *b);

/*
 * From now on s receives what is sent. s must be initialised by CIO_SUBSCRIBER_INIT or zeros.
 * Returns 0; -EINVAL also for an unknown slow; CIO_ESTATE if s is subscribed, or b was never
 * initialised; CIO_ESHUTDOWN if b is closed.
 */
CIO_API int cio_subscribe(cio_subscriber *s, cio_broadcast *b, cio_slow slow);

/*
 * Leaves the channel; senders that waited for it go on. Never waits, so it may stand in a cleanup.
 * Returns 0; CIO_ESTATE if it is not subscribed; -EBUSY while a task waits in it, or was woken and
 * has not run yet.
 */
CIO_API int cio_unsubscribe(cio_subscriber *s);

/*
 * Leaves the next message in *item, and waits while there is none. Returns 0; -EOVERFLOW as
 * CIO_SLOW_TELL and CIO_SLOW_DROP say; CIO_ESHUTDOWN when the channel is closed and all was
 * received; CIO_ESTATE if it is not subscribed. Canceled it has received nothing. [total]
 */
CIO_API int cio_subscriber_receive(cio_subscriber *s, void *item);

/* The same without waiting, from anywhere in the loop's thread: -EAGAIN if there is none. */
CIO_API int cio_subscriber_receive_nowait(cio_subscriber *s, void *item);

/* How many messages were forgotten before it had received them; 0 for NULL. */
CIO_API uint64_t cio_subscriber_lost(const cio_subscriber *s);

/* How many messages it could receive now; 0 for NULL. */
CIO_API size_t cio_subscriber_pending(const cio_subscriber *s);

CIO_END

#endif
