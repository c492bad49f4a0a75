/*
 * dns_lookup: the addresses of many names, and the names of many addresses, a number of them at
 * once and none for longer than a given time.
 *
 *     dns_lookup example.org www.example.org 127.0.0.1
 *     dns_lookup --timeout 2 - < names.txt
 *
 * They are what the system says, its hosts file included, and are printed in the order in which
 * they were asked for, each as soon as it is its turn.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

struct question {
    char *name;
    struct addrinfo *addresses; /* of a name */
    char host[NI_MAXHOST];      /* of an address */
    int rc;
    bool done;
};

static struct {
    struct question *questions;
    size_t n, room;
    size_t next; /* to be printed */
    size_t failed;
    int family;
    size_t concurrency;
    double timeout; /* seconds for each */
} all = {.concurrency = CIO_NAME_THREADS, .timeout = 10};

/* ---- looking up ---- */

static int look_up(void *arg)
{
    struct question *q = arg;
    struct addrinfo number = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo name = {.ai_family = all.family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    name.ai_flags = AI_CANONNAME;
    if (cio_getaddrinfo(q->name, NULL, &number, &address) < 0)
        return cio_getaddrinfo(q->name, NULL, &name, &q->addresses);
    int rc = cio_getnameinfo(address->ai_addr, address->ai_addrlen, q->host, sizeof q->host, NULL,
                             0, NI_NAMEREQD);
    cio_freeaddrinfo(address);
    return rc;
}

static void print_answer(const struct question *q)
{
    if (q->rc < 0) {
        fflush(stdout);
        fprintf(stderr, "dns_lookup: %s: %s\n", q->name, cio_strerror(q->rc));
        all.failed++;
        return;
    }
    if (!q->addresses)
        printf("%s PTR %s\n", q->name, q->host);
    else if (q->addresses->ai_canonname && strcmp(q->addresses->ai_canonname, q->name) != 0)
        printf("%s CNAME %s\n", q->name, q->addresses->ai_canonname);
    for (const struct addrinfo *a = q->addresses; a; a = a->ai_next) {
        char text[NI_MAXHOST];
        cio_getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        printf("%s %s %s\n", q->name, a->ai_family == AF_INET ? "A" : "AAAA", text);
    }
}

/* Canceled (^C), it says so, and cio_map() stops; everything else is an answer like another. */
static int ask(void *arg)
{
    struct question *q = arg;
    q->rc = cio_wait_for(look_up, q, all.timeout);
    if (q->rc == CIO_ECANCELED)
        return q->rc;
    q->done = true;
    while (all.next < all.n && all.questions[all.next].done) {
        struct question *printed = &all.questions[all.next++];
        print_answer(printed);
        cio_freeaddrinfo(printed->addresses);
        printed->addresses = NULL;
    }
    return 0;
}

static int ask_all(void *arg)
{
    (void)arg;
    return cio_map(ask, all.questions, all.n, sizeof *all.questions, all.concurrency);
}

/* ---- what is asked for ---- */

static const char usage_text[] =
    "usage: dns_lookup [OPTIONS] NAME...\n"
    "Prints the addresses of names and the names of addresses; - reads them from the standard\n"
    "input, one a line.\n"
    "\n"
    "  -4, --ipv4        IPv4 addresses only\n"
    "  -6, --ipv6        IPv6 addresses only\n"
    "  --concurrency N   at most so many at once, up to 16 (16)\n"
    "  --timeout S       give each so many seconds (10)\n"
    "  --help            this text\n"
    "\n"
    "Exit code: 0 if all were found, 1 if some were not, 2 for bad arguments, 130 after ^C.\n";

_Noreturn static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "dns_lookup: %s: %s (see --help)\n", what, value);
    exit(2);
}

static void add_question(const char *name)
{
    if (all.n == all.room) {
        all.room = all.room ? 2 * all.room : 16;
        all.questions = realloc(all.questions, all.room * sizeof *all.questions);
    }
    char *copy = all.questions ? strdup(name) : NULL;
    if (!copy) {
        fputs("dns_lookup: out of memory\n", stderr);
        exit(1);
    }
    all.questions[all.n++] = (struct question){.name = copy};
}

static void read_questions(void)
{
    char line[NI_MAXHOST + 2];
    while (fgets(line, sizeof line, stdin)) {
        size_t length = strcspn(line, "\r\n");
        if (!line[length] && length + 1 == sizeof line)
            refuse("a line is too long for a name", "standard input");
        line[length] = 0;
        if (length > 0)
            add_question(line);
    }
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {{"ipv4", no_argument, NULL, '4'},
                                            {"ipv6", no_argument, NULL, '6'},
                                            {"concurrency", required_argument, NULL, 'c'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "46", options, NULL)) != -1;) {
        char *end = NULL;
        switch (c) {
        case '4': all.family = AF_INET; break;
        case '6': all.family = AF_INET6; break;
        case 'c':
            all.concurrency = strtoul(optarg, &end, 10);
            if (end == optarg || *end || all.concurrency < 1 || all.concurrency > CIO_NAME_THREADS)
                refuse("bad concurrency", optarg);
            break;
        case 't':
            all.timeout = strtod(optarg, &end);
            if (end == optarg || *end || !(all.timeout > 0))
                refuse("bad timeout", optarg);
            break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs("dns_lookup: --help lists the options\n", stderr); exit(2);
        }
    }
    if (optind == argc) {
        fputs(usage_text, stderr);
        exit(2);
    }
    for (int i = optind; i < argc; i++) {
        if (strcmp(argv[i], "-") == 0)
            read_questions();
        else
            add_question(argv[i]);
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    int rc = all.n ? cio_run(ask_all, NULL) : 0;
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "dns_lookup: %s\n", cio_strerror(rc));
    for (size_t i = 0; i < all.n; i++) {
        cio_freeaddrinfo(all.questions[i].addresses); /* found, but its turn did not come */
        free(all.questions[i].name);
    }
    free(all.questions);
    if (fflush(stdout) != 0)
        return 1;
    return rc == -EINTR ? 130 : rc < 0 || all.failed;
}
