/* Datagrams for tasks: sizes, addresses, errors (T74), queues, cancellation, the end. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "test.h"

struct end {
    cio_datagram *d;
    struct sockaddr_storage address;
    socklen_t size;
};

static const struct sockaddr *to(const struct end *e)
{
    return (const struct sockaddr *)&e->address;
}

static void end_open(struct end *e, const cio_datagram_options *options)
{
    assert_int_equal(cio_datagram_open(&e->d, options), 0);
    e->size = sizeof e->address;
    assert_int_equal(cio_datagram_sock_name(e->d, (struct sockaddr *)&e->address, &e->size), 0);
}

/* Two UDP sockets on loopback, not connected. */
static void ends_open(struct end *a, struct end *b)
{
    const cio_datagram_options options = {.local_host = "127.0.0.1", .local_service = "0"};
    end_open(a, &options);
    end_open(b, &options);
}

static void send_to(struct end *from, const struct end *where, const void *data, size_t size)
{
    assert_int_equal(cio_datagram_send(from->d, data, size, to(where), where->size), 0);
}

/* ---- sizes and addresses ---- */

/* Whether it comes by a call of its own or with others, into our memory or another's. */
static int sizes(void *arg)
{
    struct end a, b;
    struct sockaddr_storage from;
    (void)arg;
    uint32_t random = 5;
    static char sent[65507], got[65536];
    ends_open(&a, &b);
    for (uint32_t round = 0; round < 40; round++) {
        size_t many = net_random(&random, 3), length[3];
        for (uint32_t i = 0; i < many; i++) {
            length[i] = round < 2 ? round * 65507 : net_random(&random, 9000);
            net_fill(sent, length[i], round * 3 + i, 0);
            send_to(&a, &b, sent, length[i]);
        }
        for (uint32_t i = 0; i < many; i++) {
            socklen_t size = sizeof from;
            ssize_t n = cio_datagram_receive(b.d, got, sizeof got, (struct sockaddr *)&from, &size);
            assert_int_equal(n, length[i]);
            net_check(got, length[i], round * 3 + i, 0);
            assert_int_equal(size, a.size);
            assert_memory_equal(&from, &a.address, size);
        }
    }
    assert_int_equal(cio_datagram_send(a.d, got, 65508, to(&b), b.size), -EMSGSIZE);
    send_to(&a, &b, "after", 5);
    assert_int_equal(cio_datagram_receive(b.d, got, sizeof got, NULL, NULL), 5);
    assert_int_equal(cio_datagram_close(a.d), 0);
    return cio_datagram_close(b.d);
}

TEST(t74_datagrams_of_every_size_are_received_whole)
{
    assert_int_equal(run_quiet(sizes, NULL), 0);
}

/* What is too large for the memory given stays, first or not. */
static int too_small(void *arg)
{
    struct end a, b;
    static char sent[60000], got[60000];
    (void)arg;
    ends_open(&a, &b);
    for (int before = 0; before < 2; before++) {
        for (int i = 0; i < before; i++)
            send_to(&a, &b, "x", 1);
        net_fill(sent, sizeof sent, 9, 0);
        send_to(&a, &b, sent, sizeof sent);
        send_to(&a, &b, "y", 1);
        for (int i = 0; i < before; i++)
            assert_int_equal(cio_datagram_receive(b.d, got, 1, NULL, NULL), 1);
        size_t rooms[] = {0, 1, 100, sizeof sent - 1};
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(cio_datagram_receive(b.d, got, rooms[i], NULL, NULL), -EMSGSIZE);
            assert_int_equal(cio_datagram_next_size(b.d), sizeof sent);
        }
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        assert_int_equal(
            cio_datagram_receive(b.d, got, sizeof got, (struct sockaddr *)&from, &size),
            sizeof sent);
        net_check(got, sizeof sent, 9, 0);
        assert_memory_equal(&from, &a.address, a.size);
        assert_int_equal(cio_datagram_receive(b.d, got, 1, NULL, NULL), 1);
        assert_int_equal(got[0], 'y');
        assert_int_equal(cio_datagram_next_size(b.d), 0);
        assert_int_equal(cio_datagram_skip(b.d), -EAGAIN);
        send_to(&a, &b, "long", 4);
        assert_int_equal(cio_datagram_receive(b.d, got, 1, NULL, NULL), -EMSGSIZE);
        assert_int_equal(cio_datagram_skip(b.d), 0);
        assert_int_equal(cio_datagram_receive_nowait(b.d, got, 1, NULL, NULL), -EAGAIN);
    }
    cio_datagram_abort(a.d);
    cio_datagram_abort(b.d);
    return 0;
}

