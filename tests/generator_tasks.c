/* Generators whose bodies wait: Python's asynchronous generators. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "test.h"

static void *number(intptr_t n)
{
    return (void *)n;
}

static cio_generator *new (cio_generator_fn *fn, void *arg)
{
    cio_generator *g = cio_generator_new(fn, arg);
    assert_non_null(g);
    return g;
}

static cio_task *start(cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task(fn, arg);
    assert_non_null(task);
    return task;
}

static int wait_turns(int turns)
{
    int rc = 0;
    while (rc == 0 && turns-- > 0)
        rc = cio_yield();
    return rc;
}

/* Waits before each value, and says how its waits and yields end if not well. */
static int slow(cio_generator *g, void *arg)
{
    for (intptr_t n = 1; n <= (intptr_t)arg; n++) {
        int rc = cio_sleep(0.001);
        if (rc < 0) {
            note("sleep:%s", cio_err_name(rc));
            return rc;
        }
        rc = cio_generator_yield(g, number(n), NULL);
        if (rc < 0) {
            note("yield:%s", cio_err_name(rc));
            return rc;
        }
    }
    return 0;
}

/* The same after that many values at once: it waits for ever. */
static int stuck(cio_generator *g, void *arg)
{
    for (intptr_t n = 1; n <= (intptr_t)arg; n++) {
        int rc = cio_generator_yield(g, number(n), NULL);
        if (rc < 0)
            return rc;
    }
    int rc = cio_sleep(CIO_FOREVER);
    note("sleep:%s", cio_err_name(rc));
    return rc;
}

static int consume(void *g)
{
    void *value;
    int rc;
    while ((rc = cio_generator_next(g, &value)) > 0)
        note("%d", (int)(intptr_t)value);
    return rc;
}

static int next(void *g)
{
    return cio_generator_next(g, NULL);
}

static int close_it(void *g)
{
    return cio_generator_close(g);
}

/* ---- it waits as a part of its consumer ---- */

static int tick(void *arg)
{
    int *ticks = arg;
    int rc;
    while ((rc = cio_sleep(0.0005)) == 0)
        ++*ticks;
    return rc;
}

static int others_run_main(void *arg)
{
    int ticks = 0;
    cio_task *ticker = start(tick, &ticks);
    cio_generator *g = new (slow, number(5));
    assert_int_equal(consume(g), 0);
    assert_true(ticks > 0);
    cio_cancel(ticker);
    assert_int_equal(cio_await(ticker), CIO_ECANCELED);
    (void)arg;
    return cio_generator_free(g);
}

TEST(others_run_while_the_body_waits)
{
    assert_int_equal(run_quiet(others_run_main, NULL), 0);
    assert_string_equal(noted(), "1 2 3 4 5");
}

static int who_am_i(cio_generator *g, void *arg)
{
    int rc = 0;
    while (rc == 0) {
        cio_task *before = cio_current_task();
        rc = cio_yield();
        assert_ptr_equal(cio_current_task(), before);
        if (rc == 0)
            rc = cio_generator_yield(g, cio_current_task(), NULL);
    }
    (void)arg;
    return rc;
}

static int expect_myself(void *g)
{
    void *value = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_generator_next(g, &value), 1);
        assert_ptr_equal(value, cio_current_task());
    }
    return 0;
}

/* One after the other, with a wait of their own in between. */
static int consumers_main(void *arg)
{
    cio_generator *g = new (who_am_i, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_await(start(expect_myself, g)), 0);
        assert_int_equal(expect_myself(g), 0);
        assert_int_equal(cio_sleep(0.0001), 0);
    }
    (void)arg;
    return cio_generator_free(g);
}

TEST(the_current_task_is_the_one_that_consumes)
{
    assert_int_equal(run_quiet(consumers_main, NULL), 0);
}

static int read_lines(cio_generator *g, void *arg)
{
    int fd = *(int *)arg;
    char line[32];
    size_t used = 0;
    for (;;) {
        ssize_t n = cio_sock_recv(fd, line + used, 1);
        if (n <= 0)
            return (int)n;
        if (line[used++] != '\n')
            continue;
        line[used - 1] = '\0';
        used = 0;
        int rc = cio_generator_yield(g, line, NULL);
        if (rc < 0)
            return rc;
    }
}

