/* Generators: coroutines that are driven by whoever wants their next value. */
#include "task/generator.h"

#include <errno.h>
#include <string.h>

#include "os/memory.h"

#ifdef __has_include
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define SINGLE_THREADED __libc_single_threaded
#endif
#endif
#ifndef SINGLE_THREADED
#define SINGLE_THREADED false
#endif

#if defined(CIO__ASAN) || defined(CIO__TSAN)
#define SHADOW(g) (&(g)->shadow)
#define CONSUMER_SHADOW(g) (&(g)->consumer_shadow)
#else
#define SHADOW(g) ((struct cio__shadow *)NULL)
#define CONSUMER_SHADOW(g) ((struct cio__shadow *)NULL)
#endif

enum {
    CREATED = CIO_GENERATOR_CREATED,
    SUSPENDED = CIO_GENERATOR_SUSPENDED,
    RUNNING = CIO_GENERATOR_RUNNING,
    CLOSED = CIO_GENERATOR_CLOSED,
};

/* ---- who may run it ---- */

/* Release: whoever finds it free again, in any thread, finds its context and values too. */
static inline void set_state(cio_generator *g, uint8_t state)
{
    __atomic_store_n(&g->state, state, __ATOMIC_RELEASE);
}

/* One that belongs to a loop is left alone by other loops' threads, and by any while it runs. */
static bool is_ours(const cio_generator *g)
{
    return !g->loop || g->loop == cio__running || (!cio__running && !cio_is_running(g->loop));
}

/* Whether no other thread can want it just now. */
static inline bool is_private(const cio_generator *g)
{
    return g->loop ? g->loop == cio__running : SINGLE_THREADED;
}

/* Of several threads one gets it. */
static __attribute__((noinline)) int occupy_shared(cio_generator *g)
{
    if (!is_ours(g))
        return CIO_EWRONGLOOP;
    uint8_t state = __atomic_load_n(&g->state, __ATOMIC_RELAXED);
    do {
        if (state == RUNNING)
            return CIO_EREENTERED;
    } while (!__atomic_compare_exchange_n(&g->state, &state, RUNNING, true, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED));
    return state;
}

/*
 * Makes it ours until set_state(). Returns the state in which it was, or an error. A generator that
 * only one thread can use costs no atomic operation.
 */
static inline int occupy(cio_generator *g)
{
    if (unlikely(!is_private(g)))
        return occupy_shared(g);
    uint8_t state = g->state;
    if (unlikely(state == RUNNING))
        return CIO_EREENTERED;
    g->state = RUNNING;
    return state;
}

/* ---- there and back ---- */

/* The body has returned, and its stack was left. Its end is told once. */
static int finish(cio_generator *g)
{
    struct cio__stack *stack = g->stack;
    int rc = g->rc;
    if (g->to_consumer)
        *g->to_consumer = rc < 0 ? NULL : g->result;
    g->stack = NULL;
    cio__shadow_end(SHADOW(g));
    cio__generator_stack_give(g, stack);
    set_state(g, CLOSED);
    return rc < 0 ? rc : 0;
}

static cio_generator *generator_of(struct cio__context *context)
{
    return (cio_generator *)((char *)context - offsetof(cio_generator, context));
}

#ifdef CIO__HAVE_SWAP

int cio__generator_left(struct cio__context *self)
{
    cio_generator *g = generator_of(self);
    if (g->returned)
        return finish(g);
    set_state(g, SUSPENDED);
    return 1;
}

void cio__generator_main(struct cio__context *self)
{
    cio_generator *g = generator_of(self);
    g->rc = g->fn(g, g->arg);
    g->returned = true;
    cio__swap_and_tell(self, &g->consumer);
    __builtin_unreachable();
}

/* Runs the body until it yields: 1, or ends. */
static inline __attribute__((always_inline)) int resume(cio_generator *g)
{
    return cio__swap(&g->consumer, &g->context, g->rc);
}

/*
 * In the body: back to the consumer. Returns what was thrown in. Other threads may have it only
 * when it has been left.
 */
