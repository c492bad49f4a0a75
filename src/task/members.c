/* Waiting for the ends of several futures. */
#include "task/members.h"

#include <errno.h>

#include "os/memory.h"
#include "task/tell.h"

void cio__member_listen(struct cio__member *member, cio_future *future, cio_callback *ended,
                        void *owner)
{
    *member = (struct cio__member){.future = future, .owner = owner};
    member->handle.fn = ended;
    member->handle.arg = member;
    member->handle.loop = future->step.loop;
    cio__future_listen(future, &member->link, &member->handle);
}

void cio__member_leave(struct cio__member *member)
{
    cio__link_remove(&member->link);
    cio_handle_cancel(&member->handle);
}

int cio__members_listen(struct cio__members *members, cio_future *const *futures, size_t n,
                        cio_callback *ended, void *owner)
{
    members->n = n;
    members->places = members->few;
    if (n > CIO__MEMBERS_FEW) {
        if (n > SIZE_MAX / sizeof *members->places)
            return -ENOMEM;
        members->places = cio__alloc(n * sizeof *members->places);
        if (!members->places)
            return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        cio__member_listen(&members->places[i], futures[i], ended, owner);
    return 0;
}

void cio__members_tell(const struct cio__members *members, struct cio__tale *tale)
{
    for (size_t i = 0; i < members->n; i++)
        if (members->places[i].future->state == CIO__PENDING)
            cio__tell_future(tale, members->places[i].future);
    cio__tell(tale, "%zu of %zu left:", tale->n_ends, members->n);
}

void cio__members_leave(struct cio__members *members)
{
    for (size_t i = 0; i < members->n; i++)
        cio__member_leave(&members->places[i]);
    if (members->places != members->few)
        cio__free(members->places);
}
