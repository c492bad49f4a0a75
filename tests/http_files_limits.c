/* examples/http_files and clients that misbehave: each is answered, or cut off, and bounded. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "site.h"
#include "test.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_LAST "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static void serve(struct site *site, const char *const *options)
{
    site_write_text("index.html", "<p>home</p>\n");
    site_serve(site, options);
}

static void say(int fd, const char *text)
{
    net_write(fd, text, strlen(text));
}

/* What comes up to the end, which a reset may be too. */
static const char *read_to_end(int fd)
{
    static char text[65536];
    size_t size = 0;
    ssize_t n;
    while ((n = read(fd, text + size, sizeof text - 1 - size)) > 0 || (n < 0 && errno == EINTR))
        size += n > 0 ? (size_t)n : 0;
    text[size] = 0;
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        n++;
    return n;
}

/* One request that is refused; what follows in the same bytes is never looked at. */
static void expect_refused(const struct site *site, const char *request, int status)
{
    char line[32];
    int fd = net_connect_blocking(&site->address);
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    say(fd, request);
    say(fd, GET);
    const char *answer = read_to_end(fd);
    if (strncmp(answer, line, strlen(line)) != 0 || count(answer, "HTTP/1.1") != 1)
        fail_msg("not %d alone, but:\n%s\nfor:\n%s", status, answer, request);
    program_assert_contains(answer, "Connection: close\r\n");
    close(fd);
}

