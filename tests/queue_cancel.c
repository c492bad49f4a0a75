/* Canceled in a queue: before, while it waits, when it was woken, twice, in the cleanup (T46). */
#include "queues.h"

static int storage[2];
static cio_queue queue = CIO_QUEUE_INIT(storage);

/* The queue is as if nobody had ever waited: two items go through it. */
static void assert_usable(cio_queue *q)
{
    struct user a = {q, "a"}, b = {q, "b"};
    notes_clear();
    while (get_now(q) >= 0)
        ;
    cio_task *first = begin(do_get, &a), *second = begin(do_get, &b);
    fill(q, 1, 2);
    assert_int_equal(cio_await(first), 0);
    assert_int_equal(cio_await(second), 0);
    assert_noted("a1 b2");
}

TEST(canceled_before_its_first_step_it_never_gets)
{
    struct user a = {&queue, "a"};
    put_now(&queue, 1);
    cio_task *task = cio_create_task(do_get, &a);
    assert_int_equal(cio_cancel(task), 1);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(cio_queue_qsize(&queue), 1);
    assert_usable(&queue);
    return 0;
}

static int get_with_a_request(void *arg)
{
    struct user *u = arg;
    cio_cancel(cio_current_task());
    return do_get(arg) == 0 ? u->item : u->rc;
}

/* T14: a wait that need not wait delivers nothing. */
TEST(t14_a_get_that_does_not_wait_delivers_nothing)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"};
    put_now(&queue, 1);
    assert_int_equal(cio_await(cio_create_task(get_with_a_request, &a)), CIO_ECANCELED); /* T17 */
    assert_int_equal(a.rc, 0);
    assert_int_equal(cio_await(cio_create_task(get_with_a_request, &b)), CIO_ECANCELED);
    assert_int_equal(b.rc, CIO_ECANCELED);
    assert_usable(&queue);
    return 0;
}

TEST(canceled_while_it_waits_to_get)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"};
    cio_task *first = begin(do_get, &a), *second = begin(do_get, &b);
    assert_int_equal(cio_cancel(first), 1);
    put_now(&queue, 5); /* before the first has noticed: it is the second's */
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(b.item, 5);
    assert_usable(&queue);
    return 0;
}

TEST(canceled_while_it_waits_to_put)
{
    struct user a = {&queue, "a", 11}, b = {&queue, "b", 12};
    fill(&queue, 1, 2);
    cio_task *first = begin(do_put, &a), *second = begin(do_put, &b);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(get_now(&queue), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(get_now(&queue), 2);
    assert_int_equal(get_now(&queue), 12); /* and no 11 */
    assert_int_equal(get_now(&queue), -1);
    assert_usable(&queue);
    return 0;
}

TEST(canceled_while_it_joins)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"};
    put_now(&queue, 1);
    cio_task *first = begin(do_join, &a), *second = begin(do_join, &b);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(cio_queue_task_done(&queue), 0);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_usable(&queue);
    return 0;
}

/* The item stays, and the next getter is woken for it. */
TEST(t46_a_getter_canceled_after_its_wake_wakes_the_next)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"};
    cio_task *first = begin(do_get, &a), *second = begin(do_get, &b);
    put_now(&queue, 5);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(b.item, 5);
    assert_int_equal(a.item, 0);
    assert_usable(&queue);
    return 0;
}

TEST(t46_a_putter_canceled_after_its_wake_wakes_the_next)
{
    struct user a = {&queue, "a", 11}, b = {&queue, "b", 12};
    fill(&queue, 1, 2);
    cio_task *first = begin(do_put, &a), *second = begin(do_put, &b);
    assert_int_equal(get_now(&queue), 1);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(cio_queue_qsize(&queue), 2);
    assert_usable(&queue);
    return 0;
}

/* All that were woken are canceled: the wake goes down to the one that stays. */
TEST(t46_a_wake_is_passed_on_as_often_as_need_be)
{
    enum { N = 20 };
    struct user users[N];
    cio_task *tasks[N];
    for (int i = 0; i < N; i++) {
        users[i] = (struct user){&queue, "x"};
        tasks[i] = begin(do_get, &users[i]);
    }
    put_now(&queue, 5);
    for (int i = 0; i < N - 1; i++) {
        cio_cancel(tasks[i]);
        if (i % 3 == 0)
            wait_turns(1);
    }
    for (int i = 0; i < N - 1; i++)
        assert_int_equal(cio_await(tasks[i]), CIO_ECANCELED);
    assert_int_equal(cio_await(tasks[N - 1]), 0);
    assert_int_equal(users[N - 1].item, 5);
    assert_usable(&queue);
    return 0;
}

