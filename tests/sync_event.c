/* cio_event: asyncio.Event (T44). */
#include "sync.h"

TEST(set_wakes_all_in_order)
{
    cio_event event = CIO_EVENT_INIT;
    cio_task *a = CALL("a", cio_event_wait, &event);
    cio_task *b = CALL("b", cio_event_wait, &event);
    cio_task *c = CALL("c", cio_event_wait, &event);
    assert_false(cio_event_is_set(&event));
    assert_int_equal(cio_event_set(&event), 0);
    assert_true(cio_event_is_set(&event));
    assert_noted("");
    let_run();
    assert_noted("a b c");
    assert_int_equal(cio_event_wait(&event), 0); /* at once */
    assert_int_equal(cio_await(a) + cio_await(b) + cio_await(c), 0);
    return 0;
}

TEST(t44_set_and_clear_wakes_all_who_wait)
{
    cio_event event = CIO_EVENT_INIT;
    cio_task *a = CALL("a", cio_event_wait, &event);
    cio_task *b = CALL("b", cio_event_wait, &event);
    assert_int_equal(cio_event_set(&event), 0);
    assert_int_equal(cio_event_clear(&event), 0);
    cio_task *c = CALL("c", cio_event_wait, &event);
    let_run();
    assert_noted("a b");
    assert_int_equal(cio_event_set(&event), 0);
    assert_int_equal(cio_await(a) + cio_await(b) + cio_await(c), 0);
    assert_noted("c");
    return 0;
}

TEST(set_twice_wakes_once)
{
    cio_event event = CIO_EVENT_INIT;
    cio_task *a = CALL("a", cio_event_wait, &event);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_event_set(&event), 0);
        assert_int_equal(cio_event_set(&event), 0);
        assert_int_equal(cio_event_clear(&event), 0);
    }
    assert_int_equal(cio_await(a), 0);
    assert_noted("a");
    return 0;
}

TEST(canceled_at_each_point)
{
    cio_event event = CIO_EVENT_INIT;
    assert_int_equal(call_canceled(CALLER("a", cio_event_wait, &event)), CIO_ECANCELED);
    cio_task *a = CALL("a", cio_event_wait, &event);
    cio_task *b = CALL("b", cio_event_wait, &event);
    cio_task *c = CALL("c", cio_event_wait, &event);
    cio_cancel(a);
    cio_cancel(a);
    assert_int_equal(cio_event_set(&event), 0);
    cio_cancel(b); /* was woken, and is canceled all the same */
    assert_int_equal(cio_await(a), CIO_ECANCELED);
    assert_int_equal(cio_await(b), CIO_ECANCELED);
    assert_int_equal(cio_await(c), 0);
    assert_noted("-a -b c");
    assert_int_equal(cio_event_destroy(&event), 0);
    return 0;
}

TEST(the_event_may_go_as_soon_as_it_is_set)
{
    cio_event *event = malloc(sizeof *event);
    assert_non_null(event);
    *event = (cio_event)CIO_EVENT_INIT;
    cio_task *a = CALL("a", cio_event_wait, event);
    cio_task *b = CALL("b", cio_event_wait, event);
    assert_int_equal(cio_event_destroy(event), -EBUSY);
    assert_int_equal(cio_event_set(event), 0);
    assert_int_equal(cio_event_destroy(event), 0);
    free(event);
    cio_cancel(b);
    assert_int_equal(cio_await(a), 0);
    assert_int_equal(cio_await(b), CIO_ECANCELED);
    return 0;
}

static cio_event outside = CIO_EVENT_INIT;

static void use_outside(void *arg)
{
    (void)arg;
    assert_int_equal(cio_event_wait(&outside), CIO_ENOTASK);
    assert_int_equal(cio_event_set(&outside), 0);
    assert_int_equal(cio_event_wait(&outside), CIO_ENOTASK);
}

TEST(a_callback_may_set_it)
{
    cio_task *a = CALL("a", cio_event_wait, &outside);
    call_outside_tasks(use_outside);
    assert_int_equal(cio_await(a), 0);
    return 0;
}

TEST(bad_input)
{
    assert_int_equal(cio_event_wait(NULL), -EINVAL);
    assert_int_equal(cio_event_set(NULL), -EINVAL);
    assert_int_equal(cio_event_clear(NULL), -EINVAL);
    assert_int_equal(cio_event_destroy(NULL), -EINVAL);
    assert_false(cio_event_is_set(NULL));
    return 0;
}
