/* Datagrams: UDP over loopback and AF_UNIX. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

static const struct sockaddr *plain(const struct sockaddr_in *address)
{
    return (const struct sockaddr *)address;
}

static int sizes_main(void *arg)
{
    (void)arg;
    struct sockaddr_in a, b, from;
    int fd_a = net_udp(&a), fd_b = net_udp(&b);
    uint32_t random = 7;
    char *sent = malloc(65507), *got = calloc(1, 65536);
    assert_true(sent && got);
    for (uint32_t i = 0; i < 200; i++) {
        size_t size = i < 2 ? i * 65507 : net_random(&random, 9000); /* T74: 0 is allowed */
        socklen_t from_size = sizeof from;
        net_fill(sent, size, i, 0);
        memset(&from, 0, sizeof from);
        assert_int_equal(cio_sock_sendto(fd_a, sent, size, plain(&b), sizeof b), size);
        assert_int_equal(cio_sock_recvfrom(fd_b, got, 65536, (struct sockaddr *)&from, &from_size),
                         size);
        assert_int_equal(from_size, sizeof from);
        assert_memory_equal(&from, &a, sizeof a);
        net_check(got, size, i, 0);
    }
    assert_int_equal(cio_sock_sendto(fd_a, got, 65508, plain(&b), sizeof b), -EMSGSIZE);
    free(sent);
    free(got);
    cio_sock_close(fd_b);
    return cio_sock_close(fd_a);
}

TEST(t74_datagrams_of_every_size)
{
    assert_int_equal(cio_run(sizes_main, NULL), 0);
}

/* Each receive is shorter than its buffer, and yet the next datagram is there already. */
static int queued_main(void *arg)
{
    (void)arg;
    struct sockaddr_in a, b;
    int fd_a = net_udp(&a), fd_b = net_udp(&b);
    char data[64];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(cio_sock_sendto(fd_a, "abc", (size_t)i, plain(&b), sizeof b), i);
        for (int i = 0; i < 3; i++)
            assert_int_equal(cio_sock_recvfrom(fd_b, data, sizeof data, NULL, NULL), i);
        for (int i = 0; i < 3; i++)
            assert_int_equal(cio_sock_sendto(fd_a, "abc", (size_t)i, plain(&b), sizeof b), i);
        for (int i = 0; i < 3; i++)
            assert_int_equal(cio_sock_recv(fd_b, data, sizeof data), i);
    }
    cio_sock_close(fd_b);
    return cio_sock_close(fd_a);
}

TEST(one_datagram_for_each_call)
{
    assert_int_equal(cio_run(queued_main, NULL), 0);
}

static int truncated_main(void *arg)
{
    (void)arg;
    struct sockaddr_in a, from;
    int fd = net_udp(&a);
    char data[4];
    assert_int_equal(cio_sock_sendto(fd, "0123456789", 10, plain(&a), sizeof a), 10);
    assert_int_equal(cio_sock_sendto(fd, "xy", 2, plain(&a), sizeof a), 2);
    socklen_t short_size = 4;
    memset(&from, 0xee, sizeof from);
    assert_int_equal(
        cio_sock_recvfrom(fd, data, sizeof data, (struct sockaddr *)&from, &short_size), 4);
    assert_memory_equal(data, "0123", 4);
    assert_int_equal(short_size, sizeof from); /* its true length, though only 4 bytes had room */
    assert_memory_equal(&from, &a, 4);
    if (!test_is_slow()) /* qemu-user writes over it; kernels do not */
        assert_int_equal(((unsigned char *)&from)[4], 0xee);
    assert_int_equal(cio_sock_recvfrom(fd, data, sizeof data, NULL, NULL), 2); /* the next one */
    assert_memory_equal(data, "xy", 2);
    return cio_sock_close(fd);
}

TEST(what_does_not_fit_is_lost)
{
    assert_int_equal(cio_run(truncated_main, NULL), 0);
}

static int refused_main(void *arg)
{
    (void)arg;
    struct sockaddr_in gone;
    int closed = net_udp(&gone);
    cio_sock_close(closed);
    int fd = cio_sock_open(AF_INET, SOCK_DGRAM, 0);
    char data[8];
    assert_int_equal(cio_sock_connect(fd, plain(&gone), sizeof gone), 0);
    assert_int_equal(cio_sock_sendto(fd, "x", 1, NULL, 0), 1);
    assert_int_equal(cio_sock_recv(fd, data, sizeof data), -ECONNREFUSED); /* by ICMP; also T74 */

    struct sockaddr_in there; /* the socket is not closed by it */
    int peer = net_udp(&there);
    assert_int_equal(cio_sock_connect(fd, plain(&there), sizeof there), 0);
    assert_int_equal(cio_sock_sendall(fd, "hello", 5), 0);
    assert_int_equal(cio_sock_recv(peer, data, sizeof data), 5);
    cio_sock_close(peer);
    return cio_sock_close(fd);
}

