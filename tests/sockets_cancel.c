/*
 * Cancellation at every wait of a socket call, and what it leaves behind (T14, T67): total calls
 * lose no byte, datagram or connection; a canceled sendall has sent a beginning of its data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

struct call {
    int fd;
    ssize_t rc;
    char data[256];
    const char *much;
    size_t size;
    struct sockaddr_in address;
};

static int recv_call(void *arg)
{
    struct call *c = arg;
    c->rc = cio_sock_recv(c->fd, c->data, sizeof c->data);
    return (int)c->rc;
}

static int recv_into_call(void *arg)
{
    struct call *c = arg;
    struct iovec buffers[] = {{c->data, 2}, {c->data + 2, sizeof c->data - 2}};
    c->rc = cio_sock_recv_into(c->fd, buffers, 2);
    return (int)c->rc;
}

static int recvfrom_call(void *arg)
{
    struct call *c = arg;
    c->rc = cio_sock_recvfrom(c->fd, c->data, sizeof c->data, NULL, NULL);
    return (int)c->rc;
}

static int accept_call(void *arg)
{
    struct call *c = arg;
    c->rc = cio_sock_accept(c->fd, NULL, NULL);
    return (int)c->rc;
}

static int sendall_call(void *arg)
{
    struct call *c = arg;
    c->rc = cio_sock_sendall(c->fd, c->much, c->size);
    return (int)c->rc;
}

static int connect_call(void *arg)
{
    struct call *c = arg;
    c->rc = cio_sock_connect(c->fd, (struct sockaddr *)&c->address, sizeof c->address);
    return (int)c->rc;
}

/* Lets fn wait, cancels it, and sees that it ended by that. */
static void cancel_in_wait(cio_coroutine *fn, struct call *c)
{
    cio_task *task = cio_create_task(fn, c);
    assert_non_null(task);
    net_settle();
    assert_false(cio_done(task));
    assert_int_equal(cio_cancel(task), 1);
    assert_int_equal(cio_cancel(task), 1); /* twice before it is delivered: delivered once */
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(c->rc, CIO_ECANCELED);
}

/* The same by a time limit, in both forms. */
static void time_out_in_wait(cio_coroutine *fn, struct call *c)
{
    double before = cio_time(cio_get_running_loop());
    assert_int_equal(cio_wait_for(fn, c, 0.01), CIO_ETIMEDOUT);
    assert_int_equal(c->rc, CIO_ECANCELED);

    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 0.01), 0);
    assert_int_equal(cio_timeout_exit(&t, fn(c)), CIO_ETIMEDOUT);
    assert_true(cio_timeout_expired(&t));
    assert_true(cio_time(cio_get_running_loop()) - before >= 0.02);

    assert_int_equal(cio_timeout_enter(&t, 0), 0); /* over before it begins: at the first wait */
    assert_int_equal(cio_timeout_exit(&t, fn(c)), CIO_ETIMEDOUT);
    assert_int_equal(cio_cancelling(cio_current_task()), 0);
}

/* ---- Receiving ---- */

static void receive_after_cancel(cio_coroutine *fn, int type)
{
    int fds[2];
    net_pair(fds, type);
    struct call c = {.fd = fds[1]};
    for (int i = 0; i < 3; i++) {
        cancel_in_wait(fn, &c);
        time_out_in_wait(fn, &c);
        assert_int_equal(cio_sock_sendall(fds[0], "whole", 5), 0);
        assert_int_equal(fn(&c), 5);
        assert_memory_equal(c.data, "whole", 5);
    }
    close(fds[0]);
    close(fds[1]);
}

static int receiving_main(void *arg)
{
    (void)arg;
    receive_after_cancel(recv_call, SOCK_STREAM);
    receive_after_cancel(recv_call, SOCK_SEQPACKET);
    receive_after_cancel(recv_into_call, SOCK_STREAM);
    receive_after_cancel(recvfrom_call, SOCK_DGRAM);
    return 0;
}

TEST(t67_canceled_receives_lose_nothing)
{
    assert_int_equal(cio_run(receiving_main, NULL), 0);
}

/* The data is there already when the cancellation is: one of them comes first, none is lost. */
static int both_at_once(int fds[2])
{
    for (int i = 0; i < 50; i++) {
        struct call c = {.fd = fds[1]};
        cio_task *task = cio_create_task(recv_call, &c);
        net_settle();
        assert_int_equal(cio_sock_sendall(fds[0], "whole", 5), 0);
        if (i % 2) /* the event is in the queue, or even delivered, but the task has not run yet */
            assert_int_equal(cio_yield(), 0);
        int canceled = cio_cancel(task);
        int rc = cio_await(task);
        if (rc == CIO_ECANCELED) {
            assert_int_equal(canceled, 1);
            rc = recv_call(&c);
        }
        assert_int_equal(rc, 5);
        assert_memory_equal(c.data, "whole", 5);
    }
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(t67_cancel_and_data_at_once)
{
    net_run_on_all(both_at_once);
}

/* T14: requested while the task runs. A call that need not wait may succeed; a wait may not. */
static int canceled_before_main(void *arg)
{
    int *fds = arg;
    struct call c = {.fd = fds[1]};
    assert_int_equal(cio_sock_sendall(fds[0], "whole", 5), 0);
    assert_int_equal(cio_cancel(cio_current_task()), 1);
    int rc = recv_call(&c);
    if (rc != CIO_ECANCELED)
        assert_int_equal(cio_yield(), CIO_ECANCELED);
    else
        rc = recv_call(&c);
    assert_int_equal(rc, 5);
    assert_int_equal(cio_uncancel(cio_current_task()), 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t14_canceled_before_a_receive)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_run(canceled_before_main, fds), 0);
}

