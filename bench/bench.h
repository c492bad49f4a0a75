/* The runner's own types: what is measured, on whom, and what came of it. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { BENCH_MAX_ROUNDS = 64, BENCH_MAX_METRICS = 3, BENCH_MAX_BENCHES = 128 };

/* A subject is a program beside the runner. One that was not built is skipped with a word. */
enum subject { CIO, ST, UV, EVENT, GO, NGINX, HAND, N_SUBJECTS };

extern const char *const subject_names[N_SUBJECTS];
extern const char *const subject_programs[N_SUBJECTS];

/* A subject prints lines `value KEY NUMBER`; each key that a bench names becomes a row of the report. */
struct metric {
    const char *key;
    const char *row;
    const char *unit;
};

enum kind {
    PLAIN, /* run the subject with `args`, read its values */
    HEAVY, /* the same, but it takes seconds or gigabytes: at most three rounds */
    TLS,   /* `args` is "KIND CONNECTIONS BYTES": the same, over TLS, by bench_tls_load */
    UDP,   /* `args` is "echo|sink BYTES IN-FLIGHT": the same, by bench_udp_load */
    ECHO,  /* `args` is "CONNECTIONS BYTES [IN-FLIGHT]": the subject serves, bench_load measures */
    HTTP,  /* the same: it serves a file of that many bytes, in a directory that it is told */
    HTTPS, /* the same over TLS; `args` as for TLS */
};

struct bench {
    const char *args;
    enum kind kind;
    unsigned subjects; /* bits, 1 << enum subject */
    struct metric metrics[BENCH_MAX_METRICS];
    const char *cio_mode; /* ECHO: which of our own servers; NULL: "echo" */
};

extern const struct bench benches[];
extern const size_t n_benches;

/* All samples of one metric on one subject. */
struct samples {
    double values[BENCH_MAX_ROUNDS];
    int count;
};

/* How one subject stands in one bench. */
struct result {
    struct samples metrics[BENCH_MAX_METRICS];
    bool absent; /* said that it cannot do this, or was not built: not run again */
    bool failed; /* crashed, hung or printed nonsense: reported, and the runner fails */
    char why[200];
};

struct options {
    const char *json_path;
    const char *only; /* run the benches of which a row contains this */
    int rounds;
    bool quick;
};

/* run.c: one process, its output and its end */

struct run {
    pid_t pid;
    int out_fd; /* the reading end of its standard output */
    int err_fd; /* a memory file that is its standard error */
    char buffer[4096];
    size_t used;
};

enum ending { ENDED_WELL, ENDED_ABSENT, ENDED_BADLY };

/* Starts `program` (a name beside the runner) with the words of `args`; cpu < 0 leaves it unpinned. 0, or -1 and errno. */
int run_start(struct run *r, const char *program, const char *args, int cpu);
/* The next line of its output, without the newline: 1, or 0 at its end, or -1 when `seconds` have passed. */
int run_line(struct run *r, char *line, size_t size, double seconds);
/* Waits for its end; `why` becomes the last line of its standard error, or how it died. */
enum ending run_end(struct run *r, char *why, size_t size);
/* Ends it now and forgets it: how a server stops. */
void run_kill(struct run *r);
bool run_exists(const char *program);

/* measure.c: one sample */

/* What is measured now. */
struct sample {
    const struct bench *bench;
    enum subject subject;
    int round; /* servers and loads change their processors with every one: no two are quite alike */
    bool quick;
};

void measure(const struct sample *sample, struct result *out);

/* report.c */

double samples_median(const struct samples *s);
void report_table(const struct result (*results)[N_SUBJECTS], const struct options *o);
/* 0, or -1 and errno. */
int report_json(const struct result (*results)[N_SUBJECTS], const char *path);

/* Does --only select this bench? */
bool bench_selected(const struct bench *b, const struct options *o);

#endif
