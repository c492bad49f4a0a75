/*
 * nginx as a subject: writes it a configuration and becomes it. One process, one worker; open files
 * are remembered for a second, as our server does it.
 */
#include "subject.h"
#ifdef BENCH_TLS
#include "tls_kit.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One that was free a moment ago: nginx cannot choose one. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        subject_fail("no port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

static bool answers(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

/* A process that tells the port when nginx, which this one becomes, listens. */
static void tell_when_ready(int port)
{
    if (fork() != 0)
        return;
    for (int i = 0; i < 500 && !answers(port); i++)
        usleep(10000);
    printf("port %d\n", port);
    fflush(stdout);
    _exit(0);
}

/* A file without a name, which nginx opens by the number that we have for it. */
static int open_nameless(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0)
        subject_fail("/tmp: %s", strerror(errno));
    return fd;
}

/* Certificate and key are in one file. A cache of sessions is not asked for, as ours has none. */
static void write_tls(int fd)
{
#ifdef BENCH_TLS
    size_t size;
    const char *pem = tls_kit_pem(&size);
    int file = open_nameless();
    if (write(file, pem, size) != (ssize_t)size)
        subject_fail("/tmp: %s", strerror(errno));
    dprintf(fd,
            "  ssl_certificate /proc/self/fd/%d; ssl_certificate_key /proc/self/fd/%d;\n"
            "  ssl_protocols TLSv1.3;\n",
            file, file);
#else
    (void)fd;
    subject_absent("built without TLS");
#endif
}

static void write_configuration(int fd, const char *directory, int port, bool over_tls)
{
    dprintf(fd,
            "daemon off; master_process off; pid %s/pid; error_log stderr;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; sendfile on; keepalive_requests 1000000000;\n"
            "  client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s;\n"
            "  uwsgi_temp_path %s; scgi_temp_path %s;\n"
            "  open_file_cache max=1000; open_file_cache_valid 1s;\n",
            directory, directory, directory, directory, directory, directory);
    if (over_tls)
        write_tls(fd);
    dprintf(fd, "  server { listen 127.0.0.1:%d backlog=4096%s; root %s; } }\n", port,
            over_tls ? " ssl" : "", directory);
}

int main(int argc, char **argv)
{
    bool over_tls = argc == 3 && strcmp(argv[1], "https") == 0;
    if (!over_tls && (argc != 3 || strcmp(argv[1], "http") != 0)) {
        fprintf(stderr, "usage: %s http|https DIRECTORY\n", argv[0]);
        return 2;
    }
    char name[64];
    int port = free_port();
    int fd = open_nameless();
    write_configuration(fd, argv[2], port, over_tls);
    tell_when_ready(port);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    execl(NGINX, "nginx", "-e", "stderr", "-c", name, NULL);
    subject_absent("%s: %s", NGINX, strerror(errno));
}
