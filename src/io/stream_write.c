/* Writing to streams. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/stream.h"
#include "os/memory.h"

#define PRINTED_ON_STACK 512

void cio__stream_wake_writers(cio_stream *s)
{
    for (cio_ring *place = s->writers.next; place != &s->writers; place = place->next) {
        const struct cio__writer *writer = (struct cio__writer *)place; /* its first field */
        if (s->closing || s->out.error || s->out.size <= writer->until)
            cio__wake(writer->task);
    }
}

int cio__stream_wait_for_queue(cio_stream *s, size_t until, const struct cio__wait_kind *kind)
{
    struct cio__wait wait = {.kind = kind};
    struct cio__writer writer = {.task = cio__current, .until = until};
    cio__ring_append(&s->writers, &writer.place);
    int rc = cio__wait(&wait);
    cio__ring_remove(&writer.place);
    return rc;
}

/* Takes back what was lent. Returns how many bytes are lost. */
static size_t take_back(cio_stream *s, struct cio__chunk *chunk)
{
    size_t lost = cio__queue_withdraw(&s->out, chunk);
    if (s->out.paused && s->out.size <= s->out.low) {
        s->out.paused = false;
        cio__stream_wake_writers(s);
    }
    if (s->closing && !chunk->done)
        cio__queue_poke(&s->out); /* who closes it waits for what is left, perhaps nothing */
    return lost;
}

/* The bytes stay where they are while they are sent, until a copy of the rest may be kept. */
static int send_from_here(cio_stream *s, const struct iovec *buffers, size_t n, size_t total,
                          const struct cio__wait_kind *kind)
{
    struct cio__chunk chunk;
    struct cio__write_queue *out = &s->out;
    cio__queue_lend(out, &chunk, buffers, n, s->partly_written);
    out->paused = true;
    int rc = cio__queue_listen(out);
    while (rc == 0 && !chunk.done) {
        rc = cio__stream_after_wait(s, cio__stream_wait_for_queue(s, out->low, kind));
        if (rc == 0 && !chunk.done && !out->paused && cio__queue_own(out, &chunk) == 0)
            return 0;
    }
    if (rc == 0)
        rc = out->error;
    s->partly_written = total - take_back(s, &chunk);
    return rc;
}

static int write_all(cio_stream *s, const struct iovec *buffers, size_t n, size_t total,
                     const struct cio__wait_kind *kind)
{
    struct cio__write_queue *out = &s->out;
    int rc = cio__stream_check_write(s);
    if (likely(rc == 0))
        rc = cio__be_fair(s->channel.loop);
    if (likely(rc == 0))
        rc = cio__stream_check_write(s); /* a fair call may have waited */
    ssize_t sent = unlikely(rc < 0) ? rc : cio__queue_try(out, buffers, n);
    if (likely((size_t)sent == total))
        return 0;
    s->partly_written = 0;
    if (sent < 0)
        return (int)sent;
    s->partly_written = (size_t)sent;
    if (!out->paused && out->size + total - (size_t)sent <= out->high &&
        cio__queue_append(out, buffers, n, (size_t)sent) == 0)
        return cio__queue_listen(out);
    return send_from_here(s, buffers, n, total, kind);
}

static int write_from(cio_stream *s, const struct iovec *buffers, size_t n, size_t total,
                      const struct cio__wait_kind *kind)
{
    int rc = cio__stream_enter(s);
    if (unlikely(rc < 0))
        return rc;
    rc = total ? write_all(s, buffers, n, total, kind) : cio__stream_check_write(s);
    cio__stream_leave(s);
    return rc;
}

int cio_write(cio_stream *s, const void *data, size_t size)
{
    static const struct cio__wait_kind kind = {.name = "cio_write"};
    if (unlikely(!data && size))
        return -EINVAL;
    struct iovec buffer = {(void *)data, size};
    return write_from(s, &buffer, 1, size, &kind);
}

int cio_writev(cio_stream *s, const struct iovec *buffers, size_t n)
{
    static const struct cio__wait_kind kind = {.name = "cio_writev"};
    size_t total;
    if (cio__buffers_check(buffers, n, &total) < 0)
        return -EINVAL;
    return write_from(s, buffers, n, total, &kind);
}

static int write_printed(cio_stream *s, const char *text, int length)
{
    static const struct cio__wait_kind kind = {.name = "cio_printf"};
    struct iovec buffer = {(void *)text, (size_t)length};
    int rc = write_from(s, &buffer, 1, (size_t)length, &kind);
    return rc < 0 ? rc : length;
}

int cio_vprintf(cio_stream *s, const char *format, va_list args)
{
    char text[PRINTED_ON_STACK];
    if (!s || !format)
        return -EINVAL;
    va_list again;
    va_copy(again, args);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it does not see the callers */
    int length = vsnprintf(text, sizeof text, format, args);
    int rc = -EINVAL;
    if (length >= 0 && (size_t)length < sizeof text) {
        rc = write_printed(s, text, length);
    } else if (length >= 0) {
        char *more = cio__alloc((size_t)length + 1);
        rc = -ENOMEM;
        if (more) {
            vsnprintf(more, (size_t)length + 1, format, again);
            rc = write_printed(s, more, length);
        }
        cio__free(more);
    }
    va_end(again);
    return rc;
}

int cio_printf(cio_stream *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = cio_vprintf(s, format, args);
    va_end(args);
    return rc;
}

static int flush(cio_stream *s)
{
    static const struct cio__wait_kind kind = {.name = "cio_flush"};
    int rc = s->closing ? -EBUSY : s->read_error;
    while (rc == 0 && !s->out.error && !cio__queue_is_empty(&s->out))
        rc = cio__stream_after_wait(s, cio__stream_wait_for_queue(s, 0, &kind));
    return rc < 0 ? rc : s->out.error;
}

int cio_flush(cio_stream *s)
{
    int rc = cio__stream_enter(s);
    if (rc < 0)
        return rc;
    rc = flush(s);
    cio__stream_leave(s);
    return rc;
}

int cio_write_eof(cio_stream *s)
{
    int rc = cio__stream_enter(s);
    if (rc < 0)
        return rc;
    rc = s->closing ? -EBUSY : s->securing ? CIO_ESTATE : cio__queue_end(&s->out);
    cio__stream_leave(s);
    return rc;
}

size_t cio_partly_written(const cio_stream *s)
{
    return s ? s->partly_written : 0;
}

size_t cio_unsent(const cio_stream *s)
{
    return s ? s->out.size : 0;
}
