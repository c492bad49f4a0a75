/* A queue's items: growing, and the heap. */
#include "sync/slots.h"

#include <errno.h>

#include "os/memory.h"

#define FIRST_ROOM 16u

int cio__slots_grow(cio_queue *q)
{
    size_t room = q->room ? q->room * 2 : FIRST_ROOM;
    if (room > CIO_UNBOUNDED / q->slot_size)
        return -ENOMEM;
    char *slots = cio__alloc(room * q->slot_size);
    if (!slots)
        return -ENOMEM;
    size_t first = q->room - q->head < q->count ? q->room - q->head : q->count;
    if (q->count) {
        memcpy(slots, cio__slot(q, q->head), first * q->slot_size);
        memcpy(slots + first * q->slot_size, q->slots, (q->count - first) * q->slot_size);
    }
    cio__free(q->slots);
    q->slots = slots;
    q->room = room;
    q->head = 0;
    cio__slots_changed(q);
    return 0;
}

void cio__slots_trim(cio_queue *q)
{
    if (q->count || q->maxsize != CIO_UNBOUNDED || q->room <= CIO__KEPT_ROOM)
        return;
    cio__free(q->slots);
    q->slots = NULL;
    q->room = q->head = 0;
    cio__slots_changed(q);
}

/* The heap has two children a node: 2n + 1 and 2n + 2. A slot begins with its sequence number. */

static const void *item_of(const cio_queue *q, const void *slot)
{
    return (const char *)slot + q->item_offset;
}

static uint64_t sequence_of(const void *slot)
{
    return *(const uint64_t *)slot;
}

/* Without a comparison all are equal. */
static int compare(const cio_queue *q, const void *item, const void *other)
{
    return q->compare ? q->compare(item, other) : 0;
}

static bool goes_before(const cio_queue *q, const void *slot, const void *other)
{
    int order = compare(q, item_of(q, slot), item_of(q, other));
    return order ? order < 0 : sequence_of(slot) < sequence_of(other);
}

/* An equal one that is there already stays before it. */
static void heap_add(cio_queue *q, const void *item)
{
    size_t hole = q->count;
    while (hole > 0) {
        const void *parent = cio__slot(q, (hole - 1) / 2);
        if (compare(q, item, item_of(q, parent)) >= 0)
            break;
        memcpy(cio__slot(q, hole), parent, q->slot_size);
        hole = (hole - 1) / 2;
    }
    char *slot = cio__slot(q, hole);
    *(uint64_t *)(void *)slot = q->sequence++;
    memcpy(slot + q->item_offset, item, q->item_size);
}

/* The last slot is moved to where the first was, and down from there. */
static void heap_take(cio_queue *q, void *item)
{
    size_t count = q->count - 1, hole = 0;
    const void *last = cio__slot(q, count);
    memcpy(item, item_of(q, q->slots), q->item_size);
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= count)
            break;
        if (child + 1 < count && goes_before(q, cio__slot(q, child + 1), cio__slot(q, child)))
            child++;
        if (goes_before(q, last, cio__slot(q, child)))
            break;
        memcpy(cio__slot(q, hole), cio__slot(q, child), q->slot_size);
        hole = child;
    }
    if (hole != count)
        memcpy(cio__slot(q, hole), last, q->slot_size);
}

void cio__slots_add_any(cio_queue *q, const void *item)
{
    if (q->order == CIO__PRIORITY)
        heap_add(q, item);
    else
        memcpy(cio__slot(q, cio__ring_index(q, q->count)), item, q->item_size);
}

void cio__slots_take_any(cio_queue *q, void *item)
{
    if (q->order == CIO__PRIORITY) {
        heap_take(q, item);
    } else if (q->order == CIO__LIFO) {
        memcpy(item, cio__slot(q, cio__ring_index(q, q->count - 1)), q->item_size);
    } else {
        memcpy(item, cio__slot(q, q->head), q->item_size);
        q->head = q->head + 1 == q->room ? 0 : q->head + 1;
    }
}
