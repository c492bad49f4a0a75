/*
 * Random tasks that take and give back whatever can be taken, with cancellations and timeouts at
 * random points. No two have what one may have, whoever waits longest is first, nothing gets lost,
 * and when the cancellations stop everybody comes to an end. Each run comes from a seed; one that
 * fails prints it, and CIO_SEED=seed replays that run alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/waiters.h"
#include "test.h"

enum { TASKS_MOST = 24, STEPS = 30, UNITS = 3 };

/* What can be waited for in line. */
enum line { LOCK, SEMAPHORE, RWLOCK, LIMITER, N_LINES };

struct player {
    cio_task *task;
    int steps_left;
    bool cancel_pending; /* sent, and not seen to arrive */
    int line;            /* in which it stands, or N_LINES */
    uint64_t ticket;
    bool may_leave; /* a cancellation or a timeout may have taken it out */
};

static struct {
    uint64_t seed, state;
    struct player players[TASKS_MOST];
    int n;
    bool is_wild;
    uint64_t next_ticket;

    cio_lock lock;
    cio_semaphore semaphore;
    cio_rwlock rwlock;
    cio_limiter limiter;
    cio_condition condition;
    cio_event event;
    cio_barrier barrier;

    int inside[N_LINES];
    int writers;
    int n_items, n_produced, n_consumed;
    int barrier_stops;
} run;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\nCIO_SEED=%" PRIu64 "\n", __FILE__, __LINE__, #condition,   \
                    run.seed);                                                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int random_below(int n)
{
    uint64_t z = run.state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

static void cancel(struct player *p)
{
    if (cio_cancel(p->task) == 1)
        p->cancel_pending = p->may_leave = true;
}

/* How a wait ended: a cancellation has arrived, or the call must have done what it is for. */
static bool succeeded(struct player *p, int rc)
{
    CHECK(rc >= 0 || rc == CIO_ECANCELED || rc == CIO_ETIMEDOUT);
    if (rc == CIO_ECANCELED)
        p->cancel_pending = false;
    return rc >= 0;
}

static void linger(struct player *p)
{
    for (int turns = random_below(4); turns > 0; turns--)
        succeeded(p, cio_yield());
}

/* Who was handed what it waits for and has not run; at a lock and a semaphore such ones queue. */
static bool has_it(const struct player *p)
{
    const struct cio__waiter *waiter = (const struct cio__waiter *)p->task->wait;
    return (p->line == RWLOCK || p->line == LIMITER) && waiter && waiter->woken;
}

/* Nobody who came earlier to the same line and had no reason to leave it may still be there. */
static void check_order(const struct player *me)
{
    for (int i = 0; i < run.n; i++) {
        const struct player *p = &run.players[i];
        CHECK(p == me || p->line != me->line || p->may_leave || p->ticket > me->ticket ||
              has_it(p));
    }
}

struct call {
    int (*fn)(struct call *call);
    cio_borrow borrow;
};

/* Makes the call, at times with a limit, and tells whether it got what it is for. */
static bool stand_in_line(struct player *p, enum line line, struct call *call)
{
    bool has_limit = random_below(4) == 0;
    cio_timeout limit;
    p->line = line;
    p->ticket = ++run.next_ticket;
    p->may_leave = has_limit || p->cancel_pending;
    if (has_limit)
        CHECK(cio_timeout_enter(&limit, random_below(2) ? 0 : 20e-6) == 0);
    int rc = call->fn(call);
    if (rc == 0)
        check_order(p);
    p->line = N_LINES;
    if (has_limit) {
        int ended = cio_timeout_exit(&limit, rc);
        CHECK(ended == rc || (rc == CIO_ECANCELED && ended == CIO_ETIMEDOUT));
    }
    return succeeded(p, rc);
}

static int acquire_lock(struct call *call)
{
    (void)call;
    return cio_lock_acquire(&run.lock);
}

static void use_lock(struct player *p)
{
    if (!stand_in_line(p, LOCK, &(struct call){acquire_lock, CIO_BORROW_INIT}))
        return;
    CHECK(run.inside[LOCK]++ == 0);
    CHECK(cio_lock_owner(&run.lock) == cio_current_task());
    linger(p);
    run.inside[LOCK]--;
    CHECK(cio_lock_release(&run.lock) == 0);
}

static int acquire_semaphore(struct call *call)
{
    (void)call;
    return cio_semaphore_acquire(&run.semaphore);
}

static void use_semaphore(struct player *p)
{
    if (!stand_in_line(p, SEMAPHORE, &(struct call){acquire_semaphore, CIO_BORROW_INIT}))
        return;
    CHECK(run.inside[SEMAPHORE]++ < UNITS);
    linger(p);
    run.inside[SEMAPHORE]--;
    CHECK(cio_semaphore_release(&run.semaphore) == 0);
}

static int acquire_read(struct call *call)
{
    (void)call;
    return cio_rwlock_acquire_read(&run.rwlock);
}

static int acquire_write(struct call *call)
{
    (void)call;
    return cio_rwlock_acquire_write(&run.rwlock);
}

static void use_rwlock(struct player *p)
{
    bool writes = random_below(3) == 0;
    struct call call = {writes ? acquire_write : acquire_read, CIO_BORROW_INIT};
    if (!stand_in_line(p, RWLOCK, &call))
        return;
    run.inside[RWLOCK]++;
    run.writers += writes;
    CHECK(run.writers == 0 || run.inside[RWLOCK] == 1);
    linger(p);
    CHECK(run.writers == writes);
    run.inside[RWLOCK]--;
    run.writers -= writes;
    CHECK((writes ? cio_rwlock_release_write : cio_rwlock_release_read)(&run.rwlock) == 0);
}

static int borrow(struct call *call)
{
    return cio_limiter_acquire(&run.limiter, &call->borrow);
}

/* The total may be lowered below what is borrowed; then nobody new comes in. */
static void use_limiter(struct player *p)
{
    struct call call = {borrow, CIO_BORROW_INIT};
    if (random_below(4) == 0)
        CHECK(cio_limiter_set_total(&run.limiter, random_below(UNITS) + 1) == 0);
    if (!stand_in_line(p, LIMITER, &call))
        return;
    CHECK(run.inside[LIMITER]++ < UNITS);
    CHECK(cio_limiter_get_statistics(&run.limiter).borrowed >= run.inside[LIMITER]);
    linger(p);
    run.inside[LIMITER]--;
    CHECK(cio_limiter_release(&run.limiter, &call.borrow) == 0);
}

static int is_there(void *arg)
{
    (void)arg;
    return run.n_items > 0;
}

static void acquire_condition(struct player *p)
{
    while (!succeeded(p, cio_condition_acquire(&run.condition)))
        ;
}

static void produce(struct player *p)
{
    acquire_condition(p);
    run.n_items++;
    run.n_produced++;
    linger(p);
    CHECK(cio_condition_notify(&run.condition, 1) >= 0);
    linger(p);
    CHECK(cio_condition_release(&run.condition) == 0);
}

/* Waits for something to be produced, or gives up when it is canceled. */
static void consume(struct player *p)
{
    run.n_consumed++;
    acquire_condition(p);
    bool found = succeeded(p, cio_condition_wait_for(&run.condition, is_there, NULL));
    CHECK(cio_condition_locked(&run.condition));
    CHECK(!found || run.n_items > 0);
    if (found)
        run.n_items--;
    else
        run.n_consumed--;
    CHECK(cio_condition_release(&run.condition) == 0);
}

static void use_event(struct player *p)
{
    switch (random_below(3)) {
    case 0: CHECK(cio_event_set(&run.event) == 0); break;
    case 1: CHECK(cio_event_clear(&run.event) == 0); break;
    default:
        if (run.is_wild)
            succeeded(p, cio_event_wait(&run.event));
    }
}

static void use_barrier(struct player *p)
{
    if (!run.is_wild)
        return;
    int rc = random_below(10) == 0 ? cio_barrier_reset(&run.barrier)
                                   : cio_barrier_wait(&run.barrier);
    if (rc == CIO_EBROKEN)
        run.barrier_stops++;
    else
        succeeded(p, rc);
}

static void cancel_somebody(struct player *p)
{
    (void)p;
    if (run.is_wild)
        cancel(&run.players[random_below(run.n)]);
}

static int play(void *arg)
{
    static void (*const parts[])(struct player *) = {
        use_lock, use_semaphore, use_rwlock,  use_limiter,     produce,         consume,
        consume,  use_event,     use_barrier, cancel_somebody, cancel_somebody, linger,
    };
    struct player *p = arg;
    for (; p->steps_left > 0; p->steps_left--)
        parts[random_below(sizeof parts / sizeof *parts)](p);
    succeeded(p, cio_yield()); /* what was sent and has not arrived does not end the task */
    p->may_leave = true;
    return 0;
}

static int count_running(void)
{
    int running = 0;
    for (int i = 0; i < run.n; i++)
        running += !cio_done(run.players[i].task);
    return running;
}

/* Nobody waits for what is there, unless somebody who was notified is on the way to it. */
static void check_consumers(void)
{
    const cio_lock *lock = &run.condition.own;
    if (run.n_items == 0 || lock->locked || cio_lock_destroy(&run.condition.own) < 0)
        return;
    for (int i = 0; i < run.n; i++) {
        const struct cio__waiter *waiter = (const struct cio__waiter *)run.players[i].task->wait;
        if (waiter && strcmp(waiter->wait.kind->name, "cio_condition_wait") == 0 && waiter->woken)
            return;
    }
    CHECK(!cio__waiters_in_line(&run.condition.waiters));
}

/* Makes what somebody still waits for. */
static void produce_what_is_missing(void)
{
    if (run.n_produced >= run.n_consumed || cio_lock_acquire_nowait(&run.condition.own) < 0)
        return;
    run.n_items++;
    run.n_produced++;
    CHECK(cio_condition_notify(&run.condition, 1) >= 0);
    CHECK(cio_condition_release(&run.condition) == 0);
}

/* Whoever waits for others to do something, and not for its turn, is let go. */
static void calm_down(void)
{
    run.is_wild = false;
    CHECK(cio_barrier_abort(&run.barrier) == 0);
    CHECK(cio_event_set(&run.event) == 0);
}

static void check_end(void)
{
    CHECK(cio_lock_destroy(&run.lock) == 0);
    CHECK(cio_semaphore_destroy(&run.semaphore) == 0);
    CHECK(cio_semaphore_value(&run.semaphore) == UNITS);
    CHECK(cio_rwlock_destroy(&run.rwlock) == 0);
    CHECK(cio_limiter_destroy(&run.limiter) == 0);
    CHECK(cio_limiter_borrowers(&run.limiter, NULL, NULL) == 0);
    CHECK(cio_condition_destroy(&run.condition) == 0);
    CHECK(cio_event_destroy(&run.event) == 0);
    CHECK(cio_barrier_destroy(&run.barrier) == 0);
    CHECK(run.n_items == run.n_produced - run.n_consumed);
}

static void open_all(void)
{
    run.lock = (cio_lock)CIO_LOCK_INIT;
    run.semaphore = (cio_semaphore)CIO_SEMAPHORE_INIT(UNITS);
    run.rwlock = (cio_rwlock)CIO_RWLOCK_INIT;
    run.limiter = (cio_limiter)CIO_LIMITER_INIT(UNITS);
    run.condition = (cio_condition)CIO_CONDITION_INIT;
    run.event = (cio_event)CIO_EVENT_INIT;
    run.barrier = (cio_barrier)CIO_BARRIER_INIT(3);
    run.is_wild = true;
}

enum { WILD_TURNS = 150, CALM_TURNS = 5000 };

static int main_task(void *arg)
{
    (void)arg;
    open_all();
    run.n = 2 + random_below(TASKS_MOST - 1);
    for (int i = 0; i < run.n; i++) {
        struct player *p = &run.players[i];
        *p = (struct player){.steps_left = 1 + random_below(STEPS), .line = N_LINES};
        p->task = cio_create_task(play, p);
        CHECK(p->task != NULL);
    }
    cio_yield(); /* one canceled before it begins never plays */
    for (int i = 0; i < WILD_TURNS && count_running(); i++) {
        if (random_below(4) == 0)
            cancel(&run.players[random_below(run.n)]);
        CHECK(cio_yield() == 0);
        check_consumers();
    }
    calm_down();
    for (int i = 0; i < CALM_TURNS && count_running(); i++) {
        produce_what_is_missing();
        CHECK(cio_yield() == 0);
    }
    CHECK(count_running() == 0);
    for (int i = 0; i < run.n; i++) {
        int rc = cio_await(run.players[i].task);
        CHECK(rc == 0 || rc == CIO_ECANCELED);
    }
    check_end();
    return 0;
}

TEST_SLOW(nothing_is_lost_whatever_is_canceled)
{
    const char *given = getenv("CIO_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t first = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    int n = test_scale(10000);
    if (given) {
        first = strtoull(given, NULL, 0);
        n = 1;
    }
    printf("%d runs from CIO_SEED=%" PRIu64 "\n", n, first);
    for (int i = 0; i < n; i++) {
        memset(&run, 0, sizeof run);
        run.seed = run.state = first + (uint64_t)i;
        CHECK(cio_run(main_task, NULL) == 0);
    }
}
