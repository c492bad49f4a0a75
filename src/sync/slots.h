/*
 * Where a queue's items are: a ring for those that keep the order of coming, a heap for those that
 * have priorities. Nothing here knows of tasks.
 */
#ifndef CIO_SYNC_SLOTS_H
#define CIO_SYNC_SLOTS_H

#include <string.h>

#include <cio/queue.h>

#include "os/os.h"

/* Items are pointers as a rule; a copy of eight bytes is one instruction if the compiler knows. */
static inline void cio__copy_item(void *to, const void *from, size_t size)
{
    if (likely(size == 8))
        memcpy(to, from, 8);
    else
        memcpy(to, from, size);
}

/* Makes room for one more in an unbounded queue. Returns 0 or -ENOMEM, and then all is as it was. */
int cio__slots_grow(cio_queue *q);

/* Gives back what a burst has left behind in an unbounded queue that is empty. */
void cio__slots_trim(cio_queue *q);

void cio__heap_add(cio_queue *q, const void *item);
void cio__heap_take(cio_queue *q, void *item);

/* How many items can be in before somebody has to wait, or to find more room. */
static inline void cio__slots_set_limit(cio_queue *q)
{
    q->limit = q->is_shut_down ? 0 : q->room < q->maxsize ? q->room : q->maxsize;
}

static inline void *cio__slot(const cio_queue *q, size_t index)
{
    return (char *)q->slots + index * q->slot_size;
}

/* The nth slot from the oldest item's on. */
static inline void *cio__ring_slot(const cio_queue *q, size_t n)
{
    size_t index = q->head + n;
    return cio__slot(q, index >= q->room ? index - q->room : index);
}

/* There is room. */
static inline void cio__slots_add(cio_queue *q, const void *item)
{
    if (likely(q->order != CIO__PRIORITY))
        cio__copy_item(cio__ring_slot(q, q->count), item, q->item_size);
    else
        cio__heap_add(q, item);
    q->count++;
}

/* There is an item. */
static inline void cio__slots_take(cio_queue *q, void *item)
{
    q->count--;
    if (likely(q->order == CIO__FIFO)) {
        cio__copy_item(item, cio__slot(q, q->head), q->item_size);
        q->head = q->head + 1 == q->room ? 0 : q->head + 1;
    } else if (q->order == CIO__LIFO) {
        cio__copy_item(item, cio__ring_slot(q, q->count), q->item_size);
    } else {
        cio__heap_take(q, item);
    }
}

#endif
