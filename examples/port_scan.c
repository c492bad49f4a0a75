/*
 * port_scan: which TCP ports of a host are open? Many are tried at once, but never more than a
 * given number, and none for longer than a given time.
 *
 *     port_scan localhost 1 1024
 *
 * Scan only hosts that are yours.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

struct scan {
    const char *host;
    struct addrinfo *addresses; /* all that it has; the port is filled in by each attempt */
    size_t concurrency;
    double timeout; /* seconds per port */
};

struct probe {
    const struct scan *scan;
    uint16_t port;
    int rc; /* what came of it */
};

struct attempt {
    const struct addrinfo *address;
    uint16_t port;
};

/* Opens a connection and drops it. */
static int try_to_connect(void *arg)
{
    const struct attempt *a = arg;
    struct sockaddr_storage address = {0};
    memcpy(&address, a->address->ai_addr, a->address->ai_addrlen);
    if (address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_port = htons(a->port);
    else
        ((struct sockaddr_in *)&address)->sin_port = htons(a->port);

    int fd = cio_sock_open(address.ss_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    int rc = cio_sock_connect(fd, (struct sockaddr *)&address, a->address->ai_addrlen);
    cio_sock_close(fd);
    return rc;
}

/*
 * A server may listen at one of a name's addresses only: the port is open if it is at any of them.
 * Canceled (^C), it says so, and cio_map() stops; everything else is a result like another.
 */
static int probe(void *arg)
{
    struct probe *p = arg;
    p->rc = CIO_ECANCELED;
    for (const struct addrinfo *a = p->scan->addresses; a && p->rc != 0; a = a->ai_next) {
        struct attempt attempt = {a, p->port};
        int rc = cio_wait_for(try_to_connect, &attempt, p->scan->timeout);
        if (rc == CIO_ECANCELED)
            return rc;
        if (rc == 0 || a == p->scan->addresses) /* of failures the first address's counts */
            p->rc = rc;
    }
    return 0;
}

struct job {
    struct scan scan;
    struct probe *probes;
    size_t n;
};

/* A name is looked up once; for an address that takes no time. */
static int scan_all(void *arg)
{
    struct job *job = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rc = cio_getaddrinfo(job->scan.host, NULL, &hints, &job->scan.addresses);
    if (rc < 0)
        return rc;
    rc = cio_map(probe, job->probes, job->n, sizeof job->probes[0], job->scan.concurrency);
    cio_freeaddrinfo(job->scan.addresses);
    return rc;
}

static void report(const struct job *job)
{
    size_t n_open = 0, n_refused = 0, n_silent = 0, n_failed = 0;
    int failure = 0;
    for (size_t i = 0; i < job->n; i++) {
        const struct probe *p = &job->probes[i];
        if (p->rc == 0) {
            printf("%d open\n", p->port);
            n_open++;
        } else if (p->rc == -ECONNREFUSED) {
            n_refused++;
        } else if (p->rc == CIO_ETIMEDOUT || p->rc == -ETIMEDOUT) {
            n_silent++;
        } else if (p->rc != CIO_ECANCELED) {
            n_failed++;
            failure = p->rc;
        }
    }
    printf("%zu open, %zu refused, %zu silent, %zu failed\n", n_open, n_refused, n_silent,
           n_failed);
    if (failure)
        fprintf(stderr, "port_scan: the last failure: %s\n", cio_strerror(failure));
}

static const char usage_text[] =
    "usage: port_scan [options] HOST FIRST LAST\n"
    "Prints which TCP ports from FIRST to LAST are open at a host: a name, or an address.\n"
    "\n"
    "  --concurrency N   at most so many at once (100)\n"
    "  --timeout S       wait so many seconds for each, at each of the host's addresses (1)\n"
    "  --help            this text\n";

_Noreturn static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "port_scan: %s: %s (see --help)\n", what, value);
    exit(2);
}

static long parse_number(const char *what, const char *text, long max)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || n > max)
        refuse(what, text);
    return n;
}

static void parse_options(struct job *job, int argc, char **argv)
{
    static const struct option options[] = {
        {"concurrency", required_argument, NULL, 'c'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct scan *scan = &job->scan;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *end = NULL;
        switch (c) {
        case 'c': scan->concurrency = (size_t)parse_number("bad concurrency", optarg, 10000); break;
        case 't':
            scan->timeout = strtod(optarg, &end);
            if (end == optarg || *end || !(scan->timeout > 0))
                refuse("bad timeout", optarg);
            break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs("port_scan: --help lists the options\n", stderr); exit(2);
        }
    }
    if (argc - optind != 3) {
        fputs(usage_text, stderr);
        exit(2);
    }
    scan->host = argv[optind];
    long first = parse_number("bad port", argv[optind + 1], 65535);
    long last = parse_number("bad port", argv[optind + 2], 65535);
    if (last < first)
        refuse("the last port is before the first", argv[optind + 2]);

    job->n = (size_t)(last - first + 1);
    job->probes = calloc(job->n, sizeof job->probes[0]);
    for (size_t i = 0; job->probes && i < job->n; i++)
        job->probes[i] = (struct probe){
            .scan = scan, .port = (uint16_t)((size_t)first + i), .rc = CIO_ECANCELED};
}

int main(int argc, char **argv)
{
    static struct job job = {.scan = {.concurrency = 100, .timeout = 1}};
    parse_options(&job, argc, argv);
    int rc = job.probes ? cio_run(scan_all, &job) : -ENOMEM;
    if (rc == 0 || rc == -EINTR)
        report(&job);
    else
        fprintf(stderr, "port_scan: %s: %s\n", job.scan.host, cio_strerror(rc));
    free(job.probes);
    return rc == -EINTR ? 130 : rc < 0;
}
