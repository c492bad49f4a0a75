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
    uint64_t head;      /* a position's slot is position & mask; positions never wrap */
    uint64_t tail;
    uint64_t capacity; /* its size; 0: cio__ready_push_slow() knows where a handle goes */
    uint32_t mask;
    uint32_t size; /* a power of two */

    /*
     * Where handles wait in order while the ring is full and there is no memory for a larger one.
     */
    cio_handle *overflow;
    cio_handle **overflow_end;

    struct cio__lanes *lanes; /* the rings beside this one; NULL: there are none */
};

/* Positions begin here, so that there is room before the head for what goes first: see lanes.h. */
#define CIO__FIRST_POSITION ((uint64_t)1 << 32)

int cio__ready_init(struct cio__ready *ready);
void cio__ready_free(struct cio__ready *ready);

void cio__ready_push_slow(struct cio__ready *ready, cio_handle *handle, unsigned watch,
                          bool hurries);
void cio__ready_remove(struct cio__ready *ready, cio_handle *handle);

/* Queues it in this very ring, whatever its class. */
void cio__ready_append(struct cio__ready *ready, cio_handle *handle, unsigned watch);

/* Makes room for as many more. Returns for how many there is. */
uint64_t cio__ready_reserve(struct cio__ready *ready, uint64_t n);

/* After a change of what the capacity says: see above. */
void cio__ready_settle(struct cio__ready *ready);

/* Moves what waits behind the ring into it, as far as there is room. */
void cio__ready_refill(struct cio__ready *ready);

/* The next handle of a ring that is not empty, NULL if it was canceled. */
cio_handle *cio__ready_take(struct cio__ready *ready);

static inline bool cio__ready_empty(const struct cio__ready *ready)
{
    return ready->head == ready->tail && !ready->overflow;
}

/*
 * Queues a handle that is not queued: because what it waited for has happened, or (the second) for
 * it to have its turn after the others, which is no reason to hurry. It cannot fail.
 */
#define cio__ready_push(ready, handle) cio__ready_push_as((ready), (handle), 0)
#define cio__ready_push_last(ready, handle) cio__ready_put((ready), (handle), 0, false)

static inline void cio__ready_put(struct cio__ready *ready, cio_handle *handle, unsigned watch,
                                  bool hurries)
{
    uint64_t tail = ready->tail;
    if (unlikely(tail - ready->head >= ready->capacity)) {
        cio__ready_push_slow(ready, handle, watch, hurries);
        return;
    }
    ready->slots[tail & ready->mask] = handle;
    ready->tail = tail + 1;
    handle->slot = (uint32_t)tail;
    __atomic_store_n(&handle->state, (uint8_t)(1 /* CIO__READY */ | watch), __ATOMIC_RELAXED);
}

static inline void cio__ready_push_as(struct cio__ready *ready, cio_handle *handle, unsigned watch)
{
    cio__ready_put(ready, handle, watch, true);
}

#endif
