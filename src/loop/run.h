/*
 * The inner loop: runs turns for as long as there is nothing to do but to run. It is a template, to
 * be instantiated with the way in which a handle is run, because a processor predicts returns by a
 * stack of its own: a task that is switched to must find there what it left, and a call or a return
 * of ours between two switches would upset that, at the price of several switches.
 */
#ifndef CIO_LOOP_RUN_H
#define CIO_LOOP_RUN_H

#include "loop/loop.h"

#define CIO__PREFETCH_HANDLES 12 /* how far ahead of the one that runs */
#define CIO__PREFETCH_HINTS 6

/* Handles lie about, and so do the stacks that they point to: have both on their way in time. */
static inline __attribute__((always_inline)) void cio__prefetch(const struct cio__ready *ready,
                                                                uint64_t position)
{
    uint64_t behind = ready->tail - position;
    if (behind <= CIO__PREFETCH_HINTS)
        return;
    if (behind > CIO__PREFETCH_HANDLES)
        __builtin_prefetch(ready->slots[(position + CIO__PREFETCH_HANDLES) & ready->mask]);
    const cio_handle *soon = ready->slots[(position + CIO__PREFETCH_HINTS) & ready->mask];
    if (likely(soon != NULL)) {
        __builtin_prefetch((const char *)soon + CIO__CACHE_LINE);
        __builtin_prefetch(soon->hint);
        __builtin_prefetch((const void *)((uintptr_t)soon->hint - CIO__CACHE_LINE));
    }
}

/*
 * A turn runs exactly what is queued when it begins; what that queues is for the next one. It may
 * be stopped on its way, for a look at the clock: see turn.c.
 */
static inline __attribute__((always_inline)) void cio__begin_turn(cio_loop *loop)
{
    uint64_t end = loop->ready.tail;
    loop->turn_end = end;
    loop->turns++;
    cio__set_stop_at(loop, end < loop->check_at ? end : loop->check_at);
}

/*
 * Whether, where the loop was to stop, the next turn can begin without asking anybody for anything.
 * Other threads use the inbox to get attention, or the ticker.
 */
static inline __attribute__((always_inline)) bool cio__can_go_on(const cio_loop *loop,
                                                                 uint64_t stop_at)
{
    return stop_at != 0 && loop->ready.head < loop->check_at &&
           loop->ready.head != loop->ready.tail && !cio__inbox_has_mail(loop);
}

/* The handle that is to run next, NULL if there is none now or it was canceled. */
static inline __attribute__((always_inline)) cio_handle *cio__peek_ready(cio_loop *loop)
{
    struct cio__ready *ready = &loop->ready;
    uint64_t stop_at = cio__stop_at(loop);
    if (ready->head >= stop_at) {
        if (unlikely(!cio__can_go_on(loop, stop_at)))
            return NULL;
        cio__begin_turn(loop);
    }
    return ready->slots[ready->head & ready->mask];
}

/* Takes the handle that was peeked at from the ring. */
static inline __attribute__((always_inline)) void cio__take_ready(cio_loop *loop,
                                                                  cio_handle *handle)
{
    cio__prefetch(&loop->ready, loop->ready.head++);
    cio__handle_set_state(handle, cio__handle_state(handle) & CIO__WATCH);
}

/*
 * Runs what the turn has left up to where it stops. run(context, fn, arg, hint) is called for each
 * handle; for a callback that is cio__call().
 */
static inline __attribute__((always_inline)) void cio__run_turns(
    cio_loop *loop, void (*run)(void *, cio_callback *, void *, const void *), void *context)
{
    struct cio__ready *ready = &loop->ready;
    for (;;) {
        cio_handle *handle = cio__peek_ready(loop);
        if (likely(handle != NULL)) {
            cio_callback *fn = handle->fn;
            void *arg = handle->arg;
            const void *hint = handle->hint;
            cio__take_ready(loop, handle);
            run(context, fn, arg, hint);
        } else if (ready->head >= cio__stop_at(loop)) {
            break;
        } else {
            ready->head++; /* canceled */
            loop->counts.canceled++;
        }
    }
}

#endif
