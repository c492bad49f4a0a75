/*
 * What ties a loop to other threads: a job that one of them does for it, a task that waits for what
 * one of them has. Each lies in the struct that it belongs to. When the loop is closed the ties are
 * cut, the newest first, so that nobody is left who would write into what is gone, or wait for what
 * will never come.
 */
#ifndef CIO_LOOP_TIES_H
#define CIO_LOOP_TIES_H

#include <stdbool.h>

#include <cio/loop.h>

struct cio__tie {
    struct cio__tie *next;
    struct cio__tie **place;            /* what points to it; NULL: nothing does */
    void (*cut)(struct cio__tie *self); /* the loop is closing; it is out of the list already */
    bool brings; /* another thread will post to the loop: that it sleeps is no deadlock */
};

/* Only in the loop's thread. */
void cio__tie_add(cio_loop *loop, struct cio__tie *tie);
void cio__tie_remove(cio_loop *loop, struct cio__tie *tie); /* nothing if it is in no list */
void cio__ties_cut(cio_loop *loop);

#endif
