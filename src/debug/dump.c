/* Dumps of all loops. */
#include <cio/debug.h>

#include <errno.h>

#include "debug/mode.h"
#include "debug/stop.h"

/* A loop that does not run is this thread's to look at if it was the last to have it. */
static void see(struct cio__snapshot *snapshot, cio_loop *loop, const struct cio__here *here)
{
    int thread = __atomic_load_n(&loop->thread, __ATOMIC_ACQUIRE);
    if (cio__loop_inherited(loop) || cio_is_closed(loop))
        return;
    if (loop == cio__running)
        cio__see_loop(snapshot, loop, here);
    else if (__atomic_load_n(&loop->running, __ATOMIC_ACQUIRE))
        cio__see_other_loop(snapshot, loop);
    else if (thread == cio__thread_number())
        cio__see_loop(snapshot, loop, NULL);
    else
        cio__see_no_answer(snapshot, loop, 0);
}

/* The list has the newest first; they are numbered from the oldest. */
static void see_all(struct cio__snapshot *snapshot, const struct cio__here *here)
{
    cio__loops_hold();
    cio_loop *loop = cio__loops;
    while (loop && loop->next)
        loop = loop->next;
    for (; loop; loop = loop->previous)
        see(snapshot, loop, here);
    cio__loops_release();
}

int cio__dump(struct cio__out *out, const struct cio__here *here)
{
    struct cio__snapshot snapshot;
    int rc = cio__snapshot_begin(&snapshot);
    if (rc < 0)
        return rc;
    see_all(&snapshot, here);
    rc = cio__print_snapshot(out, &snapshot);
    cio__snapshot_free(&snapshot);
    return rc;
}

/* The caller's own frame is where the dump's begin: what lies within is of no interest. */
#define HERE                                                                                       \
    {                                                                                              \
        .current = cio__current, .frame = {                                                        \
            .pc = (uintptr_t)__builtin_return_address(0) - 1,                                      \
            .sp = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(uintptr_t),                   \
            .fp = *(uintptr_t *)__builtin_frame_address(0),                                        \
            .fp_known = true,                                                                      \
        }                                                                                          \
    }

int cio_dump(FILE *stream)
{
    if (!stream)
        return -EINVAL;
    struct cio__here here = HERE;
    struct cio__out out = {.stream = stream};
    return cio__dump(&out, &here);
}

int cio_dump_fd(int fd)
{
    if (fd < 0)
        return -EINVAL;
    struct cio__here here = HERE;
    struct cio__out out = {.fd = fd};
    return cio__dump(&out, &here);
}
