/* Ourselves: the file server of examples/http. */
#include "subject.h"
#include "subject_cio.h"

#include <netinet/in.h>
#include <stdio.h>

#include "lib/serve.h"

static cio_server_options options = {.backlog = 4096};

static int http_main(void *arg)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    cio_server *server;
    int fd;
    check(cio_start_server(&server, http_serve, arg, "127.0.0.1", "0", &options),
          "cio_start_server");
    if (cio_server_sockets(server, &fd, 1) < 1 || getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        subject_fail("the server does not listen");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    return cio_server_serve_forever(server);
}

void bench_http(const char *directory, bool over_tls)
{
#ifdef BENCH_TLS
    if (over_tls)
        options.tls = bench_tls_context();
#else
    if (over_tls)
        subject_absent("built without TLS");
#endif
    static struct http_server server = {
        .idle_timeout_s = 60, .head_timeout_s = 10, .send_timeout_s = 60};
    check(http_files_init(&server.files, directory), directory);
    http_server_init(&server);
    run_main(http_main, &server);
}
