/* Cancellation, T14 to T19b: what is asked for, when it arrives, how often, and who is asked. */
#include <errno.h>

#include "journal.h"
#include "test.h"

static int sleep_for_ever(void *arg)
{
    (void)arg;
    int rc = cio_sleep(CIO_FOREVER);
    note("%s", cio_err_name(rc));
    return rc;
}

static int return_number(void *arg)
{
    return *(int *)arg;
}

/* Starts fn(arg) and lets it run until it waits. */
static cio_task *start(cio_coroutine *fn, void *arg)
{
    cio_task *t = cio_create_task(fn, arg);
    assert_non_null(t);
    assert_int_equal(cio_yield(), 0);
    return t;
}

/* ---- T14: what cancel() returns and counts ---- */

static int once_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_ref(start(sleep_for_ever, NULL));
    assert_int_equal(cio_cancelling(t), 0);
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancelling(t), 1);
    assert_false(cio_done(t)); /* it has yet to take it */
    assert_int_equal(cio_await(t), CIO_ECANCELED);
    assert_true(cio_cancelled(t));
    assert_int_equal(cio_cancel(t), 0); /* done */
    assert_int_equal(cio_cancelling(t), 1);
    assert_int_equal(cio_cancelling(cio_current_task()), 0);
    return cio_detach(t);
}

TEST(t14_cancel_of_a_waiting_task)
{
    assert_int_equal(run_quiet(once_main, NULL), 0);
    assert_string_equal(noted(), "CIO_ECANCELED");
}

static int sleep_twice(void *arg)
{
    (void)arg;
    note("%s", cio_err_name(cio_sleep(CIO_FOREVER)));
    note("%s", cio_err_name(cio_sleep(0.001)));
    note("%s", cio_err_name(cio_yield()));
    return 3;
}

static int twice_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_ref(start(sleep_twice, NULL));
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancelling(t), 2);
    assert_int_equal(cio_await(t), 3); /* it went on, so it is not canceled */
    assert_false(cio_cancelled(t));
    return cio_detach(t);
}

TEST(t14_two_requests_before_delivery_arrive_once)
{
    assert_int_equal(run_quiet(twice_main, NULL), 0);
    assert_string_equal(noted(), "CIO_ECANCELED OK OK");
}

static int again_main(void *arg)
{
    (void)arg;
    cio_task *t = start(sleep_twice, NULL);
    cio_cancel(t);
    cio_yield(); /* it sleeps its second sleep now: cleanup, perhaps */
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancelling(t), 2);
    return cio_await(t);
}

TEST(t14_a_request_during_the_cleanup_arrives_there)
{
    assert_int_equal(run_quiet(again_main, NULL), 3);
    assert_string_equal(noted(), "CIO_ECANCELED CIO_ECANCELED OK");
}

/* ---- T15: before the first step ---- */

static int note_ran(void *arg)
{
    (void)arg;
    note("ran");
    return 0;
}

static int unborn_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_ref(cio_create_task(note_ran, NULL));
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_await(t), CIO_ECANCELED);
    assert_true(cio_cancelled(t));

    cio_task *u = cio_create_task(note_ran, NULL);
    assert_int_equal(cio_cancel(u), 1);
    cio_detach(u); /* nobody waits for it */
    cio_yield();
    cio_yield();
    return cio_detach(t);
}

TEST(t15_canceled_before_its_first_step_it_never_runs)
{
    assert_int_equal(run_quiet(unborn_main, NULL), 0);
    assert_string_equal(noted(), "");
}

static int unborn_uncancel_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(note_ran, NULL);
    cio_cancel(t);
    assert_int_equal(cio_uncancel(t), 0);
    return cio_await(t);
}

TEST(t16_a_request_taken_back_before_the_first_step_is_forgotten)
{
    assert_int_equal(run_quiet(unborn_uncancel_main, NULL), 0);
    assert_string_equal(noted(), "ran");
}

/* ---- T16: swallowing, uncancel ---- */

static int swallow(void *arg)
{
    cio_task *me = cio_current_task();
    assert_int_equal(cio_sleep(CIO_FOREVER), CIO_ECANCELED);
    assert_int_equal(cio_cancelling(me), 1); /* swallowing alone does not change it */
    assert_int_equal(cio_sleep(0.001), 0);
    assert_int_equal(cio_cancelling(me), 1);
    assert_int_equal(cio_uncancel(me), 0);
    assert_int_equal(cio_uncancel(me), 0); /* never below 0 */
    assert_int_equal(cio_cancelling(me), 0);
    return *(int *)arg;
}

static int swallow_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_ref(start(swallow, &(int){5}));
    cio_cancel(t);
    assert_int_equal(cio_await(t), 5);
    assert_false(cio_cancelled(t));
    return cio_detach(t);
}

TEST(t16_a_task_may_swallow_its_cancellation)
{
    assert_int_equal(run_quiet(swallow_main, NULL), 0);
}

