/* The programs of examples/: each is run as a user runs it, and says and returns what it should. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net.h"
#include "program.h"
#include "test.h"

/* ---- demo ---- */

struct summary {
    unsigned long connections, requests, errors, bytes_per_task;
    double rps, p50_us, p99_us;
};

/* The last line of the report, which programs read. */
static struct summary summary_of(const struct program *p)
{
    struct summary s = {0};
    const char *last = strstr(p->out_text, "demo: connections=");
    if (!last)
        fail_msg("no summary in:\n%s\nstderr: %s", p->out_text, p->err_text);
    assert_ptr_equal(strchr(last, '\n'), p->out_text + strlen(p->out_text) - 1);
    assert_int_equal(sscanf(last,
                            "demo: connections=%lu requests=%lu errors=%lu rps=%lf p50_us=%lf "
                            "p99_us=%lf bytes_per_task=%lu",
                            &s.connections, &s.requests, &s.errors, &s.rps, &s.p50_us, &s.p99_us,
                            &s.bytes_per_task),
                     7);
    return s;
}

static void assert_good(const struct program *p, unsigned long connections)
{
    struct summary s = summary_of(p);
    assert_int_equal(p->exit_code, 0);
    assert_int_equal(s.connections, connections);
    assert_int_equal(s.errors, 0);
    assert_true(s.requests > 0);
    assert_true(s.rps > 0);
    assert_true(s.p50_us > 0 && s.p50_us <= s.p99_us);
}

TEST(demo_counts_its_requests)
{
    struct program p;
    program_run(&p, "demo", ARGUMENTS("--connections", "50", "--messages", "20"));
    assert_good(&p, 50);
    assert_int_equal(summary_of(&p).requests, 50 * 20);
    assert_string_equal(p.err_text, ""); /* no progress line where there is no terminal */
}

TEST(demo_with_messages_of_every_size)
{
    const char *sizes[] = {"1", "1023", "1024", "1025", "65536"};
    for (int i = 0; i < 5; i++) {
        struct program p;
        program_run(&p, "demo",
                    ARGUMENTS("--connections", "4", "--messages", "10", "--size", sizes[i]));
        assert_good(&p, 4);
        assert_int_equal(summary_of(&p).requests, 40);
    }
}

TEST(demo_for_some_time)
{
    struct program p;
    program_run(&p, "demo", ARGUMENTS("--connections", "10", "--seconds", "0.3"));
    assert_good(&p, 10);
}

TEST(demo_with_many_connections)
{
    unsigned long n = test_is_slow() ? 400 : 2000; /* each is two tasks */
    char connections[8];
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 4100)
        test_skip("too few descriptors are allowed");
    struct program p;
    snprintf(connections, sizeof connections, "%lu", n);
    program_run(&p, "demo", ARGUMENTS("--connections", connections, "--messages", "3"));
    assert_good(&p, n);
    assert_int_equal(summary_of(&p).requests, n * 3);
    assert_true(summary_of(&p).bytes_per_task > 0);
}

TEST(demo_takes_fewer_connections_where_descriptors_are_few)
{
    struct rlimit limit = {.rlim_cur = 60, .rlim_max = 100};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct program p;
    program_run(&p, "demo", ARGUMENTS("--messages", "5"));
    unsigned long connections = summary_of(&p).connections;
    assert_in_range(connections, 20, 49);
    assert_good(&p, connections);
    assert_int_equal(summary_of(&p).requests, connections * 5);
    program_assert_contains(p.err_text, "only");
}

TEST(demo_interrupted_reports_what_was_done)
{
    struct program p;
    program_start(&p, "demo", ARGUMENTS("--connections", "50", "--seconds", "600"));
    program_read(&p, "for 600 s");
    usleep(200000);
    assert_int_equal(kill(p.pid, SIGINT), 0);
    program_finish(&p);
    assert_int_equal(p.exit_code, 130);
    struct summary s = summary_of(&p);
    assert_int_equal(s.connections, 50);
    assert_int_equal(s.errors, 0);
    assert_string_equal(p.err_text, "");
}

TEST(demo_shows_progress_on_a_terminal)
{
    struct program p;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    assert_int_equal(grantpt(terminal), 0);
    assert_int_equal(unlockpt(terminal), 0);
    int device = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(device >= 0);
    program_start_with(&p, device, "demo", ARGUMENTS("--connections", "20", "--seconds", "0.7"));
    close(device);
    char shown[16384] = "";
    for (ssize_t n, size = 0;
         (n = read(terminal, shown + size, sizeof shown - 1 - (size_t)size)) > 0; size += n)
        shown[size + n] = 0;
    close(terminal);
    program_finish(&p);
    assert_good(&p, 20);
    program_assert_contains(shown, "\r");
    program_assert_contains(shown, "20 connections");
    program_assert_contains(shown, "requests");
}