TEST(datagram_that_is_too_large_for_the_memory_stays)
{
    assert_int_equal(run_quiet(too_small, NULL), 0);
}

/* A name cut to the room there is, with its true length. */
static int short_names(void *arg)
{
    struct end a, b;
    char c;
    (void)arg;
    ends_open(&a, &b);
    send_to(&a, &b, "1", 1);
    send_to(&a, &b, "2", 1);
    for (int i = 0; i < 2; i++) {
        unsigned char from[sizeof(struct sockaddr_in)];
        memset(from, 0xee, sizeof from);
        socklen_t size = 4;
        assert_int_equal(cio_datagram_receive(b.d, &c, 1, (struct sockaddr *)from, &size), 1);
        assert_int_equal(size, sizeof(struct sockaddr_in));
        assert_memory_equal(from, &a.address, 4);
        assert_int_equal(from[4], 0xee);
    }
    cio_datagram_abort(a.d);
    cio_datagram_abort(b.d);
    return 0;
}

TEST(datagram_names_are_cut_to_their_room)
{
    assert_int_equal(run_quiet(short_names, NULL), 0);
}

/* ---- connected ---- */

static int connected(void *arg)
{
    struct end a, b, other;
    char port[10], data[10];
    (void)arg;
    ends_open(&b, &other);
    snprintf(port, sizeof port, "%d", ntohs(((struct sockaddr_in *)&b.address)->sin_port));
    end_open(&a, &(cio_datagram_options){.remote_host = "127.0.0.1", .remote_service = port});
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    assert_int_equal(cio_datagram_peer_name(a.d, (struct sockaddr *)&peer, &size), 0);
    assert_memory_equal(&peer, &b.address, size);
    size = sizeof peer;
    assert_int_equal(cio_datagram_peer_name(b.d, (struct sockaddr *)&peer, &size), -ENOTCONN);

    assert_int_equal(cio_datagram_send(a.d, "one", 3, NULL, 0), 0);
    assert_int_equal(cio_datagram_send(a.d, "two", 3, to(&b), b.size), 0);
    assert_int_equal(cio_datagram_send(a.d, "no", 2, to(&other), other.size), -EINVAL);
    assert_int_equal(cio_datagram_send(b.d, "no", 2, NULL, 0), -EDESTADDRREQ);
    assert_int_equal(cio_datagram_receive(b.d, data, sizeof data, NULL, NULL), 3);
    assert_int_equal(cio_datagram_receive(b.d, data, sizeof data, NULL, NULL), 3);
    assert_memory_equal(data, "two", 3);

    send_to(&other, &a, "stranger", 8); /* who is not listened to */
    send_to(&b, &a, "friend", 6);
    assert_int_equal(cio_datagram_receive(a.d, data, sizeof data, NULL, NULL), 6);
    assert_memory_equal(data, "friend", 6);
    cio_datagram_close(a.d);
    cio_datagram_close(b.d);
    return cio_datagram_close(other.d);
}

TEST(t74_a_connected_one_takes_no_address_but_its_own)
{
    assert_int_equal(run_quiet(connected, NULL), 0);
}

static int receive_task(void *arg)
{
    char data[100];
    return (int)cio_datagram_receive(arg, data, sizeof data, NULL, NULL);
}

