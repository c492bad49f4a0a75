/* What a loop has done so far. */
#include <cio/counters.h>

#include <errno.h>

#include "loop/loop.h"

#define N_COUNTERS (sizeof(cio_loop_counters) / sizeof(uint64_t))

_Static_assert(sizeof(cio_loop_counters) % sizeof(uint64_t) == 0, "they are copied one by one");

static uint64_t queued(const struct cio__ready *ready)
{
    return ready->tail - ready->head;
}

static void show_calls(cio_loop *loop)
{
    struct cio__counts *counts = &loop->counts;
    uint64_t callbacks = cio__ran(loop) - counts->canceled;
    uint64_t alone = counts->alone + (loop->planned - loop->check_at);
    cio__show(&counts->shown.turns, loop->turns + alone);
    cio__show(&counts->shown.callbacks, callbacks);
    cio__show(&counts->shown.switches, callbacks - counts->plain + counts->called);
    cio__show(&counts->shown.hurried, loop->lanes.fronted);
}

void cio__counters_show(cio_loop *loop)
{
    cio_loop_counters *shown = &loop->counts.shown;
    struct cio__lanes *lanes = &loop->lanes;
    show_calls(loop);
    uint64_t ready = queued(&loop->ready) + queued(&lanes->front) + queued(&lanes->low);
    cio__show(&shown->ready, ready);
    if (ready > shown->ready_max)
        cio__show(&shown->ready_max, ready);
    cio__show(&shown->timers, loop->timers.n);
    if (loop->tasks)
        loop->count_tasks(loop, shown);
}

int cio_loop_get_counters(const cio_loop *loop, cio_loop_counters *counters)
{
    if (!loop || !counters)
        return -EINVAL;
    if (loop == cio__running)
        cio__counters_show(cio__running);
    const uint64_t *from = (const uint64_t *)&loop->counts.shown;
    uint64_t *to = (uint64_t *)counters;
    for (size_t i = 0; i < N_COUNTERS; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    return 0;
}
