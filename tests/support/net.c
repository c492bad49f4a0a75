#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

/* With less, TCP over loopback, whose packets are large, creeps along by its persist timer. */
enum { TCP_BUFFER = 16384 };

static const struct sockaddr_in any_loopback_port = {.sin_family = AF_INET};

static void bind_loopback(int fd, struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    *address = any_loopback_port;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
}

int net_listen(struct sockaddr_in *address, int backlog)
{
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    bind_loopback(fd, address);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int net_udp(struct sockaddr_in *address)
{
    int fd = cio_sock_open(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    bind_loopback(fd, address);
    return fd;
}

void net_pair(int fds[2], int type)
{
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

int net_connect_blocking(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

void net_tcp_pair(int fds[2])
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    net_set_blocking(listener, true);
    fds[0] = net_connect_blocking(&address);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    net_set_blocking(fds[0], false);
    net_set_blocking(fds[1], false);
    cio_sock_close(listener);
}

static void own_pair(int fds[2], int listener, const struct sockaddr *address, socklen_t size)
{
    fds[0] = cio_sock_open(address->sa_family, SOCK_STREAM, 0);
    assert_int_equal(cio_sock_connect(fds[0], address, size), 0);
    fds[1] = cio_sock_accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    assert_int_equal(cio_sock_close(listener), 0);
}

static void own_tcp_pair(int fds[2])
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    own_pair(fds, listener, (struct sockaddr *)&address, sizeof address);
}

static void own_unix_pair(int fds[2])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address;
    int listener = cio_sock_open(AF_UNIX, SOCK_STREAM, 0);
    /* Bound to no name, it gets an abstract one that is free. */
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address.sun_family), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(listener, 1), 0);
    own_pair(fds, listener, (struct sockaddr *)&address, size);
}

void net_connected(int fds[2], enum net_kind kind)
{
    switch (kind) {
    case NET_UNIX: net_pair(fds, SOCK_STREAM); break;
    case NET_TCP: net_tcp_pair(fds); break;
    case NET_UNIX_OWN: own_unix_pair(fds); break;
    case NET_TCP_OWN: own_tcp_pair(fds); break;
    case NET_KINDS: fail();
    }
}

static int recv_byte(void *arg)
{
    char c;
    return (int)cio_sock_recv(*(int *)arg, &c, 1);
}

/* Has a task wait on the descriptor, so that the loop knows it from now on. */
static void make_known(int *fd, int peer)
{
    cio_task *waiting = cio_create_task(recv_byte, fd);
    assert_non_null(waiting);
    net_settle();
    assert_false(cio_done(waiting));
    assert_int_equal(cio_sock_sendall(peer, "k", 1), 0);
    assert_int_equal(cio_await(waiting), 1);
}

struct on_kind {
    enum net_kind kind;
    bool known;
    int (*fn)(int fds[2]);
};

static int run_on_kind(void *arg)
{
    struct on_kind *on = arg;
    int fds[2];
    net_connected(fds, on->kind);
    if (on->known) {
        make_known(&fds[0], fds[1]);
        make_known(&fds[1], fds[0]);
    }
    return on->fn(fds);
}

void net_run_on(enum net_kind first, enum net_kind last, int (*fn)(int fds[2]))
{
    static const char *const names[] = {"unix", "tcp", "unix, own", "tcp, own"};
    for (enum net_kind kind = first; kind <= last; kind++) {
        for (int known = 0; known < 2; known++) {
            printf("on %s%s\n", names[kind], known ? ", known" : "");
            fflush(stdout);
            assert_int_equal(cio_run(run_on_kind, &(struct on_kind){kind, known, fn}), 0);
        }
    }
}

void net_run_on_all(int (*fn)(int fds[2]))
{
    net_run_on(NET_UNIX, NET_TCP_OWN, fn);
}

void net_set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);
    assert_true(flags >= 0);
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

void net_small_buffers(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
    int bytes = domain == AF_UNIX ? 1 : TCP_BUFFER;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
}

void net_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(cio_sock_close(fd), 0);
}

void net_write(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        assert_true(n > 0);
        p += n;
        size -= (size_t)n;
    }
}

size_t net_read(int fd, void *data, size_t size)
{
    char *p = data;
    size_t got = 0;
    while (got < size) {
        ssize_t n = recv(fd, p + got, size - got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        assert_true(n >= 0);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return got;
}

static uint8_t stream_byte(uint32_t seed, size_t i)
{
    uint32_t x = ((uint32_t)i + seed * 7919) * 2654435761u;
    return (uint8_t)(x >> 17);
}

void net_fill(void *data, size_t size, uint32_t seed, size_t offset)
{
    uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        bytes[i] = stream_byte(seed, offset + i);
}

void net_check(const void *data, size_t size, uint32_t seed, size_t offset)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != stream_byte(seed, offset + i))
            fail_msg("stream %u: wrong byte at position %zu", seed, offset + i);
    }
}

size_t net_random(uint32_t *state, size_t max)
{
    uint32_t x = *state ? *state : 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x % max + 1;
}

void net_settle(void)
{
    for (int i = 0; i < 4; i++)
        assert_int_equal(cio_yield(), 0);
}
