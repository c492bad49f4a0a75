/* Streams, transports and servers by name: through the public calls, and with real time. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "blackhole.h"
#include "journal.h"
#include "memory.h"
#include "protocols.h"
#include "resolver.h"
#include "test.h"

enum { REPORTED = 16 };
static cio_connect_attempt attempts[REPORTED];
static cio_connect_report report = {.attempts = attempts, .room = REPORTED};

static int dial_with(const char *host, cio_connect_options options)
{
    cio_stream *s = (cio_stream *)&s;
    int fds = test_count_fds();
    options.report = &report;
    int rc = cio_open_connection(&s, host, places.service, &options);
    if (rc < 0)
        assert_null(s);
    else
        assert_int_equal(cio_abort(s), 0);
    assert_int_equal(test_count_fds(), fds);
    return rc;
}

static int dial(const char *host)
{
    return dial_with(host, (cio_connect_options){0});
}

/* ---- connecting ---- */

static int by_name(void *arg)
{
    (void)arg;
    place_refuse("127.0.0.1");
    place_listen("127.0.0.2");
    assert_int_equal(dial("some.test"), 0);
    assert_string_equal(report_line(&report), "127.0.0.1:ECONNREFUSED 127.0.0.2:OK");
    assert_int_equal(dial("refused.test"), -ECONNREFUSED);
    assert_string_equal(report_line(&report), "127.0.0.1:ECONNREFUSED");
    assert_int_equal(dial("none.test"), CIO_EAI_NONAME);
    assert_int_equal(report.n, 0);
    assert_int_equal(dial(""), -ECONNREFUSED); /* this machine */
    assert_int_equal(dial(NULL), -ECONNREFUSED);
    assert_int_equal(dial_with("six.test", (cio_connect_options){.family = AF_INET}),
                     CIO_EAI_NONAME);
    assert_int_equal(resolver.lists, 0);
    return 0;
}

static void say_names(void)
{
    resolver_say("some.test", "127.0.0.1 127.0.0.2");
    resolver_say("refused.test", "127.0.0.1");
    resolver_say("six.test", "::1");
    resolver_fail("none.test", EAI_NONAME, 0);
}

TEST(connection_by_name)
{
    say_names();
    assert_int_equal(run_quiet(by_name, NULL), 0);
    places_close();
}

static int eyeballs(void *arg)
{
    (void)arg;
    place_hang("127.0.0.1");
    place_hang("::1");
    place_listen("127.0.0.2");
    cio_connect_options quick = {.happy_eyeballs_delay = 0.01};
    assert_int_equal(dial_with("some.test", quick), 0);
    assert_string_equal(report_line(&report), "127.0.0.1:CIO_ECANCELED 127.0.0.2:OK");
    assert_int_equal(dial_with("six-first.test", quick), 0);
    assert_string_equal(report_line(&report),
                        "::1:CIO_ECANCELED 127.0.0.1:CIO_ECANCELED 127.0.0.2:OK");
    assert_int_equal(dial("six-first.test"), 0); /* on by default */
    return 0;
}

TEST(t68_first_address_that_answers_is_kept)
{
    if (!place_has_ipv6())
        test_skip("no IPv6");
    say_names();
    resolver_say("six-first.test", "::1 127.0.0.1 127.0.0.2");
    assert_int_equal(run_quiet(eyeballs, NULL), 0);
    places_close();
}

static int dial_one_by_one(void *host)
{
    return dial_with(host, (cio_connect_options){.happy_eyeballs_delay = CIO_FOREVER});
}

static int eyeballs_off(void *arg)
{
    (void)arg;
    place_hang("127.0.0.1");
    place_listen("127.0.0.2");
    cio_task *task = cio_create_task(dial_one_by_one, "some.test");
    while (report.n == 0)
        cio_sleep(0.001);
    cio_sleep(0.4); /* longer than it would be if they were on */
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_string_equal(report_line(&report), "127.0.0.1:CIO_ECANCELED");
    return 0;
}

TEST(t68_turned_off_one_waits_for_the_other)
{
    say_names();
    assert_int_equal(run_quiet(eyeballs_off, NULL), 0);
    places_close();
}

