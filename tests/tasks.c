/* Tasks: how they start, who they are, how they end and who hears of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static int note_name(void *arg)
{
    note("%s", (const char *)arg);
    return 0;
}

static int return_number(void *arg)
{
    return *(int *)arg;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

/* ---- the first step ---- */

static int t1_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(note_name, "c");
    assert_non_null(t);
    note("after-create");
    assert_false(cio_done(t));
    return cio_await(t);
}

TEST(t1_create_does_not_run_the_function)
{
    assert_int_equal(run_quiet(t1_main, NULL), 0);
    assert_string_equal(noted(), "after-create c");
}

static int first_steps_main(void *arg)
{
    (void)arg;
    static char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++)
        cio_detach(cio_create_task(note_name, names[i]));
    note("main");
    return cio_yield();
}

TEST(t1_first_steps_run_in_the_order_of_creation)
{
    assert_int_equal(run_quiet(first_steps_main, NULL), 0);
    assert_string_equal(noted(), "main a b c d");
}

static int create_one(void *arg)
{
    note("parent");
    cio_detach(cio_create_task(note_name, arg));
    return 0;
}

static int next_turn_main(void *arg)
{
    (void)arg;
    cio_detach(cio_create_task(create_one, "child"));
    cio_detach(cio_create_task(note_name, "sibling"));
    cio_yield();
    note("main");
    return cio_yield();
}

/* T3: what a task queues runs after all that was queued before, main's own wake included. */
TEST(t3_a_task_started_by_a_task_runs_in_the_next_turn)
{
    assert_int_equal(run_quiet(next_turn_main, NULL), 0);
    assert_string_equal(noted(), "parent sibling main child");
}

struct spinner {
    bool stop;
    long turns;
};