/* Who connects to nobody is told when it has sent: in a wait, or by the next call, once. */
static int refused(void *arg)
{
    struct end a, b, back;
    char port[10];
    (void)arg;
    ends_open(&b, &back);
    snprintf(port, sizeof port, "%d", ntohs(((struct sockaddr_in *)&b.address)->sin_port));
    end_open(&a, &(cio_datagram_options){.remote_host = "127.0.0.1", .remote_service = port});
    cio_datagram_close(b.d);
    for (int round = 0; round < 3; round++) {
        cio_task *receiving = cio_create_task(receive_task, a.d);
        net_settle();
        assert_int_equal(cio_datagram_send(a.d, "x", 1, NULL, 0), 0);
        assert_int_equal(cio_await(receiving), -ECONNREFUSED);
        assert_int_equal(cio_datagram_send(a.d, "x", 1, NULL, 0), 0);
        assert_int_equal(cio_datagram_send(a.d, "x", 1, NULL, 0), -ECONNREFUSED);
    }
    /* Somebody listens again: it goes on. */
    end_open(&b, &(cio_datagram_options){.local_host = "127.0.0.1", .local_service = port});
    assert_int_equal(cio_datagram_send(a.d, "x", 1, NULL, 0), 0);
    assert_int_equal(receive_task(b.d), 1);
    cio_datagram_close(a.d);
    cio_datagram_close(back.d);
    return cio_datagram_close(b.d);
}

TEST(t74_connection_refused_is_told_once_and_survived)
{
    assert_int_equal(run_quiet(refused, NULL), 0);
}

/* An error that comes behind datagrams is told after them. */
static int refused_behind(void *arg)
{
    struct end a, b;
    char port[10];
    (void)arg;
    ends_open(&b, &a);
    cio_datagram_close(a.d);
    snprintf(port, sizeof port, "%d", ntohs(((struct sockaddr_in *)&b.address)->sin_port));
    end_open(&a, &(cio_datagram_options){.remote_host = "127.0.0.1", .remote_service = port});
    cio_task *receiving = cio_create_task(receive_task, a.d); /* the kernel knows it from now on */
    net_settle();
    send_to(&b, &a, "1", 1);
    assert_int_equal(cio_await(receiving), 1);
    for (int i = 0; i < 3; i++)
        send_to(&b, &a, "22", 2);
    cio_datagram_close(b.d);
    assert_int_equal(send(cio_datagram_fd(a.d), "x", 1, 0), 1);
    int refusals = 0, datagrams = 0;
    while (refusals + datagrams < 4) {
        int rc = receive_task(a.d);
        assert_true(rc == 2 || rc == -ECONNREFUSED);
        datagrams += rc == 2;
        refusals += rc == -ECONNREFUSED;
    }
    assert_int_equal(refusals, 1);
    return cio_datagram_close(a.d);
}

TEST(t74_an_error_loses_no_datagram)
{
    assert_int_equal(run_quiet(refused_behind, NULL), 0);
}

/* ---- opening ---- */

static int ways(void *arg)
{
    struct end e, f;
    (void)arg;
    end_open(&e, &(cio_datagram_options){.family = AF_INET});
    assert_int_equal(((struct sockaddr *)&e.address)->sa_family, AF_INET);
    cio_datagram_close(e.d);
    end_open(&e, &(cio_datagram_options){.local_service = "0", .family = AF_INET});
    assert_int_equal(((struct sockaddr_in *)&e.address)->sin_addr.s_addr, INADDR_ANY);
    assert_int_not_equal(((struct sockaddr_in *)&e.address)->sin_port, 0);
    cio_datagram_close(e.d);

    const cio_datagram_options shared = {.local_host = "127.0.0.1",
                                         .local_service = "0",
                                         .reuse_port = true,
                                         .broadcast = true,
                                         .receive_buffer = 100000,
                                         .send_buffer = 50000};
    end_open(&e, &shared);
    char port[10];
    snprintf(port, sizeof port, "%d", ntohs(((struct sockaddr_in *)&e.address)->sin_port));
    cio_datagram_options again = shared;
    again.local_service = port;
    end_open(&f, &again);
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(cio_datagram_fd(e.d), SOL_SOCKET, SO_BROADCAST, &value, &size), 0);
    assert_true(value);
    assert_int_equal(getsockopt(cio_datagram_fd(e.d), SOL_SOCKET, SO_RCVBUF, &value, &size), 0);
    assert_int_equal(value, 200000); /* the kernel's book-keeping takes as much again */
    again.reuse_port = false;
    assert_int_equal(cio_datagram_open(&f.d, &again), -EADDRINUSE);
    assert_null(f.d);
    cio_datagram_close(e.d);
    return 0;
}