TEST(smuggled_requests_are_refused)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n X: a\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\nX: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX[: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: \x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n\r\n"),
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /%2 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / http/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: h\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\x16\x03\x01\x02", /* TLS */
    };
    struct site site;
    serve(&site, ARGUMENTS(NULL));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_refused(&site, bad[i], 400);
    expect_refused(&site, "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505);
    expect_refused(&site, "GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505);
    expect_refused(&site, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                   501);
    /* A body that nobody wants is not taken for requests. */
    expect_refused(&site, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 27\r\n\r\n" GET, 405);
    expect_refused(&site, "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 27\r\n\r\n" GET, 200);
    expect_refused(&site,
                   "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "1b\r\n" GET "\r\n0\r\n\r\n",
                   405);
    site_stop(&site);
}

static char *repeated(const char *before, const char *part, int n, const char *after)
{
    char *text = malloc(strlen(before) + strlen(part) * (size_t)n + strlen(after) + 1), *end;
    assert_non_null(text);
    end = stpcpy(text, before);
    for (int i = 0; i < n; i++)
        end = stpcpy(end, part);
    strcpy(end, after);
    return text;
}

TEST(large_heads_are_refused)
{
    struct site site;
    serve(&site, ARGUMENTS(NULL));
    char *target = repeated("GET /", "a", 10000, " HTTP/1.1\r\nHost: h\r\n\r\n");
    char *field = repeated("GET / HTTP/1.1\r\nHost: h\r\nX: ", "a", 10000, "\r\n\r\n");
    char *fields = repeated("GET / HTTP/1.1\r\nHost: h\r\n", "X: a\r\n", 101, "\r\n");
    char *method = repeated("", "A", 10000, " / HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_refused(&site, target, 414);
    expect_refused(&site, method, 414);
    expect_refused(&site, field, 431);
    expect_refused(&site, fields, 431);
    free(target), free(field), free(fields), free(method);
    /* and such that are just small enough are not */
    field = repeated("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: ", "a", 8000,
                     "\r\n\r\n");
    fields = repeated("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", "X: a\r\n", 98, "\r\n");
    for (int i = 0; i < 2; i++) {
        int fd = net_connect_blocking(&site.address);
        say(fd, i ? field : fields);
        program_assert_contains(read_to_end(fd), "HTTP/1.1 200 OK\r\n");
        close(fd);
    }
    free(field), free(fields);
    site_stop(&site);
}

/* Several requests in one piece, and one in many pieces: answered in order. */
TEST(pipelining)
{
    static const char three[] = GET "GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
                                    "\r\nHEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    struct site site;
    serve(&site, ARGUMENTS(NULL));
    for (size_t cut = 0; cut < sizeof three - 1; cut += 3) {
        int fd = net_connect_blocking(&site.address);
        net_write(fd, three, cut);
        net_write(fd, three + cut, sizeof three - 1 - cut);
        const char *text = read_to_end(fd);
        assert_int_equal(count(text, "HTTP/1.1 "), 3);
        assert_int_equal(count(text, "<p>home</p>"), 1);
        const char *home = strstr(text, "<p>home</p>\nHTTP/1.1 404 Not Found\r\n");
        assert_non_null(home);
        assert_non_null(strstr(home, "404 Not Found\nHTTP/1.1 200 OK\r\n"));
        close(fd);
    }
    char *many = repeated("", GET, 1000, GET_LAST);
    int fd = net_connect_blocking(&site.address);
    pid_t writer = fork();
    if (writer == 0) {
        say(fd, many);
        _exit(0);
    }
    static char answers[1000000];
    size_t size = net_read(fd, answers, sizeof answers - 1);
    answers[size] = 0;
    assert_int_equal(count(answers, "HTTP/1.1 200 OK\r\n"), 1001);
    free(many);
    close(fd);
    site_stop(&site);
}

TEST(by_netcat)
{
    struct site site;
    struct program p;
    char port[8];
    serve(&site, ARGUMENTS("--idle-timeout", "2"));
    snprintf(port, sizeof port, "%d", ntohs(site.address.sin_port));
    site_write_text("request", GET GET);
    char command[256];
    snprintf(command, sizeof command, "exec ncat 127.0.0.1 %s <%s", port, site_path("request"));
    program_run_client(&p, "sh", ARGUMENTS("-c", command));
    if (p.exit_code == 127)
        test_skip("ncat is not installed");
    assert_int_equal(count(p.out_text, "HTTP/1.1 200 OK\r\n"), 2);
    assert_int_equal(count(p.out_text, "<p>home</p>"), 2);
    site_stop(&site);
}

/* ---- time ---- */

TEST(an_idle_connection_ends)
{
    struct site site;
    char c;
    serve(&site, ARGUMENTS("--idle-timeout", "2"));
    int fresh = net_connect_blocking(&site.address), used = net_connect_blocking(&site.address);
    say(used, GET);
    assert_int_equal(count(read_to_end(used), "HTTP/1.1 200 OK\r\n"), 1);
    assert_int_equal(read(fresh, &c, 1), 0);
    close(fresh);
    close(used);
    site_stop(&site);
}

/* A byte now and then does not buy time. */
TEST(a_slow_head_is_cut_off)
{
    struct site site;
    struct pollfd answer = {.events = POLLIN};
    serve(&site, ARGUMENTS("--head-timeout", "0.5"));
    answer.fd = net_connect_blocking(&site.address);
    say(answer.fd, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    int bytes = 0;
    for (; bytes < 1000 && poll(&answer, 1, 10) == 0; bytes++)
        send(answer.fd, "x", 1, MSG_NOSIGNAL);
    assert_in_range(bytes, 0, 999);
    const char *text = read_to_end(answer.fd);
    assert_int_equal(strncmp(text, "HTTP/1.1 408 Request Timeout\r\n", 30), 0);
    close(answer.fd);
    site_stop(&site);
}

static void make_huge_file(void)
{
    site_write_text("huge", "");
    assert_int_equal(truncate(site_path("huge"), 64 << 20), 0);
}

TEST(who_does_not_read_is_cut_off)
{
    struct site site;
    static char some[65536];
    make_huge_file();
    serve(&site, ARGUMENTS("--send-timeout", "0.3"));
    int fd = net_connect_blocking(&site.address);
    net_small_buffers(fd);
    say(fd, "GET /huge HTTP/1.1\r\nHost: h\r\n\r\n");
    struct pollfd hung_up = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&hung_up, 1, 15000), 1);
    size_t got = 0;
    for (ssize_t n; (n = read(fd, some, sizeof some)) > 0;)
        got += (size_t)n;
    assert_true(got < 64 << 20); /* it does not look whole */
    close(fd);
    site_stop(&site);
}

/* A client that sends requests and reads no answer fills no memory. Its receive buffer keeps its size:
 * Linux drops what comes beyond a window that was made smaller, and the acknowledgements in it too,
 * so that neither end gets on. */
TEST(who_sends_and_does_not_read_is_cut_off)
{
    struct site site;
    serve(&site, ARGUMENTS("--send-timeout", "0.3"));
    int fd = net_connect_blocking(&site.address);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    size_t sent = 0;
    while (sent < 1 << 30 && send(fd, GET GET GET GET, sizeof GET * 4 - 4, MSG_NOSIGNAL) > 0)
        sent += sizeof GET * 4 - 4;
    assert_true(errno == EPIPE || errno == ECONNRESET);
    close(fd);
    site_stop(&site);
}

TEST(connections_are_bounded)
{
    struct site site;
    char text[64] = "";
    serve(&site, ARGUMENTS("--connections", "2"));
    int one = net_connect_blocking(&site.address), two = net_connect_blocking(&site.address);
    say(one, GET);
    say(two, GET);
    assert_int_equal(net_read(one, text, 17), 17);
    assert_int_equal(net_read(two, text, 17), 17);
    int three = net_connect_blocking(&site.address);
    say(three, GET_LAST);
    struct pollfd answer = {.fd = three, .events = POLLIN};
    assert_int_equal(poll(&answer, 1, 100), 0); /* it waits in the kernel's queue */
    close(one);
    program_assert_contains(read_to_end(three), "HTTP/1.1 200 OK\r\n");
    close(three);
    close(two);
    site_stop(&site);
}

static long resident_bytes(pid_t pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Who begins a request and dawdles, and who asks for much and does not read, costs little. */
TEST(slow_and_deaf_clients_take_little_memory)
{
    enum { CLIENTS = 400, BYTES_MOST = 100 * 1024 };
    static int fds[CLIENTS + 1];
    struct site site;
    if (test_is_slow())
        test_skip("sanitizers keep what was freed");
    make_huge_file();
    serve(&site, ARGUMENTS(NULL));
    for (int i = 0; i <= CLIENTS; i++) {
        fds[i] = net_connect_blocking(&site.address);
        net_small_buffers(fds[i]);
    }
    long before = resident_bytes(site.server.pid);
    for (int i = 0; i < CLIENTS; i++)
        say(fds[i], i % 2 ? "GET / HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaa"
                          : "GET /huge HTTP/1.1\r\nHost: h\r\n\r\n" GET GET);
    for (int i = 0; i < CLIENTS; i += 2) {
        char head[17];
        assert_int_equal(net_read(fds[i], head, sizeof head), sizeof head);
    }
    say(fds[CLIENTS], GET_LAST);
    program_assert_contains(read_to_end(fds[CLIENTS]), "<p>home</p>"); /* others are served */
    long each = (resident_bytes(site.server.pid) - before) / CLIENTS;
    if (each > BYTES_MOST)
        fail_msg("%ld bytes for each client", each);
    for (int i = 0; i <= CLIENTS; i++)
        close(fds[i]);
    site_stop(&site);
}

/* ---- the end ---- */

TEST(sigterm_lets_an_answer_finish)
{
    static char some[1 << 20];
    struct site site;
    char head[512] = "";
    make_huge_file();
    serve(&site, ARGUMENTS("--grace", "60"));
    int idle = net_connect_blocking(&site.address), busy = net_connect_blocking(&site.address);
    say(idle, GET);
    assert_int_equal(net_read(idle, head, 17), 17);
    say(busy, "GET /huge HTTP/1.1\r\nHost: h\r\n\r\n");
    size_t size = 0;
    while (!strstr(head, "\r\n\r\n"))
        assert_int_equal(net_read(busy, head + size++, 1), 1);
    assert_int_equal(kill(site.server.pid, SIGTERM), 0);
    program_assert_contains(read_to_end(idle), "<p>home</p>");
    size = 0;
    for (size_t n; (n = net_read(busy, some, sizeof some)) > 0;)
        size += n;
    assert_int_equal(size, 64 << 20);
    close(idle);
    close(busy);
    program_finish(&site.server);
    assert_int_equal(site.server.exit_code, 0);
    assert_string_equal(site.server.err_text, "");
}

TEST(the_grace_ends)
{
    struct site site;
    char head[17];
    make_huge_file();
    serve(&site, ARGUMENTS("--grace", "0.2"));
    int busy = net_connect_blocking(&site.address);
    net_small_buffers(busy);
    say(busy, "GET /huge HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(net_read(busy, head, sizeof head), sizeof head);
    assert_int_equal(kill(site.server.pid, SIGTERM), 0);
    program_finish(&site.server);
    assert_int_equal(site.server.exit_code, 0);
    program_assert_contains(site.server.err_text, "1 connections were cut off");
    close(busy);
}
