/* cio_queue: asyncio.Queue, LifoQueue, PriorityQueue (T46, T47). Canceled: queue_cancel.c. */
#include "queues.h"

static int storage[3];
static cio_queue static_queue = CIO_QUEUE_INIT(storage);

TEST(items_come_out_in_the_order_of_coming)
{
    cio_queue *q = &static_queue;
    for (int round = 0; round < 5; round++) { /* the ring turns */
        fill(q, 10 * round, 2);
        assert_int_equal(get_now(q), 10 * round);
        fill(q, 10 * round + 2, 2);
        for (int i = 1; i < 4; i++)
            assert_int_equal(get_now(q), 10 * round + i);
        assert_int_equal(get_now(q), -1);
    }
    return 0;
}

TEST(a_static_queue_knows_its_size)
{
    cio_queue *q = &static_queue;
    assert_int_equal(cio_queue_maxsize(q), 3);
    assert_true(cio_queue_empty(q));
    fill(q, 0, 3);
    assert_true(cio_queue_full(q));
    assert_false(cio_queue_empty(q));
    assert_int_equal(cio_queue_qsize(q), 3);
    int item = 9;
    assert_int_equal(cio_queue_put_nowait(q, &item), -EAGAIN);
    assert_int_equal(cio_queue_qsize(q), 3);
    return 0;
}

TEST(a_static_queue_and_its_waits_need_no_memory)
{
    struct user a = {&static_queue, "a"}, b = {&static_queue, "b", 4};
    cio_task *getter = cio_create_task(do_get, &a), *putter = cio_create_task(do_put, &b);
    assert_int_equal(cio_yield(), 0); /* stacks, the loop's own */
    cio_await(getter);
    cio_await(putter);
    getter = begin(do_get, &a);
    is_out_of_memory = true;
    fill(&static_queue, 1, 1);
    assert_int_equal(cio_await(getter), 0);
    fill(&static_queue, 1, 3);
    int item = 0;
    assert_int_equal(cio_queue_get(&static_queue, &item), 0);
    assert_int_equal(cio_queue_put(&static_queue, &item), 0);
    is_out_of_memory = false;
    return 0;
}

TEST(last_in_first_out)
{
    int room[4];
    cio_queue q = CIO_LIFO_QUEUE_INIT(room), own;
    assert_int_equal(cio_lifo_queue_init(&own, 4, sizeof(int)), 0);
    for (int i = 0; i < 2; i++) {
        cio_queue *each = i ? &own : &q;
        fill(each, 1, 3);
        assert_int_equal(get_now(each), 3);
        fill(each, 4, 2);
        assert_true(cio_queue_full(each));
        assert_int_equal(get_now(each), 5);
        assert_int_equal(get_now(each), 4);
        assert_int_equal(get_now(each), 2);
        assert_int_equal(get_now(each), 1);
        assert_int_equal(get_now(each), -1);
        assert_int_equal(cio_queue_destroy(each), 0);
    }
    return 0;
}

struct job_item {
    char priority;
    char name[6];
};

static int by_priority(const void *a, const void *b)
{
    return ((const struct job_item *)a)->priority - ((const struct job_item *)b)->priority;
}

/* Equal ones come out in the order in which they went in: nothing is said of that in asyncio. */
static void check_priorities(cio_queue *q)
{
    static const struct job_item items[] = {{3, "a"}, {1, "b"}, {3, "c"}, {2, "d"}, {1, "e"},
                                            {3, "f"}, {1, "g"}, {2, "h"}, {3, "i"}, {1, "j"}};
    char order[11] = "";
    for (int i = 0; i < 10; i++)
        assert_int_equal(cio_queue_put_nowait(q, &items[i]), 0);
    for (int i = 0; i < 10; i++) {
        struct job_item item;
        assert_int_equal(cio_queue_get_nowait(q, &item), 0);
        order[i] = item.name[0];
    }
    assert_string_equal(order, "begjdhacfi");
}

TEST(the_lowest_first_and_equal_ones_in_order)
{
    CIO_PRIORITY_SLOT(struct job_item) room[10];
    cio_queue q = CIO_PRIORITY_QUEUE_INIT(room, by_priority), own;
    assert_int_equal(cio_queue_maxsize(&q), 10);
    check_priorities(&q);
    check_priorities(&q);
    assert_int_equal(cio_priority_queue_init(&own, 10, sizeof(struct job_item), by_priority), 0);
    check_priorities(&own);
    assert_int_equal(cio_queue_destroy(&own), 0);
    assert_int_equal(
        cio_priority_queue_init(&own, CIO_UNBOUNDED, sizeof(struct job_item), by_priority), 0);
    check_priorities(&own);
    assert_int_equal(cio_queue_destroy(&own), 0);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a / 16, y = *(const int *)b / 16;
    return (x > y) - (x < y);
}

