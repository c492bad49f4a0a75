/* cio_broadcast: what is sent, every subscriber receives; the slow ones as they chose. */
#include "waits.h"

static int storage[4];
static cio_broadcast channel = CIO_BROADCAST_INIT(storage);

static void send_now(int item)
{
    assert_int_equal(cio_broadcast_send_nowait(&channel, &item), 0);
}

static int would_wait(int item)
{
    return cio_broadcast_send_nowait(&channel, &item) == -EAGAIN;
}

/* The next message; -1 if there is none. */
static int receive_now(cio_subscriber *s)
{
    int item = -1;
    int rc = cio_subscriber_receive_nowait(s, &item);
    assert_true(rc == 0 || rc == -EAGAIN);
    return item;
}

static void join_in(cio_subscriber *s, cio_slow slow)
{
    *s = (cio_subscriber)CIO_SUBSCRIBER_INIT;
    assert_int_equal(cio_subscribe(s, &channel, slow), 0);
}

struct user {
    cio_subscriber *s;
    const char *name;
    int item;
    int rc;
};

static int do_receive(void *arg)
{
    struct user *u = arg;
    u->rc = cio_subscriber_receive(u->s, &u->item);
    note("%s%s%d", u->rc < 0 ? "-" : "", u->name, u->item);
    return u->rc;
}

static int do_send(void *arg)
{
    struct user *u = arg;
    u->rc = cio_broadcast_send(&channel, &u->item);
    note("%s%s%d", u->rc < 0 ? "-" : "", u->name, u->item);
    return u->rc;
}

static cio_task *begin(cio_coroutine *fn, struct user *u)
{
    cio_task *task = cio_create_task(fn, u);
    assert_non_null(task);
    assert_int_equal(cio_yield(), 0);
    return task;
}

TEST(every_subscriber_receives_everything_in_order)
{
    cio_subscriber s[3];
    for (int i = 0; i < 3; i++)
        join_in(&s[i], (cio_slow)i);
    assert_int_equal(cio_broadcast_subscribers(&channel), 3);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            send_now(10 * round + i);
        for (int who = 0; who < 3; who++) {
            assert_int_equal(cio_subscriber_pending(&s[who]), 3);
            for (int i = 0; i < 3; i++)
                assert_int_equal(receive_now(&s[who]), 10 * round + i);
            assert_int_equal(receive_now(&s[who]), -1);
        }
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_unsubscribe(&s[i]), 0);
    return 0;
}

TEST(a_subscriber_receives_what_comes_after_it)
{
    cio_subscriber early, late;
    send_now(1); /* to nobody */
    join_in(&early, CIO_SLOW_WAIT);
    send_now(2);
    join_in(&late, CIO_SLOW_WAIT);
    send_now(3);
    assert_int_equal(receive_now(&early), 2);
    assert_int_equal(receive_now(&late), 3);
    assert_int_equal(receive_now(&late), -1);
    assert_int_equal(receive_now(&early), 3);
    assert_int_equal(cio_unsubscribe(&early), 0);
    assert_int_equal(cio_unsubscribe(&late), 0);
    return 0;
}

TEST(without_anybody_to_wait_for_sending_never_waits)
{
    cio_subscriber s;
    for (int i = 0; i < 20; i++)
        send_now(i);
    join_in(&s, CIO_SLOW_SKIP);
    for (int i = 0; i < 20; i++)
        send_now(i);
    assert_int_equal(cio_unsubscribe(&s), 0);
    return 0;
}

TEST(a_slow_one_is_waited_for)
{
    cio_subscriber slow, quick;
    struct user a = {NULL, "a", 4};
    join_in(&slow, CIO_SLOW_WAIT);
    join_in(&quick, CIO_SLOW_WAIT);
    for (int i = 0; i < 4; i++)
        send_now(i);
    assert_true(would_wait(9));
    cio_task *sender = begin(do_send, &a);
    for (int i = 0; i < 4; i++)
        assert_int_equal(receive_now(&quick), i);
    wait_turns(2);
    assert_noted(""); /* the quick one alone does not help */
    assert_int_equal(receive_now(&slow), 0);
    assert_int_equal(cio_await(sender), 0);
    for (int i = 1; i < 5; i++)
        assert_int_equal(receive_now(&slow), i);
    assert_int_equal(receive_now(&quick), 4);
    assert_int_equal(cio_subscriber_lost(&slow), 0);
    assert_int_equal(cio_unsubscribe(&slow), 0);
    assert_int_equal(cio_unsubscribe(&quick), 0);
    return 0;
}