static inline __attribute__((always_inline)) int suspend(cio_generator *g)
{
    if (unlikely(!is_private(g)))
        return cio__swap_and_tell(&g->context, &g->consumer);
    g->state = SUSPENDED;
    return cio__swap(&g->context, &g->consumer, 1);
}

#else

void cio__generator_main(struct cio__context *self)
{
    cio_generator *g = generator_of(self);
    cio__shadow_arrive(SHADOW(g), CONSUMER_SHADOW(g));
    g->rc = g->fn(g, g->arg);
    g->returned = true;
    cio__shadow_leave(SHADOW(g), CONSUMER_SHADOW(g), 1);
    cio__context_switch(&g->context, &g->consumer);
    __builtin_unreachable();
}

static inline __attribute__((always_inline)) int resume(cio_generator *g)
{
    cio__shadow_leave(CONSUMER_SHADOW(g), SHADOW(g), 0);
    cio__context_switch(&g->consumer, &g->context);
    cio__shadow_arrive(CONSUMER_SHADOW(g), SHADOW(g));
    if (g->returned)
        return finish(g);
    set_state(g, SUSPENDED);
    return 1;
}

static inline __attribute__((always_inline)) int suspend(cio_generator *g)
{
    cio__shadow_leave(SHADOW(g), CONSUMER_SHADOW(g), 0);
    cio__context_switch(&g->context, &g->consumer);
    cio__shadow_arrive(SHADOW(g), CONSUMER_SHADOW(g));
    return g->rc;
}

#endif

static bool prepare(cio_generator *g)
{
    struct cio__stack *stack = cio__generator_stack_take(g);
    if (!stack)
        return false;
    g->stack = stack;
    cio__context_begin_generator(&g->context, stack->bottom, stack->top);
    cio__shadow_begin(SHADOW(g), stack->bottom,
                      (size_t)((char *)stack->top - (char *)stack->bottom));
    return true;
}

/* Ends one that never ran. */
static int end_before_start(cio_generator *g, int rc)
{
    g->rc = rc;
    set_state(g, CLOSED);
    return rc;
}

static int begin(cio_generator *g, void *sent, int thrown, void **value)
{
    if (thrown)
        return end_before_start(g, thrown);
    int rc = sent ? CIO_ESTATE : prepare(g) ? 0 : CIO_ENOSTACK;
    if (rc < 0) {
        set_state(g, CREATED);
        return rc;
    }
    g->to_consumer = value;
    return resume(g);
}

/* The seldom cases: it has not begun, it has ended, or somebody else has it. */
static __attribute__((noinline)) int drive_slowly(cio_generator *g, int state, void *sent,
                                                  int thrown, void **value)
{
    if (value)
        *value = NULL;
    if (state < 0)
        return state;
    if (state == CREATED)
        return begin(g, sent, thrown, value);
    set_state(g, CLOSED);
    return thrown;
}

static inline __attribute__((always_inline)) int drive(cio_generator *g, void *sent, int thrown,
                                                       void **value)
{
    if (unlikely(!g))
        return -EINVAL;
    int state = occupy(g);
    if (unlikely(state != SUSPENDED))
        return drive_slowly(g, state, sent, thrown, value);
    if (g->to_body)
        *g->to_body = sent;
    g->rc = thrown;
    g->to_consumer = value;
    return resume(g);
}

int cio_generator_next(cio_generator *g, void **value)
{
    return drive(g, NULL, 0, value);
}

int cio_generator_send(cio_generator *g, void *sent, void **value)
{
    return drive(g, sent, 0, value);
}

int cio_generator_throw(cio_generator *g, int rc, void **value)
{
    return rc < 0 ? drive(g, NULL, rc, value) : -EINVAL;
}

int cio_generator_close(cio_generator *g)
{
    int rc = drive(g, NULL, CIO_ESHUTDOWN, NULL);
    if (rc > 0)
        return CIO_ESTATE; /* it has yielded once more */
    return rc == CIO_ESHUTDOWN ? 0 : rc;
}

/* ---- in the body ---- */

