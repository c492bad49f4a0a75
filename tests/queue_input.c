/* Queues given what they should not be given, and without memory. */
#include "queues.h"

static int storage[2];
static cio_queue queue = CIO_QUEUE_INIT(storage);

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

TEST(bad_sizes_are_refused)
{
    static const size_t bad[] = {0, (size_t)-1, (size_t)-5, (size_t)-1000000, SIZE_MAX / 2 + 2};
    cio_queue q;
    memset(&q, 0x5a, sizeof q);
    cio_queue untouched = q;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(cio_queue_init(&q, bad[i], 8), -EINVAL);
        assert_int_equal(cio_queue_init(&q, 8, bad[i]), -EINVAL);
        assert_int_equal(cio_lifo_queue_init(&q, bad[i], 8), -EINVAL);
        assert_int_equal(cio_lifo_queue_init(&q, 8, bad[i]), -EINVAL);
        assert_int_equal(cio_priority_queue_init(&q, bad[i], 8, compare), -EINVAL);
        assert_int_equal(cio_priority_queue_init(&q, 8, bad[i], compare), -EINVAL);
    }
    assert_int_equal(cio_priority_queue_init(&q, 8, 8, NULL), -EINVAL);
    assert_int_equal(cio_queue_init(&q, SIZE_MAX / 4, 1024), -ENOMEM);
    assert_int_equal(cio_queue_init(&q, 1024, SIZE_MAX / 4), -ENOMEM);
    assert_int_equal(cio_priority_queue_init(&q, 1024, SIZE_MAX / 2, compare), -ENOMEM);
    assert_memory_equal(&q, &untouched, sizeof q);
    return 0;
}

TEST(nulls_are_refused)
{
    int item = 0;
    assert_int_equal(cio_queue_init(NULL, 1, 1), -EINVAL);
    assert_int_equal(cio_lifo_queue_init(NULL, 1, 1), -EINVAL);
    assert_int_equal(cio_priority_queue_init(NULL, 1, 1, compare), -EINVAL);
    assert_int_equal(cio_queue_destroy(NULL), -EINVAL);
    assert_int_equal(cio_queue_put(NULL, &item), -EINVAL);
    assert_int_equal(cio_queue_put_nowait(NULL, &item), -EINVAL);
    assert_int_equal(cio_queue_get(NULL, &item), -EINVAL);
    assert_int_equal(cio_queue_get_nowait(NULL, &item), -EINVAL);
    assert_int_equal(cio_queue_put(&queue, NULL), -EINVAL);
    assert_int_equal(cio_queue_put_nowait(&queue, NULL), -EINVAL);
    put_now(&queue, 1);
    assert_int_equal(cio_queue_get(&queue, NULL), -EINVAL);
    assert_int_equal(cio_queue_get_nowait(&queue, NULL), -EINVAL);
    assert_int_equal(cio_queue_task_done(NULL), -EINVAL);
    assert_int_equal(cio_queue_join(NULL), -EINVAL);
    assert_int_equal(cio_queue_shutdown(NULL, false), -EINVAL);
    assert_int_equal(cio_queue_qsize(NULL), 0);
    assert_int_equal(cio_queue_maxsize(NULL), 0);
    assert_true(cio_queue_empty(NULL));
    assert_true(cio_queue_full(NULL));
    assert_int_equal(cio_queue_qsize(&queue), 1);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    int item = 7;
    for (int i = 0; i < 2; i++) { /* empty, and not */
        assert_int_equal(cio_queue_put(&queue, &item), CIO_ENOTASK);
        assert_int_equal(cio_queue_get(&queue, &item), CIO_ENOTASK);
        assert_int_equal(cio_queue_join(&queue), CIO_ENOTASK);
        assert_int_equal(cio_queue_put_nowait(&queue, &item), 0);
    }
    assert_int_equal(cio_queue_get_nowait(&queue, &item), 0);
    assert_int_equal(cio_queue_task_done(&queue), 0);
    assert_int_equal(cio_queue_qsize(&queue), 1);
}

TEST(outside_a_task_nothing_waits)
{
    call_outside_tasks(outside);
    return 0;
}

static void put_from_outside(void *arg)
{
    (void)arg;
    put_now(&queue, 5);
}

TEST(a_callback_wakes_a_getter)
{
    struct user a = {&queue, "a"};
    cio_task *task = begin(do_get, &a);
    call_outside_tasks(put_from_outside);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(a.item, 5);
    return 0;
}

