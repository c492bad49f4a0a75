/*
 * broadcast: the same the other way round. Values are pushed: a source sends lines into coroutines,
 * which send what they let pass into the next. Unlike a chain of generators this can branch, and
 * come together again.
 *
 *     tail -f log | broadcast WORD...          source -> broadcast -> grep WORD -> a printer each
 *     tail -f log | broadcast -j WORD...       ... -> one printer for all
 */
#include <stdio.h>
#include <string.h>

#include <cio.h>

enum { TARGETS_MAX = 16 };

/* A consumer that stands in its first yield. */
static cio_generator *primed(cio_generator_fn *fn, void *arg)
{
    cio_generator *g = cio_generator_new(fn, arg);
    cio_generator_next(g, NULL);
    return g;
}

/* The end of the pipe. */
static int printer(cio_generator *g, void *count)
{
    void *line;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &line)) >= 0) {
        fputs(line, stdout);
        ++*(int *)count;
    }
    return rc;
}

struct filter {
    const char *word;
    cio_generator *target;
};

static int grep(cio_generator *g, void *arg)
{
    const struct filter *filter = arg;
    void *line;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &line)) >= 0)
        if (strstr(line, filter->word))
            cio_generator_send(filter->target, line, NULL);
    return rc;
}

struct fan {
    cio_generator *targets[TARGETS_MAX];
    int n;
};

static int broadcast(cio_generator *g, void *arg)
{
    const struct fan *fan = arg;
    void *line;
    int rc;
    while ((rc = cio_generator_yield(g, NULL, &line)) >= 0)
        for (int i = 0; i < fan->n; i++)
            cio_generator_send(fan->targets[i], line, NULL);
    return rc;
}

/* The source is no coroutine: it drives them. */
static void source(FILE *file, cio_generator *target)
{
    char line[4096];
    while (fgets(line, sizeof line, file))
        cio_generator_send(target, line, NULL);
}

int main(int argc, char **argv)
{
    bool join = argc > 1 && strcmp(argv[1], "-j") == 0;
    char **words = argv + 1 + join;
    struct fan fan = {.n = argc - 1 - join};
    struct filter filters[TARGETS_MAX];
    cio_generator *printers[TARGETS_MAX];
    int counts[TARGETS_MAX] = {0};
    if (fan.n < 1 || fan.n > TARGETS_MAX) {
        fprintf(stderr, "usage: broadcast [-j] WORD...    (up to %d; lines on stdin)\n",
                TARGETS_MAX);
        return 2;
    }
    for (int i = 0; i < fan.n; i++) {
        printers[i] = join && i > 0 ? printers[0] : primed(printer, &counts[i]);
        filters[i] = (struct filter){words[i], printers[i]};
        fan.targets[i] = primed(grep, &filters[i]);
    }
    cio_generator *all = primed(broadcast, &fan);
    source(stdin, all);

    cio_generator_free(all);
    for (int i = 0; i < fan.n; i++)
        cio_generator_free(fan.targets[i]);
    for (int i = 0; i < (join ? 1 : fan.n); i++) {
        cio_generator_free(printers[i]);
        fprintf(stderr, "printer %d: %d lines\n", i + 1, counts[i]);
    }
    return 0;
}
