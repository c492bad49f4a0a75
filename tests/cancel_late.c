/*
 * Cancellation that comes late: what the task waited for has happened and the task is ready, but
 * has not run yet. In asyncio the cancellation wins (_must_cancel), T14.
 */
#include <errno.h>
#include <unistd.h>

#include "journal.h"
#include "test.h"

/* Starts fn(arg) and lets it run until it waits. */
static cio_task *start(cio_coroutine *fn, void *arg)
{
    cio_task *t = cio_create_task(fn, arg);
    assert_non_null(t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_yield(), 0);
    return t;
}

static int await_future(void *arg)
{
    return cio_await(arg);
}

static int late_await_main(void *arg)
{
    int rc = *(int *)arg;
    cio_future *f = cio_ref(cio_future_new());
    cio_task *t = cio_ref(start(await_future, f));
    if (rc < 0)
        cio_set_error(f, rc);
    else
        cio_set_result(f, rc, NULL);
    assert_int_equal(cio_cancel(t), 1);
    cio_detach(f);
    assert_int_equal(cio_await(t), CIO_ECANCELED);
    assert_true(cio_cancelled(t));
    return cio_detach(t);
}

TEST(t14_late_cancel_beats_a_result)
{
    assert_int_equal(run_quiet(late_await_main, &(int){7}), 0);
}

/* The error is known by then, as asyncio's __wakeup() has asked for it: nothing is reported. */
TEST(t14_late_cancel_beats_an_error)
{
    assert_int_equal(run_quiet(late_await_main, &(int){-EIO}), 0);
}

static int end_soon(void *arg)
{
    cio_yield();
    return *(int *)arg;
}

struct pair {
    cio_task *inner;
    cio_task *outer;
};

static int cancel_when_inner_is_done(void *arg)
{
    struct pair *p = arg;
    while (!cio_done(p->inner))
        cio_yield();
    assert_false(cio_done(p->outer));
    return cio_cancel(p->outer);
}

static int late_task_main(void *arg)
{
    struct pair p;
    p.inner = cio_ref(cio_create_task(end_soon, arg));
    p.outer = cio_create_task(await_future, p.inner);
    cio_task *canceler = cio_create_task(cancel_when_inner_is_done, &p);
    cio_ref(p.inner);
    int rc = cio_await(p.outer);
    assert_int_equal(cio_await(canceler), 1);
    assert_true(cio_done(p.inner));
    assert_false(cio_cancelled(p.inner));
    assert_int_equal(cio_cancelling(p.inner), 0);
    cio_detach(p.inner);
    cio_detach(p.inner);
    return rc;
}

/* inner, outer and canceler run in this order: inner ends, outer is queued, then it is canceled. */
TEST(t14_late_cancel_of_one_who_awaited_a_task)
{
    assert_int_equal(run_quiet(late_task_main, &(int){4}), CIO_ECANCELED);
}

/* ---- time ---- */

struct sleeper {
    cio_task *to_cancel;
    const char *name;
};

static int sleep_and_cancel(void *arg)
{
    struct sleeper *s = arg;
    int rc = cio_sleep(0.002);
    note("%s=%s", s->name, cio_err_name(rc));
    if (s->to_cancel)
        assert_int_equal(cio_cancel(s->to_cancel), 1);
    return cio_sleep(0.001);
}

static int late_sleep_main(void *arg)
{
    (void)arg;
    struct sleeper first = {NULL, "first"}, second = {NULL, "second"};
    cio_task *a = cio_create_task(sleep_and_cancel, &first);
    cio_task *b = cio_create_task(sleep_and_cancel, &second);
    first.to_cancel = b;
    cio_yield();
    double end = cio_time(NULL) + 0.01;
    while (cio_time(NULL) < end)
        continue; /* both are due now, and will be made ready in one turn */
    assert_int_equal(cio_await(a), 0);
    return cio_await(b);
}

TEST(t14_late_cancel_of_a_sleeper_whose_time_has_come)
{
    assert_int_equal(run_quiet(late_sleep_main, NULL), 0);
    assert_string_equal(noted(), "first=OK second=CIO_ECANCELED");
}

struct forgiven {
    cio_task *task;
};

static int cancel_and_forgive(void *arg)
{
    struct forgiven *f = arg;
    int rc = cio_sleep(0.002);
    assert_int_equal(cio_cancel(f->task), 1);
    assert_int_equal(cio_uncancel(f->task), 0);
    return rc;
}

static int short_sleep(void *arg)
{
    (void)arg;
    return cio_sleep(0.002);
}

static int forgiven_main(void *arg)
{
    (void)arg;
    struct forgiven f;
    cio_task *canceler = cio_create_task(cancel_and_forgive, &f);
    f.task = cio_create_task(short_sleep, NULL);
    cio_yield();
    double end = cio_time(NULL) + 0.01;
    while (cio_time(NULL) < end)
        continue; /* the sleeper is ready already when it is canceled */
    assert_int_equal(cio_await(canceler), 0);
    return cio_await(f.task);
}

TEST(t16_late_cancel_taken_back_is_forgotten)
{
    assert_int_equal(run_quiet(forgiven_main, NULL), 0);
}

static int forgiven_await_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_ref(cio_future_new());
    cio_task *t = start(await_future, f);
    cio_set_result(f, 7, NULL);
    cio_detach(f);
    cio_cancel(t);
    cio_uncancel(t);
    return cio_await(t);
}