static int self_main(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    assert_int_equal(cio_cancel(me), 1);
    assert_int_equal(cio_cancel(me), 1);
    assert_int_equal(cio_uncancel(me), 1);
    assert_int_equal(cio_yield(), CIO_ECANCELED); /* one request is left, so it is delivered */
    assert_int_equal(cio_uncancel(me), 0);

    assert_int_equal(cio_cancel(me), 1);
    assert_int_equal(cio_uncancel(me), 0);
    assert_int_equal(cio_yield(), 0); /* taken back, never delivered */
    assert_int_equal(cio_sleep(0.001), 0);
    return 0;
}

TEST(t16_uncancel_to_zero_forgets_what_was_not_delivered)
{
    assert_int_equal(run_quiet(self_main, NULL), 0);
}

static int yield_once(void *arg)
{
    (void)arg;
    return cio_yield();
}

static int ready_uncancel_main(void *arg)
{
    (void)arg;
    cio_task *t = start(yield_once, NULL); /* ready, not waiting */
    cio_cancel(t);
    cio_uncancel(t);
    return cio_await(t);
}

TEST(t16_uncancel_of_a_ready_task)
{
    assert_int_equal(run_quiet(ready_uncancel_main, NULL), 0);
}

/* ---- T17: returning with a request outstanding ---- */

static int cancel_self_and_return(void *arg)
{
    cio_cancel(cio_current_task());
    return cio_return(*(int *)arg, arg);
}

static int must_cancel_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_ref(cio_create_task(cancel_self_and_return, &(int){5}));
    void *value = t;
    assert_int_equal(cio_await_value(t, &value), CIO_ECANCELED);
    assert_null(value);
    assert_true(cio_cancelled(t));
    cio_detach(t);
    /* An exception is not replaced in asyncio, only a value is: so here an error. */
    assert_int_equal(cio_await(cio_create_task(cancel_self_and_return, &(int){-EIO})), -EIO);
    return 0;
}

TEST(t17_a_value_returned_with_a_request_outstanding_ends_canceled)
{
    assert_int_equal(run_quiet(must_cancel_main, NULL), 0);
}

static int cancel_self_uncancel_and_return(void *arg)
{
    cio_cancel(cio_current_task());
    cio_uncancel(cio_current_task());
    return *(int *)arg;
}

static int taken_back_main(void *arg)
{
    (void)arg;
    return cio_await(cio_create_task(cancel_self_uncancel_and_return, &(int){5}));
}

TEST(t17_but_not_if_it_was_taken_back)
{
    assert_int_equal(run_quiet(taken_back_main, NULL), 5);
}

static int main_cancels_itself(void *arg)
{
    (void)arg;
    cio_cancel(cio_current_task());
    return 5;
}

TEST(t17_holds_for_the_main_task)
{
    assert_int_equal(run_quiet(main_cancels_itself, NULL), CIO_ECANCELED);
}

/* ---- the current task ---- */

static int self_waits_main(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    cio_cancel(me);
    assert_int_equal(cio_sleep(CIO_FOREVER), CIO_ECANCELED);
    cio_cancel(me);
    assert_int_equal(cio_sleep(0), CIO_ECANCELED);

    cio_future *f = cio_ref(cio_future_new());
    cio_cancel(me);
    assert_int_equal(cio_await(f), CIO_ECANCELED);
    assert_true(cio_cancelled(f)); /* what it awaited went with it */
    cio_detach(f);

    cio_task *t = cio_ref(start(sleep_for_ever, NULL));
    cio_cancel(me);
    assert_int_equal(cio_await(t), CIO_ECANCELED);
    assert_true(cio_cancelled(t));
    cio_detach(t);
    assert_int_equal(cio_cancelling(me), 4);
    return cio_yield();
}

TEST(a_task_that_cancels_itself_hears_of_it_in_its_next_wait)
{
    assert_int_equal(run_quiet(self_waits_main, NULL), 0);
}

static int lonely_main(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(cio_yield(), 0);
        assert_int_equal(cio_yield(), 0);
        cio_cancel(me);
        assert_int_equal(cio_yield(), CIO_ECANCELED);
        assert_int_equal(cio_uncancel(me), 0);
    }
    return 0;
}

/* A yield with nobody to yield to may be cheap, but not deaf. */
TEST(t14_a_yield_delivers_also_to_a_task_that_is_alone)
{
    assert_int_equal(run_quiet(lonely_main, NULL), 0);
}

static int self_await_done_main(void *arg)
{
    int number = 6;
    (void)arg;
    cio_task *t = start(return_number, &number);
    assert_true(cio_done(t));
    cio_cancel(cio_current_task());
    assert_int_equal(cio_await(t), 6); /* `await done` does not suspend in asyncio either */
    assert_int_equal(cio_yield(), CIO_ECANCELED);
    return 0;
}

TEST(t14_an_await_that_does_not_wait_delivers_nothing)
{
    assert_int_equal(run_quiet(self_await_done_main, NULL), 0);
}

/* ---- T19b: along the chain ---- */

struct chain {
    const char *name;
    struct chain *inner;
    bool swallow;
    cio_task *task;
};

