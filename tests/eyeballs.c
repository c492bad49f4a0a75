/* Which address is tried when: by a clock of the test's own, so to the millisecond. */
#include <errno.h>

#include "blackhole.h"
#include "fake_clock.h"
#include <cio/names.h>

#include "io/address.h"
#include "io/eyeballs.h"
#include "journal.h"
#include "test.h"

struct plan {
    const char *hosts;
    const char *local;
    cio_connect_options options;
    int rc;
};

static struct addrinfo *list(const char *hosts, const char *service)
{
    struct addrinfo *all = NULL, hints = {.ai_socktype = SOCK_STREAM};
    char text[400], *rest = NULL;
    snprintf(text, sizeof text, "%s", hosts);
    for (char *host = strtok_r(text, " ", &rest); host; host = strtok_r(NULL, " ", &rest)) {
        struct addrinfo *one;
        assert_int_equal(cio_getaddrinfo(host, service, &hints, &one), 0);
        if (all)
            cio__addresses_append(all, one);
        else
            all = one;
    }
    return all;
}

static int note_connect(struct cio__os *os, int fd, const struct sockaddr *address, socklen_t size)
{
    char host[NI_MAXHOST];
    cio_getnameinfo(address, size, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    note("%d:%s", (int)(fake.now_ns / MS) - 1000, host);
    return fake.real->connect(os, fd, address, size);
}

static int64_t answer_ns; /* how long the network takes */

/* Loopback takes a moment: before time goes by, what is under way has arrived. */
static int patient_poll(struct cio__os *os, int64_t timeout_ns, struct cio__event *events, int n)
{
    int64_t patience_ns = timeout_ns == CIO__WAIT_FOREVER ? CIO__WAIT_FOREVER : 100 * MS;
    int got = fake.real->poll(os, timeout_ns ? patience_ns : 0, events, n);
    fake.now_ns += got == 0 ? timeout_ns : answer_ns;
    return got;
}

static int connect_by_plan(void *arg)
{
    struct plan *plan = arg;
    struct addrinfo *peers = list(plan->hosts, places.service);
    struct addrinfo *local = plan->local ? list(plan->local, "0") : NULL;
    int fds = test_count_fds();
    cio__interleave(peers, &plan->options);
    plan->rc = cio__connect_any(peers, local, &plan->options);
    if (plan->rc >= 0) {
        cio_sock_close(plan->rc);
        plan->rc = 0;
    }
    assert_int_equal(test_count_fds(), fds); /* the others are closed already */
    cio_freeaddrinfo(peers);
    cio_freeaddrinfo(local);
    return 0;
}

static cio_loop *new_patient_loop(void)
{
    cio_loop *loop = new_fake_loop(0);
    fake.ops.connect = note_connect;
    fake.ops.poll = patient_poll;
    return loop;
}

/* What was tried and when, as one line; how it ended is in plan->rc. */
static const char *tried(struct plan *plan)
{
    cio_loop *loop = new_patient_loop();
    notes_clear();
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, connect_by_plan, plan);
    assert_int_equal(cio_run_until_complete(loop, task), 0);
    cio_loop_free(loop);
    return noted();
}

static const char *tried_with(const char *hosts, cio_connect_options options, int rc)
{
    struct plan plan = {.hosts = hosts, .options = options};
    const char *line = tried(&plan);
    if (plan.rc != rc)
        print_error("%s: %s, not %s\n", hosts, cio_err_name(plan.rc), cio_err_name(rc));
    assert_int_equal(plan.rc, rc);
    return line;
}

static const cio_connect_options defaults, one_by_one = {.happy_eyeballs_delay = CIO_FOREVER};

/* ---- when ---- */

TEST(next_one_after_the_delay)
{
    place_hang("127.0.0.1");
    place_hang("127.0.0.2");
    place_listen("127.0.0.3");
    place_listen("127.0.0.4");
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4", defaults, 0),
                        "0:127.0.0.1 250:127.0.0.2 500:127.0.0.3");
    cio_connect_options slower = {.happy_eyeballs_delay = 2};
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2 127.0.0.4", slower, 0),
                        "0:127.0.0.1 2000:127.0.0.2 4000:127.0.0.4");
    places_close();
}

