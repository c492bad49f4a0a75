/* What has been written and not been sent. */
#include "io/write_queue.h"

#include <errno.h>
#include <string.h>

#include "os/memory.h"

#define PIECES_A_CALL 64
#define CALLS_A_FLUSH 4   /* then the others have their turn */
#define CHUNK_LEAST 2048u /* small writes share a chunk */

void cio__queue_init(struct cio__write_queue *queue, struct cio__channel *channel,
                     void (*progress)(struct cio__write_queue *))
{
    *queue = (struct cio__write_queue){.channel = channel,
                                       .high = CIO__HIGH_WATER,
                                       .low = CIO__HIGH_WATER / 4,
                                       .progress = progress};
}

static void push(struct cio__write_queue *queue, struct cio__chunk *chunk)
{
    chunk->next = NULL;
    if (queue->last)
        queue->last->next = chunk;
    else
        queue->first = chunk;
    queue->last = chunk;
}

static void retire(struct cio__chunk *chunk)
{
    if (!chunk->writer) {
        cio__free(chunk);
        return;
    }
    chunk->done = true;
    if (!chunk->away)
        cio__wake(chunk->writer);
}

static void pop(struct cio__write_queue *queue)
{
    struct cio__chunk *chunk = queue->first;
    queue->first = chunk->next;
    if (!queue->first)
        queue->last = NULL;
    retire(chunk);
}

static void unlisten(struct cio__write_queue *queue)
{
    if (queue->listening)
        cio__channel_unlisten(&queue->handle);
    queue->listening = false;
}

void cio__queue_close(struct cio__write_queue *queue, int error)
{
    unlisten(queue);
    if (!queue->error)
        queue->error = error;
    while (queue->first) {
        queue->first->error = queue->error;
        pop(queue);
    }
    queue->size = 0;
}

/* ---- sending ---- */

ssize_t cio__queue_try(struct cio__write_queue *queue, const struct iovec *buffers, size_t n)
{
    if (!cio__queue_is_empty(queue) || !cio__channel_may_send(queue->channel))
        return 0;
    ssize_t sent = cio__channel_send(queue->channel, buffers,
                                     n < PIECES_A_CALL ? n : PIECES_A_CALL);
    if (likely(sent >= 0) && unlikely(cio__channel_holds(queue->channel))) {
        int rc = cio__queue_listen(queue);
        return rc < 0 ? rc : sent;
    }
    if (likely(sent >= 0))
        return sent;
    if (sent == -EAGAIN)
        return 0;
    cio__queue_close(queue, (int)sent);
    return sent;
}

/* The next piece of a chunk that has sent the one before. */
static void advance(struct cio__chunk *chunk)
{
    while (chunk->size == 0 && chunk->n_more) {
        chunk->data = chunk->more->iov_base;
        chunk->size = chunk->more->iov_len;
        chunk->more++;
        chunk->n_more--;
    }
}

static size_t gather(const struct cio__write_queue *queue, struct iovec *pieces, size_t *ret_size)
{
    size_t n = 0;
    *ret_size = 0;
    for (const struct cio__chunk *chunk = queue->first; chunk; chunk = chunk->next) {
        if (n == PIECES_A_CALL || chunk->source || chunk->size == 0)
            break;
        pieces[n++] = (struct iovec){(void *)chunk->data, chunk->size};
        *ret_size += chunk->size;
        for (size_t i = 0; i < chunk->n_more && n < PIECES_A_CALL; i++) {
            pieces[n++] = chunk->more[i];
            *ret_size += chunk->more[i].iov_len;
        }
        if (chunk->fed)
            break;
    }
    return n;
}

/* The piece of the first chunk is sent, or all of it. */
static void finish_first(struct cio__write_queue *queue)
{
    struct cio__chunk *chunk = queue->first;
    if (!chunk->fed)
        pop(queue);
    else if (!chunk->away)
        cio__wake(chunk->writer);
}

static void consume(struct cio__write_queue *queue, size_t n)
{
    queue->size -= n;
    while (n > 0) {
        struct cio__chunk *chunk = queue->first;
        size_t part = n < chunk->size ? n : chunk->size;
        if (!chunk->source)
            chunk->data += part;
        chunk->size -= part;
        n -= part;
        advance(chunk);
        if (chunk->size == 0)
            finish_first(queue);
    }
}

/* Nothing can be sent before the first chunk's writer has put something there. */
static bool is_stalled(const struct cio__write_queue *queue)
{
    return queue->first && queue->first->fed && queue->first->size == 0;
}

