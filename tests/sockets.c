/* Sockets that do what they should: open, accept, connect, receive, and see the end. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

static void assert_flags(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* ---- Opening, accepting, connecting ---- */

TEST(open_and_close_work_outside_a_loop)
{
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_flags(fd);
    assert_int_equal(cio_sock_close(fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(cio_sock_close(fd), -EBADF);
}

struct server {
    int listener;
    struct sockaddr_in address;
    int rc;
};

static int accept_one(void *arg)
{
    struct server *s = arg;
    return s->rc = cio_sock_accept(s->listener, NULL, NULL);
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(cio_sock_connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

static int accept_main(void *arg)
{
    (void)arg;
    struct server s = {0};
    s.listener = net_listen(&s.address, 8);
    int client = connect_to(&s.address);

    struct sockaddr_in peer, own;
    socklen_t size = sizeof peer, own_size = sizeof own;
    int fd = cio_sock_accept(s.listener, (struct sockaddr *)&peer, &size);
    assert_true(fd >= 0);
    assert_flags(fd);
    assert_int_equal(size, sizeof peer);
    assert_int_equal(getsockname(client, (struct sockaddr *)&own, &own_size), 0);
    assert_memory_equal(&peer, &own, sizeof peer);

    cio_sock_close(fd);
    cio_sock_close(client);
    cio_sock_close(s.listener);
    return 0;
}

TEST(accept_gives_the_peer_and_a_nonblocking_descriptor)
{
    assert_int_equal(cio_run(accept_main, NULL), 0);
}

/* T67: nobody is there yet, so accept waits, and a later connection wakes it. */
static int accept_waits_main(void *arg)
{
    (void)arg;
    struct server s = {0};
    s.listener = net_listen(&s.address, 8);
    cio_task *accepting = cio_create_task(accept_one, &s);
    assert_non_null(accepting);
    net_settle();
    assert_false(cio_done(accepting));

    int client = connect_to(&s.address);
    int fd = cio_await(accepting);
    assert_true(fd >= 0);
    assert_int_equal(cio_sock_sendall(client, "x", 1), 0);
    char c = 0;
    assert_int_equal(cio_sock_recv(fd, &c, 1), 1);
    assert_int_equal(c, 'x');

    cio_sock_close(fd);
    cio_sock_close(client);
    cio_sock_close(s.listener);
    return 0;
}

TEST(accept_waits_for_a_connection)
{
    assert_int_equal(cio_run(accept_waits_main, NULL), 0);
}

/* ---- Reading ---- */

static int short_reads(int fds[2])
{
    char data[16] = "";
    assert_int_equal(cio_sock_sendall(fds[0], "0123456789", 10), 0);
    assert_int_equal(cio_sock_recv(fds[1], data, 4), 4);
    assert_memory_equal(data, "0123", 4);
    assert_int_equal(cio_sock_recv(fds[1], data, 4), 4);
    assert_memory_equal(data, "4567", 4);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 2);
    assert_memory_equal(data, "89", 2);

    /* The short read has shown it empty; new data must be noticed all the same. */
    assert_int_equal(cio_sock_sendall(fds[0], "ab", 2), 0);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 2);
    assert_memory_equal(data, "ab", 2);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    return 0;
}

TEST(recv_returns_what_is_there)
{
    net_run_on_all(short_reads);
}

static int recv_into(int fds[2])
{
    char a[3], b[1], c[8];
    struct iovec buffers[] = {{a, sizeof a}, {b, sizeof b}, {c, sizeof c}};
    assert_int_equal(cio_sock_sendall(fds[0], "abcdefg", 7), 0);
    assert_int_equal(cio_sock_recv_into(fds[1], buffers, 3), 7);
    assert_memory_equal(a, "abc", 3);
    assert_memory_equal(b, "d", 1);
    assert_memory_equal(c, "efg", 3);

    assert_int_equal(cio_sock_sendall(fds[0], "12345", 5), 0);
    assert_int_equal(cio_sock_recv_into(fds[1], buffers, 2), 4); /* full: one is left */
    assert_memory_equal(a, "123", 3);
    assert_memory_equal(b, "4", 1);
    assert_int_equal(cio_sock_recv_into(fds[1], buffers, 1), 1);
    assert_int_equal(a[0], '5');
    cio_sock_close(fds[0]);
    assert_int_equal(cio_sock_recv_into(fds[1], buffers, 3), 0);
    cio_sock_close(fds[1]);
    return 0;
}

TEST(recv_into_fills_the_buffers_in_order)
{
    net_run_on_all(recv_into);
}

/*
 * Data and the end arrive together, before the first call: the short read shows the data, but the
 * end is there too, and no further event will tell of it.
 */
static int eof(int fds[2])
{
    char data[64];
    net_write(fds[0], "end", 3);
    cio_sock_close(fds[0]);
    assert_int_equal(cio_sleep(0.01), 0); /* the events are taken in before the first call */
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 3);
    assert_memory_equal(data, "end", 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 0);
    cio_sock_close(fds[1]);
    return 0;
}

TEST(eof_after_data)
{
    net_run_on_all(eof);
}

/* The same, but the descriptor is known to the loop already. */
static int eof_known(int fds[2])
{
    char data[64];
    assert_int_equal(cio_sock_sendall(fds[0], "a", 1), 0);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 1);
    assert_int_equal(cio_sock_sendall(fds[0], "end", 3), 0);
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    assert_int_equal(cio_sleep(0.01), 0); /* the events are taken in before the call */
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 3);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 0);

    /* Half closed: the other way still works. */
    assert_int_equal(cio_sock_sendall(fds[1], "reply", 5), 0);
    assert_int_equal(cio_sock_recv(fds[0], data, sizeof data), 5);
    assert_memory_equal(data, "reply", 5);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    return 0;
}

