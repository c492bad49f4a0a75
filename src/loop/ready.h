/*
 * The ready ring: the handles that are to be called, in order. An array, so that those to come can
 * be prefetched, and so that a canceled one can be taken out at once.
 */
#ifndef CIO_LOOP_READY_H
#define CIO_LOOP_READY_H

#include <cio/loop.h>

#include "os/os.h"

struct cio__ready {
    cio_handle **slots; /* NULL where one was canceled */
    uint32_t head;      /* positions only grow; a position's slot is position & mask */
    uint32_t tail;
    uint32_t mask;
    uint32_t size;     /* a power of two */
    uint32_t capacity; /* how many it takes: its size, or 0 while some wait behind it */

    /*
     * Where handles wait in order while the ring is full and there is no memory for a larger one.
     */
    cio_handle *overflow;
    cio_handle **overflow_end;
};

int cio__ready_init(struct cio__ready *ready);
void cio__ready_free(struct cio__ready *ready);

void cio__ready_push_slow(struct cio__ready *ready, cio_handle *handle, unsigned watch);
void cio__ready_remove(struct cio__ready *ready, cio_handle *handle);

/* Moves what waits behind the ring into it, as far as there is room. */
void cio__ready_refill(struct cio__ready *ready);

static inline bool cio__ready_empty(const struct cio__ready *ready)
{
    return ready->head == ready->tail && !ready->overflow;
}

/* Queues a handle that is not queued. It cannot fail. */
#define cio__ready_push(ready, handle) cio__ready_push_as((ready), (handle), 0)

static inline void cio__ready_push_as(struct cio__ready *ready, cio_handle *handle, unsigned watch)
{
    if (unlikely(ready->tail - ready->head >= ready->capacity)) {
        cio__ready_push_slow(ready, handle, watch);
        return;
    }
    handle->slot = ready->tail;
    __atomic_store_n(&handle->state, (uint8_t)(1 /* CIO__READY */ | watch), __ATOMIC_RELAXED);
    ready->slots[ready->tail & ready->mask] = handle;
    ready->tail++;
}

#endif