static int chain_link(void *arg)
{
    struct chain *c = arg;
    int rc;
    c->task = cio_current_task();
    if (c->inner)
        rc = cio_await(cio_create_task(chain_link, c->inner));
    else
        rc = cio_sleep(CIO_FOREVER);
    note("%s=%s/%d", c->name, cio_err_name(rc), cio_cancelling(c->task));
    if (rc == CIO_ECANCELED && c->swallow)
        return cio_sleep(0.001); /* cleans up and goes on */
    return rc;
}

static int chain_main(void *arg)
{
    bool *swallow_at = arg;
    struct chain c = {"c", NULL, swallow_at[2], NULL};
    struct chain b = {"b", &c, swallow_at[1], NULL};
    struct chain a = {"a", &b, swallow_at[0], NULL};
    cio_task *t = cio_create_task(chain_link, &a);
    for (int i = 0; i < 3; i++)
        cio_yield();
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancelling(a.task), 1);
    assert_int_equal(cio_cancelling(b.task), 1);
    assert_int_equal(cio_cancelling(c.task), 1);
    return cio_await(t);
}

TEST(t19b_cancel_walks_down_to_the_innermost_wait)
{
    assert_int_equal(run_quiet(chain_main, (bool[]){false, false, false}), CIO_ECANCELED);
    assert_string_equal(noted(), "c=CIO_ECANCELED/1 b=CIO_ECANCELED/1 a=CIO_ECANCELED/1");
}

TEST(t19b_the_outer_goes_on_if_the_inner_does)
{
    assert_int_equal(run_quiet(chain_main, (bool[]){false, false, true}), 0);
    assert_string_equal(noted(), "c=CIO_ECANCELED/1 b=OK/1 a=OK/1");
}

TEST(t19b_a_middle_one_may_swallow)
{
    assert_int_equal(run_quiet(chain_main, (bool[]){false, true, false}), 0);
    assert_string_equal(noted(), "c=CIO_ECANCELED/1 b=CIO_ECANCELED/1 a=OK/1");
}

static int chain_twice_main(void *arg)
{
    (void)arg;
    struct chain b = {"b", NULL, true, NULL};
    struct chain a = {"a", &b, false, NULL};
    cio_task *t = cio_create_task(chain_link, &a);
    cio_yield();
    cio_yield();
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancel(t), 1);
    assert_int_equal(cio_cancelling(a.task), 2);
    assert_int_equal(cio_cancelling(b.task), 2);
    return cio_await(t); /* b got it once, so its cleanup could sleep */
}

TEST(t19b_two_requests_through_a_chain_arrive_once)
{
    assert_int_equal(run_quiet(chain_twice_main, NULL), 0);
    assert_string_equal(noted(), "b=CIO_ECANCELED/2 a=OK/2");
}

static int slow_cleanup(void *arg)
{
    int rc = cio_sleep(CIO_FOREVER);
    note("canceled");
    for (int i = 0; i < 3; i++)
        cio_sleep(0.001);
    note("clean");
    (void)arg;
    return rc;
}

static int await_slow(void *arg)
{
    int rc = cio_await(arg);
    note("awaited");
    return rc;
}

static int waits_for_cleanup_main(void *arg)
{
    (void)arg;
    cio_task *inner = start(slow_cleanup, NULL);
    cio_task *outer = start(await_slow, inner);
    cio_cancel(outer);
    return cio_await(outer);
}

TEST(t19b_the_await_goes_on_until_the_inner_has_ended)
{
    assert_int_equal(run_quiet(waits_for_cleanup_main, NULL), CIO_ECANCELED);
    assert_string_equal(noted(), "canceled clean awaited");
}

/* ---- from elsewhere ---- */

static void cancel_from_callback(void *arg)
{
    assert_null(cio_current_task());
    assert_int_equal(cio_cancel(arg), 1);
}

static int callback_main(void *arg)
{
    (void)arg;
    cio_task *t = start(sleep_for_ever, NULL);
    cio_handle handle = CIO_HANDLE_INIT;
    cio_call_later(cio_get_running_loop(), &handle, 0.001, cancel_from_callback, t);
    return cio_await(t);
}

TEST(cancel_from_a_timer)
{
    assert_int_equal(run_quiet(callback_main, NULL), CIO_ECANCELED);
}

static int cancel_parent(void *arg)
{
    assert_int_equal(cio_cancel(arg), 1);
    return 0;
}

static int canceled_main(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task(cancel_parent, cio_current_task()));
    return cio_sleep(CIO_FOREVER);
}

TEST(cancel_of_the_main_task)
{
    assert_int_equal(run_quiet(canceled_main, NULL), CIO_ECANCELED);
}

static int cancel_awaiter(void *arg)
{
    assert_int_equal(cio_cancel(arg), 1); /* which awaits me, so this is mine */
    return cio_sleep(CIO_FOREVER);
}

static int awaits_its_canceler_main(void *arg)
{
    (void)arg;
    return cio_await(cio_create_task(cancel_awaiter, cio_current_task()));
}

TEST(t19b_a_task_that_cancels_its_awaiter_cancels_itself)
{
    assert_int_equal(run_quiet(awaits_its_canceler_main, NULL), CIO_ECANCELED);
}
