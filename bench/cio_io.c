/* Ourselves: wakes from another thread, and the echo server. */
#include "subject.h"
#include "subject_cio.h"
#include "wake.h"

#include <stdlib.h>

/* Wakes: cio_call_soon_threadsafe() carries a call, so nothing is needed beside it. */

struct waking {
    struct wake wake;
    cio_loop *loop;
    cio_future *finished;
    cio_handle handles[WAKE_IN_FLIGHT];
    cio_callback *arrived;
    void (*start)(struct wake *);
};

static void post_call(struct wake *w, long i)
{
    struct waking *k = (struct waking *)w;
    cio_handle *h = &k->handles[i % WAKE_IN_FLIGHT];
    check(cio_call_soon_threadsafe(k->loop, h, k->arrived, k), "cio_call_soon_threadsafe");
}

static void finish(struct waking *k)
{
    check(cio_set_result(k->finished, 0, NULL), "cio_set_result");
}

static void arrived_burst(void *arg)
{
    struct waking *k = arg;
    if (wake_arrived_burst(&k->wake))
        finish(k);
}

static void arrived_pingpong(void *arg)
{
    struct waking *k = arg;
    if (wake_arrived_pingpong(&k->wake))
        finish(k);
}

static int wake_main(void *arg)
{
    struct waking *k = arg;
    k->loop = cio_get_running_loop();
    k->finished = cio_future_new();
    k->wake.post = post_call;
    k->start(&k->wake);
    check(cio_await(k->finished), "cio_await");
    wake_finish(&k->wake);
    return 0;
}

void bench_wake_burst(long n)
{
    static struct waking k = {.start = wake_start_burst, .arrived = arrived_burst};
    (void)n;
    run_main(wake_main, &k);
}

void bench_wake_pingpong(long n)
{
    static struct waking k = {.start = wake_start_pingpong, .arrived = arrived_pingpong};
    (void)n;
    run_main(wake_main, &k);
}

/*
 * The echo server: a task for each connection. Buffers are taken from a pool when there is something to
 * read, as libuv's allocation callback does it, so that a thousand idle connections share a warm one.
 */

struct buffer {
    struct buffer *next;
    _Alignas(64) char bytes[65536]; /* the kernel copies faster to where a cache line begins */
};

static struct buffer *idle_buffers;

static struct buffer *take_buffer(void)
{
    struct buffer *b = idle_buffers;
    if (b)
        idle_buffers = b->next;
    else if (!(b = aligned_alloc(_Alignof(struct buffer), sizeof *b)))
        subject_fail("out of memory");
    return b;
}

static void give_buffer(struct buffer *b)
{
    b->next = idle_buffers;
    idle_buffers = b;
}

/* Returns how much was echoed, 0 at the end, or an error. */
static ssize_t echo_once(int fd)
{
    int rc = cio_wait_readable(fd);
    if (rc < 0)
        return rc;
    struct buffer *b = take_buffer();
    ssize_t n = cio_sock_recv(fd, b->bytes, sizeof b->bytes);
    if (n > 0 && (rc = cio_sock_sendall(fd, b->bytes, (size_t)n)) < 0)
        n = rc;
    give_buffer(b);
    return n;
}

static int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    while (echo_once(fd) > 0)
        continue;
    return cio_sock_close(fd);
}

static int listen_main(void *arg)
{
    int listener = subject_listen();
    int fd;
    (void)arg;
    while ((fd = cio_sock_accept(listener, NULL, NULL)) >= 0) {
        subject_nodelay(fd);
        start_detached(serve, (void *)(intptr_t)fd);
    }
    return fd;
}

void bench_echo(long n)
{
    (void)n;
    run_main(listen_main, NULL);
}