static int ways_and_close(void *arg)
{
    (void)arg;
    struct end e;
    int fds[2];
    assert_int_equal(cio_datagram_open(NULL, NULL), -EINVAL);
    assert_int_equal(cio_datagram_open(&e.d, NULL), -EINVAL);
    const cio_datagram_options bad[] = {
        {0},
        {.local_host = "127.0.0.1", .local_path = "/tmp/x"},
        {.remote_path = "/tmp/x", .family = AF_INET},
        {.local_service = "1", .family = AF_UNIX},
        {.local_service = "0", .receive_buffer = -1},
        {.local_path = ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cio_datagram_open(&e.d, &bad[i]), -EINVAL);
    assert_true(cio_datagram_open(&e.d, &(cio_datagram_options){.remote_host = "127.0.0.1",
                                                                .remote_service = "65536"}) < 0);
    assert_true(cio_datagram_open(&e.d, &(cio_datagram_options){.local_host = "127.0.0.1",
                                                                .remote_host = "::1",
                                                                .remote_service = "9"}) < 0);
    assert_int_equal(cio_datagram_open(&e.d, &(cio_datagram_options){.remote_path = "/nowhere"}),
                     -ENOENT);
    assert_null(e.d);
    assert_int_equal(cio_datagram_open_fd(&e.d, -1), -EBADF);
    assert_int_equal(cio_datagram_open_fd(&e.d, 1000000), -EBADF);
    assert_int_equal(cio_datagram_open_fd(NULL, 0), -EINVAL);
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_datagram_open_fd(&e.d, fds[0]), -EPROTOTYPE);
    close(fds[0]);
    close(fds[1]);
    net_pair(fds, SOCK_DGRAM);
    assert_int_equal(cio_datagram_open_fd(&e.d, fds[0]), 0);
    assert_int_equal(cio_datagram_open_fd(&e.d, fds[0]), CIO_ESTATE); /* it is somebody's */
    assert_null(e.d);
    int rc = ways(NULL);
    close(fds[1]);
    return rc;
}

static int handle_reports;

static void count_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    handle_reports += strstr(context->message, "never closed") != NULL;
}

TEST(datagram_ways_to_open_and_those_that_were_never_closed)
{
    cio_run_options options = {.exception_handler = count_report};
    assert_int_equal(cio_run_with(&options, ways_and_close, NULL), 0);
    assert_int_equal(handle_reports, 2);
    cio_datagram *d;
    assert_int_equal(cio_datagram_open(&d, &(cio_datagram_options){.family = AF_INET}),
                     CIO_ENOTASK);
    assert_int_equal(cio_datagram_open_fd(&d, 0), CIO_ENOLOOP);
}

/* ---- unix ---- */