static int bad_options(void *arg)
{
    cio_connect_report nowhere = {.room = 1};
    cio_connect_options bad[] = {{.happy_eyeballs_delay = -1},
                                 {.happy_eyeballs_delay = (double)NAN},
                                 {.interleave = -2},
                                 {.report = &nowhere}};
    cio_stream *s;
    (void)arg;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(cio_open_connection(&s, "127.0.0.1", "80", &bad[i]), -EINVAL);
        assert_null(s);
    }
    cio_connect_options good = {.report = &report};
    report.n = 77;
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", NULL, &good), -EINVAL);
    assert_int_equal(report.n, 0);
    report.n = 77;
    assert_int_equal(cio_open_connection(NULL, "127.0.0.1", "80", &good), -EINVAL);
    assert_int_equal(report.n, 0);
    return 0;
}

TEST(bad_options)
{
    assert_int_equal(run_quiet(bad_options, NULL), 0);
}

static int from_name(void *arg)
{
    cio_stream *s;
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    cio_connect_options options = {.local_host = "from.test", .report = &report};
    (void)arg;
    place_listen("127.0.0.2");
    assert_int_equal(cio_open_connection(&s, "some.test", places.service, &options), 0);
    assert_int_equal(cio_sock_name(s, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(ntohl(name.sin_addr.s_addr), 0x7f000007);
    cio_abort(s);
    options.local_host = "none.test";
    assert_int_equal(cio_open_connection(&s, "some.test", places.service, &options),
                     CIO_EAI_NONAME);
    options.local_host = "192.0.2.1";
    assert_int_equal(cio_open_connection(&s, "127.0.0.2", places.service, &options),
                     -EADDRNOTAVAIL);
    options.local_host = "127.0.0.1"; /* of another family than the peer */
    assert_int_equal(cio_open_connection(&s, "six.test", places.service, &options), -EADDRNOTAVAIL);
    assert_string_equal(report_line(&report), "::1:EADDRNOTAVAIL");
    assert_int_equal(resolver.lists, 0);
    return 0;
}

TEST(connection_from_a_name)
{
    say_names();
    resolver_say("from.test", "::1 127.0.0.7");
    assert_int_equal(run_quiet(from_name, NULL), 0);
    places_close();
}

static int made_by_name(void *arg)
{
    cio_transport *t;
    struct recorder r = {0};
    (void)arg;
    place_listen("127.0.0.2");
    assert_int_equal(
        cio_create_connection(&t, &recording_protocol, &r, "some.test", places.service, NULL), 0);
    assert_true(r.made);
    cio_transport_abort(t);
    recorder_wait(&r);
    assert_int_equal(
        cio_create_connection(&t, &recording_protocol, &r, "none.test", places.service, NULL),
        CIO_EAI_NONAME);
    return 0;
}

TEST(transport_by_name)
{
    say_names();
    assert_int_equal(run_quiet(made_by_name, NULL), 0);
    places_close();
}

/* ---- failures on the way ---- */

/* Eight are under way; one is refused at last, and the ninth has its place. */
static int dial_many(void *arg)
{
    (void)arg;
    return dial_with("many.test", (cio_connect_options){.happy_eyeballs_delay = 0.001});
}

static int ninth(void *arg)
{
    char host[20];
    (void)arg;
    int first = place_hang("127.0.0.1");
    for (int i = 2; i <= 8; i++) {
        snprintf(host, sizeof host, "127.0.0.%d", i);
        place_hang(host);
    }
    place_listen("127.0.0.9");
    cio_task *task = cio_create_task(dial_many, NULL);
    while (report.n < 8)
        cio_sleep(0.001);
    cio_sleep(0.1);
    assert_int_equal(report.n, 8);
    shutdown(first, SHUT_RDWR); /* the port is still taken; the next SYN is refused */
    assert_int_equal(cio_await(task), 0);
    assert_int_equal(report.n, 9);
    assert_int_equal(attempts[0].rc, -ECONNREFUSED);
    assert_int_equal(attempts[8].rc, 0);
    return 0;
}

TEST(ninth_address_when_one_has_failed)
{
    resolver_say("many.test", "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.6 "
                              "127.0.0.7 127.0.0.8 127.0.0.9");
    assert_int_equal(run_quiet(ninth, NULL), 0);
    places_close();
}

/* The socket of the first attempt is the last that there is: it may still win. */
static int out_of_files(void *arg)
{
    struct rlimit limit, few;
    (void)arg;
    int hanging = place_hang("127.0.0.1"), last;
    place_listen("127.0.0.2");
    cio_task *task = cio_create_task(dial_many, NULL);
    assert_int_equal(cio_await(task), 0); /* all that is made once is made */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    last = dup(hanging);
    few = (struct rlimit){.rlim_cur = (rlim_t)last + 1, .rlim_max = limit.rlim_max};
    close(last);
    report.n = 0;
    cio_stream *s;
    cio_connect_options options = {.report = &report, .happy_eyeballs_delay = 0.001};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    cio_timeout timeout;
    cio_timeout_enter(&timeout, 0.2);
    int rc = cio_timeout_exit(&timeout,
                              cio_open_connection(&s, "many.test", places.service, &options));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, CIO_ETIMEDOUT);
    assert_string_equal(report_line(&report), "127.0.0.1:CIO_ECANCELED 127.0.0.2:EMFILE");
    few.rlim_cur = (rlim_t)last;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    rc = cio_open_connection(&s, "many.test", places.service, &options);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, -EMFILE);
    return dial("many.test");
}

