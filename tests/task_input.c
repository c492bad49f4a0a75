/* Bad input to tasks, futures and waits: an error, never a crash, and nothing has happened. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static int return_number(void *arg)
{
    return *(int *)arg;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

static void on_done(cio_future *future, void *arg)
{
    (void)future;
    (*(int *)arg)++;
}

/* ---- NULLs ---- */

static void null_futures(void)
{
    void *value;
    assert_int_equal(cio_set_result(NULL, 0, NULL), -EINVAL);
    assert_int_equal(cio_set_error(NULL, -EIO), -EINVAL);
    assert_false(cio_cancelled(NULL));
    assert_int_equal(cio_result(NULL), -EINVAL);
    assert_null(cio_result_value(NULL));
    assert_int_equal(cio_cancel(NULL), -EINVAL);
    assert_null(cio_ref(NULL));
    assert_int_equal(cio_detach(NULL), 0);
    assert_null(cio_get_loop(NULL));
    assert_int_equal(cio_await(NULL), -EINVAL);
    assert_int_equal(cio_await_value(NULL, &value), -EINVAL);
    assert_int_equal(cio_shield(NULL), -EINVAL);
    assert_int_equal(cio_await_for(NULL, 1), -EINVAL);
}

static void null_callbacks(void)
{
    int calls = 0;
    cio_future *f = cio_future_new();
    cio_done_callback place = {0};
    assert_int_equal(cio_add_done_callback(NULL, &place, on_done, &calls), -EINVAL);
    assert_int_equal(cio_add_done_callback(f, NULL, on_done, &calls), -EINVAL);
    assert_int_equal(cio_add_done_callback(f, &place, NULL, &calls), -EINVAL);
    assert_int_equal(cio_remove_done_callback(NULL), 0);
    assert_int_equal(cio_remove_done_callback(&place), 0);
    cio_set_result(f, 0, NULL);
    cio_yield();
    assert_int_equal(calls, 0);
    cio_detach(f);
}

