/* The ready ring's slow paths. */
#include "loop/ready.h"

#include <errno.h>

#include "loop/loop.h"
#include "os/memory.h"

#define FIRST_CAPACITY 64u
#define LARGEST_CAPACITY (1u << 30)

int cio__ready_init(struct cio__ready *ready)
{
    *ready = (struct cio__ready){.size = FIRST_CAPACITY,
                                 .capacity = FIRST_CAPACITY,
                                 .mask = FIRST_CAPACITY - 1,
                                 .head = CIO__FIRST_POSITION,
                                 .tail = CIO__FIRST_POSITION};
    ready->overflow_end = &ready->overflow;
    ready->slots = cio__alloc(FIRST_CAPACITY * sizeof *ready->slots);
    return ready->slots ? 0 : -ENOMEM;
}

void cio__ready_free(struct cio__ready *ready)
{
    cio__free(ready->slots);
    ready->slots = NULL;
}

void cio__ready_settle(struct cio__ready *ready)
{
    bool routed = ready->lanes && cio__lanes_route(ready->lanes);
    ready->capacity = ready->overflow || routed ? 0 : ready->size;
}

static bool grow(struct cio__ready *ready)
{
    uint32_t size = ready->size * 2;
    if (ready->size >= LARGEST_CAPACITY)
        return false;
    cio_handle **slots = cio__alloc(size * sizeof *slots);
    if (!slots)
        return false;
    for (uint64_t i = ready->head; i != ready->tail; i++)
        slots[i & (size - 1)] = ready->slots[i & ready->mask];
    cio__free(ready->slots);
    ready->slots = slots;
    ready->size = size;
    ready->mask = size - 1;
    cio__ready_settle(ready);
    return true;
}

static uint64_t room(const struct cio__ready *ready)
{
    return ready->size - (ready->tail - ready->head);
}

uint64_t cio__ready_reserve(struct cio__ready *ready, uint64_t n)
{
    while (room(ready) < n && grow(ready))
        ;
    return room(ready);
}

void cio__ready_append(struct cio__ready *ready, cio_handle *handle, unsigned watch)
{
    if (!ready->overflow && cio__ready_reserve(ready, 1) > 0) {
        handle->slot = (uint32_t)ready->tail;
        cio__handle_set_state(handle, CIO__READY | watch);
        ready->slots[ready->tail++ & ready->mask] = handle;
        return;
    }
    handle->next = NULL;
    *ready->overflow_end = handle;
    ready->overflow_end = &handle->next;
    cio__ready_settle(ready);
    cio__handle_set_state(handle, CIO__OVERFLOW | watch);
}

void cio__ready_push_slow(struct cio__ready *ready, cio_handle *handle, unsigned watch,
                          bool hurries)
{
    struct cio__ready *ring = ready->lanes ? cio__lanes_ring(ready, handle, hurries) : ready;
    cio__ready_append(ring, handle, watch);
}

/*
 * The link of the list lies where a handle has its place among those that wait for a descriptor:
 * who takes it out of there once more must find it in none. (A watch has none there.)
 */
static void restore_place(cio_handle *handle)
{
    if (!(cio__handle_state(handle) & CIO__WATCH))
        cio__ring_init(&handle->waiting);
}

void cio__ready_refill(struct cio__ready *ready)
{
    cio_handle *handle = ready->overflow;
    ready->overflow = NULL;
    ready->overflow_end = &ready->overflow;
    cio__ready_settle(ready);
    while (handle) {
        cio_handle *next = handle->next;
        restore_place(handle);
        cio__ready_append(ready, handle, cio__handle_state(handle) & CIO__WATCH);
        handle = next;
    }
}

cio_handle *cio__ready_take(struct cio__ready *ready)
{
    if (ready->head == ready->tail)
        cio__ready_refill(ready);
    return ready->slots[ready->head++ & ready->mask];
}

static void overflow_remove(struct cio__ready *ready, cio_handle *handle)
{
    cio_handle **place = &ready->overflow;
    while (*place != handle)
        place = &(*place)->next;
    *place = handle->next;
    if (!*place)
        ready->overflow_end = place;
    restore_place(handle);
    cio__ready_settle(ready);
}

void cio__ready_remove(struct cio__ready *ready, cio_handle *handle)
{
    struct cio__ready *ring = handle->lane ? cio__lanes_ring_of(ready, handle) : ready;
    if ((cio__handle_state(handle) & ~(unsigned)CIO__WATCH) == CIO__OVERFLOW)
        overflow_remove(ring, handle);
    else
        ring->slots[handle->slot & ring->mask] = NULL;
    handle->lane = CIO__LANE_READY;
}
