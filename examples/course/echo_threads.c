/*
 * echo_threads: an echo server with a thread for each client, each of which blocks in its calls.
 *
 *     echo_threads [PORT]
 *
 * PORT 0, the default, is a free one. runblaster compares it with the others.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net.h"

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static void *handle_client(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char data[4096];
    ssize_t n;
    while ((n = recv(fd, data, sizeof data, 0)) > 0 && send_all(fd, data, (size_t)n))
        continue;
    close(fd);
    return NULL;
}

static void start_thread(int client, const pthread_attr_t *attributes)
{
    pthread_t thread;
    if (pthread_create(&thread, attributes, handle_client, (void *)(intptr_t)client) != 0) {
        fprintf(stderr, "echo_threads: no thread for a client\n");
        close(client);
    }
}

int main(int argc, char **argv)
{
    uint16_t port;
    if (argc > 2 || !read_port(argc == 2 ? argv[1] : "0", &port)) {
        fprintf(stderr, "usage: echo_threads [PORT]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int fd = listen_at(port, true);
    if (fd < 0)
        return 1;

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, (size_t)256 * 1024);
    for (;;) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            start_thread(client, &attributes);
        else if (errno == EMFILE || errno == ENFILE)
            usleep(100000); /* until a client leaves */
    }
}
