/*
 * Broadcast channels. Messages are numbered; number n lies in slot n % size. Each subscriber has a
 * position of its own, so a message is stored once, however many receive it.
 */
#include <cio/broadcast.h>

#include <errno.h>
#include <string.h>

#include <cio/queue.h>

#include "os/memory.h"
#include "sync/waiters.h"
#include "task/tell.h"

int cio_broadcast_init(cio_broadcast *b, size_t size, size_t item_size)
{
    if (!b || !size || !item_size || size >= CIO_UNBOUNDED || item_size >= CIO_UNBOUNDED)
        return -EINVAL;
    void *slots = size <= CIO_UNBOUNDED / item_size ? cio__alloc(size * item_size) : NULL;
    if (!slots)
        return -ENOMEM;
    *b = (cio_broadcast){.slots = slots, .size = size, .item_size = item_size, .owns_slots = true};
    return 0;
}

int cio_broadcast_destroy(cio_broadcast *b)
{
    if (!b)
        return -EINVAL;
    if (b->first || (b->inside && cio__loop_is_open(b->senders.loop_id)))
        return -EBUSY;
    if (b->owns_slots)
        cio__free(b->slots);
    *b = (cio_broadcast){0};
    return 0;
}

static void *slot(const cio_broadcast *b, uint64_t number)
{
    return (char *)b->slots + number % b->size * b->item_size;
}

/* ---- waiting ---- */

/*
 * The senders' list says whose loop the channel is; the receivers' follow. Where that loop is
 * closed, its tasks went with their stacks, and the channel is free again.
 */
static void follow(cio_broadcast *b)
{
    for (cio_subscriber *s = b->first; s; s = s->next) {
        s->receivers = (struct cio__waiters){.loop_id = b->senders.loop_id};
        s->inside = 0;
    }
    b->inside = b->promised = 0;
}

static int check_wait(cio_broadcast *b)
{
    if (likely(cio__current && b->senders.loop_id == cio__running->id))
        return 0;
    int rc = cio__waiters_check_slowly(&b->senders);
    if (rc == 0)
        follow(b);
    return rc;
}

/* Whether who waits may be woken from here: they may belong to a loop that runs elsewhere. */
static int check_wake(cio_broadcast *b)
{
    if (likely(!b->inside || (cio__running && cio__running->id == b->senders.loop_id)))
        return 0;
    int rc = cio__waiters_check_wake_slowly(&b->senders);
    if (b->senders.loop_id == 0)
        follow(b);
    return rc;
}

static void tell_sender(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_broadcast *b = ((const struct cio__waiter *)wait)->object;
    cio__tell(tale, "channel %p, full for %zu of %zu subscribers", (const void *)b, b->n_slowest,
              b->n_subscribers);
}

static void tell_receiver(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_subscriber *s = ((const struct cio__waiter *)wait)->object;
    cio__tell(tale, "channel %p, nothing sent", (const void *)s->broadcast);
}

static int wait_in(cio_broadcast *b, struct cio__waiters *list, struct cio__waiter *waiter)
{
    b->inside++;
    int rc = cio__waiters_wait(list, waiter);
    b->inside--;
    return rc;
}

/* ---- who is waited for ---- */

/* How many messages can be sent before somebody has to be waited for. */
static size_t room(const cio_broadcast *b)
{
    return b->n_waited_for ? b->size - (size_t)(b->sent - b->slowest) : SIZE_MAX;
}

/* A woken sender keeps its place: a newcomer finds that there is none for it. */
static void wake_senders(cio_broadcast *b)
{
    while (room(b) > b->promised && cio__waiters_wake_next(&b->senders))
        b->promised++;
}

static void find_slowest(cio_broadcast *b)
{
    b->slowest = b->sent;
    b->n_slowest = 0;
    for (const cio_subscriber *s = b->first; s; s = s->next) {
        if (s->slow != CIO_SLOW_WAIT || s->position > b->slowest)
            continue;
        if (s->position < b->slowest)
            b->n_slowest = 0;
        b->slowest = s->position;
        b->n_slowest++;
    }
}

/* One that is waited for leaves this position. When the last of the slowest does there is room. */
static void leave_position(cio_broadcast *b, uint64_t position)
{
    if (position != b->slowest || --b->n_slowest > 0)
        return;
    find_slowest(b);
    wake_senders(b);
}

/* ---- subscribers ---- */

size_t cio_broadcast_subscribers(const cio_broadcast *b)
{
    return b ? b->n_subscribers : 0;
}

static void enlist(cio_broadcast *b, cio_subscriber *s)
{
    s->previous = b->last;
    if (b->last)
        b->last->next = s;
    else
        b->first = s;
    b->last = s;
    b->n_subscribers++;
}

static void delist(cio_broadcast *b, const cio_subscriber *s)
{
    if (s->previous)
        s->previous->next = s->next;
    else
        b->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        b->last = s->previous;
    b->n_subscribers--;
}

int cio_subscribe(cio_subscriber *s, cio_broadcast *b, cio_slow slow)
{
    if (!s || !b || (unsigned)slow > CIO_SLOW_DROP)
        return -EINVAL;
    if (s->broadcast || !b->size)
        return CIO_ESTATE;
    if (b->is_closed)
        return CIO_ESHUTDOWN;
    *s = (cio_subscriber){.broadcast = b, .position = b->sent, .slow = slow};
    s->receivers.loop_id = b->senders.loop_id;
    enlist(b, s);
    if (slow == CIO_SLOW_WAIT) {
        if (b->n_waited_for++ == 0)
            find_slowest(b);
        else
            b->n_slowest += b->slowest == b->sent;
    }
    return 0;
}

