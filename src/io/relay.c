/* From one stream to another. */
#include <cio/relay.h>

#include <errno.h>

#include <cio/timeout.h>

#include "io/pipes.h"
#include "io/stream.h"

/*
 * Copying costs as many calls as a pipe, which is worth its while when there is much at a time: one
 * begins to use it after so many bytes by one receive, and stops when that brought few.
 */
#define MUCH ((ssize_t)32 * 1024)
#define FEW ((ssize_t)8 * 1024)

struct relay {
    struct cio__source source; /* first: what is in the pipe */
    struct cio__chunk chunk;
    cio_stream *from, *to;
    int64_t relayed;
    int64_t left;
    bool may_pipe; /* the kernel can move bytes from one to the other without waiting */
    bool by_pipe;
    int pipe[2];
    size_t in_pipe;
};

/* It waits for either of them. */
static const struct cio__wait_kind reading = {
    .name = "cio_relay", .tell = cio__tell_file, .in_ring = true};
static const struct cio__wait_kind writing = {.name = "cio_relay"};

static ssize_t send_from_pipe(struct cio__source *source, struct cio__channel *channel, size_t size)
{
    struct relay *self = (struct relay *)source;
    ssize_t n = cio__socket_send_pipe(channel, self->pipe[0], size);
    if (n > 0)
        self->in_pipe -= (size_t)n;
    return n;
}

static int check(const struct relay *self)
{
    if (self->from->closing || self->to->closing)
        return -EBUSY;
    return self->chunk.done ? self->chunk.error : 0;
}

/* Waits until a piece has left, in memory or in the pipe. Says how much of it has. */
static int pass(struct relay *self, const void *data, size_t size, size_t *ret_sent)
{
    struct cio__write_queue *queue = &self->to->out;
    *ret_sent = 0;
    int rc = cio__stream_check_write(self->to);
    if (rc < 0)
        return rc;
    cio__queue_begin_feed(queue, &self->chunk);
    rc = cio__queue_feed(queue, &self->chunk, data ? NULL : &self->source, data, size);
    while (rc == 0 && self->chunk.size > 0) {
        cio__ring_init(&cio__current->step.waiting); /* as a reader who is sent away */
        rc = cio__stream_wait_for_queue(self->to, 0, &writing);
        rc = rc < 0 ? rc : check(self);
    }
    *ret_sent = size - self->chunk.size;
    cio__queue_end_feed(queue, &self->chunk);
    if (self->to->closing && !self->to->closed)
        cio__queue_poke(queue); /* who closes it waits until the queue is empty */
    return rc < 0 ? rc : check(self);
}

static void count(struct relay *self, size_t n)
{
    self->relayed += (int64_t)n;
    self->left -= (int64_t)n;
}

/* What the stream has in its buffer. */
static int pass_buffered(struct relay *self)
{
    cio_stream *from = self->from;
    size_t sent, size = from->end - from->begin;
    if ((int64_t)size > self->left)
        size = (size_t)self->left;
    int rc = pass(self, from->data + from->begin, size, &sent);
    cio__stream_consume(from, sent);
    count(self, sent);
    return rc;
}

/* What the socket has, by the pipe, which is empty before and after. */
static int pass_by_pipe(struct relay *self)
{
    cio_stream *from = self->from;
    cio_loop *loop = from->channel.loop;
    int64_t most = self->left < (int64_t)CIO__PIPE_SIZE ? self->left : (int64_t)CIO__PIPE_SIZE;
    if (cio__pipe_take(loop, self->pipe) < 0) {
        self->by_pipe = false;
        return 0;
    }
    ssize_t n = cio__socket_receive_pipe(&from->channel, self->pipe[1], (size_t)most);
    self->in_pipe = n > 0 ? (size_t)n : 0;
    int rc = 0;
    if (n > 0) {
        size_t sent;
        rc = pass(self, NULL, (size_t)n, &sent);
        count(self, (size_t)n - self->in_pipe);
    } else if (n == 0) {
        from->ended = true;
    } else if (n != -EAGAIN) {
        self->may_pipe = false; /* it cannot be done so; or the next receive says why not */
    }
    if (self->in_pipe > 0) {
        int back = cio__stream_put_back(from, self->pipe[0], self->in_pipe);
        rc = rc < 0 ? rc : back;
        if (back == 0)
            self->in_pipe = 0;
    }
    cio__pipe_give(loop, self->pipe, self->in_pipe == 0);
    self->by_pipe = self->may_pipe && (n >= FEW || n == -EAGAIN);
    return rc;
}

