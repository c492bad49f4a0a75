/*
 * chat: a chat server. The first line that a client sends is its name; each further one goes to all
 * others.
 *
 *     chat 7777
 *     nc localhost 7777
 *
 * A client that reads too slowly is dropped instead of holding up the others: they write to it from
 * a queue of its own, of bounded length. ^C says goodbye.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

enum { NAME_MOST = 20, LINE_MOST = 500, UNSENT_MOST = 64 * 1024 };

struct guest {
    struct guest *next;
    cio_transport *transport;
    char name[NAME_MOST + 1]; /* "": not told yet */
    char line[LINE_MOST];     /* the beginning of one */
    size_t length;
};

static struct guest *guests;

static void say_to(struct guest *g, const char *text, size_t size)
{
    if (cio_transport_unsent(g->transport) > UNSENT_MOST)
        cio_transport_abort(g->transport); /* it does not read */
    else
        cio_transport_write(g->transport, text, size);
}

/* To all who have told their name, but one. */
__attribute__((format(printf, 2, 3))) static void tell(const struct guest *except,
                                                       const char *format, ...)
{
    char text[NAME_MOST + LINE_MOST + 20];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (struct guest *g = guests; g; g = g->next)
        if (g != except && g->name[0])
            say_to(g, text, (size_t)size);
}

static bool is_taken(const char *name)
{
    for (const struct guest *g = guests; g; g = g->next)
        if (strcmp(g->name, name) == 0)
            return true;
    return false;
}

static void take_line(struct guest *g)
{
    g->line[g->length] = 0;
    g->length = 0;
    if (g->name[0]) {
        tell(g, "%s: %s\n", g->name, g->line);
    } else if (!g->line[0] || strlen(g->line) > NAME_MOST || is_taken(g->line)) {
        static const char again[] = "another name, please?\n";
        say_to(g, again, sizeof again - 1);
    } else {
        strcpy(g->name, g->line);
        tell(NULL, "* %s is here\n", g->name);
    }
}

/* ---- the protocol ---- */

static void made(void *self, cio_transport *t)
{
    static const char hello[] = "your name?\n";
    struct guest *g = self;
    g->transport = t;
    g->next = guests;
    guests = g;
    say_to(g, hello, sizeof hello - 1);
}

static int received(void *self, const void *data, size_t size)
{
    struct guest *g = self;
    for (const char *c = data; size; c++, size--) {
        if (*c == '\n')
            take_line(g);
        else if (g->length == LINE_MOST - 1)
            cio_transport_close(g->transport); /* no end of a line within the limit */
        else if (*c != '\r')
            g->line[g->length++] = *c;
        if (cio_transport_is_closing(g->transport))
            return 0;
    }
    return 0;
}

static void lost(void *self, int rc)
{
    struct guest *g = self;
    struct guest **place = &guests;
    (void)rc;
    while (*place != g)
        place = &(*place)->next;
    *place = g->next;
    if (g->name[0])
        tell(NULL, "* %s has left\n", g->name);
    free(g);
}

static const cio_protocol *welcome(void *arg, void **self)
{
    static const cio_protocol protocol = {
        .connection_made = made, .data_received = received, .connection_lost = lost};
    (void)arg;
    *self = calloc(1, sizeof(struct guest));
    return *self ? &protocol : NULL;
}

/* ---- the server ---- */

static int chat_main(void *arg)
{
    cio_server *server;
    int rc = cio_create_server(&server, welcome, NULL, NULL, arg, NULL);
    if (rc < 0)
        return rc;
    struct sockaddr_in6 address = {0};
    socklen_t size = sizeof address;
    int fds[4], n = cio_server_sockets(server, fds, 4);
    for (int i = 0; i < n && i < 4; i++, size = sizeof address)
        if (getsockname(fds[i], (struct sockaddr *)&address, &size) == 0 &&
            (i == 0 || address.sin6_family == AF_INET))
            printf("listening on port %d\n", ntohs(address.sin6_port)); /* IPv4's lies there too */
    rc = cio_sleep(CIO_FOREVER);
    tell(NULL, "* goodbye\n");
    cio_server_close_clients(server);
    cio_server_shutdown(server, 1);
    cio_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc != 2 || help) {
        fprintf(help ? stdout : stderr, "usage: chat PORT    (0: a free one)\n"
                                        "A chat server: the first line is your name.\n");
        return help ? 0 : 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = cio_run(chat_main, argv[1]);
    if (rc == -EINTR)
        return 130;
    fprintf(stderr, "chat: %s\n", cio_strerror(rc));
    return rc == -EINVAL || rc == CIO_EAI_SERVICE ? 2 : 1;
}
