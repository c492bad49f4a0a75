/* Cancellation at every kind of wait: what the call returns, and what it leaves behind. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "test.h"

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return cio_sleep(CIO_FOREVER);
}

/* Takes its time to end: it must be waited for. */
static int slow_cleanup(void *arg)
{
    int rc = cio_sleep(CIO_FOREVER);
    cio_sleep(0.002);
    note("%s", (const char *)arg);
    return rc;
}

/* One blocking call to be canceled. */
struct victim {
    ssize_t (*call)(void *arg);
    void *arg;
};

static int be_victim(void *arg)
{
    struct victim *v = arg;
    ssize_t rc = v->call(v->arg);
    assert_int_equal(cio_cancelling(cio_current_task()), 1);
    assert_int_equal(cio_yield(), 0); /* delivered once: the next waits are undisturbed */
    assert_int_equal(cio_sleep(0.001), 0);
    return (int)rc;
}

/* Runs call(arg) in a task, cancels it when it stands in its wait, returns what call() returned. */
static int cancel_in(ssize_t (*call)(void *arg), void *arg)
{
    struct victim v = {call, arg};
    cio_task *t = cio_create_task(be_victim, &v);
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_yield(), 0);
    assert_false(cio_done(t));
    assert_int_equal(cio_cancel(t), 1);
    return cio_await(t);
}

/* ---- time ---- */

static ssize_t call_sleep(void *arg)
{
    return cio_sleep(*(double *)arg);
}

static ssize_t call_yield(void *arg)
{
    (void)arg;
    int rc;
    while ((rc = cio_yield()) == 0)
        continue;
    return rc;
}

static int time_main(void *arg)
{
    (void)arg;
    assert_int_equal(cancel_in(call_sleep, &(double){CIO_FOREVER}), CIO_ECANCELED);
    assert_int_equal(cancel_in(call_sleep, &(double){10000}), CIO_ECANCELED);
    assert_int_equal(cancel_in(call_yield, NULL), CIO_ECANCELED);
    return 0;
}

TEST(cancel_in_sleep_and_yield)
{
    assert_int_equal(run_quiet(time_main, NULL), 0);
}

/* ---- one future ---- */

static ssize_t call_await(void *arg)
{
    return cio_await(arg);
}

static ssize_t call_await_for(void *arg)
{
    return cio_await_for(arg, 10000);
}

static ssize_t call_shield(void *arg)
{
    return cio_shield(arg);
}

static int future_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    assert_int_equal(cancel_in(call_await, cio_ref(f)), CIO_ECANCELED);
    assert_true(cio_cancelled(f));
    cio_detach(f);

    f = cio_future_new();
    assert_int_equal(cancel_in(call_await_for, cio_ref(f)), CIO_ECANCELED);
    assert_true(cio_cancelled(f));
    cio_detach(f);

    assert_int_equal(cancel_in(call_await, cio_create_task(slow_cleanup, "await")), CIO_ECANCELED);
    assert_int_equal(cancel_in(call_await_for, cio_create_task(slow_cleanup, "await_for")),
                     CIO_ECANCELED);
    return 0;
}

TEST(cancel_in_await_cancels_what_is_awaited_and_waits_for_it)
{
    assert_int_equal(run_quiet(future_main, NULL), 0);
    assert_string_equal(noted(), "await await_for");
}

static int shield_main(void *arg)
{
    (void)arg;
    cio_future *f = cio_future_new();
    assert_int_equal(cancel_in(call_shield, cio_ref(f)), CIO_ECANCELED);
    assert_false(cio_done(f)); /* T40: it runs on */
    assert_int_equal(cio_set_result(f, 3, NULL), 0);
    assert_int_equal(cio_await(f), 3);

    cio_task *t = cio_create_task(sleep_for_ever, NULL);
    assert_int_equal(cancel_in(call_shield, cio_ref(t)), CIO_ECANCELED);
    assert_int_equal(cio_cancelling(t), 0);
    assert_false(cio_done(t));
    cio_cancel(t);
    return cio_await(t);
}

TEST(t40_cancel_in_shield_leaves_the_inner_alone)
{
    assert_int_equal(run_quiet(shield_main, NULL), CIO_ECANCELED);
}

