/* What is about to be written. */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void http_out_init(struct http_out *out, cio_stream *stream)
{
    out->stream = stream;
    out->error = 0;
    out->size = 0;
}

int http_out_flush(struct http_out *out)
{
    if (out->size && !out->error)
        out->error = cio_write(out->stream, out->data, out->size);
    out->size = 0;
    return out->error;
}

/* More than there is room for is not copied, but sent together with what is there. */
static void add_large(struct http_out *out, const void *data, size_t size)
{
    struct iovec both[2] = {{out->data, out->size}, {(void *)data, size}};
    if (!out->error)
        out->error = cio_writev(out->stream, both, 2);
    out->size = 0;
}

void http_out_add(struct http_out *out, const void *data, size_t size)
{
    if (size > sizeof out->data - out->size) {
        add_large(out, data, size);
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

/* A part of a file, at most as much as a slow client can be expected to take before the timeout. */
static int send_part(struct http_out *out, int fd, uint64_t begin, size_t size)
{
    char data[16384];
    int rc = http_out_flush(out);
    while (rc == 0 && size) {
        ssize_t n = pread(fd, data, size < sizeof data ? size : sizeof data, (off_t)begin);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        rc = cio_write(out->stream, data, (size_t)n);
        begin += (uint64_t)n;
        size -= (size_t)n;
    }
    return rc;
}

int http_out_file(struct http_out *out, int fd, uint64_t begin, uint64_t size, double timeout)
{
    enum { PART = 256 * 1024 };
    while (size && !out->error) {
        size_t part = size < PART ? (size_t)size : PART;
        cio_timeout scope;
        out->error = cio_timeout_enter(&scope, timeout);
        if (out->error)
            break;
        out->error = cio_timeout_exit(&scope, send_part(out, fd, begin, part));
        begin += part;
        size -= part;
    }
    return out->error;
}
