/* A server's connections. */
#include <errno.h>

#include "io/connect.h"
#include "io/secure.h"
#include "io/server.h"
#include "os/memory.h"

static void cannot_take(const cio_server *server, int rc)
{
    cio__report(server->loop, "server cannot take a connection", rc, NULL, NULL);
}

static struct cio__client *new_client(cio_server *server)
{
    struct cio__client *client = cio__alloc(sizeof *client);
    if (!client)
        return NULL;
    *client = (struct cio__client){.server = server};
    cio__ring_append(&server->clients, &client->place);
    server->n_clients++;
    return client;
}

/* Its connection is closed and its task has ended, or had never begun. */
static void free_client(struct cio__client *client)
{
    cio_server *server = client->server;
    cio__ring_remove(&client->place);
    cio__free(client);
    cio__server_lost_client(server);
}

static void transport_closed(cio_transport *t, void *arg)
{
    (void)t;
    free_client(arg);
}

static void stream_given_up(cio_stream *s, void *arg)
{
    struct cio__client *client = arg;
    (void)s;
    client->given_up = true;
}

static void stream_closed(cio_stream *s, void *arg)
{
    struct cio__client *client = arg;
    (void)s;
    client->stream = NULL;
    if (!client->task)
        free_client(client);
}

/* A task of its own for each client. */
static int run_client(void *arg)
{
    struct cio__client *client = arg;
    client->rc = CIO_ECANCELED;
    if (client->stream)
        client->rc = client->server->fn(client->stream, client->server->arg);
    return 0;
}

/* The task has ended, also without having begun. */
static void task_ended(void *arg)
{
    struct cio__client *client = arg;
    cio_task *task = client->task;
    client->task = NULL;
    int rc = cio_result(task);
    if (rc >= 0)
        rc = client->rc;
    if (rc < 0 && rc != CIO_ECANCELED)
        cio__report(client->server->loop, "unhandled error in client_connected callback", rc, task,
                    cio_get_name(task));
    cio_detach(task);
    if (!client->stream)
        free_client(client);
    else if (!client->given_up)
        cio__stream_close_soon(client->stream);
}

static int start_task(struct cio__client *client)
{
    cio_server *server = client->server;
    cio_task_options options = {.stack_size = server->stack_size, .loop = server->loop};
    client->task = cio_create_task_with(&options, run_client, client);
    if (!client->task)
        return cio_last_error();
    client->handle = (cio_handle){.fn = task_ended, .arg = client, .loop = server->loop};
    cio__future_listen(client->task, &client->link, &client->handle);
    return 0;
}

static void close_fd(cio_server *server, int fd)
{
    server->loop->os->ops->close_fd(server->loop->os, fd);
}

/* Its handshake is over: only now is there something for a task to do. */
static void stream_secured(void *arg, int rc)
{
    struct cio__client *client = arg;
    client->stream->securing = false;
    if (rc == 0 && (rc = start_task(client)) < 0)
        cannot_take(client->server, rc);
    if (rc < 0)
        cio__stream_abort(client->stream); /* the peer's failure, which is nobody's bug */
}

static int secure_stream(struct cio__client *client, cio_stream *s)
{
    int rc = cio__tls_layer_new(&s->channel.layer, client->server->tls, NULL, NULL, NULL, 0);
    if (rc < 0)
        return rc;
    s->securing = true;
    return s->channel.layer->ops->start(s->channel.layer, &s->channel, &s->out, stream_secured,
                                        client);
}

static int start_stream(struct cio__client *client, int fd, const struct sockaddr *peer,
                        socklen_t size)
{
    cio_server *server = client->server;
    cio_stream *s;
    int rc = cio__stream_new(&s, server->loop, fd, &server->stream_options);
    if (rc < 0) {
        close_fd(server, fd);
        return rc;
    }
    rc = server->tls ? secure_stream(client, s) : start_task(client);
    if (rc < 0) {
        cio__stream_abort(s);
        return rc;
    }
    cio__peer_set(&s->peer, peer, size);
    client->stream = s;
    s->on_close = stream_given_up;
    s->on_closed = stream_closed;
    s->arg = client;
    return 0;
}

/* Its handshake is over: only now is a protocol wanted. */
static int transport_secured(cio_transport *t, void *arg)
{
    const cio_server *server = ((struct cio__client *)arg)->server;
    void *self = NULL;
    const cio_protocol *protocol = server->factory(server->arg, &self);
    return protocol ? cio_transport_set_protocol(t, protocol, self) : -ECONNREFUSED;
}

static int secure_transport(cio_transport *t, struct cio__client *client)
{
    struct cio__layer *layer;
    int rc = cio__tls_layer_new(&layer, client->server->tls, NULL, NULL, NULL, 0);
    t->on_secured = transport_secured;
    cio__transport_hush(t);
    return rc < 0 ? rc : cio__transport_start_layer(t, layer);
}

static int start_transport(struct cio__client *client, int fd, const struct sockaddr *peer,
                           socklen_t size)
{
    static const cio_protocol none;
    cio_server *server = client->server;
    cio_transport *t;
    void *self = NULL;
    const cio_protocol *protocol = server->tls ? &none : server->factory(server->arg, &self);
    int rc = protocol ? cio__transport_new(&t, server->loop, fd, protocol, self) : -ECONNREFUSED;
    if (rc < 0) {
        close_fd(server, fd);
        return rc;
    }
    cio__peer_set(&t->peer, peer, size);
    if (server->stream_options.high_water)
        cio_transport_set_water(t, server->stream_options.high_water, CIO_DEFAULT_WATER);
    t->on_closed = transport_closed;
    t->arg = client;
    client->transport = t;
    if (server->tls && (rc = secure_transport(t, client)) < 0) {
        cannot_take(server, rc);
        cio__transport_fail(t, rc);
    }
    return 0;
}

void cio__client_start(cio_server *server, int fd, const struct sockaddr *peer, socklen_t size)
{
    struct cio__client *client = new_client(server);
    int rc = -ENOMEM;
    if (!client)
        close_fd(server, fd);
    else if (server->fn)
        rc = start_stream(client, fd, peer, size);
    else
        rc = start_transport(client, fd, peer, size);
    if (rc == 0)
        return;
    if (client)
        free_client(client);
    if (rc != -ECONNREFUSED)
        cannot_take(server, rc);
}

void cio__client_drop(struct cio__client *client)
{
    if (client->transport)
        client->transport->on_closed = NULL;
    if (client->stream) {
        client->stream->on_close = client->stream->on_closed = NULL;
        client->stream->closing = true;
        client->stream->open.drop(&client->stream->open);
    }
    if (client->task) {
        cio__link_remove(&client->link);
        cio_handle_cancel(&client->handle);
        cio_detach(client->task);
    }
    cio__ring_remove(&client->place);
    cio__free(client);
}