TEST(t74_connection_refused_is_reported_and_survived)
{
    assert_int_equal(cio_run(refused_main, NULL), 0);
}

/* ---- Many clients of one server ---- */

enum { CLIENTS = 20, ROUNDS = 50 };

struct udp_server {
    int fd;
    struct sockaddr_in address;
};

static int serve(void *arg)
{
    struct udp_server *s = arg;
    for (;;) {
        char data[512];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = cio_sock_recvfrom(s->fd, data, sizeof data, (struct sockaddr *)&from, &size);
        if (n < 0)
            return (int)n;
        ssize_t sent = cio_sock_sendto(s->fd, data, (size_t)n, (struct sockaddr *)&from, size);
        assert_int_equal(sent, n);
    }
}

static int ask(void *arg)
{
    struct udp_server *s = *(struct udp_server **)arg;
    struct sockaddr_in own;
    int fd = net_udp(&own);
    uint32_t random = own.sin_port;
    for (uint32_t i = 0; i < ROUNDS; i++) { /* one on its way at a time: none can be dropped */
        char data[512], answer[512];
        size_t size = net_random(&random, sizeof data);
        net_fill(data, size, random, 0);
        assert_int_equal(cio_sock_sendto(fd, data, size, plain(&s->address), sizeof s->address),
                         size);
        assert_int_equal(cio_sock_recvfrom(fd, answer, sizeof answer, NULL, NULL), size);
        assert_memory_equal(data, answer, size);
    }
    return cio_sock_close(fd);
}

static int many_main(void *arg)
{
    (void)arg;
    struct udp_server s = {0}, *clients[CLIENTS];
    s.fd = net_udp(&s.address);
    cio_task *server = cio_create_task(serve, &s);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = &s;
    assert_int_equal(cio_map(ask, clients, CLIENTS, sizeof clients[0], CLIENTS), 0);
    cio_cancel(server);
    assert_int_equal(cio_await(server), CIO_ECANCELED);
    return cio_sock_close(s.fd);
}

TEST(many_clients_of_one_udp_socket)
{
    assert_int_equal(cio_run(many_main, NULL), 0);
}

/* A peer that is a blocking thread. */
struct blocking_peer {
    int fd;
    struct sockaddr_in server;
};

static void *blocking_peer(void *arg)
{
    struct blocking_peer *p = arg;
    for (int i = 0; i < 200; i++) {
        int answer = -1;
        assert_int_equal(sendto(p->fd, &i, sizeof i, 0, plain(&p->server), sizeof p->server),
                         sizeof i);
        assert_int_equal(recv(p->fd, &answer, sizeof answer, 0), sizeof answer);
        assert_int_equal(answer, i);
    }
    int stop = -1;
    assert_int_equal(sendto(p->fd, &stop, sizeof stop, 0, plain(&p->server), sizeof p->server),
                     sizeof stop);
    return NULL;
}

static int answer_main(void *arg)
{
    int fd = *(int *)arg;
    for (;;) {
        int number;
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        assert_int_equal(
            cio_sock_recvfrom(fd, &number, sizeof number, (struct sockaddr *)&from, &size),
            sizeof number);
        if (number < 0)
            return 0;
        assert_int_equal(cio_sock_sendto(fd, &number, sizeof number, plain(&from), size),
                         sizeof number);
    }
}

TEST(threads_udp_with_a_blocking_peer)
{
    struct blocking_peer peer;
    struct sockaddr_in own;
    pthread_t thread;
    int fd = net_udp(&peer.server);
    peer.fd = net_udp(&own);
    net_set_blocking(peer.fd, true);
    assert_int_equal(pthread_create(&thread, NULL, blocking_peer, &peer), 0);
    assert_int_equal(cio_run(answer_main, &fd), 0);
    pthread_join(thread, NULL);
    cio_sock_close(fd);
    cio_sock_close(peer.fd);
}

