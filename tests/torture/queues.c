/*
 * Tasks that put, get, join, give up and are canceled at random, against a model of the queue: a
 * list. Nothing is lost or doubled, the order is kept, the counts agree, and nobody waits for what
 * is there.
 */
#include <errno.h>
#include <string.h>

#include "random.h"

enum { MAX_TASKS = 40, STEPS = 120, MOST_ITEMS = 4000 };

enum kind { FIFO, LIFO, PRIORITY, N_KINDS };

enum wait { NOTHING, PUTTING, GETTING, JOINING };

/* An item is a priority and a number of its own. */
struct item {
    int priority;
    int number;
};

static struct {
    enum kind kind;
    cio_queue q;
    size_t maxsize;
    int n_made;
    struct item list[MOST_ITEMS]; /* what is in it, in the order in which it comes out */
    int length;
    int unfinished;
    bool is_shut_down;
    bool with_pointers; /* an item is 8 bytes: the way that most queues go */
    cio_task *tasks[MAX_TASKS];
    enum wait waits[MAX_TASKS];
    bool stops;
} world;

/* ---- the model ---- */

static int by_priority(const void *a, const void *b)
{
    return ((const struct item *)a)->priority - ((const struct item *)b)->priority;
}

static void model_put(struct item item)
{
    int at = world.length++;
    CHECK(world.length <= MOST_ITEMS);
    if (world.kind == LIFO)
        at = 0;
    if (world.kind == PRIORITY)
        for (at = 0; at < world.length - 1 && world.list[at].priority <= item.priority; at++)
            ;
    memmove(&world.list[at + 1], &world.list[at],
            (size_t)(world.length - 1 - at) * sizeof world.list[0]);
    world.list[at] = item;
    world.unfinished++;
}

static void model_get(struct item item)
{
    CHECK(world.length > 0);
    CHECK(world.list[0].number == item.number && world.list[0].priority == item.priority);
    memmove(&world.list[0], &world.list[1], (size_t)--world.length * sizeof world.list[0]);
}

static bool model_is_full(void)
{
    return (size_t)world.length >= world.maxsize;
}

static void check_counts(void)
{
    CHECK(cio_queue_qsize(&world.q) == (size_t)world.length);
    CHECK(cio_queue_empty(&world.q) == (world.length == 0));
    CHECK(cio_queue_full(&world.q) == model_is_full());
}

/* ---- what tasks do ---- */

static struct item make_item(void)
{
    return (struct item){random_below(4), ++world.n_made};
}

static int put_one(int me)
{
    struct item item = make_item();
    world.waits[me] = PUTTING;
    int rc = cio_queue_put(&world.q, &item);
    world.waits[me] = NOTHING;
    CHECK(rc == 0 || rc == CIO_ECANCELED || (rc == CIO_ESHUTDOWN && world.is_shut_down));
    if (rc == 0)
        model_put(item);
    return rc;
}

static int get_one(int me)
{
    struct item item = {0};
    world.waits[me] = GETTING;
    int rc = cio_queue_get(&world.q, &item);
    world.waits[me] = NOTHING;
    CHECK(rc == 0 || rc == CIO_ECANCELED || (rc == CIO_ESHUTDOWN && world.is_shut_down));
    if (rc == 0)
        model_get(item);
    else
        CHECK(item.number == 0);
    return rc;
}

static void do_nowait(void)
{
    struct item item = make_item();
    if (chance(50)) {
        int rc = cio_queue_put_nowait(&world.q, &item);
        CHECK(rc == (world.is_shut_down ? CIO_ESHUTDOWN : model_is_full() ? -EAGAIN : 0));
        if (rc == 0)
            model_put(item);
        return;
    }
    int rc = cio_queue_get_nowait(&world.q, &item);
    CHECK(rc == (world.length ? 0 : world.is_shut_down ? CIO_ESHUTDOWN : -EAGAIN));
    if (rc == 0)
        model_get(item);
}

static void finish_one(void)
{
    int rc = cio_queue_task_done(&world.q);
    CHECK(rc == (world.unfinished ? 0 : CIO_ESTATE));
    world.unfinished -= rc == 0;
}

static int join_once(int me)
{
    world.waits[me] = JOINING;
    int rc = cio_queue_join(&world.q);
    world.waits[me] = NOTHING;
    CHECK(rc == 0 || rc == CIO_ECANCELED);
    return rc;
}