static int by_path(void *arg)
{
    char folder[] = "/tmp/cio-test-XXXXXX", path[60];
    struct end a, b;
    char data[10];
    struct sockaddr_un from;
    socklen_t size = sizeof from;
    (void)arg;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    for (int i = 0; i < 2; i++) { /* a file that was left over does not hinder */
        end_open(&b, &(cio_datagram_options){.local_path = path});
        end_open(&a, &(cio_datagram_options){.remote_path = path});
        assert_int_equal(cio_datagram_send(a.d, "hello", 5, NULL, 0), 0);
        assert_int_equal(
            cio_datagram_receive(b.d, data, sizeof data, (struct sockaddr *)&from, &size), 5);
        assert_int_equal(size, 0); /* the sender has no name */
        cio_datagram_close(a.d);
        cio_datagram_close(b.d);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static int abstract(void *arg)
{
    struct end a, b;
    char name[60], data[10];
    struct sockaddr_un from;
    socklen_t size = sizeof from;
    (void)arg;
    snprintf(name, sizeof name, "@cio-test-%d", (int)getpid());
    end_open(&b, &(cio_datagram_options){.local_path = name});
    name[1] = 'k';
    end_open(&a, &(cio_datagram_options){.local_path = name});
    send_to(&a, &b, "hello", 5);
    assert_int_equal(cio_datagram_receive(b.d, data, sizeof data, (struct sockaddr *)&from, &size),
                     5);
    assert_int_equal(size, a.size);
    assert_memory_equal(&from, &a.address, size);
    static char large[150000];
    assert_int_equal(cio_datagram_send(a.d, large, sizeof large, to(&b), b.size), 0);
    send_to(&a, &b, "after", 5);
    assert_int_equal(cio_datagram_receive(b.d, data, sizeof data, NULL, NULL), -EOVERFLOW);
    assert_int_equal(cio_datagram_receive(b.d, data, sizeof data, NULL, NULL), 5);
    cio_datagram_close(a.d);
    return cio_datagram_close(b.d);
}

TEST(datagrams_to_unix_paths_and_abstract_names)
{
    assert_int_equal(run_quiet(by_path, NULL), 0);
    assert_int_equal(run_quiet(abstract, NULL), 0);
}

/* ---- the send queue ---- */

struct pair {
    cio_datagram *d;
    int peer;
};

/* A connected unix pair: its peer's queue is short, so that senders have to wait. */
static void pair_open(struct pair *p)
{
    int fds[2];
    net_pair(fds, SOCK_DGRAM);
    assert_int_equal(cio_datagram_open_fd(&p->d, fds[0]), 0);
    p->peer = fds[1];
}

struct numbers {
    cio_datagram *d;
    int first, n;
    int sent;
};

static int send_numbers(void *arg)
{
    struct numbers *s = arg;
    int data[100];
    for (s->sent = 0; s->sent < s->n; s->sent++) {
        for (int i = 0; i < 100; i++)
            data[i] = s->first + s->sent;
        int rc = cio_datagram_send(s->d, data, sizeof data, NULL, 0);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void expect_numbers(int peer, int first, int n)
{
    int data[101];
    for (int i = first; i < first + n; i++) {
        assert_int_equal(cio_sock_recv(peer, data, sizeof data), 400);
        assert_int_equal(data[0], i);
        assert_int_equal(data[99], i);
    }
}

/* In order, none lost, and no more memory than the queue. */
static int waits(void *arg)
{
    struct pair p;
    (void)arg;
    pair_open(&p);
    struct numbers s = {.d = p.d, .n = 2000};
    cio_task *sending = cio_create_task(send_numbers, &s);
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_sleep(0.001), 0);
    assert_false(cio_done(sending));
    assert_in_range(cio_datagram_unsent(p.d), 100, 170);
    char data[400] = {0};
    assert_int_equal(cio_datagram_send_nowait(p.d, data, sizeof data, NULL, 0), -EAGAIN);
    expect_numbers(p.peer, 0, 2000);
    assert_int_equal(cio_await(sending), 0);
    assert_int_equal(cio_datagram_flush(p.d), 0);
    assert_int_equal(cio_datagram_unsent(p.d), 0);
    close(p.peer);
    return cio_datagram_close(p.d);
}

TEST(t74_a_full_socket_makes_senders_wait)
{
    assert_int_equal(run_quiet(waits, NULL), 0);
}

/* Nothing of a canceled send is sent; those before it are. */
static int canceled_sends(void *arg)
{
    struct pair p;
    (void)arg;
    for (int when = 0; when < 3; when++) {
        pair_open(&p);
        struct numbers s = {.d = p.d, .n = 2000};
        cio_task *sending = cio_create_task(send_numbers, &s);
        if (when > 0)
            for (int i = 0; i < 5; i++)
                assert_int_equal(cio_sleep(0.001), 0);
        int taken = 0;
        if (when == 2) { /* woken, and not run yet: which comes first is the cancellation */
            int data[101];
            while (cio_datagram_unsent(p.d) > 0) {
                assert_int_equal(cio_sock_recv(p.peer, data, sizeof data), 400);
                taken++;
                if (!cio_done(sending) && taken == 5)
                    break;
            }
        }
        assert_int_equal(cio_cancel(sending), 1);
        assert_int_equal(cio_await(sending), CIO_ECANCELED);
        cio_task *closing = cio_create_task((cio_coroutine *)cio_datagram_close, p.d);
        expect_numbers(p.peer, taken, (when ? s.sent : 0) - taken);
        assert_int_equal(cio_await(closing), 0);
        char c;
        assert_int_equal(recv(p.peer, &c, 1, MSG_DONTWAIT), -1);
        close(p.peer);
    }
    return 0;
}

TEST(datagram_canceled_sends)
{
    assert_int_equal(run_quiet(canceled_sends, NULL), 0);
}

static int close_task(void *arg)
{
    return cio_datagram_close(arg);
}

static int flush_task(void *arg)
{
    return cio_datagram_flush(arg);
}

/* The end, while tasks wait in every call. */
static int ended(void *arg)
{
    struct pair p;
    (void)arg;
    for (int how = 0; how < 3; how++) {
        pair_open(&p);
        struct numbers s = {.d = p.d, .n = 2000};
        cio_task *sending = cio_create_task(send_numbers, &s);
        cio_task *receiving = cio_create_task(receive_task, p.d);
        net_settle();
        cio_task *second = cio_create_task(receive_task, p.d);
        assert_int_equal(cio_await(second), CIO_ESTATE);
        cio_task *flushing = cio_create_task(flush_task, p.d);
        net_settle();
        assert_false(cio_done(sending) || cio_done(receiving) || cio_done(flushing));
        cio_task *closing = NULL;
        if (how == 0)
            assert_int_equal(cio_datagram_abort(p.d), 0);
        else
            closing = cio_create_task(close_task, p.d);
        assert_int_equal(cio_await(sending), -EBUSY);
        assert_int_equal(cio_await(receiving), -EBUSY);
        assert_int_equal(cio_await(flushing), -EBUSY);
        if (how == 1) { /* what is queued is still sent */
            expect_numbers(p.peer, 0, s.sent);
            assert_int_equal(cio_await(closing), 0);
        } else if (how == 2) { /* or dropped */
            assert_false(cio_done(closing));
            assert_int_equal(cio_cancel(closing), 1);
            assert_int_equal(cio_await(closing), CIO_ECANCELED);
        }
        close(p.peer);
    }
    return 0;
}

TEST(datagram_that_ends_while_tasks_wait)
{
    assert_int_equal(run_quiet(ended, NULL), 0);
}

/* A peer that is not connected to tells nobody that it has room again. */
static int by_time(void *arg)
{
    struct end a, b;
    char name[60], data[10];
    (void)arg;
    snprintf(name, sizeof name, "@cio-test-%d", (int)getpid());
    end_open(&b, &(cio_datagram_options){.local_path = name});
    end_open(&a, &(cio_datagram_options){.family = AF_UNIX});
    for (int i = 0; i < 200; i++)
        send_to(&a, &b, "x", 1);
    assert_true(cio_datagram_unsent(a.d) > 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(cio_datagram_receive(b.d, data, sizeof data, NULL, NULL), 1);
    assert_int_equal(cio_datagram_unsent(a.d), 0);
    cio_datagram_close(a.d);
    return cio_datagram_close(b.d);
}

TEST(datagrams_to_a_full_unix_peer_that_is_not_connected)
{
    assert_int_equal(run_quiet(by_time, NULL), 0);
}

/* ---- receiving ---- */

static int canceled_receives(void *arg)
{
    struct end a, b;
    char c;
    (void)arg;
    ends_open(&a, &b);
    for (int when = 0; when < 3; when++) {
        cio_task *receiving = cio_create_task(receive_task, b.d);
        if (when > 0)
            net_settle();
        if (when == 2) {
            send_to(&a, &b, "x", 1);
            cio_sleep(0.001);
            if (cio_done(receiving)) {
                assert_int_equal(cio_await(receiving), 1);
                continue;
            }
        }
        assert_int_equal(cio_cancel(receiving), 1);
        assert_int_equal(cio_await(receiving), CIO_ECANCELED);
    }
    send_to(&a, &b, "y", 1);
    assert_int_equal(cio_datagram_receive(b.d, &c, 1, NULL, NULL), 1);
    assert_int_equal(c, 'y');
    cio_datagram_close(a.d);
    return cio_datagram_close(b.d);
}

TEST(datagram_canceled_receives_lose_nothing)
{
    assert_int_equal(run_quiet(canceled_receives, NULL), 0);
}

static int without_waiting(void *arg)
{
    struct end a, b;
    char c;
    (void)arg;
    ends_open(&a, &b);
    for (int i = 0; i < 3; i++) { /* nobody ever waits: the loop must not believe that it knows */
        assert_int_equal(cio_datagram_receive_nowait(b.d, &c, 1, NULL, NULL), -EAGAIN);
        assert_int_equal(cio_datagram_send_nowait(a.d, "x", 1, to(&b), b.size), 0);
        assert_int_equal(cio_datagram_receive_nowait(b.d, &c, 1, NULL, NULL), 1);
    }
    assert_int_equal(cio_datagram_receive_nowait(NULL, &c, 1, NULL, NULL), -EINVAL);
    assert_int_equal(cio_datagram_receive_nowait(b.d, NULL, 1, NULL, NULL), -EINVAL);
    struct sockaddr from;
    assert_int_equal(cio_datagram_receive_nowait(b.d, &c, 1, &from, NULL), -EINVAL);
    assert_int_equal(cio_datagram_send(NULL, &c, 1, NULL, 0), -EINVAL);
    assert_int_equal(cio_datagram_send(a.d, NULL, 1, to(&b), b.size), -EINVAL);
    assert_int_equal(cio_datagram_send(a.d, &c, 1, to(&b), 1000), -EINVAL);
    assert_true(cio_datagram_send(a.d, &c, 1, to(&b), 1) < 0);
    assert_int_equal(cio_datagram_flush(NULL), -EINVAL);
    assert_int_equal(cio_datagram_close(NULL), -EINVAL);
    assert_int_equal(cio_datagram_abort(NULL), 0);
    assert_int_equal(cio_datagram_fd(NULL), -EINVAL);
    assert_int_equal(cio_datagram_dropped(NULL), -EINVAL);
    cio_datagram_close(a.d);
    return cio_datagram_close(b.d);
}

TEST(datagrams_without_waiting_and_bad_input)
{
    assert_int_equal(run_quiet(without_waiting, NULL), 0);
    assert_int_equal(cio_datagram_send(NULL, NULL, 0, NULL, 0), -EINVAL);
}

/* The system drops what it has no room for, and counts. */
static int dropped(void *arg)
{
    struct end a, b;
    static char data[1000];
    (void)arg;
    end_open(&a, &(cio_datagram_options){.local_host = "127.0.0.1", .local_service = "0"});
    end_open(&b, &(cio_datagram_options){
                     .local_host = "127.0.0.1", .local_service = "0", .receive_buffer = 10000});
    for (int i = 0; i < 100; i++)
        send_to(&a, &b, data, sizeof data);
    int64_t lost = cio_datagram_dropped(b.d);
    assert_in_range(lost, 1, 99);
    int got = 0;
    while (cio_datagram_receive_nowait(b.d, data, sizeof data, NULL, NULL) == sizeof data)
        got++;
    assert_int_equal(got + lost, 100);
    cio_datagram_close(a.d);
    return cio_datagram_close(b.d);
}

TEST(datagrams_that_the_system_drops_are_counted)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) < 0)
        test_skip("an emulator that does not know of the system's count");
    close(fd);
    assert_int_equal(run_quiet(dropped, NULL), 0);
}

static int count_turns(void *arg)
{
    int *turns = arg;
    for (;; (*turns)++) {
        int rc = cio_yield();
        if (rc < 0)
            return rc;
    }
}

/* Whose calls always succeed lets others run. */
static int fair(void *arg)
{
    struct end a, b;
    char c;
    int turns = 0;
    (void)arg;
    ends_open(&a, &b);
    cio_task *counting = cio_create_task(count_turns, &turns);
    for (int i = 0; i < 1000; i++) {
        send_to(&a, &b, "x", 1);
        assert_int_equal(cio_datagram_receive(b.d, &c, 1, NULL, NULL), 1);
    }
    assert_true(turns >= 20);
    cio_cancel(counting);
    assert_int_equal(cio_await(counting), CIO_ECANCELED);
    cio_datagram_close(a.d);
    return cio_datagram_close(b.d);
}

TEST(datagrams_let_others_run)
{
    assert_int_equal(run_quiet(fair, NULL), 0);
}
