/*
 * Readers of a stream, which is fed in pieces of any size through a real socket, and canceled now
 * and then: every answer is compared with one that is found by looking at all bytes at once.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cio.h>

enum { SEPARATORS_MOST = 3, ROOM = 6000, PAUSES_MOST = 50 };

struct run {
    struct fuzz_input script; /* what is read, and how much is fed at a time */
    const char *data;         /* what goes through the stream */
    size_t size;
    size_t position; /* that the reader has come to */
    size_t limit;
    cio_stream *stream;
    int feeder; /* the descriptor through which it is fed, */
    size_t fed; /* and how many bytes have been */
    struct iovec separators[SEPARATORS_MOST];
    char separator_bytes[SEPARATORS_MOST][4];
    size_t n_separators;
};

/* Bytes of few kinds, so that separators are found. */
static void make_separators(struct run *run)
{
    run->n_separators = 1 + fuzz_byte(&run->script) % SEPARATORS_MOST;
    for (size_t i = 0; i < run->n_separators; i++) {
        unsigned shape = fuzz_byte(&run->script);
        size_t size = 1 + shape % 4;
        for (size_t k = 0; k < size; k++)
            run->separator_bytes[i][k] = (char)("ab\n\r"[shape >> (2 + (k & 1) * 2) & 3]);
        run->separators[i] = (struct iovec){run->separator_bytes[i], size};
    }
}

/* ---- the naive search ---- */

struct found {
    bool any;
    size_t begin, end, which;
};

/* The separator that ends first after a position; of several the shortest. */
static struct found search(const struct run *run, size_t from)
{
    struct found found = {0};
    for (size_t end = from + 1; end <= run->size && !found.any; end++) {
        for (size_t i = 0; i < run->n_separators; i++) {
            size_t size = run->separators[i].iov_len;
            if (end - from < size ||
                memcmp(run->data + end - size, run->separators[i].iov_base, size) != 0)
                continue;
            if (found.any && end - size <= found.begin)
                continue;
            found = (struct found){true, end - size, end, i};
        }
    }
    return found;
}

/* How many bytes have been taken from the stream. */
static size_t consumed(const struct run *run)
{
    int in_socket = 0;
    FUZZ_CHECK(ioctl(cio_stream_fd(run->stream), FIONREAD, &in_socket) == 0);
    return run->fed - (size_t)in_socket - cio_buffered(run->stream);
}

/* ---- the calls, each with what must come of it ---- */

static void check_bytes(struct run *run, const char *got, size_t n)
{
    FUZZ_CHECK(n <= run->size - run->position);
    FUZZ_CHECK(memcmp(got, run->data + run->position, n) == 0);
    run->position += n;
}

/* So many may be skipped without losing a separator. */
static void check_skip(struct run *run)
{
    size_t skip = cio_partly_read(run->stream);
    struct found before = search(run, run->position);
    struct found after = search(run, run->position + skip);
    FUZZ_CHECK(skip <= cio_buffered(run->stream));
    FUZZ_CHECK(before.any == after.any);
    FUZZ_CHECK(!before.any || (before.end == after.end && before.which == after.which));
    FUZZ_CHECK(cio_consume(run->stream, skip) == 0);
    run->position += skip;
}

static size_t shortest_separator(const struct run *run)
{
    size_t shortest = SIZE_MAX;
    for (size_t i = 0; i < run->n_separators; i++)
        shortest = run->separators[i].iov_len < shortest ? run->separators[i].iov_len : shortest;
    return shortest;
}

static void check_until(struct run *run, ssize_t rc, const char *text, size_t room, size_t which)
{
    struct found found = search(run, run->position);
    size_t left = run->size - run->position;
    if (found.any && found.begin - run->position <= run->limit &&
        found.end - run->position < room) {
        FUZZ_CHECK(rc == (ssize_t)(found.end - run->position));
        FUZZ_CHECK(which == found.which && text[rc] == 0);
        check_bytes(run, text, (size_t)rc);
    } else if (rc == CIO_EOF) {
        FUZZ_CHECK(!found.any && left < room);
        FUZZ_CHECK(cio_partly_read(run->stream) == left && text[left] == 0);
        check_bytes(run, text, left);
    } else {
        FUZZ_CHECK(rc == CIO_ELIMIT);
        FUZZ_CHECK(found.any || left > run->limit || left + 1 >= room ||
                   shortest_separator(run) >= room); /* then none would ever fit */
        check_skip(run);
    }
}

