/* Datagrams for protocols: what is called, in which order, and what errors are (T57, T59, T74). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "test.h"

struct recorder {
    cio_datagram *d;
    bool lost;
    int received;
    int rc;         /* what datagram_received returns */
    int close_at;   /* closes when so many came */
    bool close_now; /* in connection_made */
    bool echoes;
};

static void made(void *self, cio_datagram *d)
{
    struct recorder *r = self;
    r->d = d;
    note("made");
    if (r->close_now)
        cio_datagram_close(d);
}

static int received(void *self, const void *data, size_t size, const struct sockaddr *from,
                    socklen_t from_size)
{
    struct recorder *r = self;
    assert_false(r->lost);
    if (size < 10)
        note("data:%.*s", (int)size, (const char *)data);
    r->received++;
    if (r->echoes)
        assert_int_equal(cio_datagram_send_nowait(r->d, data, size, from, from_size), 0);
    if (r->received == r->close_at)
        cio_datagram_close(r->d);
    return r->rc;
}

static void error(void *self, int rc)
{
    (void)self;
    note("error:%s", cio_err_name(rc));
}

static void pause_writing(void *self)
{
    (void)self;
    note("pause");
}

static void resume_writing(void *self)
{
    (void)self;
    note("resume");
}

static void lost(void *self, int rc)
{
    struct recorder *r = self;
    assert_false(r->lost);
    assert_int_equal(rc, 0);
    note("lost");
    r->lost = true;
}

static const cio_datagram_protocol recording = {made,          received,       error,
                                                pause_writing, resume_writing, lost};

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_sleep(0.001), 0);
}

static void wait_lost(const struct recorder *r)
{
    while (!r->lost)
        assert_int_equal(cio_sleep(0.001), 0);
}

/* Loopback has delivered when a send returns; the loop has to hear of it yet. */
static void wait_received(const struct recorder *r, int n)
{
    while (r->received < n)
        assert_int_equal(cio_sleep(0.001), 0);
}

/* A connected plain peer. */
static int open_with_peer(struct recorder *r, const cio_datagram_protocol *protocol)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    cio_datagram *d;
    const cio_datagram_options here = {.local_host = "127.0.0.1", .local_service = "0"};
    assert_int_equal(cio_create_datagram_endpoint(&d, protocol, r, &here), 0);
    assert_int_equal(cio_datagram_sock_name(d, (struct sockaddr *)&address, &size), 0);
    r->d = d;
    int peer = cio_sock_open(AF_INET, SOCK_DGRAM, 0);
    assert_true(peer >= 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, size), 0);
    return peer;
}

static int order(void *arg)
{
    struct recorder r = {0};
    char c;
    (void)arg;
    notes_clear();
    int peer = open_with_peer(&r, &recording);
    assert_string_equal(noted(), "made"); /* before the call returned */
    assert_int_equal(send(peer, "one", 3, 0), 3);
    assert_int_equal(send(peer, "", 0, 0), 0);
    assert_int_equal(send(peer, "two", 3, 0), 3);
    wait_received(&r, 3);
    assert_int_equal(cio_datagram_receive(r.d, &c, 1, NULL, NULL), CIO_ESTATE);
    r.close_at = 4;
    assert_int_equal(send(peer, "three", 5, 0), 5);
    assert_int_equal(send(peer, "late", 4, 0), 4);
    wait_lost(&r);
    assert_string_equal(noted(), "made data:one data: data:two data:three lost");
    return cio_sock_close(peer);
}

TEST(t74_t59_a_protocol_hears_each_datagram_and_the_end_last)
{
    assert_int_equal(run_quiet(order, NULL), 0);
}

static int ends(void *arg)
{
    struct recorder r = {.close_now = true};
    (void)arg;
    cio_datagram *d;
    const cio_datagram_options any = {.family = AF_INET};
    notes_clear();
    assert_int_equal(cio_create_datagram_endpoint(NULL, &recording, &r, &any), -ECONNABORTED);
    wait_lost(&r);
    assert_string_equal(noted(), "made lost");
    r = (struct recorder){0};
    assert_int_equal(cio_create_datagram_endpoint(&d, &recording, &r, &any), 0);
    assert_int_equal(cio_datagram_abort(d), 0);
    assert_int_equal(cio_datagram_abort(d), 0);
    assert_int_equal(cio_datagram_close(d), 0);
    assert_int_equal(cio_datagram_send_nowait(d, "x", 1, NULL, 0), CIO_ESHUTDOWN);
    assert_false(r.lost); /* never inside a call */
    wait_lost(&r);
    static const cio_datagram_protocol deaf;
    int peer = open_with_peer(&r, &deaf);
    assert_int_equal(send(peer, "x", 1, 0), 1);
    settle();
    assert_int_equal(cio_datagram_close(r.d), 0);
    settle();
    assert_int_equal(cio_create_datagram_endpoint(&d, NULL, &r, &any), -EINVAL);
    assert_int_equal(cio_create_datagram_endpoint(&d, &recording, &r, NULL), -EINVAL);
    return cio_sock_close(peer);
}