static int canceled_before_a_wait_main(void *arg)
{
    int *fds = arg;
    struct call c = {.fd = fds[1]};
    assert_int_equal(cio_cancel(cio_current_task()), 1);
    assert_int_equal(recv_call(&c), CIO_ECANCELED);
    assert_int_equal(cio_uncancel(cio_current_task()), 0);
    assert_int_equal(cio_sock_sendall(fds[0], "ok", 2), 0);
    assert_int_equal(recv_call(&c), 2); /* delivered once */
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t14_canceled_before_a_wait)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_run(canceled_before_a_wait_main, fds), 0);
}

/* Of many tasks on one descriptor half are canceled; what comes then goes to the others. */
static int half_main(void *arg)
{
    enum { N = 40 };
    int *fds = arg;
    static struct call calls[N];
    cio_task *tasks[N];
    for (int i = 0; i < N; i++) {
        calls[i] = (struct call){.fd = fds[1]};
        tasks[i] = cio_create_task(recvfrom_call, &calls[i]);
    }
    net_settle();
    for (int i = 0; i < N; i += 2)
        assert_int_equal(cio_cancel(tasks[i]), 1);
    for (int i = 0; i < N / 2; i++) {
        assert_int_equal(cio_sock_sendall(fds[0], "m", 1), 0);
        if (i % 5 == 0)
            assert_int_equal(cio_sleep(0.001), 0);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(cio_await(tasks[i]), i % 2 ? 1 : CIO_ECANCELED);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t67_canceled_readers_leave_the_others_waiting)
{
    int fds[2];
    net_pair(fds, SOCK_DGRAM);
    assert_int_equal(cio_run(half_main, fds), 0);
}

/* A reader that is canceled again and again, at random times, still reads the whole stream. */
struct stream {
    int fd;
    size_t total;
    size_t got;
    size_t cancels;
};

static int read_on(void *arg)
{
    struct stream *s = arg;
    char data[97];
    while (s->got < s->total) {
        ssize_t n = cio_sock_recv(s->fd, data, sizeof data);
        if (n < 0)
            return (int)n;
        net_check(data, (size_t)n, 3, s->got);
        s->got += (size_t)n;
    }
    return 0;
}

static int write_in_bits(void *arg)
{
    struct stream *s = arg;
    uint32_t random = 5;
    char data[200];
    for (size_t sent = 0; sent < s->total;) {
        size_t size = net_random(&random, sizeof data);
        size = size < s->total - sent ? size : s->total - sent;
        net_fill(data, size, 3, sent);
        assert_int_equal(cio_sock_sendall(s->fd, data, size), 0);
        sent += size;
        assert_int_equal(random % 3 ? cio_yield() : cio_sleep(0.0002), 0);
    }
    return 0;
}

static int random_cancels(int fds[2])
{
    uint32_t random = 11;
    struct stream in = {.fd = fds[1], .total = (size_t)test_scale(100000)}, out = in;
    out.fd = fds[0];
    cio_task *writer = cio_create_task(write_in_bits, &out);
    for (int rc = CIO_ECANCELED; rc == CIO_ECANCELED; in.cancels++) {
        cio_task *reader = cio_create_task(read_on, &in);
        for (size_t i = net_random(&random, 20); i > 0; i--)
            cio_yield();
        if (random % 4 == 0)
            cio_sleep(0.0005);
        cio_cancel(reader);
        rc = cio_await(reader);
        assert_true(rc == 0 || rc == CIO_ECANCELED);
    }
    assert_int_equal(in.got, in.total);
    assert_true(in.cancels > 10);
    assert_int_equal(cio_await(writer), 0);
    cio_sock_close(fds[0]);
    return cio_sock_close(fds[1]);
}

TEST(t67_random_cancels_lose_no_byte)
{
    net_run_on_all(random_cancels);
}

/* ---- Accepting and connecting ---- */

static int accept_main(void *arg)
{
    (void)arg;
    struct call c = {0};
    c.fd = net_listen(&c.address, 64);
    cancel_in_wait(accept_call, &c);
    time_out_in_wait(accept_call, &c);
    for (int i = 0; i < 40; i++) { /* canceled in the very turn in which the connection comes */
        cio_task *task = cio_create_task(accept_call, &c);
        net_settle();
        int client = net_connect_blocking(&c.address);
        if (i % 2)
            assert_int_equal(cio_yield(), 0);
        cio_cancel(task);
        int fd = cio_await(task);
        if (fd == CIO_ECANCELED)
            fd = accept_call(&c);
        assert_true(fd >= 0);
        cio_sock_close(fd);
        close(client);
    }
    return cio_sock_close(c.fd);
}

TEST(t67_canceled_accepts_lose_no_connection)
{
    assert_int_equal(cio_run(accept_main, NULL), 0);
}

/* A full backlog keeps connects waiting; canceled ones end at once, and can be closed. */
static int connect_main(void *arg)
{
    (void)arg;
    enum { MAX = 8 };
    struct call c = {0};
    int listener = net_listen(&c.address, 0), n = 0, fds[MAX];
    for (; n < MAX; n++) {
        fds[n] = c.fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
        cio_task *task = cio_create_task(connect_call, &c);
        assert_int_equal(cio_sleep(0.1), 0);
        bool waits = !cio_done(task);
        cio_cancel(task);
        assert_int_equal(cio_await(task), waits ? CIO_ECANCELED : 0);
        if (waits)
            break;
    }
    assert_true(n < MAX);
    cio_sock_close(c.fd);

    c.fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(cio_wait_for(connect_call, &c, 0.05), CIO_ETIMEDOUT);
    assert_int_equal(c.rc, CIO_ECANCELED);
    cio_sock_close(c.fd);
    while (n > 0)
        cio_sock_close(fds[--n]);
    return cio_sock_close(listener);
}

TEST(t67_canceled_connects)
{
    assert_int_equal(cio_run(connect_main, NULL), 0);
}

/* ---- Sending ---- */

static size_t drain_and_check(int fd, size_t from)
{
    char data[4096];
    for (;;) {
        ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);
        if (n <= 0)
            return from;
        net_check(data, (size_t)n, 4, from);
        from += (size_t)n;
    }
}

