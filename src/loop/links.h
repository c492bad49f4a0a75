/* Lists of handles that wait for one thing, in the order in which they came. */
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

#endif