TEST(out_of_descriptors)
{
    if (test_is_valgrind())
        skip();
    resolver_say("many.test", "127.0.0.1 127.0.0.2");
    assert_int_equal(run_quiet(out_of_files, NULL), 0);
    places_close();
}

/* ---- cancellation ---- */

static int dial_task(void *host)
{
    return dial_with(host, (cio_connect_options){.happy_eyeballs_delay = 0.0001});
}

static int cancel_in_phases(void *arg)
{
    (void)arg;
    place_hang("127.0.0.1");
    place_hang("127.0.0.2");
    int fds = test_count_fds();
    resolver_hold(true);
    cio_task *task = cio_create_task(dial_task, "some.test");
    resolver_await(&resolver.running, 1);
    assert_int_equal(cio_cancel(task), 1); /* while it is looked up */
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    resolver_hold(false);

    task = cio_create_task(dial_task, "some.test");
    report.n = 0;
    while (report.n < 2)
        cio_sleep(0.001);
    assert_int_equal(test_count_fds(), fds + 2);
    assert_int_equal(cio_cancel(task), 1); /* while both are under way */
    assert_int_equal(cio_cancel(task), 1);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_string_equal(report_line(&report), "127.0.0.1:CIO_ECANCELED 127.0.0.2:CIO_ECANCELED");

    task = cio_create_task(dial_task, "127.0.0.1"); /* before it has begun */
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_int_equal(test_count_fds(), fds);
    return 0;
}

TEST(canceled_in_each_phase)
{
    say_names();
    assert_int_equal(run_quiet(cancel_in_phases, NULL), 0);
    places_close();
}

/* In whatever moment: no descriptor is left, and what is done stays done. */
static int cancel_anywhere(void *arg)
{
    int n = test_scale(400), fds;
    (void)arg;
    place_refuse("127.0.0.1");
    int listener = place_listen("127.0.0.2");
    fds = test_count_fds();
    for (int i = 0; i < n; i++) {
        cio_task *task = cio_create_task(dial_task, i % 3 ? "127.0.0.2" : "some.test");
        for (int k = 0; k < i % 40; k++)
            cio_yield();
        int pending = cio_cancel(task);
        assert_int_equal(cio_await(task), pending ? CIO_ECANCELED : 0);
        while (poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 0) == 1)
            close(accept(listener, NULL, NULL));
        assert_int_equal(test_count_fds(), fds);
    }
    return 0;
}

TEST(canceled_at_any_moment)
{
    say_names();
    assert_int_equal(run_quiet(cancel_anywhere, NULL), 0);
    places_close();
    assert_int_equal(resolver.lists, 0);
}

/* ---- servers ---- */

static int greet(cio_stream *s, void *arg)
{
    (void)arg;
    return cio_printf(s, "hello\n");
}

static void expect_greeting(const char *host, int fd)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    char service[8], line[20];
    cio_stream *s;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(service, sizeof service, "%d", ntohs(address.sin6_port));
    assert_int_equal(cio_open_connection(&s, host, service, NULL), 0);
    assert_int_equal(cio_read_line(s, line, sizeof line), 6);
    assert_int_equal(cio_close(s), 0);
}

