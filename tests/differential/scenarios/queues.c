/* Queues. scenario_queues.py is the twin. */
#include <errno.h>

#include "trace.h"

static cio_queue q;

static int up(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* size 0: unbounded */
static void new_queue(const char *kind, int size)
{
    size_t maxsize = size ? (size_t)size : CIO_UNBOUNDED;
    if (kind[0] == 'l')
        cio_lifo_queue_init(&q, maxsize, sizeof(int));
    else if (kind[0] == 'p')
        cio_priority_queue_init(&q, maxsize, sizeof(int), up);
    else
        cio_queue_init(&q, maxsize, sizeof(int));
}

static int end_queue(int rc)
{
    say("in it %d, empty %d, full %d", (int)cio_queue_qsize(&q), cio_queue_empty(&q),
        cio_queue_full(&q));
    return cio_queue_destroy(&q) < 0 ? -EBUSY : rc;
}

static const char *words(int rc)
{
    switch (rc) {
    case 0: return "ok";
    case CIO_ECANCELED: return "canceled";
    case CIO_ESHUTDOWN: return "shut down";
    case CIO_ESTATE: return "too often";
    case -EAGAIN: return "would wait";
    default: return how(rc);
    }
}

typedef struct actor {
    const char *name;
    int item;
    int times;
} actor;

static int get(void *arg)
{
    actor *a = arg;
    int rc = 0;
    for (int i = 0; i < a->times && rc == 0; i++) {
        int item = 0;
        rc = cio_queue_get(&q, &item);
        say("%s: %s %d", a->name, words(rc), item);
    }
    return rc;
}

static int put(void *arg)
{
    actor *a = arg;
    int rc = 0;
    for (int i = 0; i < a->times && rc == 0; i++) {
        int item = a->item + i;
        rc = cio_queue_put(&q, &item);
        say("%s: %s %d", a->name, words(rc), item);
    }
    return rc;
}

static int join(void *arg)
{
    actor *a = arg;
    int rc = cio_queue_join(&q);
    say("%s: %s", a->name, words(rc));
    return rc;
}

static void put_now(int item)
{
    int rc = cio_queue_put_nowait(&q, &item);
    say("put %d: %s", item, words(rc));
}

static void get_now(void)
{
    int item = 0;
    int rc = cio_queue_get_nowait(&q, &item);
    say("get: %s %d", words(rc), item);
}

static void done(void)
{
    say("done: %s", words(cio_queue_task_done(&q)));
}

static void shut(bool immediate)
{
    cio_queue_shutdown(&q, immediate);
    say("shut down %d", immediate);
}

/* The fields of an actor: name, item, times. It lives as long as the caller's block. */
#define GET(name) cio_create_task(get, &(actor){name, 0, 1})
#define GETS(name, times) cio_create_task(get, &(actor){name, 0, times})
#define PUT(name, item) cio_create_task(put, &(actor){name, item, 1})
#define PUTS(name, item, times) cio_create_task(put, &(actor){name, item, times})
#define JOIN(name) cio_create_task(join, &(actor){name, 0, 1})

/* Cancels what is left, and waits for all. */
static void end_tasks(cio_task **tasks, int n)
{
    for (int i = 0; i < n; i++)
        cio_cancel(tasks[i]);
    for (int i = 0; i < n; i++)
        cio_await(tasks[i]);
}

#define END(...)                                                                                   \
    end_tasks((cio_task *[]){__VA_ARGS__},                                                         \
              (int)(sizeof((cio_task *[]){__VA_ARGS__}) / sizeof(cio_task *)))

SCENARIO(queue_getters_in_order)
{
    new_queue("fifo", 3);
    cio_task *a = GET("a"), *b = GET("b"), *c = GET("c");
    wait_turns(2);
    put_now(1);
    put_now(2);
    wait_turns(3);
    put_now(3);
    wait_turns(3);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_putters_in_order)
{
    new_queue("fifo", 1);
    cio_task *a = PUT("a", 1), *b = PUT("b", 2), *c = PUT("c", 3);
    wait_turns(2);
    put_now(9);
    get_now();
    wait_turns(1);
    get_now();
    wait_turns(3);
    get_now();
    wait_turns(3);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_a_newcomer_takes_what_a_getter_was_woken_for)
{
    new_queue("fifo", 3);
    cio_task *a = GET("a"), *b = GET("b");
    wait_turns(2);
    put_now(1);
    get_now();
    get_now();
    wait_turns(2);
    put_now(2);
    put_now(3);
    wait_turns(3);
    END(a, b);
    return end_queue(0);
}

SCENARIO(queue_a_newcomer_takes_the_place_of_a_woken_putter)
{
    new_queue("fifo", 1);
    put_now(0);
    cio_task *a = PUT("a", 1), *b = PUT("b", 2);
    wait_turns(2);
    get_now();
    put_now(3);
    wait_turns(2);
    get_now();
    wait_turns(3);
    get_now();
    wait_turns(3);
    END(a, b);
    return end_queue(0);
}

SCENARIO(queue_a_waiting_getter_is_canceled)
{
    new_queue("fifo", 1);
    cio_task *a = GET("a"), *b = GET("b"), *c = GET("c");
    wait_turns(2);
    cio_cancel(a);
    put_now(1);
    wait_turns(3);
    cio_cancel(c);
    wait_turns(2);
    put_now(2);
    wait_turns(2);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_a_woken_getter_is_canceled)
{
    new_queue("fifo", 2);
    cio_task *a = GET("a"), *b = GET("b"), *c = GET("c");
    wait_turns(2);
    put_now(1);
    cio_cancel(a);
    wait_turns(4);
    put_now(2);
    put_now(3);
    cio_cancel(c);
    wait_turns(4);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_two_woken_getters_are_canceled)
{
    new_queue("fifo", 2);
    cio_task *a = GET("a"), *b = GET("b"), *c = GET("c"), *d = GET("d");
    wait_turns(2);
    put_now(1);
    put_now(2);
    cio_cancel(a);
    cio_cancel(b);
    wait_turns(5);
    END(a, b, c, d);
    return end_queue(0);
}

SCENARIO(queue_a_woken_getter_is_canceled_and_its_item_is_gone)
{
    new_queue("fifo", 2);
    cio_task *a = GET("a"), *b = GET("b"), *c = GET("c");
    wait_turns(2);
    put_now(1);
    cio_cancel(a);
    get_now();
    wait_turns(4);
    put_now(2);
    wait_turns(2);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_a_woken_putter_is_canceled)
{
    new_queue("fifo", 1);
    put_now(0);
    cio_task *a = PUT("a", 1), *b = PUT("b", 2), *c = PUT("c", 3);
    wait_turns(2);
    get_now();
    cio_cancel(a);
    wait_turns(4);
    cio_cancel(c);
    get_now();
    wait_turns(4);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_a_woken_putter_is_canceled_and_its_place_is_gone)
{
    new_queue("fifo", 1);
    put_now(0);
    cio_task *a = PUT("a", 1), *b = PUT("b", 2), *c = PUT("c", 3);
    wait_turns(2);
    get_now();
    put_now(9);
    cio_cancel(a);
    wait_turns(4);
    get_now();
    wait_turns(2);
    get_now();
    wait_turns(2);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_canceled_before_it_waits)
{
    new_queue("fifo", 1);
    cio_task *a = GET("a"), *b = PUTS("b", 1, 3);
    cio_cancel(a);
    wait_turns(3);
    cio_cancel(b);
    cio_cancel(b);
    wait_turns(3);
    END(a, b);
    return end_queue(0);
}

SCENARIO(queue_stream_of_size_one)
{
    new_queue("fifo", 1);
    cio_task *a = PUTS("a", 1, 5), *b = GETS("b", 5);
    wait_turns(20);
    END(a, b);
    return end_queue(0);
}

SCENARIO(queue_stream_of_size_three)
{
    new_queue("fifo", 3);
    cio_task *a = PUTS("a", 10, 6), *b = PUTS("b", 20, 6), *c = GETS("c", 7), *d = GETS("d", 7);
    wait_turns(30);
    END(a, b, c, d);
    return end_queue(0);
}

SCENARIO(queue_unbounded)
{
    new_queue("fifo", 0);
    cio_task *a = PUTS("a", 1, 50), *b = GETS("b", 20);
    wait_turns(5);
    END(a, b);
    return end_queue(0);
}

static void put_some(void)
{
    static const int items[] = {5, 3, 8, 1, 9, 2};
    for (int i = 0; i < 6; i++)
        put_now(items[i]);
}

SCENARIO(queue_last_in_first_out)
{
    new_queue("lifo", 4);
    cio_task *a = GETS("a", 2), *b = PUTS("b", 30, 3);
    wait_turns(1);
    put_some();
    wait_turns(4);
    for (int i = 0; i < 5; i++)
        get_now();
    wait_turns(4);
    END(a, b);
    return end_queue(0);
}

SCENARIO(queue_by_priority)
{
    new_queue("priority", 4);
    cio_task *a = GETS("a", 2), *b = PUTS("b", 0, 3);
    wait_turns(1);
    put_some();
    wait_turns(4);
    for (int i = 0; i < 5; i++)
        get_now();
    wait_turns(4);
    END(a, b);
    return end_queue(0);
}

SCENARIO(queue_join_waits_for_every_item)
{
    new_queue("fifo", 5);
    cio_task *a = JOIN("a");
    wait_turns(2);
    put_now(1);
    put_now(2);
    cio_task *b = JOIN("b"), *c = JOIN("c");
    wait_turns(2);
    get_now();
    get_now();
    done();
    wait_turns(2);
    done();
    wait_turns(2);
    done();
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_join_and_a_later_item)
{
    new_queue("fifo", 5);
    put_now(1);
    cio_task *a = JOIN("a"), *b = JOIN("b");
    wait_turns(2);
    done();
    put_now(2);
    cio_task *c = JOIN("c");
    cio_cancel(b);
    wait_turns(3);
    cio_cancel(c);
    wait_turns(2);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_shut_down_with_getters)
{
    new_queue("fifo", 2);
    cio_task *a = GET("a"), *b = GET("b"), *c = GET("c");
    wait_turns(2);
    put_now(1);
    cio_cancel(c);
    shut(false);
    wait_turns(4);
    get_now();
    put_now(2);
    cio_task *d = GET("d"), *e = PUT("e", 1);
    wait_turns(2);
    END(a, b, c, d, e);
    return end_queue(0);
}

SCENARIO(queue_shut_down_with_putters)
{
    new_queue("fifo", 1);
    put_now(0);
    cio_task *a = PUT("a", 1), *b = PUT("b", 2), *c = JOIN("c");
    wait_turns(2);
    get_now();
    shut(false);
    wait_turns(3);
    put_now(5);
    get_now();
    done();
    wait_turns(2);
    shut(true);
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_shut_down_and_drained)
{
    new_queue("lifo", 4);
    put_some();
    shut(false);
    cio_task *a = GETS("a", 3);
    wait_turns(3);
    get_now();
    get_now();
    put_now(7);
    END(a);
    return end_queue(0);
}

SCENARIO(queue_shut_down_immediately)
{
    new_queue("priority", 3);
    put_some();
    cio_task *a = PUT("a", 1), *b = JOIN("b"), *c = JOIN("c");
    wait_turns(2);
    shut(true);
    cio_cancel(c);
    wait_turns(3);
    get_now();
    put_now(1);
    done();
    END(a, b, c);
    return end_queue(0);
}

SCENARIO(queue_shut_down_immediately_with_work_under_way)
{
    new_queue("fifo", 3);
    put_some();
    get_now();
    cio_task *a = JOIN("a"), *b = PUT("b", 4), *c = PUT("c", 6);
    wait_turns(2);
    shut(true);
    wait_turns(2);
    done();
    wait_turns(2);
    done();
    END(a, b, c);
    return end_queue(0);
}

/* ---- at random ---- */

static unsigned random_state;

static int random_below(int n)
{
    random_state = random_state * 1103515245u + 12345u;
    return (int)(random_state >> 16 & 0x7fff) % n;
}

enum { MAX_TASKS = 400 };

static struct {
    cio_task *tasks[MAX_TASKS];
    actor actors[MAX_TASKS];
    char names[MAX_TASKS][8];
    int n;
} crowd;

static void start(cio_coroutine *fn, char kind)
{
    if (crowd.n == MAX_TASKS)
        return;
    int i = crowd.n++;
    crowd.names[i][0] = kind;
    crowd.names[i][1] = (char)('0' + i / 100);
    crowd.names[i][2] = (char)('0' + i / 10 % 10);
    crowd.names[i][3] = (char)('0' + i % 10);
    crowd.actors[i] = (actor){crowd.names[i], random_below(50), 1 + random_below(3)};
    crowd.tasks[i] = cio_create_task(fn, &crowd.actors[i]);
}

static void act(bool may_shut)
{
    int what = random_below(100);
    if (what < 22)
        start(get, 'g');
    else if (what < 44)
        start(put, 'p');
    else if (what < 48)
        start(join, 'j');
    else if (what < 56)
        put_now(random_below(50));
    else if (what < 64)
        get_now();
    else if (what < 74)
        done();
    else if (what < 94 && crowd.n)
        cio_cancel(crowd.tasks[random_below(crowd.n)]);
    else if (what >= 98 && may_shut)
        shut(random_below(2));
}

static int at_random(const char *kind, int size, unsigned seed, bool may_shut)
{
    new_queue(kind, size);
    crowd.n = 0;
    random_state = seed;
    for (int turn = 0; turn < 150; turn++) {
        for (int n = random_below(5); n > 0; n--)
            act(may_shut);
        wait_turns(random_below(3));
    }
    end_tasks(crowd.tasks, crowd.n);
    return end_queue(0);
}

SCENARIO(queue_at_random_of_one)
{
    return at_random("fifo", 1, 1, false);
}

SCENARIO(queue_at_random_of_four)
{
    return at_random("fifo", 4, 2, false);
}

SCENARIO(queue_at_random_unbounded)
{
    return at_random("fifo", 0, 3, false);
}

SCENARIO(queue_at_random_lifo)
{
    return at_random("lifo", 3, 4, false);
}

SCENARIO(queue_at_random_priority)
{
    return at_random("priority", 5, 5, false);
}

SCENARIO(queue_at_random_shut_down)
{
    int rc = 0;
    for (unsigned seed = 10; seed < 30; seed++)
        rc = at_random(seed % 2 ? "fifo" : "lifo", (int)seed % 4, seed, true);
    return rc;
}
