/* Reading from streams. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "io/stream.h"
#include "os/memory.h"

/*
 * What is at least so large is received straight into the caller's memory; smaller reads share one
 * call into the stream's buffer.
 */
#define DIRECT_LEAST ((size_t)4096)
#define ROOM_LEAST ((size_t)256) /* of a buffer that is kept while waiting */

/* The kind of a reading call's wait, which is one for the descriptor. */
#define READING(call)                                                                              \
    {                                                                                              \
        .name = (call), .tell = cio__tell_file, .in_ring = true                                    \
    }

/* ---- the buffer ---- */

static size_t buffered(const cio_stream *s)
{
    return s->end - s->begin;
}

static void give_room(cio_stream *s, char *data, size_t room)
{
    if (room == CIO__BUFFER_SIZE)
        cio__buffer_give(s->channel.loop, data);
    else
        cio__free(data);
}

void cio__stream_drop_input(cio_stream *s)
{
    if (s->data)
        give_room(s, s->data, s->room);
    s->data = NULL;
    s->begin = s->end = s->room = 0;
}

static void consume(cio_stream *s, size_t n)
{
    s->begin += n;
    if (s->begin == s->end)
        cio__stream_drop_input(s);
}

/* Moves what is buffered to memory of another size. Returns 0 or -ENOMEM: nothing has changed. */
static int move_to(cio_stream *s, size_t room)
{
    size_t size = buffered(s);
    char *data = room == CIO__BUFFER_SIZE ? cio__buffer_take(s->channel.loop) : cio__alloc(room);
    if (!data)
        return -ENOMEM;
    if (size)
        memcpy(data, s->data + s->begin, size);
    cio__stream_drop_input(s);
    s->data = data;
    s->end = size;
    s->room = room;
    return 0;
}

/*
 * Before a wait that may be long: who sends a few bytes and dawdles shall not have a large buffer
 * held for it.
 */
static void shrink(cio_stream *s)
{
    size_t size = buffered(s);
    if (s->room <= ROOM_LEAST || size > s->room / 4)
        return;
    size_t room = ROOM_LEAST;
    while (room < size * 2)
        room *= 2;
    move_to(s, room);
}

/* Makes room for a receive: a large buffer that others share, unless more than that is wanted. */
static int make_room(cio_stream *s)
{
    size_t size = buffered(s);
    if (s->room - s->end >= CIO__BUFFER_SIZE / 2)
        return 0;
    if (size < CIO__BUFFER_SIZE / 2 && s->room == CIO__BUFFER_SIZE) {
        memmove(s->data, s->data + s->begin, size);
        s->begin = 0;
        s->end = size;
        return 0;
    }
    size_t room = CIO__BUFFER_SIZE;
    while (room < size + CIO__BUFFER_SIZE / 2)
        room *= 2;
    return move_to(s, room);
}

/* ---- receiving ---- */

/* What stands in the way of any read. */
static int check_read(const cio_stream *s)
{
    return unlikely(s->closing) ? -EBUSY : 0;
}

/* Waits until a receive may give something. Returns 0, also when there will be no more. */
static int wait_until_readable(cio_stream *s, const struct cio__wait_kind *kind)
{
    if (likely(cio__channel_may_receive(&s->channel)))
        return cio__stream_after_wait(s, cio__be_fair(s->channel.loop));
    shrink(s);
    int rc = cio__await_file(s->channel.loop, s->channel.file, CIO__READ, kind);
    return cio__stream_after_wait(s, rc);
}

/* Up to size bytes; 0: the end. With data NULL they go to the end of the buffer. */
static ssize_t receive(cio_stream *s, char *data, size_t size, const struct cio__wait_kind *kind)
{
    for (;;) {
        if (unlikely(s->ended) || unlikely(s->read_error < 0))
            return s->ended ? 0 : s->read_error;
        int rc = wait_until_readable(s, kind);
        if (unlikely(rc < 0))
            return rc;
        if (unlikely(s->ended) || !cio__channel_may_receive(&s->channel))
            continue;
        if (!data && (rc = make_room(s)) < 0)
            return rc;
        ssize_t n = data ? cio__channel_receive(&s->channel, data, size)
                         : cio__channel_receive(&s->channel, s->data + s->end, s->room - s->end);
        if (likely(n > 0)) {
            s->end += data ? 0 : (size_t)n;
            return n;
        }
        if (!data && s->begin == s->end)
            cio__stream_drop_input(s);
        if (n == 0)
            s->ended = true;
        else if (n != -EAGAIN)
            s->read_error = (int)n;
    }
}

static ssize_t fill(cio_stream *s, const struct cio__wait_kind *kind)
{
    return receive(s, NULL, 0, kind);
}

/* ---- the calls ---- */

static int enter(cio_stream *s)
{
    int rc = cio__stream_enter(s);
    if (unlikely(rc < 0))
        return rc;
    rc = unlikely(s->reader != NULL) ? CIO_ESTATE : check_read(s);
    if (unlikely(rc < 0)) {
        cio__stream_leave(s);
        return rc;
    }
    s->reader = cio__current;
    s->partly_read = 0;
    return 0;
}