/* What arrived is a beginning of the data, and the socket goes on working. */
static int sendall_main(void *arg)
{
    int *fds = arg;
    enum { SIZE = 4000000 };
    char *much = malloc(SIZE);
    assert_non_null(much);
    net_fill(much, SIZE, 4, 0);

    struct call c = {.fd = fds[0], .much = much, .size = SIZE};
    cancel_in_wait(sendall_call, &c);
    size_t arrived = drain_and_check(fds[1], 0);
    assert_true(arrived > 0 && arrived < SIZE);
    assert_int_equal(cio_sleep(0.01), 0);
    assert_int_equal(drain_and_check(fds[1], arrived), arrived); /* nothing is sent afterwards */

    assert_int_equal(cio_sock_sendall(fds[0], much, 100), 0);
    char data[100];
    for (size_t got = 0; got < sizeof data;) {
        ssize_t n = cio_sock_recv(fds[1], data + got, sizeof data - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    net_check(data, sizeof data, 4, 0);

    assert_int_equal(cio_wait_for(sendall_call, &c, 0.02), CIO_ETIMEDOUT);
    assert_int_equal(c.rc, CIO_ECANCELED);
    free(much);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t67_a_canceled_sendall_has_sent_a_beginning)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    net_small_buffers(fds[0]);
    assert_int_equal(cio_run(sendall_main, fds), 0);
}

static int sendto_call(void *arg)
{
    struct call *c = arg;
    c->rc = cio_sock_sendto(c->fd, c->much, c->size, NULL, 0);
    return (int)c->rc;
}

/* A connected datagram pair whose queue is full: sendto waits, and canceled it has sent nothing. */
static int sendto_main(void *arg)
{
    int *fds = arg;
    int queued = 0;
    while (send(fds[0], "fill", 4, MSG_DONTWAIT) == 4)
        queued++;
    assert_true(queued > 0);
    struct call c = {.fd = fds[0], .much = "late", .size = 4};
    cancel_in_wait(sendto_call, &c);
    time_out_in_wait(sendto_call, &c);

    cio_task *sending = cio_create_task(sendto_call, &c);
    net_settle();
    for (int i = 0; i < queued; i++) {
        char data[8];
        assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 4);
        assert_memory_equal(data, "fill", 4);
    }
    assert_int_equal(cio_await(sending), 4);
    char data[8];
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 4);
    assert_memory_equal(data, "late", 4);
    assert_int_equal(recv(fds[1], data, sizeof data, MSG_DONTWAIT), -1); /* exactly one */
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t67_a_canceled_sendto_has_sent_nothing)
{
    int fds[2];
    net_pair(fds, SOCK_DGRAM);
    assert_int_equal(cio_run(sendto_main, fds), 0);
}

/* The end of a run cancels whoever still waits, whatever for (T50). */
static int left_behind_main(void *arg)
{
    static struct call calls[2];
    int *fds = arg;
    calls[0] = (struct call){.fd = fds[0]};
    calls[1] = (struct call){.fd = fds[1]};
    assert_int_equal(cio_detach(cio_create_task(recv_call, &calls[0])), 0);
    assert_int_equal(cio_detach(cio_create_task(recv_call, &calls[1])), 0);
    net_settle();
    return 0;
}

TEST(t50_the_end_of_a_run_cancels_waiting_calls)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_run(left_behind_main, fds), 0);
    close(fds[0]);
    close(fds[1]);
}