static int write_lines(void *arg)
{
    int fd = *(int *)arg;
    static const char text[] = "one\ntwo\nthree\n";
    for (const char *p = text; *p; p++) {
        assert_int_equal(cio_sock_sendall(fd, p, 1), 0);
        assert_int_equal(cio_yield(), 0);
    }
    return cio_sock_close(fd);
}

static int lines_on(int fds[2])
{
    cio_generator *g = new (read_lines, &fds[0]);
    cio_task *writer = start(write_lines, &fds[1]);
    void *line;
    while (cio_generator_next(g, &line) > 0)
        note("%s", (char *)line);
    assert_int_equal(cio_generator_result(g, NULL), 0);
    assert_int_equal(cio_generator_free(g), 0);
    assert_int_equal(cio_await(writer), 0);
    return cio_sock_close(fds[0]);
}

TEST(lines_of_a_socket)
{
    net_run_on_all(lines_on);
    assert_non_null(strstr(noted(), "one two three one two three"));
}

TEST(outside_a_task_the_body_cannot_wait)
{
    cio_generator *g = new (slow, number(3));
    assert_int_equal(cio_generator_next(g, NULL), CIO_ENOTASK);
    assert_string_equal(noted(), "sleep:CIO_ENOTASK");
    assert_int_equal(cio_generator_free(g), 0);
}

/* ---- cancellation of the consumer ---- */

static int cancel_at_once_main(void *arg)
{
    for (int turns = 0; turns < 4; turns++) {
        notes_clear();
        cio_generator *g = new (stuck, NULL);
        cio_task *task = start(consume, g);
        wait_turns(turns);
        assert_int_equal(cio_cancel(task), 1);
        assert_int_equal(cio_await(task), CIO_ECANCELED);
        /* Canceled before its first step, the consumer never ran. */
        assert_string_equal(noted(), turns == 0 ? "" : "sleep:CIO_ECANCELED");
        assert_int_equal(cio_generator_state(g),
                         turns == 0 ? CIO_GENERATOR_CREATED : CIO_GENERATOR_CLOSED);
        assert_int_equal(cio_generator_free(g), 0);
    }
    (void)arg;
    return 0;
}

TEST(a_canceled_consumer_ends_the_wait_in_the_body)
{
    assert_int_equal(run_quiet(cancel_at_once_main, NULL), 0);
}

static int request_then_next(void *g)
{
    cio_cancel(cio_current_task());
    return next(g);
}

/* The request came before the call: the first wait in the body has it. */
static int cancel_before_main(void *arg)
{
    cio_generator *g = new (stuck, NULL);
    assert_int_equal(cio_await(start(request_then_next, g)), CIO_ECANCELED);
    assert_string_equal(noted(), "sleep:CIO_ECANCELED");
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_request_from_before_the_call_arrives_in_the_body)
{
    assert_int_equal(run_quiet(cancel_before_main, NULL), 0);
}

static cio_future *gate;

static int wait_for_gate(cio_generator *g, void *arg)
{
    int rc = cio_shield(cio_ref(gate));
    note("gate:%s", cio_err_name(rc));
    if (rc < 0 && !arg)
        return rc;
    rc = cio_generator_yield(g, number(1), NULL);
    note("yield:%s", cio_err_name(rc));
    return rc;
}

/* Woken, but canceled before the task went on. */
static int cancel_late_main(void *arg)
{
    gate = cio_future_new();
    cio_generator *g = new (wait_for_gate, NULL);
    cio_task *task = start(next, g);
    wait_turns(2);
    cio_set_result(gate, 0, NULL);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_string_equal(noted(), "gate:CIO_ECANCELED");
    cio_detach(gate);
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_late_cancellation_arrives_in_the_body)
{
    assert_int_equal(run_quiet(cancel_late_main, NULL), 0);
}

/* The body swallows it and yields: the consumer has its value, and the request stands. */
static int swallow_main(void *arg)
{
    gate = cio_future_new();
    cio_generator *g = new (wait_for_gate, number(1));
    cio_task *task = start(next, g);
    wait_turns(2);
    cio_cancel(task);
    assert_int_equal(cio_await(task), 1);
    assert_string_equal(noted(), "gate:CIO_ECANCELED");
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_SUSPENDED);
    cio_set_result(gate, 0, NULL);
    cio_detach(gate);
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_body_may_swallow_a_cancellation)
{
    assert_int_equal(run_quiet(swallow_main, NULL), 0);
}

