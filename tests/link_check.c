/* examples/link_check, on servers that are not ours and one that misbehaves. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "net.h"
#include "site.h"
#include "test.h"

/* ---- a tree of pages, with what is known to be wrong in it ---- */

static void write_pages(void)
{
    site_write_text(
        "index.html",
        "<!doctype html><!-- <a href=/in-comment> --><p>1 < 2 <a title='>' href=\"a.html\">"
        "<A\nHREF = b/ class=x>b</A><a href='mailto:x@y'><a href='#here'><a href>"
        "<script>var x = '<a href=/in-script>';</script><img src=missing.png>"
        "<link rel=x href='/a%2ehtml?x=1&amp;y=&#50;'><a href='http://[bad/'>"
        "<a href=data:text/html,x>");
    site_write_text("a.html", "<a href='/b/c.html'><a href='/b/c.html#x'><a href=\"big.html\">");
    site_write_text("b/index.html",
                    "<a href='../index.html'><a href='../../..//a.html'><a href=c.html>");
    site_write_text("b/c.html", "<a href=./gone/./x/../y.html?q#f><a href='c d.txt'>");
    site_write_text("b/c d.txt", "<a href=/in-text>");
    static char big[300000];
    memset(big, ' ', sizeof big - 1);
    memcpy(big + 100000, "<a href=/found>", 15);
    memcpy(big + 290000, "<a href=/beyond>", 16);
    site_write("big.html", big, sizeof big - 1);
}

static void assert_tree_report(const struct program *p, const char *url)
{
    char line[256];
    assert_int_equal(p->exit_code, 1);
    assert_string_equal(p->err_text, "");
    const char *broken[] = {"/missing.png", "/b/gone/y.html?q", "/found"};
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "broken: %s%s: status 404\n    linked from %s/", url, broken[i],
                 url);
        program_assert_contains(p->out_text, line);
    }
    program_assert_contains(p->out_text, "broken: http://[bad/: not a URL\n");
    program_assert_contains(p->out_text, "links checked, 4 broken\n");
    program_assert_lacks(p->out_text, "/in-");
    program_assert_lacks(p->out_text, "/beyond");
}

TEST(finds_what_is_broken_on_our_server)
{
    struct site site;
    struct program p;
    write_pages();
    site_serve(&site, ARGUMENTS(NULL));
    program_run(&p, "link_check", ARGUMENTS("--max-bytes", "200000", site.url));
    assert_tree_report(&p, site.url);
    program_run(&p, "link_check", ARGUMENTS("--depth", "1", site_url(&site, "/")));
    assert_int_equal(p.exit_code, 1);
    program_assert_contains(p.out_text, "6 links checked, 2 broken\n");
    program_run(&p, "link_check", ARGUMENTS("--depth", "0", site_url(&site, "/b")));
    assert_int_equal(p.exit_code, 0); /* and the page to which it is sent on */
    program_assert_contains(p.out_text, "2 links checked, 0 broken\n");
    program_run(&p, "link_check", ARGUMENTS("--max-links", "3", site.url));
    program_assert_contains(p.out_text, "3 links checked, ");
    program_assert_contains(p.out_text, "links were left out (--max-links 3)\n");
    site_stop(&site);
}

TEST(finds_what_is_broken_on_pythons_server)
{
    struct program server, p;
    char url[64];
    int port = 0;
    write_pages();
    program_start_client(
        &server, "python3",
        ARGUMENTS("-u", "-m", "http.server", "-b", "127.0.0.1", "-d", site_root(), "0"));
    program_read(&server, "\n");
    if (sscanf(server.out_text, "Serving HTTP on 127.0.0.1 port %d", &port) != 1)
        test_skip("no python3 that serves files");
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    program_run(&p, "link_check", ARGUMENTS("--max-bytes", "200000", "--concurrency", "4", url));
    assert_tree_report(&p, url);
    assert_int_equal(kill(server.pid, SIGINT), 0);
    program_finish(&server);
}

/* ---- a server of the test's own, which answers what it is told ---- */

static const struct {
    const char *path, *answer;
} answers[] = {
    {"GET / ", "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=x\r\n"
               "Transfer-Encoding: chunked\r\n\r\n"
               "a;x=y\r\n<a href=/u\r\n1c\r\nntil><a href=/short><a href=\r\n"
               "64\r\n/garbage><a href=/silent><a href=/moved><a href=/loop><a href=/half>"
               "<a href=/nothing><a href=/twice>\r\n0\r\nX: y\r\n\r\n"},
    {"GET /until ", "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=/deep>"},
    {"GET /short ", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nx"},
    {"GET /half ", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n5\r\nab"},
    {"GET /garbage ", "SSH-2.0-x\r\n"},
    {"GET /twice ", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
    {"GET /silent ", NULL},
    {"GET /nothing ", ""},
    {"GET /moved ", "HTTP/1.1 302 Found\r\nLocation: /deep\r\nContent-Length: 0\r\n\r\n"},
    {"GET /loop ", "HTTP/1.1 301 Moved\r\nLocation: loop\r\nContent-Length: 0\r\n\r\n"},
    {"GET /deep ", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"},
    {"HEAD /far ", "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"},
    {"GET /far ", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n"},
};

/* Reads a request's head. */
static const char *take_request(int fd)
{
    static char request[1024];
    size_t size = 0;
    request[0] = 0;
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t n = read(fd, request + size, sizeof request - 1 - size);
        if (n <= 0)
            break;
        size += (size_t)n;
        request[size] = 0;
    }
    return request;
}

static void answer(int fd)
{
    const char *request = take_request(fd);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strncmp(request, answers[i].path, strlen(answers[i].path)) == 0) {
            if (!answers[i].answer)
                pause(); /* in a process of its own */
            (void)!write(fd, answers[i].answer, strlen(answers[i].answer));
            return;
        }
    _exit(1);
}

/* A process for each connection: they may keep the client waiting. */
static pid_t serve_answers(int listener)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    net_set_blocking(listener, true);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            answer(fd);
            _exit(0);
        }
        close(fd);
    }
}