/* As much as one call takes. Returns how much, of *asked bytes. */
static ssize_t send_first(struct cio__write_queue *queue, size_t *asked)
{
    struct cio__chunk *chunk = queue->first;
    if (!chunk->source) {
        struct iovec pieces[PIECES_A_CALL];
        size_t n = gather(queue, pieces, asked);
        return cio__channel_send(queue->channel, pieces, n);
    }
    *asked = 0; /* a source may give less than there is room for */
    ssize_t sent = chunk->source->send(chunk->source, queue->channel, chunk->size);
    if (sent == 0)
        consume(queue, chunk->size);
    return sent;
}

/* Returns 0 when it sent all that it can, or an error. */
static int send_some(struct cio__write_queue *queue)
{
    bool stalled = is_stalled(queue);
    for (int calls = 0; queue->first && !stalled && calls < CALLS_A_FLUSH; calls++) {
        size_t asked;
        ssize_t sent = send_first(queue, &asked);
        if (sent == -EAGAIN)
            return 0;
        if (sent < 0)
            return (int)sent;
        consume(queue, (size_t)sent);
        if ((size_t)sent < asked)
            return 0;
        stalled = is_stalled(queue);
    }
    if ((queue->first && !stalled) || !cio__channel_holds(queue->channel))
        return 0;
    struct cio__layer *layer = queue->channel->layer;
    int rc = layer->ops->flush(layer, queue->channel);
    return rc == -EAGAIN ? 0 : rc;
}

static int end_now(struct cio__write_queue *queue)
{
    queue->ended = true;
    int rc = cio__channel_shut_writing(queue->channel);
    if (rc == -EAGAIN) {
        queue->ended = false;
        return cio__queue_listen(queue);
    }
    return rc == -ENOTCONN ? 0 : rc; /* the peer was faster */
}

static void flush(void *arg)
{
    struct cio__write_queue *queue = arg;
    queue->listening = false;
    cio__channel_unlisten(&queue->handle);
    int rc = cio__channel_is_open(queue->channel) ? send_some(queue) : -EBADF;
    if (rc == 0 && !cio__queue_is_empty(queue))
        rc = cio__queue_listen(queue);
    else if (rc == 0 && queue->ends && !queue->ended)
        rc = end_now(queue);
    if (rc < 0)
        cio__queue_close(queue, rc);
    queue->progress(queue);
}

static void prepare_handle(struct cio__write_queue *queue)
{
    queue->handle.fn = flush;
    queue->handle.arg = queue;
    queue->handle.loop = queue->channel->loop;
    queue->handle.hint = queue;
}

int cio__queue_listen(struct cio__write_queue *queue)
{
    if (queue->listening || (is_stalled(queue) && !cio__channel_holds(queue->channel)))
        return 0;
    prepare_handle(queue);
    int rc = cio__channel_listen(queue->channel, CIO__WRITE, &queue->handle);
    queue->listening = rc == 0;
    if (rc < 0)
        cio__queue_close(queue, rc);
    return rc;
}

void cio__queue_poke(struct cio__write_queue *queue)
{
    unlisten(queue);
    prepare_handle(queue);
    cio__ring_init(&queue->handle.waiting);
    cio__ready_push(&queue->channel->loop->ready, &queue->handle);
    queue->listening = true;
}

int cio__queue_end(struct cio__write_queue *queue)
{
    if (queue->error)
        return queue->error;
    if (queue->ends)
        return 0;
    queue->ends = true;
    return cio__queue_is_empty(queue) ? end_now(queue) : 0;
}

/* ---- queueing ---- */

int cio__buffers_check(const struct iovec *buffers, size_t n, size_t *ret_size)
{
    size_t size = 0;
    if (!buffers && n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if ((!buffers[i].iov_base && buffers[i].iov_len) ||
            buffers[i].iov_len > SIZE_MAX / 2 - size)
            return -EINVAL;
        size += buffers[i].iov_len;
    }
    *ret_size = size;
    return 0;
}

/* Copies the bytes from position skip on, most of them at most. Returns how many. */
static size_t copy(char *to, size_t most, const struct iovec *buffers, size_t n, size_t skip)
{
    size_t copied = 0;
    for (size_t i = 0; i < n && copied < most; i++) {
        if (skip >= buffers[i].iov_len) {
            skip -= buffers[i].iov_len;
            continue;
        }
        size_t part = buffers[i].iov_len - skip;
        if (part > most - copied)
            part = most - copied;
        memcpy(to + copied, (const char *)buffers[i].iov_base + skip, part);
        copied += part;
        skip = 0;
    }
    return copied;
}

static struct cio__chunk *new_chunk(size_t room)
{
    struct cio__chunk *chunk = cio__alloc(sizeof *chunk + room);
    if (chunk)
        *chunk = (struct cio__chunk){.data = (char *)(chunk + 1), .room = room};
    return chunk;
}

