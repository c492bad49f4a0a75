/*
 * tcp_echo: a server that sends back what it receives, to any number of clients at once.
 *
 *     tcp_echo 7777          (0: a free port)
 *     nc localhost 7777
 *
 * ^C ends it, and the connections that are open.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio.h>

/* One client, from its arrival to its end. */
static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[4096];
    ssize_t n;
    int rc = 0;
    while (rc >= 0 && (n = cio_sock_recv(fd, data, sizeof data)) > 0)
        rc = cio_sock_sendall(fd, data, (size_t)n);
    cio_sock_close(fd);
    return 0; /* one broken connection is no reason to end the others */
}

static int serve(void *arg)
{
    int listener = *(int *)arg;
    cio_group clients;
    int rc = cio_group_enter(&clients);
    while (rc >= 0) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        rc = cio_sock_accept(listener, (struct sockaddr *)&peer, &size);
        if (rc == -EMFILE || rc == -ENFILE) { /* wait until a client leaves */
            rc = cio_sleep(0.1);
            continue;
        }
        if (rc < 0)
            break;
        char name[INET_ADDRSTRLEN];
        printf("%s:%d is here\n", inet_ntop(AF_INET, &peer.sin_addr, name, sizeof name),
               ntohs(peer.sin_port));
        if (!cio_group_start(&clients, echo, (void *)(intptr_t)rc))
            cio_sock_close(rc);
    }
    return cio_group_exit(&clients, rc);
}

static int listen_on(uint16_t port)
{
    int fd = cio_sock_open(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        int rc = -errno;
        cio_sock_close(fd);
        return rc;
    }
    printf("listening on port %d\n", ntohs(address.sin_port));
    return fd;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long port = argc == 2 ? strtol(argv[1], &end, 10) : -1;
    if (argc != 2 || end == argv[1] || *end || port < 0 || port > 65535) {
        fprintf(stderr, "usage: tcp_echo PORT    (0 to 65535; 0: a free one)\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    int listener = listen_on((uint16_t)port);
    int rc = listener;
    if (listener >= 0) {
        rc = cio_run(serve, &listener);
        cio_sock_close(listener);
    }
    if (rc == -EINTR) {
        puts("interrupted");
        return 130;
    }
    if (rc < 0)
        fprintf(stderr, "tcp_echo: %s\n", cio_strerror(rc));
    return rc < 0;
}