static void check_line(struct run *run, ssize_t rc, const char *text, size_t room)
{
    size_t left = run->size - run->position;
    const char *end = memchr(run->data + run->position, '\n', left);
    size_t length = end ? (size_t)(end - run->data) - run->position + 1 : left;
    size_t text_size = length - (end != NULL);
    bool too_long = text_size > run->limit || text_size + 1 >= room; /* its "\n" had no room */
    FUZZ_CHECK(too_long == (rc == CIO_ELIMIT));
    if (too_long) { /* a beginning of it, or all of it, is gone */
        FUZZ_CHECK(consumed(run) > run->position && consumed(run) <= run->position + length);
        run->position = consumed(run);
        return;
    }
    FUZZ_CHECK(rc == (ssize_t)length && text[length] == 0);
    check_bytes(run, text, length);
}

static void check_exactly(struct run *run, ssize_t rc, const char *got, size_t n)
{
    size_t left = run->size - run->position;
    if (rc == CIO_EOF) {
        FUZZ_CHECK(n > left && cio_partly_read(run->stream) == left);
        check_bytes(run, got, left);
    } else {
        FUZZ_CHECK(rc == (ssize_t)n);
        check_bytes(run, got, n);
    }
}

static void check_some(struct run *run, ssize_t rc, const char *got, size_t n)
{
    FUZZ_CHECK(rc >= 0 && (size_t)rc <= n);
    FUZZ_CHECK(rc > 0 || n == 0 || run->position == run->size);
    check_bytes(run, got, (size_t)rc);
}

static void check_peek(struct run *run, ssize_t rc, const void *got, size_t least, size_t take)
{
    size_t left = run->size - run->position;
    if (least > run->limit) {
        FUZZ_CHECK(rc == CIO_ELIMIT);
        return;
    }
    FUZZ_CHECK(rc >= 0 && ((size_t)rc >= least || (size_t)rc == left));
    FUZZ_CHECK(rc > 0 || left == 0);
    FUZZ_CHECK((size_t)rc == cio_buffered(run->stream));
    if (take > (size_t)rc)
        take = (size_t)rc;
    if (rc > 0) {
        FUZZ_CHECK(memcmp(got, run->data + run->position, (size_t)rc) == 0);
        run->position += take;
    }
    FUZZ_CHECK(cio_consume(run->stream, (size_t)rc + 1) == -EINVAL);
    FUZZ_CHECK(cio_consume(run->stream, take) == 0);
}

/* One call, with so many bytes of room. */
struct call {
    unsigned kind;
    size_t size;
    ssize_t rc;
    size_t which;
    const void *peeked;
    char bytes[ROOM + 1];
};

static ssize_t make_call(struct run *run, struct call *call)
{
    cio_stream *s = run->stream;
    switch (call->kind) {
    case 0: return cio_read(s, call->bytes, call->size);
    case 1: return cio_read_exactly(s, call->bytes, call->size);
    case 2: return cio_read_line(s, call->bytes, call->size + 2);
    case 3: return cio_peek(s, call->size, &call->peeked);
    default:
        return cio_read_until_any(s, run->separators, run->n_separators, call->bytes,
                                  call->size + 1, &call->which);
    }
}

static void check_call(struct run *run, struct call *call)
{
    switch (call->kind) {
    case 0: check_some(run, call->rc, call->bytes, call->size); break;
    case 1: check_exactly(run, call->rc, call->bytes, call->size); break;
    case 2: check_line(run, call->rc, call->bytes, call->size + 2); break;
    case 3: check_peek(run, call->rc, call->peeked, call->size, call->which % 64); break;
    default: check_until(run, call->rc, call->bytes, call->size + 1, call->which); break;
    }
    FUZZ_CHECK(consumed(run) == run->position);
}

