/*
 * A queue between threads and tasks.
 *
 * What is free, an item or a place, is never up for grabs while somebody waits for it: whoever is
 * woken has it promised, and if he cannot use it any more, because he was canceled meanwhile, passes
 * the promise on. So nobody is overtaken, and a call that fails has done nothing.
 */
#include <cio/thread.h>

#include <errno.h>
#include <string.h>

#include "io/sleeper.h"
#include "os/memory.h"
#include "task/tell.h"

/* Those who wait for one of two things: for an item, or for a place. */
struct side {
    struct cio__sleepers waiting;
    size_t promised; /* to those who were woken and have not come yet */
};

struct cio_thread_queue {
    pthread_mutex_t lock;
    struct side getters;
    struct side putters;
    bool closed;
    size_t inside; /* calls that wait, or were woken and are not done */
    size_t maxsize;
    size_t item_size; /* bytes */
    size_t head;      /* the place of the oldest item */
    size_t count;
    char items[];
};

cio_thread_queue *cio_thread_queue_new(size_t maxsize, size_t item_size)
{
    size_t size;
    if (maxsize == 0 || item_size == 0)
        return cio__fail(-EINVAL);
    if (__builtin_mul_overflow(maxsize, item_size, &size) ||
        __builtin_add_overflow(size, sizeof(cio_thread_queue), &size))
        return cio__fail(-ENOMEM);
    cio_thread_queue *queue = cio__alloc(size);
    if (!queue)
        return cio__fail(-ENOMEM);
    *queue = (cio_thread_queue){.maxsize = maxsize, .item_size = item_size};
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

int cio_thread_queue_free(cio_thread_queue *queue)
{
    if (!queue)
        return 0;
    pthread_mutex_lock(&queue->lock);
    bool busy = queue->inside > 0;
    pthread_mutex_unlock(&queue->lock);
    if (busy)
        return -EBUSY;
    pthread_mutex_destroy(&queue->lock);
    cio__free(queue);
    return 0;
}

/* ---- with the lock held ---- */

static bool has_item(const cio_thread_queue *queue)
{
    return queue->count > queue->getters.promised;
}

static bool has_room(const cio_thread_queue *queue)
{
    return queue->maxsize - queue->count > queue->putters.promised;
}

static void push(cio_thread_queue *queue, const void *item)
{
    size_t place = (queue->head + queue->count++) % queue->maxsize;
    memcpy(queue->items + place * queue->item_size, item, queue->item_size);
}

static void pop(cio_thread_queue *queue, void *item)
{
    memcpy(item, queue->items + queue->head * queue->item_size, queue->item_size);
    queue->head = (queue->head + 1) % queue->maxsize;
    queue->count--;
}

static struct cio__sleeper *promise(struct side *side)
{
    struct cio__sleeper *first = cio__sleepers_take(&side->waiting);
    side->promised += first != NULL;
    return first;
}

/* Who is to be woken because there is an item or a place; NULL: nobody. */
static struct cio__sleeper *next_getter(cio_thread_queue *queue)
{
    return has_item(queue) ? promise(&queue->getters) : NULL;
}

static struct cio__sleeper *next_putter(cio_thread_queue *queue)
{
    return has_room(queue) && !queue->closed ? promise(&queue->putters) : NULL;
}

/* ---- waiting ---- */

static void wake(struct cio__sleeper *sleeper)
{
    if (sleeper)
        cio__sleeper_wake(sleeper);
}

struct waiting {
    struct cio__sleeper sleeper; /* first */
    cio_thread_queue *queue;
    struct side *side;
};

/* With the lock held: it waits no longer. What was promised to it is free again. */
static void end_wait(struct waiting *waiting)
{
    waiting->queue->inside--;
    if (!waiting->sleeper.left && !waiting->sleeper.refused)
        waiting->side->promised--;
}

static void abandoned(struct cio__sleeper *sleeper)
{
    struct waiting *waiting = (struct waiting *)sleeper;
    cio_thread_queue *queue = waiting->queue;
    pthread_mutex_lock(&queue->lock);
    end_wait(waiting);
    bool for_item = waiting->side == &queue->getters;
    struct cio__sleeper *woken = for_item ? next_getter(queue) : next_putter(queue);
    pthread_mutex_unlock(&queue->lock);
    wake(woken);
}

/* Waits on one side until something is promised. Called, and returns, with the lock held. */
static int wait_on(cio_thread_queue *queue, struct side *side, const struct cio__wait_kind *kind,
                   double seconds)
{
    struct waiting self;
    cio__sleeper_line_up(&self.sleeper, &side->waiting, &queue->lock);
    self.sleeper.abandoned = abandoned;
    self.queue = queue;
    self.side = side;
    queue->inside++;
    pthread_mutex_unlock(&queue->lock);
    int rc = cio__sleeper_wait(&self.sleeper, kind, seconds);
    pthread_mutex_lock(&queue->lock);
    end_wait(&self);
    return rc == 0 && self.sleeper.refused ? CIO_ESHUTDOWN : rc;
}

/* No time to wait is told from a time that is over. */
static int check(const cio_thread_queue *queue, const void *item, double seconds)
{
    if (!queue || !item || seconds != seconds)
        return -EINVAL;
    return seconds < 0 ? 0 : cio__sleeper_check();
}

static int put(cio_thread_queue *queue, const void *item, const struct cio__wait_kind *kind,
               double seconds)
{
    int rc = check(queue, item, seconds);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&queue->lock);
    if (queue->closed)
        rc = CIO_ESHUTDOWN;
    else if (!has_room(queue))
        rc = seconds < 0 ? -EAGAIN : wait_on(queue, &queue->putters, kind, seconds);
    if (rc == 0 && queue->closed)
        rc = CIO_ESHUTDOWN;
    if (rc == 0)
        push(queue, item);
    struct cio__sleeper *woken = rc == 0 ? next_getter(queue) : next_putter(queue);
    pthread_mutex_unlock(&queue->lock);
    wake(woken);
    return rc;
}