TEST(a_slow_one_that_skips_loses_the_oldest)
{
    cio_subscriber s;
    join_in(&s, CIO_SLOW_SKIP);
    for (int i = 0; i < 10; i++)
        send_now(i);
    assert_int_equal(cio_subscriber_pending(&s), 4);
    assert_int_equal(cio_subscriber_lost(&s), 6);
    for (int i = 6; i < 10; i++)
        assert_int_equal(receive_now(&s), i);
    for (int i = 10; i < 15; i++)
        send_now(i);
    assert_int_equal(receive_now(&s), 11);
    assert_int_equal(cio_subscriber_lost(&s), 7);
    return cio_unsubscribe(&s);
}

TEST(a_slow_one_is_told_once)
{
    cio_subscriber s;
    int item = -1;
    join_in(&s, CIO_SLOW_TELL);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 7; i++)
            send_now(i);
        assert_int_equal(cio_subscriber_receive(&s, &item), -EOVERFLOW);
        assert_int_equal(item, -1);
        assert_int_equal(cio_subscriber_lost(&s), 3 * (round + 1));
        for (int i = 3; i < 7; i++)
            assert_int_equal(receive_now(&s), i);
        assert_int_equal(receive_now(&s), -1);
    }
    return cio_unsubscribe(&s);
}

TEST(a_slow_one_is_dropped)
{
    cio_subscriber s, other;
    int item = -1;
    join_in(&s, CIO_SLOW_DROP);
    join_in(&other, CIO_SLOW_WAIT);
    for (int i = 0; i < 5; i++) {
        send_now(i);
        assert_int_equal(receive_now(&other), i);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_subscriber_pending(&s), 0);
        assert_int_equal(cio_subscriber_receive(&s, &item), -EOVERFLOW);
        assert_int_equal(cio_subscriber_receive_nowait(&s, &item), -EOVERFLOW);
        send_now(9);
        assert_int_equal(receive_now(&other), 9);
    }
    assert_int_equal(item, -1);
    assert_int_equal(cio_unsubscribe(&s), 0);
    join_in(&s, CIO_SLOW_DROP); /* and may come again */
    send_now(10);
    assert_int_equal(receive_now(&s), 10);
    assert_int_equal(cio_unsubscribe(&s), 0);
    return cio_unsubscribe(&other);
}

TEST(receivers_wait_and_all_are_woken)
{
    cio_subscriber s[3];
    struct user users[3] = {{&s[0], "a"}, {&s[1], "b"}, {&s[2], "c"}};
    cio_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        join_in(&s[i], CIO_SLOW_SKIP);
        tasks[i] = begin(do_receive, &users[i]);
    }
    send_now(5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    assert_noted("a5 b5 c5");
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_unsubscribe(&s[i]), 0);
    return 0;
}