static int slow_cleanup(cio_generator *g, void *arg)
{
    int rc = cio_generator_yield(g, number(1), NULL);
    note("yield:%s", cio_err_name(rc));
    int cleaned = cio_sleep(arg ? 0.001 : CIO_FOREVER);
    note("cleanup:%s", cio_err_name(cleaned));
    return cleaned < 0 ? cleaned : rc;
}

static int cleanup_main(void *arg)
{
    cio_generator *g = new (slow_cleanup, number(1));
    assert_int_equal(next(g), 1);
    (void)arg;
    return cio_generator_free(g);
}

TEST(the_cleanup_may_wait)
{
    assert_int_equal(run_quiet(cleanup_main, NULL), 0);
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN cleanup:OK");
}

/* The cancellation is not taken for the close's own code. */
static int cancel_cleanup_main(void *arg)
{
    cio_generator *g = new (slow_cleanup, NULL);
    assert_int_equal(next(g), 1);
    cio_task *task = start(close_it, g);
    wait_turns(2);
    assert_int_equal(cio_generator_close(g), CIO_EREENTERED);
    assert_int_equal(cio_generator_free(g), CIO_EREENTERED);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(cio_generator_state(g), CIO_GENERATOR_CLOSED);
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_close_that_is_canceled)
{
    assert_int_equal(run_quiet(cancel_cleanup_main, NULL), 0);
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN cleanup:CIO_ECANCELED");
}

static int stubborn_cleanup(cio_generator *g, void *arg)
{
    int rc = cio_generator_yield(g, number(1), NULL);
    for (int i = 0; i < 2; i++)
        note("%s", cio_err_name(cio_sleep(CIO_FOREVER)));
    (void)arg;
    return rc;
}

static int cancel_twice_main(void *arg)
{
    cio_generator *g = new (stubborn_cleanup, NULL);
    assert_int_equal(next(g), 1);
    cio_task *task = start(close_it, g);
    wait_turns(2);
    cio_cancel(task);
    wait_turns(2);
    cio_cancel(task);
    assert_int_equal(cio_await(task), 0); /* the body has swallowed both */
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_close_that_is_canceled_twice)
{
    assert_int_equal(run_quiet(cancel_twice_main, NULL), 0);
    assert_string_equal(noted(), "CIO_ECANCELED CIO_ECANCELED");
}

static int timeout_main(void *arg)
{
    gate = cio_future_new();
    cio_generator *g = new (wait_for_gate, NULL);
    assert_int_equal(cio_wait_for(next, g, 0.001), CIO_ETIMEDOUT);
    assert_string_equal(noted(), "gate:CIO_ECANCELED");
    cio_detach(gate);
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_timeout_around_next_ends_the_wait_in_the_body)
{
    assert_int_equal(run_quiet(timeout_main, NULL), 0);
}

/* Three deep, each by way of the one above. */
static int relay(cio_generator *g, void *arg)
{
    void *value;
    int rc;
    while ((rc = cio_generator_next(arg, &value)) > 0 &&
           (rc = cio_generator_yield(g, value, NULL)) == 0)
        continue;
    note("relay:%s", cio_err_name(rc));
    return rc;
}

static int nested_main(void *arg)
{
    cio_generator *inner = new (stuck, number(1));
    cio_generator *middle = new (relay, inner);
    cio_generator *outer = new (relay, middle);
    assert_int_equal(next(outer), 1);
    cio_task *task = start(consume, outer);
    wait_turns(2);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_string_equal(noted(), "sleep:CIO_ECANCELED relay:CIO_ECANCELED relay:CIO_ECANCELED");
    cio_generator_free(outer);
    cio_generator_free(middle);
    (void)arg;
    return cio_generator_free(inner);
}

TEST(a_cancellation_reaches_the_innermost_wait)
{
    assert_int_equal(run_quiet(nested_main, NULL), 0);
}

static int delegate(cio_generator *g, void *inner)
{
    return cio_generator_delegate(g, inner, NULL);
}

