/*
 * The turns of a loop: what asyncio does in run_forever() and _run_once().
 *
 * asyncio asks the kernel on every turn. That costs more than a thousand switches, so while there
 * is work the kernel is asked every POLL_INTERVAL_NS only, and the clock, which tells when that is
 * and which timers are due, after a number of callbacks that shrinks to one when they prove slow.
 * That may be in the middle of a turn, which shows when the turn lasts: see hurry.h. How many
 * callbacks may go by is trusted only while the ticker interrupts those that prove slow after all.
 */
#include <errno.h>

#include "loop/debug.h"
#include "loop/hurry.h"
#include "loop/run.h"

#define POLL_INTERVAL_NS 250000
#define CHECK_EVERY_MOST 64   /* callbacks between two looks at the clock, if they are quick */
#define CHECK_EVERY_BLIND 8   /* the same without a ticker */
#define CHECK_EVERY_FREE 1024 /* the same if there is nothing that could be late */
#define CHECK_NS 32000        /* looks are not to be further apart than this */
#define EVENTS_A_POLL 64

/*
 * A ticker saves looks at the clock, but makes the process one of two threads, whose system calls
 * each cost a little more. It is worth it for a loop that makes many more callbacks than calls: once
 * there were so many quick ones, not counting as many a poll as answer its events.
 */
#define QUICK_BEFORE_TICKS 1024
#define QUICK_A_POLL EVENTS_A_POLL

/*
 * An event leads to a record, and that to the task that waits: places that are cold when there are
 * many connections. Those of the events to come are fetched meanwhile.
 */
static inline void prefetch_events(const cio_loop *loop, const struct cio__event *events, int n)
{
    const struct cio__file *file = n > 6 ? cio__file_of(loop, &events[6]) : NULL;
    if (file) {
        __builtin_prefetch(file);
        __builtin_prefetch(&file->waits);
    }
    file = n > 3 ? cio__file_of(loop, &events[3]) : NULL;
    if (file)
        __builtin_prefetch(file->waits[CIO__READ].next);
}

/*
 * A poll that may block does so without the lock that callbacks run under, if there is one; what it
 * brought is dealt with under it, as that fills the ready ring.
 */
static int poll_unlocked(cio_loop *loop, int64_t timeout_ns, struct cio__event *events)
{
    bool hooked = timeout_ns != 0 && loop->poll_release;
    cio_callback *acquire = loop->poll_acquire;
    if (hooked)
        loop->poll_release(loop->poll_arg);
    int n = loop->os->ops->poll(loop->os, timeout_ns, events, EVENTS_A_POLL);
    cio__inbox_awake(loop);
    if (hooked)
        acquire(loop->poll_arg);
    return n;
}

static int poll_files(cio_loop *loop, int64_t timeout_ns)
{
    struct cio__event events[EVENTS_A_POLL];
    int64_t began_ns = unlikely(loop->careful) ? cio__now_ns(loop) : 0;
    int n = poll_unlocked(loop, timeout_ns, events);
    if (unlikely(loop->careful))
        cio__debug_polled(loop, timeout_ns, cio__now_ns(loop) - began_ns, n);
    cio__count(&loop->counts.shown.polls, 1);
    cio__count(&loop->counts.shown.events, n > 0 ? (uint64_t)n : 0);
    for (int i = 0; i < n; i++) {
        prefetch_events(loop, &events[i], n - i);
        cio__file_event(loop, &events[i]);
    }
    return n < 0 ? n : 0;
}

static int64_t time_to_sleep_ns(const cio_loop *loop, int64_t now_ns)
{
    int64_t next_ns = cio__timers_next_ns(&loop->timers);
    if (next_ns == CIO__NEVER)
        return CIO__WAIT_FOREVER;
    return next_ns > now_ns ? next_ns - now_ns : 0;
}

/*
 * Waits for a little while, awake, for a thread to post what it owes. Files are not kept waiting for
 * that: each round asks for them. Whatever came of it, the next turn looks what there is to do, and
 * how long it may sleep. Returns 0 or an error.
 */
static int wait_awake(cio_loop *loop)
{
    int64_t until_ns = cio__now_ns(loop) + CIO__SPIN_NS;
    int rc = 0;
    do {
        for (int i = 0; i < CIO__SPIN_CHECKS && !cio__inbox_has_mail(loop); i++)
            cio__spin_pause();
        if (cio__inbox_has_mail(loop))
            break;
        if (loop->files.n_blocks > 0)
            rc = poll_files(loop, 0);
    } while (rc == 0 && cio__ready_empty(&loop->ready) && cio__now_ns(loop) < until_ns);
    cio__spin_end(&loop->spin, cio__inbox_has_mail(loop));
    return rc;
}

