/*
 * Descriptor numbers that are used again, under another meaning (T66): what the loop remembers or
 * the kernel still tells about the old one must not reach the new one.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

struct reader {
    int fd;
    ssize_t rc;
    char data[64];
};

static int recv_once(void *arg)
{
    struct reader *r = arg;
    r->rc = cio_sock_recv(r->fd, r->data, sizeof r->data);
    return 0;
}

static void exchange(int a, int b)
{
    char data[8] = "";
    cio_timeout t;
    assert_int_equal(cio_timeout_enter(&t, 10), 0); /* a lost event shall not hang the test */
    struct reader r = {.fd = b};
    cio_task *reading = cio_create_task(recv_once, &r);
    net_settle();
    int rc = cio_sock_sendall(a, "hello", 5);
    if (rc == 0)
        rc = cio_await(reading);
    assert_int_equal(cio_timeout_exit(&t, rc), 0);
    assert_int_equal(r.rc, 5);
    assert_int_equal(cio_sock_sendall(b, "bye", 3), 0);
    assert_int_equal(cio_sock_recv(a, data, sizeof data), 3);
}

/* Pairs of the user's own, closed with close(2): each has the numbers of the one before. */
static int reuse_main(void *arg)
{
    (void)arg;
    int first[2] = {-1, -1};
    for (int i = 0; i < 5; i++) {
        int fds[2];
        if (i % 2)
            net_tcp_pair(fds);
        else
            net_pair(fds, SOCK_STREAM);
        if (i % 2 == 0 && i > 0) {
            assert_int_equal(fds[0], first[0]);
            assert_int_equal(fds[1], first[1]);
        } else if (i == 0) {
            memcpy(first, fds, sizeof first);
        }
        exchange(fds[0], fds[1]);
        exchange(fds[1], fds[0]);
        close(fds[0]);
        close(fds[1]);
    }
    return 0;
}

TEST(a_number_used_again_after_close)
{
    assert_int_equal(cio_run(reuse_main, NULL), 0);
}

/* The same with sockets of cio_sock_open(), whose state the loop remembers, then a user's pair. */
static int reuse_after_sock_close_main(void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in address;
        int listener = net_listen(&address, 1), client = cio_sock_open(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(cio_sock_connect(client, (struct sockaddr *)&address, sizeof address), 0);
        int fd = cio_sock_accept(listener, NULL, NULL);
        exchange(client, fd);
        cio_sock_sendall(client, "unread", 6); /* readiness that must not be inherited */
        cio_sock_close(fd);
        cio_sock_close(client);
        cio_sock_close(listener);

        int fds[2];
        net_pair(fds, SOCK_STREAM);
        exchange(fds[0], fds[1]);
        close(fds[0]);
        close(fds[1]);
    }
    return 0;
}

TEST(a_number_used_again_after_sock_close)
{
    assert_int_equal(cio_run(reuse_after_sock_close_main, NULL), 0);
}

/* Canceled in a wait, then closed by close(2), then the number returns. */
static int reuse_after_cancel_main(void *arg)
{
    (void)arg;
    int fds[2], again[2];
    net_pair(fds, SOCK_STREAM);
    struct reader r = {.fd = fds[1]};
    assert_int_equal(cio_wait_for(recv_once, &r, 0.01), 0);
    assert_int_equal(r.rc, CIO_ECANCELED);
    close(fds[0]);
    close(fds[1]);
    net_pair(again, SOCK_STREAM);
    assert_int_equal(again[1], fds[1]);
    exchange(again[0], again[1]);
    close(again[0]);
    close(again[1]);
    return 0;
}

TEST(a_number_used_again_after_a_canceled_wait)
{
    assert_int_equal(cio_run(reuse_after_cancel_main, NULL), 0);
}

/* A duplicate keeps the socket alive under another number: epoll goes on telling of the first. */
static int duplicate_main(void *arg)
{
    (void)arg;
    int fds[2], other[2];
    net_tcp_pair(fds);
    exchange(fds[0], fds[1]);
    int copy = dup(fds[1]);
    assert_true(copy >= 0);
    assert_int_equal(cio_sock_close(fds[1]), 0);
    exchange(fds[0], copy);

    net_pair(other, SOCK_STREAM); /* one of them has the first number */
    assert_int_equal(other[0], fds[1]);
    struct reader r = {.fd = other[0]};
    cio_task *reading = cio_create_task(recv_once, &r);
    net_settle();
    exchange(fds[0], copy); /* events of the old socket are no news to the new one's reader */
    assert_false(cio_done(reading));
    exchange(copy, fds[0]);
    assert_int_equal(cio_sock_sendall(other[1], "mine", 4), 0);
    assert_int_equal(cio_await(reading), 0);
    assert_int_equal(r.rc, 4);

    int *all[] = {&fds[0], &copy, &other[0], &other[1]};
    for (int i = 0; i < 4; i++)
        cio_sock_close(*all[i]);
    return 0;
}