TEST(a_queue_that_is_not_one)
{
    int item = 0;
    cio_queue q = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cio_queue_put(&q, &item), CIO_ESTATE);
        assert_int_equal(cio_queue_put_nowait(&q, &item), CIO_ESTATE);
        assert_int_equal(cio_queue_get(&q, &item), CIO_ESTATE);
        assert_int_equal(cio_queue_get_nowait(&q, &item), CIO_ESTATE);
        assert_int_equal(cio_queue_join(&q), CIO_ESTATE);
        assert_int_equal(cio_queue_task_done(&q), CIO_ESTATE);
        assert_int_equal(cio_queue_shutdown(&q, false), CIO_ESTATE);
        assert_int_equal(cio_queue_destroy(&q), 0);
        assert_int_equal(cio_queue_init(&q, 3, sizeof item), 0);
        put_now(&q, 1);
        assert_int_equal(cio_queue_destroy(&q), 0); /* twice: next round */
    }
    return 0;
}

/* Also when it was woken, and has not run yet: it will look at the queue once more. */
TEST(destroyed_while_waited_on)
{
    cio_coroutine *const fns[] = {do_get, do_put, do_join};
    for (int i = 0; i < 3; i++) {
        cio_queue q;
        struct user a = {&q, "a"};
        assert_int_equal(cio_queue_init(&q, 1, sizeof(int)), 0);
        if (i > 0)
            put_now(&q, 1);
        cio_task *task = begin(fns[i], &a);
        assert_int_equal(cio_queue_destroy(&q), -EBUSY);
        if (i == 0)
            put_now(&q, 1);
        else if (i == 1)
            assert_int_equal(get_now(&q), 1);
        else
            assert_int_equal(cio_queue_task_done(&q), 0);
        assert_int_equal(cio_queue_destroy(&q), -EBUSY);
        assert_int_equal(cio_await(task), 0);
        assert_int_equal(cio_queue_destroy(&q), 0);
    }
    return 0;
}

TEST(no_memory_to_begin_with)
{
    cio_queue q;
    is_out_of_memory = true;
    assert_int_equal(cio_queue_init(&q, 8, 8), -ENOMEM);
    assert_int_equal(cio_lifo_queue_init(&q, 8, 8), -ENOMEM);
    assert_int_equal(cio_priority_queue_init(&q, 8, 8, compare), -ENOMEM);
    assert_int_equal(cio_queue_init(&q, CIO_UNBOUNDED, 8), 0); /* takes none yet */
    int64_t item = 4;
    assert_int_equal(cio_queue_put_nowait(&q, &item), -ENOMEM);
    assert_int_equal(cio_queue_put(&q, &item), -ENOMEM);
    assert_int_equal(cio_queue_qsize(&q), 0);
    assert_int_equal(cio_queue_join(&q), 0); /* it is not counted as unfinished */
    is_out_of_memory = false;
    assert_int_equal(cio_queue_put(&q, &item), 0);
    return cio_queue_destroy(&q);
}

/* A put that finds no memory is refused; nothing that is in the queue is lost or changed. */
TEST(no_memory_for_one_more)
{
    for (int kind = 0; kind < 3; kind++) {
        cio_queue q;
        int n = 0;
        if (kind == 0)
            assert_int_equal(cio_queue_init(&q, CIO_UNBOUNDED, sizeof n), 0);
        else if (kind == 1)
            assert_int_equal(cio_lifo_queue_init(&q, CIO_UNBOUNDED, sizeof n), 0);
        else
            assert_int_equal(cio_priority_queue_init(&q, CIO_UNBOUNDED, sizeof n, compare), 0);
        fill(&q, 0, 40);
        is_out_of_memory = true;
        for (n = 40; cio_queue_put(&q, &n) == 0; n++)
            ;
        assert_true(n >= 40 && n < 200);
        assert_int_equal(cio_queue_put_nowait(&q, &n), -ENOMEM);
        assert_int_equal(cio_queue_qsize(&q), n);
        for (int i = 0; i < n; i++)
            assert_int_equal(get_now(&q), kind == 1 ? n - 1 - i : i);
        is_out_of_memory = false;
        assert_int_equal(cio_queue_destroy(&q), 0);
    }
    return 0;
}
