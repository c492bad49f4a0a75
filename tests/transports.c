/*
 * Transports and protocols: the order of the calls, the end, reading paused and resumed, both kinds
 * of protocols (T59 to T63, T66).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "protocols.h"
#include "test.h"

static void say(const struct recorder *r, const char *text)
{
    assert_int_equal(send(r->peer, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void expect(const struct recorder *r, const char *text)
{
    char data[100];
    size_t size = strlen(text);
    assert_int_equal(cio_sock_recv(r->peer, data, sizeof data), (ssize_t)size);
    assert_memory_equal(data, text, size);
}

static void expect_end(const struct recorder *r)
{
    char c;
    assert_int_equal(cio_sock_recv(r->peer, &c, 1), 0);
}

static int order(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    say(&r, "early");
    assert_string_equal(noted(), ""); /* connection_made comes by call_soon */
    settle_io();
    say(&r, "late");
    settle_io();
    assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
    recorder_end(&r);
    assert_string_equal(noted(), "made data:early data:late eof lost");
    return 0;
}

TEST(t59_made_then_data_then_eof_then_lost_each_once)
{
    assert_int_equal(run_quiet(order, NULL), 0);
}

static void close_at_once(struct recorder *r)
{
    assert_int_equal(cio_transport_write(r->transport, "bye", 3), 0);
    assert_int_equal(cio_transport_close(r->transport), 0);
    assert_true(cio_transport_is_closing(r->transport));
    assert_int_equal(cio_transport_close(r->transport), 0);
    assert_int_equal(cio_transport_write(r->transport, "more", 4), CIO_ESHUTDOWN);
    note("closed");
}

static int close_in_made(void *arg)
{
    struct recorder r = {.on_made = close_at_once};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    recorder_wait(&r);
    assert_string_equal(noted(), "made closed lost");
    expect(&r, "bye");
    expect_end(&r);
    close(r.peer);
    return 0;
}

TEST(t59_close_in_connection_made)
{
    assert_int_equal(run_quiet(close_in_made, NULL), 0);
}

static int close_before_made(void *arg)
{
    bool aborts = arg != NULL;
    struct recorder r = {0};
    recorder_open(&r, &recording_protocol);
    assert_int_equal(cio_transport_write(r.transport, "bye", 3), 0);
    assert_int_equal((aborts ? cio_transport_abort : cio_transport_close)(r.transport), 0);
    assert_string_equal(noted(), "");
    recorder_wait(&r);
    assert_string_equal(noted(), "made lost");
    expect(&r, "bye"); /* it was sent at once */
    expect_end(&r);
    close(r.peer);
    return 0;
}

TEST(t59_close_before_connection_made)
{
    assert_int_equal(run_quiet(close_before_made, NULL), 0);
}

TEST(t59_abort_before_connection_made)
{
    assert_int_equal(run_quiet(close_before_made, ""), 0);
}

static char much[3000000];

/* What is queued goes out before the end, though the protocol is closed. */
static int close_flushes(void *arg)
{
    struct recorder r = {.quiet_data = true};
    static char got[sizeof much];
    size_t n = 0;
    (void)arg;
    net_fill(much, sizeof much, 1, 0);
    recorder_begin(&r);
    assert_int_equal(cio_transport_write(r.transport, much, sizeof much), 0);
    assert_true(cio_transport_unsent(r.transport) > 0);
    assert_int_equal(cio_transport_close(r.transport), 0);
    settle_io();
    assert_false(r.lost);
    for (ssize_t part = 1; part > 0; n += (size_t)part) {
        part = cio_sock_recv(r.peer, got + n, sizeof got - n + 1);
        assert_true(part >= 0);
    }
    assert_int_equal(n, sizeof much);
    net_check(got, n, 1, 0);
    recorder_end(&r);
    assert_string_equal(noted(), "made pause resume lost");
    return 0;
}

TEST(t59_close_sends_what_is_queued)
{
    assert_int_equal(run_quiet(close_flushes, NULL), 0);
}

static int abort_drops(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    recorder_begin(&r);
    assert_int_equal(cio_transport_write(r.transport, much, sizeof much), 0);
    assert_int_equal(cio_transport_abort(r.transport), 0);
    assert_int_equal(cio_transport_abort(r.transport), 0);
    assert_false(r.lost); /* by call_soon, never inside abort */
    assert_int_equal(cio_transport_unsent(r.transport), 0);
    cio_yield();
    cio_yield();
    assert_true(r.lost);
    assert_string_equal(noted(), "made pause lost");
    close(r.peer);
    return 0;
}

