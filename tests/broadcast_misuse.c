/* Broadcast channels: canceled, closed under their tasks, and given what they should not be. */
#include "waits.h"

static int storage[2];
static cio_broadcast channel = CIO_BROADCAST_INIT(storage);
static cio_subscriber subscriber;

struct user {
    int item;
    int rc;
    bool ended;
};

static int do_receive(void *arg)
{
    struct user *u = arg;
    u->rc = cio_subscriber_receive(&subscriber, &u->item);
    u->ended = true;
    return u->rc;
}

static int do_send(void *arg)
{
    struct user *u = arg;
    u->rc = cio_broadcast_send(&channel, &u->item);
    u->ended = true;
    return u->rc;
}

static cio_task *begin(cio_coroutine *fn, struct user *u)
{
    cio_task *task = cio_create_task(fn, u);
    assert_non_null(task);
    assert_int_equal(cio_yield(), 0);
    return task;
}

static void send_now(int item)
{
    assert_int_equal(cio_broadcast_send_nowait(&channel, &item), 0);
}

static int receive_now(void)
{
    int item = -1;
    int rc = cio_subscriber_receive_nowait(&subscriber, &item);
    assert_true(rc == 0 || rc == -EAGAIN);
    return item;
}

static void subscribe(cio_slow slow)
{
    assert_int_equal(cio_subscribe(&subscriber, &channel, slow), 0);
}

/* ---- canceled ---- */

TEST(a_receiver_canceled_while_it_waits)
{
    struct user a = {0}, b = {0};
    subscribe(CIO_SLOW_WAIT);
    cio_task *first = begin(do_receive, &a), *second = begin(do_receive, &b);
    cio_cancel(first);
    send_now(5);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(b.item, 5);
    return cio_unsubscribe(&subscriber);
}

TEST(a_receiver_canceled_after_its_wake_wakes_the_next)
{
    struct user a = {0}, b = {0};
    subscribe(CIO_SLOW_WAIT);
    cio_task *first = begin(do_receive, &a), *second = begin(do_receive, &b);
    send_now(5);
    cio_cancel(first);
    cio_cancel(first);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(b.item, 5);
    return cio_unsubscribe(&subscriber);
}

TEST(a_sender_canceled_while_it_waits)
{
    struct user a = {11}, b = {12};
    subscribe(CIO_SLOW_WAIT);
    send_now(1);
    send_now(2);
    cio_task *first = begin(do_send, &a), *second = begin(do_send, &b);
    cio_cancel(first);
    assert_int_equal(receive_now(), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(receive_now(), 2);
    assert_int_equal(receive_now(), 12);
    assert_int_equal(receive_now(), -1);
    return cio_unsubscribe(&subscriber);
}

TEST(a_sender_canceled_after_its_wake_leaves_its_place_to_the_next)
{
    struct user a = {11}, b = {12};
    subscribe(CIO_SLOW_WAIT);
    send_now(1);
    send_now(2);
    cio_task *first = begin(do_send, &a), *second = begin(do_send, &b);
    assert_int_equal(receive_now(), 1);
    cio_cancel(first);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(receive_now(), 2);
    assert_int_equal(receive_now(), 12);
    send_now(3); /* no place was lost */
    send_now(4);
    return cio_unsubscribe(&subscriber);
}

TEST(the_last_sender_canceled_after_its_wake_leaves_its_place_to_anybody)
{
    struct user a = {11};
    subscribe(CIO_SLOW_WAIT);
    send_now(1);
    send_now(2);
    cio_task *first = begin(do_send, &a);
    assert_int_equal(receive_now(), 1);
    cio_cancel(first);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    send_now(3);
    return cio_unsubscribe(&subscriber);
}

/* ---- misused ---- */

TEST(what_broadcasts_refuse)
{
    static const size_t bad[] = {0, (size_t)-1, (size_t)-5, SIZE_MAX / 2 + 1};
    cio_broadcast b;
    cio_subscriber s = CIO_SUBSCRIBER_INIT;
    int item = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(cio_broadcast_init(&b, bad[i], 4), -EINVAL);
        assert_int_equal(cio_broadcast_init(&b, 4, bad[i]), -EINVAL);
    }
    assert_int_equal(cio_broadcast_init(NULL, 4, 4), -EINVAL);
    assert_int_equal(cio_broadcast_init(&b, SIZE_MAX / 4, 16), -ENOMEM);
    assert_int_equal(cio_broadcast_destroy(NULL), -EINVAL);
    assert_int_equal(cio_broadcast_send(NULL, &item), -EINVAL);
    assert_int_equal(cio_broadcast_send(&channel, NULL), -EINVAL);
    assert_int_equal(cio_broadcast_send_nowait(NULL, &item), -EINVAL);
    assert_int_equal(cio_broadcast_send_nowait(&channel, NULL), -EINVAL);
    assert_int_equal(cio_broadcast_close(NULL), -EINVAL);
    assert_int_equal(cio_broadcast_subscribers(NULL), 0);
    assert_int_equal(cio_subscribe(NULL, &channel, CIO_SLOW_WAIT), -EINVAL);
    assert_int_equal(cio_subscribe(&s, NULL, CIO_SLOW_WAIT), -EINVAL);
    assert_int_equal(cio_subscribe(&s, &channel, (cio_slow)4), -EINVAL);
    assert_int_equal(cio_subscribe(&s, &channel, (cio_slow)-1), -EINVAL);
    assert_int_equal(cio_unsubscribe(NULL), -EINVAL);
    assert_int_equal(cio_unsubscribe(&s), CIO_ESTATE);
    assert_int_equal(cio_subscriber_receive(NULL, &item), -EINVAL);
    assert_int_equal(cio_subscriber_receive(&s, NULL), -EINVAL);
    assert_int_equal(cio_subscriber_receive(&s, &item), CIO_ESTATE);
    assert_int_equal(cio_subscriber_receive_nowait(NULL, &item), -EINVAL);
    assert_int_equal(cio_subscriber_receive_nowait(&s, NULL), -EINVAL);
    assert_int_equal(cio_subscriber_receive_nowait(&s, &item), CIO_ESTATE);
    assert_int_equal(cio_subscriber_lost(NULL), 0);
    assert_int_equal(cio_subscriber_lost(&s), 0);
    assert_int_equal(cio_subscriber_pending(NULL), 0);
    assert_int_equal(cio_subscriber_pending(&s), 0);
    is_out_of_memory = true;
    assert_int_equal(cio_broadcast_init(&b, 4, 4), -ENOMEM);
    is_out_of_memory = false;
    return 0;
}

