/* The ready ring's slow paths. */
#include "loop/ready.h"

#include <errno.h>

#include "loop/loop.h"
#include "os/memory.h"

#define FIRST_CAPACITY 64u
#define LARGEST_CAPACITY (1u << 30)

int cio__ready_init(struct cio__ready *ready)
{
    *ready = (struct cio__ready){
        .size = FIRST_CAPACITY, .capacity = FIRST_CAPACITY, .mask = FIRST_CAPACITY - 1};
    ready->overflow_end = &ready->overflow;
    ready->slots = cio__alloc(FIRST_CAPACITY * sizeof *ready->slots);
    return ready->slots ? 0 : -ENOMEM;
}

void cio__ready_free(struct cio__ready *ready)
{
    cio__free(ready->slots);
    ready->slots = NULL;
}

static bool grow(struct cio__ready *ready)
{
    uint32_t size = ready->size * 2;
    if (ready->size >= LARGEST_CAPACITY)
        return false;
    cio_handle **slots = cio__alloc(size * sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = ready->head; i != ready->tail; i++)
        slots[i & (size - 1)] = ready->slots[i & ready->mask];
    cio__free(ready->slots);
    ready->slots = slots;
    ready->size = ready->capacity = size;
    ready->mask = size - 1;
    return true;
}

void cio__ready_push_slow(struct cio__ready *ready, cio_handle *handle, unsigned watch)
{
    if (!ready->overflow && grow(ready)) {
        cio__ready_push_as(ready, handle, watch);
        return;
    }
    ready->capacity = 0;
    handle->next = NULL;
    *ready->overflow_end = handle;
    ready->overflow_end = &handle->next;
    cio__handle_set_state(handle, CIO__OVERFLOW | watch);
}

void cio__ready_refill(struct cio__ready *ready)
{
    cio_handle *handle = ready->overflow;
    ready->overflow = NULL;
    ready->overflow_end = &ready->overflow;
    ready->capacity = ready->size;
    while (handle) {
        cio_handle *next = handle->next;
        cio__ready_push_as(ready, handle, cio__handle_state(handle) & CIO__WATCH);
        handle = next;
    }
}

static void overflow_remove(struct cio__ready *ready, cio_handle *handle)
{
    cio_handle **place = &ready->overflow;
    while (*place != handle)
        place = &(*place)->next;
    *place = handle->next;
    if (!*place)
        ready->overflow_end = place;
}

void cio__ready_remove(struct cio__ready *ready, cio_handle *handle)
{
    if ((cio__handle_state(handle) & ~(unsigned)CIO__WATCH) == CIO__OVERFLOW)
        overflow_remove(ready, handle);
    else
        ready->slots[handle->slot & ready->mask] = NULL;
}
