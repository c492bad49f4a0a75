/* The timer heap, and the arithmetic of deadlines. */
#include "loop/timers.h"

#include <errno.h>

#include "loop/loop.h"
#include "os/memory.h"

#define FIRST_CAPACITY 64u
#define CHILDREN 4u

void cio__timers_free(struct cio__timers *timers)
{
    cio__free(timers->heap);
    timers->heap = NULL;
    timers->n = timers->capacity = 0;
}

static bool earlier(const struct cio__timer *a, const struct cio__timer *b)
{
    if (likely(a->when_ns != b->when_ns))
        return a->when_ns < b->when_ns;
    return a->handle->sequence < b->handle->sequence;
}

static void put(struct cio__timers *timers, uint32_t place, struct cio__timer timer)
{
    timers->heap[place] = timer;
    timer.handle->slot = place;
}

static void sift_up(struct cio__timers *timers, uint32_t place, struct cio__timer timer)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / CHILDREN;
        if (!earlier(&timer, &timers->heap[parent]))
            break;
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    put(timers, place, timer);
}

static uint32_t earliest_child(const struct cio__timers *timers, uint32_t first)
{
    uint32_t end = first + CHILDREN < timers->n ? first + CHILDREN : timers->n;
    uint32_t best = first;
    for (uint32_t i = first + 1; i < end; i++)
        if (earlier(&timers->heap[i], &timers->heap[best]))
            best = i;
    return best;
}

static void sift_down(struct cio__timers *timers, uint32_t place, struct cio__timer timer)
{
    for (;;) {
        uint32_t first = place * CHILDREN + 1;
        if (first >= timers->n)
            break;
        uint32_t child = earliest_child(timers, first);
        if (!earlier(&timers->heap[child], &timer))
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

static int grow(struct cio__timers *timers)
{
    uint32_t capacity = timers->capacity ? timers->capacity * 2 : FIRST_CAPACITY;
    if (capacity > UINT32_MAX / CHILDREN)
        return -ENOMEM;
    struct cio__timer *heap = cio__realloc(timers->heap, capacity * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

int cio__timers_add(struct cio__timers *timers, cio_handle *handle)
{
    if (unlikely(timers->n == timers->capacity)) {
        int rc = grow(timers);
        if (rc < 0)
            return rc;
    }
    handle->sequence = timers->sequence++;
    cio__handle_set_state(handle, CIO__TIMER);
    sift_up(timers, timers->n++, (struct cio__timer){handle->when_ns, handle});
    return 0;
}

void cio__timers_remove(struct cio__timers *timers, cio_handle *handle)
{
    uint32_t place = handle->slot;
    struct cio__timer last = timers->heap[--timers->n];
    if (last.handle == handle)
        return;
    struct cio__timer gone = timers->heap[place];
    if (earlier(&last, &gone))
        sift_up(timers, place, last);
    else
        sift_down(timers, place, last);
}

/* The least integer not below x, which lies within int64_t; ceil() would ask for libm. */
static int64_t round_up(double x)
{
    int64_t whole = (int64_t)x;
    return (double)whole < x ? whole + 1 : whole;
}

int64_t cio__deadline_ns(double when)
{
    double ns = when * (double)CIO__NS_PER_S;
    if (ns >= (double)CIO__NEVER)
        return CIO__NEVER;
    if (ns <= (double)INT64_MIN)
        return INT64_MIN;
    int64_t deadline = round_up(ns);
    while ((double)deadline * 1e-9 < when) /* what rounding took */
        deadline++;
    return deadline;
}

int64_t cio__deadline_after_ns(int64_t now_ns, double seconds)
{
    double ns = seconds * (double)CIO__NS_PER_S;
    if (ns <= 0)
        return now_ns;
    if (ns >= (double)(CIO__NEVER - now_ns))
        return CIO__NEVER;
    return now_ns + round_up(ns);
}
