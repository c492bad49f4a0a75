/* The load of the echo benches: `bench_load PID PORT SECONDS CONNECTIONS BYTES [IN-FLIGHT]`, and of those of HTTP, where
 * an argument more, `http:PATH`, says which file of BYTES bytes is asked for.
 *
 * Each connection keeps one request in flight or, if a number is given, that many of them do at a time, in turn.
 * Every byte that comes back is compared. The server's cost is read from its processor clock (user and system time) at
 * both ends of the window, so that starting up and accepting cost it nothing and it needs no code for being measured.
 */
#include "pattern.h"
#include "subject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATTERN_SHIFTS = 251, MAX_EVENTS = 512, INCOMING = 1 << 18 };

struct connection {
    int fd;
    unsigned shift; /* this request is the pattern from here on */
    size_t sent;
    size_t received;
    bool wants_write;
    struct connection *next; /* of those whose turn it is not */
};

static size_t message_bytes;   /* of the body; an echo is nothing else */
static char request[512];      /* HTTP: what is sent instead of the pattern */
static size_t request_bytes;   /* what is sent */
static size_t head_bytes;      /* and comes before the body */
static unsigned char *pattern; /* message_bytes + PATTERN_SHIFTS pseudo-random bytes */
static unsigned char *incoming;
static int epoll_fd;
static long answered;
static struct connection *idle_first, **idle_end = &idle_first;
static clockid_t server_clock;

static void make_pattern(void)
{
    pattern = malloc(message_bytes + PATTERN_SHIFTS);
    incoming = malloc(INCOMING);
    if (pattern)
        pattern_fill(pattern, message_bytes + PATTERN_SHIFTS);
}

static void watch(struct connection *c, int operation)
{
    struct epoll_event e = {.events = EPOLLIN | (c->wants_write ? (uint32_t)EPOLLOUT : 0),
                            .data = {.ptr = c}};
    if (epoll_ctl(epoll_fd, operation, c->fd, &e) < 0)
        subject_fail("epoll_ctl: %s", strerror(errno));
}

static void send_more(struct connection *c)
{
    const void *from = request[0] ? (void *)request : pattern + c->shift;
    ssize_t n = send(c->fd, (char *)from + c->sent, request_bytes - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        subject_fail("send: %s", strerror(errno));
    c->sent += n > 0 ? (size_t)n : 0;
    bool wants_write = c->sent < request_bytes;
    if (wants_write != c->wants_write) {
        c->wants_write = wants_write;
        watch(c, EPOLL_CTL_MOD);
    }
}

static void next_request(struct connection *c)
{
    c->shift = request[0] ? 0 : (c->shift + 1) % PATTERN_SHIFTS;
    c->sent = 0;
    c->received = 0;
    send_more(c);
}

static void wait_for_turn(struct connection *c)
{
    c->next = NULL;
    *idle_end = c;
    idle_end = &c->next;
}

/* The connection that has been idle longest. */
static struct connection *take_turn(void)
{
    struct connection *c = idle_first;
    idle_first = c->next;
    if (!idle_first)
        idle_end = &idle_first;
    return c;
}

/* Bytes of an answer from where it has come to. Of a head only the beginning is looked at. */
static bool is_right(const struct connection *c, size_t n)
{
    static const char good[] = "HTTP/1.1 200 OK\r\n";
    size_t head = c->received < head_bytes ? head_bytes - c->received : 0;
    if (c->received == 0 && head &&
        (n < sizeof good || memcmp(incoming, good, sizeof good - 1) != 0))
        return false;
    if (head >= n)
        return true;
    return memcmp(incoming + head, pattern + c->shift + c->received + head - head_bytes,
                  n - head) == 0;
}

static void receive(struct connection *c)
{
    size_t whole = head_bytes + message_bytes, left = whole - c->received;
    ssize_t n = recv(c->fd, incoming, left < INCOMING ? left : INCOMING, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        subject_fail("the server hung up: %s", n < 0 ? strerror(errno) : "end of file");
    if (!is_right(c, (size_t)n))
        subject_fail("the server sent back something else");
    c->received += (size_t)n;
    if (c->received < whole)
        return;
    answered++;
    wait_for_turn(c);
    next_request(take_turn());
}

static void connect_all(struct connection *all, int n, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
            subject_fail("connection %d: %s", i, strerror(errno));
        fcntl(fd, F_SETFL, O_NONBLOCK);
        subject_nodelay(fd);
        all[i] = (struct connection){.fd = fd, .shift = (unsigned)i % PATTERN_SHIFTS};
        watch(&all[i], EPOLL_CTL_ADD);
    }
}

/* The first answer tells how long all heads are: they differ in the date, if at all. */
static void learn_head(int port)
{
    struct connection c = {0};
    char *end = NULL;
    size_t size = 0;
    connect_all(&c, 1, port);
    send_more(&c);
    while (!end && size < INCOMING - 1) {
        ssize_t n = recv(c.fd, incoming + size, INCOMING - 1 - size, 0);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n <= 0)
            subject_fail("no answer to the first request");
        size += (size_t)n;
        incoming[size] = 0;
        end = strstr((char *)incoming, "\r\n\r\n");
    }
    if (!end)
        subject_fail("the first answer has no head");
    head_bytes = (size_t)(end - (char *)incoming) + 4;
    close(c.fd);
}