TEST(a_channel_that_is_not_one)
{
    cio_broadcast b = {0};
    cio_subscriber s = CIO_SUBSCRIBER_INIT;
    int item = 0;
    assert_int_equal(cio_broadcast_send(&b, &item), CIO_ESTATE);
    assert_int_equal(cio_broadcast_send_nowait(&b, &item), CIO_ESTATE);
    assert_int_equal(cio_broadcast_close(&b), CIO_ESTATE);
    assert_int_equal(cio_subscribe(&s, &b, CIO_SLOW_WAIT), CIO_ESTATE);
    assert_int_equal(cio_broadcast_destroy(&b), 0);
    return 0;
}

TEST(subscribed_twice)
{
    subscribe(CIO_SLOW_SKIP);
    assert_int_equal(cio_subscribe(&subscriber, &channel, CIO_SLOW_SKIP), CIO_ESTATE);
    assert_int_equal(cio_broadcast_subscribers(&channel), 1);
    assert_int_equal(cio_unsubscribe(&subscriber), 0);
    assert_int_equal(cio_unsubscribe(&subscriber), CIO_ESTATE);
    return 0;
}

TEST(ended_while_in_use)
{
    struct user a = {0}, b = {7};
    subscribe(CIO_SLOW_WAIT);
    assert_int_equal(cio_broadcast_destroy(&channel), -EBUSY);
    cio_task *receiver = begin(do_receive, &a);
    assert_int_equal(cio_unsubscribe(&subscriber), -EBUSY);
    send_now(1);
    assert_int_equal(cio_unsubscribe(&subscriber), -EBUSY); /* woken, but it has not run */
    assert_int_equal(cio_await(receiver), 0);
    send_now(2);
    send_now(3);
    cio_task *sender = begin(do_send, &b);
    assert_int_equal(cio_unsubscribe(&subscriber), 0);
    assert_int_equal(cio_broadcast_destroy(&channel), -EBUSY);
    assert_int_equal(cio_await(sender), 0);
    assert_int_equal(cio_broadcast_destroy(&channel), 0);
    return 0;
}

static void outside(void *arg)
{
    (void)arg;
    int item = 3;
    assert_int_equal(cio_broadcast_send(&channel, &item), CIO_ENOTASK);
    assert_int_equal(cio_subscriber_receive(&subscriber, &item), CIO_ENOTASK);
    send_now(item);
}

TEST(outside_a_task_nothing_waits)
{
    struct user a = {0};
    subscribe(CIO_SLOW_WAIT);
    cio_task *task = begin(do_receive, &a);
    call_outside_tasks(outside);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(a.item, 3);
    return cio_unsubscribe(&subscriber);
}