static int ipv6_main(void *arg)
{
    int fd = *(int *)arg;
    struct sockaddr_in6 own, from;
    socklen_t size = sizeof own, from_size = sizeof from;
    char data[8];
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    assert_int_equal(cio_sock_sendto(fd, "six", 3, (struct sockaddr *)&own, size), 3);
    assert_int_equal(cio_sock_recvfrom(fd, data, sizeof data, (struct sockaddr *)&from, &from_size),
                     3);
    assert_int_equal(from_size, sizeof from);
    assert_memory_equal(&from.sin6_addr, &own.sin6_addr, sizeof own.sin6_addr);
    assert_int_equal(from.sin6_port, own.sin6_port);
    return 0;
}

TEST(ipv6)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = cio_sock_open(AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        test_skip("no IPv6 here");
    assert_int_equal(cio_run(ipv6_main, &fd), 0);
    cio_sock_close(fd);
}

/* ---- AF_UNIX: here a sender really has to wait ---- */

struct sender {
    int fd;
    int count;
    const struct sockaddr *address;
    socklen_t size;
};

static int send_numbers(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < s->count; i++)
        assert_int_equal(cio_sock_sendto(s->fd, &i, sizeof i, s->address, s->size), sizeof i);
    return 0;
}

/* Many more than a queue holds, in order, none lost. */
static void receive_numbers(int fd, struct sender *s)
{
    cio_task *sending = cio_create_task(send_numbers, s);
    assert_int_equal(cio_sleep(0.01), 0);
    assert_false(cio_done(sending));
    for (int i = 0; i < s->count; i++) {
        int number = -1;
        assert_int_equal(cio_sock_recvfrom(fd, &number, sizeof number, NULL, NULL), sizeof number);
        assert_int_equal(number, i);
    }
    assert_int_equal(cio_await(sending), 0);
}

static int unix_main(void *arg)
{
    int *fds = arg;
    struct sender s = {.fd = fds[0], .count = test_scale(20000)};
    receive_numbers(fds[1], &s);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(a_full_queue_makes_the_sender_wait)
{
    int fds[2];
    net_pair(fds, SOCK_DGRAM);
    assert_int_equal(cio_run(unix_main, fds), 0);
}

/* A bound receiver, and a sender that is not connected to it. */
static int open_unconnected(struct sender *s, struct sockaddr_un *address)
{
    socklen_t size = sizeof *address;
    int receiver = cio_sock_open(AF_UNIX, SOCK_DGRAM, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* Bound to no name, it gets an abstract one that is free. */
    assert_int_equal(bind(receiver, (struct sockaddr *)address, sizeof address->sun_family), 0);
    assert_int_equal(getsockname(receiver, (struct sockaddr *)address, &size), 0);
    s->fd = cio_sock_open(AF_UNIX, SOCK_DGRAM, 0);
    s->address = (struct sockaddr *)address;
    s->size = size;
    return receiver;
}

static int unconnected_main(void *arg)
{
    (void)arg;
    struct sockaddr_un address;
    struct sender s = {.count = test_scale(2000)};
    int receiver = open_unconnected(&s, &address);
    receive_numbers(receiver, &s);
    cio_sock_close(s.fd);
    return cio_sock_close(receiver);
}

TEST(a_full_queue_makes_an_unconnected_sender_wait)
{
    assert_int_equal(cio_run(unconnected_main, NULL), 0);
}

/*
 * The queue is full of another's datagrams. The kernel calls an unconnected sender writable all the
 * same: the event means nothing, and yet there must be progress once there is room.
 */
static int filled_by_another_main(void *arg)
{
    (void)arg;
    struct sockaddr_un address;
    struct sender s = {.count = 3};
    int receiver = open_unconnected(&s, &address), number = 7, queued = 0;
    int other = cio_sock_open(AF_UNIX, SOCK_DGRAM, 0);
    while (sendto(other, &number, sizeof number, 0, s.address, s.size) == sizeof number)
        queued++;
    cio_task *sending = cio_create_task(send_numbers, &s);
    assert_int_equal(cio_sleep(0.01), 0);
    assert_false(cio_done(sending));
    for (int i = 0; i < queued + s.count; i++) {
        assert_int_equal(cio_sock_recv(receiver, &number, sizeof number), sizeof number);
        assert_int_equal(number, i < queued ? 7 : i - queued);
    }
    assert_int_equal(cio_await(sending), 0);
    cio_sock_close(other);
    cio_sock_close(s.fd);
    return cio_sock_close(receiver);
}

TEST(a_queue_filled_by_another_makes_an_unconnected_sender_wait)
{
    assert_int_equal(cio_run(filled_by_another_main, NULL), 0);
}