/* One piece. Returns 1, 0 at the end, or an error. */
static int step(struct relay *self)
{
    cio_stream *from = self->from;
    int rc = 0;
    if (from->begin < from->end) {
        rc = pass_buffered(self);
        return rc < 0 ? rc : 1;
    }
    rc = cio__stream_wait_for_input(from, &reading);
    if (rc <= 0)
        return rc;
    if (self->by_pipe) {
        rc = pass_by_pipe(self);
        if (rc == 0)
            rc = cio_yield(); /* that was much */
        return rc < 0 ? rc : 1;
    }
    ssize_t n = cio__stream_fill(from, &reading);
    self->by_pipe = self->may_pipe && n >= MUCH;
    return n > 0 ? 1 : (int)n;
}

static int step_in_time(struct relay *self, double idle)
{
    cio_timeout limit;
    if (idle == 0)
        return step(self);
    int rc = cio_timeout_enter(&limit, idle);
    if (rc < 0)
        return rc;
    rc = step(self);
    int ended = cio_timeout_exit(&limit, rc < 0 ? rc : 0);
    return ended < 0 ? ended : rc;
}

/* Whether the kernel may move bytes to or from its socket. */
static bool is_movable(const cio_stream *s)
{
    const struct cio__channel *channel = &s->channel;
    struct cio__os *os = channel->loop->os;
    return cio__channel_is_open(channel) && !os->ops->blocks(os, channel->file->fd);
}

static bool may_pipe(const struct relay *self)
{
    return !self->from->channel.layer && cio__channel_sends_past(&self->to->channel) &&
           is_movable(self->from) && is_movable(self->to);
}

static int relay(struct relay *self, const cio_relay_options *options)
{
    int rc = 1;
    self->may_pipe = !options->copy && may_pipe(self);
    while (rc > 0 && self->left > 0) {
        rc = step_in_time(self, options->idle);
        if (rc > 0)
            rc = self->from->closing || self->to->closing ? -EBUSY : rc;
    }
    if (rc == 0 && !options->keep_open)
        rc = cio_write_eof(self->to);
    return rc < 0 ? rc : 0;
}

static int begin(struct relay *self)
{
    int rc = cio__stream_begin_read(self->from);
    if (rc < 0)
        return rc;
    rc = cio__stream_enter(self->to);
    if (rc == 0) {
        rc = cio__stream_check_write(self->to);
        if (rc < 0)
            cio__stream_leave(self->to);
    }
    if (rc < 0)
        cio__stream_end_read(self->from, rc);
    return rc;
}

int64_t cio_relay(cio_stream *from, cio_stream *to, const cio_relay_options *options)
{
    static const cio_relay_options defaults;
    struct relay self = {.source.send = send_from_pipe, .from = from, .to = to};
    if (!options)
        options = &defaults;
    if (options->relayed)
        *options->relayed = 0;
    if (!from || !to || from == to || options->limit < 0 || !(options->idle >= 0))
        return -EINVAL;
    int rc = begin(&self);
    if (rc < 0)
        return rc;
    self.left = options->limit ? options->limit : INT64_MAX;
    rc = relay(&self, options);
    cio__stream_leave(to);
    cio__stream_end_read(from, rc);
    if (options->relayed)
        *options->relayed = self.relayed;
    return rc < 0 ? rc : self.relayed;
}
