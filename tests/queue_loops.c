/* Queues, broadcast channels, and the loops whose tasks wait in them (T47). */
#include "queues.h"

/* These tests run loops of their own. */
#undef TEST
#define TEST(test_name)                                                                            \
    static void test_##test_name(void **state);                                                    \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        static struct test t = {.name = #test_name, .run = test_##test_name};                      \
        test_register(&t);                                                                         \
    }                                                                                              \
    static void test_##test_name(__attribute__((unused)) void **state)

static int storage[3];
static cio_queue static_queue = CIO_QUEUE_INIT(storage);

static int put_and_get(void *arg)
{
    cio_queue *q = arg;
    struct user a = {q, "a"};
    cio_task *task = begin(do_get, &a);
    put_now(q, 6);
    assert_int_equal(cio_await(task), 0);
    return a.item;
}

static void run_in_a_loop_of_its_own(cio_queue *q, cio_coroutine *fn, int expected)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_task_options options = {.loop = loop};
    cio_task *task = cio_create_task_with(&options, fn, q);
    assert_int_equal(cio_run_until_complete(loop, task), expected);
    assert_int_equal(cio_loop_free(loop), 0);
}

/* asyncio binds for ever. */
TEST(t47_a_queue_serves_one_loop_after_another)
{
    for (int i = 0; i < 3; i++)
        run_in_a_loop_of_its_own(&static_queue, put_and_get, 6);
}

static int use_without_waiting(void *arg)
{
    int item = 3;
    assert_int_equal(cio_queue_put(arg, &item), 0);
    assert_int_equal(cio_queue_get(arg, &item), 0);
    return cio_queue_task_done(arg);
}

TEST(t47_without_a_wait_a_queue_belongs_to_no_loop)
{
    cio_loop *one = cio_loop_new(NULL), *other = cio_loop_new(NULL);
    cio_loop *loops[] = {one, other, one};
    for (int i = 0; i < 3; i++) {
        cio_task_options options = {.loop = loops[i]};
        cio_task *task = cio_create_task_with(&options, use_without_waiting, &static_queue);
        assert_int_equal(cio_run_until_complete(loops[i], task), 0);
    }
    cio_loop_free(one);
    cio_loop_free(other);
}

static int wait_for_an_item(void *arg)
{
    int item;
    return cio_queue_get(arg, &item);
}

static void stop(void *loop)
{
    cio_stop(loop);
}

static int meddle(void *arg)
{
    cio_queue *q = arg;
    int item = 1;
    assert_int_equal(cio_queue_put(q, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_queue_put_nowait(q, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_queue_get(q, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_queue_get_nowait(q, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_queue_task_done(q), CIO_EWRONGLOOP);
    assert_int_equal(cio_queue_shutdown(q, true), CIO_EWRONGLOOP);
    assert_int_equal(cio_queue_destroy(q), -EBUSY);
    assert_int_equal(cio_queue_qsize(q), 0);
    return 0;
}

/* A loop that stands still has a task in the queue; another meddles; then it goes on. */
TEST(t47_a_queue_of_another_loop_is_refused)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_task_options options = {.loop = loop};
    cio_handle handle = CIO_HANDLE_INIT;
    cio_task *task = cio_create_task_with(&options, wait_for_an_item, &static_queue);
    assert_int_equal(cio_call_soon(loop, &handle, stop, loop), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    run_in_a_loop_of_its_own(&static_queue, meddle, 0);
    put_now(&static_queue, 2); /* nothing runs: the loop finds it when it does */
    assert_int_equal(cio_run_until_complete(loop, task), 0);
    cio_loop_free(loop);
}

static void hear(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg; /* of a task that still waited */
}

/* Tasks that went with a loop that was closed under them are not touched again. */
TEST(t47_a_queue_forgets_the_tasks_of_a_closed_loop)
{
    for (int i = 0; i < 3; i++) {
        cio_loop *loop = cio_loop_new(NULL);
        cio_task_options options = {.loop = loop};
        cio_handle handle = CIO_HANDLE_INIT;
        cio_set_exception_handler(loop, hear, NULL);
        cio_detach(cio_create_task_with(&options, wait_for_an_item, &static_queue));
        assert_int_equal(cio_call_soon(loop, &handle, stop, loop), 0);
        assert_int_equal(cio_run_forever(loop), 0);
        assert_int_equal(cio_queue_destroy(&static_queue), -EBUSY);
        cio_loop_free(loop);
        if (i == 0) {
            put_now(&static_queue, 1);
            assert_int_equal(get_now(&static_queue), 1);
        } else if (i == 1) {
            run_in_a_loop_of_its_own(&static_queue, put_and_get, 6);
        }
    }
    assert_int_equal(cio_queue_destroy(&static_queue), 0);
}

/* ---- broadcast channels ---- */

static int slots[4];
static cio_broadcast channel = CIO_BROADCAST_INIT(slots);
static cio_subscriber subscriber;

static int receive_one(void *arg)
{
    int item;
    (void)arg;
    return cio_subscriber_receive(&subscriber, &item) == 0 ? item : -EIO;
}

static int send_one(void *arg)
{
    int item = 6;
    cio_task *task = cio_create_task(receive_one, NULL);
    assert_int_equal(cio_yield(), 0);
    assert_int_equal(cio_broadcast_send(arg, &item), 0);
    return cio_await(task);
}

static int meddle_with_a_channel(void *arg)
{
    int item = 1;
    cio_subscriber s = CIO_SUBSCRIBER_INIT;
    assert_int_equal(cio_broadcast_send(arg, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_broadcast_send_nowait(arg, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_broadcast_close(arg), CIO_EWRONGLOOP);
    assert_int_equal(cio_subscriber_receive(&subscriber, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_subscribe(&s, arg, CIO_SLOW_SKIP), 0); /* this touches nobody */
    assert_int_equal(cio_subscriber_receive(&s, &item), CIO_EWRONGLOOP);
    assert_int_equal(cio_unsubscribe(&s), 0);
    assert_int_equal(cio_unsubscribe(&subscriber), -EBUSY);
    return 0;
}

TEST(t47_a_channel_and_several_loops)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_task_options options = {.loop = loop};
    cio_handle handle = CIO_HANDLE_INIT;
    cio_set_exception_handler(loop, hear, NULL);
    assert_int_equal(cio_subscribe(&subscriber, &channel, CIO_SLOW_WAIT), 0);
    cio_detach(cio_create_task_with(&options, receive_one, NULL));
    assert_int_equal(cio_call_soon(loop, &handle, stop, loop), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    cio_loop *other = cio_loop_new(NULL);
    options.loop = other;
    cio_task *task = cio_create_task_with(&options, meddle_with_a_channel, &channel);
    assert_int_equal(cio_run_until_complete(other, task), 0);
    cio_loop_free(other);
    cio_loop_free(loop); /* with the task that waits */
    loop = cio_loop_new(NULL);
    options.loop = loop;
    task = cio_create_task_with(&options, send_one, &channel);
    assert_int_equal(cio_run_until_complete(loop, task), 6);
    cio_loop_free(loop);
    assert_int_equal(cio_unsubscribe(&subscriber), 0);
}