static ssize_t leave(cio_stream *s, ssize_t rc)
{
    s->reader = NULL;
    if (unlikely(s->closing))
        cio__stream_drop_input(s);
    cio__stream_leave(s);
    return rc;
}

static size_t take(cio_stream *s, void *data, size_t size)
{
    size_t n = buffered(s) < size ? buffered(s) : size;
    if (n) {
        memcpy(data, s->data + s->begin, n);
        consume(s, n);
    }
    return n;
}

ssize_t cio_read(cio_stream *s, void *data, size_t size)
{
    static const struct cio__wait_kind kind = READING("cio_read");
    if (unlikely(!data && size))
        return -EINVAL;
    ssize_t rc = enter(s);
    if (unlikely(rc < 0))
        return rc;
    if (!buffered(s) && size >= DIRECT_LEAST)
        rc = receive(s, data, size, &kind);
    else if (buffered(s) || size == 0 || (rc = fill(s, &kind)) > 0)
        rc = (ssize_t)take(s, data, size);
    return leave(s, rc);
}

/* Puts back what a read has taken that did not come to its end, before what is buffered. */
static void put_back(cio_stream *s, const char *data, size_t size)
{
    size_t behind = buffered(s), room = ROOM_LEAST;
    if (s->closing)
        return;
    while (room < size + behind)
        room *= 2;
    if (move_to(s, room) < 0) {
        cio__stream_drop_input(s);
        s->read_error = -ENOMEM; /* a gap in the stream: it can be read no more */
        return;
    }
    if (behind)
        memmove(s->data + size, s->data, behind);
    memcpy(s->data, data, size);
    s->end = size + behind;
}

static ssize_t read_exactly(cio_stream *s, char *data, size_t size,
                            const struct cio__wait_kind *kind)
{
    size_t got = 0;
    ssize_t rc = 0;
    if (size > SSIZE_MAX)
        return -EINVAL;
    while (size - got > buffered(s)) {
        bool direct = size - got - buffered(s) >= DIRECT_LEAST;
        if (direct)
            got += take(s, data + got, size - got);
        rc = direct ? receive(s, data + got, size - got, kind) : fill(s, kind);
        if (rc <= 0)
            break;
        got += direct ? (size_t)rc : 0;
    }
    if (rc >= 0 || rc == CIO_EOF) {
        got += take(s, data + got, size - got);
        if (got == size)
            return (ssize_t)size;
        s->partly_read = got;
        return CIO_EOF;
    }
    if (got)
        put_back(s, data, got);
    return rc;
}

ssize_t cio_read_exactly(cio_stream *s, void *data, size_t size)
{
    static const struct cio__wait_kind kind = READING("cio_read_exactly");
    if (!data && size)
        return -EINVAL;
    ssize_t rc = enter(s);
    return rc < 0 ? rc : leave(s, read_exactly(s, data, size, &kind));
}

/* ---- separators ---- */

struct search {
    const struct iovec *separators;
    size_t n;
    size_t shortest;
    size_t longest;
    size_t from;  /* nothing is found before this position of what is buffered */
    size_t found; /* where the separator begins */
    size_t end;   /* and ends */
    size_t which;
};

static int begin_search(struct search *search, const struct iovec *separators, size_t n)
{
    *search = (struct search){.separators = separators, .n = n, .shortest = SIZE_MAX};
    for (size_t i = 0; i < n; i++) {
        size_t size = separators[i].iov_len;
        if (size == 0 || !separators[i].iov_base)
            return -EINVAL;
        search->shortest = size < search->shortest ? size : search->shortest;
        search->longest = size > search->longest ? size : search->longest;
    }
    return n ? 0 : -EINVAL;
}

/* Whether a separator is there: the one that ends first, of several the shortest. */
static bool find(struct search *search, const cio_stream *s)
{
    size_t size = buffered(s);
    bool found = false;
    if (search->from >= size)
        return false;
    const char *data = s->data + s->begin;
    for (size_t i = 0; i < search->n; i++) {
        const struct iovec *separator = &search->separators[i];
        size_t until = found ? search->end : size;
        const char *at = memmem(data + search->from, until - search->from, separator->iov_base,
                                separator->iov_len);
        if (!at)
            continue;
        size_t begin = (size_t)(at - data), end = begin + separator->iov_len;
        if (found && end == search->end && begin <= search->found)
            continue;
        found = true;
        search->found = begin;
        search->end = end;
        search->which = i;
    }
    if (!found && size + 1 > search->longest)
        search->from = size + 1 - search->longest;
    return found;
}

static size_t take_text(cio_stream *s, char *data, size_t size)
{
    size_t n = take(s, data, size);
    data[n] = 0;
    return n;
}

