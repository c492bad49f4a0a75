/* Ourselves: the echo server over TLS, and what its connections hold while nobody speaks. */
#include "subject.h"
#include "subject_cio.h"
#include "tls_kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

cio_tls_context *bench_tls_context(void)
{
    cio_tls_options options = {0};
    cio_tls_context *context;
    options.certificate.data = tls_kit_pem(&options.certificate.size);
    check(cio_tls_server_context(&context, &options), "cio_tls_server_context");
    return context;
}

static cio_server *start_server(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    cio_server *server;
    int fd;
    const cio_server_options how = {.backlog = 4096, .tls = bench_tls_context()};
    check(cio_start_server(&server, echo_stream, NULL, "127.0.0.1", "0", &how), "cio_start_server");
    if (cio_server_sockets(server, &fd, 1) < 1 ||
        getsockname(fd, (struct sockaddr *)address, &size) < 0)
        subject_fail("the server does not listen");
    return server;
}

static int tls_main(void *arg)
{
    struct sockaddr_in address;
    (void)arg;
    cio_server *server = start_server(&address);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return cio_server_serve_forever(server);
}

void bench_echo_tls(long n)
{
    (void)n;
    run_main(tls_main, NULL);
}

/* The clients have a process of their own: each says one byte and hears it, and then nothing. */
static void connect_all(long n, const struct sockaddr_in *address, int done)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    for (long i = 0; i < n; i++) {
        char byte = 'b';
        SSL *ssl = SSL_new(context);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
            subject_fail("connect: %s", strerror(errno));
        SSL_set_fd(ssl, fd);
        if (SSL_connect(ssl) != 1 || SSL_write(ssl, &byte, 1) != 1 || SSL_read(ssl, &byte, 1) != 1)
            subject_fail("connection %ld was not served", i);
    }
    if (write(done, "", 1) != 1)
        subject_fail("write: %s", strerror(errno));
    pause();
}

static int idle_main(void *arg)
{
    struct sockaddr_in address;
    int done[2];
    long n = *(long *)arg;
    start_server(&address);
    double before = resident_bytes();
    if (pipe(done) < 0)
        subject_fail("pipe: %s", strerror(errno));
    pid_t clients = fork();
    if (clients == 0) {
        connect_all(n, &address, done[1]);
        _exit(0);
    }
    close(done[1]);
    check(cio_wait_readable(done[0]), "cio_wait_readable");
    char byte;
    if (read(done[0], &byte, 1) != 1)
        subject_fail("the clients gave up");
    cio_sleep(0.2);
    subject_value("resident", (resident_bytes() - before) / (double)n);
    kill(clients, SIGKILL);
    exit(0); /* thousands of descriptors need no farewell */
}

void bench_idle_tls(long n)
{
    run_main(idle_main, &n);
}
