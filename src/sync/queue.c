/* asyncio.Queue, LifoQueue, PriorityQueue: the waiting. Where the items are is in slots.c. */
#include <cio/queue.h>

#include <errno.h>

#include "os/memory.h"
#include "sync/slots.h"
#include "sync/waiters.h"

/* ---- beginning and end ---- */

/* The size of a block says how it can be aligned at most. */
static size_t alignment_of(size_t size)
{
    size_t most = _Alignof(max_align_t);
    size_t alignment = size & -size;
    return alignment < most ? alignment : most;
}

/* A priority queue's slot is its sequence number and the item, as in CIO_PRIORITY_SLOT(). */
static void lay_out(cio_queue *q)
{
    q->slot_size = q->item_size;
    if (q->order != CIO__PRIORITY)
        return;
    size_t alignment = alignment_of(q->item_size);
    if (alignment < sizeof(uint64_t))
        alignment = sizeof(uint64_t);
    q->item_offset = alignment;
    q->slot_size = (alignment + q->item_size + alignment - 1) / alignment * alignment;
}

static int init(cio_queue *q, size_t maxsize, size_t item_size, cio_compare *compare, uint8_t order)
{
    if (!q || !maxsize || !item_size || maxsize > CIO_UNBOUNDED || item_size > CIO_UNBOUNDED)
        return -EINVAL;
    cio_queue new = {
        .maxsize = maxsize, .item_size = item_size, .compare = compare, .order = order};
    if (item_size > CIO_UNBOUNDED / 2)
        return -ENOMEM;
    lay_out(&new);
    new.owns_slots = true;
    if (maxsize != CIO_UNBOUNDED) {
        if (maxsize > CIO_UNBOUNDED / new.slot_size)
            return -ENOMEM;
        new.slots = cio__alloc(maxsize * new.slot_size);
        if (!new.slots)
            return -ENOMEM;
        new.room = maxsize;
    }
    cio__slots_set_limit(&new);
    *q = new;
    return 0;
}

int cio_queue_init(cio_queue *q, size_t maxsize, size_t item_size)
{
    return init(q, maxsize, item_size, NULL, CIO__FIFO);
}

int cio_lifo_queue_init(cio_queue *q, size_t maxsize, size_t item_size)
{
    return init(q, maxsize, item_size, NULL, CIO__LIFO);
}

int cio_priority_queue_init(cio_queue *q, size_t maxsize, size_t item_size, cio_compare *compare)
{
    return compare ? init(q, maxsize, item_size, compare, CIO__PRIORITY) : -EINVAL;
}

int cio_queue_destroy(cio_queue *q)
{
    if (!q)
        return -EINVAL;
    if (q->inside && cio__loop_is_open(q->getters.loop_id))
        return -EBUSY;
    if (q->owns_slots)
        cio__free(q->slots);
    *q = (cio_queue){0};
    return 0;
}

/* ---- waiting ---- */

/*
 * The getters' list says whose loop the queue is; the others follow. Where that loop is closed, its
 * tasks went with their stacks, and the queue is free again.
 */
static void follow(cio_queue *q)
{
    q->putters = q->joiners = (struct cio__waiters){.loop_id = q->getters.loop_id};
    q->inside = 0;
}

static int check_wait(cio_queue *q)
{
    if (likely(cio__current && q->getters.loop_id == cio__running->id))
        return 0;
    int rc = cio__waiters_check(&q->getters);
    if (rc == 0)
        follow(q);
    return rc;
}

static __attribute__((noinline)) int check_wake_slowly(cio_queue *q)
{
    int rc = cio__waiters_check_wake_slowly(&q->getters);
    if (q->getters.loop_id == 0)
        follow(q);
    return rc;
}

/* Whether who waits may be woken from here: they may belong to a loop that runs elsewhere. */
static inline int check_wake(cio_queue *q)
{
    if (likely(!q->inside || (cio__running && cio__running->id == q->getters.loop_id)))
        return 0;
    return check_wake_slowly(q);
}

static inline void wake_next(struct cio__waiters *list)
{
    if (list->first)
        cio__waiters_wake_next(list);
}

static int wait_in(cio_queue *q, struct cio__waiters *list, struct cio__waiter *waiter)
{
    int rc = check_wait(q);
    if (rc < 0)
        return rc;
    waiter->object = q;
    q->inside++;
    rc = cio__waiters_wait(list, waiter);
    q->inside--;
    return rc;
}

/* ---- put ---- */

static inline void add(cio_queue *q, const void *item)
{
    cio__slots_add(q, item);
    q->unfinished++;
    wake_next(&q->getters);
}

