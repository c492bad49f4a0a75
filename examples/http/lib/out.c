/* What is about to be written. */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Less than this is queued without a wait. */
#define NEVER_WAITS ((size_t)32 * 1024)

void http_out_init(struct http_out *out, cio_stream *stream, double timeout_s)
{
    out->stream = stream;
    out->timeout_s = timeout_s;
    out->error = 0;
    out->size = 0;
}

/* Writes what is there, and more. A timer is set only where there may be a wait. */
static int write_with(struct http_out *out, const void *more, size_t size)
{
    struct iovec both[2] = {{out->data, out->size}, {(void *)more, size}};
    size_t n = size ? 2 : 1, total = out->size + size;
    cio_timeout scope;
    out->size = 0;
    if (out->error || total == 0)
        return out->error;
    if (cio_unsent(out->stream) + total < NEVER_WAITS)
        return out->error = cio_writev(out->stream, both, n);
    int rc = cio_timeout_enter(&scope, out->timeout_s);
    if (rc == 0)
        rc = cio_timeout_exit(&scope, cio_writev(out->stream, both, n));
    return out->error = rc;
}

int http_out_flush(struct http_out *out)
{
    return write_with(out, NULL, 0);
}

void http_out_add(struct http_out *out, const void *data, size_t size)
{
    if (size > sizeof out->data - out->size) {
        write_with(out, data, size); /* no copy: it leaves together with what is there */
        return;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

void http_out_text(struct http_out *out, const char *text)
{
    http_out_add(out, text, strlen(text));
}

void http_out_print(struct http_out *out, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line)
        out->error = out->error ? out->error : -EMSGSIZE;
    else
        http_out_add(out, line, (size_t)n);
}

/* Sends so much of a file. A slow client is waited for, but not for ever. */
static int send_part(struct http_out *out, int fd, int64_t begin, int64_t size)
{
    cio_timeout scope;
    int rc = cio_timeout_enter(&scope, out->timeout_s);
    if (rc < 0)
        return rc;
    int64_t sent = cio_sendfile(out->stream, fd, begin, size);
    rc = cio_timeout_exit(&scope, sent < 0 ? (int)sent : 0);
    return rc < 0 || sent == size ? rc : -EIO;
}

int http_out_file(struct http_out *out, int fd, uint64_t begin, uint64_t size)
{
    enum { PART = 256 * 1024 };
    http_out_flush(out);
    while (size && !out->error) {
        uint64_t part = size < PART ? size : PART;
        out->error = send_part(out, fd, (int64_t)begin, (int64_t)part);
        begin += part;
        size -= part;
    }
    return out->error;
}
