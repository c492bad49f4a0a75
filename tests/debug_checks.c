/* Debug mode: slow polls, descriptors that block, what was never closed. */
#include <errno.h>
#include <netinet/in.h>
#include <time.h>

#include "debug/mode.h"
#include "net.h"
#include "os/memory.h"
#include "texts.h"

static struct errors errors;

#define SLOW 0.02
#define MS INT64_C(1000000)

static const cio_run_options debugging = {.loop = {.debug = true, .slow_callback_duration = SLOW}};
static const cio_run_options patient = {.loop = {.debug = true, .slow_callback_duration = 100}};

/* ---- polls ---- */

static const struct cio__os_ops *real;

/* A poll that returns late. */
static int slow_poll(struct cio__os *os, int64_t timeout_ns, struct cio__event *events, int n)
{
    int got = real->poll(os, timeout_ns, events, n);
    nanosleep(&(struct timespec){.tv_nsec = 40 * MS}, NULL);
    return got;
}

static int sleeps_by(int (*poll)(struct cio__os *, int64_t, struct cio__event *, int))
{
    static struct cio__os_ops ops;
    cio_loop *loop = cio__running;
    real = loop->os->ops;
    ops = *real;
    if (poll)
        ops.poll = poll;
    loop->os->ops = &ops;
    int rc = cio_sleep(0.005);
    loop->os->ops = real;
    return rc;
}

static int sleeps_too_long(void *arg)
{
    (void)arg;
    return sleeps_by(slow_poll);
}

static int sleeps(void *arg)
{
    (void)arg;
    return sleeps_by(NULL);
}

TEST(t75_a_poll_that_takes_longer_than_it_was_to_is_reported)
{
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&debugging, sleeps_too_long, NULL), 0);
    errors_end(&errors);
    expect_text(errors.text, "^cio: a poll of 0\\.00[0-9] s took [0-9]+\\.[0-9]{3} s: 0 events$");
}

TEST(t75_a_poll_in_time_is_not_reported)
{
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&patient, sleeps, NULL), 0);
    errors_end(&errors);
    assert_string_equal(errors.text, "");
}

TEST(t75_without_debug_mode_polls_are_not_timed)
{
    const cio_run_options options = {.loop = {.slow_callback_duration = SLOW}};
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&options, sleeps_too_long, NULL), 0);
    errors_end(&errors);
    assert_string_equal(errors.text, "");
}

/* It is the lateness that counts, and a poll without a limit is never late. */
TEST(t75_what_is_a_slow_poll)
{
    cio_loop *loop = cio_loop_new(&debugging.loop);
    errors_catch(&errors);
    cio__debug_polled(loop, 1000 * MS, 1019 * MS, 0);
    cio__debug_polled(loop, CIO__WAIT_FOREVER, 100000 * MS, 1);
    cio__debug_polled(loop, 0, 19 * MS, 1);
    cio__debug_polled(loop, 100 * MS, 3 * MS, 2);
    errors_end(&errors);
    assert_string_equal(errors.text, "");
    errors_catch(&errors);
    cio__debug_polled(loop, 1000 * MS, 1020 * MS, 3);
    cio__debug_polled(loop, 0, 20 * MS, 1);
    errors_end(&errors);
    cio_loop_free(loop);
    assert_string_equal(errors.text, "cio: a poll of 1.000 s took 1.020 s: 3 events\n"
                                     "cio: a poll of 0.000 s took 0.020 s: 1 event\n");
}

/* ---- descriptors that block ---- */

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

FRAME void uses(int fd, int expected)
{
    char data[8];
    struct iovec buffer = {data, sizeof data};
    struct sockaddr_in address = {.sin_family = AF_INET};
    const struct sockaddr *to = (struct sockaddr *)&address;
    assert_int_equal(cio_sock_recv(fd, data, sizeof data), expected);
    assert_int_equal(cio_sock_recv_into(fd, &buffer, 1), expected);
    assert_int_equal(cio_sock_recvfrom(fd, data, sizeof data, NULL, NULL), expected);
    assert_int_equal(cio_sock_sendall(fd, "x", 1), expected);
    assert_int_equal(cio_sock_sendto(fd, "x", 1, to, sizeof address), expected);
    assert_int_equal(cio_sock_connect(fd, to, sizeof address), expected);
    assert_int_equal(cio_sock_accept(fd, NULL, NULL), expected);
    KEEP_FRAME();
}

