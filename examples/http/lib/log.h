/* The access log, in the format that everybody's tools read ("combined"). */
#ifndef HTTP_LOG_H
#define HTTP_LOG_H

#include <stdio.h>
#include <time.h>

#include "head.h"

struct http_log {
    FILE *file;
    time_t told; /* the second whose text is in `date` */
    char date[32];
};

/* "-": the standard output. Returns 0 or a negated errno. */
int http_log_open(struct http_log *log, const char *name);

/* One line. request may be one that could not be read. What would disturb the line is escaped. */
void http_log_write(struct http_log *log, const char *peer, time_t now,
                    const struct http_request *request, int status, uint64_t bytes);

/* Lines wait in memory until then: call it from time to time. */
void http_log_flush(struct http_log *log);
void http_log_close(struct http_log *log);

#endif