TEST(a_duplicate_outlives_the_number)
{
    assert_int_equal(cio_run(duplicate_main, NULL), 0);
}

struct connecting {
    int fd;
    struct sockaddr_in address;
};

static int connect_once(void *arg)
{
    struct connecting *c = arg;
    return cio_sock_connect(c->fd, (struct sockaddr *)&c->address, sizeof c->address);
}

/* Connects until the listener takes no more; returns how many sockets that are now in fds. */
static int fill_backlog(const struct connecting *like, int *fds, int max)
{
    int n = 0;
    for (; n < max; n++) {
        struct connecting c = *like;
        fds[n] = c.fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
        if (cio_wait_for(connect_once, &c, 0.2) != 0)
            break;
    }
    assert_true(n < max);
    cio_sock_close(fds[n]);
    return n;
}

/* Here a foreign event would do harm: a connect that is still on its way would seem to be made. */
static int connect_beside_duplicate_main(void *arg)
{
    (void)arg;
    enum { MAX = 8 };
    int fds[2], queued[MAX];
    struct connecting c = {.fd = -1};
    int listener = net_listen(&c.address, 0);
    int n = fill_backlog(&c, queued, MAX);
    net_connected(fds, NET_TCP_OWN);
    exchange(fds[0], fds[1]);
    exchange(fds[1], fds[0]);
    int copy = fcntl(fds[1], F_DUPFD_CLOEXEC, 100);
    assert_int_equal(cio_sock_close(fds[1]), 0);
    while (c.fd != fds[1]) /* whichever numbers below are free */
        queued[n++] = c.fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);

    cio_task *connecting = cio_create_task(connect_once, &c);
    net_settle();
    assert_int_equal(cio_sock_sendall(fds[0], "not for you", 11), 0);
    assert_int_equal(cio_sleep(0.05), 0);
    assert_false(cio_done(connecting));
    assert_int_equal(cio_cancel(connecting), 1);
    assert_int_equal(cio_await(connecting), CIO_ECANCELED);

    while (n > 0)
        cio_sock_close(queued[--n]);
    cio_sock_close(copy);
    cio_sock_close(fds[0]);
    return cio_sock_close(listener);
}

TEST(t66_events_of_a_duplicate_do_not_end_a_connect)
{
    assert_int_equal(cio_run(connect_beside_duplicate_main, NULL), 0);
}

/* ---- Closed while the loop stands still ---- */

static int talk(void *arg)
{
    int *fds = arg;
    if (fds[0] < 0)
        net_connected(fds, NET_TCP_OWN);
    exchange(fds[0], fds[1]);
    exchange(fds[1], fds[0]);
    return 0;
}

static void run_talk(cio_loop *loop, int fds[2])
{
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, talk, fds);
    assert_non_null(task);
    assert_int_equal(cio_run_until_complete(loop, task), 0);
}

/* A pair of the user's own that has exactly these numbers. */
static void pair_with_numbers(const int numbers[2])
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    for (int i = 0; i < 2; i++) { /* out of the way first */
        int high = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
        assert_true(high >= 0);
        close(fds[i]);
        fds[i] = high;
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dup3(fds[i], numbers[i], O_CLOEXEC), numbers[i]);
        close(fds[i]);
    }
}

/* The loop had opened them, but did not run when they were closed, as it is allowed. */
TEST(t66_a_number_used_again_after_a_close_between_two_runs)
{
    int fds[2] = {-1, -1};
    cio_loop *loop = cio_loop_new(NULL);
    assert_non_null(loop);
    run_talk(loop, fds);
    assert_int_equal(cio_sock_close(fds[0]), 0);
    assert_int_equal(cio_sock_close(fds[1]), 0);
    pair_with_numbers(fds);
    run_talk(loop, fds);
    assert_int_equal(cio_loop_free(loop), 0);
    close(fds[0]);
    close(fds[1]);
}