TEST(t59_abort_drops_what_is_queued)
{
    assert_int_equal(run_quiet(abort_drops, NULL), 0);
}

static int abort_after_close(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    recorder_begin(&r);
    assert_int_equal(cio_transport_write(r.transport, much, sizeof much), 0);
    assert_int_equal(cio_transport_close(r.transport), 0);
    settle_io();
    assert_false(r.lost);
    assert_int_equal(cio_transport_abort(r.transport), 0);
    recorder_end(&r);
    assert_string_equal(noted(), "made pause lost");
    return 0;
}

TEST(t59_abort_ends_a_close_that_waits_for_the_peer)
{
    assert_int_equal(run_quiet(abort_after_close, NULL), 0);
}

static int half_open(void *arg)
{
    struct recorder r = {.keep_open = 1};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    assert_int_equal(shutdown(r.peer, SHUT_WR), 0);
    settle_io();
    assert_string_equal(noted(), "made eof");
    assert_int_equal(cio_transport_pause_reading(r.transport), 0);
    assert_int_equal(cio_transport_resume_reading(r.transport), 0);
    settle_io(); /* once, also so */
    assert_int_equal(cio_transport_write(r.transport, "still here", 10), 0);
    expect(&r, "still here");
    assert_int_equal(cio_transport_close(r.transport), 0);
    recorder_end(&r);
    assert_string_equal(noted(), "made eof lost");
    return 0;
}

TEST(t60_a_true_eof_received_keeps_it_open_for_writing)
{
    assert_int_equal(run_quiet(half_open, NULL), 0);
}

/* ---- failures ---- */

static int reset_by_peer(void *arg)
{
    struct recorder r = {0};
    int fds[2];
    (void)arg;
    net_connected(fds, NET_TCP);
    assert_int_equal(cio_open_transport(&r.transport, fds[0], &recording_protocol, &r), 0);
    settle_io();
    net_reset(fds[1]);
    recorder_wait(&r);
    assert_string_equal(noted(), "made lost:ECONNRESET");
    return 0;
}

TEST(t61_a_reset_is_told_to_connection_lost_only)
{
    assert_int_equal(run_quiet(reset_by_peer, NULL), 0);
}

static int broken_pipe(void *arg)
{
    struct recorder r = {.keep_open = 1};
    (void)arg;
    recorder_begin(&r);
    assert_int_equal(cio_transport_pause_reading(r.transport), 0);
    close(r.peer);
    int rc = cio_transport_write(r.transport, "x", 1);
    assert_int_equal(rc, -EPIPE);
    assert_true(cio_transport_is_closing(r.transport));
    assert_false(r.lost);
    assert_int_equal(cio_transport_write(r.transport, "x", 1), CIO_ESHUTDOWN);
    recorder_wait(&r);
    assert_string_equal(noted(), "made lost:EPIPE");
    return 0;
}

TEST(t61_a_broken_pipe_is_told_to_connection_lost_only)
{
    assert_int_equal(run_quiet(broken_pipe, NULL), 0);
}

static int failing_callback(void *arg)
{
    struct recorder r = {.data_rc = -EBADMSG};
    recorder_open(&r, arg);
    say(&r, "nonsense");
    recorder_end(&r);
    assert_string_equal(noted(), "made data:nonsense lost:EBADMSG");
    return 0;
}

TEST(t61_an_error_of_a_callback_is_reported_and_aborts)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, failing_callback, (void *)&recording_protocol), 0);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.seen[0].error, -EBADMSG);
    assert_string_equal(reports.seen[0].message,
                        "fatal error: protocol.data_received() call failed");
    notes_clear();
    assert_int_equal(
        run_with_reports(&reports, failing_callback, (void *)&recording_buffered_protocol), 0);
    assert_string_equal(reports.seen[reports.n - 1].message,
                        "fatal error: protocol.buffer_updated() call failed");
}

static int failing_eof(void *arg)
{
    struct recorder r = {.keep_open = CIO_EOF};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    close(r.peer);
    recorder_wait(&r);
    assert_string_equal(noted(), "made eof lost:CIO_EOF");
    return 0;
}

TEST(t61_an_error_of_eof_received_is_reported)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, failing_eof, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.seen[0].error, CIO_EOF);
}