TEST(next_one_at_once_after_a_failure)
{
    place_refuse("127.0.0.1");
    place_refuse("127.0.0.2");
    place_hang("127.0.0.3");
    place_listen("127.0.0.4");
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2 127.0.0.4", defaults, 0),
                        "0:127.0.0.1 0:127.0.0.2 0:127.0.0.4");
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2 127.0.0.4", one_by_one, 0),
                        "0:127.0.0.1 0:127.0.0.2 0:127.0.0.4");
    /* a failure of the second brings the third forward, while the first is still undecided */
    assert_string_equal(tried_with("127.0.0.3 127.0.0.1 127.0.0.4", defaults, 0),
                        "0:127.0.0.3 250:127.0.0.1 250:127.0.0.4");
    places_close();
}

/* The delay counts from the last beginning, however it came about. */
TEST(delay_begins_anew_with_every_attempt)
{
    place_hang("127.0.0.1");
    place_refuse("127.0.0.2");
    place_hang("127.0.0.3");
    place_listen("127.0.0.4");
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4", defaults, 0),
                        "0:127.0.0.1 250:127.0.0.2 250:127.0.0.3 500:127.0.0.4");
    places_close();
}

TEST(first_success_ends_it)
{
    place_listen("127.0.0.1");
    place_listen("127.0.0.2");
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2", defaults, 0), "0:127.0.0.1");
    cio_connect_options at_once = {.happy_eyeballs_delay = 1e-9};
    assert_string_equal(tried_with("127.0.0.2 127.0.0.1", at_once, 0), "0:127.0.0.2");
    places_close();
}

TEST(delay_begins_anew_after_a_late_failure)
{
    place_refuse("127.0.0.1");
    place_hang("127.0.0.2");
    place_listen("127.0.0.3");
    answer_ns = 100 * MS;
    assert_string_equal(tried_with("127.0.0.1 127.0.0.2 127.0.0.3", defaults, 0),
                        "0:127.0.0.1 100:127.0.0.2 350:127.0.0.3");
    places_close();
}

/* ---- in which order ---- */

static const char *order_with(const char *hosts, double delay, int interleave)
{
    cio_connect_options options = {.happy_eyeballs_delay = delay, .interleave = interleave};
    return tried_with(hosts, options, -ECONNREFUSED);
}

TEST(t68_families_take_turns)
{
    if (!place_has_ipv6())
        test_skip("no IPv6");
    place_refuse("127.0.0.1");
    place_refuse("127.0.0.2");
    place_refuse("127.0.0.3");
    place_refuse("::1");
    const char *mixed = "127.0.0.1 127.0.0.2 127.0.0.3 ::1";
    assert_string_equal(order_with(mixed, 0, 0), "0:127.0.0.1 0:::1 0:127.0.0.2 0:127.0.0.3");
    assert_string_equal(order_with(mixed, 0, 1), "0:127.0.0.1 0:::1 0:127.0.0.2 0:127.0.0.3");
    assert_string_equal(order_with(mixed, 0, 2), "0:127.0.0.1 0:127.0.0.2 0:::1 0:127.0.0.3");
    assert_string_equal(order_with(mixed, 0, 9), "0:127.0.0.1 0:127.0.0.2 0:127.0.0.3 0:::1");
    assert_string_equal(order_with(mixed, 0, -1), "0:127.0.0.1 0:127.0.0.2 0:127.0.0.3 0:::1");
    /* off, the order is the one that was found, unless another is wished */
    assert_string_equal(order_with(mixed, CIO_FOREVER, 0),
                        "0:127.0.0.1 0:127.0.0.2 0:127.0.0.3 0:::1");
    assert_string_equal(order_with(mixed, CIO_FOREVER, 1),
                        "0:127.0.0.1 0:::1 0:127.0.0.2 0:127.0.0.3");
    assert_string_equal(order_with("::1 127.0.0.1 127.0.0.2 127.0.0.3", 0, 0),
                        "0:::1 0:127.0.0.1 0:127.0.0.2 0:127.0.0.3");
    places_close();
}