TEST(demo_help)
{
    struct program p;
    program_run(&p, "demo", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    const char *options[] = {"--connections", "--messages", "--size", "--seconds", "--help"};
    for (int i = 0; i < 5; i++)
        program_assert_contains(p.out_text, options[i]);
}

TEST(demo_refuses_bad_options)
{
    const char *const values[][2] = {
        {"--connections", "0"},    {"--connections", "-5"},
        {"--connections", "many"}, {"--connections", ""},
        {"--connections", "1x"},   {"--messages", "0"},
        {"--messages", "1e3"},     {"--size", "0"},
        {"--size", "65537"},       {"--size", "99999999999999999999"},
        {"--seconds", "0"},        {"--seconds", "-1"},
        {"--seconds", "nan"},      {"--seconds", "inf"},
        {"--seconds", "soon"},     {"--unknown", "1"},
        {"more", "words"},         {"--messages", NULL},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        program_assert_refused("demo", ARGUMENTS(values[i][0], values[i][1]));
    program_assert_refused("demo", ARGUMENTS("--messages", "5", "--seconds", "5"));
}

/* ---- The small ones ---- */

TEST(hello)
{
    struct program p;
    program_run(&p, "hello", ARGUMENTS(NULL));
    assert_int_equal(p.exit_code, 0);
    assert_string_equal(p.err_text, "");
    assert_string_equal(p.out_text, "hello, fast\nhello, world\nhello, slow\n"
                                    "slow took 0.3 s and wrote 12 bytes\n"
                                    "fast took 0.1 s and wrote 12 bytes\n"
                                    "world took 0.2 s and wrote 13 bytes\n");
}

TEST(countdown)
{
    struct program p;
    program_run(&p, "countdown", ARGUMENTS(NULL));
    assert_int_equal(p.exit_code, 0);
    assert_string_equal(p.err_text, "");
    assert_string_equal(p.out_text, "T-minus 2 (A)\nT-minus 3 (B)\n"
                                    "T-minus 1 (A)\nT-minus 2 (B)\n"
                                    "lift-off (A)\nT-minus 1 (B)\nlift-off (B)\n");
}

TEST(timeout)
{
    struct program p;
    program_run(&p, "timeout", ARGUMENTS(NULL));
    assert_int_equal(p.exit_code, 0);
    assert_string_equal(p.err_text, "");
    program_assert_contains(p.out_text, "a call of 0.01 s within 1 s: success\n"
                                        "  (tidying up)\n"
                                        "a call of 60 s within 0.05 s: timed out\n"
                                        "a block within 0.1 s: ");
    program_assert_contains(p.out_text, "timed out\na wait of 0.05 s: 0 of 1 task done\n"
                                        "the task itself: success\n");
}

/* Several clients at once, each byte checked, then ^C. */
TEST(tcp_echo)
{
    enum { CLIENTS = 3, SIZE = 30000 };
    struct program p;
    int port = 0, fds[CLIENTS];
    static char sent[SIZE], got[SIZE];
    program_start(&p, "tcp_echo", ARGUMENTS("0"));
    program_read(&p, "\n");
    if (!p.out_text[0])
        program_finish(&p); /* it did not start: says why, or skips */
    assert_int_equal(sscanf(p.out_text, "listening on port %d", &port), 1);

    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = net_connect_blocking(&address);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        net_fill(sent, SIZE, i, 0);
        net_write(fds[i], sent, SIZE);
        assert_int_equal(net_read(fds[i], got, SIZE), SIZE);
        net_check(got, SIZE, i, 0);
    }
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    assert_int_equal(net_read(fds[0], got, 1), 0);

    assert_int_equal(kill(p.pid, SIGINT), 0); /* two are still connected */
    program_finish(&p);
    assert_int_equal(p.exit_code, 130);
    assert_string_equal(p.err_text, "");
    program_assert_contains(p.out_text, "127.0.0.1:");
    program_assert_contains(p.out_text, "interrupted\n");
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

TEST(tcp_echo_refuses_bad_ports)
{
    const char *bad[] = {NULL, "", "x", "-1", "65536", "80x"};
    for (int i = 0; i < 6; i++)
        program_assert_refused("tcp_echo", ARGUMENTS(bad[i]));
}

TEST(port_scan_finds_an_open_port)
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 8);
    int port = ntohs(address.sin_port);
    char first[16], last[16], line[32];
    snprintf(first, sizeof first, "%d", port - 20);
    snprintf(last, sizeof last, "%d", port + 20 > 65535 ? 65535 : port + 20);
    snprintf(line, sizeof line, "%d open\n", port);
    struct program p;
    program_run(&p, "port_scan",
                ARGUMENTS("--concurrency", "7", "--timeout", "5", "127.0.0.1", first, last));
    assert_int_equal(p.exit_code, 0);
    assert_string_equal(p.err_text, "");
    program_assert_contains(p.out_text, line);
    program_assert_contains(p.out_text, " 0 failed\n");
    cio_sock_close(listener);
}

