/*
 * TLS with other people's programs: openssl s_server and s_client, curl.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "net.h"
#include "streams.h"
#include "test.h"
#include "tls.h"

static void need(const char *program)
{
    if (!has_program(program))
        test_skip("a program that this test drives is not installed");
}

static int wait_in_thread(void *arg)
{
    int status;
    await_exit(*(int *)arg, &status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* Runs it, and waits in this task; returns how it exited. */
static int run(const char *name, char *const argv[])
{
    int pid = spawn(name, argv);
    return cio_to_thread(wait_in_thread, &pid);
}

/* ---- their client ---- */

enum { BODY = 300000 };

static int answer_http(cio_stream *s, void *arg)
{
    char line[1000], first[1000];
    ssize_t n = cio_read_line(s, first, sizeof first);
    (void)arg;
    while (n > 0 && (n = cio_read_line(s, line, sizeof line)) > 2)
        ;
    if (n < 0)
        return (int)n;
    static char body[BODY];
    memset(body, 'b', sizeof body);
    int rc = cio_printf(s, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                        sizeof body);
    return rc < 0 ? rc : cio_write(s, body, sizeof body);
}

static int by_curl(void *arg)
{
    struct tls_server server;
    char url[64];
    (void)arg;
    const char *ca = test_file("ca.pem", test_authority()->certificate);
    const char *cert = test_file("client.pem", test_client()->certificate);
    const char *key = test_file("client.key", test_client()->key);
    const char *body = test_file("body", "");
    static const char *const alpn[] = {"http/1.1", NULL};
    cio_tls_options options = {.alpn = alpn,
                               .verify = CIO_TLS_VERIFY_REQUIRED,
                               .ca_data = test_authority()->certificate,
                               .ca_size = strlen(test_authority()->certificate)};
    serve_tls(&server, answer_http, NULL, &options);
    snprintf(url, sizeof url, "https://localhost:%s/", server.port);
    for (int i = 0; i < 2; i++) {
        char *version = i ? "--tls-max" : "--tlsv1.3", *limit = i ? "1.2" : "-s";
        char *argv[] = {"curl",         "-sS",   "-4",        "--cacert", (char *)ca,   "--cert",
                        (char *)cert,   "--key", (char *)key, "-o",       (char *)body, "-w",
                        "%{http_code}", version, limit,       url,        NULL};
        assert_int_equal(run("curl", argv), 0);
        assert_string_equal(read_log("curl"), "200");
        struct stat size;
        assert_int_equal(stat(body, &size), 0);
        assert_int_equal(size.st_size, BODY);
    }
    /* Without a certificate, and with a name that is not ours, it is told no, or says no. */
    char *without[] = {"curl", "-sS", "-4", "--cacert", (char *)ca, url, NULL};
    assert_int_not_equal(run("curl", without), 0);
    char *distrusting[] = {"curl", "-sS", "-4", url, NULL};
    assert_int_equal(run("curl", distrusting), 60);
    stop_tls(&server);
    return 0;
}

TEST(curl_is_served)
{
    struct reports reports;
    need("curl");
    assert_int_equal(run_with_reports(&reports, by_curl, NULL), 0);
}

static int by_s_client(void *arg)
{
    struct tls_server server;
    char address[64];
    (void)arg;
    const char *ca = test_file("ca.pem", test_authority()->certificate);
    const char *session = test_file("session.pem", "");
    serve_tls(&server, answer_http, NULL, NULL);
    snprintf(address, sizeof address, "127.0.0.1:%s", server.port);
    char *save[] = {
        "sh",
        "-c",
        "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect \"$0\" -CAfile "
        "\"$1\" -verify_return_error -verify_hostname localhost -servername localhost "
        "-ign_eof $3 \"$2\"",
        address,
        (char *)ca,
        (char *)session,
        "-sess_out",
        NULL};
    assert_int_equal(run("s_client", save), 0);
    assert_non_null(strstr(read_log("s_client"), "Verification: OK"));
    assert_non_null(strstr(read_log("s_client"), "HTTP/1.1 200 OK"));
    assert_non_null(strstr(read_log("s_client"), "New, TLSv1.3"));
    save[6] = "-sess_in";
    assert_int_equal(run("s_client", save), 0);
    assert_non_null(strstr(read_log("s_client"), "Reused, TLSv1.3"));
    assert_non_null(strstr(read_log("s_client"), "HTTP/1.1 200 OK"));
    stop_tls(&server);
    return 0;
}

TEST(s_client_is_served_and_resumes)
{
    need("openssl");
    assert_int_equal(run_quiet(by_s_client, NULL), 0);
}

