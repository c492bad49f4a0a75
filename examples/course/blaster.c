/*
 * blaster: a client that keeps an echo server busy. It opens many connections, then sends messages
 * round by round: one by each connection, then the answers, each of which is looked at.
 *
 *     blaster PORT [CONNECTIONS [MESSAGES [SIZE]]]     (300, 100000 and 1024 bytes)
 *
 * It says how many messages came back, how many of them wrong, and in how many seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/net.h"

enum { CONNECTIONS_MOST = 10000, SIZE_MOST = 65536 };

static int fds[CONNECTIONS_MOST];
static char message[SIZE_MOST];
static char answer[SIZE_MOST];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int open_connection(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* No two messages that are under way at once are equal. */
static void write_message(long number, size_t size)
{
    memset(message, 'a' + (int)(number % 26), size);
    memcpy(message, &number, size < sizeof number ? size : sizeof number);
}

static bool send_message(int fd, long number, size_t size)
{
    write_message(number, size);
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, message + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

static bool receive_answer(int fd, long number, size_t size)
{
    if (recv(fd, answer, size, MSG_WAITALL) != (ssize_t)size)
        return false;
    write_message(number, size);
    return memcmp(message, answer, size) == 0;
}

/* Returns how many answers were wrong or did not come. */
static long blast(long connections, long messages, size_t size)
{
    long wrong = 0;
    for (long first = 0; first < messages; first += connections) {
        long n = messages - first < connections ? messages - first : connections;
        for (long i = 0; i < n; i++)
            send_message(fds[i], first + i, size); /* whether it arrived says the answer */
        for (long i = 0; i < n; i++)
            wrong += !receive_answer(fds[i], first + i, size);
    }
    return wrong;
}

int main(int argc, char **argv)
{
    uint16_t port;
    long connections, messages, size;
    if (argc < 2 || argc > 5 || !read_port(argv[1], &port) || port == 0 ||
        !read_number(argc > 2 ? argv[2] : "300", 1, CONNECTIONS_MOST, &connections) ||
        !read_number(argc > 3 ? argv[3] : "100000", 1, 1000000000, &messages) ||
        !read_number(argc > 4 ? argv[4] : "1024", 1, SIZE_MOST, &size)) {
        fprintf(stderr, "usage: blaster PORT [CONNECTIONS [MESSAGES [SIZE]]]\n");
        return 2;
    }
    raise_files_limit();
    double begin = now();
    for (long i = 0; i < connections; i++) {
        fds[i] = open_connection(port);
        if (fds[i] < 0) {
            perror("blaster: connect");
            return 1;
        }
    }
    long wrong = blast(connections, messages, (size_t)size);
    printf("%ld messages, %ld wrong, %.3f s\n", messages, wrong, now() - begin);
    return wrong > 0;
}