TEST(t16_late_cancel_of_an_await_taken_back)
{
    assert_int_equal(run_quiet(forgiven_await_main, NULL), 7);
}

/* ---- several futures ---- */

struct late {
    cio_future *futures[2];
    int rc;
};

static int late_gather(void *arg)
{
    struct late *l = arg;
    return cio_gather(l->futures, 2, 0);
}

static int late_wait(void *arg)
{
    struct late *l = arg;
    return cio_wait(l->futures, 2, CIO_ALL_COMPLETED, 10000);
}

static int late_await_for(void *arg)
{
    struct late *l = arg;
    return cio_await_for(l->futures[1], 10000);
}

static int late_shield(void *arg)
{
    struct late *l = arg;
    return cio_shield(l->futures[1]);
}

static int late_as_completed(void *arg)
{
    struct late *l = arg;
    cio_as_completed it;
    cio_future *f;
    assert_int_equal(cio_as_completed_init(&it, l->futures, 2, 10000), 0);
    int rc = cio_next_completed(&it, &f);
    for (int i = 0; i < 2; i++) { /* total: both are still to be had */
        assert_int_equal(cio_next_completed(&it, &f), 1);
        assert_ptr_equal(f, l->futures[i]);
    }
    assert_int_equal(cio_next_completed(&it, &f), 0);
    return rc;
}

struct late_case {
    cio_coroutine *fn;
    bool drops[2]; /* whether the call drops a reference to each future */
};

static int late_several_main(void *arg)
{
    struct late_case *c = arg;
    struct late l;
    cio_future *mine[2] = {cio_future_new(), cio_future_new()};
    for (int i = 0; i < 2; i++)
        l.futures[i] = c->drops[i] ? cio_ref(mine[i]) : mine[i];
    cio_task *t = start(c->fn, &l);
    cio_set_result(mine[0], 1, NULL);
    cio_set_result(mine[1], 2, NULL);
    assert_int_equal(cio_cancel(t), 1);
    int rc = cio_await(t);
    cio_detach(mine[0]);
    cio_detach(mine[1]);
    return rc;
}

static int run_late(cio_coroutine *fn, bool drops_first, bool drops_second)
{
    return run_quiet(late_several_main, &(struct late_case){fn, {drops_first, drops_second}});
}

TEST(t14_late_cancel_in_gather)
{
    assert_int_equal(run_late(late_gather, true, true), CIO_ECANCELED);
}

TEST(t14_late_cancel_in_wait)
{
    assert_int_equal(run_late(late_wait, false, false), CIO_ECANCELED);
}

TEST(t14_late_cancel_in_await_for)
{
    assert_int_equal(run_late(late_await_for, false, true), CIO_ECANCELED);
}

TEST(t14_late_cancel_in_shield)
{
    assert_int_equal(run_late(late_shield, false, true), CIO_ECANCELED);
}

TEST(t14_late_cancel_in_as_completed)
{
    assert_int_equal(run_late(late_as_completed, false, false), CIO_ECANCELED);
}

/* ---- groups ---- */

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

struct group_case {
    cio_task *parent;
};

static int cancel_parent_and_end(void *arg)
{
    struct group_case *c = arg;
    assert_int_equal(cio_cancel(c->parent), 1);
    return 0;
}

static int group_main(void *arg)
{
    (void)arg;
    struct group_case c = {cio_current_task()};
    cio_group g;
    cio_group_enter(&g);
    cio_group_start(&g, return_zero, NULL);
    cio_group_start(&g, cancel_parent_and_end, &c); /* the last child ends in the same breath */
    return cio_group_exit(&g, 0);
}

TEST(t38_late_cancel_in_a_group_exit)
{
    assert_int_equal(run_quiet(group_main, NULL), CIO_ECANCELED);
}

/* ---- sockets ---- */

struct reader {
    int fd;
    cio_task *to_cancel;
    char byte;
};

static int read_and_cancel(void *arg)
{
    struct reader *r = arg;
    ssize_t n = cio_sock_recv(r->fd, &r->byte, 1);
    if (n == 1 && r->to_cancel)
        assert_int_equal(cio_cancel(r->to_cancel), 1);
    return (int)n;
}

static int late_read_main(void *arg)
{
    (void)arg;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct reader first = {.fd = fds[0]}, second = {.fd = fds[0]};
    cio_task *a = start(read_and_cancel, &first);
    cio_task *b = start(read_and_cancel, &second);
    first.to_cancel = b;
    second.to_cancel = a;
    assert_int_equal(write(fds[1], "xy", 2), 2); /* wakes both; the first cancels the other */
    int ra = cio_await(a), rb = cio_await(b);
    assert_int_equal(ra > rb ? ra : rb, 1);
    assert_int_equal(ra > rb ? rb : ra, CIO_ECANCELED);
    char rest[2];
    assert_int_equal(cio_sock_recv(fds[0], rest, 2), 1); /* total: the loser ate nothing */
    assert_int_equal(rest[0], 'y');
    close(fds[1]);
    return cio_sock_close(fds[0]);
}

TEST(t67_late_cancel_of_a_reader_eats_nothing)
{
    assert_int_equal(run_quiet(late_read_main, NULL), 0);
}