TEST(doubles_are_tried_once)
{
    place_refuse("127.0.0.1");
    place_refuse("127.0.0.2");
    assert_string_equal(order_with("127.0.0.1 127.0.0.1 127.0.0.2 127.0.0.1", 0, 0),
                        "0:127.0.0.1 0:127.0.0.2");
    places_close();
}

/* ---- how many ---- */

enum { HANGING = 10, AT_ONCE = 8 };

static int cancel_soon(void *arg)
{
    cio_task *task = cio_create_task(connect_by_plan, arg);
    cio_sleep(100);
    cio_cancel(task);
    return cio_await(task);
}

TEST(no_more_than_eight_at_once)
{
    char hosts[400] = "", host[20];
    for (int i = 1; i <= HANGING; i++) {
        snprintf(host, sizeof host, "127.0.0.%d", i);
        place_hang(host);
        strcat(strcat(hosts, i > 1 ? " " : ""), host);
    }
    cio_connect_attempt attempts[HANGING];
    cio_connect_report report = {.attempts = attempts, .room = HANGING};
    struct plan plan = {.hosts = hosts, .options.report = &report};
    cio_loop *loop = new_patient_loop();
    cio_task *task = cio_create_task_with(&(cio_task_options){.loop = loop}, cancel_soon, &plan);
    assert_int_equal(cio_run_until_complete(loop, task), 0);
    assert_int_equal(plan.rc, CIO_ECANCELED);
    assert_int_equal(report.n, AT_ONCE);
    for (int i = 0; i < AT_ONCE; i++)
        assert_int_equal(attempts[i].rc, CIO_ECANCELED);
    cio_loop_free(loop);
    places_close();
}

/* ---- what is told ---- */

TEST(t68_every_attempt_is_reported)
{
    cio_connect_attempt attempts[4];
    cio_connect_report report = {.attempts = attempts, .room = 4, .n = 77};
    place_refuse("127.0.0.1");
    place_hang("127.0.0.2");
    place_listen("127.0.0.3");
    place_listen("127.0.0.4");
    cio_connect_options options = {.report = &report};
    report.n = 0;
    tried_with("127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4", options, 0);
    assert_int_equal(report.n, 3);
    assert_string_equal(report_line(&report),
                        "127.0.0.1:ECONNREFUSED 127.0.0.2:CIO_ECANCELED 127.0.0.3:OK");
    report = (cio_connect_report){.attempts = attempts, .room = 1};
    tried_with("127.0.0.2 127.0.0.1 127.0.0.3", options, 0);
    assert_int_equal(report.n, 3);
    assert_string_equal(report_line(&report), "127.0.0.2:CIO_ECANCELED");
    report = (cio_connect_report){.attempts = NULL};
    tried_with("127.0.0.1 127.0.0.3", options, 0);
    assert_int_equal(report.n, 2);
    places_close();
}

/* The peer's answer says more than that this machine has no way to another one. */
TEST(t68_most_telling_error)
{
    place_refuse("127.0.0.1");
    /* a socket for loopback cannot reach it, whatever routes there are */
    struct plan plan = {.hosts = "::1 127.0.0.1", .local = "127.0.0.1"};
    tried(&plan);
    assert_int_equal(plan.rc, -ECONNREFUSED);
    plan = (struct plan){.hosts = "127.0.0.1 ::1", .local = "127.0.0.1"};
    tried(&plan);
    assert_int_equal(plan.rc, -ECONNREFUSED);
    plan = (struct plan){.hosts = "::1", .local = "127.0.0.1"};
    tried(&plan);
    assert_int_equal(plan.rc, -EADDRNOTAVAIL);
    places_close();
}
