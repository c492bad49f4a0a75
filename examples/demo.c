/*
 * demo: an echo server and 10 000 clients of it, in one thread of one process.
 *
 * Every connection is real TCP over the loopback interface and has two tasks: one of the server,
 * one of the client. Both are written as if they were alone: send, receive, check, again. What
 * comes back is compared byte for byte.
 *
 * Read it from the top down: the server, the client, the two phases of the run, the report.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cio.h>

#include "support/histogram.h"

enum {
    DEFAULT_CONNECTIONS = 10000,
    DEFAULT_SIZE = 64,
    MAX_SIZE = 65536,       /* what the buffers of a socket hold: a client sends all, then reads */
    BACKLOG = 128,          /* connections that the kernel keeps for the server to accept */
    CONNECTS_AT_ONCE = 100, /* fewer than that, so that none is turned away */
    SPARE_DESCRIPTORS = 32, /* what the process needs besides its connections */
    PATTERNS = 251,         /* different messages; a prime, so that neighbours' differ */
    CHUNK = 1024,           /* bytes received at once */
};

static const double DEFAULT_SECONDS = 6;
static const double PROGRESS_SECONDS = 0.2;

struct demo;

struct connection {
    struct demo *demo;
    size_t number;
    int fd; /* the client's end, -1 if there is none */
};

struct demo {
    /* What was asked for. */
    size_t n_connections;
    size_t messages; /* per connection; 0: as many as fit into the seconds */
    size_t size;     /* of a message, in bytes */
    double seconds;

    /* The run. */
    int listener;
    struct sockaddr_in address;
    struct connection *connections;
    char *pattern; /* a message is `size` bytes of it, from one of the first PATTERNS on */
    int64_t deadline_ns;

