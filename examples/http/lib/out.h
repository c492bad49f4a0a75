/* What is about to be written to a connection: heads and small bodies leave in one piece. */
#ifndef HTTP_OUT_H
#define HTTP_OUT_H

#include <cio.h>

enum { HTTP_OUT_ROOM = 4096 };

struct http_out {
    cio_stream *stream;
    double timeout_s; /* for each piece that the client must take before there is room again */
    int error;        /* the first; what comes after it is dropped */
    size_t size;
    char data[HTTP_OUT_ROOM];
};

void http_out_init(struct http_out *out, cio_stream *stream, double timeout_s);

/* Each waits only if there is no room. */
void http_out_add(struct http_out *out, const void *data, size_t size);
void http_out_text(struct http_out *out, const char *text);
void http_out_print(struct http_out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes what is there. Returns 0 or the error. */
int http_out_flush(struct http_out *out);

/*
 * Sends a part of an open file behind what is there. Returns 0 or an error, -EIO if the file has
 * become shorter.
 */
int http_out_file(struct http_out *out, int fd, uint64_t begin, uint64_t size);

#endif
