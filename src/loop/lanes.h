/*
 * The lanes: two rings beside the ready ring, for programs whose handles are of several classes and
 * for turns that last too long. A loop that needs neither has only the ready ring, and does not ask:
 * the ring's capacity says 0 while somebody must be asked where a handle goes.
 *
 * What stands in the front lane is put before all that is ready as soon as the callback that runs
 * has returned. What stands in the low lane becomes ready, one at a time, when nothing else is.
 */
#ifndef CIO_LOOP_LANES_H
#define CIO_LOOP_LANES_H

#include "loop/ready.h"

/* cio_handle.lane */
enum cio__lane { CIO__LANE_READY = 0, CIO__LANE_FRONT = 1, CIO__LANE_LOW = 2 };

/* Positions of the ready ring: from, and up to but without to. */
struct cio__range {
    uint64_t from;
    uint64_t to;
};

enum cio__hurry { CIO__NO_HURRY = 0, CIO__TIMERS_HURRY, CIO__WOKEN_HURRY };

struct cio__lanes {
    struct cio__ready front;
    struct cio__ready low;
    bool open;    /* the rings have their memory */
    bool classes; /* there may be handles of a class other than the normal one */
    bool hurried; /* handles of the normal class go to the front lane too: see hurry.c */

    uint64_t fronted;     /* how many were put before the head of the ready ring, ever */
    unsigned high_in_row; /* of them, without one of a lower class between */
    uint64_t high_end;    /* where those that were put there last end */
    uint64_t last_ran;    /* cio__ran() when the last were put there */
    uint64_t last_n;      /* and how many those were */
    int64_t low_ns;       /* since when the low lane has been waiting */
    bool low_waits;

    /* See hurry.c. */
    uint64_t timed_turn;     /* the turn_end of the turn of which the next line speaks */
    int64_t turn_began_ns;   /* or a little earlier */
    struct cio__range timed; /* due timers in the ready ring, at the end of the turn */
    struct cio__range woken; /* what they have made ready; .to is 0 while they run */
    enum cio__hurry hurry;
    uint64_t front_end; /* in a hurry: where that ends which was put before the rest */
    int64_t hurry_began_ns;
    int64_t rest_until_ns; /* no hurry before */
};

/* Whether the ready ring must ask where a handle goes. */
static inline bool cio__lanes_route(const struct cio__lanes *lanes)
{
    return lanes->classes || lanes->hurried;
}

static inline bool cio__lanes_empty(const struct cio__lanes *lanes)
{
    return !lanes->open || (cio__ready_empty(&lanes->front) && cio__ready_empty(&lanes->low));
}

/* Makes the lanes' rings, once. Returns 0 or -ENOMEM. */
int cio__lanes_open(cio_loop *loop);

/* From now on handles of that loop may be of several classes. Returns 0 or -ENOMEM. */
int cio__lanes_use_classes(cio_loop *loop);

/* 0, or -EINVAL if that is no class. */
int cio__check_priority(int priority);

/* The ring to which a handle goes, and the one in which it stands (its lane is not 0). */
struct cio__ready *cio__lanes_ring(struct cio__ready *ready, cio_handle *handle, bool hurries);
struct cio__ready *cio__lanes_ring_of(struct cio__ready *ready, const cio_handle *handle);

/* Whether a handle has its turn when nothing else has anything to do. */
static inline bool cio__is_low(const cio_handle *handle)
{
    return handle->priority < 0;
}

/* Takes it from the ready ring, where it stands, and puts it into the front lane. */
void cio__lanes_promote(cio_loop *loop, cio_handle *handle);

/* Puts what stands in the front lane before all that is ready, or most of it. Returns how many. */
uint64_t cio__lanes_insert_front(cio_loop *loop, uint64_t most);

/*
 * Between two callbacks: the higher class goes first, but leaves the others one callback in so
 * many. Between two turns also: one of the low class, if nothing else is ready or it has waited
 * long.
 */
void cio__lanes_serve_high(cio_loop *loop);
void cio__lanes_serve_low(cio_loop *loop);

#endif
