/*
 * What AddressSanitizer, ThreadSanitizer and valgrind must be told about stacks, in one place. All
 * of it is nothing in an ordinary build.
 */
#ifndef CIO_TASK_SANITIZER_H
#define CIO_TASK_SANITIZER_H

#include <stddef.h>

#include "os/valgrind.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define CIO__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CIO__TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CIO__ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define CIO__TSAN 1
#endif

#ifdef CIO__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CIO__TSAN
#include <pthread.h>
#include <sanitizer/tsan_interface.h>
#include <signal.h>
#endif

/* One stack that can be switched to, as the tools see it. */
struct cio__shadow {
#ifdef CIO__ASAN
    void *fake;
    const void *bottom;
    size_t size;
#endif
#ifdef CIO__TSAN
    void *fiber;
#endif
    char none[1]; /* so that it is never empty */
};

#ifdef CIO__TSAN
/*
 * ThreadSanitizer notes a signal with the fiber that it came upon, and calls the handler when that
 * fiber calls something that it intercepts. If it is left before, nobody hears of the signal until
 * it runs again, which may be never. So none comes any more from the last such call to the switch.
 */
static inline void cio__shadow_switch_fiber(struct cio__shadow *from, struct cio__shadow *to)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* is intercepted */
    from->fiber =
        __tsan_get_current_fiber(); /* a task that waits in a generator has left in that */
    __tsan_switch_to_fiber(to->fiber, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* It is the current one meanwhile, so what came would be lost with it. */
static inline void cio__shadow_destroy_fiber(struct cio__shadow *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    __tsan_destroy_fiber(self->fiber);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
#endif

/* Just before a switch away from `from`, which will never be returned to if it is dying. */
static inline __attribute__((always_inline)) void cio__shadow_leave(struct cio__shadow *from,
                                                                    struct cio__shadow *to,
                                                                    int dying)
{
    (void)from, (void)to, (void)dying;
#ifdef CIO__ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake, to->bottom, to->size);
#endif
#ifdef CIO__TSAN
    cio__shadow_switch_fiber(from, to);
#endif
}

/* Just after a switch to `self`; `peer` is where it came from. */
static inline __attribute__((always_inline)) void cio__shadow_arrive(struct cio__shadow *self,
                                                                     struct cio__shadow *peer)
{
    (void)self, (void)peer;
#ifdef CIO__ASAN
    __sanitizer_finish_switch_fiber(self->fake, &peer->bottom, &peer->size);
#endif
}

/* A stack begins, and ends, to hold a task. */
static inline void cio__shadow_begin(struct cio__shadow *self, void *bottom, size_t size)
{
    (void)self, (void)bottom, (void)size;
#ifdef CIO__ASAN
    __asan_unpoison_memory_region(bottom, size); /* frames that were never left */
    self->fake = NULL;
    self->bottom = bottom;
    self->size = size;
#endif
#ifdef CIO__TSAN
    self->fiber = __tsan_create_fiber(0);
#endif
}

static inline void cio__shadow_end(struct cio__shadow *self)
{
    (void)self;
#ifdef CIO__TSAN
    cio__shadow_destroy_fiber(self);
#endif
}

/* Memory becomes a stack, and ceases to be one. */
static inline unsigned cio__shadow_register(void *bottom, size_t size)
{
    (void)bottom, (void)size;
#ifdef VALGRIND_STACK_REGISTER
    return VALGRIND_STACK_REGISTER(bottom, (char *)bottom + size);
#else
    return 0;
#endif
}

static inline void cio__shadow_deregister(unsigned id)
{
    (void)id;
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(id);
#endif
}

#endif
