/* What a program without call_soon_threadsafe writes: a locked list between a thread and its loop. */
#ifndef BENCH_MAILBOX_H
#define BENCH_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct letter {
    struct letter *next;
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first;
    struct letter **end;
};

static inline void mailbox_init(struct mailbox *m)
{
    pthread_mutex_init(&m->lock, NULL);
    m->first = NULL;
    m->end = &m->first;
}

/* Whether it was empty: then its reader needs a wake. */
static inline bool mailbox_put(struct mailbox *m, struct letter *l)
{
    pthread_mutex_lock(&m->lock);
    bool was_empty = !m->first;
    l->next = NULL;
    *m->end = l;
    m->end = &l->next;
    pthread_mutex_unlock(&m->lock);
    return was_empty;
}

/* Takes all that is there, in order. */
static inline struct letter *mailbox_take(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    struct letter *all = m->first;
    m->first = NULL;
    m->end = &m->first;
    pthread_mutex_unlock(&m->lock);
    return all;
}

#endif
