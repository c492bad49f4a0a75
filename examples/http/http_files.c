/*
 * http_files: serves the files below a directory by HTTP/1.1.
 *
 *     http_files --port 8080 public_html
 *     curl http://localhost:8080/
 *     http_files --port 8443 --certificate server.pem --key server.key public_html
 *
 * It keeps connections alive, answers pipelined requests in order, sends ranges, and compares dates
 * and entity tags. Symbolic links that lead out of the directory are not followed. Who is slow to
 * send a request, or to take an answer, is cut off. SIGTERM and ^C let answers finish that are on
 * their way.
 *
 * lib/head.c reads requests, lib/files.c remembers files, lib/select.c knows about conditions and
 * ranges, lib/reply.c answers.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/serve.h"

struct options {
    const char *directory, *host, *port, *log;
    cio_tls_certificate certificate;
    cio_tls_context *tls; /* NULL: none is spoken */
    size_t connections;
    double grace_s;
    struct http_server server;
};

static const char usage_text[] =
    "usage: http_files [OPTIONS] DIRECTORY\n"
    "Serves the files below a directory by HTTP/1.1, \"index.html\" for a directory.\n"
    "\n"
    "  --host ADDRESS      listen there (127.0.0.1); \"\": everywhere\n"
    "  --port PORT         (8080); 0: a free one\n"
    "  --list              show what is in a directory without an \"index.html\"\n"
    "  --connections N     at most so many at once (10000)\n"
    "  --idle-timeout S    seconds that a connection may wait for a request (60)\n"
    "  --head-timeout S    and a request for the rest of its head (10)\n"
    "  --send-timeout S    and an answer for the client to take more of it (60)\n"
    "  --grace S           seconds that answers have to finish at the end (10)\n"
    "  --certificate FILE  speak TLS with this certificate (PEM),\n"
    "  --key FILE          and its key; if it is not in the same file\n"
    "  --log FILE          write an access log; -: to the standard output\n"
    "  --help              this text\n";

static void tell_port(cio_server *server)
{
    struct sockaddr_in6 address = {0};
    socklen_t size = sizeof address;
    int fd;
    if (cio_server_sockets(server, &fd, 1) > 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        printf("listening on port %d\n", ntohs(address.sin6_port)); /* IPv4's lies there too */
    fflush(stdout);
}

static int flush_log(void *log)
{
    int rc;
    while ((rc = cio_sleep(1)) == 0)
        http_log_flush(log);
    return rc;
}

/* Until a signal comes. Connections that are idle then end; the others finish their answer. */
static int serve_until_told(cio_server *server, const struct options *o)
{
    cio_signals signals;
    int rc = cio_signals_begin(&signals, CIO_SIGNAL(SIGTERM) | CIO_SIGNAL(SIGINT));
    if (rc < 0)
        return rc;
    tell_port(server); /* and ready to be told to stop */
    rc = cio_next_signal(&signals);
    cio_signals_end(&signals); /* a second one kills */
    if (rc < 0)
        return rc;
    cio_server_close(server);
    cio_server_close_clients(server);
    rc = cio_server_shutdown(server, o->grace_s);
    if (rc > 0)
        fprintf(stderr, "http_files: %d connections were cut off\n", rc);
    return rc < 0 ? rc : 0;
}

static int files_main(void *arg)
{
    struct options *o = arg;
    cio_server_options options = {
        .max_connections = o->connections, .backlog = 1024, .tls = o->tls};
    cio_server *server;
    int rc = cio_start_server(&server, http_serve, &o->server, o->host, o->port, &options);
    if (rc < 0) {
        fprintf(stderr, "http_files: cannot listen at \"%s\" port %s: %s\n", o->host, o->port,
                cio_strerror(rc));
        return rc;
    }
    cio_task *flusher = o->server.log ? cio_create_task(flush_log, o->server.log) : NULL;
    rc = serve_until_told(server, o);
    if (flusher) {
        cio_cancel(flusher);
        cio_await(flusher);
    }
    cio_server_free(server);
    return rc;
}

/* Each connection is a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

_Noreturn static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "http_files: %s: \"%s\" (see --help)\n", what, value);
    exit(2);
}

static double parse_seconds(const char *what, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0))
        refuse(what, text);
    return seconds;
}

static size_t parse_connections(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end || *text == '-' || n < 1 || n > 1000000)
        refuse("bad number of connections", text);
    return n;
}

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {{"host", required_argument, NULL, 'a'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"idle-timeout", required_argument, NULL, 'i'},
                                          {"head-timeout", required_argument, NULL, 'r'},
                                          {"send-timeout", required_argument, NULL, 's'},
                                          {"grace", required_argument, NULL, 'g'},
                                          {"certificate", required_argument, NULL, 'e'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"list", no_argument, NULL, 'd'},
                                          {"log", required_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct http_server *server = &o->server;
    for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (c) {
        case 'a': o->host = optarg; break;
        case 'p': o->port = optarg; break;
        case 'c': o->connections = parse_connections(optarg); break;
        case 'i': server->idle_timeout_s = parse_seconds("bad idle timeout", optarg); break;
        case 'r': server->head_timeout_s = parse_seconds("bad head timeout", optarg); break;
        case 's': server->send_timeout_s = parse_seconds("bad send timeout", optarg); break;
        case 'g': o->grace_s = parse_seconds("bad grace", optarg); break;
        case 'e': o->certificate.file = optarg; break;
        case 'k': o->certificate.key_file = optarg; break;
        case 'd': server->lists = true; break;
        case 'l': o->log = optarg; break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs("http_files: --help lists the options\n", stderr); exit(2);
        }
    }
    if (argc - optind != 1) {
        fputs(usage_text, stderr);
        exit(2);
    }
    o->directory = argv[optind];
}

static void make_tls(struct options *o)
{
    cio_tls_options options = {.certificate = o->certificate,
                               .handshake_timeout = o->server.head_timeout_s,
                               .shutdown_timeout = 5};
    if (!o->certificate.file && o->certificate.key_file)
        refuse("a key without a certificate", o->certificate.key_file);
    if (!o->certificate.file)
        return;
    int rc = cio_tls_server_context(&o->tls, &options);
    if (rc == CIO_ETLS)
        refuse(cio_tls_why(NULL), o->certificate.file);
    if (rc < 0)
        refuse(cio_strerror(rc), o->certificate.file);
}

int main(int argc, char **argv)
{
    static struct options o = {
        .host = "127.0.0.1",
        .port = "8080",
        .connections = 10000,
        .grace_s = 10,
        .server = {.idle_timeout_s = 60, .head_timeout_s = 10, .send_timeout_s = 60}};
    static struct http_log log;
    parse_options(&o, argc, argv);
    raise_descriptor_limit();
    int rc = http_files_init(&o.server.files, o.directory);
    if (rc < 0)
        refuse(strerror(-rc), o.directory);
    if (o.log) {
        rc = http_log_open(&log, o.log);
        if (rc < 0)
            refuse(strerror(-rc), o.log);
        o.server.log = &log;
    }
    make_tls(&o);
    http_server_init(&o.server);
    rc = cio_run(files_main, &o);
    if (o.server.log)
        http_log_close(o.server.log);
    http_files_free(&o.server.files);
    cio_tls_context_free(o.tls);
    if (rc < 0)
        fprintf(stderr, "http_files: %s\n", cio_strerror(rc));
    return rc < 0;
}
