/*
 * echo_tasks: an echo server with a task for each client, on cio's loop: it reads as the one with
 * threads does, and waits as the one with callbacks does.
 *
 *     echo_tasks [PORT]
 *
 * PORT 0, the default, is a free one; ^C ends it. runblaster compares it with the others.
 */
#include <errno.h>
#include <stdio.h>

#include <cio.h>

#include "lib/net.h"

static int handle_client(void *arg)
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
    int fd = *(int *)arg;
    cio_group clients;
    int rc = cio_group_enter(&clients);
    while (rc >= 0) {
        rc = cio_sock_accept(fd, NULL, NULL);
        if (rc == -EMFILE || rc == -ENFILE)
            rc = cio_sleep(0.1); /* until a client leaves */
        else if (rc >= 0 && !cio_group_start(&clients, handle_client, (void *)(intptr_t)rc))
            cio_sock_close(rc);
    }
    return cio_group_exit(&clients, rc);
}

int main(int argc, char **argv)
{
    uint16_t port;
    if (argc > 2 || !read_port(argc == 2 ? argv[1] : "0", &port)) {
        fprintf(stderr, "usage: echo_tasks [PORT]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int fd = listen_at(port, false);
    if (fd < 0)
        return 1;
    int rc = cio_run(serve, &fd);
    cio_sock_close(fd);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "echo_tasks: %s\n", cio_strerror(rc));
    return rc == -EINTR ? 130 : rc < 0;
}