static ssize_t call_wait_for(void *arg)
{
    return cio_wait_for(slow_cleanup, arg, 10000);
}

static ssize_t call_timeout(void *arg)
{
    cio_timeout scope;
    (void)arg;
    assert_int_equal(cio_timeout_enter(&scope, 10000), 0);
    int rc = cio_timeout_exit(&scope, cio_sleep(CIO_FOREVER));
    assert_false(cio_timeout_expired(&scope));
    return rc;
}

static int scopes_main(void *arg)
{
    (void)arg;
    assert_int_equal(cancel_in(call_wait_for, "wait_for"), CIO_ECANCELED); /* and not timed out */
    assert_int_equal(cancel_in(call_timeout, NULL), CIO_ECANCELED);
    return 0;
}

TEST(t36_cancel_from_outside_is_no_timeout)
{
    assert_int_equal(run_quiet(scopes_main, NULL), 0);
    assert_string_equal(noted(), "wait_for");
}

/* ---- several futures ---- */

struct several {
    cio_future *futures[3];
    unsigned flags;
};

static ssize_t call_gather(void *arg)
{
    struct several *s = arg;
    return cio_gather(s->futures, 3, s->flags);
}

static int gather_main(void *arg)
{
    struct several s = {.flags = *(unsigned *)arg};
    cio_future *f = cio_future_new();
    cio_task *slow = cio_create_task(slow_cleanup, "slow");
    s.futures[0] = cio_ref(slow);
    s.futures[1] = cio_create_task(sleep_for_ever, NULL);
    s.futures[2] = cio_ref(f);
    assert_int_equal(cancel_in(call_gather, &s), CIO_ECANCELED);
    assert_true(cio_cancelled(f));
    assert_int_equal(cio_cancelling(slow), 1);
    note("gathered");
    assert_int_equal(cio_await(slow), CIO_ECANCELED);
    return cio_detach(f);
}

TEST(cancel_in_gather_cancels_all)
{
    assert_int_equal(run_quiet(gather_main, &(unsigned){0}), 0);
    assert_true(strstr(noted(), "slow") != NULL);
}

TEST(cancel_in_gather_with_errors_as_results_waits_for_all)
{
    assert_int_equal(run_quiet(gather_main, &(unsigned){CIO_RETURN_ERRORS}), 0);
    assert_string_equal(noted(), "slow gathered");
}

static ssize_t call_wait(void *arg)
{
    struct several *s = arg;
    return cio_wait(s->futures, 3, CIO_ALL_COMPLETED, 10000);
}

static ssize_t call_as_completed(void *arg)
{
    struct several *s = arg;
    cio_as_completed it;
    cio_future *f;
    assert_int_equal(cio_as_completed_init(&it, s->futures, 3, 10000), 0);
    assert_int_equal(cio_next_completed(&it, &f), 1);
    assert_ptr_equal(f, s->futures[1]);
    int rc = cio_next_completed(&it, &f);
    cio_as_completed_end(&it);
    return rc;
}

static int untouched_main(void *arg)
{
    struct several s;
    struct victim *v = arg;
    for (int i = 0; i < 3; i++)
        s.futures[i] = cio_future_new();
    cio_set_result(s.futures[1], 1, NULL);
    struct several before = s;
    assert_int_equal(cancel_in(v->call, &s), CIO_ECANCELED);
    assert_memory_equal(before.futures, s.futures, sizeof s.futures); /* total: not reordered */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cio_done(s.futures[i]), i == 1);
        cio_detach(s.futures[i]);
    }
    return 0;
}

TEST(cancel_in_wait_touches_no_future)
{
    assert_int_equal(run_quiet(untouched_main, &(struct victim){call_wait, NULL}), 0);
}

TEST(t41_cancel_in_as_completed_touches_no_future)
{
    assert_int_equal(run_quiet(untouched_main, &(struct victim){call_as_completed, NULL}), 0);
}

/* ---- groups ---- */

static ssize_t call_group(void *arg)
{
    cio_group g;
    (void)arg;
    assert_int_equal(cio_group_enter(&g), 0);
    cio_group_start(&g, slow_cleanup, "a");
    cio_group_start(&g, slow_cleanup, "b");
    int rc = cio_group_exit(&g, 0);
    note("exit");
    return rc;
}