/* Against a sorted list, with ties, at every size up to 40. */
TEST(the_heap_agrees_with_a_sorted_list)
{
    unsigned random = 1;
    for (int n = 1; n <= 40; n++) {
        cio_queue q;
        int list[40], length = 0;
        assert_int_equal(cio_priority_queue_init(&q, (size_t)n, sizeof(int), by_value), 0);
        for (int step = 0; step < 400; step++) {
            random = random * 1103515245u + 12345u;
            if ((random >> 16) % 9 < 5 && length < n) {
                int item = (int)(random >> 20) % 256, at = length++;
                for (; at > 0 && by_value(&list[at - 1], &item) > 0; at--)
                    list[at] = list[at - 1];
                list[at] = item;
                put_now(&q, item);
            } else if (length) {
                assert_int_equal(get_now(&q), list[0]);
                memmove(list, list + 1, (size_t)--length * sizeof(int));
            }
            assert_int_equal(cio_queue_qsize(&q), length);
        }
        assert_int_equal(cio_queue_destroy(&q), 0);
    }
    return 0;
}

/* Items of every size are copied whole, and nothing beside them is touched. */
TEST(items_of_any_size)
{
    static const size_t sizes[] = {1, 2, 3, 4, 7, 8, 9, 12, 16, 24, 100, 4096};
    static char in[4096], out[4096 + 1];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cio_queue q;
        for (int kind = 0; kind < 3; kind++) {
            if (kind == 0)
                assert_int_equal(cio_queue_init(&q, 2, sizes[i]), 0);
            else if (kind == 1)
                assert_int_equal(cio_lifo_queue_init(&q, CIO_UNBOUNDED, sizes[i]), 0);
            else
                assert_int_equal(cio_priority_queue_init(&q, 2, sizes[i], by_priority), 0);
            memset(in, 'A' + kind, sizeof in);
            memset(out, '-', sizeof out);
            assert_int_equal(cio_queue_put_nowait(&q, in), 0);
            assert_int_equal(cio_queue_get_nowait(&q, out), 0);
            assert_memory_equal(in, out, sizes[i]);
            assert_int_equal(out[sizes[i]], '-');
            assert_int_equal(cio_queue_destroy(&q), 0);
        }
    }
    return 0;
}

TEST(items_with_an_alignment_of_their_own)
{
    struct wide {
        long double value;
        char name;
    } in = {1.5L, 'x'}, out;
    CIO_PRIORITY_SLOT(struct wide) room[2];
    cio_queue q = CIO_PRIORITY_QUEUE_INIT(room, NULL); /* nothing to compare: all are equal */
    for (int i = 0; i < 2; i++) {
        if (i)
            assert_int_equal(cio_priority_queue_init(&q, 2, sizeof(struct wide), by_priority), 0);
        assert_int_equal(cio_queue_put_nowait(&q, &in), 0);
        assert_int_equal((uintptr_t)((char *)q.slots + q.item_offset) % _Alignof(struct wide), 0);
        assert_int_equal(q.slot_size % _Alignof(struct wide), 0);
        assert_int_equal(cio_queue_get_nowait(&q, &out), 0);
        assert_true(out.value == 1.5L && out.name == 'x');
        assert_int_equal(cio_queue_destroy(&q), 0);
    }
    return 0;
}

TEST(t46_an_unbounded_queue_takes_everything)
{
    enum { MANY = 100000 };
    cio_queue q;
    assert_int_equal(cio_queue_init(&q, CIO_UNBOUNDED, sizeof(int)), 0);
    assert_true(cio_queue_maxsize(&q) == CIO_UNBOUNDED);
    for (int round = 0; round < 2; round++) {
        fill(&q, 0, 700); /* so that the ring is turned when it grows */
        for (int i = 0; i < 600; i++)
            assert_int_equal(get_now(&q), i);
        for (int i = 700; i < MANY; i++) {
            assert_int_equal(cio_queue_put(&q, &i), 0);
            assert_false(cio_queue_full(&q));
        }
        for (int i = 600; i < MANY; i++)
            assert_int_equal(get_now(&q), i);
        assert_int_equal(q.room, 0); /* what the burst took is given back */
    }
    return cio_queue_destroy(&q);
}