/* Canceled at its first wait, if it waits: then nothing has happened. */
static ssize_t call_in_no_time(struct run *run, struct call *call)
{
    cio_timeout none;
    FUZZ_CHECK(cio_timeout_enter(&none, 0) == 0);
    ssize_t rc = make_call(run, call);
    int end = cio_timeout_exit(&none, rc < 0 ? (int)rc : 0);
    if (end != CIO_ETIMEDOUT)
        return rc;
    FUZZ_CHECK(consumed(run) == run->position);
    return end;
}

static size_t small_or_large(unsigned byte)
{
    return byte < 200 ? byte % 50 : byte < 250 ? byte : 4096 + byte;
}

static void read_all(struct run *run)
{
    static struct call call; /* one at a time, and its bytes are many */
    unsigned stuck = 0;
    while (run->position < run->size && stuck < 3) {
        size_t before = run->position;
        unsigned first = fuzz_byte(&run->script);
        call.kind = first & 7;
        call.size = small_or_large(fuzz_byte(&run->script));
        call.which = fuzz_byte(&run->script);
        call.rc = first & 8 ? call_in_no_time(run, &call) : CIO_ETIMEDOUT;
        if (call.rc == CIO_ETIMEDOUT)
            call.rc = make_call(run, &call);
        check_call(run, &call);
        stuck = run->position == before ? stuck + 1 : 0;
        if (stuck == 3 && cio_read(run->stream, call.bytes, 1) == 1) {
            check_bytes(run, call.bytes, 1);
            stuck = 0;
        }
    }
    FUZZ_CHECK(run->position == run->size);
    FUZZ_CHECK(cio_read(run->stream, call.bytes, 1) == 0 && cio_at_eof(run->stream));
}

static int feed(void *arg)
{
    struct run *run = arg;
    int n_pauses = 0;
    while (run->fed < run->size) {
        size_t piece = 1 + small_or_large(fuzz_byte(&run->script));
        if (piece > run->size - run->fed)
            piece = run->size - run->fed;
        ssize_t n = write(run->feeder, run->data + run->fed, piece);
        FUZZ_CHECK(n > 0 || (n < 0 && errno == EAGAIN)); /* many small pieces fill it too */
        run->fed += n > 0 ? (size_t)n : 0;
        bool pauses = fuzz_byte(&run->script) & 3 && n_pauses++ < PAUSES_MOST;
        if (n < 0 || pauses) /* with nothing to do, the loop asks the kernel */
            FUZZ_CHECK(cio_sleep(1e-9) == 0);
    }
    close(run->feeder);
    return 0;
}

static int run_main(void *arg)
{
    struct run *run = arg;
    int fds[2];
    cio_connect_options options = {.limit = run->limit};
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    FUZZ_CHECK(cio_open_stream(&run->stream, fds[0], &options) == 0);
    run->feeder = fds[1];
    cio_task *feeder = cio_create_task(feed, run);
    FUZZ_CHECK(feeder);
    read_all(run);
    FUZZ_CHECK(cio_await(feeder) == 0);
    return cio_close(run->stream);
}

/* The feeder's pauses are many, and the kernel makes each 50 us longer unless it is told not to. */
__attribute__((constructor)) static void sleep_precisely(void)
{
    prctl(PR_SET_TIMERSLACK, 1L);
}

/* The first bytes tell what is done, up to a zero; the others go through the stream. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    if (!zero || size > 4096)
        return 0;
    size_t script = (size_t)(zero - data);
    struct run run = {.script = {data, script}, .size = size - script - 1};
    char *copy = fuzz_copy(zero + 1, run.size);
    run.data = copy;
    run.limit = 1 + small_or_large(fuzz_byte(&run.script));
    make_separators(&run);
    FUZZ_CHECK(cio_run(run_main, &run) == 0);
    free(copy);
    return 0;
}
