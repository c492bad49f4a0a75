/*
 * logsim: writes a log as a busy web server would, for follow to follow: lines come one by one,
 * with pauses of random length between.
 *
 *     logsim FILE [LINES [SECONDS [SEED]]]
 *
 * LINES 0, the default, never ends; SECONDS, 0.1 by default, is a pause on average. The same seed
 * gives the same lines: the times in them are those that the pauses make, not the clock's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cio.h>

#include "lib/net.h"

struct log {
    FILE *file;
    long lines; /* 0: for ever */
    double pause;
    double time; /* in the log, seconds since the epoch */
    uint64_t seed;
};

/* splitmix64. */
static uint64_t next_random(struct log *log)
{
    uint64_t z = log->seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static unsigned below(struct log *log, unsigned n)
{
    return (unsigned)(next_random(log) % n);
}

/* One line, in the common log format. */
static void write_line(struct log *log)
{
    static const char *const pages[] = {"/",
                                        "/ply/",
                                        "/ply/ply.html",
                                        "/python/",
                                        "/python/tutorial.html",
                                        "/swig/index.html",
                                        "/favicon.ico",
                                        "/robots.txt"};
    char when[64];
    struct tm parts;
    time_t seconds = (time_t)log->time;
    gmtime_r(&seconds, &parts);
    strftime(when, sizeof when, "%d/%b/%Y:%H:%M:%S +0000", &parts);
    unsigned host = below(log, 256), page = below(log, sizeof pages / sizeof pages[0]);
    bool found = page < 6;
    fprintf(log->file, "192.0.2.%u - - [%s] \"GET %s HTTP/1.1\" %d %u\n", host, when, pages[page],
            found ? 200 : 404, found ? 200 + below(log, 50000) : 133);
    fflush(log->file);
}

static int write_lines(void *arg)
{
    struct log *log = arg;
    int rc = 0;
    for (long i = 0; (log->lines == 0 || i < log->lines) && rc >= 0; i++) {
        double pause = log->pause * 2 * (below(log, 1000) / 1000.0);
        rc = cio_sleep(pause);
        log->time += pause;
        if (rc >= 0)
            write_line(log);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct log log = {.pause = 0.1, .time = 1236470400, .seed = 1};
    long seed = 1;
    char *end = "";
    if (argc > 3)
        log.pause = strtod(argv[3], &end);
    if (argc < 2 || argc > 5 || !read_number(argc > 2 ? argv[2] : "0", 0, 1000000000, &log.lines) ||
        *end || !(log.pause >= 0 && log.pause < 1e6) ||
        !read_number(argc > 4 ? argv[4] : "1", 0, 1000000000, &seed)) {
        fprintf(stderr, "usage: logsim FILE [LINES [SECONDS [SEED]]]\n");
        return 2;
    }
    log.seed = (uint64_t)seed;
    log.file = fopen(argv[1], "ae");
    if (!log.file) {
        perror(argv[1]);
        return 1;
    }
    int rc = cio_run(write_lines, &log);
    if (fclose(log.file) != 0 && rc >= 0)
        rc = -errno;
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "logsim: %s\n", cio_strerror(rc));
    return rc == -EINTR ? 130 : rc < 0;
}