static void nothing(void *arg)
{
    (void)arg;
}

static void set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK), 0);
}

static int uses_one_that_blocks(void *arg)
{
    int fds[2];
    char data[8];
    cio_handle handle = {0};
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    set_blocking(fds[0], true);
    assert_int_equal(write(fds[1], "hello", 5), 5);
    uses(fds[0], -EINVAL);
    assert_int_equal(cio_wait_readable(fds[0]), 0); /* these read nothing themselves */
    assert_int_equal(cio_add_reader(cio__running, fds[0], &handle, nothing, NULL), 0);
    assert_int_equal(cio_remove_reader(cio__running, fds[0]), 1);
    set_blocking(fds[0], false);
    assert_int_equal(cio_sock_recv(fds[0], data, sizeof data), 5); /* and nothing has happened */
    assert_int_equal(cio_sock_sendall(fds[0], "x", 1), 0);
    assert_int_equal(cio_sock_close(fds[0]), 0);
    assert_int_equal(cio_sock_recv(fds[0], data, sizeof data), -EBADF);
    close(fds[1]);
    return 0;
}

TEST(t75_descriptors_that_block_are_refused_and_reported)
{
    errors_catch(&errors);
    assert_int_equal(cio_run_with(&patient, uses_one_that_blocks, NULL), 0);
    errors_end(&errors);
    assert_int_equal(count(errors.text, "which is not non-blocking; it is refused (EINVAL):"), 7);
    if (cio__symbols_load())
        expect_text(errors.text, "^      cio_sock_recv \\(.*\n      uses \\(");
}