static int delegated_main(void *arg)
{
    cio_generator *inner = new (slow, number(3));
    cio_generator *outer = new (delegate, inner);
    assert_int_equal(consume(outer), 0);
    assert_string_equal(noted(), "1 2 3");
    cio_generator_free(outer);
    (void)arg;
    return cio_generator_free(inner);
}

TEST(delegation_to_one_that_waits)
{
    assert_int_equal(run_quiet(delegated_main, NULL), 0);
}

/* ---- two at once ---- */

static int throw_it(void *g)
{
    return cio_generator_throw(g, -EIO, NULL);
}

static int send_it(void *g)
{
    return cio_generator_send(g, number(1), NULL);
}

static int free_it(void *g)
{
    return cio_generator_free(g);
}

static int two_at_once_main(void *arg)
{
    static cio_coroutine *const calls[] = {next, send_it, throw_it, close_it, free_it};
    gate = cio_future_new();
    cio_generator *g = new (wait_for_gate, NULL);
    cio_task *first = start(consume, g);
    wait_turns(1);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        assert_int_equal(cio_await(start(calls[i], g)), CIO_EREENTERED);
        assert_int_equal(cio_generator_state(g), CIO_GENERATOR_RUNNING);
    }
    cio_set_result(gate, 0, NULL);
    cio_detach(gate);
    assert_int_equal(cio_await(first), 0);
    assert_string_equal(noted(), "gate:OK 1 yield:OK");
    (void)arg;
    return cio_generator_free(g);
}

TEST(two_tasks_at_once)
{
    assert_int_equal(run_quiet(two_at_once_main, NULL), 0);
}

static int gather_main(void *arg)
{
    cio_generator *g = new (slow, number(8));
    cio_task *tasks[8];
    cio_result_pair results[8];
    for (int i = 0; i < 8; i++)
        tasks[i] = start(next, g);
    assert_int_equal(cio_gather_into(tasks, 8, CIO_RETURN_ERRORS, results), 0);
    assert_int_equal(results[0].rc, 1);
    for (int i = 1; i < 8; i++)
        assert_int_equal(results[i].rc, CIO_EREENTERED);
    (void)arg;
    return cio_generator_free(g);
}

TEST(a_gather_of_nexts)
{
    assert_int_equal(run_quiet(gather_main, NULL), 0);
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN");
}

/* ---- tasks, groups and scopes in a body ---- */

static int yield_for(void *g)
{
    note("%s", cio_err_name(cio_generator_yield(g, number(1), NULL)));
    return cio_yield();
}

static int child(void *arg)
{
    int *count = arg;
    int rc = cio_sleep(0.0001);
    ++*count;
    return rc;
}

static int busy_body(cio_generator *g, void *arg)
{
    cio_task_options eager = {.eager = true};
    cio_task *task = cio_create_task_with(&eager, yield_for, g); /* on a stack of its own */
    assert_int_equal(cio_await(task), 0);
    for (int round = 0; round < 3; round++) {
        cio_group group;
        int count = 0;
        assert_int_equal(cio_group_enter(&group), 0);
        for (int i = 0; i < 5; i++)
            cio_group_start(&group, child, &count);
        assert_int_equal(cio_group_exit(&group, 0), 0);
        int rc = cio_generator_yield(g, number(count), NULL);
        if (rc < 0)
            return rc;
    }
    (void)arg;
    return 0;
}

static int busy_main(void *arg)
{
    cio_generator *g = new (busy_body, NULL);
    assert_int_equal(consume(g), 0);
    (void)arg;
    return cio_generator_free(g);
}

TEST(tasks_and_groups_in_a_body)
{
    assert_int_equal(run_quiet(busy_main, NULL), 0);
    assert_string_equal(noted(), "CIO_ESTATE 5 5 5");
}

/* Many consumers, each with its own, all of whose bodies wait among each other. */
static int own_generator(void *arg)
{
    cio_generator *g = new (slow, number(5));
    void *value;
    int sum = 0;
    while (cio_generator_next(g, &value) > 0)
        sum += (int)(intptr_t)value;
    assert_int_equal(sum, 15);
    (void)arg;
    return cio_generator_free(g);
}

static int many_main(void *arg)
{
    int items[200] = {0};
    (void)arg;
    return cio_map(own_generator, items, 200, sizeof items[0], 50);
}

TEST(many_at_once)
{
    assert_int_equal(run_quiet(many_main, NULL), 0);
}

