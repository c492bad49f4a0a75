/*
 * Behind the ready ring: when it is full and there is no memory for a larger one, handles wait in a
 * list whose link lies where a handle has its place among those that wait for a descriptor. Who
 * leaves that list, by being canceled or by its turn, must find its place in no ring.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "memory.h"
#include "net.h"
#include "protocols.h"
#include "test.h"

enum { CALLS_MOST = 4096 };

/* Calls that fill the ring; each notes that it ran, and they run in order. */
static struct {
    cio_handle handles[CALLS_MOST];
    int n;
    int ran;
} calls;

static void note_call(void *arg)
{
    assert_int_equal((int)(intptr_t)arg, calls.ran);
    calls.ran++;
}

static void queue_call(void)
{
    cio_handle *handle = &calls.handles[calls.n];
    assert_true(calls.n < CALLS_MOST);
    assert_int_equal(cio_call_soon(cio__running, handle, note_call, (void *)(intptr_t)calls.n++),
                     0);
}

static unsigned state_of(const cio_handle *handle)
{
    return cio__handle_state(handle) & ~(unsigned)CIO__WATCH;
}

/* There is no memory from now on, and the ring is full. */
static void fill_ring(void)
{
    memory_lacks();
    do
        queue_call();
    while (state_of(&calls.handles[calls.n - 1]) != CIO__OVERFLOW);
}

/* The kernel says that fd is readable. */
static void tell_readable(int fd)
{
    const struct cio__file *file = cio__file_find(cio__running, fd);
    assert_non_null(file);
    struct cio__event event = {.tag = (uint64_t)file->generation << 32 | (uint32_t)fd,
                               .readiness = CIO__READABLE};
    cio__file_event(cio__running, &event);
}

/* Memory is there again: everything runs. */
static void run_all(void)
{
    memory_returns();
    for (int i = 0; calls.ran < calls.n && i < 10; i++)
        assert_int_equal(cio_yield(), 0);
    assert_int_equal(calls.ran, calls.n);
    calls.ran = calls.n = 0;
}

/* A turn runs in its order however long it takes: else the rings grow to let others go first. */
static void run_without_memory(cio_coroutine *fn)
{
    const cio_run_options options = {.loop = {.turn_budget = CIO_FOREVER}};
    memory_begin();
    assert_int_equal(cio_run_with(&options, fn, NULL), 0);
    memory_end();
}

/* ---- handles of transports: their places are in rings ---- */

enum { CONNECTIONS = 5 };
static struct recorder recorders[CONNECTIONS];

static void open_transports(void)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        recorders[i].quiet_data = true;
        recorder_open(&recorders[i], &recording_protocol);
    }
    settle_io();
}

/* The calls of all transports stand behind the ring, with others between. */
static void overflow_with_transports(void)
{
    fill_ring();
    for (int i = 0; i < CONNECTIONS; i++) {
        cio_transport *t = recorders[i].transport;
        net_write(recorders[i].peer, "x", 1);
        tell_readable(cio_transport_fd(t));
        if (i % 2)
            queue_call();
    }
}

static void expect_received(size_t n, unsigned except)
{
    for (int i = 0; i < CONNECTIONS; i++)
        if (!(except & 1u << i))
            recorder_wait_for(&recorders[i], n);
}

static void close_transports(void)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        cio_transport_close(recorders[i].transport);
        recorder_wait(&recorders[i]);
        close(recorders[i].peer);
    }
}

/* Takes those of the mask out of the list, and has them listen again. */
static void pause_and_resume(unsigned mask)
{
    overflow_with_transports();
    for (int i = 0; i < CONNECTIONS; i++)
        if (mask & 1u << i)
            cio_transport_pause_reading(recorders[i].transport);
    run_all();
    expect_received(mask + 1, mask); /* as many rounds there were */
    for (int i = 0; i < CONNECTIONS; i++)
        if (mask & 1u << i)
            assert_int_equal(cio_transport_resume_reading(recorders[i].transport), 0);
}