static int receives_from_one_that_blocks(void *arg)
{
    int fds[2];
    char data[8];
    (void)arg;
    net_pair(fds, SOCK_STREAM);
    set_blocking(fds[0], true);
    assert_int_equal(write(fds[1], "hello", 5), 5);
    assert_int_equal(cio_sock_recv(fds[0], data, sizeof data), 5);
    cio_sock_close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(t75_without_debug_mode_descriptors_that_block_are_not_looked_at)
{
    errors_catch(&errors);
    assert_int_equal(cio_run(receives_from_one_that_blocks, NULL), 0);
    errors_end(&errors);
    assert_string_equal(errors.text, "");
}

/* ---- what was never closed ---- */

struct told {
    int n;
    char text[1000]; /* "message at place\n" */
};

static void keep(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    struct told *told = arg;
    size_t used = strlen(told->text);
    (void)loop;
    told->n++;
    snprintf(told->text + used, sizeof told->text - used, "%s at %s\n", context->message,
             context->created_at ? context->created_at : "?");
}

static int run_forgetful(cio_coroutine *fn, bool debug, struct told *told)
{
    cio_run_options options = {.loop = {.debug = debug, .slow_callback_duration = 100},
                               .exception_handler = keep,
                               .exception_arg = told};
    *told = (struct told){0};
    return cio_run_with(&options, fn, NULL);
}

static int peers[3];

FRAME void forgets_a_stream(void)
{
    int fds[2];
    cio_stream *s;
    net_pair(fds, SOCK_STREAM);
    peers[0] = fds[1];
    assert_int_equal(cio_open_stream(&s, fds[0], NULL), 0);
    KEEP_FRAME();
}

FRAME void forgets_a_transport(void)
{
    static const cio_protocol protocol;
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    peers[1] = fds[1];
    assert_int_equal(cio_open_transport(NULL, fds[0], &protocol, NULL), 0);
    KEEP_FRAME();
}

static int serves_nobody(cio_stream *s, void *arg)
{
    (void)s, (void)arg;
    return 0;
}

FRAME void forgets_a_server(char *ret_port)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    cio_server *server;
    int fd = -1;
    assert_int_equal(cio_start_server(&server, serves_nobody, NULL, "127.0.0.1", "0", NULL), 0);
    KEEP_FRAME();
    cio_server_sockets(server, &fd, 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(ret_port, 8, "%d", ntohs(address.sin_port));
}

FRAME void forgets_a_connection(const char *port)
{
    cio_stream *s;
    char byte;
    assert_int_equal(cio_open_connection(&s, "127.0.0.1", port, NULL), 0);
    KEEP_FRAME();
    assert_int_equal(cio_read(s, &byte, 1), 0); /* the server has closed its side */
}

static int forgets(void *arg)
{
    char port[8];
    (void)arg;
    forgets_a_stream();
    forgets_a_transport();
    forgets_a_server(port);
    forgets_a_connection(port);
    return cio_yield();
}

static void run_forgets(bool debug, struct told *told)
{
    assert_int_equal(run_forgetful(forgets, debug, told), 0);
    close(peers[0]); /* not before: at its peer's end a transport closes itself */
    close(peers[1]);
    assert_int_equal(told->n, 4);
}

TEST(t75_what_was_never_closed_is_reported_with_the_place_of_its_making)
{
    struct told told;
    run_forgets(true, &told);
    if (!cio__symbols_load())
        return;
    expect_text(told.text, "^stream was never closed at forgets_a_stream \\(debug_checks.c:");
    expect_text(told.text, "^transport was never closed at forgets_a_transport \\(debug_checks.c:");
    expect_text(told.text, "^stream was never closed at forgets_a_connection \\(debug_checks.c:");
    expect_text(told.text, "^server was never closed at forgets_a_server \\(debug_checks.c:");
}

TEST(t75_without_debug_mode_it_is_reported_without_the_place)
{
    struct told told;
    run_forgets(false, &told);
    expect_text(told.text, "^stream was never closed at \\?$");
    expect_text(told.text, "^transport was never closed at \\?$");
    expect_text(told.text, "^server was never closed at \\?$");
}

static int closes(void *arg)
{
    static const cio_protocol protocol;
    const cio_loop *loop = cio__running;
    cio_transport *t;
    cio_stream *s;
    cio_server *server;
    size_t before = 0;
    (void)arg;
    for (int i = 0; i < 300; i++) {
        int fds[2];
        net_pair(fds, SOCK_STREAM);
        assert_int_equal(cio_open_stream(&s, fds[0], NULL), 0);
        assert_int_equal(cio_open_transport(&t, fds[1], &protocol, NULL), 0);
        assert_int_equal(cio_start_server(&server, serves_nobody, NULL, "127.0.0.1", "0", NULL), 0);
        cio_yield();
        cio_transport_close(t);
        assert_int_equal(cio_close(s), 0);
        assert_int_equal(cio_server_free(server), 0);
        cio_yield();
        if (i == 0)
            before = loop->debug->n;
    }
    assert_int_equal(loop->debug->n, before); /* what is closed is forgotten */
    return 0;
}

TEST(t75_what_was_closed_is_not_reported)
{
    struct told told;
    assert_int_equal(run_forgetful(closes, true, &told), 0);
    assert_string_equal(told.text, "");
}

/* ---- the table of what is known ---- */

enum { THINGS = 300 };

static bool is_known(const cio_loop *loop, const char *thing)
{
    int64_t since_ns = -1;
    uintptr_t site[CIO__SITE_FRAMES];
    cio__debug_see(loop, (const cio_task *)(const void *)thing, &since_ns, site);
    return since_ns == 0;
}

TEST(debug_table_knows_what_is_there_and_nothing_else)
{
    cio_loop *loop = cio_loop_new(&patient.loop);
    char *memory = malloc((size_t)THINGS * CIO__CACHE_LINE);
    bool there[THINGS] = {false};
    uint64_t random = 1;
    size_t n = 0;
    for (int step = 0, steps = test_scale(30000); step < steps; step++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int i = (int)((random >> 33) % THINGS);
        const char *thing = memory + (size_t)i * CIO__CACHE_LINE;
        assert_int_equal(is_known(loop, thing), there[i]);
        if (there[i])
            cio__debug_ended(loop, thing);
        else
            cio__debug_created(loop, thing);
        n += there[i] ? (size_t)-1 : 1;
        there[i] = !there[i];
        assert_int_equal(loop->debug->n, n);
        if (step % 64 == 0)
            for (int k = 0; k < THINGS; k++)
                assert_int_equal(is_known(loop, memory + (size_t)k * CIO__CACHE_LINE), there[k]);
    }
    free(memory);
    cio_loop_free(loop);
}
