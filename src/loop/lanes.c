/* Classes of handles, and the order among them. */
#include "loop/lanes.h"

#include <errno.h>

#include "loop/loop.h"

#define HIGH_IN_ROW 64                    /* callbacks of the high class, then one of the others */
#define LOW_WAIT_NS (CIO__NS_PER_S / 100) /* then one of the low class runs, whatever is ready */

int cio__check_priority(int priority)
{
    return priority < CIO_PRIORITY_LOW || priority > CIO_PRIORITY_HIGH ? -EINVAL : 0;
}

int cio__lanes_open(cio_loop *loop)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (lanes->open)
        return 0;
    int rc = cio__ready_init(&lanes->front);
    if (rc == 0)
        rc = cio__ready_init(&lanes->low);
    if (rc < 0) {
        cio__ready_free(&lanes->front);
        return rc;
    }
    lanes->open = true;
    loop->ready.lanes = lanes;
    return 0;
}

int cio__lanes_use_classes(cio_loop *loop)
{
    int rc = cio__lanes_open(loop);
    if (rc == 0) {
        loop->lanes.classes = true;
        cio__ready_settle(&loop->ready);
    }
    return rc;
}

static cio_loop *loop_of(struct cio__ready *ready)
{
    return (cio_loop *)((char *)ready - offsetof(cio_loop, ready));
}

struct cio__ready *cio__lanes_ring(struct cio__ready *ready, cio_handle *handle, bool hurries)
{
    cio_loop *loop = loop_of(ready);
    struct cio__lanes *lanes = ready->lanes;
    if (handle->priority > 0 || (handle->priority == 0 && lanes->hurried && hurries)) {
        handle->lane = CIO__LANE_FRONT;
        if (!lanes->hurried)
            cio__want_attention(loop);
        return &lanes->front;
    }
    if (handle->priority < 0 && lanes->classes) {
        handle->lane = CIO__LANE_LOW;
        return &lanes->low;
    }
    return ready;
}

struct cio__ready *cio__lanes_ring_of(struct cio__ready *ready, const cio_handle *handle)
{
    return handle->lane == CIO__LANE_FRONT ? &ready->lanes->front : &ready->lanes->low;
}

void cio__lanes_promote(cio_loop *loop, cio_handle *handle)
{
    unsigned watch = cio__handle_state(handle) & CIO__WATCH;
    loop->ready.slots[handle->slot & loop->ready.mask] = NULL;
    handle->lane = CIO__LANE_FRONT;
    cio__ready_append(&loop->lanes.front, handle, watch);
}

uint64_t cio__lanes_insert_front(cio_loop *loop, uint64_t most)
{
    struct cio__ready *ready = &loop->ready, *front = &loop->lanes.front;
    if (front->head == front->tail && front->overflow)
        cio__ready_refill(front);
    uint64_t n = front->tail - front->head;
    if (n > most)
        n = most;
    uint64_t room = cio__ready_reserve(ready, n);
    if (n > room)
        n = room;
    ready->head -= n;
    for (uint64_t i = 0; i < n; i++) {
        cio_handle *handle = cio__ready_take(front);
        ready->slots[(ready->head + i) & ready->mask] = handle;
        if (!handle)
            continue;
        handle->slot = (uint32_t)(ready->head + i);
        handle->lane = CIO__LANE_READY;
    }
    loop->lanes.fronted += n;
    return n;
}

void cio__lanes_serve_high(cio_loop *loop)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (!lanes->open || cio__ready_empty(&lanes->front))
        return;
    if (loop->ready.head < lanes->high_end) {
        cio__stop_by(loop, lanes->high_end); /* first those that were put there before */
        return;
    }
    uint64_t ran = cio__ran(loop);
    if (ran - lanes->last_ran > lanes->last_n)
        lanes->high_in_row = 0; /* others ran since */
    bool others = loop->ready.head != loop->ready.tail;
    if (lanes->high_in_row >= HIGH_IN_ROW && others) {
        cio__stop_by(loop, loop->ready.head + 1);
        return;
    }
    lanes->last_ran = ran;
    lanes->last_n = cio__lanes_insert_front(loop, HIGH_IN_ROW);
    lanes->high_in_row += (unsigned)lanes->last_n;
    lanes->high_end = loop->ready.head + lanes->last_n;
    if (!cio__ready_empty(&lanes->front)) /* 0 were put there if there is no memory for more */
        cio__stop_by(loop,
                     lanes->high_end > loop->ready.head ? lanes->high_end : loop->ready.head + 1);
}

void cio__lanes_serve_low(cio_loop *loop)
{
    struct cio__lanes *lanes = &loop->lanes;
    if (!lanes->open || cio__ready_empty(&lanes->low)) {
        lanes->low_waits = false;
        return;
    }
    if (!lanes->low_waits)
        lanes->low_ns = loop->checked_ns;
    lanes->low_waits = true;
    bool idle = loop->ready.head == loop->ready.tail && cio__ready_empty(&lanes->front);
    if (!idle && loop->checked_ns - lanes->low_ns < LOW_WAIT_NS)
        return;
    lanes->low_ns = loop->checked_ns;
    cio_handle *handle;
    do
        handle = cio__ready_take(&lanes->low);
    while (!handle && !cio__ready_empty(&lanes->low));
    if (!handle)
        return;
    handle->lane = CIO__LANE_READY;
    cio__ready_append(&loop->ready, handle, cio__handle_state(handle) & CIO__WATCH);
}