/* ---- the buffered protocol ---- */

static int buffered(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    recorder_open(&r, &recording_buffered_protocol);
    say(&r, "0123456789abcdefghij");
    recorder_wait_for(&r, 20);
    close(r.peer);
    recorder_wait(&r);
    assert_string_equal(noted(), "made data:0123456789abcdef data:ghij eof lost");
    return 0;
}

TEST(t62_a_buffered_protocol_is_read_into)
{
    assert_int_equal(run_quiet(buffered, NULL), 0);
}

static int no_buffer(void *arg)
{
    struct recorder r = {.no_buffer = true};
    (void)arg;
    recorder_open(&r, &recording_buffered_protocol);
    say(&r, "x");
    recorder_end(&r);
    assert_string_equal(noted(), "made lost:EINVAL");
    return 0;
}

TEST(t62_an_empty_buffer_is_a_fatal_error)
{
    struct reports reports;
    assert_int_equal(run_with_reports(&reports, no_buffer, NULL), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].message, "fatal error: protocol.get_buffer() call failed");
}

static void change_protocol(struct recorder *r, const char *data, size_t size)
{
    (void)data, (void)size;
    void *self;
    const cio_protocol *now = cio_transport_get_protocol(r->transport, &self);
    assert_ptr_equal(self, r);
    note(now == &recording_protocol ? "plain" : "buffered");
    now = now == &recording_protocol ? &recording_buffered_protocol : &recording_protocol;
    assert_int_equal(cio_transport_set_protocol(r->transport, now, r), 0);
}

static int switching(void *arg)
{
    struct recorder r = {.on_data = change_protocol};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    for (size_t i = 1; i <= 3; i++) {
        say(&r, "x");
        recorder_wait_for(&r, i);
    }
    close(r.peer);
    recorder_wait(&r);
    assert_string_equal(noted(), "made data:x plain data:x buffered data:x plain eof lost");
    return 0;
}

TEST(t62_set_protocol_between_both_kinds)
{
    assert_int_equal(run_quiet(switching, NULL), 0);
}

/* ---- reading paused ---- */

static void pause_reading(struct recorder *r)
{
    assert_true(cio_transport_is_reading(r->transport));
    assert_int_equal(cio_transport_pause_reading(r->transport), 0);
    assert_int_equal(cio_transport_pause_reading(r->transport), 0);
    assert_false(cio_transport_is_reading(r->transport));
}

static void pause_after_data(struct recorder *r, const char *data, size_t size)
{
    (void)data, (void)size;
    pause_reading(r);
}

static int pausing(void *arg)
{
    struct recorder r = {.on_made = pause_reading, .on_data = pause_after_data};
    (void)arg;
    recorder_open(&r, &recording_protocol);
    say(&r, "one");
    settle_io();
    assert_string_equal(noted(), "made"); /* honoured before the first read */
    assert_int_equal(cio_transport_resume_reading(r.transport), 0);
    assert_int_equal(cio_transport_resume_reading(r.transport), 0);
    recorder_wait_for(&r, 3);
    say(&r, "two");
    close(r.peer);
    settle_io();
    assert_string_equal(noted(), "made data:one"); /* nor is the end seen */
    assert_int_equal(cio_transport_resume_reading(r.transport), 0);
    recorder_wait_for(&r, 6);
    assert_false(r.lost);
    assert_int_equal(cio_transport_resume_reading(r.transport), 0);
    recorder_wait(&r);
    assert_string_equal(noted(), "made data:one data:two eof lost");
    return 0;
}

TEST(t63_paused_it_reads_nothing_and_sees_no_end)
{
    assert_int_equal(run_quiet(pausing, NULL), 0);
}

static int pause_between_event_and_call(void *arg)
{
    struct recorder r = {0};
    (void)arg;
    recorder_begin(&r);
    say(&r, "x");
    cio_time(NULL);
    cio_wait_readable(cio_transport_fd(r.transport)); /* the event has come; we run first or last */
    cio_transport_pause_reading(r.transport);
    size_t before = r.received;
    settle_io();
    assert_int_equal(r.received, before);
    cio_transport_resume_reading(r.transport);
    recorder_wait_for(&r, 1);
    cio_transport_abort(r.transport);
    recorder_end(&r);
    return 0;
}

TEST(t63_paused_after_the_event_and_before_the_call)
{
    assert_int_equal(run_quiet(pause_between_event_and_call, NULL), 0);
}

