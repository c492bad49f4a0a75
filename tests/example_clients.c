/* Examples of servers and clients, each with a program at the other end that is not ours. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net.h"
#include "site.h"
#include "test.h"

/* Somebody who sits at ncat: what is written to `in` is typed. */
struct person {
    struct program ncat;
    int in;
};

static void sit_down(struct person *person, const char *name, const struct sockaddr_in *address)
{
    char command[256];
    snprintf(command, sizeof command, "exec ncat 127.0.0.1 %d <%s", ntohs(address->sin_port),
             site_path(name));
    assert_int_equal(mkfifo(site_path(name), 0600), 0);
    program_start_client(&person->ncat, "sh", ARGUMENTS("-c", command));
    person->in = open(site_path(name), O_WRONLY | O_CLOEXEC);
    assert_true(person->in >= 0);
}

static void type(const struct person *person, const char *text)
{
    assert_int_equal(write(person->in, text, strlen(text)), strlen(text));
}

static void expect(struct person *person, const char *text)
{
    program_read(&person->ncat, text);
    if (strstr(person->ncat.out_text, text))
        return;
    program_finish(&person->ncat);
    if (person->ncat.exit_code == 127)
        test_skip("ncat is not installed");
    fail_msg("no \"%s\" in:\n%s", text, person->ncat.out_text);
}

static void stop(struct program *server, int exit_code)
{
    assert_int_equal(kill(server->pid, SIGINT), 0);
    program_finish(server);
    assert_string_equal(server->err_text, "");
    assert_int_equal(server->exit_code, exit_code);
}

TEST(chat_by_ncat)
{
    struct program chat;
    struct person ann, bob;
    program_start(&chat, "chat", ARGUMENTS("0"));
    struct sockaddr_in address = program_address(&chat);
    signal(SIGPIPE, SIG_IGN);
    sit_down(&ann, "ann", &address);
    expect(&ann, "your name?\n");
    type(&ann, "ann\n");
    expect(&ann, "* ann is here\n");
    sit_down(&bob, "bob", &address);
    type(&bob, "bob\nhello\n");
    expect(&ann, "* bob is here\nbob: hello\n");
    type(&ann, "good\nbye\n");
    expect(&bob, "ann: good\nann: bye\n");
    close(bob.in); /* he leaves */
    program_finish(&bob.ncat);
    expect(&ann, "* bob has left\n");
    stop(&chat, 130);
    expect(&ann, "* goodbye\n");
    close(ann.in);
    program_finish(&ann.ncat);
}

TEST(tcp_echo_by_ncat)
{
    struct program echo;
    struct person ann;
    program_start(&echo, "tcp_echo", ARGUMENTS("0"));
    struct sockaddr_in address = program_address(&echo);
    signal(SIGPIPE, SIG_IGN);
    sit_down(&ann, "ann", &address);
    type(&ann, "one\n");
    expect(&ann, "one\n");
    type(&ann, "two\n");
    close(ann.in);
    program_finish(&ann.ncat); /* the end comes back too */
    assert_string_equal(ann.ncat.out_text, "one\ntwo\n");
    stop(&echo, 130);
}

TEST(tcp_proxy_by_curl)
{
    static char sent[2000000], got[sizeof sent + 1];
    struct site site;
    struct program proxy, curl;
    char port[8], url[64], copy[256];
    net_fill(sent, sizeof sent, 5, 0);
    site_write("big.bin", sent, sizeof sent);
    site_serve(&site, ARGUMENTS(NULL));
    snprintf(port, sizeof port, "%d", ntohs(site.address.sin_port));
    program_start(&proxy, "tcp_proxy", ARGUMENTS("127.0.0.1", "0", "localhost", port));
    struct sockaddr_in address = program_address(&proxy);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/big.bin", ntohs(address.sin_port));
    snprintf(copy, sizeof copy, "%s", site_path("copy"));
    program_run_client(&curl, "curl",
                       ARGUMENTS("-sS", "--max-time", "15", "-w", "%{http_code} %{num_connects}\n",
                                 "-o", copy, url, "-o", copy, url));
    assert_string_equal(curl.err_text, "");
    assert_string_equal(curl.out_text, "200 1\n200 0\n");
    int fd = open(copy, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size_t size = 0;
    for (ssize_t n; (n = read(fd, got + size, sizeof got - size)) > 0;)
        size += (size_t)n;
    close(fd);
    assert_int_equal(size, sizeof sent);
    assert_memory_equal(got, sent, sizeof sent);
    stop(&proxy, 130);
    site_stop(&site);
}

TEST(port_scan_finds_pythons_server)
{
    struct program server, scan;
    char port[8], line[32];
    int number = 0;
    program_start_client(
        &server, "python3",
        ARGUMENTS("-u", "-m", "http.server", "-b", "127.0.0.1", "-d", site_root(), "0"));
    program_read(&server, "\n");
    if (sscanf(server.out_text, "Serving HTTP on 127.0.0.1 port %d", &number) != 1)
        test_skip("no python3 that serves files");
    snprintf(port, sizeof port, "%d", number);
    snprintf(line, sizeof line, "%d open\n", number);
    program_run(&scan, "port_scan", ARGUMENTS("--timeout", "5", "localhost", port, port));
    assert_int_equal(scan.exit_code, 0);
    program_assert_contains(scan.out_text, line);
    assert_int_equal(kill(server.pid, SIGINT), 0);
    program_finish(&server);
}
