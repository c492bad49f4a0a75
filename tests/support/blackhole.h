/*
 * Addresses of this machine at one port that behave in different ways: nobody listens, somebody
 * does, or a queue is full, so that a connection is neither accepted nor refused.
 */
#ifndef CIO_TESTS_BLACKHOLE_H
#define CIO_TESTS_BLACKHOLE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

enum { PLACES_MOST = 64 };

static struct places {
    int port;
    char service[8];
    int fds[PLACES_MOST];
    int n;
} places;

static inline socklen_t place_address(const char *host, struct sockaddr_in6 *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)places.port);
        return sizeof *in;
    }
    assert_int_equal(inet_pton(AF_INET6, host, &address->sin6_addr), 1);
    address->sin6_family = AF_INET6;
    address->sin6_port = htons((uint16_t)places.port);
    return sizeof *address;
}

static inline int place_keep(int fd)
{
    assert_true(fd >= 0 && places.n < PLACES_MOST);
    return places.fds[places.n++] = fd;
}

/* The port is taken here: nobody listens. The first call of all chooses the port. */
static inline int place_refuse(const char *host)
{
    struct sockaddr_in6 address;
    socklen_t size = place_address(host, &address);
    int fd = place_keep(socket(address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int on = 1;
    if (address.sin6_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) != 0)
        test_skip("an address or a port of this machine cannot be had");
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    places.port = ntohs(address.sin6_port);
    snprintf(places.service, sizeof places.service, "%d", places.port);
    return fd;
}

static inline int place_listen(const char *host)
{
    int fd = place_refuse(host);
    assert_int_equal(listen(fd, 100), 0);
    return fd;
}

/* Whether a connection to it stays undecided. */
static inline bool place_hangs(const char *host)
{
    struct sockaddr_in6 address;
    socklen_t size = place_address(host, &address);
    int fd = place_keep(socket(address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    connect(fd, (struct sockaddr *)&address, size);
    return poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 50) == 0;
}

/* Its queue is full. */
static inline int place_hang(const char *host)
{
    int fd = place_refuse(host), tries = 0;
    assert_int_equal(listen(fd, 0), 0);
    while (!place_hangs(host))
        assert_true(++tries < 10);
    return fd;
}

static inline void places_close(void)
{
    for (int i = 0; i < places.n; i++)
        if (places.fds[i] >= 0)
            close(places.fds[i]);
    places = (struct places){0};
}

static inline bool place_has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

/* What was tried, as one line: "127.0.0.1:ECONNREFUSED ::1:OK". */
static inline const char *report_line(const cio_connect_report *report)
{
    static char line[2000];
    size_t length = 0;
    line[0] = 0;
    for (size_t i = 0; i < report->n && i < report->room; i++) {
        const cio_connect_attempt *a = &report->attempts[i];
        char host[NI_MAXHOST];
        assert_int_equal(cio_getnameinfo((const struct sockaddr *)&a->address, a->address_size,
                                         host, sizeof host, NULL, 0, NI_NUMERICHOST),
                         0);
        length += (size_t)snprintf(line + length, sizeof line - length, "%s%s:%s", i ? " " : "",
                                   host, cio_err_name(a->rc));
    }
    return line;
}

#endif