static __attribute__((noinline)) int put_nowait_slowly(cio_queue *q, const void *item)
{
    if (q->is_shut_down)
        return CIO_ESHUTDOWN;
    if (!q->maxsize)
        return CIO_ESTATE;
    if (q->count >= q->maxsize)
        return -EAGAIN;
    int rc = cio__slots_grow(q);
    if (rc == 0)
        add(q, item);
    return rc;
}

static inline int put_nowait(cio_queue *q, const void *item)
{
    int rc = check_wake(q);
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(q->count >= q->limit))
        return put_nowait_slowly(q, item);
    add(q, item);
    return 0;
}

int cio_queue_put_nowait(cio_queue *q, const void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    return put_nowait(q, item);
}

/* A woken one looks again: it may have been forestalled. One that will not put wakes the next. */
static __attribute__((noinline)) int put_slowly(cio_queue *q, const void *item)
{
    static const struct cio__wait_kind kind = {.name = "cio_queue_put"};
    int rc;
    while ((rc = put_nowait(q, item)) == -EAGAIN) {
        struct cio__waiter waiter = {.wait.kind = &kind};
        rc = wait_in(q, &q->putters, &waiter);
        if (rc < 0) {
            if (waiter.woken && !cio_queue_full(q))
                wake_next(&q->putters);
            break;
        }
    }
    return rc;
}

int cio_queue_put(cio_queue *q, const void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(q->count >= q->limit || check_wake(q) < 0))
        return put_slowly(q, item);
    add(q, item);
    return 0;
}

/* ---- get ---- */

static inline void take(cio_queue *q, void *item)
{
    cio__slots_take(q, item);
    if (unlikely(!q->count))
        cio__slots_trim(q);
    wake_next(&q->putters);
}

static inline int get_nowait(cio_queue *q, void *item)
{
    int rc = check_wake(q);
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(!q->count))
        return q->is_shut_down ? CIO_ESHUTDOWN : q->maxsize ? -EAGAIN : CIO_ESTATE;
    take(q, item);
    return 0;
}

int cio_queue_get_nowait(cio_queue *q, void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    return get_nowait(q, item);
}

static __attribute__((noinline)) int get_slowly(cio_queue *q, void *item)
{
    static const struct cio__wait_kind kind = {.name = "cio_queue_get"};
    int rc;
    while ((rc = get_nowait(q, item)) == -EAGAIN) {
        struct cio__waiter waiter = {.wait.kind = &kind};
        rc = wait_in(q, &q->getters, &waiter);
        if (rc < 0) {
            if (waiter.woken && q->count)
                wake_next(&q->getters);
            break;
        }
    }
    return rc;
}

int cio_queue_get(cio_queue *q, void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(!q->count || check_wake(q) < 0))
        return get_slowly(q, item);
    take(q, item);
    return 0;
}

/* ---- the work on items ---- */

int cio_queue_task_done(cio_queue *q)
{
    if (!q)
        return -EINVAL;
    int rc = check_wake(q);
    if (rc < 0)
        return rc;
    if (!q->unfinished)
        return CIO_ESTATE;
    if (--q->unfinished == 0)
        cio__waiters_wake_all(&q->joiners);
    return 0;
}

int cio_queue_join(cio_queue *q)
{
    static const struct cio__wait_kind kind = {.name = "cio_queue_join"};
    struct cio__waiter waiter = {.wait.kind = &kind};
    if (!q)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (!q->maxsize)
        return CIO_ESTATE;
    return q->unfinished ? wait_in(q, &q->joiners, &waiter) : 0;
}

static void drop_all(cio_queue *q)
{
    q->unfinished -= q->count < q->unfinished ? q->count : q->unfinished;
    q->count = q->head = 0;
    cio__slots_trim(q);
    if (!q->unfinished)
        cio__waiters_wake_all(&q->joiners);
}

int cio_queue_shutdown(cio_queue *q, bool immediate)
{
    if (!q)
        return -EINVAL;
    if (!q->maxsize)
        return CIO_ESTATE;
    int rc = check_wake(q);
    if (rc < 0)
        return rc;
    q->is_shut_down = true;
    cio__slots_set_limit(q);
    if (immediate)
        drop_all(q);
    cio__waiters_wake_all(&q->getters);
    cio__waiters_wake_all(&q->putters);
    return 0;
}

/* ---- looking ---- */

size_t cio_queue_qsize(const cio_queue *q)
{
    return q ? q->count : 0;
}

size_t cio_queue_maxsize(const cio_queue *q)
{
    return q ? q->maxsize : 0;
}

bool cio_queue_empty(const cio_queue *q)
{
    return !q || !q->count;
}

bool cio_queue_full(const cio_queue *q)
{
    return !q || q->count >= q->maxsize;
}
