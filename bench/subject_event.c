/* libevent: an echo server of buffer events, and its HTTP server. */
#include "subject.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct event_base *base;

static void begin(void)
{
    base = event_base_new();
    if (!base)
        subject_fail("event_base_new");
}

static void echo(struct bufferevent *b, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(b, bufferevent_get_input(b));
}

static void ended(struct bufferevent *b, short what, void *arg)
{
    (void)what, (void)arg;
    bufferevent_free(b);
}

static void accepted(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address,
                     int size, void *arg)
{
    (void)l, (void)address, (void)size, (void)arg;
    struct bufferevent *b = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    subject_nodelay(fd);
    bufferevent_setcb(b, echo, NULL, ended, NULL);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}

static void bench_echo(long n)
{
    (void)n;
    begin();
    if (!evconnlistener_new(base, accepted, NULL, 0, 0, subject_listen()))
        subject_fail("evconnlistener_new");
    event_base_dispatch(base);
}

/*
 * The file is read once and sent from memory: the least that its users can have it do. Whoever asks
 * the disk each time has that to pay too.
 */
static struct {
    char *data;
    size_t size;
} file;

static void read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f || fseek(f, 0, SEEK_END) < 0)
        subject_fail("%s: %s", path, strerror(errno));
    file.size = (size_t)ftell(f);
    file.data = malloc(file.size + 1);
    rewind(f);
    if (!file.data || fread(file.data, 1, file.size, f) != file.size)
        subject_fail("%s cannot be read", path);
    fclose(f);
}

static void answer(struct evhttp_request *request, void *directory)
{
    if (!file.data) {
        char path[512];
        snprintf(path, sizeof path, "%s%s", (char *)directory, evhttp_request_get_uri(request));
        read_file(path);
    }
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_reference(body, file.data, file.size, NULL, NULL);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "application/octet-stream");
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

static void bench_http(char *directory)
{
    begin();
    struct evhttp *server = evhttp_new(base);
    if (!server || evhttp_accept_socket(server, subject_listen()) < 0)
        subject_fail("evhttp_new");
    evhttp_set_gencb(server, answer, directory);
    event_base_dispatch(base);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {{"echo", bench_echo}, {NULL, NULL}};
    if (argc == 3 && strcmp(argv[1], "http") == 0) {
        bench_http(argv[2]);
        return 0;
    }
    return subject_main(modes, argc, argv);
}
