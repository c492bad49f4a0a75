/*
 * graceful: a server that ends in good order.
 *
 *     graceful 7777 [GRACE]      (0: a free port; GRACE: seconds, 5 by default)
 *     nc localhost 7777          a line with a number N: works for N milliseconds, says "done N"
 *
 * SIGHUP says what it is doing. SIGINT or SIGTERM: no new clients, idle ones are let go, requests
 * that are under way are finished, but not for longer than the grace. A second SIGINT or SIGTERM
 * ends them at once. Every line of the log says which request it belongs to, by a context variable.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

struct client {
    struct client *next;
    struct client **place;
    struct server *server;
    cio_task *task;
    int fd;
    bool busy; /* with a request */
};

struct server {
    int listener;
    uint16_t port;
    double grace;
    cio_group clients;
    cio_signals signals;
    struct client *first;
    int n_clients, n_requests, n_done;
    bool stopping;
};

static cio_context_var request_id = CIO_CONTEXT_VAR_INIT("request_id", "server");

__attribute__((format(printf, 1, 2))) static void log_line(const char *format, ...)
{
    va_list args;
    printf("[%s] ", (char *)cio_context_get(&request_id));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* What a request is for. It knows nothing of requests, but its log lines do. */
static int work(int milliseconds)
{
    log_line("works for %d ms", milliseconds);
    int rc = cio_sleep(milliseconds / 1000.0);
    if (rc < 0)
        log_line("%s", cio_strerror(rc));
    return rc;
}

static int answer(struct client *client, const char *line)
{
    char id[24], text[48];
    cio_context_token token;
    snprintf(id, sizeof id, "req-%03d", ++client->server->n_requests);
    int rc = cio_context_set(&request_id, id, &token);
    if (rc < 0)
        return rc;
    client->busy = true;
    int milliseconds = atoi(line);
    rc = work(milliseconds);
    if (rc >= 0) {
        int n = snprintf(text, sizeof text, "done %d\n", milliseconds);
        rc = cio_sock_sendall(client->fd, text, (size_t)n);
    }
    client->server->n_done += rc >= 0;
    client->busy = false;
    cio_context_reset(&request_id, &token); /* the name is in this frame */
    return rc;
}

static void enlist(struct client *client)
{
    struct server *server = client->server;
    client->task = cio_current_task();
    client->next = server->first;
    client->place = &server->first;
    if (client->next)
        client->next->place = &client->next;
    server->first = client;
    server->n_clients++;
}

static void delist(struct client *client)
{
    *client->place = client->next;
    if (client->next)
        client->next->place = client->place;
    client->server->n_clients--;
}

/* One request after the other, until the client leaves or the server stops. */
static int serve_client(void *arg)
{
    struct client *client = arg;
    enlist(client);
    char line[64];
    size_t used = 0;
    int rc = 0;
    while (rc >= 0 && !client->server->stopping && used < sizeof line - 1) {
        char *end = memchr(line, '\n', used);
        if (end) {
            *end = '\0';
            rc = answer(client, line);
            used -= (size_t)(end + 1 - line);
            memmove(line, end + 1, used);
            continue;
        }
        ssize_t n = cio_sock_recv(client->fd, line + used, sizeof line - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    cio_sock_close(client->fd);
    delist(client);
    free(client);
    return 0;
}

/*
 * It begins at once, so that it has begun when it is canceled, and lets go of what it has.
 */
static int add_client(struct server *server, int fd)
{
    struct client *client = malloc(sizeof *client);
    if (!client)
        return -ENOMEM;
    *client = (struct client){.server = server, .fd = fd};
    cio_task_options options = {.eager = true};
    if (cio_group_start_with(&server->clients, &options, serve_client, client))
        return 0;
    free(client);
    return cio_last_error();
}

static int accept_clients(void *arg)
{
    struct server *server = arg;
    int rc = 0;
    while (rc >= 0) {
        rc = cio_sock_accept(server->listener, NULL, NULL);
        if (rc == -EMFILE || rc == -ENFILE)
            rc = cio_sleep(0.1); /* wait until a client leaves */
        else if (rc >= 0 && add_client(server, rc) < 0)
            cio_sock_close(rc);
    }
    return rc;
}

/* Until it is canceled. The signals are those of serve(), which left no gap between. */
static int hurry(void *arg)
{
    struct server *server = arg;
    int rc;
    do
        rc = cio_next_signal(&server->signals);
    while (rc == SIGHUP);
    if (rc > 0) {
        log_line("again: at once, then");
        cio_group_cancel(&server->clients);
    }
    return rc < 0 ? rc : 0;
}

/* Idle clients are let go, the others get their answers, if they come in time. */
static int finish(struct server *server, cio_task *acceptor)
{
    server->stopping = true;
    cio_cancel(acceptor);
    for (struct client *client = server->first; client; client = client->next)
        if (!client->busy)
            cio_cancel(client->task);
    cio_timeout timeout;
    int rc = cio_timeout_enter(&timeout, server->grace);
    if (rc < 0)
        return cio_group_exit(&server->clients, rc);
    cio_task *impatience = cio_create_task(hurry, server);
    rc = cio_timeout_exit(&timeout, cio_group_exit(&server->clients, 0));
    if (impatience) {
        cio_cancel(impatience);
        cio_await(impatience);
    }
    return rc;
}

static int serve(void *arg)
{
    struct server *server = arg;
    cio_signal_set set = CIO_SIGNAL(SIGINT) | CIO_SIGNAL(SIGTERM) | CIO_SIGNAL(SIGHUP);
    int rc = cio_signals_begin(&server->signals, set);
    if (rc < 0)
        return rc;
    printf("listening on port %d\n", server->port); /* and ready to be told to stop */
    cio_group_enter(&server->clients);
    cio_task *acceptor = cio_group_start(&server->clients, accept_clients, server);
    while ((rc = cio_next_signal(&server->signals)) == SIGHUP)
        log_line("%d clients, %d requests, %d done", server->n_clients, server->n_requests,
                 server->n_done);
    if (rc < 0) {
        rc = cio_group_exit(&server->clients, rc);
    } else {
        log_line("%s: stops", strsignal(rc));
        rc = finish(server, acceptor);
    }
    cio_signals_end(&server->signals);
    log_line("%d of %d requests done", server->n_done, server->n_requests);
    return rc;
}

static int listen_on(uint16_t *port)
{
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        int rc = -errno;
        cio_sock_close(fd);
        return rc;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    char *end = NULL, *grace_end = NULL;
    long port = argc > 1 ? strtol(argv[1], &end, 10) : -1;
    struct server server = {.grace = argc > 2 ? strtod(argv[2], &grace_end) : 5};
    if (argc < 2 || argc > 3 || end == argv[1] || *end || port < 0 || port > 65535 ||
        (grace_end && (grace_end == argv[2] || *grace_end || !(server.grace > 0)))) {
        fprintf(stderr, "usage: graceful PORT [GRACE]    (0: a free port; seconds)\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    server.port = (uint16_t)port;
    server.listener = listen_on(&server.port);
    int rc = server.listener;
    if (rc >= 0) {
        rc = cio_run(serve, &server);
        cio_sock_close(server.listener);
    }
    if (rc < 0)
        fprintf(stderr, "graceful: %s\n", cio_strerror(rc));
    return rc < 0;
}
