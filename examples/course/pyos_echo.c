/*
 * pyos_echo: the operating system of pyos serves the network. Its tasks wait for sockets by system
 * calls, so one that waits holds up nobody: "I'm alive" keeps being said.
 *
 *     pyos_echo 7 [PORT]       step 7: the tasks wait for a socket, then use it
 *     pyos_echo 8 [PORT]       step 8: accept, receive and send are coroutines that tasks call
 *     pyos_echo bad [PORT]     what happens without: the accept blocks everybody
 *     pyos_echo quiet [PORT]   step 8, but nobody says anything: for runblaster
 *
 * PORT 0, the default, is a free one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/net.h"
#include "lib/os.h"

static uint16_t port;
static bool quiet;

/* Says so ten times a second or so, however often it runs. */
static int alive(cio_generator *g, void *arg)
{
    struct timespec last = {0}, now;
    (void)arg;
    int rc = 0;
    while (rc >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 >= 100) {
            puts("I'm alive");
            last = now;
        }
        rc = os_yield(g);
    }
    return rc;
}

/* ---- step 7 ---- */

static int handle_client(cio_generator *g, void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[65536 / 16];
    ssize_t n = 1;
    while (n > 0 && os_read_wait(g, fd) >= 0 && (n = recv(fd, data, sizeof data, 0)) > 0) {
        if (os_write_wait(g, fd) < 0)
            break;
        n = send(fd, data, (size_t)n, MSG_NOSIGNAL);
    }
    close(fd);
    puts("Client closed");
    return 0;
}

static int server(cio_generator *g, void *wait)
{
    int fd = listen_at(port, true);
    int rc = fd;
    while (rc >= 0) {
        if (wait)
            rc = os_read_wait(g, fd);
        int client = rc < 0 ? rc
                            : accept(fd, NULL, NULL); /* unless it has waited, it blocks here */
        if (client >= 0)
            rc = os_new_task(g, handle_client, (void *)(intptr_t)client);
    }
    close(fd);
    return rc;
}

/* ---- step 8: subroutines of coroutines, and a socket that has them ---- */

struct sock {
    int fd;
};

struct transfer {
    struct sock sock;
    char *data;
    size_t size;
};

static int do_accept(cio_generator *g, void *arg)
{
    const struct sock *sock = arg;
    int rc = os_read_wait(g, sock->fd);
    return rc < 0 ? rc : os_return(g, accept(sock->fd, NULL, NULL));
}

static int do_recv(cio_generator *g, void *arg)
{
    const struct transfer *t = arg;
    int rc = os_read_wait(g, t->sock.fd);
    return rc < 0 ? rc : os_return(g, recv(t->sock.fd, t->data, t->size, 0));
}

/* All of it, however many waits that takes. */
static int do_send(cio_generator *g, void *arg)
{
    struct transfer *t = arg;
    while (t->size > 0) {
        int rc = os_write_wait(g, t->sock.fd);
        if (rc < 0)
            return rc;
        ssize_t n = send(t->sock.fd, t->data, t->size, MSG_NOSIGNAL);
        if (n < 0)
            return os_return(g, -errno);
        t->data += n;
        t->size -= (size_t)n;
    }
    return os_return(g, 0);
}

static struct sock sock_accept(cio_generator *g, struct sock sock)
{
    return (struct sock){(int)os_call(g, do_accept, &sock)};
}

static ssize_t sock_recv(cio_generator *g, struct sock sock, char *data, size_t size)
{
    return os_call(g, do_recv, &(struct transfer){sock, data, size});
}

static int sock_sendall(cio_generator *g, struct sock sock, char *data, size_t size)
{
    return (int)os_call(g, do_send, &(struct transfer){sock, data, size});
}

static int handle_client_8(cio_generator *g, void *arg)
{
    struct sock client = {(int)(intptr_t)arg};
    char data[4096];
    ssize_t n;
    while ((n = sock_recv(g, client, data, sizeof data)) > 0)
        if (sock_sendall(g, client, data, (size_t)n) < 0)
            break;
    close(client.fd);
    if (!quiet)
        puts("Client closed");
    return 0;
}

static int server_8(cio_generator *g, void *arg)
{
    struct sock listening = {listen_at(port, true)};
    (void)arg;
    int rc = listening.fd;
    while (rc >= 0) {
        struct sock client = sock_accept(g, listening);
        rc = client.fd;
        if (rc >= 0)
            rc = os_new_task(g, handle_client_8, (void *)(intptr_t)client.fd);
    }
    close(listening.fd);
    return rc;
}

/* The server of a step; NULL: there is no such step. */
static cio_generator_fn *server_of(const char *step)
{
    if (strcmp(step, "7") == 0 || strcmp(step, "bad") == 0)
        return server;
    return strcmp(step, "8") == 0 || quiet ? server_8 : NULL;
}

int main(int argc, char **argv)
{
    struct os os;
    const char *step = argc > 1 ? argv[1] : "";
    quiet = strcmp(step, "quiet") == 0;
    cio_generator_fn *fn = server_of(step);
    if (!fn || argc > 3 || !read_port(argc == 3 ? argv[2] : "0", &port)) {
        fprintf(stderr, "usage: pyos_echo 7|8|bad|quiet [PORT]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (os_init(&os) < 0) {
        perror("pyos_echo");
        return 1;
    }
    os.quiet = quiet;
    if (!quiet)
        os_new(&os, alive, NULL);
    os_new(&os, fn, strcmp(step, "bad") == 0 ? NULL : "waits");
    return os_mainloop(&os) < 0;
}
