/* examples/statsd.c: a collector that is sent datagrams, good and bad. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "program.h"
#include "test.h"

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* Nothing is left for the socket of that port; unknown to the kernel's list: nothing is either. */
static bool all_received(int port)
{
    char line[512];
    unsigned local, queued = 0, rest;
    FILE *sockets = fopen("/proc/net/udp", "re");
    assert_non_null(sockets);
    while (fgets(line, sizeof line, sockets))
        if (sscanf(line, " %*u: %*x:%x %*x:%*x %*x %*x:%x", &local, &rest) == 2 &&
            local == (unsigned)port)
            queued = rest;
    fclose(sockets);
    return queued == 0;
}

/* What comes later than the signal would not be counted. */
static void await_received(const struct sockaddr_in *address)
{
    const struct timespec a_while = {.tv_nsec = 300000000}; /* it has it, and works */
    while (!all_received(ntohs(address->sin_port)))
        usleep(1000);
    nanosleep(&a_while, NULL);
}

TEST(statsd_adds_up_what_it_is_sent)
{
    struct program p;
    program_start(&p, "statsd", ARGUMENTS("--interval", "1000", "127.0.0.1", "0"));
    struct sockaddr_in address = program_address(&p);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (int i = 0; i < 100; i++)
        say(fd, "logins:1|c\nlogins:2|c|@0.5");
    say(fd, "queue:17|g\nqueue:18.5|g");
    say(fd, "query:1|ms\nquery:3|ms\n\n");
    say(fd, "");
    say(fd, "nonsense\n:1|c\nx:|c\nx:1\nx:1|\nx:1|z\nx:1|c|@2\nx:nan|g\nx:1|m");
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    memcpy(long_name + sizeof long_name - 5, ":1|c", 5);
    say(fd, long_name);
    await_received(&address);
    assert_int_equal(kill(p.pid, SIGINT), 0);
    program_finish(&p);
    assert_int_equal(p.exit_code, 130);
    program_assert_contains(p.out_text, "-- 105 datagrams, 10 wrong lines, 0 dropped\n");
    program_assert_contains(p.out_text, "logins: 500\n");
    program_assert_contains(p.out_text, "queue: 18.5\n");
    program_assert_contains(p.out_text, "query: 2 times, mean 2 ms, at most 3 ms\n");
    close(fd);
}

/* By and by: a counter begins anew, a gauge stays. */
TEST(statsd_prints_by_and_by)
{
    struct program p;
    program_start(&p, "statsd", ARGUMENTS("--interval", "0.05", "127.0.0.1", "0"));
    struct sockaddr_in address = program_address(&p);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    say(fd, "logins:1|c");
    program_read(&p, "logins: 1\n");
    say(fd, "logins:2|c");
    program_read(&p, "logins: 2\n");
    assert_int_equal(kill(p.pid, SIGINT), 0);
    program_finish(&p);
    assert_int_equal(p.exit_code, 130);
    close(fd);
}

TEST(statsd_options)
{
    struct program p;
    program_run(&p, "statsd", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "usage: statsd");
    program_assert_refused("statsd", ARGUMENTS(NULL));
    program_assert_refused("statsd", ARGUMENTS("127.0.0.1"));
    program_assert_refused("statsd", ARGUMENTS("--interval", "0", "127.0.0.1", "0"));
    program_run(&p, "statsd", ARGUMENTS("no.such.host.invalid", "1"));
    assert_int_equal(p.exit_code, 1);
    program_assert_contains(p.err_text, "cannot listen at no.such.host.invalid");
}
