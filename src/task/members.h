/* Waiting for the ends of several futures: a place for each, whose handle counts the end. */
#ifndef CIO_TASK_MEMBERS_H
#define CIO_TASK_MEMBERS_H

#include "task/task.h"

struct cio__member {
    cio_link link;
    cio_handle handle;
    cio_future *future;
    void *owner;
};

#define CIO__MEMBERS_FEW 16

struct cio__members {
    struct cio__member *places;
    size_t n;
    struct cio__member few[CIO__MEMBERS_FEW];
};

/*
 * Listens to n futures: each end calls ended(its struct cio__member) in the turn after it. Returns
 * 0 or -ENOMEM; then nothing has happened. The struct must not move.
 */
int cio__members_listen(struct cio__members *members, cio_future *const *futures, size_t n,
                        cio_callback *ended, void *owner);

/* Tells of those that have not ended. */
void cio__members_tell(const struct cio__members *members, struct cio__tale *tale);

/* Listens no more. */
void cio__members_leave(struct cio__members *members);

/* The same for an array of the caller's. */
void cio__member_listen(struct cio__member *member, cio_future *future, cio_callback *ended,
                        void *owner);
void cio__member_leave(struct cio__member *member);

#endif