    /* What came of it. */
    size_t connected;
    size_t answered; /* clients that have had their first answer */
    uint64_t requests;
    uint64_t errors;
    int first_error;
    int64_t begun_ns;
    int64_t ended_ns;
    size_t rss_before;
    size_t rss_in_use; /* when every client had its first answer, or else at the end */
    uint64_t switches; /* from one task to another */
    struct histogram latency_ns;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t count_switches(void)
{
    cio_loop_counters counters;
    cio_loop_get_counters(cio_get_running_loop(), &counters);
    return counters.switches;
}

static void count_error(struct demo *demo, int rc)
{
    if (demo->errors++ == 0)
        demo->first_error = rc;
}

/* Small messages leave at once, instead of waiting for the answer to the one before (Nagle). */
static void send_at_once(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/* The bytes of memory that the process really occupies. */
static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- The server ---- */

/* One connection: sends back what it receives, until the client has finished. */
static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[CHUNK];
    ssize_t n;
    int rc = 0;
    while (rc >= 0 && (n = cio_sock_recv(fd, data, sizeof data)) > 0)
        rc = cio_sock_sendall(fd, data, (size_t)n);
    cio_sock_close(fd);
    return 0; /* the client is the one who counts errors */
}

/* Accepts until it is canceled. The group ends the connections that are still open then. */
static int serve(void *arg)
{
    struct demo *demo = arg;
    cio_group connections;
    int fd = cio_group_enter(&connections);
    while (fd >= 0) {
        fd = cio_sock_accept(demo->listener, NULL, NULL);
        if (fd < 0)
            break;
        send_at_once(fd);
        if (!cio_group_start(&connections, echo, (void *)(intptr_t)fd))
            cio_sock_close(fd);
    }
    return cio_group_exit(&connections, fd);
}

/* ---- A client ---- */

static int connect_client(void *arg)
{
    struct connection *c = arg;
    struct demo *demo = c->demo;
    c->fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    int rc = c->fd;
    if (rc >= 0) {
        send_at_once(c->fd);
        rc = cio_sock_connect(c->fd, (struct sockaddr *)&demo->address, sizeof demo->address);
    }
    if (rc == 0) {
        demo->connected++;
        return 0;
    }
    if (rc != CIO_ECANCELED)
        count_error(demo, rc);
    if (c->fd >= 0)
        cio_sock_close(c->fd);
    c->fd = -1;
    return rc == CIO_ECANCELED ? rc : 0; /* an error would end the other clients too */
}

/* Sends a message and receives the answer, which must be the same bytes. */
static int exchange(int fd, const char *message, size_t size)
{
    int rc = cio_sock_sendall(fd, message, size);
    if (rc < 0)
        return rc;
    for (size_t got = 0; got < size;) {
        char data[CHUNK];
        ssize_t n = cio_sock_recv(fd, data, sizeof data);
        if (n <= 0)
            return n < 0 ? (int)n : -ECONNRESET;
        if ((size_t)n > size - got || memcmp(data, message + got, (size_t)n) != 0)
            return -EBADMSG;
        got += (size_t)n;
    }
    return 0;
}

static int run_client(void *arg)
{
    struct connection *c = arg;
    struct demo *demo = c->demo;
    int64_t sent_ns = now_ns();
    for (size_t i = 0; c->fd >= 0; i++) {
        if (demo->messages ? i == demo->messages : sent_ns >= demo->deadline_ns)
            break;
        const char *message = demo->pattern + (c->number + i) % PATTERNS;
        int rc = exchange(c->fd, message, demo->size);
        if (rc == CIO_ECANCELED)
            return rc;
        if (rc < 0) {
            count_error(demo, rc);
            break;
        }
        int64_t answered_ns = now_ns();
        histogram_add(&demo->latency_ns, (uint64_t)(answered_ns - sent_ns));
        sent_ns = answered_ns;
        demo->requests++;
        if (i == 0 && ++demo->answered == demo->connected)
            demo->rss_in_use = resident_bytes();
    }
    return 0;
}

/* ---- The run ---- */

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

/* A line on the terminal that overwrites itself. */
static int show_progress(void *arg)
{
    struct demo *demo = arg;
    uint64_t shown = 0;
    int rc = 0;
    while (rc == 0) {
        clear_progress();
        fprintf(stderr, "%zu connections, %llu requests, %.0f/s", demo->connected,
                (unsigned long long)demo->requests,
                (double)(demo->requests - shown) / PROGRESS_SECONDS);
        shown = demo->requests;
        rc = cio_sleep(PROGRESS_SECONDS);
    }
    clear_progress();
    return rc;
}

static int run_clients(struct demo *demo)
{
    clear_progress();
    printf("%zu connections to 127.0.0.1:%d, messages of %zu bytes, ", demo->connected,
           ntohs(demo->address.sin_port), demo->size);
    if (demo->messages)
        printf("%zu each\n", demo->messages);
    else
        printf("for %g s\n", demo->seconds);
    fflush(stdout);

    size_t n = demo->n_connections;
    demo->switches = count_switches();
    demo->begun_ns = now_ns();
    demo->deadline_ns = demo->begun_ns + (int64_t)(demo->seconds * 1e9);
    int rc = cio_map(run_client, demo->connections, n, sizeof demo->connections[0], n);
    demo->ended_ns = now_ns();
    demo->switches = count_switches() - demo->switches;
    return rc;
}

/* The main task: the server stands, first all clients connect, then all talk. */
static int run(void *arg)
{
    struct demo *demo = arg;
    demo->rss_before = resident_bytes();

    cio_group helpers;
    int rc = cio_group_enter(&helpers);
    if (rc < 0)
        return rc;
    cio_group_start(&helpers, serve, demo);
    if (isatty(STDERR_FILENO))
        cio_group_start(&helpers, show_progress, demo);

    rc = cio_map(connect_client, demo->connections, demo->n_connections,
                 sizeof demo->connections[0], CONNECTS_AT_ONCE);
    if (rc == 0)
        rc = run_clients(demo);
    if (demo->rss_in_use == 0)
        demo->rss_in_use = resident_bytes();

    for (size_t i = 0; i < demo->n_connections; i++) {
        if (demo->connections[i].fd >= 0)
            cio_sock_close(demo->connections[i].fd);
    }
    if (rc == 0)
        cio_group_cancel(&helpers);
    return cio_group_exit(&helpers, rc);
}

/* ---- The report ---- */

static void report(const struct demo *demo)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)(demo->ended_ns - demo->begun_ns) / 1e9;
    double rps = seconds > 0 ? (double)demo->requests / seconds : 0;
    double p50_us = (double)histogram_percentile(&demo->latency_ns, 50) / 1e3;
    double p99_us = (double)histogram_percentile(&demo->latency_ns, 99) / 1e3;
    double max_us = (double)demo->latency_ns.max / 1e3;
    size_t grown = demo->rss_in_use > demo->rss_before ? demo->rss_in_use - demo->rss_before : 0;
    size_t per_connection = demo->connected ? grown / demo->connected : 0;
    size_t per_task = per_connection / 2;

    printf("\n");
    printf("  requests           %llu in %.2f s, every byte of them checked\n",
           (unsigned long long)demo->requests, seconds);
    printf("  requests per s     %.0f\n", rps);
    printf("  latency            p50 %.0f us, p99 %.0f us, max %.0f us\n", p50_us, p99_us, max_us);
    printf("  memory             %zu bytes a connection, %zu bytes a task (two a connection)\n",
           per_connection, per_task);
    printf("  task switches      %llu, %.1f a request\n", (unsigned long long)demo->switches,
           demo->requests ? (double)demo->switches / (double)demo->requests : 0);
    printf("  context switches   %ld voluntary, %ld involuntary, of the process\n", usage.ru_nvcsw,
           usage.ru_nivcsw);
    printf("  errors             %llu", (unsigned long long)demo->errors);
    if (demo->errors)
        printf(", the first: %s (%s)", cio_strerror(demo->first_error),
               cio_err_name(demo->first_error));
    printf("\n\n");
    printf("demo: connections=%zu requests=%llu errors=%llu rps=%.0f p50_us=%.0f p99_us=%.0f "
           "bytes_per_task=%zu max_us=%.0f seconds=%.3f\n",
           demo->connected, (unsigned long long)demo->requests, (unsigned long long)demo->errors,
           rps, p50_us, p99_us, per_task, max_us, seconds);
}