static int spin(void *arg)
{
    struct spinner *s = arg;
    while (!s->stop) {
        s->turns++;
        int rc = cio_yield();
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int spinner_main(void *arg)
{
    struct spinner s = {0};
    (void)arg;
    cio_task *t = cio_create_task(spin, &s);
    assert_int_equal(cio_sleep(0.02), 0);
    s.stop = true;
    assert_true(s.turns > 1);
    return cio_await(t);
}

TEST(t3_a_task_that_only_yields_does_not_starve_timers)
{
    assert_int_equal(run_quiet(spinner_main, NULL), 0);
}

/* ---- who they are ---- */

static int names_main(void *arg)
{
    (void)arg;
    char buffer[] = "gatherer";
    cio_task_options options = {.name = buffer};
    cio_task *named = cio_create_task_with(&options, sleep_for_ever, NULL);
    buffer[0] = 'X'; /* the name is a copy */
    assert_string_equal(cio_get_name(named), "gatherer");
    assert_int_equal(cio_set_name(named, "hunter"), 0);
    assert_string_equal(cio_get_name(named), "hunter");

    cio_task *a = cio_create_task(sleep_for_ever, NULL);
    cio_task *b = cio_create_task(sleep_for_ever, NULL);
    int number_a, number_b;
    assert_int_equal(sscanf(cio_get_name(a), "Task-%d", &number_a), 1);
    assert_int_equal(sscanf(cio_get_name(b), "Task-%d", &number_b), 1);
    assert_true(number_b > number_a);
    assert_string_equal(cio_get_name(NULL), "?");

    cio_detach(named);
    cio_detach(a);
    cio_detach(b);
    return 0;
}

TEST(names_are_copied_and_counted)
{
    assert_int_equal(run_quiet(names_main, NULL), 0);
}

static int long_name_main(void *arg)
{
    (void)arg;
    char name[1000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cio_task *me = cio_current_task();
    assert_int_equal(cio_set_name(me, name), 0);
    assert_string_equal(cio_get_name(me), name);
    assert_int_equal(cio_set_name(me, cio_get_name(me)), 0); /* renamed to its own name */
    assert_string_equal(cio_get_name(me), name);
    assert_int_equal(cio_set_name(me, ""), 0);
    assert_string_equal(cio_get_name(me), "");
    return 0;
}

TEST(names_may_be_long_empty_or_their_own)
{
    assert_int_equal(run_quiet(long_name_main, NULL), 0);
}

struct identity {
    cio_task *seen[4];
};

static int see_self(void *arg)
{
    struct identity *id = arg;
    id->seen[0] = cio_current_task();
    cio_yield();
    id->seen[1] = cio_current_task();
    cio_sleep(0.001);
    id->seen[2] = cio_current_task();
    return 0;
}

static void see_callback(void *arg)
{
    struct identity *id = arg;
    id->seen[3] = cio_current_task();
    note("%s", cio_get_running_loop() ? "loop" : "no-loop");
}

static int current_main(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task();
    assert_non_null(me);
    struct identity a = {0}, b = {0};
    cio_task *ta = cio_create_task(see_self, &a);
    cio_task *tb = cio_create_task(see_self, &b);
    assert_ptr_equal(cio_get_loop(ta), cio_get_running_loop());
    a.seen[3] = ta;
    cio_handle handle = CIO_HANDLE_INIT;
    cio_call_soon(cio_get_running_loop(), &handle, see_callback, &a);
    cio_ref(ta);
    cio_ref(tb);
    cio_await(ta);
    cio_await(tb);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(a.seen[i], ta);
        assert_ptr_equal(b.seen[i], tb);
    }
    assert_null(a.seen[3]); /* callbacks run outside every task */
    assert_ptr_equal(cio_current_task(), me);
    cio_detach(ta);
    return cio_detach(tb);
}

TEST(current_task_is_the_one_that_runs)
{
    assert_null(cio_current_task());
    assert_null(cio_get_running_loop());
    assert_int_equal(run_quiet(current_main, NULL), 0);
    assert_string_equal(noted(), "loop");
    assert_null(cio_current_task());
    assert_null(cio_get_running_loop());
}

static bool note_task(cio_task *task, void *arg)
{
    int *left = arg;
    note("%s", cio_get_name(task));
    return --*left > 0;
}

static bool cancel_all_but_me(cio_task *task, void *arg)
{
    (void)arg;
    if (task != cio_current_task())
        cio_cancel(task);
    return true;
}

static int all_tasks_main(void *arg)
{
    (void)arg;
    cio_set_name(cio_current_task(), "main");
    cio_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        cio_task_options options = {.name = (const char *[]){"a", "b", "c"}[i]};
        tasks[i] = cio_create_task_with(&options, sleep_for_ever, NULL);
    }
    cio_future *plain = cio_future_new(); /* no task, so not listed */
    int left = 100;
    assert_int_equal(cio_all_tasks(note_task, &left), 4);
    left = 2;
    assert_int_equal(cio_all_tasks(note_task, &left), 2);
    assert_int_equal(cio_all_tasks(NULL, NULL), 4);

    cio_cancel(tasks[1]);
    cio_yield();
    cio_yield();
    assert_true(cio_done(tasks[1]));
    left = 100;
    assert_int_equal(cio_all_tasks(note_task, &left), 3); /* b is done */
    assert_int_equal(cio_all_tasks(cancel_all_but_me, NULL), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_await(tasks[i]), CIO_ECANCELED);
    assert_int_equal(cio_all_tasks(NULL, NULL), 1);
    return cio_detach(plain);
}

TEST(all_tasks_lists_the_unfinished_oldest_first)
{
    assert_int_equal(cio_all_tasks(NULL, NULL), CIO_ENOLOOP);
    assert_int_equal(run_quiet(all_tasks_main, NULL), 0);
    assert_string_equal(noted(), "main a b c main a main a c");
}

/* ---- options ---- */

static int options_main(void *arg)
{
    (void)arg;
    int number = 7;
    cio_task_options empty = {0};
    assert_int_equal(cio_await(cio_create_task_with(NULL, return_number, &number)), 7);
    assert_int_equal(cio_await(cio_create_task_with(&empty, return_number, &number)), 7);
    cio_task_options mine = {.loop = cio_get_running_loop(), .stack_size = 100000};
    assert_int_equal(cio_await(cio_create_task_with(&mine, return_number, &number)), 7);
    return 0;
}

TEST(options_may_be_absent_or_empty)
{
    assert_int_equal(run_quiet(options_main, NULL), 0);
}

TEST(options_loop_need_not_run_yet)
{
    cio_loop *loop = cio_loop_new(NULL);
    int number = 11;
    cio_task_options options = {.loop = loop, .name = "early"};
    cio_task *t = cio_create_task_with(&options, return_number, &number);
    assert_non_null(t);
    assert_ptr_equal(cio_get_loop(t), loop);
    assert_int_equal(cio_result(t), CIO_ESTATE);
    assert_int_equal(cio_run_until_complete(loop, t), 11);
    assert_int_equal(cio_loop_free(loop), 0);
}

static int thousand_main(void *arg)
{
    int n = test_scale(1000), sum = 0;
    (void)arg;
    static int numbers[1000];
    static cio_task *tasks[1000];
    for (int i = 0; i < n; i++) {
        numbers[i] = i;
        tasks[i] = cio_create_task(return_number, &numbers[i]);
        assert_non_null(tasks[i]);
    }
    for (int i = n - 1; i >= 0; i--)
        sum += cio_await(tasks[i]);
    assert_int_equal(sum, n * (n - 1) / 2);
    return 0;
}

TEST(each_of_many_tasks_gets_its_argument)
{
    assert_int_equal(run_quiet(thousand_main, NULL), 0);
}

/* ---- eager start, T25 ---- */

static cio_task *create_eager(cio_coroutine *fn, void *arg)
{
    cio_task_options options = {.eager = true, .name = "eager"};
    return cio_create_task_with(&options, fn, arg);
}

static int eager_steps(void *arg)
{
    cio_task **seen = arg;
    *seen = cio_current_task();
    note("begin");
    int rc = cio_yield();
    assert_ptr_equal(cio_current_task(), *seen);
    note("end");
    return rc < 0 ? rc : 5;
}

static int eager_main(void *arg)
{
    (void)arg;
    cio_task *me = cio_current_task(), *seen = NULL;
    cio_task *t = create_eager(eager_steps, &seen);
    note("created");
    assert_ptr_equal(seen, t);
    assert_ptr_equal(cio_current_task(), me);
    assert_int_equal(cio_all_tasks(NULL, NULL), 2); /* it waits, so it is registered */
    assert_int_equal(cio_await(t), 5);
    return 0;
}

TEST(t25_eager_runs_inside_the_call_until_its_first_wait)
{
    assert_int_equal(run_quiet(eager_main, NULL), 0);
    assert_string_equal(noted(), "begin created end");
}

static int eager_done_main(void *arg)
{
    (void)arg;
    int number = 9;
    cio_task *t = create_eager(return_number, &number);
    assert_true(cio_done(t)); /* no trip through the loop */
    assert_int_equal(cio_all_tasks(NULL, NULL), 1);
    assert_int_equal(cio_result(t), 9);
    assert_int_equal(cio_await(t), 9);
    number = -EIO;
    assert_int_equal(cio_await(create_eager(return_number, &number)), -EIO);
    return 0;
}

TEST(t25_eager_that_never_waits_is_done_on_return)
{
    assert_int_equal(run_quiet(eager_done_main, NULL), 0);
}

static int eager_outer(void *arg)
{
    note("outer");
    cio_task *seen, *t = create_eager(eager_steps, &seen);
    note("back");
    assert_ptr_not_equal(seen, cio_current_task());
    (void)arg;
    return cio_await(t);
}

static int eager_nested_main(void *arg)
{
    (void)arg;
    cio_task *t = create_eager(eager_outer, NULL);
    note("main");
    return cio_await(t);
}

TEST(t25_eager_inside_eager)
{
    assert_int_equal(run_quiet(eager_nested_main, NULL), 5);
    assert_string_equal(noted(), "outer begin back main end");
}

struct eager_callback {
    cio_task *task;
    cio_task *seen;
};

static void start_eager(void *arg)
{
    struct eager_callback *c = arg;
    assert_null(cio_current_task());
    c->task = create_eager(eager_steps, &c->seen);
    assert_null(cio_current_task()); /* restored to none */
    note("callback");
}

static int eager_callback_main(void *arg)
{
    (void)arg;
    struct eager_callback c = {0};
    cio_handle handle = CIO_HANDLE_INIT;
    cio_call_soon(cio_get_running_loop(), &handle, start_eager, &c);
    cio_yield();
    assert_ptr_equal(c.seen, c.task);
    return cio_await(c.task);
}

TEST(t25_eager_from_a_callback)
{
    assert_int_equal(run_quiet(eager_callback_main, NULL), 5);
    assert_string_equal(noted(), "begin callback end");
}

static int eager_fails_main(void *arg)
{
    (void)arg;
    int number = -EIO;
    return cio_detach(create_eager(return_number, &number));
}

TEST(t25_eager_that_fails_and_is_detached_is_reported)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, eager_fails_main, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.seen[0].error, -EIO);
    assert_string_equal(reports.seen[0].name, "eager");
}