TEST(several_tasks_share_a_subscriber)
{
    cio_subscriber s;
    struct user a = {&s, "a"}, b = {&s, "b"}, c = {&s, "c"};
    join_in(&s, CIO_SLOW_WAIT);
    cio_task *tasks[] = {begin(do_receive, &a), begin(do_receive, &b), begin(do_receive, &c)};
    send_now(1);
    send_now(2);
    wait_turns(2);
    assert_noted("a1 b2");
    send_now(3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return cio_unsubscribe(&s);
}

TEST(senders_go_on_in_order_and_no_newcomer_passes_them)
{
    cio_subscriber s;
    struct user a = {NULL, "a", 10}, b = {NULL, "b", 11}, c = {NULL, "c", 12};
    join_in(&s, CIO_SLOW_WAIT);
    for (int i = 0; i < 4; i++)
        send_now(i);
    cio_task *first = begin(do_send, &a), *second = begin(do_send, &b);
    assert_int_equal(receive_now(&s), 0);
    assert_true(would_wait(9)); /* the place is the first sender's, which was woken for it */
    cio_task *third = begin(do_send, &c);
    assert_noted("a10");
    for (int i = 1; i < 4; i++)
        assert_int_equal(receive_now(&s), i);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(cio_await(third), 0);
    assert_int_equal(cio_await(first), 0);
    assert_noted("b11 c12");
    for (int i = 10; i < 13; i++)
        assert_int_equal(receive_now(&s), i);
    return cio_unsubscribe(&s);
}

TEST(a_subscriber_that_leaves_lets_the_senders_go_on)
{
    cio_subscriber slow, other;
    struct user a = {NULL, "a", 10}, b = {NULL, "b", 11};
    join_in(&slow, CIO_SLOW_WAIT);
    join_in(&other, CIO_SLOW_SKIP);
    for (int i = 0; i < 4; i++)
        send_now(i);
    cio_task *first = begin(do_send, &a), *second = begin(do_send, &b);
    assert_int_equal(cio_unsubscribe(&slow), 0);
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(receive_now(&other), 2);
    return cio_unsubscribe(&other);
}

/* There is room for all who wait when a slow one leaves; then one comes that must be waited for. */
TEST(a_subscriber_comes_while_woken_senders_are_on_their_way)
{
    enum { N = 6 };
    cio_subscriber slow, late;
    struct user users[N];
    cio_task *tasks[N];
    join_in(&slow, CIO_SLOW_WAIT);
    for (int i = 0; i < 4; i++)
        send_now(i);
    for (int i = 0; i < N; i++) {
        users[i] = (struct user){NULL, "x", 10 + i};
        tasks[i] = begin(do_send, &users[i]);
    }
    assert_int_equal(cio_unsubscribe(&slow), 0);
    join_in(&late, CIO_SLOW_WAIT);
    wait_turns(2);
    assert_noted("x10 x11 x12 x13");
    for (int i = 0; i < N; i++) {
        assert_int_equal(receive_now(&late), 10 + i);
        wait_turns(1);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(cio_await(tasks[i]), 0);
    return cio_unsubscribe(&late);
}

TEST(a_closed_channel_is_drained)
{
    cio_subscriber s, none;
    int item = 9;
    join_in(&s, CIO_SLOW_WAIT);
    join_in(&none, CIO_SLOW_SKIP);
    send_now(1);
    assert_int_equal(receive_now(&none), 1);
    assert_int_equal(cio_broadcast_close(&channel), 0);
    assert_int_equal(cio_broadcast_close(&channel), 0);
    assert_int_equal(cio_broadcast_send(&channel, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_broadcast_send_nowait(&channel, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_subscriber_receive(&s, &item), 0);
    assert_int_equal(item, 1);
    assert_int_equal(cio_subscriber_receive(&s, &item), CIO_ESHUTDOWN);
    assert_int_equal(cio_subscriber_receive(&none, &item), CIO_ESHUTDOWN);
    cio_subscriber late = CIO_SUBSCRIBER_INIT;
    assert_int_equal(cio_subscribe(&late, &channel, CIO_SLOW_SKIP), CIO_ESHUTDOWN);
    assert_int_equal(cio_unsubscribe(&s), 0);
    return cio_unsubscribe(&none);
}

TEST(a_close_wakes_all_who_wait)
{
    cio_subscriber slow, quick;
    struct user a = {NULL, "a", 10}, b = {NULL, "b", 11}, c = {&quick, "c"};
    join_in(&slow, CIO_SLOW_WAIT);
    join_in(&quick, CIO_SLOW_SKIP);
    for (int i = 0; i < 4; i++) {
        send_now(i);
        assert_int_equal(receive_now(&quick), i);
    }
    cio_task *tasks[] = {begin(do_send, &a), begin(do_send, &b), begin(do_receive, &c)};
    assert_int_equal(receive_now(&slow), 0); /* a is woken, and comes too late */
    assert_int_equal(cio_broadcast_close(&channel), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(tasks[i]), CIO_ESHUTDOWN);
    assert_int_equal(cio_unsubscribe(&slow), 0);
    assert_int_equal(cio_unsubscribe(&quick), 0);
    assert_int_equal(cio_broadcast_destroy(&channel), 0);
    return 0;
}

TEST(a_channel_of_its_own_memory)
{
    struct message {
        char text[13];
    } in = {"hello, world"}, out;
    cio_broadcast b;
    cio_subscriber s = CIO_SUBSCRIBER_INIT;
    assert_int_equal(cio_broadcast_init(&b, 3, sizeof in), 0);
    assert_int_equal(cio_subscribe(&s, &b, CIO_SLOW_SKIP), 0);
    for (int i = 0; i < 10; i++) {
        in.text[0] = (char)('a' + i);
        assert_int_equal(cio_broadcast_send(&b, &in), 0);
    }
    assert_int_equal(cio_subscriber_receive(&s, &out), 0);
    assert_string_equal(out.text, "hello, world"); /* the eighth */
    assert_int_equal(cio_unsubscribe(&s), 0);
    return cio_broadcast_destroy(&b);
}