/* Each combination: the first, the last, neighbours, all, none. */
static int leaves_the_list(void *arg)
{
    (void)arg;
    open_transports();
    for (unsigned mask = 0; mask < 1u << CONNECTIONS; mask++) {
        pause_and_resume(mask);
        expect_received(mask + 1, 0);
    }
    close_transports();
    return 0;
}

TEST(a_transport_is_paused_while_its_call_stands_behind_the_ring)
{
    run_without_memory(leaves_the_list);
}

static int closes_behind_the_ring(void *arg)
{
    (void)arg;
    open_transports();
    overflow_with_transports();
    for (int i = 0; i < CONNECTIONS; i += 2)
        cio_transport_abort(recorders[i].transport);
    run_all();
    for (int i = 0; i < CONNECTIONS; i += 2)
        recorder_wait(&recorders[i]);
    expect_received(1, 1u << 0 | 1u << 2 | 1u << 4);
    for (int i = 1; i < CONNECTIONS; i += 2) {
        cio_transport_close(recorders[i].transport);
        recorder_wait(&recorders[i]);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(recorders[i].peer);
    return 0;
}

TEST(a_transport_is_closed_while_its_call_stands_behind_the_ring)
{
    run_without_memory(closes_behind_the_ring);
}

/* ---- a task that waits for a descriptor ---- */

static int receives(void *arg)
{
    char byte;
    return (int)cio_sock_recv(*(int *)arg, &byte, 1);
}

/* Its turn comes, and it leaves the ring of those who wait once more. */
static int waits_behind_the_ring(void *arg)
{
    int a[2], b[2];
    (void)arg;
    net_pair(a, SOCK_STREAM);
    net_pair(b, SOCK_STREAM);
    cio_task *tasks[] = {cio_create_task(receives, &a[0]), cio_create_task(receives, &b[0])};
    settle_io();
    for (int i = 0; i < 2; i++)
        assert_int_equal(cio_wait(&tasks[i], 1, CIO_ALL_COMPLETED, 0), 0);
    fill_ring();
    net_write(a[1], "x", 1);
    net_write(b[1], "x", 1);
    tell_readable(a[0]);
    tell_readable(b[0]);
    cio_cancel(tasks[1]); /* it is on its way, and stays there */
    queue_call();
    run_all();
    assert_int_equal(cio_await(tasks[0]), 1);
    assert_int_equal(cio_await(tasks[1]), CIO_ECANCELED); /* late: the byte is still there */
    for (int i = 0; i < 2; i++)
        assert_false(cio__file_awaited(cio__file_find(cio__running, i ? b[0] : a[0]), CIO__READ));
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    return 0;
}

TEST(a_task_that_waits_for_a_descriptor_is_woken_behind_the_ring)
{
    run_without_memory(waits_behind_the_ring);
}

/* ---- a watch: it has no place, and its descriptor's number lies there ---- */

static void count_call(void *arg)
{
    ++*(int *)arg;
}

static int watches_behind_the_ring(void *arg)
{
    int fds[2], called = 0;
    cio_handle watch = {0};
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_add_reader(cio__running, fds[0], &watch, count_call, &called), 0);
    settle_io();
    fill_ring();
    tell_readable(fds[0]);
    assert_int_equal(state_of(&watch), CIO__OVERFLOW);
    queue_call();
    run_all();
    assert_int_equal(called, 1);

    fill_ring();
    tell_readable(fds[0]);
    queue_call();
    assert_int_equal(state_of(&watch), CIO__OVERFLOW);
    assert_true(cio_handle_cancel(&watch)); /* by the number that it remembers */
    assert_false(cio_handle_pending(&watch));
    run_all();
    assert_int_equal(called, 1);
    assert_int_equal(cio_remove_reader(cio__running, fds[0]), 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(a_watch_behind_the_ring_is_called_and_canceled)
{
    run_without_memory(watches_behind_the_ring);
}