static int one_step(int me)
{
    cio_timeout t;
    int rc = 0;
    bool limited = chance(3);
    if (limited)
        CHECK(cio_timeout_enter(&t, 0) == 0);
    switch (random_below(10)) {
    case 0:
    case 1:
    case 2: rc = put_one(me); break;
    case 3:
    case 4:
    case 5: rc = get_one(me); break;
    case 6: do_nowait(); break;
    case 7: finish_one(); break;
    case 8: rc = chance(20) ? join_once(me) : 0; break;
    default: rc = cio_yield(); break;
    }
    if (limited)
        rc = cio_timeout_exit(&t, rc);
    check_counts();
    return rc;
}

/* A canceled one gives up, or goes on as if nothing had happened. */
static int live(void *arg)
{
    int me = (int)(intptr_t)arg;
    int rc = 0;
    for (int i = 0; i < 30 && !world.stops && rc != CIO_ESHUTDOWN; i++) {
        rc = one_step(me);
        if (rc == CIO_ECANCELED && chance(50))
            return rc;
    }
    return 0;
}

/* ---- the world ---- */

static void begin_world(void)
{
    memset(&world, 0, sizeof world);
    world.kind = (enum kind)random_below(N_KINDS);
    world.maxsize = chance(15) ? CIO_UNBOUNDED : (size_t)(1 + random_below(5));
    if (world.kind == FIFO)
        CHECK(cio_queue_init(&world.q, world.maxsize, sizeof(struct item)) == 0);
    else if (world.kind == LIFO)
        CHECK(cio_lifo_queue_init(&world.q, world.maxsize, sizeof(struct item)) == 0);
    else
        CHECK(cio_priority_queue_init(&world.q, world.maxsize, sizeof(struct item), by_priority) ==
              0);
}

static void fill_places(int n)
{
    for (int i = 0; i < n; i++) {
        if (world.tasks[i] && cio_done(world.tasks[i])) {
            cio_detach(world.tasks[i]);
            world.tasks[i] = NULL;
        }
        if (!world.tasks[i])
            CHECK((world.tasks[i] = cio_create_task(live, (void *)(intptr_t)i)) != NULL);
    }
}

static int count_waiting(enum wait wait)
{
    int n = 0;
    for (int i = 0; i < MAX_TASKS; i++)
        n += world.tasks[i] && !cio_done(world.tasks[i]) && world.waits[i] == wait;
    return n;
}

/* When nothing moves any more, whoever waits has a reason to. */
static void check_quiet(void)
{
    for (int last = -1, now = world.n_made; last != now || chance(50); now = world.n_made) {
        last = now;
        for (int i = 0; i < 5; i++)
            CHECK(cio_yield() == 0);
    }
    for (int i = 0; i < MAX_TASKS * 35; i++)
        CHECK(cio_yield() == 0);
    CHECK(!count_waiting(GETTING) || (!world.length && !world.is_shut_down));
    CHECK(!count_waiting(PUTTING) || (model_is_full() && !world.is_shut_down));
    CHECK(!count_waiting(JOINING) || world.unfinished);
    check_counts();
}

static void shut_down(void)
{
    bool immediate = chance(50);
    CHECK(cio_queue_shutdown(&world.q, immediate) == 0);
    world.is_shut_down = true;
    if (immediate) {
        world.unfinished -= world.length < world.unfinished ? world.length : world.unfinished;
        world.length = 0;
    }
}

static void end_world(void)
{
    world.stops = true;
    check_quiet();
    for (int i = 0; i < MAX_TASKS; i++)
        if (world.tasks[i])
            cio_cancel(world.tasks[i]);
    while (cio_all_tasks(NULL, NULL) > 1) {
        for (int i = 0; i < MAX_TASKS; i++)
            if (world.tasks[i])
                cio_cancel(world.tasks[i]);
        CHECK(cio_yield() == 0);
    }
    for (int i = 0; i < MAX_TASKS; i++)
        cio_detach(world.tasks[i]);
    for (struct item item; cio_queue_get_nowait(&world.q, &item) == 0;)
        model_get(item);
    CHECK(world.length == 0);
    CHECK(cio_queue_destroy(&world.q) == 0);
}

static int run_world(void *arg)
{
    (void)arg;
    begin_world();
    int n = 1 + random_below(MAX_TASKS);
    for (int step = 0; step < STEPS; step++) {
        fill_places(n);
        CHECK(cio_yield() == 0);
        for (int i = random_below(3); i > 0; i--)
            cio_cancel(world.tasks[random_below(n)]);
        if (chance(10))
            do_nowait();
        if (chance(1) && chance(40))
            shut_down();
        check_counts();
    }
    end_world();
    return 0;
}

TEST_SLOW(queues_at_random)
{
    run_seeds(test_scale(1000), run_world);
}
