/* What came of it: a table to read, and JSON for programs. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct samples sorted(const struct samples *s)
{
    struct samples copy = *s;
    qsort(copy.values, (size_t)copy.count, sizeof copy.values[0], ascending);
    return copy;
}

double samples_median(const struct samples *s)
{
    struct samples o = sorted(s);
    int middle = o.count / 2;
    return o.count % 2 ? o.values[middle] : (o.values[middle - 1] + o.values[middle]) / 2;
}

/* Three significant digits are what repeats. */
static void print_number(char *text, size_t size, double v)
{
    snprintf(text, size, v < 10 ? "%.2f" : v < 100 ? "%.1f" : "%.0f", v);
}

static void print_cell(const struct samples *s)
{
    char cell[80] = "–";
    int width = 24;
    if (s->count == 0) {
        printf("  %*s", width + 2, cell); /* the dash is three bytes wide and one column */
        return;
    }
    struct samples o = sorted(s);
    char median[24], low[24], high[24];
    print_number(median, sizeof median, samples_median(s));
    print_number(low, sizeof low, o.values[0]);
    print_number(high, sizeof high, o.values[o.count - 1]);
    snprintf(cell, sizeof cell, "%s (%s..%s)", median, low, high);
    printf("  %*s", width, cell);
}

static void print_why(const struct result (*results)[N_SUBJECTS], const struct options *o)
{
    for (size_t b = 0; b < n_benches; b++) {
        for (int s = 0; s < N_SUBJECTS; s++) {
            const struct result *r = &results[b][s];
            if (bench_selected(&benches[b], o) && r->why[0])
                printf("%s %s %s: %s\n", benches[b].metrics[0].row, subject_names[s],
                       r->failed ? "FAILED" : "is absent", r->why);
        }
    }
}

void report_table(const struct result (*results)[N_SUBJECTS], const struct options *o)
{
    printf("%-26s %-5s", "median (min..max)", "unit");
    for (int s = 0; s < N_SUBJECTS; s++)
        printf("  %24s", subject_names[s]);
    printf("\n");
    for (size_t b = 0; b < n_benches; b++) {
        if (!bench_selected(&benches[b], o))
            continue;
        for (int m = 0; m < BENCH_MAX_METRICS && benches[b].metrics[m].key; m++) {
            printf("%-26s %-5s", benches[b].metrics[m].row, benches[b].metrics[m].unit);
            for (int s = 0; s < N_SUBJECTS; s++)
                print_cell(&results[b][s].metrics[m]);
            printf("\n");
        }
    }
    print_why(results, o);
}

static void print_json_row(FILE *f, const struct metric *m, int subject, const struct samples *s,
                           bool *first)
{
    struct samples o = sorted(s);
    fprintf(f,
            "%s\n{\"bench\":\"%s\",\"subject\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,"
            "\"max\":%.6g}",
            *first ? "" : ",", m->row, subject_names[subject], m->unit, samples_median(s),
            o.values[0], o.values[o.count - 1]);
    *first = false;
}

int report_json(const struct result (*results)[N_SUBJECTS], const char *path)
{
    FILE *f = fopen(path, "w");
    bool first = true;
    if (!f)
        return -1;
    fprintf(f, "{\"rows\":[");
    for (size_t b = 0; b < n_benches; b++)
        for (int m = 0; m < BENCH_MAX_METRICS && benches[b].metrics[m].key; m++)
            for (int s = 0; s < N_SUBJECTS; s++)
                if (results[b][s].metrics[m].count > 0)
                    print_json_row(f, &benches[b].metrics[m], s, &results[b][s].metrics[m], &first);
    fprintf(f, "\n]}\n");
    return fclose(f) == 0 ? 0 : -1;
}
