/* examples/graceful.c: a server that is sent real signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"
#include "test.h"

enum { CANNOT_EXEC = 126 };

static struct {
    pid_t pid;
    int out;
    char text[8192];
    struct sockaddr_in address;
} server;

static _Noreturn void be_server(const char *grace, int out)
{
#ifdef CIO_EXAMPLES_DIR
    signal(SIGINT, SIG_DFL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execl(CIO_EXAMPLES_DIR "/graceful", "graceful", "0", grace, NULL);
    _exit(errno == ENOEXEC ? CANNOT_EXEC : 127);
#else
    (void)grace, (void)out;
    _exit(127);
#endif
}

/* Reads what the server says until `until` is in it. */
static void expect(const char *until)
{
    size_t used = strlen(server.text);
    while (!strstr(server.text, until)) {
        ssize_t n = read(server.out, server.text + used, sizeof server.text - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail_msg("no \"%s\" in:\n%s", until, server.text);
        used += (size_t)n;
        server.text[used] = '\0';
    }
}

static int wait_for_server(void)
{
    int status = -1;
    expect("");
    char rest[512];
    while (read(server.out, rest, sizeof rest) > 0)
        continue;
    close(server.out);
    assert_int_equal(waitpid(server.pid, &status, 0), server.pid);
    return status;
}

static void start_server(const char *grace)
{
#ifndef CIO_EXAMPLES_DIR
    test_skip("built without the examples");
#endif
    int fds[2], port = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0)
        be_server(grace, fds[1]);
    close(fds[1]);
    server.out = fds[0];
    char byte;
    ssize_t n = read(server.out, &byte, 1);
    if (n != 1 && WEXITSTATUS(wait_for_server()) == CANNOT_EXEC)
        test_skip("the examples are not for this machine");
    assert_int_equal(n, 1);
    server.text[0] = byte;
    expect("\n");
    assert_int_equal(sscanf(server.text, "listening on port %d", &port), 1);
    server.address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)port),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void expect_exit(int code)
{
    int status = wait_for_server();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        fail_msg("status %#x:\n%s", status, server.text);
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
    int idle = net_connect_blocking(&server.address);
    int busy = net_connect_blocking(&server.address);
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
    int busy = net_connect_blocking(&server.address);
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
    int busy = net_connect_blocking(&server.address);
    say(busy, "60000\n");
    expect("[req-001] works");
    kill(server.pid, SIGINT);
    expect("stops");
    kill(server.pid, SIGTERM);
    expect("again");
    expect("[req-001] canceled");
    expect_closed(busy);
    int status = wait_for_server();
    assert_true(WIFEXITED(status));
}

TEST(t52_without_clients_it_ends_at_once)
{
    start_server("60");
    kill(server.pid, SIGTERM);
    expect("0 of 0 requests done");
    expect_exit(0);
}
