/*
 * A capacity limiter: a semaphore that knows who has taken from it. Borrowers stand in a small hash
 * table of lists, so that nobody takes twice; also those who wait to.
 */
#include <errno.h>

#include "sync/waiters.h"

int cio_limiter_init(cio_limiter *limiter, int total)
{
    if (!limiter || total < 0)
        return -EINVAL;
    *limiter = (cio_limiter)CIO_LIMITER_INIT(total);
    return 0;
}

/* Addresses of tasks and other objects differ in their middle bits. */
static cio_borrow **bucket_of(cio_limiter *limiter, const void *borrower)
{
    uint64_t hash = (uint64_t)(uintptr_t)borrower * UINT64_C(0x9E3779B97F4A7C15);
    return &limiter->borrowers[hash >> 59];
}

_Static_assert(CIO__LIMITER_BUCKETS == 1 << (64 - 59), "the hash has as many values as buckets");

/* The link that points to the borrower's place, or the last one. */
static cio_borrow **find(cio_limiter *limiter, const void *borrower)
{
    cio_borrow **link = bucket_of(limiter, borrower);
    while (*link && (*link)->borrower != borrower)
        link = &(*link)->next;
    return link;
}

static void enter(cio_limiter *limiter, cio_borrow *borrow, const void *borrower)
{
    cio_borrow **bucket = bucket_of(limiter, borrower);
    *borrow = (cio_borrow){.next = *bucket, .limiter = limiter, .borrower = borrower};
    *bucket = borrow;
}

static void leave(cio_limiter *limiter, cio_borrow *borrow)
{
    cio_borrow **link = find(limiter, borrow->borrower);
    *link = borrow->next;
    *borrow = (cio_borrow){0};
}

static void grant(cio_limiter *limiter, cio_borrow *borrow)
{
    borrow->held = true;
    limiter->borrowed++;
}

static bool is_in_use(const cio_limiter *limiter)
{
    return limiter->borrowed || limiter->waiting;
}

/* Whether it may be used from here: 0. What tasks of a closed loop had is given back. */
static int check_loop(cio_limiter *limiter)
{
    uint64_t here = cio__running ? cio__running->id : 0;
    if (likely(limiter->waiters.loop_id == here) || !limiter->waiters.loop_id)
        return 0;
    if (cio__loop_is_open(limiter->waiters.loop_id))
        return is_in_use(limiter) && here ? CIO_EWRONGLOOP : 0;
    *limiter = (cio_limiter)CIO_LIMITER_INIT(limiter->total);
    return 0;
}

/* After each change that makes room. */
static void let_in(cio_limiter *limiter)
{
    struct cio__waiter *waiter;
    while (limiter->borrowed < limiter->total && (waiter = cio__waiters_next(&limiter->waiters))) {
        limiter->waiting--;
        grant(limiter, waiter->arg);
        cio__waiter_wake(waiter);
    }
}

static void take_back(cio_limiter *limiter, cio_borrow *borrow)
{
    limiter->borrowed--;
    leave(limiter, borrow);
    let_in(limiter);
}

static int check(cio_limiter *limiter, const cio_borrow *borrow, const void *borrower)
{
    if (!limiter || !borrow || !borrower || limiter->total < 0)
        return -EINVAL;
    if (!cio__running)
        return CIO_ENOLOOP;
    int rc = check_loop(limiter);
    if (rc < 0)
        return rc;
    return borrow->limiter || *find(limiter, borrower) ? CIO_ESTATE : 0;
}

int cio_limiter_acquire_on_behalf_of_nowait(cio_limiter *limiter, cio_borrow *borrow,
                                            const void *borrower)
{
    int rc = check(limiter, borrow, borrower);
    if (rc < 0)
        return rc;
    if (limiter->borrowed >= limiter->total)
        return -EAGAIN; /* where there is room nobody waits: see let_in() */
    limiter->waiters.loop_id = cio__running->id;
    enter(limiter, borrow, borrower);
    grant(limiter, borrow);
    return 0;
}

