/* Futures: completed once, from wherever; callbacks in order, never inside the call. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static void note_done(cio_future *future, void *arg)
{
    assert_true(cio_done(future));
    note("%s", (const char *)arg);
}

static void note_call(void *arg)
{
    note("%s", (const char *)arg);
}

/* ---- completing ---- */

static int t2_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback place = {0};
    assert_int_equal(cio_add_done_callback(f, &place, note_done, "cb"), 0);
    assert_int_equal(cio_set_result(f, 0, NULL), 0);
    note("after-set");
    cio_yield();
    return cio_detach(f);
}

TEST(t2_callbacks_never_run_inside_set_result)
{
    assert_int_equal(run_quiet(t2_main, NULL), 0);
    assert_string_equal(noted(), "after-set cb");
}

static int t2_cancel_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback place = {0};
    cio_add_done_callback(f, &place, note_done, "cb");
    assert_int_equal(cio_cancel(f), 1);
    assert_true(cio_cancelled(f));
    note("after-cancel");
    cio_yield();
    return cio_detach(f);
}

TEST(t2_callbacks_never_run_inside_cancel)
{
    assert_int_equal(run_quiet(t2_cancel_main, NULL), 0);
    assert_string_equal(noted(), "after-cancel cb");
}

static int pending_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    assert_non_null(f);
    assert_ptr_equal(cio_get_loop(f), cio_get_running_loop());
    assert_false(cio_done(f));
    assert_false(cio_cancelled(f));
    assert_int_equal(cio_result(f), CIO_ESTATE);
    assert_null(cio_result_value(f));
    assert_int_equal(cio_cancelling(f), 0);
    return cio_detach(f);
}

TEST(a_new_future_is_pending)
{
    assert_int_equal(run_quiet(pending_main, NULL), 0);
}

static int once_main(void *arg)
{
    int first, second;
    (void)arg;
    cio_future *f = cio_future_new();
    assert_int_equal(cio_set_result(f, 5, &first), 0);
    assert_int_equal(cio_set_result(f, 6, &second), CIO_ESTATE);
    assert_int_equal(cio_set_error(f, -EIO), CIO_ESTATE);
    assert_int_equal(cio_cancel(f), 0); /* T14 */
    assert_true(cio_done(f));
    assert_false(cio_cancelled(f));
    assert_int_equal(cio_result(f), 5);
    assert_ptr_equal(cio_result_value(f), &first);
    cio_detach(f);

    f = cio_future_new();
    assert_int_equal(cio_set_error(f, -EIO), 0);
    assert_int_equal(cio_set_result(f, 6, &second), CIO_ESTATE);
    assert_int_equal(cio_cancel(f), 0);
    assert_int_equal(cio_result(f), -EIO);
    assert_null(cio_result_value(f));
    cio_detach(f);

    f = cio_future_new();
    assert_int_equal(cio_cancel(f), 1);
    assert_int_equal(cio_cancel(f), 0);
    assert_int_equal(cio_set_result(f, 6, &second), CIO_ESTATE);
    assert_int_equal(cio_set_error(f, -EIO), CIO_ESTATE);
    assert_int_equal(cio_result(f), CIO_ECANCELED);
    return cio_detach(f);
}

TEST(a_future_ends_once)
{
    assert_int_equal(run_quiet(once_main, NULL), 0);
}

static int set_ecanceled_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    assert_int_equal(cio_set_error(f, CIO_ECANCELED), 0);
    assert_true(cio_cancelled(f));
    return cio_await(f);
}

TEST(set_error_with_ecanceled_cancels)
{
    assert_int_equal(run_quiet(set_ecanceled_main, NULL), CIO_ECANCELED);
}

/* ---- awaiting ---- */

struct setter {
    cio_handle handle;
    cio_future *future;
    int rc;
    void *value;
};

static void set_future(void *arg)
{
    struct setter *s = arg;
    assert_int_equal(s->rc < 0 ? cio_set_error(s->future, s->rc)
                               : cio_set_result(s->future, s->rc, s->value),
                     0);
    cio_detach(s->future);
}

