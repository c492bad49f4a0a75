/*
 * Lists of handles that wait for one thing, in the order in which they came.
 *
 * A link may lie anywhere, and several of a handle's may be in lists at once. A ring goes through
 * the things themselves: less to fetch, and nothing to ask at its ends.
 */
#ifndef CIO_LOOP_LINKS_H
#define CIO_LOOP_LINKS_H

#include <cio/loop.h>

struct cio__links {
    cio_link *first;
    cio_link *last;
};

static inline void cio__links_append(struct cio__links *links, cio_link *link, cio_handle *handle)
{
    link->handle = handle;
    link->list = links;
    link->next = NULL;
    link->previous = links->last;
    if (links->last)
        links->last->next = link;
    else
        links->first = link;
    links->last = link;
}

/* Takes the link out of its list; nothing if it is in none. */
static inline void cio__link_remove(cio_link *link)
{
    struct cio__links *links = link->list;
    if (!links)
        return;
    if (link->previous)
        link->previous->next = link->next;
    else
        links->first = link->next;
    if (link->next)
        link->next->previous = link->previous;
    else
        links->last = link->previous;
    link->list = NULL;
}

/* An empty ring, or a place in none. */
static inline void cio__ring_init(cio_ring *ring)
{
    ring->next = ring->previous = ring;
}

static inline bool cio__ring_empty(const cio_ring *ring)
{
    return ring->next == ring;
}

static inline void cio__ring_append(cio_ring *ring, cio_ring *place)
{
    place->next = ring;
    place->previous = ring->previous;
    ring->previous->next = place;
    ring->previous = place;
}

/* Takes the place out of its ring; nothing if it is in none, though it must be of a ring's shape. */
static inline void cio__ring_remove(cio_ring *place)
{
    place->previous->next = place->next;
    place->next->previous = place->previous;
}

/* The same, and it is in none from now on: it may be taken out once more. */
static inline void cio__ring_leave(cio_ring *place)
{
    cio__ring_remove(place);
    cio__ring_init(place);
}

#endif