/* Whether a thread may post soon, and no timer is due before. */
static bool waits_awake(cio_loop *loop, int64_t timeout_ns)
{
    return loop->expected && (timeout_ns == CIO__WAIT_FOREVER || timeout_ns >= CIO__SPIN_NS) &&
           cio__spin_begin(&loop->spin);
}

/* Nothing is ready: sleep until something is. */
static int sleep_in_poll(cio_loop *loop, int64_t timeout_ns)
{
    if (loop->finds_deadlocks && loop->timers.n <= 1 && cio__nothing_will_wake(loop)) {
        loop->stuck = true;
        return cio_stop(loop);
    }
    cio__counters_show(loop);
    if (waits_awake(loop, timeout_ns))
        return wait_awake(loop);
    return poll_files(loop, cio__inbox_sleep(loop) ? timeout_ns : 0);
}

/* Whether there is something that could be late: a timer that anybody waits for, or a file. */
static bool at_stake(const cio_loop *loop)
{
    const struct cio__timers *timers = &loop->timers;
    return loop->files.n_blocks > 0 || timers->n > 1 ||
           (timers->n == 1 && !cio__is_low(timers->heap[0].handle));
}

/* How many callbacks may go by without a look at the clock, if the last ones were quick. */
static uint32_t most_unchecked(cio_loop *loop)
{
    if (!at_stake(loop))
        return CHECK_EVERY_FREE;
    if (cio__ticker_is_on(&loop->ticking) || loop->turn_budget_ns == CIO__NEVER)
        return CHECK_EVERY_MOST;
    if (loop->quick < QUICK_BEFORE_TICKS)
        return 1;
    return cio__ticker_start(loop) ? CHECK_EVERY_MOST : CHECK_EVERY_BLIND;
}

static void plan_check(cio_loop *loop, uint32_t callbacks)
{
    loop->counts.alone += loop->planned - loop->check_at;
    loop->check_every = callbacks;
    loop->check_at = loop->planned = loop->ready.head + callbacks;
    loop->looked = cio__ran(loop);
}

/* After a look at the clock: how many callbacks until the next. Twice as many, if time allows. */
static void plan_next_check(cio_loop *loop, int64_t now_ns)
{
    uint64_t ran = cio__ran(loop) - loop->looked + (loop->planned - loop->check_at);
    uint64_t took_ns = (uint64_t)(now_ns - loop->checked_ns);
    uint64_t every = (uint64_t)loop->check_every * 2;
    if (took_ns * every > ran * CHECK_NS)
        every = took_ns * 2 <= ran * CHECK_NS ? ran * CHECK_NS / took_ns : 1;
    if (every > 1) {
        uint32_t most = most_unchecked(loop);
        loop->quick += (uint32_t)ran;
        every = every < most ? every : most;
    } else {
        loop->quick = 0;
    }
    plan_check(loop, (uint32_t)every);
}

static int64_t look_at_clock(cio_loop *loop)
{
    int64_t now_ns = cio__now_ns(loop);
    plan_next_check(loop, now_ns);
    loop->looked_before_ns = loop->checked_ns;
    loop->checked_ns = now_ns;
    return now_ns;
}

static int poll_at_times(cio_loop *loop, int64_t now_ns)
{
    if (now_ns - loop->polled_ns < POLL_INTERVAL_NS)
        return 0;
    loop->polled_ns = now_ns;
    cio__counters_show(loop);
    return poll_files(loop, 0);
}

/* Between two turns. */
static int check_clock(cio_loop *loop)
{
    int64_t now_ns = look_at_clock(loop);
    int rc = poll_at_times(loop, now_ns);
    cio__queue_due_timers(loop, now_ns);
    cio__lanes_serve_low(loop);
    return rc;
}

static int wait_for_work(cio_loop *loop)
{
    int64_t began_ns = cio__now_ns(loop);
    int64_t timeout_ns = time_to_sleep_ns(loop, began_ns);
    int rc = timeout_ns ? sleep_in_poll(loop, timeout_ns) : poll_files(loop, 0);
    int64_t now_ns = cio__now_ns(loop);
    if (timeout_ns) {
        cio__count(&loop->counts.shown.sleeps, 1);
        cio__count(&loop->counts.shown.poll_ns, (uint64_t)(now_ns - began_ns));
    }
    cio__queue_due_timers(loop, now_ns);
    loop->polled_ns = loop->checked_ns = loop->looked_before_ns = now_ns;
    loop->quick -= loop->quick < QUICK_A_POLL ? loop->quick : QUICK_A_POLL;
    plan_check(loop, 1);
    return rc;
}

