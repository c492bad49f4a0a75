/* Servers: accepting, and their life. */
#include "io/server.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cio/timeout.h>

#include "io/secure.h"
#include "os/memory.h"

#define RETRY_AFTER_S 1.0 /* as asyncio: ACCEPT_RETRY_DELAY */
#define ACCEPTS_A_TURN 64

static int check(const cio_server *server)
{
    if (!server)
        return -EINVAL;
    return cio__running && cio__running != server->loop ? CIO_EWRONGLOOP : 0;
}

/* ---- accepting ---- */

static void accept_ready(void *arg);

static int listen_on(struct cio__listener *listener)
{
    if (listener->listening || !listener->open)
        return 0;
    listener->handle.fn = accept_ready;
    listener->handle.arg = listener;
    listener->handle.loop = listener->server->loop;
    int rc = cio__channel_listen(&listener->channel, CIO__READ, &listener->handle);
    listener->listening = rc == 0;
    return rc;
}

int cio__server_listen(cio_server *server)
{
    for (int i = 0; i < server->n_listeners; i++) {
        int rc = listen_on(&server->listeners[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void cio__server_stop_listening(cio_server *server)
{
    for (int i = 0; i < server->n_listeners; i++) {
        struct cio__listener *listener = &server->listeners[i];
        if (listener->listening)
            cio__channel_unlisten(&listener->handle);
        listener->listening = false;
    }
}

static void listen_again(void *arg)
{
    cio_server *server = arg;
    int rc = server->serving && !server->full ? cio__server_listen(server) : 0;
    if (rc < 0)
        cio__report(server->loop, "server cannot listen any more", rc, NULL, NULL);
}

static void pause_accepting(cio_server *server, int rc)
{
    cio__report(server->loop, "accept() out of system resource", rc, NULL, NULL);
    cio__server_stop_listening(server);
    cio_handle_cancel(&server->retry);
    cio_call_later(server->loop, &server->retry, RETRY_AFTER_S, listen_again, server);
}

/* Errors of the connection that was to come, not of the listening socket: accept(2). */
static bool concerns_one_connection(int rc)
{
    switch (-rc) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM: return true;
    default: return false;
    }
}

/* Returns whether to go on. */
static bool accept_one(struct cio__listener *listener)
{
    cio_server *server = listener->server;
    struct cio__os *os = server->loop->os;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (server->n_clients >= server->max_clients) {
        server->full = true;
        cio__server_stop_listening(server);
        return false;
    }
    int fd = os->ops->accept(os, listener->channel.file->fd, (struct sockaddr *)&peer, &size);
    if (fd >= 0) {
        cio__client_start(server, fd, (struct sockaddr *)&peer, size);
        return server->serving;
    }
    if (fd == -EAGAIN)
        listener->channel.file->ready &= (uint8_t) ~(CIO__READABLE | CIO__HANGUP);
    else if (!concerns_one_connection(fd))
        pause_accepting(server, fd);
    return concerns_one_connection(fd);
}

static bool free_if_left(cio_server *server);

static void accept_ready(void *arg)
{
    struct cio__listener *listener = arg;
    cio_server *server = listener->server;
    cio__channel_unlisten(&listener->handle);
    listener->listening = false;
    int most = server->backlog < ACCEPTS_A_TURN ? server->backlog + 1 : ACCEPTS_A_TURN;
    server->accepting = true; /* a factory may do anything to the server */
    for (int i = 0; i < most; i++)
        if (!accept_one(listener))
            break;
    server->accepting = false;
    if (free_if_left(server))
        return;
    if (server->serving && !server->full && !cio_handle_pending(&server->retry))
        listen_again(server);
}

/* ---- clients leave, waiters wait ---- */

static void wake_waiters(cio_server *server)
{
    for (cio_ring *place = server->waiters.next; place != &server->waiters; place = place->next) {
        struct cio__server_waiter *waiter =
            (struct cio__server_waiter *)((char *)place -
                                          offsetof(struct cio__server_waiter, place));
        cio__wake(waiter->task);
    }
}

static bool is_over(const cio_server *server)
{
    return server->closed && server->n_clients == 0;
}

static void free_server(cio_server *server)
{
    cio__open_end(server->loop, &server->open);
    cio_handle_cancel(&server->retry);
    for (int i = 0; i < server->n_listeners; i++)
        cio__free(server->listeners[i].path);
    cio__free(server->listeners);
    cio__tls_release(server->tls);
    cio__free(server);
}

/* Whether the server's owner has freed it, and so did the last who needed it. */
static bool free_if_left(cio_server *server)
{
    if (!server->orphan || server->n_clients || server->accepting)
        return false;
    free_server(server);
    return true;
}

void cio__server_lost_client(cio_server *server)
{
    server->n_clients--;
    if (server->full && server->serving) {
        server->full = false;
        if (!cio_handle_pending(&server->retry))
            cio_call_soon(server->loop, &server->retry, listen_again, server);
    }
    if (is_over(server))
        wake_waiters(server);
    free_if_left(server);
}

/* ---- the end ---- */

/* The file of a unix socket, if it is still ours. */
static void remove_file(const struct cio__listener *listener)
{
    struct stat now;
    if (listener->path && stat(listener->path, &now) == 0 && now.st_dev == listener->device &&
        now.st_ino == listener->inode)
        unlink(listener->path);
}

static void close_listeners(cio_server *server)
{
    bool ours = !cio__loop_inherited(server->loop);
    cio__server_stop_listening(server);
    for (int i = 0; i < server->n_listeners; i++) {
        struct cio__listener *listener = &server->listeners[i];
        if (!listener->open)
            continue;
        listener->open = false;
        if (ours)
            remove_file(listener);
        cio__channel_close(&listener->channel);
    }
}

int cio_server_close(cio_server *server)
{
    int rc = check(server);
    if (rc < 0 || server->closed)
        return rc;
    server->closed = true;
    server->serving = false;
    cio_handle_cancel(&server->retry);
    close_listeners(server);
    wake_waiters(server);
    return 0;
}

int cio_server_free(cio_server *server)
{
    if (!server)
        return 0;
    int rc = check(server);
    if (rc < 0)
        return rc;
    if (!cio__ring_empty(&server->waiters) || server->for_ever)
        return CIO_ESTATE;
    cio_server_close(server);
    server->orphan = true;
    free_if_left(server);
    return 0;
}

/* ---- what one can do with it ---- */

int cio_server_start_serving(cio_server *server)
{
    int rc = check(server);
    if (rc < 0)
        return rc;
    if (server->closed)
        return CIO_ESTATE;
    if (server->serving)
        return 0;
    struct cio__os *os = server->loop->os;
    for (int i = 0; i < server->n_listeners && rc == 0; i++)
        rc = os->ops->listen(os, server->listeners[i].channel.file->fd, server->backlog);
    server->serving = rc == 0;
    return rc < 0 ? rc : cio__server_listen(server);
}

bool cio_server_is_serving(const cio_server *server)
{
    return server && server->serving;
}

int cio_server_sockets(const cio_server *server, int *fds, int n)
{
    if (!server || (!fds && n > 0))
        return -EINVAL;
    if (server->closed)
        return 0;
    for (int i = 0; i < server->n_listeners && i < n; i++)
        fds[i] = server->listeners[i].channel.file->fd;
    return server->n_listeners;
}

size_t cio_server_connections(const cio_server *server)
{
    return server ? server->n_clients : 0;
}

/* Calls fn for each client; it may lose the client. */
static void for_each_client(cio_server *server, void (*fn)(struct cio__client *client))
{
    cio_ring *place = server->clients.next;
    while (place != &server->clients) {
        cio_ring *next = place->next;
        fn((struct cio__client *)place); /* its first field */
        place = next;
    }
}

static void close_client(struct cio__client *client)
{
    if (client->transport)
        cio_transport_close(client->transport);
    else if (client->stream && client->stream->securing)
        cio__stream_abort(client->stream);
    else if (client->stream && !client->given_up)
        cio__stream_ask_to_end(client->stream);
}

static void abort_client(struct cio__client *client)
{
    if (client->transport)
        cio_transport_abort(client->transport);
    else if (client->stream && !client->task)
        cio__stream_abort(client->stream); /* it is nobody's but ours */
    else if (client->stream)
        cio__stream_break(client->stream);
}

static void cancel_client(struct cio__client *client)
{
    if (client->task)
        cio_cancel(client->task);
    else
        abort_client(client);
}

int cio_server_close_clients(cio_server *server)
{
    int rc = check(server);
    if (rc == 0)
        for_each_client(server, close_client);
    return rc;
}

int cio_server_abort_clients(cio_server *server)
{
    int rc = check(server);
    if (rc == 0)
        for_each_client(server, abort_client);
    return rc;
}

/* ---- waiting ---- */

/* Apart, as a compiler that sees it says that the waiter may be forgotten there. */
static __attribute__((noinline)) void join(cio_server *server, struct cio__server_waiter *waiter)
{
    cio__ring_append(&server->waiters, &waiter->place);
}

/* Waits until it is closed and its clients are gone. */
static int wait_until_over(cio_server *server, const struct cio__wait_kind *kind)
{
    int rc = 0;
    struct cio__server_waiter waiter = {.task = cio__current};
    join(server, &waiter);
    while (rc == 0 && !is_over(server)) {
        waiter.wait = (struct cio__wait){.kind = kind};
        rc = cio__wait(&waiter.wait);
    }
    cio__ring_remove(&waiter.place);
    return rc;
}

int cio_server_wait_closed(cio_server *server)
{
    static const struct cio__wait_kind kind = {.name = "cio_server_wait_closed"};
    int rc = check(server);
    if (rc < 0)
        return rc;
    return cio__current ? wait_until_over(server, &kind) : CIO_ENOTASK;
}

static int wait_with_grace(cio_server *server, double grace, const struct cio__wait_kind *kind)
{
    cio_timeout scope;
    int rc = cio_timeout_enter(&scope, grace);
    if (rc < 0)
        return rc;
    return cio_timeout_exit(&scope, wait_until_over(server, kind));
}

/* Streams whose task has ended, and that still send, are aborted; tasks close theirs themselves. */
static int shut_down(cio_server *server, double grace, const struct cio__wait_kind *kind)
{
    cio_server_close(server);
    int rc = is_over(server) ? 0 : CIO_ETIMEDOUT;
    if (rc < 0 && grace > 0)
        rc = wait_with_grace(server, grace, kind);
    if (rc != CIO_ETIMEDOUT)
        return rc;
    size_t cut_off = server->n_clients;
    for_each_client(server, cancel_client);
    while (!is_over(server)) {
        rc = wait_with_grace(server, RETRY_AFTER_S, kind);
        if (rc < 0 && rc != CIO_ETIMEDOUT)
            return rc;
        for_each_client(server, abort_client); /* what they left behind has had its time */
    }
    return cut_off > INT32_MAX ? INT32_MAX : (int)cut_off;
}

int cio_server_shutdown(cio_server *server, double grace)
{
    static const struct cio__wait_kind kind = {.name = "cio_server_shutdown"};
    int rc = check(server);
    if (rc < 0)
        return rc;
    if (!(grace >= 0))
        return -EINVAL;
    return cio__current ? shut_down(server, grace, &kind) : CIO_ENOTASK;
}

int cio_server_serve_forever(cio_server *server)
{
    static const struct cio__wait_kind kind = {.name = "cio_server_serve_forever"};
    int rc = check(server);
    if (rc < 0)
        return rc;
    if (!cio__current)
        return CIO_ENOTASK;
    if (server->for_ever || server->closed)
        return CIO_ESTATE;
    rc = cio_server_start_serving(server);
    if (rc < 0)
        return rc;
    server->for_ever = true;
    rc = wait_until_over(server, &kind);
    if (rc == CIO_ECANCELED)
        shut_down(server, server->grace_s, &kind);
    server->for_ever = false;
    return rc;
}