/* ---- Before the run ---- */

static const char usage_text[] =
    "usage: demo [options]\n"
    "An echo server and many clients of it, over loopback TCP, in one thread.\n"
    "\n"
    "  --connections N   how many clients (10000)\n"
    "  --size BYTES      the size of a message, 1 to 65536 (64)\n"
    "  --seconds S       how long the clients send (6)\n"
    "  --messages N      how many messages each client sends, instead of --seconds\n"
    "  --help            this text\n";

_Noreturn static void refuse(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "demo: %s %s: %s\n", option, value, wanted);
    exit(2);
}

static size_t parse_count(const char *option, const char *text, size_t max)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || n < 1 || n > max) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "a whole number from 1 to %zu is wanted", max);
        refuse(option, text, wanted);
    }
    return (size_t)n;
}

static double parse_seconds(const char *option, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0 && seconds <= 86400))
        refuse(option, text, "a number of seconds, more than 0 and at most 86400, is wanted");
    return seconds;
}

static void parse_options(struct demo *demo, int argc, char **argv)
{
    static const struct option options[] = {
        {"connections", required_argument, NULL, 'c'},
        {"messages", required_argument, NULL, 'm'},
        {"size", required_argument, NULL, 'b'},
        {"seconds", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'c': demo->n_connections = parse_count("--connections", optarg, 1000000); break;
        case 'm': demo->messages = parse_count("--messages", optarg, 1000000000); break;
        case 'b': demo->size = parse_count("--size", optarg, MAX_SIZE); break;
        case 's': demo->seconds = parse_seconds("--seconds", optarg); break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs("demo: --help lists the options\n", stderr); exit(2);
        }
    }
    if (optind < argc)
        refuse("argument", argv[optind], "not understood; --help lists the options");
    if (demo->messages && demo->seconds > 0)
        refuse("--messages", "and --seconds", "one of them, not both");
    if (!demo->messages && demo->seconds <= 0)
        demo->seconds = DEFAULT_SECONDS;
}

/* Both ends of every connection are in this process. Takes fewer where so many are not allowed. */
static void provide_descriptors(struct demo *demo)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);

    size_t allowed = 1;
    if (limit.rlim_cur > SPARE_DESCRIPTORS + 2)
        allowed = (size_t)(limit.rlim_cur - SPARE_DESCRIPTORS) / 2;
    if (demo->n_connections <= allowed)
        return;
    fprintf(stderr,
            "demo: only %zu connections: no more than %llu descriptors are allowed"
            " (ulimit -Hn), and a connection needs two\n",
            allowed, (unsigned long long)limit.rlim_cur);
    demo->n_connections = allowed;
}

/* A socket that listens on a port of the kernel's choice. */
static int listen_on_loopback(struct demo *demo)
{
    socklen_t size = sizeof demo->address;
    demo->address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    if (bind(fd, (struct sockaddr *)&demo->address, size) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&demo->address, &size) < 0)
        return -errno;
    demo->listener = fd;
    return 0;
}

static int prepare(struct demo *demo)
{
    provide_descriptors(demo);
    size_t length = demo->size + PATTERNS;
    demo->connections = calloc(demo->n_connections, sizeof demo->connections[0]);
    demo->pattern = malloc(length);
    if (!demo->connections || !demo->pattern)
        return -ENOMEM;
    for (size_t i = 0; i < demo->n_connections; i++)
        demo->connections[i] = (struct connection){.demo = demo, .number = i, .fd = -1};
    uint32_t random = 1;
    for (size_t i = 0; i < length; i++) {
        random = random * 1664525 + 1013904223;
        demo->pattern[i] = (char)(random >> 24);
    }
    return listen_on_loopback(demo);
}

int main(int argc, char **argv)
{
    static struct demo demo = {.n_connections = DEFAULT_CONNECTIONS, .size = DEFAULT_SIZE};
    parse_options(&demo, argc, argv);

    int rc = prepare(&demo);
    if (rc == 0) {
        rc = cio_run(run, &demo);
        report(&demo);
        cio_sock_close(demo.listener);
    }
    free(demo.pattern);
    free(demo.connections);
    if (rc == -EINTR)
        return 130; /* ^C, as a shell counts it */
    if (rc < 0)
        fprintf(stderr, "demo: %s\n", cio_strerror(rc));
    return rc < 0 || demo.errors > 0;
}