/* The turn was stopped on its way. Mail is left for its end, as are files that none hurries for. */
static int go_on(cio_loop *loop)
{
    int rc = 0;
    loop->look_at_end |= cio__stop_at(loop) == 0;
    int64_t now_ns = look_at_clock(loop);
    if (loop->look_at_end)
        cio__stop_by(loop, loop->turn_end);
    if (loop->lanes.classes)
        rc = poll_at_times(loop, now_ns);
    if (loop->turn_budget_ns != CIO__NEVER)
        cio__hurry(loop, now_ns);
    if (!loop->lanes.hurry)
        cio__lanes_serve_high(loop);
    cio__set_stop_at(loop, loop->turn_end < loop->check_at ? loop->turn_end : loop->check_at);
    cio__hurry_turn_resumes(loop);
    return rc;
}

static int make_ready(cio_loop *loop)
{
    if (unlikely(cio__inbox_has_mail(loop)))
        cio__inbox_drain(loop);
    if (unlikely(loop->ready.overflow))
        cio__ready_refill(&loop->ready);
    if (unlikely(loop->stopping)) {
        loop->polled_ns = 0; /* the last turn still sees what is ready */
        int rc = check_clock(loop);
        loop->check_at = loop->planned = 0; /* and no other follows it */
        return rc;
    }
    if (cio__ready_empty(&loop->ready) && cio__lanes_empty(&loop->lanes))
        return wait_for_work(loop);
    if (loop->ready.head >= loop->check_at || cio__stop_at(loop) == 0)
        return check_clock(loop);
    cio__lanes_serve_low(loop);
    return 0;
}

/* Asks whoever may have something to do, and begins a turn or goes on with one. */
static int gather_work(cio_loop *loop)
{
    if (loop->ready.head < loop->turn_end)
        return go_on(loop);
    cio__hurry_turn_ends(loop);
    loop->look_at_end = false;
    int rc = make_ready(loop);
    cio__lanes_serve_high(loop);
    cio__begin_turn(loop);
    cio__hurry_turn_begins(loop);
    return rc;
}

static void call(void *context, cio_callback *fn, void *arg, const void *hint)
{
    (void)context;
    cio__call(fn, arg, hint);
}

void cio__run_callbacks(cio_loop *loop)
{
    uint64_t before = cio__ran(loop) - loop->counts.canceled;
    cio__run_turns(loop, call, NULL);
    loop->counts.plain += cio__ran(loop) - loop->counts.canceled - before;
}

static int check_run(const cio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (cio__loop_inherited(loop))
        return CIO_EFORKED;
    if (loop->closed)
        return CIO_ECLOSED;
    return loop->running || cio__running ? CIO_ERUNNING : 0;
}

static void begin_run(cio_loop *loop)
{
    __atomic_store_n(&loop->thread, cio__thread_number(), __ATOMIC_RELEASE);
    __atomic_store_n(&loop->running, true, __ATOMIC_RELEASE);
    loop->runs++;
    loop->polled_ns = 0;
    loop->turn_end = loop->ready.head; /* an earlier run may have failed in the middle of a turn */
    cio__stop_by(loop, 0);
    cio__running = loop;
}

static void end_run(cio_loop *loop)
{
    loop->stopping = false;
    __atomic_store_n(&loop->running, false, __ATOMIC_RELEASE);
    cio__running = NULL;
    cio__ticker_stop(loop);
    cio__counters_show(loop);
}

/* A callback forked, and we are the child: what was ready when the turn began still runs. */
static int finish_turn_in_child(cio_loop *loop)
{
    while (loop->ready.head < loop->turn_end) {
        cio__set_stop_at(loop, loop->turn_end);
        loop->run_turns(loop);
    }
    return CIO_EFORKED;
}

static int run_forever(cio_loop *loop)
{
    int rc;
    loop->run_frame = __builtin_frame_address(0);
    begin_run(loop);
    do {
        rc = gather_work(loop);
        if (unlikely(rc < 0))
            break;
        loop->run_turns(loop);
        if (unlikely(cio__running != loop))
            return finish_turn_in_child(loop);
    } while (likely(!loop->stopping) || loop->ready.head < loop->turn_end);
    end_run(loop);
    return rc;
}

/* Callbacks bring their contexts with them: that of the caller is none of theirs. */
int cio_run_forever(cio_loop *loop)
{
    int rc = check_run(loop);
    if (rc < 0)
        return rc;
    struct cio__thread_vars before = cio__vars_enter(NULL);
    rc = run_forever(loop);
    cio__vars_leave(before);
    return rc;
}

int cio_stop(cio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    int rc = loop->closed ? 0 : cio__check_open(loop);
    if (rc < 0)
        return rc;
    loop->stopping = true;
    cio__stop_by(loop, 0);
    return 0;
}
