/* Examples that look names up, as a user runs them: dns_lookup, and port_scan by name. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "program.h"
#include "test.h"

TEST(dns_lookup_both_ways)
{
    struct program p;
    program_run(&p, "dns_lookup", ARGUMENTS("-4", "localhost", "127.0.0.1"));
    assert_int_equal(p.exit_code, 0);
    assert_string_equal(p.err_text, "");
    assert_int_equal(strncmp(p.out_text, "localhost A 127.0.0.1\n", 22), 0);
    program_assert_contains(p.out_text, "\n127.0.0.1 PTR ");
}

/* A name that cannot exist: no server is asked for it. */
TEST(dns_lookup_says_what_was_not_found)
{
    struct program p;
    char long_name[300];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    program_run(&p, "dns_lookup", ARGUMENTS("", "-4", long_name, "localhost"));
    assert_int_equal(p.exit_code, 1);
    program_assert_contains(p.out_text, "localhost A 127.0.0.1\n");
    program_assert_contains(p.err_text, "dns_lookup: : name or service not known\n");
    program_assert_contains(p.err_text, long_name);
}

/* Many at once, printed in the order in which they were asked for. */
TEST(dns_lookup_keeps_the_order)
{
    enum { N = 15 };
    const char *arguments[N + 4] = {"-4", "--concurrency", "5"};
    struct program p;
    for (int i = 0; i < N; i++)
        arguments[3 + i] = i % 3 ? "localhost" : "127.0.0.1";
    program_run(&p, "dns_lookup", arguments);
    assert_int_equal(p.exit_code, 0);
    char *line = p.out_text;
    for (int i = 0; i < N;) {
        const char *name = i % 3 ? "localhost " : "127.0.0.1 PTR ";
        if (strncmp(line, name, strlen(name)) == 0)
            i++;
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
}

/* From a file; three at once. */
TEST(dns_lookup_reads_names)
{
    struct program p;
    char path[] = "/tmp/cio-names-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    int n = test_scale(400);
    for (int i = 0; i < n; i++)
        fprintf(file, "%s\r\n\n", i % 100 ? "127.0.0.1" : "localhost");
    fclose(file);
    int saved = dup(STDIN_FILENO);
    fd = open(path, O_RDONLY);
    dup2(fd, STDIN_FILENO);
    program_run(&p, "dns_lookup", ARGUMENTS("-4", "--concurrency", "3", "-"));
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(fd);
    unlink(path);
    assert_int_equal(p.exit_code, 0);
    int lines = 0;
    for (const char *c = p.out_text; (c = strstr(c, "127.0.0.1 PTR ")); c++)
        lines++;
    assert_int_equal(lines, n - (n + 99) / 100);
}

TEST(dns_lookup_options)
{
    struct program p;
    program_run(&p, "dns_lookup", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "--concurrency");
    program_assert_contains(p.out_text, "Exit code");
    program_assert_refused("dns_lookup", ARGUMENTS(NULL));
    program_assert_refused("dns_lookup", ARGUMENTS("--timeout", "0", "localhost"));
    program_assert_refused("dns_lookup", ARGUMENTS("--timeout", "nan", "localhost"));
    program_assert_refused("dns_lookup", ARGUMENTS("--concurrency", "17", "localhost"));
    program_assert_refused("dns_lookup", ARGUMENTS("--concurrency", "x", "localhost"));
    program_assert_refused("dns_lookup", ARGUMENTS("--no-such-option"));
}

TEST(port_scan_by_name)
{
    struct sockaddr_in address;
    struct program p;
    char port[16];
    int listener = net_listen(&address, 8);
    snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
    program_run(&p, "port_scan", ARGUMENTS("localhost", port, port));
    cio_sock_close(listener);
    assert_int_equal(p.exit_code, 0);
    if (!strstr(p.out_text, "1 refused")) /* localhost is ::1 first */
        program_assert_contains(p.out_text, "1 open");
    program_run(&p, "port_scan", ARGUMENTS("", "1", "2"));
    assert_int_equal(p.exit_code, 1);
    program_assert_contains(p.err_text, "name or service not known");
}