/* ---- whose it is ---- */

static int use_outsider(void *g)
{
    assert_int_equal(next(g), 1);
    return next(g);
}

static int yield_when_in_a_task(cio_generator *g, void *arg)
{
    int rc = 0;
    for (intptr_t n = 0; rc == 0; n++) {
        if (cio_current_task())
            assert_int_equal(cio_sleep(0.0001), 0);
        rc = cio_generator_yield(g, number(n), NULL);
    }
    (void)arg;
    return rc;
}

TEST(one_that_was_made_outside_is_used_in_and_out_of_loops)
{
    void *value;
    cio_generator *g = new (yield_when_in_a_task, NULL);
    assert_int_equal(next(g), 1);
    assert_int_equal(run_quiet(use_outsider, g), 1);
    assert_int_equal(next(g), 1);
    assert_int_equal(run_quiet(use_outsider, g), 1);
    assert_int_equal(cio_generator_next(g, &value), 1);
    assert_int_equal((intptr_t)value, 6);
    assert_int_equal(cio_generator_free(g), 0);
}

static int make(void *arg)
{
    *(cio_generator **)arg = new (slow, number(9));
    return next(*(cio_generator **)arg);
}

static int use_anothers(void *g)
{
    void *value = &value;
    assert_int_equal(cio_generator_next(g, &value), CIO_EWRONGLOOP);
    assert_null(value);
    assert_int_equal(cio_generator_send(g, NULL, NULL), CIO_EWRONGLOOP);
    assert_int_equal(cio_generator_throw(g, -EIO, NULL), CIO_EWRONGLOOP);
    assert_int_equal(cio_generator_close(g), CIO_EWRONGLOOP);
    assert_int_equal(cio_generator_free(g), CIO_EWRONGLOOP);
    return 0;
}

static int run_on(cio_loop *loop, cio_coroutine *fn, void *arg)
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, fn, arg);
    assert_non_null(task);
    return cio_run_until_complete(loop, task);
}

TEST(one_loops_is_not_anothers)
{
    cio_generator *g;
    cio_loop *loop = cio_loop_new(NULL);
    assert_int_equal(run_on(loop, make, &g), 1);
    assert_int_equal(run_quiet(use_anothers, g), 0);
    assert_int_equal(run_on(loop, next, g), 1);
    assert_int_equal(cio_generator_free(g), 0); /* while no loop runs */
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN");
    assert_int_equal(cio_loop_free(loop), 0);
}

/* ---- the end of a run ---- */

static int leave_some_main(void *arg)
{
    cio_generator **left = arg;
    for (int i = 0; i < 3; i++) {
        left[i] = new (slow_cleanup, number(1));
        assert_int_equal(next(left[i]), 1);
    }
    left[3] = new (slow, number(1)); /* has not begun */
    return 0;
}

TEST(t51_the_end_of_a_run_closes_what_is_left)
{
    struct reports reports = {0};
    cio_generator *left[4];
    assert_int_equal(run_with_reports(&reports, leave_some_main, left), 0);
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN yield:CIO_ESHUTDOWN yield:CIO_ESHUTDOWN "
                                 "cleanup:OK cleanup:OK cleanup:OK"); /* at once, not in turn */
    assert_int_equal(reports.n, 4); /* and nobody has freed them */
    for (int i = 0; i < 4; i++)
        assert_string_equal(reports.seen[i].message, "generator was never freed");
}

static int failing_cleanup(cio_generator *g, void *arg)
{
    cio_generator_yield(g, NULL, NULL);
    (void)arg;
    return -EIO;
}

static int free_others(cio_generator *g, void *arg)
{
    int rc = cio_generator_yield(g, NULL, NULL);
    for (cio_generator **others = arg; *others; others++)
        assert_int_equal(cio_generator_free(*others), 0);
    return rc;
}

static int leave_entangled_main(void *arg)
{
    static cio_generator *others[4];
    cio_generator *g = new (failing_cleanup, NULL);
    assert_int_equal(next(g), 1);
    for (int i = 0; i < 3; i++) {
        others[i] = new (slow, number(5));
        assert_int_equal(next(others[i]), 1);
    }
    g = new (free_others, others); /* closed first, as the newest */
    assert_int_equal(next(g), 1);
    (void)arg;
    return 0;
}

