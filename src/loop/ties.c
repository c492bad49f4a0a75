/* The ties between a loop and other threads. */
#include "loop/ties.h"

#include "loop/loop.h"

void cio__tie_add(cio_loop *loop, struct cio__tie *tie)
{
    tie->next = loop->ties;
    tie->place = &loop->ties;
    if (tie->next)
        tie->next->place = &tie->next;
    loop->ties = tie;
    loop->expected += tie->brings;
}

void cio__tie_remove(cio_loop *loop, struct cio__tie *tie)
{
    if (!tie->place)
        return;
    *tie->place = tie->next;
    if (tie->next)
        tie->next->place = tie->place;
    tie->place = NULL;
    loop->expected -= tie->brings;
}

void cio__ties_cut(cio_loop *loop)
{
    while (loop->ties) {
        struct cio__tie *newest = loop->ties;
        cio__tie_remove(loop, newest);
        newest->cut(newest);
    }
}
