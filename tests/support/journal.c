#include "journal.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

static char line[16384];
static size_t used;

void note(const char *format, ...)
{
    if (used > 0 && used + 1 < sizeof line)
        line[used++] = ' ';
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, sizeof line - used, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof line - used);
    used += (size_t)n;
}

const char *noted(void)
{
    return line;
}

void notes_clear(void)
{
    used = 0;
    line[0] = '\0';
}

void reports_add(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    struct reports *reports = arg;
    (void)loop;
    assert_true(reports->n < (int)(sizeof reports->seen / sizeof reports->seen[0]));
    struct report *r = &reports->seen[reports->n++];
    r->error = context->error;
    r->has_future = context->future != NULL;
    snprintf(r->name, sizeof r->name, "%s", context->name ? context->name : "");
    snprintf(r->message, sizeof r->message, "%s", context->message ? context->message : "");
}

int reports_of(const struct reports *reports, const char *name)
{
    int n = 0;
    for (int i = 0; i < reports->n; i++)
        n += strcmp(reports->seen[i].name, name) == 0;
    return n;
}

int run_with_reports(struct reports *reports, cio_coroutine *fn, void *arg)
{
    *reports = (struct reports){0};
    cio_run_options options = {.exception_handler = reports_add, .exception_arg = reports};
    return cio_run_with(&options, fn, arg);
}

int run_quiet(cio_coroutine *fn, void *arg)
{
    struct reports reports;
    int rc = run_with_reports(&reports, fn, arg);
    for (int i = 0; i < reports.n; i++)
        fprintf(stderr, "reported: %s (%s, %s)\n", reports.seen[i].message, reports.seen[i].name,
                cio_err_name(reports.seen[i].error));
    assert_int_equal(reports.n, 0);
    return rc;
}
