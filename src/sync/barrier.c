/*
 * asyncio.Barrier, on a condition as there: tasks come, the last lets all go, and the next round
 * waits until all have left.
 */
#include <errno.h>

#include "sync/waiters.h"

enum state {
    FILLING = 0,
    DRAINING = 1,  /* full: those inside leave */
    RESETTING = 2, /* those inside leave with an error */
    BROKEN = 3,
};

int cio_barrier_init(cio_barrier *barrier, int parties)
{
    if (!barrier || parties < 1)
        return -EINVAL;
    *barrier = (cio_barrier)CIO_BARRIER_INIT(parties);
    return 0;
}

static int not_leaving(void *arg)
{
    const cio_barrier *barrier = arg;
    return barrier->state != DRAINING && barrier->state != RESETTING;
}

static int not_filling(void *arg)
{
    const cio_barrier *barrier = arg;
    return barrier->state != FILLING;
}

static int wait_for_others(cio_barrier *barrier)
{
    int rc = cio_condition_wait_for(&barrier->changed, not_filling, barrier);
    if (rc < 0)
        return rc;
    return barrier->state == BROKEN || barrier->state == RESETTING ? CIO_EBROKEN : 0;
}

static void let_all_go(cio_barrier *barrier)
{
    barrier->state = DRAINING;
    cio_condition_notify_all(&barrier->changed);
}

static void step_out(cio_barrier *barrier)
{
    if (--barrier->count > 0)
        return;
    if (barrier->state == RESETTING || barrier->state == DRAINING)
        barrier->state = FILLING;
    cio_condition_notify_all(&barrier->changed);
}

/* With the condition's lock held. */
static int meet(cio_barrier *barrier)
{
    int rc = cio_condition_wait_for(&barrier->changed, not_leaving, barrier);
    if (rc < 0)
        return rc;
    if (barrier->state == BROKEN)
        return CIO_EBROKEN;
    int index = barrier->count++;
    rc = 0;
    if (index + 1 == barrier->parties)
        let_all_go(barrier);
    else
        rc = wait_for_others(barrier);
    step_out(barrier);
    return rc < 0 ? rc : index;
}

/* Takes the condition's lock, if those who wait inside are this loop's. */
static int begin(cio_barrier *barrier)
{
    if (!barrier || barrier->parties < 1)
        return -EINVAL;
    int rc = cio_condition_acquire(&barrier->changed);
    if (rc < 0)
        return rc;
    rc = cio__waiters_check_wake(&barrier->changed.waiters);
    if (rc < 0)
        cio_condition_release(&barrier->changed);
    return rc;
}

int cio_barrier_wait(cio_barrier *barrier)
{
    int rc = begin(barrier);
    if (rc < 0)
        return rc;
    rc = meet(barrier);
    cio_condition_release(&barrier->changed);
    return rc;
}

/* Changes the state, and tells those who are inside. */
static int change(cio_barrier *barrier, enum state if_occupied, enum state if_empty)
{
    int rc = begin(barrier);
    if (rc < 0)
        return rc;
    barrier->state = barrier->count > 0 ? if_occupied : if_empty;
    cio_condition_notify_all(&barrier->changed);
    cio_condition_release(&barrier->changed);
    return 0;
}

int cio_barrier_reset(cio_barrier *barrier)
{
    return change(barrier, RESETTING, FILLING);
}

int cio_barrier_abort(cio_barrier *barrier)
{
    return change(barrier, BROKEN, BROKEN);
}

int cio_barrier_parties(const cio_barrier *barrier)
{
    return barrier ? barrier->parties : 0;
}

int cio_barrier_n_waiting(const cio_barrier *barrier)
{
    return barrier && barrier->state == FILLING ? barrier->count : 0;
}

bool cio_barrier_broken(const cio_barrier *barrier)
{
    return barrier && barrier->state == BROKEN;
}

int cio_barrier_destroy(cio_barrier *barrier)
{
    if (!barrier)
        return -EINVAL;
    return barrier->count > 0 ? -EBUSY : cio_condition_destroy(&barrier->changed);
}
