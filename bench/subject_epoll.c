/* The hand-written limit: what one writes for a single purpose on bare epoll. */
#include "subject_epoll.h"

#include "mailbox.h"
#include "subject.h"
#include "wake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void bench_clock(long n)
{
    enum { STEPS = 3000000 };
    (void)n;
    int64_t sum = 0;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++)
        sum += wall_ns();
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS + (sum == 1));
}

static int new_epoll(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        subject_fail("epoll_create1: %s", strerror(errno));
    return fd;
}

static void watch(int epoll, int operation, int fd, uint32_t events, void *what)
{
    struct epoll_event e = {.events = events, .data = {.ptr = what}};
    if (epoll_ctl(epoll, operation, fd, &e) < 0)
        subject_fail("epoll_ctl: %s", strerror(errno));
}

/* Wakes: a locked list and an eventfd, written only when the list was empty. */

struct mailed {
    struct wake wake;
    struct mailbox box;
    struct letter letters[WAKE_IN_FLIGHT];
    int event_fd;
};

static void post_letter(struct wake *w, long i)
{
    struct mailed *m = (struct mailed *)w;
    uint64_t one = 1;
    if (mailbox_put(&m->box, &m->letters[i % WAKE_IN_FLIGHT]) &&
        write(m->event_fd, &one, sizeof one) < 0)
        subject_fail("eventfd: %s", strerror(errno));
}

/* Whether the last has arrived. */
static int read_letters(struct mailed *m, int (*arrived)(struct wake *))
{
    int last = 0;
    struct letter *next;
    for (struct letter *l = mailbox_take(&m->box); l; l = next) {
        next = l->next;
        last |= arrived(&m->wake);
    }
    return last;
}

static void run_mailed(void (*start)(struct wake *), int (*arrived)(struct wake *))
{
    static struct mailed m;
    struct epoll_event e;
    uint64_t count;
    int epoll = new_epoll();
    m.wake.post = post_letter;
    m.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    mailbox_init(&m.box);
    watch(epoll, EPOLL_CTL_ADD, m.event_fd, EPOLLIN, NULL);
    start(&m.wake);
    do {
        if (epoll_wait(epoll, &e, 1, -1) < 0 || read(m.event_fd, &count, sizeof count) < 0)
            continue;
    } while (!read_letters(&m, arrived));
    wake_finish(&m.wake);
}

static void bench_wake_burst(long n)
{
    (void)n;
    run_mailed(wake_start_burst, wake_arrived_burst);
}

static void bench_wake_pingpong(long n)
{
    (void)n;
    run_mailed(wake_start_pingpong, wake_arrived_pingpong);
}

/* The echo server: level-triggered, many events a call, one buffer for all, write where you read. */

struct connection {
    int fd;
    size_t pending; /* bytes that the socket refused; while there are any, nothing is read */
    size_t sent;    /* of them */
    char *bytes;
};

static char shared_buffer[65536];

static void drop(struct connection *c)
{
    close(c->fd);
    free(c->bytes);
    free(c);
}

static void keep_rest(int epoll, struct connection *c, const char *bytes, size_t n)
{
    c->bytes = malloc(n);
    memcpy(c->bytes, bytes, n);
    c->pending = n;
    c->sent = 0;
    watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
}

static void send_rest(int epoll, struct connection *c)
{
    ssize_t n = send(c->fd, c->bytes + c->sent, c->pending - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        drop(c);
        return;
    }
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent < c->pending)
        return;
    free(c->bytes);
    c->bytes = NULL;
    c->pending = 0;
    watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

static void echo_once(int epoll, struct connection *c)
{
    ssize_t n = recv(c->fd, shared_buffer, sizeof shared_buffer, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    ssize_t sent = send(c->fd, shared_buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent == n)
        return;
    if (sent < 0 && errno != EAGAIN) {
        drop(c);
        return;
    }
    sent = sent > 0 ? sent : 0;
    keep_rest(epoll, c, shared_buffer + sent, (size_t)(n - sent));
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        subject_nodelay(fd);
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void bench_echo(long n)
{
    (void)n;
    int listener = subject_listen();
    int epoll = new_epoll();
    struct epoll_event events[512];
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(epoll, listener);
            else if (c->pending)
                send_rest(epoll, c);
            else
                echo_once(epoll, c);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        {"switch", bench_switch},
        {"switch-deep", bench_switch_deep},
        {"clock", bench_clock},
        {"wake-burst", bench_wake_burst},
        {"wake-pingpong", bench_wake_pingpong},
        {"lookup-number", bench_lookup_number},
        {"lookup-name", bench_lookup_name},
        {"echo", bench_echo},
        {"echo-udp", bench_echo_udp},
        {"sink-udp", bench_sink_udp},
#ifdef BENCH_TLS
        {"echo-tls", bench_echo_tls},
#endif
        {NULL, NULL},
    };
    return subject_main(modes, argc, argv);
}