TEST(t59_the_end_of_an_endpoint)
{
    assert_int_equal(run_quiet(ends, NULL), 0);
    assert_int_equal(
        cio_create_datagram_endpoint(NULL, &recording, NULL, &(cio_datagram_options){.family = 2}),
        CIO_ENOTASK);
}

static int create_task(void *arg)
{
    const cio_datagram_options any = {.family = AF_INET};
    return cio_create_datagram_endpoint(NULL, &recording, arg, &any);
}

static int canceled(void *arg)
{
    (void)arg;
    for (int turns = 0; turns < 3; turns++) {
        struct recorder r = {0};
        cio_task *creating = cio_create_task(create_task, &r);
        for (int i = 0; i < turns; i++)
            assert_int_equal(cio_yield(), 0);
        cio_cancel(creating);
        int rc = cio_await(creating);
        if (rc == 0)
            cio_datagram_close(r.d);
        else
            assert_int_equal(rc, CIO_ECANCELED);
        if (turns > 0)
            wait_lost(&r);
    }
    return 0;
}

TEST(an_endpoint_whose_making_is_canceled)
{
    assert_int_equal(run_quiet(canceled, NULL), 0);
}

/* Nobody listens: that is told, and it goes on. */
static int refused(void *arg)
{
    struct recorder r = {0}, other = {0};
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char port[10];
    (void)arg;
    int peer = open_with_peer(&other, &recording);
    assert_int_equal(getsockname(peer, (struct sockaddr *)&address, &size), 0);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    cio_sock_close(peer);
    cio_datagram_close(other.d);
    wait_lost(&other);
    notes_clear();
    const cio_datagram_options there = {.remote_host = "127.0.0.1", .remote_service = port};
    assert_int_equal(cio_create_datagram_endpoint(NULL, &recording, &r, &there), 0);
    assert_int_equal(cio_datagram_send_nowait(r.d, "x", 1, NULL, 0), 0);
    settle();
    assert_string_equal(noted(), "made error:ECONNREFUSED");
    cio_datagram_close(r.d);
    wait_lost(&r);
    return 0;
}

TEST(t74_connection_refused_goes_to_error_received)
{
    assert_int_equal(run_quiet(refused, NULL), 0);
}

/* A queue that fills and empties: paused once, resumed once, nothing lost, and then the close. */
static int water(void *arg)
{
    struct recorder r = {0};
    int queued = 0;
    char name[60], data[1000] = {0};
    (void)arg;
    snprintf(name, sizeof name, "@cio-test-%d", (int)getpid());
    cio_datagram *target;
    assert_int_equal(cio_datagram_open(&target, &(cio_datagram_options){.local_path = name}), 0);
    notes_clear();
    const cio_datagram_options there = {.remote_path = name};
    assert_int_equal(cio_create_datagram_endpoint(NULL, &recording, &r, &there), 0);
    while (cio_datagram_send_nowait(r.d, data, sizeof data, NULL, 0) == 0)
        queued++;
    assert_int_equal(cio_datagram_send_nowait(r.d, data, sizeof data, NULL, 0), -EAGAIN);
    assert_true(cio_datagram_unsent(r.d) > 50);
    assert_string_equal(noted(), "made pause");
    cio_datagram_close(r.d);
    settle();
    assert_false(r.lost);
    for (int i = 0; i < queued; i++)
        assert_int_equal(cio_datagram_receive(target, data, sizeof data, NULL, NULL), 1000);
    wait_lost(&r);
    assert_string_equal(noted(), "made pause resume lost");
    return cio_datagram_close(target);
}

TEST(t57_a_protocol_is_paused_and_resumed_and_closes_behind_its_queue)
{
    assert_int_equal(run_quiet(water, NULL), 0);
}

/* What a callback returns is reported, and it goes on; what it sends leaves. */
static int failing(void *arg)
{
    struct recorder r = {.rc = -EIO, .echoes = true};
    char data[10];
    (void)arg;
    int peer = open_with_peer(&r, &recording);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send(peer, "hello", 5, 0), 5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cio_sock_recv(peer, data, sizeof data), 5);
    assert_int_equal(r.received, 3);
    cio_datagram_close(r.d);
    wait_lost(&r);
    return cio_sock_close(peer);
}

static int reports;

static void count_report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    assert_int_equal(context->error, -EIO);
    reports++;
}

TEST(an_error_of_datagram_received_is_reported_and_it_goes_on)
{
    cio_run_options options = {.exception_handler = count_report};
    assert_int_equal(cio_run_with(&options, failing, NULL), 0);
    assert_int_equal(reports, 3);
}