static void null_tasks(void)
{
    assert_null(cio_create_task(NULL, NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
    assert_null(cio_create_task_with(NULL, NULL, NULL));
    assert_int_equal(cio_last_error(), -EINVAL);
    assert_int_equal(cio_cancelling(NULL), 0);
    assert_int_equal(cio_uncancel(NULL), 0);
    assert_string_equal(cio_get_name(NULL), "?");
    assert_int_equal(cio_set_name(NULL, "x"), -EINVAL);
    assert_int_equal(cio_set_name(cio_current_task(), NULL), -EINVAL);
}

static void null_waits(void)
{
    cio_future *f = NULL;
    cio_as_completed it;
    assert_int_equal(cio_gather(NULL, 2, 0), -EINVAL);
    assert_int_equal(cio_gather(&f, 1, 0), -EINVAL);
    assert_int_equal(cio_gather(NULL, 0, 0), 0);
    assert_int_equal(cio_wait(NULL, 2, CIO_ALL_COMPLETED, 1), -EINVAL);
    assert_int_equal(cio_wait(&f, 1, CIO_ALL_COMPLETED, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(NULL, &f, 1, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, NULL, 1, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, &f, 1, 1), -EINVAL);
    assert_int_equal(cio_wait_for(NULL, NULL, 1), -EINVAL);
    assert_int_equal(cio_map(NULL, NULL, 1, 1, 1), -EINVAL);
    assert_int_equal(cio_group_enter(NULL), -EINVAL);
    assert_int_equal(cio_timeout_enter(NULL, 1), -EINVAL);
    assert_int_equal(cio_timeout_enter_at(NULL, 1), -EINVAL);
}

static int null_main(void *arg)
{
    (void)arg;
    null_futures();
    null_callbacks();
    null_tasks();
    null_waits();
    return cio_yield();
}

TEST(null_is_an_error)
{
    assert_int_equal(run_quiet(null_main, NULL), 0);
}

/* ---- numbers ---- */

static int numbers_main(void *arg)
{
    (void)arg;
    cio_timeout t;
    cio_as_completed it;
    cio_future *f = cio_future_new();
    int number = 1;
    assert_int_equal(cio_sleep(NAN), -EINVAL); /* T8 */
    assert_int_equal(cio_wait_for(return_number, &number, NAN), -EINVAL);
    assert_int_equal(cio_timeout_enter(&t, NAN), -EINVAL);
    assert_int_equal(cio_timeout_enter_at(&t, NAN), -EINVAL);
    assert_int_equal(cio_wait(&f, 1, CIO_ALL_COMPLETED, NAN), -EINVAL);
    assert_int_equal(cio_wait(&f, 0, CIO_ALL_COMPLETED, 1), -EINVAL);
    assert_int_equal(cio_as_completed_init(&it, &f, 1, NAN), -EINVAL);
    assert_int_equal(cio_set_result(f, -1, NULL), -EINVAL);
    assert_int_equal(cio_set_error(f, 0), -EINVAL);
    assert_int_equal(cio_set_error(f, 1), -EINVAL);
    assert_false(cio_done(f));
    assert_int_equal(cio_await_for(cio_ref(f), NAN), -EINVAL);
    cio_detach(f); /* the reference of the call that did not happen */
    assert_false(cio_done(f));
    assert_int_equal(cio_set_result(f, 3, NULL), 0);
    return cio_await(f);
}

TEST(t8_nan_and_wrong_signs_are_errors)
{
    assert_int_equal(run_quiet(numbers_main, NULL), 3);
}

/* ---- the current task ---- */

static int self_main(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    cio_future *both[2] = {cio_future_new(), me};
    cio_as_completed it;
    void *value;
    assert_int_equal(cio_await(me), CIO_ESELF);
    assert_int_equal(cio_await_value(me, &value), CIO_ESELF);
    assert_int_equal(cio_shield(me), CIO_ESELF);
    assert_int_equal(cio_await_for(me, 1), CIO_ESELF);
    assert_int_equal(cio_gather(both, 2, 0), CIO_ESELF);
    assert_int_equal(cio_wait(both, 2, CIO_ALL_COMPLETED, 1), CIO_ESELF);
    int rc = cio_as_completed_init(&it, both, 2, 1);
    assert_int_equal(rc, CIO_ESELF);
    assert_false(cio_done(both[0]));
    cio_detach(both[0]); /* no reference was dropped by the failed calls */
    return cio_yield();
}

TEST(t20_a_task_cannot_await_itself)
{
    assert_int_equal(run_quiet(self_main, NULL), 0);
}

/* ---- another loop's futures ---- */

static int wrong_loop_main(void *arg)
{
    cio_future *theirs = arg, *both[2] = {cio_future_new(), theirs};
    cio_as_completed it;
    assert_int_equal(cio_await(theirs), CIO_EWRONGLOOP);
    assert_int_equal(cio_shield(theirs), CIO_EWRONGLOOP);
    assert_int_equal(cio_await_for(theirs, 1), CIO_EWRONGLOOP);
    assert_int_equal(cio_gather(both, 2, 0), CIO_EWRONGLOOP);
    assert_int_equal(cio_wait(both, 2, CIO_FIRST_COMPLETED, 1), CIO_EWRONGLOOP);
    assert_int_equal(cio_as_completed_init(&it, both, 2, 1), CIO_EWRONGLOOP);
    assert_ptr_not_equal(cio_get_loop(theirs), cio_get_running_loop());
    cio_detach(both[0]);
    return cio_yield();
}

TEST(t20_a_future_of_another_loop_cannot_be_awaited)
{
    cio_loop *other = cio_loop_new(NULL);
    cio_future *f = cio_create_future(other);
    assert_int_equal(run_quiet(wrong_loop_main, f), 0);
    cio_set_result(f, 5, NULL); /* done or not */
    assert_int_equal(run_quiet(wrong_loop_main, f), 0);
    assert_int_equal(cio_run_until_complete(other, f), 5);
    assert_int_equal(cio_loop_free(other), 0);
}

/* ---- outside a loop, outside a task ---- */

static void outside_a_task(void *arg)
{
    int number = 1;
    cio_future *f = arg;
    cio_timeout t;
    cio_group g;
    cio_as_completed it;
    void *value;
    assert_int_equal(cio_sleep(0.001), CIO_ENOTASK);
    assert_int_equal(cio_sleep(0), CIO_ENOTASK);
    assert_int_equal(cio_yield(), CIO_ENOTASK);
    assert_int_equal(cio_wait_for(return_number, &number, 1), CIO_ENOTASK);
    assert_int_equal(cio_map(return_number, &number, 1, sizeof number, 1), CIO_ENOTASK);
    assert_int_equal(cio_timeout_enter(&t, 1), CIO_ENOTASK);
    assert_int_equal(cio_group_enter(&g), CIO_ENOTASK);
    assert_int_equal(cio_await(f), CIO_ENOTASK);
    assert_int_equal(cio_await_value(f, &value), CIO_ENOTASK);
    assert_int_equal(cio_shield(f), CIO_ENOTASK);
    assert_int_equal(cio_await_for(f, 1), CIO_ENOTASK);
    assert_int_equal(cio_gather(&f, 1, 0), CIO_ENOTASK);
    assert_int_equal(cio_wait(&f, 1, CIO_ALL_COMPLETED, 1), CIO_ENOTASK);
    assert_int_equal(cio_as_completed_init(&it, &f, 1, 1), CIO_ENOTASK);
    assert_false(cio_done(f));
    assert_null(cio_current_task());
}

TEST(outside_a_loop_nothing_waits)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_future *f = cio_create_future(loop);
    outside_a_task(f);
    cio_detach(f);
    assert_null(cio_create_task(return_number, NULL));
    assert_int_equal(cio_last_error(), CIO_ENOLOOP);
    assert_int_equal(cio_all_tasks(NULL, NULL), CIO_ENOLOOP);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int callback_main(void *arg)
{
    (void)arg;
    cio_handle handle = CIO_HANDLE_INIT;
    cio_future *f = cio_future_new();
    cio_call_soon(cio_get_running_loop(), &handle, outside_a_task, f);
    assert_int_equal(cio_yield(), 0);
    return cio_detach(f);
}

TEST(in_a_callback_nothing_waits)
{
    assert_int_equal(run_quiet(callback_main, NULL), 0);
}

static void wait_in_done(cio_future *future, void *arg)
{
    (void)arg;
    assert_int_equal(cio_await(cio_ref(future)), CIO_ENOTASK);
    cio_detach(future);
    assert_int_equal(cio_yield(), CIO_ENOTASK);
}

static int done_callback_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    cio_done_callback place = {0};
    cio_add_done_callback(f, &place, wait_in_done, NULL);
    cio_set_result(f, 0, NULL);
    assert_int_equal(cio_yield(), 0);
    return cio_detach(f);
}

TEST(in_a_done_callback_nothing_waits)
{
    assert_int_equal(run_quiet(done_callback_main, NULL), 0);
}

/* ---- closed loops, wrong kinds ---- */

TEST(a_closed_loop_takes_no_task)
{
    cio_loop *loop = cio_loop_new(NULL);
    assert_int_equal(cio_loop_close(loop), 0);
    cio_task_options options = {.loop = loop};
    assert_null(cio_create_task_with(&options, sleep_for_ever, NULL));
    assert_int_equal(cio_last_error(), CIO_ECLOSED);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int plain_future_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    assert_int_equal(cio_set_name(f, "x"), -EINVAL);
    assert_int_equal(cio_cancelling(f), 0);
    assert_int_equal(cio_uncancel(f), 0);
    assert_non_null(cio_get_name(f));
    cio_cancel(f);
    assert_int_equal(cio_cancelling(f), 0);
    return cio_detach(f);
}

TEST(a_plain_future_is_no_task)
{
    assert_int_equal(run_quiet(plain_future_main, NULL), 0);
}

TEST(every_code_has_a_name_and_a_sentence)
{
#define CHECK(name, value, text)                                                                   \
    assert_int_equal(name, value);                                                                 \
    assert_string_equal(cio_err_name(value), #name);                                               \
    assert_string_equal(cio_strerror(value), text);
    CIO_ERRORS(CHECK)
#undef CHECK
}