/* ---- their server ---- */

static int free_port(char port[8])
{
    struct sockaddr_in address;
    int fd = net_listen(&address, 1);
    snprintf(port, 8, "%d", ntohs(address.sin_port));
    cio_sock_close(fd);
    return 0;
}

struct s_server {
    int pid;
    char port[8];
};

static void start_s_server(struct s_server *s, const struct pem *pem, char *const more[])
{
    const char *cert = test_file("server.pem", pem->certificate);
    const char *key = test_file("server.key", pem->key);
    free_port(s->port);
    char *argv[20] = {"openssl", "s_server",  "-accept", s->port,  "-cert", (char *)cert,
                      "-key",    (char *)key, "-rev",    "-quiet", "-4"};
    for (int i = 11; more && *more; i++)
        argv[i] = *more++;
    s->pid = spawn("s_server", argv);
}

static void stop_s_server(const struct s_server *s)
{
    int status;
    kill(s->pid, SIGKILL);
    await_exit(s->pid, &status);
}

/* It takes a moment to begin. */
static int connect_s_server(cio_stream **ret, const struct s_server *s,
                            const cio_tls_context *context)
{
    cio_connect_options how = {.tls = context, .server_hostname = "localhost"};
    int rc = -ECONNREFUSED;
    for (int i = 0; i < 500 && rc == -ECONNREFUSED; i++) {
        rc = cio_open_connection(ret, "127.0.0.1", s->port, &how);
        if (rc == -ECONNREFUSED)
            assert_int_equal(cio_sleep(0.02), 0);
    }
    return rc;
}

static int to_s_server(void *arg)
{
    struct s_server server;
    cio_tls_context *context = client_context(NULL);
    cio_tls_info info;
    cio_stream *s;
    char line[100];
    start_s_server(&server, test_server(), arg);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(connect_s_server(&s, &server, context), 0);
        assert_int_equal(cio_printf(s, "number %d\n", i), 9);
        assert_int_equal(cio_read_line(s, line, sizeof line), 9);
        assert_memory_equal(line + 2, "rebmun", 5);
        assert_int_equal(cio_tls_get_info(s, &info), 0);
        assert_int_equal(info.resumed, i > 0);
        assert_string_equal(info.version, arg ? "TLSv1.2" : "TLSv1.3");
        assert_int_equal(cio_close(s), 0);
    }
    stop_s_server(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(s_server_is_talked_to_and_resumes)
{
    need("openssl");
    assert_int_equal(run_quiet(to_s_server, NULL), 0);
}

TEST(s_server_is_talked_to_with_tls_1_2)
{
    static char *more[] = {"-tls1_2", NULL};
    need("openssl");
    assert_int_equal(run_quiet(to_s_server, more), 0);
}

static int distrusted(void *arg)
{
    static struct pem bad;
    struct s_server server;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    (void)arg;
    struct certificate_wish wish = {.name = "localhost",
                                    .alternatives = "DNS:localhost",
                                    .issuer = test_authority(),
                                    .from_days = -20,
                                    .until_days = -10};
    make_certificate(&bad, &wish);
    start_s_server(&server, &bad, NULL);
    assert_int_equal(connect_s_server(&s, &server, context), CIO_ECERTIFICATE);
    assert_non_null(strstr(cio_tls_why(NULL), "expired"));
    assert_int_equal(connect_s_server(&s, &server, CIO_TLS_CLIENT), CIO_ECERTIFICATE);
    stop_s_server(&server);
    cio_tls_context_free(context);
    return 0;
}

TEST(s_server_with_an_expired_certificate_is_refused)
{
    need("openssl");
    assert_int_equal(run_quiet(distrusted, NULL), 0);
}

/* Killed, it announces nothing. */
static int killed(void *arg)
{
    struct s_server server;
    cio_tls_context *context = client_context(NULL);
    cio_stream *s;
    char line[100];
    (void)arg;
    start_s_server(&server, test_server(), NULL);
    assert_int_equal(connect_s_server(&s, &server, context), 0);
    assert_int_equal(cio_printf(s, "hello\n"), 6);
    assert_int_equal(cio_read_line(s, line, sizeof line), 6);
    stop_s_server(&server);
    assert_int_equal(cio_read_line(s, line, sizeof line), CIO_ETRUNCATED);
    cio_close(s);
    cio_tls_context_free(context);
    return 0;
}

TEST(a_server_that_dies_truncates)
{
    need("openssl");
    assert_int_equal(run_quiet(killed, NULL), 0);
}