/* There is nothing to be passed on: a newcomer was first. The others keep their order. */
TEST(a_wake_for_nothing_is_not_passed_on)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"}, c = {&queue, "c"};
    cio_task *first = begin(do_get, &a), *second = begin(do_get, &b), *third = begin(do_get, &c);
    put_now(&queue, 5);
    assert_int_equal(get_now(&queue), 5);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    wait_turns(2);
    fill(&queue, 6, 2);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(cio_await(third), 0);
    assert_noted("-a0 b6 c7");
    assert_usable(&queue);
    return 0;
}

TEST(a_place_that_is_gone_is_not_passed_on)
{
    struct user a = {&queue, "a", 11}, b = {&queue, "b", 12}, c = {&queue, "c", 13};
    fill(&queue, 1, 2);
    cio_task *first = begin(do_put, &a), *second = begin(do_put, &b), *third = begin(do_put, &c);
    assert_int_equal(get_now(&queue), 1);
    put_now(&queue, 3);
    assert_int_equal(cio_cancel(first), 1);
    assert_int_equal(cio_await(first), CIO_ECANCELED);
    wait_turns(2);
    assert_int_equal(get_now(&queue), 2);
    assert_int_equal(get_now(&queue), 3);
    assert_int_equal(cio_await(second), 0);
    assert_int_equal(cio_await(third), 0);
    assert_noted("-a b c");
    assert_usable(&queue);
    return 0;
}

TEST(canceled_twice)
{
    struct user a = {&queue, "a"};
    for (int woken = 0; woken < 2; woken++) {
        cio_task *task = begin(do_get, &a);
        if (woken)
            put_now(&queue, 1);
        assert_int_equal(cio_cancel(task), 1);
        assert_int_equal(cio_cancel(task), 1);
        assert_int_equal(cio_await(task), CIO_ECANCELED);
        assert_int_equal(cio_queue_qsize(&queue), woken);
    }
    assert_usable(&queue);
    return 0;
}

static int get_again_in_the_cleanup(void *arg)
{
    struct user *u = arg;
    assert_int_equal(cio_queue_get(u->q, &u->item), CIO_ECANCELED);
    return do_get(arg);
}

TEST(it_may_wait_again_in_its_cleanup)
{
    struct user a = {&queue, "a"};
    cio_task *task = cio_create_task(get_again_in_the_cleanup, &a);
    wait_turns(2);
    cio_cancel(task);
    wait_turns(2);
    assert_false(a.ended);
    put_now(&queue, 8);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(a.item, 8);
    task = cio_create_task(get_again_in_the_cleanup, &a);
    wait_turns(2);
    cio_cancel(task);
    wait_turns(2);
    cio_cancel(task); /* and is canceled there too */
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_usable(&queue);
    return 0;
}

/* A request that is taken back after the wake is none. */
TEST(uncanceled_after_its_wake_it_gets)
{
    struct user a = {&queue, "a"};
    cio_task *task = begin(do_get, &a);
    put_now(&queue, 4);
    cio_cancel(task);
    assert_int_equal(cio_uncancel(task), 0);
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(a.item, 4);
    return 0;
}

TEST(get_with_a_limit_of_time)
{
    int item = 3;
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.001), 0);
    assert_int_equal(cio_timeout_exit(&t, cio_queue_get(&queue, &item)), CIO_ETIMEDOUT);
    assert_int_equal(item, 3);
    assert_usable(&queue);
    return 0;
}

TEST(a_group_that_fails_takes_its_waiters_along)
{
    struct user a = {&queue, "a"}, b = {&queue, "b"};
    struct job bad = {"bad", 2, -EIO};
    cio_group g;
    assert_int_equal(cio_group_enter(&g), 0);
    assert_non_null(cio_group_start(&g, do_get, &a));
    assert_non_null(cio_group_start(&g, do_get, &b));
    start_in(&g, &bad, 1);
    assert_int_equal(cio_group_exit(&g, 0), -EIO);
    assert_int_equal(cio_queue_destroy(&queue), 0);
    return 0;
}