/* Serves the connections until the wall clock says so. */
static void drive(int64_t until_ns)
{
    struct epoll_event events[MAX_EVENTS];
    while (wall_ns() < until_ns) {
        int n = epoll_wait(epoll_fd, events, MAX_EVENTS, 1000);
        if (n == 0)
            subject_fail("no answer for a second");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_more(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(c);
        }
    }
}

static int64_t server_ns(void)
{
    struct timespec t;
    if (clock_gettime(server_clock, &t) < 0)
        subject_fail("the server's clock: %s", strerror(errno));
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void measure_window(double seconds)
{
    int64_t window_ns = (int64_t)(seconds * 1e9);
    drive(wall_ns() + window_ns / 3); /* warm: windows, buffers, branch predictors */
    long answered_before = answered;
    int64_t cpu_before_ns = server_ns();
    int64_t begin_ns = wall_ns();
    drive(begin_ns + window_ns);
    int64_t end_ns = wall_ns();
    double cpu_us = (double)(server_ns() - cpu_before_ns) / 1e3;
    double requests = (double)(answered - answered_before);
    if (requests == 0)
        subject_fail("not one request was answered");
    subject_value("cpu", cpu_us / requests);
    subject_value("rate", requests / ((double)(end_ns - begin_ns) / 1e9));
}

static void ask_for(const char *path)
{
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    request_bytes = strlen(request);
}

int main(int argc, char **argv)
{
    const char *path = argc > 6 && strncmp(argv[argc - 1], "http:", 5) == 0 ? argv[--argc] + 5
                                                                            : NULL;
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: %s PID PORT SECONDS CONNECTIONS BYTES [IN-FLIGHT] [http:PATH]\n",
                argv[0]);
        return 2;
    }
    int n = atoi(argv[4]);
    int in_flight = argc == 7 ? atoi(argv[6]) : n;
    message_bytes = request_bytes = (size_t)atol(argv[5]);
    if (n < 1 || message_bytes < 1 || in_flight < 1 || in_flight > n)
        subject_fail(
            "connections and bytes must be positive, and no more in flight than connections");
    int rc = clock_getcpuclockid((pid_t)atoi(argv[1]), &server_clock);
    if (rc != 0)
        subject_fail("the server's clock: %s", strerror(rc));
    make_pattern();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc((size_t)n, sizeof *all);
    if (!pattern || !incoming || !all || epoll_fd < 0)
        subject_fail("out of memory or descriptors");
    if (path) {
        ask_for(path);
        learn_head(atoi(argv[2]));
    }
    connect_all(all, n, atoi(argv[2]));
    for (int i = 0; i < n; i++)
        wait_for_turn(&all[i]);
    for (int i = 0; i < in_flight; i++)
        next_request(take_turn());
    measure_window(atof(argv[3]));
    return 0;
}
