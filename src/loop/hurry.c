/* Turns that last too long. */
#include "loop/hurry.h"

static void count_lateness(struct cio_loop_counters *shown, int64_t when_ns, int64_t now_ns)
{
    /* A deadline may be any number; the clock is not negative. */
    uint64_t late = (uint64_t)(now_ns - (when_ns > 0 ? when_ns : 0));
    int bucket = 0;
    while (bucket < CIO_LATENESS_BUCKETS - 1 && late >= (uint64_t)1000 << (2 * bucket))
        bucket++;
    cio__count(&shown->timers_fired, 1);
    cio__count(&shown->late_sum_ns, late);
    cio__count(&shown->late[bucket], 1);
    if (late > shown->late_max_ns)
        cio__show(&shown->late_max_ns, late);
}

void cio__queue_due_timers(cio_loop *loop, int64_t now_ns)
{
    struct cio__timers *timers = &loop->timers;
    uint64_t from = loop->ready.tail;
    while (timers->n && timers->heap[0].when_ns <= now_ns) {
        cio_handle *handle = timers->heap[0].handle;
        count_lateness(&loop->counts.shown, timers->heap[0].when_ns, now_ns);
        cio__timers_remove(timers, handle);
        cio__ready_push(&loop->ready, handle);
    }
    if (loop->ready.tail != from && !loop->lanes.hurried)
        loop->lanes.timed = (struct cio__range){.from = from, .to = loop->ready.tail};
}

/* ---- Which are the due timers, and what did they wake? ---- */

/*
 * Due timers are queued last of all before a turn begins, so they are its end. The loop stops where
 * they begin, and where they end; what was queued between is the end of the next turn, or near it.
 */
static void watch_timers(cio_loop *loop)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (loop->turn_budget_ns == CIO__NEVER || lanes->timed.to <= loop->ready.head)
        return;
    if (loop->ready.head < lanes->timed.from) {
        cio__stop_by(loop, lanes->timed.from);
        return;
    }
    if (lanes->woken.to != 0 || lanes->woken.from == 0)
        lanes->woken = (struct cio__range){.from = loop->ready.tail};
    cio__stop_by(loop, lanes->timed.to);
}

/* What the timers that have run made ready so far. */
static struct cio__range woken(const cio_loop *loop)
{
    struct cio__range range = loop->lanes.woken;
    if (range.from != 0 && range.to == 0)
        range.to = loop->ready.tail;
    return range;
}

void cio__hurry_turn_begins(cio_loop *loop)
{
    loop->lanes.timed_turn = loop->turn_end;
    loop->lanes.turn_began_ns = loop->checked_ns;
    watch_timers(loop);
}

/* ---- The hurry ---- */

static void set_hurried(cio_loop *loop, bool hurried)
{
    loop->lanes.hurried = hurried;
    cio__ready_settle(&loop->ready);
}

/* Moves what is left of the range to the front lane. */
static void promote(cio_loop *loop, struct cio__range range)
{
    struct cio__ready *ready = &loop->ready;
    uint64_t at = range.from > ready->head ? range.from : ready->head;
    for (; at < range.to; at++) {
        cio_handle *handle = ready->slots[at & ready->mask];
        if (handle && !cio__is_low(handle))
            cio__lanes_promote(loop, handle);
    }
}

static void insert_front(cio_loop *loop)
{
    uint64_t n = cio__lanes_insert_front(loop, UINT64_MAX);
    loop->lanes.front_end = loop->ready.head + n;
}

/* Due timers go first, with what is made ready while they run; then all that is ready runs. */
static void begin(cio_loop *loop, int64_t now_ns)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (cio__lanes_open(loop) < 0)
        return; /* then asyncio's order must do */
    promote(loop, woken(loop));
    insert_front(loop);
    promote(loop, lanes->timed);
    lanes->woken = lanes->timed = (struct cio__range){0};
    set_hurried(loop, true);
    cio__queue_due_timers(loop, now_ns);
    lanes->hurry_began_ns = now_ns;
    lanes->hurry = CIO__TIMERS_HURRY;
    insert_front(loop);
}

static void let_woken_hurry(cio_loop *loop)
{
    set_hurried(loop, false);
    loop->lanes.hurry = CIO__WOKEN_HURRY;
    insert_front(loop);
}

static void end(cio_loop *loop, int64_t now_ns)
{
    struct cio__lanes *lanes = &loop->lanes;
    set_hurried(loop, false);
    lanes->hurry = CIO__NO_HURRY;
    lanes->rest_until_ns = now_ns + (now_ns - lanes->hurry_began_ns);
}

static bool is_due(const cio_loop *loop, int64_t now_ns)
{
    uint64_t head = loop->ready.head;
    struct cio__range made_ready = woken(loop);
    return cio__timers_next_ns(&loop->timers) <= now_ns || loop->lanes.timed.to > head ||
           (made_ready.to > head && made_ready.to > made_ready.from);
}

void cio__hurry(cio_loop *loop, int64_t now_ns)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (lanes->timed_turn != loop->turn_end) {
        lanes->timed_turn = loop->turn_end; /* begun since the last look but one */
        lanes->turn_began_ns = loop->looked_before_ns;
    }
    if (lanes->hurry == CIO__NO_HURRY) {
        if (now_ns - lanes->turn_began_ns >= loop->turn_budget_ns &&
            now_ns >= lanes->rest_until_ns && is_due(loop, now_ns))
            begin(loop, now_ns);
        return;
    }
    bool over = now_ns - lanes->hurry_began_ns >= loop->turn_budget_ns;
    if (!over && lanes->hurry == CIO__TIMERS_HURRY && loop->ready.head >= lanes->front_end)
        let_woken_hurry(loop);
    if (over || loop->ready.head >= lanes->front_end)
        end(loop, now_ns);
}

void cio__hurry_turn_resumes(cio_loop *loop)
{
    if (loop->lanes.hurry)
        cio__stop_by(loop, loop->lanes.front_end);
    watch_timers(loop);
}

void cio__hurry_turn_ends(cio_loop *loop)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (lanes->hurry)
        end(loop, loop->checked_ns);
    lanes->woken = woken(loop);
    lanes->timed = (struct cio__range){0};
}
