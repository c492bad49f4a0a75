/* One sample: run a subject once and read its values. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

static const double patience_seconds = 180;

static void fail(struct result *out, const char *why)
{
    out->failed = true;
    snprintf(out->why, sizeof out->why, "%s", why);
}

static int find_metric(const struct bench *b, const char *key)
{
    for (int i = 0; i < BENCH_MAX_METRICS && b->metrics[i].key; i++)
        if (strcmp(b->metrics[i].key, key) == 0)
            return i;
    return -1;
}

/* Reads `value KEY NUMBER` lines to the end of the output. How many were understood, or -1 when it hangs. */
static int read_values(struct run *r, const struct bench *b, struct result *out)
{
    char line[256];
    int found = 0;
    int more;
    while ((more = run_line(r, line, sizeof line, patience_seconds)) > 0) {
        char key[64];
        double value;
        if (sscanf(line, "value %63s %lf", key, &value) != 2)
            continue;
        int i = find_metric(b, key);
        if (i < 0 || out->metrics[i].count == BENCH_MAX_ROUNDS)
            continue;
        out->metrics[i].values[out->metrics[i].count++] = value;
        found++;
    }
    return more < 0 ? -1 : found;
}

/* Takes the values of a process that has been started, and its end. */
static void collect(struct run *r, const struct bench *b, struct result *out)
{
    char why[sizeof out->why] = "";
    int found = read_values(r, b, out);
    if (found < 0) {
        run_kill(r);
        fail(out, "took too long");
        return;
    }
    switch (run_end(r, why, sizeof why)) {
    case ENDED_ABSENT:
        out->absent = true;
        snprintf(out->why, sizeof out->why, "%s", why);
        break;
    case ENDED_BADLY: fail(out, why); break;
    case ENDED_WELL:
        if (found == 0)
            fail(out, "printed no value that this bench knows");
        break;
    }
}

static void measure_plain(const struct bench *b, enum subject s, struct result *out)
{
    struct run r;
    if (run_start(&r, subject_programs[s], b->args, -1) < 0)
        fail(out, strerror(errno));
    else
        collect(&r, b, out);
}

static const char *load_program(enum kind kind)
{
    switch (kind) {
    case TLS:
    case HTTPS: return "bench_tls_load";
    case UDP: return "bench_udp_load";
    default: return "bench_load";
    }
}

/*
 * The server says its port; the load generator reads the server's processor clock around its own
 * window.
 */
static void measure_server(const struct sample *sample, const char *mode, const char *load_more,
                           struct result *out)
{
    const struct bench *b = sample->bench;
    int server_cpu = sample->round & 1, load_cpu = !server_cpu;
    struct run server, load;
    char line[256] = "";
    char args[128];
    int port;

    if (run_start(&server, subject_programs[sample->subject], mode, server_cpu) < 0) {
        fail(out, strerror(errno));
        return;
    }
    if (run_line(&server, line, sizeof line, 10) <= 0 || sscanf(line, "port %d", &port) != 1) {
        run_kill(&server);
        fail(out, "the server told no port");
        return;
    }
    snprintf(args, sizeof args, "%d %d %s %s%s", (int)server.pid, port,
             sample->quick ? "0.2" : "0.4", b->args, load_more);
    if (run_start(&load, load_program(b->kind), args, load_cpu) < 0)
        fail(out, strerror(errno));
    else
        collect(&load, b, out);
    run_kill(&server);
}

/* The file's name says its size, and the load knows what is in it. */
static void measure_http(const struct sample *sample, struct result *out)
{
    char directory[] = "/tmp/cio-bench-XXXXXX", mode[64], path[64], more[64];
    const char *bytes = strrchr(sample->bench->args, ' ') + 1;
    if (!mkdtemp(directory) || chmod(directory, 0755) < 0) {
        fail(out, strerror(errno));
        return;
    }
    snprintf(path, sizeof path, "%s/%s.bin", directory, bytes);
    snprintf(mode, sizeof mode, "http%s %s", sample->bench->kind == HTTPS ? "s" : "", directory);
    snprintf(more, sizeof more, " http:/%s.bin", bytes);
    if (pattern_write(path, (size_t)atol(bytes)) < 0)
        fail(out, strerror(errno));
    else
        measure_server(sample, mode, more, out);
    unlink(path);
    snprintf(path, sizeof path, "%s/pid", directory); /* nginx insists on one */
    unlink(path);
    rmdir(directory);
}

/* The mode of a subject's server: ours may have several. */
static const char *server_mode(const struct sample *sample)
{
    const struct bench *b = sample->bench;
    if (sample->subject == CIO && b->cio_mode)
        return b->cio_mode;
    switch (b->kind) {
    case UDP: return strncmp(b->args, "sink", 4) == 0 ? "sink-udp" : "echo-udp";
    case TLS: return "echo-tls";
    default: return "echo";
    }
}

void measure(const struct sample *sample, struct result *out)
{
    switch (sample->bench->kind) {
    case HTTP:
    case HTTPS: measure_http(sample, out); break;
    case ECHO:
    case UDP:
    case TLS: measure_server(sample, server_mode(sample), "", out); break;
    default: measure_plain(sample->bench, sample->subject, out); break;
    }
}
