/* The access log. */
#include "log.h"

#include <errno.h>
#include <inttypes.h>

int http_log_open(struct http_log *log, const char *name)
{
    *log = (struct http_log){.told = -1};
    log->file = strcmp(name, "-") == 0 ? stdout : fopen(name, "ae");
    return log->file ? 0 : -errno;
}

void http_log_flush(struct http_log *log)
{
    fflush(log->file);
}

void http_log_close(struct http_log *log)
{
    if (log->file == stdout)
        fflush(stdout);
    else if (log->file)
        fclose(log->file);
}

static const char *date_of(struct http_log *log, time_t now)
{
    struct tm tm;
    if (log->told != now) {
        localtime_r(&now, &tm);
        strftime(log->date, sizeof log->date, "%d/%b/%Y:%H:%M:%S %z", &tm);
        log->told = now;
    }
    return log->date;
}

/* A client must not be able to write lines of its own. */
static void put_escaped(FILE *file, struct http_text text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            fprintf(file, "\\x%02x", c);
        else
            putc(c, file);
    }
}

static void put_quoted(FILE *file, struct http_text text)
{
    fputs(" \"", file);
    put_escaped(file, text.size ? text : http_text("-"));
    putc('"', file);
}

void http_log_write(struct http_log *log, const char *peer, time_t now,
                    const struct http_request *request, int status, uint64_t bytes)
{
    FILE *file = log->file;
    fprintf(file, "%s - - [%s] \"", peer, date_of(log, now));
    if (request->path.at) {
        put_escaped(file, request->method_name);
        putc(' ', file);
        put_escaped(file, request->target);
        fprintf(file, " HTTP/1.%d", request->minor);
    }
    fprintf(file, "\" %d %" PRIu64, status, bytes);
    put_quoted(file, request->referer);
    put_quoted(file, request->user_agent);
    putc('\n', file);
}