TEST(answers_of_all_kinds)
{
    struct sockaddr_in address;
    struct program p;
    char url[64];
    int listener = net_listen(&address, 20);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    pid_t server = serve_answers(listener);
    program_run(&p, "link_check", ARGUMENTS("--timeout", test_is_slow() ? "12" : "3", url));
    kill(server, SIGKILL);
    assert_int_equal(p.exit_code, 1);
    static const char *const broken[] = {
        "/short: the peer ended", "/half: the peer ended", "/garbage: no HTTP",
        "/twice: no HTTP",        "/silent: timed out",    "/nothing: the peer ended",
        "/deep: status 410",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        program_assert_contains(p.out_text, broken[i]);
    program_assert_contains(p.out_text, "11 links checked, 7 broken\n");
    cio_sock_close(listener);
}

TEST(other_hosts)
{
    struct sockaddr_in address;
    struct site site;
    struct program p;
    char page[256];
    int listener = net_listen(&address, 20);
    pid_t server = serve_answers(listener);
    snprintf(page, sizeof page, "<a href=//127.0.0.1:%d/far><a href=http://nowhere.invalid/>",
             ntohs(address.sin_port));
    site_write_text("index.html", page);
    site_serve(&site, ARGUMENTS(NULL));
    program_run(&p, "link_check", ARGUMENTS(site.url));
    program_assert_contains(p.out_text, "1 links checked, 0 broken\n");
    assert_int_equal(p.exit_code, 0);
    program_run(&p, "link_check", ARGUMENTS("--external", site.url));
    program_assert_contains(p.out_text, "broken: http://nowhere.invalid/: ");
    program_assert_contains(p.out_text, "3 links checked, 1 broken\n");
    assert_int_equal(p.exit_code, 1);
    kill(server, SIGKILL);
    cio_sock_close(listener);
    site_stop(&site);
}

/* No more than so many requests at once: nobody is answered until all that can come are there. */
TEST(concurrency_is_bounded)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    struct sockaddr_in address;
    struct program p;
    char url[64];
    int listener = net_listen(&address, 20), fds[7];
    net_set_blocking(listener, true);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    program_start(&p, "link_check", ARGUMENTS("--concurrency", "3", url));
    struct pollfd more = {.fd = listener, .events = POLLIN};
    if (poll(&more, 1, 10000) != 1)
        program_finish(&p); /* it did not start: says why, or skips */
    fds[0] = accept(listener, NULL, NULL);
    take_request(fds[0]);
    net_write(fds[0], head, sizeof head - 1);
    net_write(fds[0], "<a href=1><a href=2><a href=3><a href=4><a href=5><a href=6>", 60);
    close(fds[0]);
    for (int i = 1; i <= 6; i += 3) {
        for (int k = i; k < i + 3; k++)
            fds[k] = accept(listener, NULL, NULL);
        assert_int_equal(poll(&more, 1, 100), 0);
        for (int k = i; k < i + 3; k++) {
            take_request(fds[k]);
            net_write(fds[k], head, sizeof head - 1);
            close(fds[k]);
        }
    }
    program_finish(&p);
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "7 links checked, 0 broken\n");
    cio_sock_close(listener);
}

TEST(interrupted_it_says_what_it_has_found)
{
    struct sockaddr_in address;
    struct program p;
    char url[64];
    int listener = net_listen(&address, 20);
    net_set_blocking(listener, true);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    program_start(&p, "link_check", ARGUMENTS(url));
    struct pollfd more = {.fd = listener, .events = POLLIN};
    if (poll(&more, 1, 10000) != 1)
        program_finish(&p);
    int fd = accept(listener, NULL, NULL);
    assert_int_equal(kill(p.pid, SIGINT), 0);
    program_finish(&p);
    assert_int_equal(p.exit_code, 130);
    assert_string_equal(p.out_text, "0 links checked, 0 broken\n");
    close(fd);
    cio_sock_close(listener);
}

TEST(options)
{
    static const char *const bad[][3] = {
        {NULL},
        {"ftp://x/"},
        {"localhost"},
        {"http://"},
        {"http://a", "http://b"},
        {"--concurrency", "0", "http://a"},
        {"--depth", "-1", "http://a"},
        {"--timeout", "nan", "http://a"},
        {"--max-links", "x", "http://a"},
        {"--max-bytes", "", "http://a"},
        {"--nonsense", "http://a"},
    };
    struct program p;
    program_run(&p, "link_check", ARGUMENTS("--help"));
    assert_int_equal(p.exit_code, 0);
    program_assert_contains(p.out_text, "usage: link_check");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        program_assert_refused("link_check", ARGUMENTS(bad[i][0], bad[i][1], bad[i][2]));
}
