/* Ourselves: the echo server over TLS. */
#include "subject.h"
#include "subject_cio.h"
#include "tls_kit.h"

#include <netinet/in.h>
#include <stdio.h>

static int tls_main(void *arg)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    cio_tls_options options = {0};
    cio_tls_context *context;
    cio_server *server;
    int fd;
    (void)arg;
    options.certificate.data = tls_kit_pem(&options.certificate.size);
    check(cio_tls_server_context(&context, &options), "cio_tls_server_context");
    const cio_server_options how = {.backlog = 4096, .tls = context};
    check(cio_start_server(&server, echo_stream, NULL, "127.0.0.1", "0", &how), "cio_start_server");
    if (cio_server_sockets(server, &fd, 1) < 1 || getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        subject_fail("the server does not listen");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    return cio_server_serve_forever(server);
}

void bench_echo_tls(long n)
{
    (void)n;
    run_main(tls_main, NULL);
}
