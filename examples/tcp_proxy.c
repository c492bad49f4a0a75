/*
 * tcp_proxy: passes every connection on to another address, in both directions.
 *
 *     tcp_proxy 127.0.0.1 8080 localhost http
 *
 * A side that ends its input ends the other's output, and no more; so half-closed connections work.
 * ^C lets the connections finish for five seconds.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

struct proxy {
    const char *listen_host, *listen_port;
    const char *host, *port;
    size_t connections;
    double timeout;
    bool copy;
};

struct direction {
    cio_stream *from, *to;
    double timeout;
    bool copy;
};

/* Much at a time is moved by the kernel, past this program. */
static int pass_on(void *arg)
{
    const struct direction *d = arg;
    const cio_relay_options options = {.idle = d->timeout, .copy = d->copy};
    int64_t rc = cio_relay(d->from, d->to, &options);
    return rc < 0 ? (int)rc : 0;
}

static int serve(cio_stream *client, void *arg)
{
    struct proxy *p = arg;
    cio_stream *server;
    int rc = cio_open_connection(&server, p->host, p->port, NULL);
    if (rc < 0) {
        fprintf(stderr, "tcp_proxy: cannot connect to %s port %s: %s\n", p->host, p->port,
                cio_strerror(rc));
        return 0;
    }
    struct direction there = {client, server, p->timeout, p->copy};
    struct direction back = {server, client, p->timeout, p->copy};
    cio_group g;
    cio_group_enter(&g);
    cio_group_start(&g, pass_on, &there);
    rc = cio_group_exit(&g, pass_on(&back));
    if (rc < 0)
        cio_abort(server);
    else
        cio_close(server);
    return rc == CIO_ECANCELED ? rc : 0; /* a broken connection is nothing to report */
}

static int proxy_main(void *arg)
{
    struct proxy *p = arg;
    cio_server_options options = {.max_connections = p->connections, .grace = 5};
    cio_server *server;
    int rc = cio_start_server(&server, serve, p, p->listen_host, p->listen_port, &options);
    if (rc < 0) {
        fprintf(stderr, "tcp_proxy: cannot listen at %s port %s: %s\n", p->listen_host,
                p->listen_port, cio_strerror(rc));
        return rc;
    }
    struct sockaddr_in6 address = {0};
    socklen_t size = sizeof address;
    int fd;
    if (cio_server_sockets(server, &fd, 1) > 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        printf("listening on port %d\n", ntohs(address.sin6_port)); /* IPv4's lies there too */
    rc = cio_server_serve_forever(server);
    cio_server_free(server);
    return rc;
}

static int usage(FILE *f, int exit_code)
{
    fprintf(f, "usage: tcp_proxy [OPTIONS] LISTEN_HOST LISTEN_PORT HOST PORT\n"
               "Passes connections on. Port 0 is a free one.\n"
               "  --connections N   at most so many at once (default 1000)\n"
               "  --timeout S       end those that are idle for so many seconds (default 300)\n"
               "  --copy            through this program's memory, not by the kernel alone\n");
    return exit_code;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"connections", required_argument, NULL, 'c'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"copy", no_argument, NULL, 'C'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct proxy p = {.connections = 1000, .timeout = 300};
    int c;
    while ((c = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (c == 'h')
            return usage(stdout, 0);
        if (c == 'c')
            p.connections = strtoul(optarg, NULL, 10);
        else if (c == 't')
            p.timeout = strtod(optarg, NULL);
        else if (c == 'C')
            p.copy = true;
        else
            return usage(stderr, 2);
    }
    if (argc - optind != 4 || p.connections == 0 || !(p.timeout > 0))
        return usage(stderr, 2);
    p.listen_host = argv[optind];
    p.listen_port = argv[optind + 1];
    p.host = argv[optind + 2];
    p.port = argv[optind + 3];
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = cio_run(proxy_main, &p);
    return rc == -EINTR ? 130 : rc < 0;
}