TEST(port_scan_options)
{
    struct program p;
    program_run(&p, "port_scan", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "--concurrency");
    program_assert_refused("port_scan", ARGUMENTS(NULL));
    program_assert_refused("port_scan", ARGUMENTS("127.0.0.1", "1"));
    program_assert_refused("port_scan", ARGUMENTS("127.0.0.1", "9", "8"));
    program_assert_refused("port_scan", ARGUMENTS("127.0.0.1", "0", "8"));
    program_assert_refused("port_scan", ARGUMENTS("127.0.0.1", "1", "65536"));
    program_assert_refused("port_scan", ARGUMENTS("--timeout", "nan", "127.0.0.1", "1", "2"));
    program_assert_refused("port_scan", ARGUMENTS("--concurrency", "0", "127.0.0.1", "1", "2"));
}

/* A client, the proxy and a server that sends back what it got; half closed on the way; then ^C. */
TEST(tcp_proxy)
{
    enum { SIZE = 300000 };
    static char sent[SIZE], got[SIZE];
    struct program echo, proxy;
    char port[8];
    program_start(&echo, "tcp_echo", ARGUMENTS("0"));
    struct sockaddr_in address = program_address(&echo);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    program_start(
        &proxy, "tcp_proxy",
        ARGUMENTS("--connections", "10", "--timeout", "15", "127.0.0.1", "0", "127.0.0.1", port));
    address = program_address(&proxy);

    for (uint32_t i = 0; i < 3; i++) {
        int fd = net_connect_blocking(&address);
        for (size_t part = 0; part < SIZE; part += SIZE / 10) {
            net_fill(sent, SIZE / 10, i, part);
            net_write(fd, sent, SIZE / 10);
            assert_int_equal(net_read(fd, got, SIZE / 10), SIZE / 10);
            net_check(got, SIZE / 10, i, part);
        }
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        assert_int_equal(net_read(fd, got, 1), 0);
        close(fd);
    }
    assert_int_equal(kill(echo.pid, SIGINT), 0);
    program_finish(&echo);
    int fd = net_connect_blocking(&address); /* now there is no server behind it */
    assert_int_equal(net_read(fd, got, 1), 0);
    close(fd);
    assert_int_equal(kill(proxy.pid, SIGINT), 0);
    program_finish(&proxy);
    assert_int_equal(proxy.exit_code, 130);
    program_assert_contains(proxy.err_text, "cannot connect");
}

TEST(tcp_proxy_options)
{
    struct program p;
    program_run(&p, "tcp_proxy", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "--connections");
    program_assert_refused("tcp_proxy", ARGUMENTS(NULL));
    program_assert_refused("tcp_proxy", ARGUMENTS("127.0.0.1", "0", "127.0.0.1"));
    program_assert_refused("tcp_proxy",
                           ARGUMENTS("--timeout", "0", "127.0.0.1", "0", "127.0.0.1", "1"));
    program_assert_refused("tcp_proxy",
                           ARGUMENTS("--nonsense", "127.0.0.1", "0", "127.0.0.1", "1"));
}

static void expect_line(int fd, const char *line)
{
    char got[600];
    size_t size = strlen(line);
    assert_int_equal(net_read(fd, got, size), size);
    assert_memory_equal(got, line, size);
}

static int join_chat(const struct sockaddr_in *address, const char *name)
{
    int fd = net_connect_blocking(address);
    expect_line(fd, "your name?\n");
    net_write(fd, name, strlen(name));
    return fd;
}

TEST(chat)
{
    struct program p;
    char c;
    program_start(&p, "chat", ARGUMENTS("0"));
    struct sockaddr_in address = program_address(&p);
    int ann = join_chat(&address, "ann\r\n");
    expect_line(ann, "* ann is here\n");
    int bob = join_chat(&address, "ann\n"); /* taken */
    expect_line(bob, "another name, please?\n");
    net_write(bob, "b", 1);
    net_write(bob, "ob\nhello, ann\n", 14);
    expect_line(bob, "* bob is here\n");
    expect_line(ann, "* bob is here\nbob: hello, ann\n");
    int rude = join_chat(&address, "rude\n");
    expect_line(rude, "* rude is here\n");
    expect_line(ann, "* rude is here\n");
    for (int i = 0; i < 600; i++)
        if (send(rude, "x", 1, MSG_NOSIGNAL) < 0)
            break; /* a line without an end: thrown out */
    expect_line(ann, "* rude has left\n");
    close(rude);
    close(bob);
    expect_line(ann, "* bob has left\n");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    expect_line(ann, "* goodbye\n");
    assert_int_equal(net_read(ann, &c, 1), 0);
    close(ann);
    program_finish(&p);
    assert_int_equal(p.exit_code, 130);
    assert_string_equal(p.err_text, "");
}

TEST(chat_options)
{
    struct program p;
    program_run(&p, "chat", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "usage: chat");
    program_assert_refused("chat", ARGUMENTS(NULL));
    program_assert_refused("chat", ARGUMENTS("no port"));
}
