/* libuv, in the way its users get the most out of it. It has no tasks: callbacks stand for them where they can. */
#include "mailbox.h"
#include "subject.h"
#include "uv_threads.h"
#include "uv_udp.h"
#include "wake.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void check(int rc, const char *what)
{
    if (rc < 0)
        subject_fail("%s: %s", what, uv_strerror(rc));
}

/* N idle callbacks: a "hop" is one call, and a turn of the loop is shared by the N. */

static struct lockstep lockstep;

struct hopper {
    uv_idle_t idle;
    long step;
};

static void hop(uv_idle_t *idle)
{
    struct hopper *h = (struct hopper *)idle;
    if (h->step == WARM_STEPS)
        lockstep_begin(&lockstep);
    if (h->step++ < WARM_STEPS + lockstep.steps)
        return;
    uv_idle_stop(idle);
    lockstep_end(&lockstep);
}

static void bench_switch(long n)
{
    uv_loop_t *loop = uv_default_loop();
    struct hopper *hoppers = calloc((size_t)n, sizeof *hoppers);
    lockstep = lockstep_for(n, n == 1 ? 300000 : 3000000);
    for (long i = 0; i < n; i++) {
        uv_idle_init(loop, &hoppers[i].idle);
        uv_idle_start(&hoppers[i].idle, hop);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    subject_value("time", lockstep_ns(&lockstep));
    free(hoppers);
}

/* Timers */

static void never(uv_timer_t *timer)
{
    (void)timer;
}

static void bench_timer(long n)
{
    enum { STEPS = 3000000 };
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t *live = calloc((size_t)n + 1, sizeof *live);
    uv_timer_t *timer = &live[n];
    for (long i = 0; i < n; i++) {
        uv_timer_init(loop, &live[i]);
        uv_timer_start(&live[i], never, 1000000 + (uint64_t)(i * 7919 % 1000003), 0);
    }
    uv_timer_init(loop, timer);
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++) {
        uv_timer_start(timer, never, 2000000 + (uint64_t)(i & 1023), 0);
        uv_timer_stop(timer);
    }
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS);
    free(live);
}

static void bench_clock(long n)
{
    enum { STEPS = 3000000 };
    (void)n;
    uint64_t sum = 0;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < STEPS; i++)
        sum += uv_hrtime();
    subject_value("time", (double)(cpu_ns() - begin_ns) / STEPS + (sum == 1));
}

/* A million timers, the callbacks' twin of a million sleeping tasks. */
static void bench_sleep(long n)
{
    uv_loop_t *loop = uv_default_loop();
    double empty = resident_bytes();
    int64_t begin_ns = cpu_ns();
    uv_timer_t *timers = calloc((size_t)n, sizeof *timers);
    for (long i = 0; i < n; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], never, (uint64_t)sleeper_delay_ms(i), 0);
    }
    double parked = resident_bytes();
    uv_run(loop, UV_RUN_DEFAULT);
    subject_value("cpu", (double)(cpu_ns() - begin_ns) / (double)n);
    subject_value("resident", (parked - empty) / (double)n);
    free(timers);
}

/* Wakes. uv_async_send() coalesces and carries nothing, so a call needs a list beside it. */

struct mailed {
    struct wake wake;
    struct mailbox box;
    struct letter letters[WAKE_IN_FLIGHT];
    uv_async_t async;
    int (*arrived)(struct wake *);
};

static void post_letter(struct wake *w, long i)
{
    struct mailed *m = (struct mailed *)w;
    mailbox_put(&m->box, &m->letters[i % WAKE_IN_FLIGHT]);
    uv_async_send(&m->async);
}

static void read_letters(uv_async_t *async)
{
    struct mailed *m = async->data;
    struct letter *next;
    for (struct letter *l = mailbox_take(&m->box); l; l = next) {
        next = l->next; /* read first: once it has arrived, the other thread may post it again */
        if (m->arrived(&m->wake))
            uv_close((uv_handle_t *)async, NULL);
    }
}

