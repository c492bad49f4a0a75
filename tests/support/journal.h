/*
 * What happened, and in which order: tests write words down and compare the line, and collect what
 * the exception handler was told.
 */
#ifndef CIO_TESTS_JOURNAL_H
#define CIO_TESTS_JOURNAL_H

#include <stdbool.h>

#include <cio.h>

/* Appends one word, as printf() would write it, after a space. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All words since the start or the last clear: "a b c". */
const char *noted(void);

void notes_clear(void);

/* What one call of the exception handler said; the strings are copies. */
struct report {
    int error;
    bool has_future;
    char name[48];
    char message[128];
};

struct reports {
    int n;
    struct report seen[32];
};

/* A cio_exception_handler; arg is a struct reports. */
void reports_add(cio_loop *loop, const cio_exception_context *context, void *arg);

/* How many reports bear this name. */
int reports_of(const struct reports *reports, const char *name);

/* cio_run(), with what the exception handler hears left in *reports. */
int run_with_reports(struct reports *reports, cio_coroutine *fn, void *arg);

/* cio_run() of a test in which the exception handler must hear nothing. */
int run_quiet(cio_coroutine *fn, void *arg);

#endif