int cio_unsubscribe(cio_subscriber *s)
{
    if (!s)
        return -EINVAL;
    cio_broadcast *b = s->broadcast;
    if (!b)
        return CIO_ESTATE;
    int rc = b->senders.first ? check_wake(b) : 0;
    if (rc < 0)
        return rc;
    if (s->inside && cio__loop_is_open(s->receivers.loop_id))
        return -EBUSY;
    delist(b, s);
    if (s->slow == CIO_SLOW_WAIT) {
        b->n_waited_for--;
        leave_position(b, s->position);
    }
    *s = (cio_subscriber){0};
    return 0;
}

/* How many messages the channel has forgotten that s has not received. */
static uint64_t gap(const cio_subscriber *s)
{
    uint64_t behind = s->broadcast->sent - s->position;
    return behind > s->broadcast->size ? behind - s->broadcast->size : 0;
}

uint64_t cio_subscriber_lost(const cio_subscriber *s)
{
    return s && s->broadcast ? s->lost + gap(s) : 0;
}

size_t cio_subscriber_pending(const cio_subscriber *s)
{
    if (!s || !s->broadcast || (s->slow == CIO_SLOW_DROP && gap(s)))
        return 0;
    return (size_t)(s->broadcast->sent - s->position - gap(s));
}

/* ---- sending ---- */

static void send_to_all(cio_broadcast *b, const void *item)
{
    memcpy(slot(b, b->sent), item, b->item_size);
    b->sent++;
    for (cio_subscriber *s = b->first; s; s = s->next)
        cio__waiters_wake_next(&s->receivers);
}

/* What a send comes to that need not wait: 0 if it may go. */
static int may_send(cio_broadcast *b)
{
    int rc = check_wake(b);
    if (rc < 0)
        return rc;
    if (!b->size)
        return CIO_ESTATE;
    return b->is_closed ? CIO_ESHUTDOWN : 0;
}

int cio_broadcast_send_nowait(cio_broadcast *b, const void *item)
{
    if (!b || !item)
        return -EINVAL;
    int rc = may_send(b);
    if (rc < 0)
        return rc;
    if (b->senders.first || room(b) <= b->promised)
        return -EAGAIN;
    send_to_all(b, item);
    return 0;
}

/*
 * Waits for a place, behind the others. One that was woken finds none only if a subscriber came
 * meanwhile; one that will not use it leaves it to the next.
 */
static int wait_for_room(cio_broadcast *b)
{
    static const struct cio__wait_kind kind = {.name = "cio_broadcast_send", .tell = tell_sender};
    do {
        int rc = check_wait(b);
        if (rc < 0)
            return rc;
        struct cio__waiter waiter = {.wait.kind = &kind, .object = b};
        rc = wait_in(b, &b->senders, &waiter);
        b->promised -= waiter.woken;
        if (rc < 0) {
            wake_senders(b);
            return rc;
        }
        if (b->is_closed)
            return CIO_ESHUTDOWN;
    } while (room(b) == 0);
    return 0;
}

int cio_broadcast_send(cio_broadcast *b, const void *item)
{
    if (!b || !item)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    int rc = cio_broadcast_send_nowait(b, item);
    if (rc != -EAGAIN)
        return rc;
    rc = wait_for_room(b);
    if (rc == 0)
        send_to_all(b, item);
    return rc;
}

int cio_broadcast_close(cio_broadcast *b)
{
    if (!b)
        return -EINVAL;
    if (!b->size)
        return CIO_ESTATE;
    int rc = check_wake(b);
    if (rc < 0)
        return rc;
    b->is_closed = true;
    b->promised += cio__waiters_wake_all(&b->senders);
    for (cio_subscriber *s = b->first; s; s = s->next)
        cio__waiters_wake_all(&s->receivers);
    return 0;
}

/* ---- receiving ---- */

/* The channel has forgotten what s was to receive next. */
static int skip_gap(cio_subscriber *s)
{
    if (s->slow == CIO_SLOW_DROP)
        return -EOVERFLOW;
    s->lost += gap(s);
    s->position += gap(s);
    return s->slow == CIO_SLOW_TELL ? -EOVERFLOW : 0;
}

static int receive(cio_subscriber *s, void *item)
{
    cio_broadcast *b = s->broadcast;
    if (gap(s)) {
        int rc = skip_gap(s);
        if (rc < 0)
            return rc;
    }
    if (s->position == b->sent)
        return b->is_closed ? CIO_ESHUTDOWN : -EAGAIN;
    memcpy(item, slot(b, s->position), b->item_size);
    s->position++;
    if (s->slow == CIO_SLOW_WAIT)
        leave_position(b, s->position - 1);
    return 0;
}

int cio_subscriber_receive_nowait(cio_subscriber *s, void *item)
{
    if (!s || !item)
        return -EINVAL;
    if (!s->broadcast)
        return CIO_ESTATE;
    int rc = check_wake(s->broadcast);
    return rc < 0 ? rc : receive(s, item);
}

static int wait_for_message(cio_subscriber *s)
{
    static const struct cio__wait_kind kind = {.name = "cio_subscriber_receive",
                                               .tell = tell_receiver};
    int rc = check_wait(s->broadcast);
    if (rc < 0)
        return rc;
    struct cio__waiter waiter = {.wait.kind = &kind, .object = s};
    s->inside++;
    rc = wait_in(s->broadcast, &s->receivers, &waiter);
    s->inside--;
    if (rc < 0 && waiter.woken && s->position != s->broadcast->sent)
        cio__waiters_wake_next(&s->receivers);
    return rc;
}

int cio_subscriber_receive(cio_subscriber *s, void *item)
{
    if (!s || !item)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    int rc = cio_subscriber_receive_nowait(s, item);
    while (rc == -EAGAIN) {
        rc = wait_for_message(s);
        if (rc == 0)
            rc = receive(s, item);
    }
    return rc;
}
