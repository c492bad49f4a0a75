/*
 * Senders and subscribers of every kind that come, go, and are canceled at random. Messages are
 * numbered: each subscriber must see them in order, without a gap if it is waited for, and with
 * gaps that add up if not. Nobody waits without a reason.
 */
#include <errno.h>
#include <string.h>

#include "random.h"

enum { SIZE_MOST = 6, SENDERS = 6, SUBSCRIBERS = 10, STEPS = 150 };

struct subscription {
    cio_subscriber s;
    cio_slow slow;
    long next; /* the number that comes next if none is lost */
    uint64_t lost;
    bool waits;
};

static struct {
    cio_broadcast b;
    size_t size;
    long sent;
    bool stops, is_closed;
    cio_task *tasks[SENDERS + SUBSCRIBERS];
    int n_sending;
    struct subscription *subscriptions[SUBSCRIBERS];
} world;

static int send_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20 && !world.stops; i++) {
        /* The number must be the one under which it is sent: nobody may come between. */
        long number = -1;
        if (chance(30)) {
            number = world.sent;
            int rc = cio_broadcast_send_nowait(&world.b, &number);
            CHECK(rc == 0 || rc == -EAGAIN || (rc == CIO_ESHUTDOWN && world.is_closed));
            world.sent += rc == 0;
        } else {
            number = -2;
            world.n_sending++;
            int rc = cio_broadcast_send(&world.b, &number);
            world.n_sending--;
            CHECK(rc == 0 || rc == CIO_ECANCELED || (rc == CIO_ESHUTDOWN && world.is_closed));
            world.sent += rc == 0;
            if (rc < 0 && chance(50))
                return 0;
        }
        if (chance(40) && cio_yield() < 0 && chance(50))
            return 0;
    }
    return 0;
}

/* A message is its number; one that waited to be sent could not know it, and is -2. */
static void got(struct subscription *me, long number)
{
    uint64_t lost = cio_subscriber_lost(&me->s);
    me->next += (long)(lost - me->lost);
    me->lost = lost;
    CHECK(number == -2 || number == me->next);
    CHECK(me->next < world.sent);
    me->next++;
}

static bool receive_one(struct subscription *me)
{
    long number = -1;
    bool may_wait = chance(80);
    me->waits = may_wait;
    int rc = may_wait ? cio_subscriber_receive(&me->s, &number)
                      : cio_subscriber_receive_nowait(&me->s, &number);
    me->waits = false;
    CHECK(me->slow != CIO_SLOW_WAIT || cio_subscriber_lost(&me->s) == 0);
    switch (rc) {
    case 0: got(me, number); return true;
    case -EAGAIN: CHECK(!may_wait); return cio_yield() == 0 || chance(50);
    case CIO_ECANCELED: CHECK(may_wait); return chance(50);
    case CIO_ESHUTDOWN: CHECK(world.is_closed); return false;
    case -EOVERFLOW: CHECK(me->slow >= CIO_SLOW_TELL); return me->slow == CIO_SLOW_TELL;
    default: CHECK(rc == 0); return false;
    }
}

static int subscribe_a_while(void *arg)
{
    struct subscription me = {.s = CIO_SUBSCRIBER_INIT, .slow = (cio_slow)random_below(4)};
    int place = (int)(intptr_t)arg;
    int rc = cio_subscribe(&me.s, &world.b, me.slow);
    CHECK(rc == (world.is_closed ? CIO_ESHUTDOWN : 0));
    if (rc < 0)
        return 0;
    me.next = world.sent;
    world.subscriptions[place] = &me;
    for (int i = 0; i < 40 && !world.stops; i++) {
        if (!receive_one(&me))
            break;
        if (chance(20))
            cio_yield();
    }
    world.subscriptions[place] = NULL;
    CHECK(cio_unsubscribe(&me.s) == 0);
    return 0;
}

static void fill_places(int n_senders, int n_subscribers)
{
    for (int i = 0; i < SENDERS + SUBSCRIBERS; i++) {
        bool is_sender = i < SENDERS;
        if (is_sender ? i >= n_senders : i - SENDERS >= n_subscribers)
            continue;
        if (world.tasks[i] && !cio_done(world.tasks[i]))
            continue;
        cio_detach(world.tasks[i]);
        world.tasks[i] = cio_create_task(is_sender ? send_some : subscribe_a_while,
                                         (void *)(intptr_t)(is_sender ? i : i - SENDERS));
        CHECK(world.tasks[i] != NULL);
    }
}

/* When nothing moves any more, whoever waits has a reason to. */
static void check_quiet(void)
{
    bool somebody_is_full = false;
    for (int i = 0; i < 600; i++)
        CHECK(cio_yield() == 0);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        const struct subscription *each = world.subscriptions[i];
        if (!each)
            continue;
        size_t pending = cio_subscriber_pending(&each->s);
        CHECK(!each->waits || (pending == 0 && !world.is_closed));
        somebody_is_full |= each->slow == CIO_SLOW_WAIT && pending == world.size;
    }
    CHECK(!world.n_sending || (somebody_is_full && !world.is_closed));
}

static void end_world(void)
{
    world.stops = true;
    check_quiet();
    if (chance(50)) {
        CHECK(cio_broadcast_close(&world.b) == 0);
        world.is_closed = true;
        check_quiet();
        CHECK(!world.n_sending);
    }
    while (cio_all_tasks(NULL, NULL) > 1) {
        for (int i = 0; i < SENDERS + SUBSCRIBERS; i++)
            if (world.tasks[i])
                cio_cancel(world.tasks[i]);
        CHECK(cio_yield() == 0);
    }
    for (int i = 0; i < SENDERS + SUBSCRIBERS; i++)
        cio_detach(world.tasks[i]);
    CHECK(cio_broadcast_subscribers(&world.b) == 0);
    CHECK(cio_broadcast_destroy(&world.b) == 0);
}

static int run_world(void *arg)
{
    (void)arg;
    memset(&world, 0, sizeof world);
    world.size = (size_t)(1 + random_below(SIZE_MOST));
    CHECK(cio_broadcast_init(&world.b, world.size, sizeof(long)) == 0);
    int n_senders = 1 + random_below(SENDERS), n_subscribers = random_below(SUBSCRIBERS + 1);
    for (int step = 0; step < STEPS; step++) {
        fill_places(n_senders, n_subscribers);
        CHECK(cio_yield() == 0);
        if (chance(20))
            cio_cancel(world.tasks[random_below(n_senders)]);
        if (n_subscribers && chance(20))
            cio_cancel(world.tasks[SENDERS + random_below(n_subscribers)]);
        if (chance(1) && chance(20)) {
            CHECK(cio_broadcast_close(&world.b) == 0);
            world.is_closed = true;
        }
    }
    end_world();
    return 0;
}

TEST_SLOW(broadcasts_at_random)
{
    run_seeds(test_scale(1000), run_world);
}
