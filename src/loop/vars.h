/*
 * What contexts are made of. A context is a snapshot: an array of variables with their values,
 * counted, which nobody changes who shares it. So a copy is one more reference, and setting a
 * variable makes a new snapshot, or changes one that nobody shares. NULL is the empty context.
 *
 * The current context has a place: the current task has one, and each thread has one for all that
 * is no task's. A place holds a snapshot of its own; or, with the lowest bit set, it refers to a
 * cio_context, the place of somebody else.
 *
 * Until somebody sets a variable all places are empty, and cio__vars_used says so: what inherits a
 * context then asks for nothing else.
 */
#ifndef CIO_LOOP_VARS_H
#define CIO_LOOP_VARS_H

#include <stdbool.h>
#include <stdint.h>

#include <cio/context.h>

#include "os/os.h"

struct cio__vars;

/* The bits below an address: in a place, and in the hint of a handle. */
#define CIO__PLACE_IS_ELSEWHERE ((uintptr_t)1)
#define CIO__HINT_IS_VARS ((uintptr_t)1) /* else it is any address that may be fetched ahead */
#define CIO__HINT_STAYS ((uintptr_t)2)   /* the callback is called again */

struct cio__place {
    uintptr_t *at;
    const void *where; /* with the id: which context this is, for tokens */
    uint64_t id;
};

/* This thread's place. A new id for each context that comes there, so that tokens are not mixed. */
struct cio__thread_vars {
    uintptr_t vars;
    uint64_t id;
    uint64_t last_id;
};
extern _Thread_local struct cio__thread_vars cio__thread_vars
    __attribute__((tls_model("initial-exec")));

/* Atomic. Hidden, or the compiler would look its address up first. */
extern bool cio__vars_used __attribute__((visibility("hidden")));

/* The place of the task that runs in this thread, if one does. The floor above sets it. */
extern bool (*cio__vars_of_task)(struct cio__place *place); /* atomic */

struct cio__vars *cio__vars_share(struct cio__vars *vars); /* one more reference; NULL for NULL */
void cio__vars_drop(struct cio__vars *vars);               /* one less; NULL does nothing */

/* The current context's snapshot, with a reference. Async-signal-safe. */
struct cio__vars *cio__vars_capture_used(void);

static inline bool cio__vars_in_use(void)
{
    return unlikely(__atomic_load_n(&cio__vars_used, __ATOMIC_RELAXED));
}

/* Before a place is anything but empty. */
static inline void cio__vars_are_used(void)
{
    __atomic_store_n(&cio__vars_used, true, __ATOMIC_RELAXED);
}

/*
 * The current context, to be given to something that runs later, perhaps in another thread. It is
 * given up again by cio__vars_leave() or cio__vars_drop().
 */
static inline struct cio__vars *cio__vars_capture(void)
{
    return cio__vars_in_use() ? cio__vars_capture_used() : NULL;
}

/*
 * In a thread, outside of tasks: what runs until the leave does so in this context. The leave lets
 * go of it, with what has been set, and puts back what was there before.
 */
struct cio__thread_vars cio__vars_enter(struct cio__vars *vars);
void cio__vars_leave(struct cio__thread_vars before);

/* The snapshot that a place has, or that it refers to; borrowed. */
struct cio__vars *cio__vars_at(struct cio__place place);

/* Lets go of what a place holds, and leaves it empty. */
void cio__vars_empty(uintptr_t *place);

/*
 * The hint of a handle, with CIO__HINT_STAYS or 0. In the empty context it is the handle's own
 * address, which is being fetched anyway: to look up that of nothing takes longer than a call.
 */
static inline const void *cio__vars_hint(const cio_handle *handle, uintptr_t stays)
{
    struct cio__vars *vars = cio__vars_capture();
    return unlikely(vars) ? (const void *)((uintptr_t)vars | CIO__HINT_IS_VARS | stays) : handle;
}

static inline bool cio__hint_is_vars(const void *hint)
{
    return unlikely((uintptr_t)hint & CIO__HINT_IS_VARS);
}

void cio__vars_forget_hint(const void **hint);

/* The handle's callback will not be called (again). */
#define CIO__FORGET_VARS(handle)                                                                   \
    do {                                                                                           \
        if (cio__hint_is_vars((handle)->hint))                                                     \
            cio__vars_forget_hint(&(handle)->hint);                                                \
    } while (0)

void cio__vars_call(cio_callback *fn, void *arg, const void *hint);
void cio__vars_end_call(void);

/* Calls a handle's callback in the context that its hint stands for, with nobody's set values. */
static inline void cio__call(cio_callback *fn, void *arg, const void *hint)
{
    if (cio__hint_is_vars(hint)) {
        cio__vars_call(fn, arg, hint);
        return;
    }
    fn(arg);
    if (unlikely(cio__thread_vars.vars))
        cio__vars_end_call();
}

#endif