TEST(t51_cleanups_that_fail_or_free_others)
{
    struct reports reports = {0};
    assert_int_equal(run_with_reports(&reports, leave_entangled_main, NULL), 0);
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN yield:CIO_ESHUTDOWN yield:CIO_ESHUTDOWN");
    assert_int_equal(reports.n, 3);
    assert_string_equal(reports.seen[0].message, "a generator failed while it was shut down");
    assert_int_equal(reports.seen[0].error, -EIO);
}

/* Will not go at the first request. */
static int stay_once(cio_generator *g, void *arg)
{
    while (cio_generator_yield(g, NULL, NULL) != CIO_ESHUTDOWN)
        continue;
    note("stays");
    (void)arg;
    return cio_generator_yield(g, NULL, NULL);
}

static int stubborn_main(void *arg)
{
    cio_generator *others[3], *stubborn;
    for (int i = 0; i < 3; i++) {
        others[i] = new (slow, number(5));
        assert_int_equal(next(others[i]), 1);
    }
    stubborn = new (stay_once, NULL); /* the newest comes first */
    assert_int_equal(next(stubborn), 1);
    cio_shutdown_generators();
    assert_int_equal(cio_generator_state(stubborn), CIO_GENERATOR_SUSPENDED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_generator_state(others[i]), CIO_GENERATOR_CLOSED);
        assert_int_equal(cio_generator_free(others[i]), 0);
    }
    (void)arg;
    return cio_generator_free(stubborn);
}

TEST(t51_each_is_asked_once)
{
    struct reports reports = {0};
    assert_int_equal(run_with_reports(&reports, stubborn_main, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.seen[0].error, CIO_ESTATE);
    assert_string_equal(noted(),
                        "stays yield:CIO_ESHUTDOWN yield:CIO_ESHUTDOWN yield:CIO_ESHUTDOWN");
}

static int shutdown_main(void *arg)
{
    cio_generator *left[4];
    leave_some_main(left);
    assert_int_equal(cio_shutdown_generators(), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_generator_state(left[i]), CIO_GENERATOR_CLOSED);
    assert_int_equal(cio_generator_state(left[3]), CIO_GENERATOR_CREATED);
    assert_int_equal(cio_shutdown_generators(), 0); /* nothing to do */
    for (int i = 0; i < 4; i++)
        assert_int_equal(cio_generator_free(left[i]), 0);
    (void)arg;
    return 0;
}

TEST(t51_shutdown_in_a_task)
{
    assert_int_equal(run_quiet(shutdown_main, NULL), 0);
}

static int shut(void *arg)
{
    (void)arg;
    return cio_shutdown_generators();
}

static int shutdown_canceled_main(void *arg)
{
    cio_generator *g = new (slow_cleanup, NULL);
    assert_int_equal(next(g), 1);
    cio_task *task = start(shut, NULL);
    wait_turns(3);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_string_equal(noted(), "yield:CIO_ESHUTDOWN cleanup:CIO_ECANCELED");
    (void)arg;
    return cio_generator_free(g);
}

TEST(t51_shutdown_canceled)
{
    assert_int_equal(run_quiet(shutdown_canceled_main, NULL), 0);
}

/* A loop of one's own closes nothing by itself: it tells. */
TEST(what_is_left_when_a_loop_is_closed_is_reported_by_name)
{
    struct reports reports = {0};
    cio_generator *g;
    cio_loop *loop = cio_loop_new(NULL);
    cio_set_exception_handler(loop, reports_add, &reports);
    assert_int_equal(run_on(loop, make, &g), 1);
    assert_int_equal(cio_loop_free(loop), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].message, "generator was destroyed but it is suspended");
    assert_string_equal(noted(), "");
}

static int named_main(void *arg)
{
    char name[] = "lines";
    cio_generator_options options = {.name = name, .stack_size = 128 * 1024};
    cio_generator *g = cio_generator_new_with(&options, slow, number(1));
    memset(name, 'x', sizeof name - 1); /* it was copied */
    (void)arg;
    return g ? 0 : -1;
}

TEST(it_is_reported_by_its_name)
{
    struct reports reports = {0};
    assert_int_equal(run_with_reports(&reports, named_main, NULL), 0);
    assert_int_equal(reports_of(&reports, "lines"), 1);
}