static int await_later(int rc, void *value)
{
    struct setter s = {.future = cio_future_new(), .rc = rc, .value = value};
    cio_ref(s.future);
    cio_call_later(cio_get_running_loop(), &s.handle, 0.001, set_future, &s);
    void *got = &s;
    assert_int_equal(cio_await_value(s.future, &got), rc);
    assert_ptr_equal(got, rc < 0 ? NULL : value);
    return 0;
}

static int await_main(void *arg)
{
    await_later(0, NULL);
    await_later(12, &arg);
    await_later(-EIO, NULL);
    await_later(CIO_ETIMEDOUT, NULL);
    await_later(CIO_ECANCELED, NULL);
    assert_int_equal(cio_cancelling(cio_current_task()), 0);
    return cio_yield(); /* the future was canceled, not this task */
}

TEST(await_brings_result_value_and_error)
{
    assert_int_equal(run_quiet(await_main, NULL), 0);
}

struct waiter {
    cio_future *future;
    const char *name;
};

static int wait_and_note(void *arg)
{
    struct waiter *w = arg;
    int rc = cio_await(w->future);
    note("%s=%d", w->name, rc);
    return 0;
}

static int order_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback first = {0}, last = {0};
    struct waiter a = {cio_ref(f), "a"}, b = {cio_ref(f), "b"};
    cio_handle soon = CIO_HANDLE_INIT;
    cio_add_done_callback(f, &first, note_done, "first");
    cio_task *ta = cio_create_task(wait_and_note, &a);
    cio_task *tb = cio_create_task(wait_and_note, &b);
    cio_yield();
    cio_add_done_callback(f, &last, note_done, "last");
    cio_call_soon(cio_get_running_loop(), &soon, note_call, "soon");
    cio_set_result(f, 1, NULL);
    note("set");
    cio_await(ta);
    cio_await(tb);
    return cio_detach(f);
}

/* An awaiting task is a callback like any other. */
TEST(callbacks_and_awaiters_hear_in_the_order_in_which_they_came)
{
    assert_int_equal(run_quiet(order_main, NULL), 0);
    assert_string_equal(noted(), "set soon first a=1 b=1 last");
}

/* ---- callbacks ---- */

static int callbacks_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback places[5] = {0};
    static char *const names[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_add_done_callback(f, &places[i], note_done, names[i]), 0);
    assert_int_equal(cio_add_done_callback(f, &places[0], note_done, "x"), CIO_ESTATE);
    assert_int_equal(cio_remove_done_callback(&places[1]), 1);
    assert_int_equal(cio_remove_done_callback(&places[1]), 0);
    cio_set_result(f, 0, NULL);
    assert_int_equal(cio_add_done_callback(f, &places[0], note_done, "x"), CIO_ESTATE);
    assert_int_equal(cio_remove_done_callback(&places[3]), 1); /* queued already */
    assert_int_equal(cio_remove_done_callback(&places[3]), 0);
    cio_yield();
    assert_int_equal(cio_remove_done_callback(&places[0]), 0); /* called already */
    return cio_detach(f);
}

TEST(callbacks_run_in_order_unless_removed)
{
    assert_int_equal(run_quiet(callbacks_main, NULL), 0);
    assert_string_equal(noted(), "a c e");
}

static int late_callback_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_set_error(f, -EIO);
    cio_result(f);
    cio_done_callback a = {0}, b = {0};
    assert_int_equal(cio_add_done_callback(f, &a, note_done, "late"), 0);
    assert_int_equal(cio_add_done_callback(f, &b, note_done, "removed"), 0);
    assert_int_equal(cio_remove_done_callback(&b), 1);
    note("added");
    cio_yield();
    assert_int_equal(cio_add_done_callback(f, &a, note_done, "again"), 0); /* the place is free */
    cio_yield();
    return cio_detach(f);
}

