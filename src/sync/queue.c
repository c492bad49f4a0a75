/* asyncio.Queue, LifoQueue, PriorityQueue: the waiting. Where the items are is in slots.c. */
#include <cio/queue.h>

#include <errno.h>

#include "os/memory.h"
#include "sync/slots.h"
#include "sync/waiters.h"
#include "task/tell.h"

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
    new.is_plain = order == CIO__FIFO &&item_size == 8;
    if (maxsize != CIO_UNBOUNDED) {
        if (maxsize > CIO_UNBOUNDED / new.slot_size)
            return -ENOMEM;
        new.slots = cio__alloc(maxsize * new.slot_size);
        if (!new.slots)
            return -ENOMEM;
        new.room = maxsize;
    }
    cio__slots_changed(&new);
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

static __attribute__((noinline)) int check_wait_slowly(cio_queue *q)
{
    int rc = cio__waiters_check_slowly(&q->getters);
    if (rc == 0)
        follow(q);
    return rc;
}

/* Whether the current task may wait here. */
static inline int check_wait(cio_queue *q)
{
    if (likely(cio__current && q->getters.loop_id == cio__running->id))
        return 0;
    return check_wait_slowly(q);
}

static __attribute__((noinline)) int check_wake_slowly(cio_queue *q)
{
    int rc = cio__waiters_check_wake_slowly(&q->getters);
    if (q->getters.loop_id == 0)
        follow(q);
    return rc;
}

/* Nobody waits, or those of the loop that runs here. */
static inline bool is_ours(const cio_queue *q)
{
    return !q->inside || (cio__running && cio__running->id == q->getters.loop_id);
}

/* Whether who waits may be woken from here: they may belong to a loop that runs elsewhere. */
static inline int check_wake(cio_queue *q)
{
    return likely(is_ours(q)) ? 0 : check_wake_slowly(q);
}

static void tell(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_queue *q = ((const struct cio__waiter *)wait)->object;
    if (q->maxsize == CIO_UNBOUNDED)
        cio__tell(tale, "queue %p, %zu in it, %zu unfinished", (const void *)q, q->count,
                  q->unfinished);
    else
        cio__tell(tale, "queue %p, %zu of %zu in it, %zu unfinished", (const void *)q, q->count,
                  q->maxsize, q->unfinished);
}

/* The waiter's fields are set one by one: clearing all of it takes longer than some of them. */
static inline int wait_in(cio_queue *q, struct cio__waiters *list, struct cio__waiter *waiter,
                          const struct cio__wait_kind *kind)
{
    int rc = check_wait(q);
    waiter->woken = false;
    if (unlikely(rc < 0))
        return rc;
    waiter->wait.kind = kind;
    waiter->wait.canceled = false;
    waiter->object = q;
    q->inside++;
    rc = cio__waiters_wait(list, waiter);
    q->inside--;
    return rc;
}

/* ---- put and get ---- */

static inline void add(cio_queue *q, const void *item)
{
    cio__slots_add(q, item);
    q->unfinished++;
    cio__waiters_wake_next(&q->getters);
}

static inline void take(cio_queue *q, void *item)
{
    cio__slots_take(q, item);
    if (unlikely(!q->is_plain))
        cio__slots_trim(q);
    cio__waiters_wake_next(&q->putters);
}

static __attribute__((noinline)) int grow_and_add(cio_queue *q, const void *item)
{
    int rc = cio__slots_grow(q);
    if (rc == 0)
        add(q, item);
    return rc;
}

/* What comes of a put that finds no room, without a wait: -EAGAIN if it would have to. */
static inline int put_beyond_limit(cio_queue *q, const void *item)
{
    if (q->is_shut_down)
        return CIO_ESHUTDOWN;
    if (!q->maxsize)
        return CIO_ESTATE;
    return q->count >= q->maxsize ? -EAGAIN : grow_and_add(q, item);
}

/* The same of a get that finds nothing. */
static inline int get_from_nothing(const cio_queue *q)
{
    return q->is_shut_down ? CIO_ESHUTDOWN : q->maxsize ? -EAGAIN : CIO_ESTATE;
}

int cio_queue_put_nowait(cio_queue *q, const void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    int rc = check_wake(q);
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(q->count >= q->limit))
        return put_beyond_limit(q, item);
    add(q, item);
    return 0;
}

int cio_queue_get_nowait(cio_queue *q, void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    int rc = check_wake(q);
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(!q->count))
        return get_from_nothing(q);
    take(q, item);
    return 0;
}

/* Who was woken and will not go has the next one woken instead, if there still is a reason to. */
static void pass_on(cio_queue *q, struct cio__waiters *list)
{
    if (list == &q->putters ? q->count < q->maxsize : q->count > 0)
        cio__waiters_wake_next(list);
}

/*
 * Puts *from, or gets into *to, after a wait. A woken one looks again: it may have been forestalled.
 * One function for both, so that the returns from a switch are those that the processor has seen
 * the partner's calls for, as far as can be.
 */
static __attribute__((noinline)) int wait_and_go(cio_queue *q, const void *from, void *to)
{
    static const struct cio__wait_kind put_kind = {.name = "cio_queue_put", .tell = tell};
    static const struct cio__wait_kind get_kind = {.name = "cio_queue_get", .tell = tell};
    struct cio__waiters *list = from ? &q->putters : &q->getters;
    struct cio__waiter waiter;
    for (;;) {
        int rc = from ? put_beyond_limit(q, from) : get_from_nothing(q);
        if (unlikely(rc != -EAGAIN))
            return rc;
        rc = wait_in(q, list, &waiter, from ? &put_kind : &get_kind);
        if (unlikely(rc < 0)) {
            if (waiter.woken)
                pass_on(q, list);
            return rc;
        }
        if (from && likely(q->count < q->limit)) {
            add(q, from);
            return 0;
        }
        if (!from && likely(q->count)) {
            take(q, to);
            return 0;
        }
    }
}

/*
 * What nearly every call comes to stands here alone, so that the compiler need not save registers
 * for what the others call.
 */
int cio_queue_put(cio_queue *q, const void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(q->count >= q->limit))
        return wait_and_go(q, item, NULL);
    if (unlikely(!q->is_plain || !is_ours(q)))
        return cio_queue_put_nowait(q, item);
    add(q, item);
    return 0;
}

int cio_queue_get(cio_queue *q, void *item)
{
    if (unlikely(!q || !item))
        return -EINVAL;
    if (unlikely(!cio__current))
        return CIO_ENOTASK;
    if (unlikely(!q->count))
        return wait_and_go(q, NULL, item);
    if (unlikely(!q->is_plain || !is_ours(q)))
        return cio_queue_get_nowait(q, item);
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
    static const struct cio__wait_kind kind = {.name = "cio_queue_join", .tell = tell};
    struct cio__waiter waiter;
    if (!q)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (!q->maxsize)
        return CIO_ESTATE;
    return q->unfinished ? wait_in(q, &q->joiners, &waiter, &kind) : 0;
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
    cio__slots_changed(q);
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