TEST(t46_put_waits_while_it_is_full)
{
    cio_queue *q = &static_queue;
    struct user a = {q, "a", 7};
    fill(q, 1, 3);
    cio_task *task = begin(do_put, &a);
    wait_turns(3);
    assert_false(a.ended);
    assert_int_equal(cio_queue_qsize(q), 3);
    assert_int_equal(get_now(q), 1);
    assert_false(a.ended);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(get_now(q), 2);
    assert_int_equal(get_now(q), 3);
    assert_int_equal(get_now(q), 7);
    return 0;
}

TEST(t46_get_waits_while_it_is_empty)
{
    struct user a = {&static_queue, "a"};
    cio_task *task = begin(do_get, &a);
    wait_turns(3);
    assert_false(a.ended);
    put_now(&static_queue, 5);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(a.item, 5);
    return 0;
}

enum { CROWD = 5 };

static void start_crowd(cio_queue *q, cio_coroutine *fn, struct user *users, cio_task **tasks)
{
    static const char *const names[CROWD] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < CROWD; i++) {
        users[i] = (struct user){q, names[i], 100 + i};
        tasks[i] = begin(fn, &users[i]);
    }
}

TEST(t46_putters_go_on_in_their_order)
{
    struct user users[CROWD];
    cio_task *tasks[CROWD];
    fill(&static_queue, 0, 3);
    start_crowd(&static_queue, do_put, users, tasks);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get_now(&static_queue), i);
    for (int i = 0; i < CROWD; i++) {
        wait_turns(1);
        assert_int_equal(get_now(&static_queue), 100 + i);
    }
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    assert_noted("a b c d e");
    return 0;
}

TEST(t46_getters_go_on_in_their_order)
{
    struct user users[CROWD];
    cio_task *tasks[CROWD];
    start_crowd(&static_queue, do_get, users, tasks);
    fill(&static_queue, 1, 3);
    wait_turns(1);
    fill(&static_queue, 4, 2);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    assert_noted("a1 b2 c3 d4 e5");
    return 0;
}

/* The item is not handed over: a newcomer may take it, and the woken one then waits behind all. */
TEST(t46_a_newcomer_may_take_what_a_getter_was_woken_for)
{
    struct user a = {&static_queue, "a"}, b = {&static_queue, "b"};
    cio_task *first = begin(do_get, &a), *second = begin(do_get, &b);
    put_now(&static_queue, 1);
    assert_int_equal(get_now(&static_queue), 1);
    wait_turns(2);
    assert_noted("");
    fill(&static_queue, 2, 2);
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_await(second), 0);
    assert_noted("b2 a3");
    return 0;
}

TEST(t46_a_newcomer_may_take_the_place_of_a_woken_putter)
{
    cio_queue *q = &static_queue;
    struct user a = {q, "a", 11}, b = {q, "b", 12};
    fill(q, 0, 3);
    cio_task *first = begin(do_put, &a), *second = begin(do_put, &b);
    assert_int_equal(get_now(q), 0);
    put_now(q, 3);
    wait_turns(2);
    assert_noted("");
    for (int i = 1; i < 4; i++)
        assert_int_equal(get_now(q), i);
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(get_now(q), 12);
    assert_int_equal(get_now(q), 11);
    return 0;
}

/* ---- the work on items ---- */

TEST(t46_join_returns_at_once_where_nothing_is_unfinished)
{
    cio_queue *q = &static_queue;
    assert_int_equal(cio_queue_join(q), 0);
    put_now(q, 1);
    assert_int_equal(get_now(q), 1);
    assert_int_equal(cio_queue_task_done(q), 0);
    assert_int_equal(cio_queue_join(q), 0);
    return 0;
}

TEST(t46_join_waits_for_the_last_task_done)
{
    cio_queue *q = &static_queue;
    struct user a = {q, "a"}, b = {q, "b"};
    fill(q, 1, 3);
    cio_task *first = begin(do_join, &a), *second = begin(do_join, &b);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(get_now(q), i + 1);
        wait_turns(2);
        assert_noted("");
        assert_int_equal(cio_queue_task_done(q), 0);
    }
    put_now(q, 4); /* comes too late for them */
    wait_turns(1);
    assert_noted("a b");
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_await(second), 0);
    return 0;
}

TEST(t46_task_done_too_often)
{
    cio_queue *q = &static_queue;
    assert_int_equal(cio_queue_task_done(q), CIO_ESTATE);
    fill(q, 1, 2);
    assert_int_equal(cio_queue_task_done(q), 0); /* asyncio does not ask whether it was got */
    assert_int_equal(cio_queue_task_done(q), 0);
    assert_int_equal(cio_queue_task_done(q), CIO_ESTATE);
    assert_int_equal(cio_queue_join(q), 0);
    return 0;
}