/* ---- its descriptor is its own ---- */

static void never(void *arg)
{
    (void)arg;
    fail();
}

static int watched(void *arg)
{
    struct recorder r = {0}, other = {0};
    cio_handle handle = {0};
    cio_loop *loop = cio_get_running_loop();
    int fds[2];
    (void)arg;
    recorder_open(&r, &recording_protocol);
    int fd = cio_transport_fd(r.transport);
    assert_int_equal(cio_add_reader(loop, fd, &handle, never, NULL), CIO_ESTATE);
    assert_int_equal(cio_add_writer(loop, fd, &handle, never, NULL), CIO_ESTATE);
    assert_int_equal(cio_open_transport(NULL, fd, &recording_protocol, &other), CIO_ESTATE);
    cio_transport_close(r.transport);
    recorder_end(&r);

    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_add_reader(loop, fds[0], &handle, never, NULL), 0);
    assert_int_equal(cio_open_transport(NULL, fds[0], &recording_protocol, &r), CIO_ESTATE);
    assert_int_equal(cio_remove_reader(loop, fds[0]), 1);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t66_a_transports_descriptor_cannot_be_watched)
{
    assert_int_equal(run_quiet(watched, NULL), 0);
}

static int names(void *arg)
{
    struct recorder r = {0};
    struct sockaddr_in ours, theirs, name;
    socklen_t size = sizeof ours;
    int fds[2];
    (void)arg;
    net_connected(fds, NET_TCP_OWN);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&ours, &size), 0);
    assert_int_equal(getpeername(fds[0], (struct sockaddr *)&theirs, &size), 0);
    assert_int_equal(cio_open_transport(&r.transport, fds[0], &recording_protocol, &r), 0);
    assert_int_equal(cio_transport_fd(r.transport), fds[0]);
    assert_int_equal(cio_transport_sock_name(r.transport, (struct sockaddr *)&name, &size), 0);
    assert_memory_equal(&name, &ours, sizeof name);
    settle_io();
    net_reset(fds[1]);
    cio_transport_pause_reading(r.transport);
    size = sizeof name;
    assert_int_equal(cio_transport_peer_name(r.transport, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(size, sizeof name);
    assert_memory_equal(&name, &theirs, sizeof name);
    cio_transport_abort(r.transport);
    recorder_wait(&r);
    return 0;
}

TEST(t73_names_also_after_the_peer_is_gone)
{
    assert_int_equal(run_quiet(names, NULL), 0);
}

/* ---- life ---- */

static int leave_open(void *arg)
{
    struct recorder *r = arg;
    recorder_begin(r);
    return 0;
}

TEST(a_transport_left_open_is_reported_and_given_back)
{
    struct reports reports;
    struct recorder r = {0};
    assert_int_equal(run_with_reports(&reports, leave_open, &r), 0);
    assert_int_equal(reports.n, 1);
    assert_string_equal(reports.seen[0].message, "transport was never closed");
    assert_false(r.lost);
    close(r.peer);
}

static int nulls(void *arg)
{
    static const cio_protocol none;
    (void)arg;
    int fds[2];
    cio_transport *t;
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_open_transport(&t, fds[0], NULL, NULL), -EINVAL);
    assert_int_equal(cio_open_transport(&t, -1, &none, NULL), -EBADF);
    assert_int_equal(cio_open_transport(&t, 9999, &none, NULL), -EBADF);
    assert_null(t);
    assert_int_equal(cio_open_transport(&t, fds[0], &none, NULL), 0);
    assert_int_equal(send(fds[1], "x", 1, 0), 1);
    settle_io();
    assert_int_equal(cio_transport_write(t, NULL, 1), -EINVAL);
    assert_int_equal(cio_transport_write(t, NULL, 0), 0);
    assert_int_equal(cio_transport_writev(t, NULL, 1), -EINVAL);
    assert_int_equal(cio_transport_write(NULL, "x", 1), -EINVAL);
    assert_int_equal(cio_transport_writev(NULL, NULL, 0), -EINVAL);
    assert_int_equal(cio_transport_write_eof(NULL), -EINVAL);
    assert_int_equal(cio_transport_close(NULL), -EINVAL);
    assert_int_equal(cio_transport_abort(NULL), -EINVAL);
    assert_true(cio_transport_is_closing(NULL));
    assert_int_equal(cio_transport_pause_reading(NULL), -EINVAL);
    assert_int_equal(cio_transport_resume_reading(NULL), -EINVAL);
    assert_false(cio_transport_is_reading(NULL));
    assert_int_equal(cio_transport_set_water(NULL, 1, 1), -EINVAL);
    assert_int_equal(cio_transport_get_water(t, NULL, NULL), -EINVAL);
    assert_int_equal(cio_transport_unsent(NULL), 0);
    assert_int_equal(cio_transport_set_protocol(t, NULL, NULL), -EINVAL);
    assert_null(cio_transport_get_protocol(NULL, NULL));
    assert_int_equal(cio_transport_peer_name(t, NULL, NULL), -EINVAL);
    assert_int_equal(cio_transport_sock_name(NULL, NULL, NULL), -EINVAL);
    assert_int_equal(cio_transport_fd(NULL), -EINVAL);
    close(fds[1]); /* no callback at all: it closes itself at the end */
    settle_io();
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    return 0;
}

