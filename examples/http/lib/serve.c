/* A connection: one request after the other. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "reply.h"

static void note_peer(struct http_connection *c)
{
    struct sockaddr_in6 six = {0};
    socklen_t size = sizeof six;
    strcpy(c->peer, "-");
    if (cio_peer_name(c->out.stream, (struct sockaddr *)&six, &size) < 0)
        return;
    if (six.sin6_family == AF_INET6)
        inet_ntop(AF_INET6, &six.sin6_addr, c->peer, sizeof c->peer);
    else if (six.sin6_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&six)->sin_addr, c->peer, sizeof c->peer);
}

/*
 * Sends the answers that are ready and waits until `least` bytes of requests are there. Returns how
 * many there are, fewer only at the end; -408 if a request's time is over.
 */
static ssize_t wait_for_more(struct http_connection *c, size_t least, const void **data,
                             double deadline)
{
    cio_timeout scope;
    int rc = http_out_flush(&c->out);
    if (rc == 0)
        rc = deadline > 0 ? cio_timeout_enter_at(&scope, deadline)
                          : cio_timeout_enter(&scope, c->server->idle_timeout_s);
    if (rc < 0)
        return rc;
    ssize_t n = cio_peek(c->out.stream, least, data);
    rc = cio_timeout_exit(&scope, n < 0 ? (int)n : 0);
    if (rc == CIO_ETIMEDOUT && deadline > 0)
        return -408;
    return rc < 0 ? rc : n;
}

/*
 * The next request. Returns the size of its head; 0: there is none any more; -N: an answer of
 * status N is due, which says why it cannot be read; or another error. (No error is a status.)
 */
static ssize_t take_request(struct http_connection *c)
{
    const void *data = NULL;
    double deadline = 0;
    ssize_t had = 0, size;
    if (cio_buffered(c->out.stream))
        size = cio_peek(c->out.stream, 1, &data);
    else
        size = wait_for_more(c, 1, &data, 0);
    while (size > had) {
        ssize_t head = http_parse_request(&c->request, data, (size_t)size);
        if (head)
            return head;
        had = size;
        if (deadline == 0)
            deadline = cio_time(cio_get_running_loop()) + c->server->head_timeout_s;
        size = wait_for_more(c, (size_t)had + 1, &data, deadline);
    }
    return size < 0 ? size : 0;
}

/*
 * The client may be sending yet. Closing now would reset the connection, and the answer might be
 * lost with it: so for a while what comes is read and dropped.
 */
static void linger(struct http_connection *c)
{
    enum { BYTES_MOST = 1024 * 1024 };
    cio_stream *s = c->out.stream;
    const void *data;
    cio_timeout scope;
    if (cio_write_eof(s) < 0 || cio_timeout_enter(&scope, 2) < 0)
        return;
    size_t dropped = 0;
    ssize_t n = 0;
    while (dropped < BYTES_MOST && (n = cio_peek(s, 1, &data)) > 0) {
        cio_consume(s, (size_t)n);
        dropped += (size_t)n;
    }
    cio_timeout_exit(&scope, n < 0 ? (int)n : 0);
}

/*
 * An answer was cut short. A reset says so, and the kernel does not keep what it has of it for a
 * client that may never read.
 */
static void reset(cio_stream *s)
{
    struct linger at_once = {.l_onoff = 1};
    setsockopt(cio_stream_fd(s), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    cio_abort(s);
}

int http_serve(cio_stream *s, void *arg)
{
    struct http_connection c = {.server = arg};
    ssize_t head;
    http_out_init(&c.out, s, c.server->send_timeout_s);
    if (c.server->log)
        note_peer(&c);
    do {
        head = take_request(&c);
        if (head > 0)
            http_answer(&c, (size_t)head);
        else if (head <= -400 && head > -600)
            http_refuse(&c, (int)-head);
    } while (head > 0 && !c.last && !c.out.error);
    if (head == CIO_ECANCELED || c.out.error == CIO_ECANCELED)
        return CIO_ECANCELED;
    if (!c.out.error && http_out_flush(&c.out) == 0 && c.lingers)
        linger(&c);
    if (c.out.error)
        reset(s);
    return 0;
}