int cio_limiter_acquire_nowait(cio_limiter *limiter, cio_borrow *borrow)
{
    if (limiter && borrow && !cio__current)
        return CIO_ENOTASK;
    return cio_limiter_acquire_on_behalf_of_nowait(limiter, borrow, cio__current);
}

static void tell_limiter(const struct cio__wait *wait, struct cio__tale *tale)
{
    const cio_limiter *limiter = ((const struct cio__waiter *)wait)->object;
    cio__tell(tale, "limiter %p, %d of %d borrowed", (const void *)limiter, limiter->borrowed,
              limiter->total);
}

static int wait_for(cio_limiter *limiter, cio_borrow *borrow, const void *borrower)
{
    static const struct cio__wait_kind kind = {.name = "cio_limiter_acquire", .tell = tell_limiter};
    struct cio__waiter waiter = {.wait.kind = &kind, .object = limiter, .arg = borrow};
    limiter->waiters.loop_id = cio__running->id;
    enter(limiter, borrow, borrower);
    limiter->waiting++;
    int rc = cio__waiters_wait(&limiter->waiters, &waiter);
    if (rc == 0)
        return 0;
    if (waiter.woken) {
        take_back(limiter, borrow);
    } else {
        limiter->waiting--;
        leave(limiter, borrow);
    }
    return rc;
}

int cio_limiter_acquire_on_behalf_of(cio_limiter *limiter, cio_borrow *borrow, const void *borrower)
{
    if (limiter && borrow && borrower && !cio__current)
        return CIO_ENOTASK;
    int rc = cio_limiter_acquire_on_behalf_of_nowait(limiter, borrow, borrower);
    return rc == -EAGAIN ? wait_for(limiter, borrow, borrower) : rc;
}

int cio_limiter_acquire(cio_limiter *limiter, cio_borrow *borrow)
{
    if (limiter && borrow && !cio__current)
        return CIO_ENOTASK;
    return cio_limiter_acquire_on_behalf_of(limiter, borrow, cio__current);
}

int cio_limiter_release(cio_limiter *limiter, cio_borrow *borrow)
{
    if (!limiter || !borrow)
        return -EINVAL;
    if (borrow->limiter != limiter)
        return CIO_ESTATE;
    int rc = check_loop(limiter);
    if (rc < 0)
        return rc;
    if (*find(limiter, borrow->borrower) != borrow) {
        *borrow = (cio_borrow){0}; /* its loop was closed meanwhile */
        return CIO_ESTATE;
    }
    if (!borrow->held)
        return CIO_ESTATE;
    take_back(limiter, borrow);
    return 0;
}

int cio_limiter_set_total(cio_limiter *limiter, int total)
{
    if (!limiter || total < 0)
        return -EINVAL;
    int rc = check_loop(limiter);
    if (rc < 0)
        return rc;
    limiter->total = total;
    let_in(limiter);
    return 0;
}

cio_limiter_statistics cio_limiter_get_statistics(const cio_limiter *limiter)
{
    if (!limiter)
        return (cio_limiter_statistics){0};
    return (cio_limiter_statistics){
        .total = limiter->total,
        .borrowed = limiter->borrowed,
        .available = limiter->total - limiter->borrowed,
        .waiting = limiter->waiting,
    };
}

int cio_limiter_borrowers(const cio_limiter *limiter, bool (*fn)(const void *borrower, void *arg),
                          void *arg)
{
    if (!limiter)
        return -EINVAL;
    if (!fn)
        return limiter->borrowed;
    int n = 0;
    for (int i = 0; i < CIO__LIMITER_BUCKETS; i++) {
        for (const cio_borrow *borrow = limiter->borrowers[i]; borrow; borrow = borrow->next) {
            if (!borrow->held)
                continue;
            n++;
            if (!fn(borrow->borrower, arg))
                return n;
        }
    }
    return n;
}

int cio_limiter_destroy(cio_limiter *limiter)
{
    if (!limiter)
        return -EINVAL;
    return check_loop(limiter) < 0 || is_in_use(limiter) ? -EBUSY : 0;
}
