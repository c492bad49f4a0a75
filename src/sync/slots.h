/*
 * Where a queue's items are: a ring for those that keep the order of coming, a heap for those that
 * have priorities. Nothing here knows of tasks.
 */
#ifndef CIO_SYNC_SLOTS_H
#define CIO_SYNC_SLOTS_H

#include <string.h>

#include <cio/queue.h>

#include "os/os.h"

/* As many slots stay with an unbounded queue that has run empty. */
#define CIO__KEPT_ROOM 1024u

/* Makes room for one more in an unbounded queue. Returns 0 or -ENOMEM, and then all is as it was. */
int cio__slots_grow(cio_queue *q);

/* Gives back what a burst has left behind in an unbounded queue, if it is empty now. */
void cio__slots_trim(cio_queue *q);

/*
 * After a change of the room: how many items can be in before somebody has to wait or to find more,
 * and whether what follows is all there is to putting one in and taking it out.
 */
static inline void cio__slots_changed(cio_queue *q)
{
    q->limit = q->is_shut_down ? 0 : q->room < q->maxsize ? q->room : q->maxsize;
    q->is_plain = q->order == CIO__FIFO && q->item_size == 8 &&
                  (q->maxsize != CIO_UNBOUNDED || q->room <= CIO__KEPT_ROOM);
}

static inline void *cio__slot(const cio_queue *q, size_t index)
{
    return (char *)q->slots + index * q->slot_size;
}

/* The nth slot from the oldest item's on. */
static inline size_t cio__ring_index(const cio_queue *q, size_t n)
{
    size_t index = q->head + n;
    return index >= q->room ? index - q->room : index;
}

/* In any kind of queue; the count is the caller's to change. */
void cio__slots_add_any(cio_queue *q, const void *item);
void cio__slots_take_any(cio_queue *q, void *item);

/* There is room. */
static inline void cio__slots_add(cio_queue *q, const void *item)
{
    if (likely(q->is_plain))
        memcpy((char *)q->slots + cio__ring_index(q, q->count) * 8, item, 8);
    else
        cio__slots_add_any(q, item);
    q->count++;
}

/* There is an item. */
static inline void cio__slots_take(cio_queue *q, void *item)
{
    if (likely(q->is_plain)) {
        memcpy(item, (char *)q->slots + q->head * 8, 8);
        q->head = q->head + 1 == q->room ? 0 : q->head + 1;
    } else {
        cio__slots_take_any(q, item);
    }
    q->count--;
}

#endif