/* data has room for size bytes, the NUL included. */
static ssize_t read_until(cio_stream *s, struct search *search, char *data, size_t size,
                          const struct cio__wait_kind *kind)
{
    for (;;) {
        if (find(search, s)) {
            if (search->found <= s->limit && search->end < size)
                return (ssize_t)take_text(s, data, search->end);
            s->partly_read = search->found;
            return CIO_ELIMIT;
        }
        if (search->from > s->limit || search->from + search->shortest >= size) {
            s->partly_read = search->from;
            return CIO_ELIMIT;
        }
        ssize_t rc = fill(s, kind);
        if (rc < 0)
            return rc;
        if (rc == 0 && buffered(s) < size) {
            s->partly_read = take_text(s, data, size - 1);
            return CIO_EOF;
        }
        if (rc == 0) {
            s->partly_read = search->from;
            return CIO_ELIMIT;
        }
    }
}

ssize_t cio_read_until_any(cio_stream *s, const struct iovec *separators, size_t n, char *data,
                           size_t size, size_t *which)
{
    static const struct cio__wait_kind kind = READING("cio_read_until");
    struct search search;
    if (!separators || !data || size == 0 || size > SSIZE_MAX ||
        begin_search(&search, separators, n) < 0)
        return -EINVAL;
    ssize_t rc = enter(s);
    if (rc < 0)
        return rc;
    rc = read_until(s, &search, data, size, &kind);
    if (rc >= 0 && which)
        *which = search.which;
    return leave(s, rc);
}

ssize_t cio_read_until(cio_stream *s, const char *separator, char *data, size_t size)
{
    struct iovec only = {(void *)separator, separator ? strlen(separator) : 0};
    return cio_read_until_any(s, &only, 1, data, size, NULL);
}

ssize_t cio_read_line(cio_stream *s, char *data, size_t size)
{
    static const struct cio__wait_kind kind = READING("cio_read_line");
    struct iovec newline = {(void *)"\n", 1};
    struct search search;
    if (!data || size < 2 || size > SSIZE_MAX || begin_search(&search, &newline, 1) < 0)
        return -EINVAL;
    ssize_t rc = enter(s);
    if (rc < 0)
        return rc;
    rc = read_until(s, &search, data, size, &kind);
    if (rc == CIO_EOF) {
        rc = (ssize_t)s->partly_read;
    } else if (rc == CIO_ELIMIT) {
        /* What is known of the line goes, with its end if that has come. */
        size_t skip = s->partly_read;
        bool ends = skip < buffered(s) && s->data[s->begin + skip] == '\n';
        consume(s, ends ? skip + 1 : buffered(s));
    }
    return leave(s, rc);
}

/* ---- without a copy ---- */

ssize_t cio_peek(cio_stream *s, size_t least, const void **data)
{
    static const struct cio__wait_kind kind = READING("cio_peek");
    if (unlikely(!data))
        return -EINVAL;
    ssize_t rc = enter(s);
    if (unlikely(rc < 0))
        return rc;
    if (unlikely(least > s->limit))
        return leave(s, CIO_ELIMIT);
    do
        rc = buffered(s) >= least && buffered(s) ? 1 : fill(s, &kind);
    while (rc > 0 && buffered(s) < least);
    if (rc >= 0) {
        *data = s->data ? s->data + s->begin : NULL;
        rc = (ssize_t)buffered(s);
    }
    return leave(s, rc);
}

int cio_consume(cio_stream *s, size_t n)
{
    if (!s || n > buffered(s))
        return -EINVAL;
    if (s->reader)
        return CIO_ESTATE;
    if (n)
        consume(s, n);
    return 0;
}

/* ---- for a relay ---- */

int cio__stream_begin_read(cio_stream *s)
{
    return enter(s);
}

ssize_t cio__stream_end_read(cio_stream *s, ssize_t rc)
{
    return leave(s, rc);
}

int cio__stream_wait_for_input(cio_stream *s, const struct cio__wait_kind *kind)
{
    while (!s->ended && s->read_error == 0) {
        int rc = wait_until_readable(s, kind);
        if (rc < 0)
            return rc;
        if (!s->ended && cio__channel_may_receive(&s->channel))
            return 1;
    }
    return s->ended ? 0 : s->read_error;
}

ssize_t cio__stream_fill(cio_stream *s, const struct cio__wait_kind *kind)
{
    return fill(s, kind);
}

void cio__stream_consume(cio_stream *s, size_t n)
{
    if (n)
        consume(s, n);
}

int cio__stream_put_back(cio_stream *s, int pipe, size_t size)
{
    struct cio__os *os = s->channel.loop->os;
    int rc = move_to(s, size < CIO__BUFFER_SIZE ? CIO__BUFFER_SIZE : size);
    if (rc < 0)
        return s->read_error = rc;
    while (s->end < size) {
        ssize_t n = os->ops->read(os, pipe, s->data + s->end, size - s->end);
        if (n <= 0)
            return s->read_error = n < 0 ? (int)n : -EIO; /* of a pipe of ours: never */
        s->end += (size_t)n;
    }
    return 0;
}

size_t cio_partly_read(const cio_stream *s)
{
    return s ? s->partly_read : 0;
}

size_t cio_buffered(const cio_stream *s)
{
    return s ? buffered(s) : 0;
}

bool cio_at_eof(const cio_stream *s)
{
    return s && s->ended && !buffered(s);
}
