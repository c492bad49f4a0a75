/*
 * The turns of a loop: what asyncio does in run_forever() and _run_once().
 *
 * asyncio asks the kernel on every turn. That costs more than a thousand switches, so while there
 * is work the kernel is asked every POLL_INTERVAL_NS only, and the clock, which tells when that is
 * and which timers are due, after a number of callbacks that shrinks to one when they prove slow.
 */
#include <errno.h>

#include "loop/debug.h"
#include "loop/run.h"

#define POLL_INTERVAL_NS 250000
#define CHECK_EVERY_MOST 64 /* callbacks between two looks at the clock, if they are quick */
#define QUICK_NS 500        /* a callback that takes longer than this on average is not quick */
#define EVENTS_A_POLL 64

static void queue_due_timers(cio_loop *loop, int64_t now_ns)
{
    struct cio__timers *timers = &loop->timers;
    while (timers->n && timers->heap[0].when_ns <= now_ns) {
        cio_handle *handle = timers->heap[0].handle;
        cio__timers_remove(timers, handle);
        cio__ready_push(&loop->ready, handle);
    }
}

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

static int poll_files(cio_loop *loop, int64_t timeout_ns)
{
    struct cio__event events[EVENTS_A_POLL];
    int n = loop->os->ops->poll(loop->os, timeout_ns, events, EVENTS_A_POLL);
    for (int i = 0; i < n; i++) {
        prefetch_events(loop, &events[i], n - i);
        cio__file_event(loop, &events[i]);
    }
    return n < 0 ? n : 0;
}

static int64_t time_to_sleep_ns(const cio_loop *loop)
{
    int64_t next_ns = cio__timers_next_ns(&loop->timers);
    if (next_ns == CIO__NEVER)
        return CIO__WAIT_FOREVER;
    int64_t left_ns = next_ns - cio__now_ns(loop);
    return left_ns > 0 ? left_ns : 0;
}

/* Nothing is ready: sleep until something is. */
static int sleep_in_poll(cio_loop *loop)
{
    int64_t timeout_ns = time_to_sleep_ns(loop);
    if (timeout_ns == 0)
        return poll_files(loop, 0);
    if (loop->finds_deadlocks && loop->timers.n <= 1 && cio__nothing_will_wake(loop)) {
        loop->stuck = true;
        return cio_stop(loop);
    }

    if (!cio__inbox_sleep(loop))
        timeout_ns = 0;
    bool hooked = timeout_ns != 0 && loop->poll_release;
    cio_callback *acquire = loop->poll_acquire;
    if (hooked)
        loop->poll_release(loop->poll_arg);
    int rc = poll_files(loop, timeout_ns);
    cio__inbox_awake(loop);
    if (hooked)
        acquire(loop->poll_arg);
    return rc;
}

/* After a look at the clock: how many callbacks until the next. */
static void plan_next_check(cio_loop *loop, int64_t now_ns)
{
    int ran = loop->check_every - loop->until_check;
    bool quick = now_ns - loop->checked_ns <= (int64_t)ran * QUICK_NS;
    if (!quick)
        loop->check_every = 1;
    else if (loop->check_every < CHECK_EVERY_MOST)
        loop->check_every *= 2;
    loop->until_check = loop->check_every;
    loop->checked_ns = now_ns;
}

static int check_clock(cio_loop *loop)
{
    int64_t now_ns = cio__now_ns(loop);
    int rc = 0;
    if (now_ns - loop->polled_ns >= POLL_INTERVAL_NS) {
        rc = poll_files(loop, 0);
        loop->polled_ns = now_ns;
    }
    queue_due_timers(loop, now_ns);
    plan_next_check(loop, now_ns);
    return rc;
}

static int wait_for_work(cio_loop *loop)
{
    int rc = sleep_in_poll(loop);
    int64_t now_ns = cio__now_ns(loop);
    queue_due_timers(loop, now_ns);
    loop->polled_ns = loop->checked_ns = now_ns;
    loop->until_check = loop->check_every = 1;
    return rc;
}

static int gather_work(cio_loop *loop)
{
    if (unlikely(cio__inbox_has_mail(loop)))
        cio__inbox_drain(loop);
    if (unlikely(loop->ready.overflow))
        cio__ready_refill(&loop->ready);
    if (cio__ready_empty(&loop->ready) && !loop->stopping)
        return wait_for_work(loop);
    if (unlikely(loop->stopping)) {
        loop->polled_ns = 0; /* the last turn still sees what is ready */
        int rc = check_clock(loop);
        loop->until_check = 0; /* and no other follows it */
        return rc;
    }
    return loop->until_check <= 0 ? check_clock(loop) : 0;
}

static void call(void *context, cio_callback *fn, void *arg, const void *hint)
{
    (void)context;
    cio__call(fn, arg, hint);
}

void cio__run_callbacks(cio_loop *loop)
{
    cio__run_turns(loop, call, NULL);
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

static int run_forever(cio_loop *loop)
{
    int rc = 0;
    __atomic_store_n(&loop->thread, cio__thread_number(), __ATOMIC_RELEASE);
    loop->run_frame = __builtin_frame_address(0);
    __atomic_store_n(&loop->running, true, __ATOMIC_RELEASE);
    loop->runs++;
    loop->until_check = 0;
    loop->polled_ns = 0;
    cio__running = loop;
    for (;;) {
        rc = gather_work(loop);
        if (unlikely(rc < 0))
            break;
        loop->run_turns(loop);
        if (unlikely(cio__running != loop))
            return CIO_EFORKED; /* a callback forked, and we are the child */
        if (unlikely(loop->stopping))
            break;
    }
    loop->stopping = false;
    __atomic_store_n(&loop->running, false, __ATOMIC_RELEASE);
    cio__running = NULL;
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
    loop->until_check = 0;
    return 0;
}
