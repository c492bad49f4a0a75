/* Streams: their beginning and their end. */
#include "io/stream.h"

#include <errno.h>

#include "os/memory.h"

/* The task that stands in cio_close(). */
struct cio__closer {
    struct cio__wait wait;
    cio_task *task;
    int rc;
    bool done;
};

static void finish_close(cio_stream *s, int rc);

static void parted(void *arg, int rc)
{
    finish_close(arg, rc);
}

/* All is sent, or nothing more can be. Returns 1 if parted() will be called, 0, or an error. */
static int part(cio_stream *s)
{
    if (s->out.error || s->parting)
        return s->parting ? 1 : s->out.error;
    s->parting = true;
    return cio__channel_part(&s->channel, parted, s);
}

static void on_progress(struct cio__write_queue *queue)
{
    cio_stream *s = (cio_stream *)((char *)queue - offsetof(cio_stream, out));
    if (queue->paused && queue->size <= queue->low)
        queue->paused = false;
    cio__stream_wake_writers(s);
    if (s->closing && (queue->error || cio__queue_is_empty(queue))) {
        int rc = part(s);
        if (rc <= 0)
            finish_close(s, rc);
    }
}

/* The loop closes, and the stream is still there. */
static void drop(struct cio__open *open)
{
    cio_stream *s = (cio_stream *)((char *)open - offsetof(cio_stream, open));
    if (!s->closing)
        cio__open_forgotten(s->channel.loop, open, "stream was never closed");
    s->closing = true;
    s->users = 0; /* the tasks that are inside will never run again */
    s->reader = NULL;
    finish_close(s, CIO_ECLOSED);
}

int cio__check_connect_options(const cio_connect_options *options)
{
    if (options->close_timeout < 0 || options->close_timeout != options->close_timeout)
        return -EINVAL;
    if (options->family && options->family != AF_INET && options->family != AF_INET6)
        return -EAFNOSUPPORT;
    if (!(options->happy_eyeballs_delay >= 0) || options->interleave < -1)
        return -EINVAL;
    if (options->report && options->report->room && !options->report->attempts)
        return -EINVAL;
    return 0;
}

static void fill(cio_stream *s, const cio_connect_options *options)
{
    cio__ring_init(&s->writers);
    cio__queue_init(&s->out, &s->channel, on_progress);
    s->open.drop = drop;
    s->limit = options->limit ? options->limit : CIO_STREAM_LIMIT;
    s->close_timeout_s = options->close_timeout != 0 ? options->close_timeout : CIO_CLOSE_TIMEOUT;
    if (options->high_water) {
        s->out.high = options->high_water;
        s->out.low = options->high_water / 4;
    }
}

int cio__stream_new(cio_stream **ret, cio_loop *loop, int fd, const cio_connect_options *options)
{
    cio_stream *s = cio__alloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    *s = (cio_stream){.peer.base.sa_family = AF_UNSPEC};
    int rc = cio__channel_open(&s->channel, loop, fd);
    if (rc < 0) {
        cio__free(s);
        return rc;
    }
    fill(s, options);
    cio__open_begin(loop, &s->open);
    *ret = s;
    return 0;
}

int cio_open_stream(cio_stream **ret, int fd, const cio_connect_options *options)
{
    static const cio_connect_options defaults;
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    if (!options)
        options = &defaults;
    int rc = cio__check_connect_options(options);
    if (rc == 0 && (options->tls || options->server_hostname))
        rc = -EINVAL;
    if (rc < 0)
        return rc;
    if (!cio__running)
        return CIO_ENOLOOP;
    rc = cio__stream_new(ret, cio__running, fd, options);
    if (rc < 0)
        return rc;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (cio__channel_name(&(*ret)->channel, true, (struct sockaddr *)&peer, &size) == 0)
        cio__peer_set(&(*ret)->peer, (struct sockaddr *)&peer, size);
    return 0;
}

/* ---- the end ---- */

void cio__stream_free(cio_stream *s)
{
    cio__free(s);
}

