/*
 * statsd: collects what programs report by UDP in statsd's format, and prints it by and by.
 *
 *     statsd --interval 10 127.0.0.1 8125 &
 *     printf 'logins:1|c\nqueue:17|g\nquery:3.2|ms' >/dev/udp/127.0.0.1/8125
 *
 * Counters (c, with "@0.1" a sample rate) are added up, gauges (g) keep their last value, of times (ms)
 * the number, the mean and the largest are told. A datagram has several lines; wrong ones are counted.
 * Many datagrams that are there at once cost one system call. ^C prints what there is, and ends.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

enum { MOST_NAMES = 4096, NAME_MAX_BYTES = 100 };

struct metric {
    char name[NAME_MAX_BYTES];
    char kind; /* 'c', 'g', 'm'; 0: this place is free */
    unsigned long n;
    double value; /* a counter's or a gauge's; the sum of times */
    double largest;
};

struct collector {
    const char *host, *port;
    double interval;
    cio_datagram *d;
    struct metric
        metrics[MOST_NAMES]; /* a hash table: whoever invents names cannot fill the memory */
    int n_metrics;
    unsigned long datagrams, wrong;
};

/* Its place, perhaps a new one; NULL: there are too many. */
static struct metric *find(struct collector *self, const char *name, size_t length, char kind)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    for (uint32_t i = hash % MOST_NAMES;; i = (i + 1) % MOST_NAMES) {
        struct metric *m = &self->metrics[i];
        if (m->kind == kind && strncmp(m->name, name, length) == 0 && m->name[length] == '\0')
            return m;
        if (m->kind)
            continue;
        if (self->n_metrics >= MOST_NAMES * 3 / 4)
            return NULL;
        self->n_metrics++;
        memcpy(m->name, name, length);
        m->name[length] = '\0';
        m->kind = kind;
        return m;
    }
}

/* NAME:VALUE|KIND or NAME:VALUE|c|@RATE. False: it is not. */
static bool take_line(struct collector *self, const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon || colon == line || colon - line >= NAME_MAX_BYTES)
        return false;
    char *end;
    double value = strtod(colon + 1, &end), rate = 1;
    if (end == colon + 1 || *end++ != '|' || value - value != 0)
        return false;
    char kind = *end;
    bool known = kind == 'c' || kind == 'g' || (kind == 'm' && end[1] == 's');
    end += kind == 'm' ? 2 : 1;
    if (known && kind == 'c' && strncmp(end, "|@", 2) == 0)
        rate = strtod(end + 2, &end);
    if (!known || *end != '\0' || !(rate > 0 && rate <= 1))
        return false;
    struct metric *m = find(self, line, (size_t)(colon - line), kind);
    if (!m)
        return false;
    m->n++;
    m->value = kind == 'g' ? value : m->value + value / rate;
    if (m->n == 1 || value > m->largest)
        m->largest = value;
    return true;
}

static void take(struct collector *self, char *text)
{
    char *rest;
    self->datagrams++;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        self->wrong += !take_line(self, line);
}

static int collect(void *arg)
{
    struct collector *self = arg;
    static char text[CIO_DATAGRAM_MAX + 1];
    for (;;) {
        ssize_t n = cio_datagram_receive(self->d, text, sizeof text - 1, NULL, NULL);
        if (n < 0)
            return (int)n;
        text[n] = '\0';
        take(self, text);
    }
}

/* Prints and forgets, but for the gauges. */
static void print(struct collector *self)
{
    int64_t dropped = cio_datagram_dropped(self->d);
    printf("-- %lu datagrams, %lu wrong lines, %lld dropped\n", self->datagrams, self->wrong,
           dropped < 0 ? 0LL : (long long)dropped);
    for (int i = 0; i < MOST_NAMES; i++) {
        struct metric *m = &self->metrics[i];
        if (m->n == 0)
            continue;
        if (m->kind == 'm')
            printf("%s: %lu times, mean %g ms, at most %g ms\n", m->name, m->n,
                   m->value / (double)m->n, m->largest);
        else
            printf("%s: %g\n", m->name, m->value);
        m->value = m->kind == 'g' ? m->value : 0;
        m->n = 0;
    }
    fflush(stdout);
}

static int print_by_and_by(void *arg)
{
    struct collector *self = arg;
    for (;;) {
        int rc = cio_sleep(self->interval);
        if (rc < 0)
            return rc;
        print(self);
    }
}

static int statsd_main(void *arg)
{
    struct collector *self = arg;
    const cio_datagram_options options = {
        .local_host = self->host, .local_service = self->port, .receive_buffer = 1 << 20};
    int rc = cio_datagram_open(&self->d, &options);
    if (rc < 0) {
        fprintf(stderr, "statsd: cannot listen at %s port %s: %s\n", self->host, self->port,
                cio_strerror(rc));
        return rc;
    }
    struct sockaddr_in6 address = {0};
    socklen_t size = sizeof address;
    if (cio_datagram_sock_name(self->d, (struct sockaddr *)&address, &size) == 0)
        printf("listening on port %d\n", ntohs(address.sin6_port)); /* IPv4's lies there too */
    cio_group g;
    cio_group_enter(&g);
    cio_group_start(&g, collect, self);
    rc = cio_group_exit(&g, print_by_and_by(self));
    print(self);
    cio_datagram_close(self->d);
    return rc;
}

static int usage(FILE *f, int exit_code)
{
    fprintf(
        f, "usage: statsd [--interval S] HOST PORT\n"
           "Collects counters, gauges and times by UDP, in statsd's format. Port 0 is a free one.\n"
           "  --interval S   prints what there is every S seconds (default 10)\n");
    return exit_code;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"interval", required_argument, NULL, 'i'}, {"help", no_argument, NULL, 'h'}, {0}};
    static struct collector self = {.interval = 10};
    int c;
    while ((c = getopt_long(argc, argv, "h", names, NULL)) != -1) {
        if (c == 'h')
            return usage(stdout, 0);
        if (c != 'i')
            return usage(stderr, 2);
        self.interval = strtod(optarg, NULL);
    }
    if (argc - optind != 2 || !(self.interval > 0))
        return usage(stderr, 2);
    self.host = argv[optind];
    self.port = argv[optind + 1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = cio_run(statsd_main, &self);
    return rc == -EINTR ? 130 : rc < 0;
}