TEST(bad_input_and_no_callbacks)
{
    int fds[2];
    static const cio_protocol none;
    net_pair(fds, SOCK_STREAM);
    assert_int_equal(cio_open_transport(NULL, fds[0], &none, NULL), CIO_ENOLOOP);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(run_quiet(nulls, NULL), 0);
}

/* ---- connecting ---- */

struct place {
    char port[8];
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int listener;
};

static int connecting(void *arg)
{
    struct place *p = arg;
    struct recorder r = {0};
    cio_transport *t;
    assert_int_equal(cio_create_connection(&t, &recording_protocol, &r, "127.0.0.1", p->port, NULL),
                     0);
    assert_ptr_equal(t, r.transport);
    assert_string_equal(noted(), "made");
    r.peer = cio_sock_accept(p->listener, NULL, NULL);
    say(&r, "hello");
    recorder_wait_for(&r, 5);
    cio_transport_close(t);
    recorder_wait(&r);
    assert_int_equal(cio_sock_close(r.peer), 0);

    notes_clear();
    r = (struct recorder){.on_made = close_at_once};
    assert_int_equal(cio_create_connection(&t, &recording_protocol, &r, "127.0.0.1", p->port, NULL),
                     -ECONNABORTED);
    assert_null(t);
    assert_string_equal(noted(), "made closed lost");

    r = (struct recorder){0};
    assert_int_equal(cio_create_connection(&t, NULL, &r, "127.0.0.1", p->port, NULL), -EINVAL);
    assert_int_equal(cio_create_connection(&t, &recording_protocol, &r, NULL, "no service", NULL),
                     CIO_EAI_SERVICE);
    assert_int_equal(cio_sock_close(p->listener), 0);
    assert_int_equal(cio_create_connection(&t, &recording_protocol, &r, "127.0.0.1", p->port, NULL),
                     -ECONNREFUSED);
    assert_false(r.made);
    return 0;
}

TEST(create_connection)
{
    struct place p;
    struct sockaddr_in address;
    p.listener = net_listen(&address, 10);
    snprintf(p.port, sizeof p.port, "%d", ntohs(address.sin_port));
    assert_int_equal(run_quiet(connecting, &p), 0);
}

static int connect_task(void *arg)
{
    struct recorder *r = arg;
    char port[8];
    snprintf(port, sizeof port, "%d", r->peer);
    return cio_create_connection(NULL, &recording_protocol, r, "127.0.0.1", port, NULL);
}

/* Canceled after so many turns, at each of its waits: nothing of it is left. */
static int cancel_connecting(void *arg)
{
    struct sockaddr_in address;
    (void)arg;
    for (int turns = 0; turns < 12; turns++) {
        int listener = net_listen(&address, 10);
        struct recorder r = {.peer = ntohs(address.sin_port)};
        cio_task *task = cio_create_task(connect_task, &r);
        for (int i = 0; i < turns; i++)
            cio_yield();
        int pending = cio_cancel(task);
        int rc = cio_await(task);
        assert_int_equal(rc, pending ? CIO_ECANCELED : 0);
        if (rc == 0)
            cio_transport_abort(r.transport);
        settle_io();
        assert_int_equal(r.made, r.lost);
        cio_sock_close(listener);
    }
    return 0;
}

TEST(create_connection_canceled)
{
    assert_int_equal(run_quiet(cancel_connecting, NULL), 0);
}