static int map_sleep(void *arg)
{
    return slow_cleanup(*(char **)arg);
}

static ssize_t call_map(void *arg)
{
    char *names[] = {"c", "d", "never"};
    (void)arg;
    return cio_map(map_sleep, names, 3, sizeof names[0], 2);
}

static int groups_main(void *arg)
{
    (void)arg;
    assert_int_equal(cancel_in(call_group, NULL), CIO_ECANCELED);
    assert_int_equal(cancel_in(call_map, NULL), CIO_ECANCELED);
    return 0;
}

TEST(cancel_in_a_group_exit_cancels_and_waits_for_the_children)
{
    assert_int_equal(run_quiet(groups_main, NULL), 0);
    assert_string_equal(noted(), "a b exit c d");
}

static int run_group(void *arg)
{
    return (int)call_group(arg);
}

static int group_twice_main(void *arg)
{
    (void)arg;
    cio_task *t = cio_create_task(run_group, NULL);
    for (int i = 0; i < 3; i++)
        cio_yield();
    cio_cancel(t);
    cio_yield();
    cio_yield(); /* the children clean up now */
    cio_cancel(t);
    return cio_await(t);
}

TEST(t38_a_second_cancel_does_not_leave_children_behind)
{
    assert_int_equal(run_quiet(group_twice_main, NULL), CIO_ECANCELED);
    assert_int_equal(strlen(noted()), strlen("a b exit"));
    assert_string_equal(noted() + 4, "exit"); /* last */
}

/* ---- sockets ---- */

static char buffer[1 << 16];

static ssize_t call_recv(void *arg)
{
    return cio_sock_recv(*(int *)arg, buffer, sizeof buffer);
}

static ssize_t call_recv_into(void *arg)
{
    struct iovec parts[] = {{buffer, 1}, {buffer + 1, 10}};
    return cio_sock_recv_into(*(int *)arg, parts, 2);
}

static ssize_t call_recvfrom(void *arg)
{
    return cio_sock_recvfrom(*(int *)arg, buffer, sizeof buffer, NULL, NULL);
}

static ssize_t call_accept(void *arg)
{
    return cio_sock_accept(*(int *)arg, NULL, NULL);
}

static ssize_t call_sendall(void *arg)
{
    int rc;
    while ((rc = cio_sock_sendall(*(int *)arg, buffer, sizeof buffer)) == 0)
        continue;
    return rc;
}

static int receive_main(void *arg)
{
    struct victim *v = arg;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cancel_in(v->call, &fds[0]), CIO_ECANCELED);
        assert_int_equal(write(fds[1], "hello", 5), 5); /* total: nothing was eaten */
        assert_int_equal(v->call(&fds[0]), 5);
        assert_memory_equal(buffer, "hello", 5);
    }
    close(fds[1]);
    return cio_sock_close(fds[0]);
}

TEST(t67_cancel_in_a_receive_eats_nothing)
{
    assert_int_equal(run_quiet(receive_main, &(struct victim){call_recv, NULL}), 0);
    assert_int_equal(run_quiet(receive_main, &(struct victim){call_recv_into, NULL}), 0);
    assert_int_equal(run_quiet(receive_main, &(struct victim){call_recvfrom, NULL}), 0);
}

static int accept_main(void *arg)
{
    (void)arg;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 10), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(cancel_in(call_accept, &listener), CIO_ECANCELED);
    int client = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(client, (struct sockaddr *)&address, size), 0);
    int server = cio_sock_accept(listener, NULL, NULL);
    assert_true(server >= 0);
    cio_sock_close(server);
    cio_sock_close(client);
    return cio_sock_close(listener);
}

TEST(t67_cancel_in_accept_loses_no_connection)
{
    assert_int_equal(run_quiet(accept_main, NULL), 0);
}

static int send_main(void *arg)
{
    (void)arg;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(cancel_in(call_sendall, &fds[0]), CIO_ECANCELED);
    while (read(fds[1], buffer, sizeof buffer) > 0)
        continue;
    assert_int_equal(cio_sock_sendall(fds[0], "more", 4), 0); /* the socket still works */
    close(fds[1]);
    return cio_sock_close(fds[0]);
}

TEST(t67_cancel_in_sendall)
{
    assert_int_equal(run_quiet(send_main, NULL), 0);
}
