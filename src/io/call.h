/* One call of a task on a descriptor: what it needs to be tried, and to wait. */
#ifndef CIO_IO_CALL_H
#define CIO_IO_CALL_H

#include <errno.h>

#include "io/channel.h"
#include "loop/debug.h"

struct cio__call {
    cio_loop *loop;
    struct cio__file *file;
    enum cio__direction direction;
    uint32_t generation;
};

/* Returns 0; CIO_ENOTASK, -EINVAL for a negative fd, -EBADF, -ENOMEM. */
static inline int cio__call_look_up(struct cio__call *call, int fd, enum cio__direction direction)
{
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(fd < 0))
        return -EINVAL;
    call->loop = cio__running;
    call->direction = direction;
    call->file = cio__file_get(call->loop, fd);
    if (unlikely(!call->file)) {
        call->generation = 0; /* of no use: gcc does not see that the call has failed */
        return cio__file_missing(call->loop, fd);
    }
    call->generation = call->file->generation;
    return 0;
}

/* As asyncio's, but for those that only wait, the calls are particular in debug mode. */
static inline int cio__call_begin(struct cio__call *call, int fd, enum cio__direction direction)
{
    int rc = cio__call_look_up(call, fd, direction);
    if (unlikely(rc < 0))
        return rc;
    return unlikely(call->loop->careful) ? cio__debug_check_fd(call->loop, fd) : 0;
}

static inline bool cio__call_may_succeed(const struct cio__call *call)
{
    return cio__file_may(call->file, call->direction);
}

/* Whether the descriptor was closed meanwhile. */
static inline bool cio__call_is_stale(const struct cio__call *call)
{
    return call->generation != call->file->generation;
}

/* As cio__await_file(). */
int cio__call_wait(struct cio__call *call);

static inline int cio__call_be_fair(struct cio__call *call)
{
    int rc = cio__be_fair(call->loop);
    return unlikely(cio__call_is_stale(call)) && rc == 0 ? -EBADF : rc;
}

/*
 * Before the first try, and again after a try that found nothing: waits unless a call may succeed.
 * Returns 0 when there is one to be made.
 */
static inline int cio__call_prepare(struct cio__call *call)
{
    if (likely(cio__call_may_succeed(call)))
        return cio__call_be_fair(call);
    return cio__call_wait(call);
}

static inline bool cio__call_would_block(struct cio__call *call, ssize_t rc)
{
    if (likely(rc != -EAGAIN))
        return false;
    cio__file_would_block(call->file, call->direction);
    return true;
}

/* Tries until it does not say that it would block. `rc` is assigned, `expression` repeated. */
#define CIO__UNTIL_DONE(call, rc, expression)                                                      \
    do {                                                                                           \
        rc = cio__call_prepare(call);                                                              \
        if (rc < 0)                                                                                \
            break;                                                                                 \
        rc = (expression);                                                                         \
    } while (cio__call_would_block(call, rc))

#define CIO__OS(call, function, ...) (call)->loop->os->ops->function((call)->loop->os, __VA_ARGS__)

#endif