static void run_mailed(void (*start)(struct wake *), int (*arrived)(struct wake *))
{
    static struct mailed m;
    uv_loop_t *loop = uv_default_loop();
    m.wake.post = post_letter;
    m.arrived = arrived;
    m.async.data = &m;
    mailbox_init(&m.box);
    check(uv_async_init(loop, &m.async, read_letters), "uv_async_init");
    start(&m.wake);
    uv_run(loop, UV_RUN_DEFAULT);
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

/* uv_async_send() alone: what one send costs the sender while the loop takes them, many as one. */

static atomic_bool sent_all;
static double send_ns;

static void seen(uv_async_t *async)
{
    if (atomic_load(&sent_all))
        uv_close((uv_handle_t *)async, NULL);
}

static void *send_many(void *arg)
{
    uv_async_t *async = arg;
    pin_thread(1);
    int64_t begin_ns = wall_ns();
    for (long i = 0; i < WAKE_BURST; i++)
        uv_async_send(async);
    send_ns = (double)(wall_ns() - begin_ns) / WAKE_BURST;
    atomic_store(&sent_all, true);
    uv_async_send(async);
    return NULL;
}

static void bench_wake_send(long n)
{
    (void)n;
    uv_async_t async;
    pthread_t thread;
    pin_thread(0);
    check(uv_async_init(uv_default_loop(), &async, seen), "uv_async_init");
    if (pthread_create(&thread, NULL, send_many, &async) != 0)
        subject_fail("pthread_create");
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    subject_value("time", send_ns);
}

/* The echo server: one buffer for all reads; writes go at once, and only what the socket refuses is copied and queued. */

static char shared_buffer[65536];

struct late_write {
    uv_write_t request;
    uv_buf_t rest;
    char bytes[];
};

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void wrote_late(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void write_later(uv_stream_t *stream, const char *bytes, size_t n)
{
    struct late_write *w = malloc(sizeof *w + n);
    memcpy(w->bytes, bytes, n);
    w->rest = uv_buf_init(w->bytes, (unsigned)n);
    check(uv_write(&w->request, stream, &w->rest, 1, wrote_late), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    if (n < 0) {
        uv_close((uv_handle_t *)stream, closed);
        return;
    }
    uv_buf_t all = uv_buf_init(buffer->base, (unsigned)n);
    int done = uv_try_write(stream, &all, 1);
    if (done < 0 && done != UV_EAGAIN)
        uv_close((uv_handle_t *)stream, closed);
    else if (done < n)
        write_later(stream, buffer->base + (done > 0 ? done : 0),
                    (size_t)(n - (done > 0 ? done : 0)));
}

static void on_connection(uv_stream_t *listener, int status)
{
    check(status, "listen");
    uv_tcp_t *c = malloc(sizeof *c);
    uv_tcp_init(listener->loop, c);
    check(uv_accept(listener, (uv_stream_t *)c), "uv_accept");
    uv_tcp_nodelay(c, 1);
    uv_read_start((uv_stream_t *)c, give_buffer, on_read);
}

static void bench_echo(long n)
{
    (void)n;
    uv_tcp_t listener;
    uv_tcp_init(uv_default_loop(), &listener);
    check(uv_tcp_open(&listener, subject_listen()), "uv_tcp_open");
    check(uv_listen((uv_stream_t *)&listener, 4096, on_connection), "uv_listen");
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        {"switch", bench_switch},
        {"timer-at", bench_timer},
        {"clock", bench_clock},
        {"sleep", bench_sleep},
        {"wake-burst", bench_wake_burst},
        {"wake-send", bench_wake_send},
        {"wake-pingpong", bench_wake_pingpong},
        {"thread-round-trip", bench_thread_round_trip},
        {"thread-jobs", bench_thread_jobs},
        {"lookup-number", bench_lookup_number},
        {"lookup-name", bench_lookup_name},
        {"echo", bench_echo},
        {"echo-udp", bench_echo_udp},
        {"sink-udp", bench_sink_udp},
        {NULL, NULL},
    };
    return subject_main(modes, argc, argv);
}
