/* Runs every benchmark on every subject, interleaved, and reports medians.
 *
 * Rounds are the outer loop: a neighbour that is busy for a minute then spoils one sample of each row, not all samples of
 * one row. Within a bench the subjects take turns at being first. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const char *const subject_names[N_SUBJECTS] = {
    [CIO] = "cio", [ST] = "st",       [UV] = "uv",    [EVENT] = "event",
    [GO] = "go",   [NGINX] = "nginx", [HAND] = "hand"};
const char *const subject_programs[N_SUBJECTS] = {
    [CIO] = "bench_cio", [ST] = "bench_st",       [UV] = "bench_uv",     [EVENT] = "bench_event",
    [GO] = "bench_go",   [NGINX] = "bench_nginx", [HAND] = "bench_epoll"};

enum {
    B_CIO = 1 << CIO,
    B_ST = 1 << ST,
    B_UV = 1 << UV,
    B_EVENT = 1 << EVENT,
    B_GO = 1 << GO,
    B_NGINX = 1 << NGINX,
    B_HAND = 1 << HAND,
    B_TASKS = B_CIO | B_ST,
    B_ALL = B_CIO | B_ST | B_UV | B_HAND
};

/* clang-format off */
#define NS(row) {{"time", row, "ns"}}
#define ECHO_CELL(n, bytes) {#n " " #bytes, ECHO, B_ALL, {{"cpu", "echo-" #n "x" #bytes, "us"}}}
#define FLIGHT_CELL(n, bytes, flight)                                                              \
    {#n " " #bytes " " #flight, ECHO, B_ALL, {{"cpu", "echo-" #n "x" #bytes "-in-flight-" #flight, "us"}}}

/* Our servers by streams and by protocols, beside the same peers. */
#define SERVER_CELL(mode, n, bytes) \
    {#n " " #bytes, ECHO, B_CIO | B_UV | B_EVENT | B_HAND, {{"cpu", mode "-" #n "x" #bytes, "us"}}, mode}

/* A static file by HTTP/1.1: processor time, and answers a second. */
#define HTTP_CELL(n, bytes) \
    {#n " " #bytes, HTTP, B_CIO | B_EVENT | B_GO | B_NGINX, \
     {{"cpu", "http-" #n "x" #bytes, "us"}, {"rate", "http-" #n "x" #bytes "-rate", "1/s"}}}
#define SERVER_FLIGHT_CELL(mode, n, bytes, flight) \
    {#n " " #bytes " " #flight, ECHO, B_CIO | B_UV | B_HAND, \
     {{"cpu", mode "-" #n "x" #bytes "-in-flight-" #flight, "us"}}, mode}

#define TLS_CELL(args, row) {args, TLS, B_CIO | B_GO | B_HAND, {{"cpu", row, "us"}}}

/* The file server over TLS: connections each made for one file of 1 KiB, and kept ones. */
#define HTTPS_CELL(args, row)                                                                      \
    {args, HTTPS, B_CIO | B_NGINX, {{"cpu", row, "us"}, {"rate", row "-rate", "/s"}}}

#define UDP_CELL(args, row, mode)                                                                  \
    {args, UDP, B_CIO | B_UV | B_GO | B_HAND,                                                      \
     {{"cpu", row, "ns"}, {"rate", row "-rate", "/s"}}, mode}

const struct bench benches[] = {
    /* Nanoseconds a hop with N tasks ready. libuv's nearest thing is N idle callbacks. */
    {"switch 1", PLAIN, B_ALL | B_GO, NS("switch-1")},
    {"switch 1000", PLAIN, B_ALL | B_GO, NS("switch-1000")},
    {"switch 10000", PLAIN, B_ALL, NS("switch-10000")},
    {"switch 100000", PLAIN, B_ALL, NS("switch-100000")},
    /* The same from four frames deep, with live data in them: what a real program's switch costs. */
    {"switch-deep 1", PLAIN, B_TASKS | B_HAND, NS("switch-deep-1")},
    {"switch-deep 1000", PLAIN, B_TASKS | B_HAND, NS("switch-deep-1000")},
    {"switch-deep 10000", PLAIN, B_TASKS | B_HAND, NS("switch-deep-10000")},
    {"switch-deep 100000", PLAIN, B_TASKS | B_HAND, NS("switch-deep-100000")},

    {"spawn 1", PLAIN, B_TASKS, NS("spawn-await")},
    {"spawn 1000", PLAIN, B_TASKS, NS("spawn-1000-await-all")},

    /* Messages between two tasks, each: there and back by two queues (Go has a size of 0 too, where
     * the sender waits), one way through one queue, and in and out again in one task. */
    {"queue 1", PLAIN, B_TASKS | B_GO, NS("queue-pingpong-1")},
    {"queue 0", PLAIN, B_GO, NS("queue-pingpong-unbuffered")},
    {"queue-stream 1", PLAIN, B_TASKS | B_GO, NS("queue-stream-1")},
    {"queue-stream 100", PLAIN, B_TASKS | B_GO, NS("queue-stream-100")},
    {"queue-nowait 100", PLAIN, B_CIO | B_GO, NS("queue-nowait")},
    /* Two switches a value: there and back. */
    {"generator-next", PLAIN, B_CIO, NS("generator-next")},
    {"generator-send", PLAIN, B_CIO, NS("generator-send")},
    {"generator-life", PLAIN, B_CIO, NS("generator-life")},

    /* Create and cancel. cio_call_later reads the clock; cio_call_at and libuv (cached time) do not. */
    {"clock", PLAIN, B_ALL, NS("clock-read")},
    {"timer 0", PLAIN, B_CIO, NS("timer-later-0")},
    {"timer 1000000", PLAIN, B_CIO, NS("timer-later-1000000")},
    {"timer-at 0", PLAIN, B_CIO | B_UV, NS("timer-at-0")},
    {"timer-at 1000000", PLAIN, B_CIO | B_UV, NS("timer-at-1000000")},

    /* Acquire and release: nobody else wants it; two tasks always do, each change of hands. */
    {"lock", PLAIN, B_TASKS | B_GO, NS("lock")},
    {"lock-hand-over", PLAIN, B_TASKS, NS("lock-hand-over")},
    {"semaphore", PLAIN, B_TASKS, NS("semaphore")},

    /* A million sleeps of one to two seconds: processor time from start to fire, and bytes while
     * all are parked. libuv's are timers without a stack. */
    {"sleep 1000000",
     HEAVY,
     B_CIO | B_ST | B_UV,
     {{"cpu", "sleep-1000000", "ns"}, {"resident", "parked-1000000", "B"}}},

    /* From another thread: a million wakes as fast as they go, and one wake there and back. */
    {"wake-burst", PLAIN, B_CIO | B_UV | B_HAND, NS("wake-burst")},
    {"wake-send", PLAIN, B_UV, NS("wake-bare-async-send")},
    {"wake-pingpong", PLAIN, B_CIO | B_UV | B_HAND, NS("wake-round-trip")},

    /* A job that does nothing, in a thread of the pool: there and back, and a thousand at once, each. */
    {"thread-round-trip",
     PLAIN,
     B_CIO | B_UV,
     {{"time", "thread-round-trip", "ns"}, {"cpu", "thread-round-trip-cpu", "ns"}}},
    {"thread-jobs 1000",
     PLAIN,
     B_CIO | B_UV,
     {{"time", "thread-1000-jobs", "ns"}, {"cpu", "thread-1000-jobs-cpu", "ns"}}},

    /* A number, which needs nobody; a name that a file has, one at a time and a hundred at once. */
    {"lookup-number", PLAIN, B_CIO | B_UV | B_GO | B_HAND, NS("lookup-number")},
    {"lookup-name 1",
     PLAIN,
     B_CIO | B_UV | B_GO | B_HAND,
     {{"time", "lookup-localhost", "ns"}, {"cpu", "lookup-localhost-cpu", "ns"}}},
    {"lookup-name 100",
     PLAIN,
     B_CIO | B_UV | B_GO,
     {{"time", "lookup-localhost-100", "ns"}, {"cpu", "lookup-localhost-100-cpu", "ns"}}},

    /* Server processor time a request, one request in flight on each connection, or on 64 of them. */
    ECHO_CELL(1, 64),
    ECHO_CELL(1, 1024),
    ECHO_CELL(1, 16384),
    ECHO_CELL(50, 64),
    ECHO_CELL(50, 1024),
    ECHO_CELL(50, 16384),
    ECHO_CELL(1000, 64),
    ECHO_CELL(1000, 1024),
    ECHO_CELL(1000, 16384),
    FLIGHT_CELL(1000, 64, 64),
    FLIGHT_CELL(1000, 1024, 64),
    FLIGHT_CELL(1000, 16384, 64),
    SERVER_CELL("echo-stream", 50, 64),
    SERVER_CELL("echo-stream", 50, 1024),
    SERVER_CELL("echo-stream", 50, 16384),
    SERVER_CELL("echo-stream", 1000, 64),
    SERVER_CELL("echo-stream", 1000, 1024),
    SERVER_CELL("echo-stream", 1000, 16384),
    SERVER_FLIGHT_CELL("echo-stream", 1000, 64, 64),
    SERVER_FLIGHT_CELL("echo-stream", 1000, 16384, 64),
    SERVER_CELL("echo-protocol", 50, 64),
    SERVER_CELL("echo-protocol", 1000, 1024),
    HTTP_CELL(1, 1024),
    HTTP_CELL(50, 1024),
    HTTP_CELL(1000, 1024),
    HTTP_CELL(10, 1048576),
    UDP_CELL("echo 64 1", "udp-echo-1x64", NULL),
    UDP_CELL("echo 64 64", "udp-echo-64x64", NULL),
    UDP_CELL("echo 1024 64", "udp-echo-64x1024", NULL),
    UDP_CELL("echo 64 64", "udp-protocol-64x64", "echo-udp-protocol"),
    UDP_CELL("sink 64 256", "udp-sink-64", NULL),
    UDP_CELL("sink 1024 256", "udp-sink-1024", NULL),
#ifdef BENCH_TLS
    TLS_CELL("full 1 1", "tls-handshake"),
    TLS_CELL("resumed 1 1", "tls-resumed"),
    TLS_CELL("echo 50 64", "tls-echo-50x64"),
    TLS_CELL("echo 50 1024", "tls-echo-50x1024"),
    TLS_CELL("echo 50 16384", "tls-echo-50x16384"),
    TLS_CELL("echo 4 131072", "tls-echo-4x131072"),
    HTTPS_CELL("full 1 1024", "https-handshake"),
    HTTPS_CELL("resumed 1 1024", "https-resumed"),
    HTTPS_CELL("echo 50 1024", "https-50x1024"),
    HTTPS_CELL("echo 1 1048576", "https-1x1048576"),
#endif

    /* Bytes of this process for each idle connection: without a task, with one, and over TLS. */
    {"idle-transports 9000", PLAIN, B_CIO, {{"resident", "idle-transports-9000", "B"}}},
    {"idle-streams 9000", PLAIN, B_CIO, {{"resident", "idle-streams-9000", "B"}}},
#ifdef BENCH_TLS
    {"idle-tls 9000", HEAVY, B_CIO, {{"resident", "idle-tls-9000", "B"}}},
#endif
};
/* clang-format on */
const size_t n_benches = sizeof benches / sizeof benches[0];

enum { HEAVY_ROUNDS = 3 };

static struct result results[sizeof benches / sizeof benches[0]][N_SUBJECTS];

bool bench_selected(const struct bench *b, const struct options *o)
{
    if (!o->only)
        return true;
    for (int m = 0; m < BENCH_MAX_METRICS && b->metrics[m].key; m++)
        if (strstr(b->metrics[m].row, o->only))
            return true;
    return false;
}

static bool round_is_due(const struct bench *b, const struct options *o, int round)
{
    int rounds = b->kind != HEAVY ? o->rounds : o->quick ? 1 : HEAVY_ROUNDS;
    return bench_selected(b, o) && round < o->rounds && round < rounds;
}

static void progress(const struct options *o, int round, const char *row, const char *subject)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[Kround %d of %d: %s, %s", round + 1, o->rounds, row, subject);
}

static void run_bench(size_t index, const struct options *o, int round)
{
    const struct bench *b = &benches[index];
    for (int i = 0; i < N_SUBJECTS; i++) {
        enum subject s = (enum subject)((i + round) % N_SUBJECTS);
        struct result *r = &results[index][s];
        if (!(b->subjects & 1U << s) || r->absent || r->failed)
            continue;
        progress(o, round, b->metrics[0].row, subject_names[s]);
        measure(&(struct sample){b, s, round, o->quick}, r);
    }
}

/* A peer that is not installed leaves its column empty, and the report says so. */
static void mark_missing_subjects(void)
{
    for (int s = 0; s < N_SUBJECTS; s++) {
        if (run_exists(subject_programs[s]))
            continue;
        fprintf(stderr, "bench: %s was not built: %s is left out\n", subject_programs[s],
                subject_names[s]);
        for (size_t b = 0; b < n_benches; b++)
            results[b][s].absent = true;
    }
}

static void run_rounds(const struct options *o)
{
    for (int round = 0; round < o->rounds; round++) {
        for (size_t b = 0; b < n_benches; b++)
            if (round_is_due(&benches[b], o, round))
                run_bench(b, o, round);
        if (!isatty(STDERR_FILENO))
            fprintf(stderr, "round %d of %d done\n", round + 1, o->rounds);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static bool anything_failed(void)
{
    for (size_t b = 0; b < n_benches; b++)
        for (int s = 0; s < N_SUBJECTS; s++)
            if (results[b][s].failed)
                return true;
    return false;
}

static void usage(FILE *f)
{
    fprintf(
        f,
        "usage: bench [--rounds N] [--only SUBSTRING] [--quick] [-o FILE]\n"
        "  --rounds N        take the median of N samples (default 7; the million rows at most 3)\n"
        "  --only SUBSTRING  run the benches of which a row's name contains this\n"
        "  --quick           three rounds, shorter echo windows, the million rows once\n"
        "  -o FILE           write the JSON there (default build/bench.json)\n");
}

/* 0, 1 when the program has said all it should, or -1 on nonsense. */
static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"rounds", required_argument, NULL, 'r'}, {"only", required_argument, NULL, 'n'},
        {"quick", no_argument, NULL, 'q'},        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},         {0}};
    int c;
    while ((c = getopt_long(argc, argv, "r:n:qo:h", names, NULL)) != -1) {
        switch (c) {
        case 'r':
            o->rounds = atoi(optarg);
            if (o->rounds < 1)
                return -1;
            break;
        case 'n': o->only = optarg; break;
        case 'q': o->quick = true; break;
        case 'o': o->json_path = optarg; break;
        case 'h': usage(stdout); return 1;
        default: return -1;
        }
    }
    if (o->rounds == 0)
        o->rounds = o->quick ? 3 : 7;
    return o->rounds > BENCH_MAX_ROUNDS || optind != argc ? -1 : 0;
}

/* A thousand connections and their other ends need more than the usual 1 024 descriptors. */
static void raise_fd_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

/*
 * The subjects inherit it: whatever else the machine does waits, as far as it lets us. Without the
 * right to it one measures the neighbours too.
 */
static void raise_priority(void)
{
    struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    if (sched_setscheduler(0, SCHED_RR, &lowest) < 0)
        fprintf(stderr, "bench: no real-time priority (%s): expect noise\n", strerror(errno));
}

/* Minutes of measuring should not end in a file that cannot be written. */
static bool can_write(const char *path)
{
    FILE *f = fopen(path, "a");
    return f && fclose(f) == 0;
}

static bool anything_selected(const struct options *o)
{
    for (size_t b = 0; b < n_benches; b++)
        if (bench_selected(&benches[b], o))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct options o = {.json_path = "build/bench.json"};
    int rc = parse_options(&o, argc, argv);
    if (rc < 0)
        usage(stderr);
    if (rc)
        return rc < 0 ? 2 : 0;
    if (!anything_selected(&o)) {
        fprintf(stderr, "bench: no row's name contains \"%s\"\n", o.only);
        return 2;
    }
    raise_fd_limit();
    raise_priority();
    mark_missing_subjects();
    if (can_write(o.json_path)) {
        run_rounds(&o);
        report_table(results, &o);
    }
    if (report_json(results, o.json_path) < 0) {
        fprintf(stderr, "bench: %s: %s\n", o.json_path, strerror(errno));
        return 1;
    }
    return anything_failed() ? 1 : 0;
}
