/* examples/graceful.c: a server that is sent real signals. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "program.h"
#include "test.h"

static struct program server;
static struct sockaddr_in address;

/* Reads what the server says until `until` is in it. */
static void expect(const char *until)
{
    program_read(&server, until);
    program_assert_contains(server.out_text, until);
}

static void start_server(const char *grace)
{
    program_start(&server, "graceful", ARGUMENTS("0", grace));
    address = program_address(&server);
}

static void expect_exit(int code)
{
    program_finish(&server);
    if (server.exit_code != code)
        fail_msg("exit code %d:\n%s%s", server.exit_code, server.out_text, server.err_text);
}

static void say(int fd, const char *text)
{
    net_write(fd, text, strlen(text));
}

static void expect_line(int fd, const char *line)
{
    char got[64] = "";
    assert_in_range(net_read(fd, got, strlen(line)), 0, sizeof got - 1);
    assert_string_equal(got, line);
}

static void expect_closed(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
}

static void ends_in_good_order(int number)
{
    start_server("60");
    int idle = net_connect_blocking(&address);
    int busy = net_connect_blocking(&address);
    say(idle, "1\n");
    expect_line(idle, "done 1\n");
    expect("[req-001] works for 1 ms");
    say(busy, "300\n");
    expect("[req-002] works for 300 ms");
    kill(server.pid, SIGHUP);
    expect("[server] 2 clients, 2 requests, "); /* 1 done, or 2 if this took long */
    kill(server.pid, number);
    expect("stops");
    expect_closed(idle);
    expect_line(busy, "done 300\n");
    expect_closed(busy);
    expect("[server] 2 of 2 requests done");
    expect_exit(0);
}

TEST(t52_sigterm_lets_requests_finish)
{
    ends_in_good_order(SIGTERM);
}

TEST(t52_sigint_too)
{
    ends_in_good_order(SIGINT);
}

TEST(t52_the_grace_ends)
{
    start_server("0.05");
    int busy = net_connect_blocking(&address);
    say(busy, "60000\n");
    expect("[req-001] works");
    kill(server.pid, SIGTERM);
    expect("[req-001] canceled");
    expect("0 of 1 requests done");
    expect_closed(busy);
    expect_exit(1);
}

TEST(t52_a_second_signal_is_obeyed_at_once)
{
    start_server("60");
    int busy = net_connect_blocking(&address);
    say(busy, "60000\n");
    expect("[req-001] works");
    kill(server.pid, SIGINT);
    expect("stops");
    kill(server.pid, SIGTERM);
    expect("again");
    expect("[req-001] canceled");
    expect_closed(busy);
    program_finish(&server); /* not killed */
}

TEST(t52_without_clients_it_ends_at_once)
{
    start_server("60");
    kill(server.pid, SIGTERM);
    expect("0 of 0 requests done");
    expect_exit(0);
}