TEST(callbacks_added_when_it_is_done_are_called_soon)
{
    assert_int_equal(run_quiet(late_callback_main, NULL), 0);
    assert_string_equal(noted(), "added late again");
}

static int dropped_before_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback a = {0}, b = {0};
    cio_add_done_callback(f, &a, note_done, "a");
    cio_add_done_callback(f, &b, note_done, "b");
    cio_set_result(f, 0, NULL);
    cio_detach(f); /* the last reference; it lives until both have run */
    note("detached");
    return cio_yield();
}

TEST(a_future_lives_until_its_callbacks_have_run)
{
    assert_int_equal(run_quiet(dropped_before_main, NULL), 0);
    assert_string_equal(noted(), "detached a b");
}

static int dropped_and_removed_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback a = {0};
    cio_add_done_callback(f, &a, note_done, "a");
    cio_set_result(f, 0, NULL);
    cio_detach(f);
    assert_int_equal(cio_remove_done_callback(&a), 1); /* and with it goes the future */
    return cio_yield();
}

TEST(removing_the_last_callback_frees_a_dropped_future)
{
    assert_int_equal(run_quiet(dropped_and_removed_main, NULL), 0);
    assert_string_equal(noted(), "");
}

static void drop_future(cio_future *future, void *arg)
{
    note("%s=%d", (const char *)arg, cio_result(future));
    cio_detach(future);
}

static int dropped_inside_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback a = {0}, b = {0};
    cio_add_done_callback(f, &a, drop_future, "a");
    cio_add_done_callback(f, &b, note_done, "b");
    cio_set_result(f, 3, NULL);
    return cio_yield();
}

TEST(a_callback_may_drop_the_last_reference)
{
    assert_int_equal(run_quiet(dropped_inside_main, NULL), 0);
    assert_string_equal(noted(), "a=3 b");
}

struct hopper {
    cio_done_callback place;
    cio_future *next;
};

static void hop(cio_future *future, void *arg)
{
    struct hopper *h = arg;
    note("%d", cio_result(future));
    if (h->next) {
        cio_future *next = h->next;
        h->next = NULL;
        assert_int_equal(cio_add_done_callback(next, &h->place, hop, h), 0);
    }
}

static int hopper_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new(), *g = cio_future_new();
    struct hopper h = {.next = g};
    cio_add_done_callback(f, &h.place, hop, &h);
    cio_set_result(f, 1, NULL);
    cio_yield();
    cio_set_result(g, 2, NULL);
    cio_yield();
    cio_detach(f);
    return cio_detach(g);
}

TEST(a_callback_may_use_its_place_again)
{
    assert_int_equal(run_quiet(hopper_main, NULL), 0);
    assert_string_equal(noted(), "1 2");
}

static void remove_other(cio_future *future, void *arg)
{
    (void)future;
    note("removed=%d", cio_remove_done_callback(arg));
}

static int remove_other_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback a = {0}, b = {0};
    cio_add_done_callback(f, &a, remove_other, &b);
    cio_add_done_callback(f, &b, note_done, "b");
    cio_set_result(f, 0, NULL);
    cio_yield();
    return cio_detach(f);
}

TEST(a_callback_may_remove_the_next_one)
{
    assert_int_equal(run_quiet(remove_other_main, NULL), 0);
    assert_string_equal(noted(), "removed=1");
}

static int end(void *arg)
{
    note("task");
    return *(int *)arg;
}

static int task_callback_main(void *arg)
{
    int number = 4;
    (void)arg;
    cio_task *t = cio_create_task(end, &number);
    cio_done_callback place = {0};
    cio_add_done_callback(t, &place, drop_future, "callback");
    cio_yield();
    note("main");
    return cio_yield();
}

/* The task gives back the memory of its stack while the callback still reads its result. */
TEST(callbacks_of_a_task_run_after_its_end)
{
    assert_int_equal(run_quiet(task_callback_main, NULL), 0);
    assert_string_equal(noted(), "task main callback=4");
}