TEST(half_close)
{
    net_run_on_all(eof_known);
}

/* A short read does not always mean that nothing is left: here the kernel stops at a boundary. */
static int boundary(int fds[2])
{
    char data[64], all[64] = "";
    size_t got = 0;
    assert_int_equal(cio_sleep(0.01), 0); /* the events are taken in before the first call */
    while (got < 5) {
        ssize_t n = cio_sock_recv(fds[1], data, sizeof data);
        assert_true(n > 0);
        memcpy(all + got, data, (size_t)n);
        got += (size_t)n;
    }
    assert_memory_equal(all, "abcef", 5);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
    return 0;
}

/* The kernel stops before the urgent byte, which only MSG_OOB would give. */
static int urgent(int fds[2])
{
    net_write(fds[0], "abc", 3);
    if (send(fds[0], "d", 1, MSG_OOB) != 1)
        test_skip("no urgent data on such sockets");
    net_write(fds[0], "ef", 2);
    return boundary(fds);
}

TEST(short_read_at_urgent_data_is_not_the_last_tcp)
{
    net_run_on(NET_TCP, NET_TCP, urgent);
    net_run_on(NET_TCP_OWN, NET_TCP_OWN, urgent);
}

TEST(short_read_at_urgent_data_is_not_the_last_unix)
{
    net_run_on(NET_UNIX, NET_UNIX, urgent);
    net_run_on(NET_UNIX_OWN, NET_UNIX_OWN, urgent);
}

static int passed_descriptors(int fds[2])
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &fds[0], sizeof(int));
    struct iovec text = {.iov_base = "abc", .iov_len = 3};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    assert_int_equal(sendmsg(fds[0], &message, 0), 3);
    net_write(fds[0], "ef", 2);
    return boundary(fds);
}

TEST(short_read_at_passed_descriptors_is_not_the_last)
{
    net_run_on(NET_UNIX, NET_UNIX, passed_descriptors);
    net_run_on(NET_UNIX_OWN, NET_UNIX_OWN, passed_descriptors);
}

static int seqpacket_main(void *arg)
{
    int *fds = arg;
    char data[64];
    assert_int_equal(cio_sock_sendall(fds[0], "one", 3), 0);
    assert_int_equal(cio_sock_sendall(fds[0], "three", 5), 0);
    assert_int_equal(cio_sock_sendall(fds[0], "x", 1), 0);
    /* Each is a short read, yet the next is there. */
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 3);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 5);
    assert_memory_equal(data, "three", 5);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 1);
    close(fds[0]);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 0);
    close(fds[1]);
    return 0;
}

TEST(seqpacket_keeps_boundaries)
{
    int fds[2];
    net_pair(fds, SOCK_SEQPACKET);
    assert_int_equal(cio_run(seqpacket_main, fds), 0);
}

/* What one loop learned about a descriptor is nothing to the next loop. */
static int ping_main(void *arg)
{
    int *fds = arg;
    char data[8];
    assert_int_equal(cio_sock_sendall(fds[0], "ping", 4), 0);
    assert_int_equal(cio_sock_recv(fds[1], data, sizeof data), 4);
    assert_int_equal(cio_sock_sendall(fds[1], "pong", 4), 0);
    assert_int_equal(cio_sock_recv(fds[0], data, sizeof data), 4);
    return 0;
}

TEST(a_descriptor_outlives_its_loop)
{
    int fds[2];
    net_tcp_pair(fds);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_run(ping_main, fds), 0);
    cio_sock_close(fds[0]);
    cio_sock_close(fds[1]);
}