static int get(cio_thread_queue *queue, void *item, const struct cio__wait_kind *kind,
               double seconds)
{
    int rc = check(queue, item, seconds);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&queue->lock);
    if (!has_item(queue)) {
        if (queue->closed)
            rc = CIO_ESHUTDOWN;
        else
            rc = seconds < 0 ? -EAGAIN : wait_on(queue, &queue->getters, kind, seconds);
    }
    if (rc == 0)
        pop(queue, item);
    struct cio__sleeper *woken = rc == 0 ? next_putter(queue) : next_getter(queue);
    pthread_mutex_unlock(&queue->lock);
    wake(woken);
    return rc;
}

static double at_least_now(double seconds)
{
    return seconds < 0 ? 0 : seconds;
}

static void tell_queue(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct waiting *self =
        (const struct waiting *)((const struct cio__sleeper_wait *)wait)->sleeper;
    cio__tell(tale, "thread queue %p, %s", (void *)self->queue,
              self->side == &self->queue->getters ? "for an item" : "for room");
}

static const struct cio__wait_kind put_kind = {
    .name = "cio_thread_queue_put", .cancel = cio__sleeper_cancel, .tell = tell_queue};
static const struct cio__wait_kind get_kind = {
    .name = "cio_thread_queue_get", .cancel = cio__sleeper_cancel, .tell = tell_queue};

int cio_thread_queue_put(cio_thread_queue *queue, const void *item)
{
    return put(queue, item, &put_kind, CIO_FOREVER);
}

int cio_thread_queue_put_for(cio_thread_queue *queue, const void *item, double seconds)
{
    return put(queue, item, &put_kind, at_least_now(seconds));
}

int cio_thread_queue_put_nowait(cio_thread_queue *queue, const void *item)
{
    return put(queue, item, &put_kind, -1);
}

int cio_thread_queue_get(cio_thread_queue *queue, void *item)
{
    return get(queue, item, &get_kind, CIO_FOREVER);
}

int cio_thread_queue_get_for(cio_thread_queue *queue, void *item, double seconds)
{
    return get(queue, item, &get_kind, at_least_now(seconds));
}

int cio_thread_queue_get_nowait(cio_thread_queue *queue, void *item)
{
    return get(queue, item, &get_kind, -1);
}

static struct cio__sleeper *refuse_all(struct side *side)
{
    struct cio__sleeper *chain = cio__sleepers_take_all(&side->waiting);
    for (struct cio__sleeper *sleeper = chain; sleeper; sleeper = sleeper->next)
        sleeper->refused = true;
    return chain;
}

int cio_thread_queue_close(cio_thread_queue *queue)
{
    if (!queue)
        return -EINVAL;
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    struct cio__sleeper *putters = refuse_all(&queue->putters);
    struct cio__sleeper *getters = refuse_all(&queue->getters);
    pthread_mutex_unlock(&queue->lock);
    cio__sleepers_wake(putters);
    cio__sleepers_wake(getters);
    return 0;
}

size_t cio_thread_queue_size(cio_thread_queue *queue)
{
    if (!queue)
        return 0;
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}