static size_t room_in_last(const struct cio__write_queue *queue)
{
    return queue->last && !queue->last->writer ? queue->last->room : 0;
}

int cio__queue_append(struct cio__write_queue *queue, const struct iovec *buffers, size_t n,
                      size_t skip)
{
    size_t left = cio__buffers_size(buffers, n) - skip;
    size_t into_last = room_in_last(queue);
    if (into_last > left)
        into_last = left;
    struct cio__chunk *chunk = NULL;
    if (left > into_last) {
        size_t room = left - into_last;
        chunk = new_chunk(room < CHUNK_LEAST ? CHUNK_LEAST : room);
        if (!chunk)
            return -ENOMEM;
    }
    if (into_last) {
        struct cio__chunk *last = queue->last;
        copy((char *)last->data + last->size, into_last, buffers, n, skip);
        last->size += into_last;
        last->room -= into_last;
    }
    if (chunk) {
        chunk->size = copy((char *)chunk->data, left - into_last, buffers, n, skip + into_last);
        chunk->room -= chunk->size;
        push(queue, chunk);
    }
    queue->size += left;
    return 0;
}

void cio__queue_lend(struct cio__write_queue *queue, struct cio__chunk *chunk,
                     const struct iovec *buffers, size_t n, size_t skip)
{
    *chunk = (struct cio__chunk){.more = buffers, .n_more = n, .writer = cio__current};
    queue->size += cio__buffers_size(buffers, n) - skip;
    do {
        advance(chunk);
        size_t part = skip < chunk->size ? skip : chunk->size;
        chunk->data += part;
        chunk->size -= part;
        skip -= part;
    } while (skip);
    advance(chunk);
    push(queue, chunk);
}

static size_t left_of(const struct cio__chunk *chunk)
{
    return chunk->size + cio__buffers_size(chunk->more, chunk->n_more);
}

/* Puts another chunk, or none, in a chunk's place. */
static void replace(struct cio__write_queue *queue, struct cio__chunk *chunk,
                    struct cio__chunk *other)
{
    struct cio__chunk *before = NULL;
    for (struct cio__chunk *c = queue->first; c != chunk; c = c->next)
        before = c;
    if (other)
        other->next = chunk->next;
    struct cio__chunk *after = other ? other : chunk->next;
    if (before)
        before->next = after;
    else
        queue->first = after;
    if (queue->last == chunk)
        queue->last = other ? other : before;
}

int cio__queue_own(struct cio__write_queue *queue, struct cio__chunk *chunk)
{
    struct cio__chunk *owned = new_chunk(left_of(chunk));
    if (!owned)
        return -ENOMEM;
    memcpy(owned + 1, chunk->data, chunk->size);
    owned->size = chunk->size;
    owned->size += copy((char *)owned->data + owned->size, owned->room, chunk->more, chunk->n_more,
                        0);
    owned->room = 0;
    replace(queue, chunk, owned);
    return 0;
}

size_t cio__queue_withdraw(struct cio__write_queue *queue, struct cio__chunk *chunk)
{
    size_t left = left_of(chunk);
    if (chunk->done)
        return left;
    replace(queue, chunk, NULL);
    queue->size -= left;
    return left;
}

/* ---- feeding ---- */

void cio__queue_begin_feed(struct cio__write_queue *queue, struct cio__chunk *chunk)
{
    *chunk = (struct cio__chunk){.writer = cio__current, .fed = true};
    push(queue, chunk);
}

/* What stands first goes out at once, if nobody has noticed yet that the socket is full. */
static int try_first(struct cio__write_queue *queue)
{
    size_t asked;
    if (queue->listening || !cio__channel_may_send(queue->channel))
        return 0;
    ssize_t sent = send_first(queue, &asked);
    if (sent < 0)
        return sent == -EAGAIN ? 0 : (int)sent;
    consume(queue, (size_t)sent);
    return 0;
}

int cio__queue_feed(struct cio__write_queue *queue, struct cio__chunk *chunk,
                    struct cio__source *source, const void *data, size_t size)
{
    chunk->source = source;
    chunk->data = data;
    chunk->size = size;
    queue->size += size;
    if (queue->first != chunk)
        return 0;
    chunk->away = true; /* it is here: what is sent now need not be told */
    int rc = try_first(queue);
    if (rc < 0)
        cio__queue_close(queue, rc);
    chunk->away = false;
    return rc < 0 ? rc : cio__queue_listen(queue);
}

void cio__queue_end_feed(struct cio__write_queue *queue, struct cio__chunk *chunk)
{
    if (chunk->done)
        return;
    cio__queue_withdraw(queue, chunk);
    if (queue->first || queue->ends || queue->paused)
        cio__queue_poke(queue);
}
