/* Ports and sockets. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

bool read_number(const char *text, long least, long most, long *ret)
{
    char *end;
    errno = 0;
    *ret = strtol(text, &end, 10);
    return end != text && !*end && errno == 0 && *ret >= least && *ret <= most;
}

bool read_port(const char *text, uint16_t *ret)
{
    long port;
    bool good = read_number(text, 0, UINT16_MAX, &port);
    *ret = good ? (uint16_t)port : 0;
    return good;
}

void tell_port(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("Server starting on port %d\n", ntohs(address.sin_port));
}

int listen_at(uint16_t port, bool blocking)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0) {
        int rc = -errno;
        fprintf(stderr, "port %d: %s\n", port, strerror(-rc));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    raise_files_limit();
    tell_port(fd);
    return fd;
}

void raise_files_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