static inline bool in_body(const cio_generator *g, const void *frame)
{
    const struct cio__stack *stack = g->stack;
    return stack && frame >= stack->bottom && frame < stack->top;
}

int cio_generator_yield(cio_generator *g, void *value, void **sent)
{
    if (unlikely(!g))
        return -EINVAL;
    if (unlikely(!in_body(g, __builtin_frame_address(0))))
        return CIO_ESTATE;
    if (g->to_consumer)
        *g->to_consumer = value;
    g->to_body = sent;
    return suspend(g);
}

int cio_generator_delegate(cio_generator *g, cio_generator *inner, void **result)
{
    if (result)
        *result = NULL;
    if (!g || !inner)
        return -EINVAL;
    if (!in_body(g, __builtin_frame_address(0)))
        return CIO_ESTATE;
    void *value;
    void *sent = NULL;
    int rc, thrown = 0;
    for (;;) {
        rc = thrown ? cio_generator_throw(inner, thrown, &value)
                    : cio_generator_send(inner, sent, &value);
        if (rc <= 0)
            break;
        thrown = cio_generator_yield(g, value, &sent);
        if (thrown == CIO_ESHUTDOWN) {
            rc = cio_generator_close(inner);
            return rc < 0 ? rc : CIO_ESHUTDOWN;
        }
    }
    if (rc < 0)
        return rc;
    if (result)
        *result = value;
    return inner->rc < 0 ? 0 : inner->rc; /* an error that was told before is not told again */
}

int cio_generator_return(cio_generator *g, int rc, void *value)
{
    if (g && rc >= 0 && in_body(g, __builtin_frame_address(0)))
        g->result = value;
    return rc;
}

/* ---- its life ---- */

static int check_new(const cio_generator_options *options, cio_generator_fn *fn)
{
    size_t size = options->stack_size;
    if (!fn || (size && (size < CIO__STACK_LEAST || size > CIO__STACK_MOST)))
        return -EINVAL;
    return cio__shadow_stack_is_on() ? CIO_ESHADOWSTACK : 0;
}

static char *copy_name(const char *name)
{
    size_t size = strlen(name) + 1;
    char *copy = cio__alloc(size);
    return copy ? memcpy(copy, name, size) : NULL;
}

cio_generator *cio_generator_new_with(const cio_generator_options *options, cio_generator_fn *fn,
                                      void *arg)
{
    static const cio_generator_options defaults;
    if (!options)
        options = &defaults;
    int rc = check_new(options, fn);
    if (rc < 0)
        return cio__fail(rc);
    cio_loop *loop = cio__running;
    if (loop && !cio__tasks_of(loop))
        return cio__fail(-ENOMEM);
    cio_generator *g = cio__alloc(sizeof *g);
    char *name = g && options->name ? copy_name(options->name) : NULL;
    if (!g || (options->name && !name)) {
        cio__free(g);
        return cio__fail(-ENOMEM);
    }
    *g = (cio_generator){
        .loop = loop, .fn = fn, .arg = arg, .name = name, .stack_size = options->stack_size};
    if (loop)
        cio__generator_enlist(g);
    return g;
}

cio_generator *cio_generator_new(cio_generator_fn *fn, void *arg)
{
    return cio_generator_new_with(NULL, fn, arg);
}

int cio_generator_free(cio_generator *g)
{
    if (!g)
        return 0;
    int rc = cio_generator_close(g);
    int state = occupy(g);
    if (state < 0)
        return state;
    if (state != CLOSED) {
        set_state(g, (uint8_t)state);
        return rc;
    }
    if (g->loop)
        cio__generator_delist(g);
    cio__free(g->name);
    cio__free(g);
    return rc;
}

int cio_generator_state(const cio_generator *g)
{
    return g ? __atomic_load_n(&g->state, __ATOMIC_ACQUIRE) : -EINVAL;
}

int cio_generator_result(const cio_generator *g, void **value)
{
    if (value)
        *value = NULL;
    if (!g)
        return -EINVAL;
    if (cio_generator_state(g) != CLOSED)
        return CIO_ESTATE;
    if (value && g->rc >= 0)
        *value = g->result;
    return g->rc;
}
