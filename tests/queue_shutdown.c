/* cio_queue_shutdown(): asyncio's Queue.shutdown() of 3.13 (T46). */
#include "queues.h"

static int storage[3];
static cio_queue queue = CIO_QUEUE_INIT(storage);

TEST(t46_shutdown_refuses_puts_and_drains_gets)
{
    int item = 9;
    fill(&queue, 1, 2);
    assert_int_equal(cio_queue_shutdown(&queue, false), 0);
    assert_int_equal(cio_queue_put_nowait(&queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_queue_put(&queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_queue_get(&queue, &item), 0);
    assert_int_equal(item, 1);
    assert_int_equal(cio_queue_get_nowait(&queue, &item), 0);
    assert_int_equal(item, 2);
    assert_int_equal(cio_queue_get(&queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_queue_get_nowait(&queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(item, 2);
    assert_int_equal(cio_queue_shutdown(&queue, false), 0); /* once more does no harm */
    return 0;
}

TEST(t46_shutdown_wakes_all_getters)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"}, c = {&queue, "c"};
    cio_task *tasks[] = {begin(do_get, &a), begin(do_get, &b), begin(do_get, &c)};
    put_now(&queue, 4); /* the first is woken for it, and may have it */
    assert_int_equal(cio_queue_shutdown(&queue, false), 0);
    assert_int_equal(cio_await(tasks[0]), 0);
    assert_int_equal(cio_await(tasks[1]), CIO_ESHUTDOWN);
    assert_int_equal(cio_await(tasks[2]), CIO_ESHUTDOWN);
    assert_noted("a4 -b0 -c0");
    return 0;
}

TEST(t46_shutdown_wakes_all_putters)
{
    struct user a = {&queue, "a", 11}, b = {&queue, "b", 12};
    fill(&queue, 1, 3);
    cio_task *first = begin(do_put, &a), *second = begin(do_put, &b);
    assert_int_equal(get_now(&queue), 1); /* the first is woken, and comes too late */
    assert_int_equal(cio_queue_shutdown(&queue, false), 0);
    assert_int_equal(cio_await(first), CIO_ESHUTDOWN);
    assert_int_equal(cio_await(second), CIO_ESHUTDOWN);
    assert_int_equal(get_now(&queue), 2);
    assert_int_equal(get_now(&queue), 3);
    return 0;
}

TEST(t46_immediate_shutdown_drops_what_is_in_it)
{
    int item = 9;
    struct user a = {&queue, "a", 11}, b = {&queue, "b"};
    fill(&queue, 1, 3);
    cio_task *putter = begin(do_put, &a), *joiner = begin(do_join, &b);
    assert_int_equal(cio_queue_shutdown(&queue, true), 0);
    assert_true(cio_queue_empty(&queue));
    assert_int_equal(cio_queue_get_nowait(&queue, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_await(putter), CIO_ESHUTDOWN);
    assert_int_equal(cio_await(joiner), 0); /* what was dropped counts as done */
    assert_int_equal(cio_queue_task_done(&queue), CIO_ESTATE);
    return 0;
}

TEST(t46_immediate_shutdown_leaves_a_join_to_the_work_under_way)
{
    struct user a = {&queue, "a"};
    fill(&queue, 1, 3);
    assert_int_equal(get_now(&queue), 1);
    cio_task *joiner = begin(do_join, &a);
    assert_int_equal(cio_queue_shutdown(&queue, true), 0);
    wait_turns(2);
    assert_false(a.ended);
    assert_int_equal(cio_queue_task_done(&queue), 0);
    assert_int_equal(cio_await(joiner), 0);
    return 0;
}

TEST(immediate_after_a_plain_shutdown)
{
    fill(&queue, 1, 3);
    assert_int_equal(cio_queue_shutdown(&queue, false), 0);
    assert_int_equal(get_now(&queue), 1);
    assert_int_equal(cio_queue_shutdown(&queue, true), 0);
    assert_int_equal(cio_queue_qsize(&queue), 0);
    assert_int_equal(cio_queue_task_done(&queue), 0);
    assert_int_equal(cio_queue_join(&queue), 0);
    return 0;
}

static int all_equal(const void *a, const void *b)
{
    (void)a, (void)b;
    return 0;
}

TEST(shutdown_of_every_kind)
{
    for (int kind = 0; kind < 3; kind++) {
        cio_queue q;
        int item = 1;
        if (kind == 0)
            assert_int_equal(cio_queue_init(&q, CIO_UNBOUNDED, sizeof item), 0);
        else if (kind == 1)
            assert_int_equal(cio_lifo_queue_init(&q, 5, sizeof item), 0);
        else
            assert_int_equal(cio_priority_queue_init(&q, 5, sizeof item, all_equal), 0);
        fill(&q, 1, 3);
        assert_int_equal(cio_queue_shutdown(&q, kind == 2), 0);
        assert_int_equal(cio_queue_put_nowait(&q, &item), CIO_ESHUTDOWN);
        for (int i = 0; i < (kind == 2 ? 0 : 3); i++)
            assert_int_equal(cio_queue_get(&q, &item), 0);
        assert_int_equal(cio_queue_get(&q, &item), CIO_ESHUTDOWN);
        assert_int_equal(cio_queue_destroy(&q), 0);
    }
    return 0;
}

/* A cancellation that comes after the wake of a shutdown wins. */
TEST(canceled_after_the_wake_of_a_shutdown)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"};
    cio_task *first = begin(do_get, &a), *second = begin(do_get, &b);
    assert_int_equal(cio_queue_shutdown(&queue, false), 0);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), CIO_ESHUTDOWN);
    return 0;
}