static int serve_by_name(void *arg)
{
    cio_server *server;
    int fds[8];
    const char *more[] = {"refused.test", "127.0.0.3", "absent.test", NULL};
    cio_server_options options = {.more_hosts = more};
    (void)arg;
    assert_int_equal(cio_start_server(&server, greet, NULL, "some.test", "0", &options), 0);
    assert_int_equal(cio_server_sockets(server, fds, 8), 3); /* .1, .2, .3: each once */
    expect_greeting("127.0.0.1", fds[0]);
    expect_greeting("some.test", fds[1]); /* .1 refuses that port */
    expect_greeting("127.0.0.3", fds[2]);
    cio_server_shutdown(server, 1);
    cio_server_free(server);

    more[1] = "none.test"; /* one that cannot be found, and nothing has happened */
    assert_int_equal(cio_start_server(&server, greet, NULL, "some.test", "0", &options),
                     CIO_EAI_NONAME);
    assert_null(server);
    assert_int_equal(cio_start_server(&server, greet, NULL, "absent.test", "0", NULL),
                     -EADDRNOTAVAIL);
    assert_int_equal(resolver.lists, 0);
    return 0;
}

TEST(t73_server_by_names)
{
    say_names();
    resolver_say("absent.test", "192.0.2.1");
    assert_int_equal(run_quiet(serve_by_name, NULL), 0);
}

/* A server of both families at one port: the IPv6 socket leaves IPv4 to the other. */
static int serve_both(void *arg)
{
    cio_server *server;
    int fds[4];
    (void)arg;
    place_refuse("127.0.0.1"); /* finds a free port */
    char service[8];
    snprintf(service, sizeof service, "%s", places.service);
    places_close();
    assert_int_equal(cio_start_server(&server, greet, NULL, NULL, service, NULL), 0);
    assert_int_equal(cio_server_sockets(server, fds, 4), 2);
    expect_greeting("127.0.0.1", fds[0]);
    expect_greeting("::1", fds[1]);
    cio_server_shutdown(server, 1);
    return cio_server_free(server);
}

TEST(t73_both_families_at_one_port)
{
    if (!place_has_ipv6())
        test_skip("no IPv6");
    assert_int_equal(run_quiet(serve_both, NULL), 0);
}

static int start_by_name(void *ret)
{
    return cio_start_server(ret, greet, NULL, "some.test", "0", NULL);
}

static int cancel_starting(void *arg)
{
    cio_server *server;
    (void)arg;
    int fds = test_count_fds();
    resolver_hold(true);
    cio_task *task = cio_create_task(start_by_name, &server);
    resolver_await(&resolver.running, 1);
    cio_cancel(task);
    assert_int_equal(cio_await(task), CIO_ECANCELED);
    assert_null(server);
    assert_int_equal(test_count_fds(), fds);
    resolver_hold(false);
    return 0;
}

TEST(start_of_a_server_canceled)
{
    say_names();
    assert_int_equal(run_quiet(cancel_starting, NULL), 0);
}

/* In a callback a name would have to be waited for; a number need not. */
static void start_in_callback(void *arg)
{
    cio_server *server;
    assert_int_equal(cio_start_server(&server, greet, NULL, "some.test", "0", NULL), CIO_ENOTASK);
    assert_null(server);
    assert_int_equal(cio_start_server(&server, greet, NULL, "127.0.0.1", "0", NULL), 0);
    assert_int_equal(cio_server_free(server), 0);
    cio_stop(arg);
}

TEST(server_outside_a_task)
{
    cio_loop *loop = cio_loop_new(NULL);
    cio_handle handle = CIO_HANDLE_INIT;
    cio_call_soon(loop, &handle, start_in_callback, loop);
    assert_int_equal(cio_run_forever(loop), 0);
    cio_loop_free(loop);
}

/* ---- out of memory ---- */

static int dial_and_serve(void *arg)
{
    cio_server *server;
    cio_stream *s;
    const char *more[] = {"refused.test", NULL};
    cio_server_options options = {.more_hosts = more, .stopped = true};
    cio_connect_options from = {.local_host = "127.0.0.1"};
    (void)arg;
    int rc = cio_open_connection(&s, "some.test", places.service, &from);
    if (rc == 0)
        cio_abort(s);
    int rc_server = cio_start_server(&server, greet, NULL, "some.test", "0", &options);
    if (rc_server == 0)
        cio_server_free(server);
    return rc < 0 ? rc : rc_server;
}

TEST(out_of_memory)
{
    say_names();
    place_refuse("127.0.0.1");
    place_listen("127.0.0.2");
    memory_torture(dial_and_serve);
    assert_int_equal(resolver.lists, 0);
    places_close();
}