/* Everything is given back; what is inside a call yet leaves with -EBUSY. */
static void finish_close(cio_stream *s, int rc)
{
    if (s->closed)
        return;
    s->closed = true;
    cio_handle_cancel(&s->timer);
    cio__queue_close(&s->out, CIO_ECLOSED);
    cio__stream_wake_writers(s);
    if (!s->reader)
        cio__stream_drop_input(s); /* else the call does it when it leaves */
    cio__channel_close(&s->channel);
    cio__open_end(s->channel.loop, &s->open);
    if (s->closer) {
        s->closer->rc = rc;
        s->closer->done = true;
        cio__wake(s->closer->task);
        s->closer = NULL;
    }
    if (s->on_closed)
        s->on_closed(s, s->arg);
    if (s->users == 0)
        cio__stream_free(s);
}

static void time_over(void *arg)
{
    finish_close(arg, CIO_ETIMEDOUT);
}

/* The owner gives it up; those who are inside a call are sent away. */
static void give_up(cio_stream *s)
{
    s->closing = true;
    if (s->on_close)
        s->on_close(s, s->arg);
    if (s->reader)
        cio__wake_from_file(s->reader);
    else
        cio__stream_drop_input(s);
    cio__stream_wake_writers(s);
}

/*
 * Returns 1 if what is queued must be sent first, or the peer told the end; 0 if neither; or the
 * error because of which it cannot be.
 */
static int begin_close(cio_stream *s)
{
    give_up(s);
    int rc = s->out.error || cio__queue_is_empty(&s->out) ? part(s) : 1;
    if (rc <= 0)
        return rc;
    if (s->close_timeout_s == CIO_FOREVER)
        return 1;
    rc = cio_call_later(s->channel.loop, &s->timer, s->close_timeout_s, time_over, s);
    return rc < 0 ? rc : 1;
}

void cio__stream_close_soon(cio_stream *s)
{
    int rc = begin_close(s);
    if (rc <= 0)
        finish_close(s, rc);
}

static int wait_for_close(cio_stream *s)
{
    static const struct cio__wait_kind kind = {.name = "cio_close"};
    struct cio__closer closer = {.wait.kind = &kind, .task = cio__current};
    s->closer = &closer;
    int rc = cio__wait(&closer.wait);
    if (!closer.done)
        s->closer = NULL; /* canceled: it goes on without us */
    return rc < 0 ? rc : closer.rc;
}

int cio_close(cio_stream *s)
{
    if (!s)
        return -EINVAL;
    if (cio__running && cio__running != s->channel.loop)
        return CIO_EWRONGLOOP;
    if (s->closing)
        return CIO_ESTATE;
    int rc = begin_close(s);
    if (rc > 0)
        return cio__current ? wait_for_close(s) : 0;
    finish_close(s, rc);
    return rc;
}

int cio_abort(cio_stream *s)
{
    if (!s)
        return 0;
    if (cio__running && cio__running != s->channel.loop)
        return CIO_EWRONGLOOP;
    if (s->closing)
        return CIO_ESTATE;
    cio__stream_abort(s);
    return 0;
}

void cio__stream_abort(cio_stream *s)
{
    if (!s->closing)
        give_up(s);
    finish_close(s, CIO_ECLOSED);
}

void cio__stream_break(cio_stream *s)
{
    if (s->closing) {
        finish_close(s, -ECONNABORTED);
        return;
    }
    s->asked = true;
    s->read_error = -ECONNABORTED;
    cio__queue_close(&s->out, -ECONNABORTED);
    cio__channel_close(&s->channel);
    cio__stream_wake_writers(s);
    if (s->reader)
        cio__wake_from_file(s->reader);
}

void cio__stream_ask_to_end(cio_stream *s)
{
    s->asked = s->ended = true;
    if (s->reader)
        cio__wake_from_file(s->reader);
}

/* ---- what it is ---- */

int cio_peer_name(const cio_stream *s, struct sockaddr *address, socklen_t *size)
{
    if (!s || !address || !size)
        return -EINVAL;
    if (cio__peer_get(&s->peer, address, size))
        return 0;
    return cio__channel_name(&s->channel, true, address, size);
}

int cio_sock_name(const cio_stream *s, struct sockaddr *address, socklen_t *size)
{
    return s ? cio__channel_name(&s->channel, false, address, size) : -EINVAL;
}

int cio_stream_fd(const cio_stream *s)
{
    if (!s)
        return -EINVAL;
    return cio__channel_is_open(&s->channel) ? s->channel.file->fd : -EBADF;
}

bool cio_is_closing(const cio_stream *s)
{
    return s && (s->asked || s->closing);
}
