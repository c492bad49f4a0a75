/* The load of the TLS benches: `bench_tls_load PID PORT SECONDS KIND CONNECTIONS BYTES [http:PATH]`.
 *
 * KIND full or resumed: connections that are made, asked for one echo of so many bytes, and closed, one after the other.
 * KIND echo: connections that all have a request in flight. With a path, a file of so many bytes is asked for instead
 * of an echo. The server's cost is read from its processor clock.
 */
#include "pattern.h"
#include "subject.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static SSL_CTX *context;
static SSL_SESSION *session; /* of the last connection; NULL: full handshakes are wanted */
static bool resumes;
static struct sockaddr_in address;
enum { HEAD_MOST = 4096 };
static char request[512]; /* HTTP: what is sent instead of the message */
static size_t request_bytes;
static size_t message_bytes;
static char *message, *answer;
static clockid_t server_clock;

static SSL *connect_one(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        subject_fail("connect: %s", strerror(errno));
    subject_nodelay(fd);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (session)
        SSL_set_session(ssl, session);
    if (SSL_connect(ssl) != 1)
        subject_fail("the handshake failed");
    if (session && !SSL_session_reused(ssl))
        subject_fail("the session was not resumed");
    return ssl;
}

static void ask(SSL *ssl)
{
    if (SSL_write(ssl, request[0] ? request : message, (int)request_bytes) != (int)request_bytes)
        subject_fail("the server hung up");
}

static void hear(SSL *ssl)
{
    size_t head = 0;
    bool has_head = !request[0];
    for (size_t n = 0; !has_head || n < head + message_bytes;) {
        int part = SSL_read(ssl, answer + n, (int)(HEAD_MOST + message_bytes - n));
        if (part <= 0)
            subject_fail("the server hung up");
        n += (size_t)part;
        const char *end = has_head ? NULL : memmem(answer, n, "\r\n\r\n", 4);
        if (end) {
            has_head = true;
            head = (size_t)(end - answer) + 4;
        }
    }
    if (memcmp(message, answer + head, message_bytes) != 0)
        subject_fail("the server sent back something else");
}

static void disconnect(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    if (resumes) {
        SSL_SESSION_free(session);
        session = SSL_get1_session(ssl);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static long connect_for(int64_t until_ns)
{
    long n = 0;
    while (wall_ns() < until_ns) {
        SSL *ssl = connect_one();
        ask(ssl);
        hear(ssl);
        disconnect(ssl);
        n++;
    }
    return n;
}

static long echo_for(SSL **all, int n, int64_t until_ns)
{
    long answered = 0;
    while (wall_ns() < until_ns) {
        for (int i = 0; i < n; i++)
            ask(all[i]);
        for (int i = 0; i < n; i++)
            hear(all[i]);
        answered += n;
    }
    return answered;
}

static int64_t server_ns(void)
{
    struct timespec t;
    if (clock_gettime(server_clock, &t) < 0)
        subject_fail("the server's clock: %s", strerror(errno));
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static long drive(SSL **all, int n, double seconds)
{
    int64_t until_ns = wall_ns() + (int64_t)(seconds * 1e9);
    return all ? echo_for(all, n, until_ns) : connect_for(until_ns);
}

static void make_message(const char *path)
{
    message = malloc(message_bytes);
    answer = malloc(HEAD_MOST + message_bytes);
    if (!message || !answer)
        subject_fail("no memory for %zu bytes", message_bytes);
    pattern_fill((unsigned char *)message, message_bytes);
    request_bytes = message_bytes;
    if (path)
        request_bytes = (size_t)snprintf(request, sizeof request,
                                         "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
}

int main(int argc, char **argv)
{
    const char *path = argc == 8 && strncmp(argv[7], "http:", 5) == 0 ? argv[--argc] + 5 : NULL;
    if (argc != 7)
        subject_fail("usage: %s PID PORT SECONDS KIND CONNECTIONS BYTES [http:PATH]", argv[0]);
    int n = atoi(argv[5]);
    double seconds = atof(argv[3]);
    message_bytes = (size_t)atol(argv[6]);
    make_message(path);
    address = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(argv[2])),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (clock_getcpuclockid((pid_t)atoi(argv[1]), &server_clock) != 0)
        subject_fail("the server's clock cannot be read");
    context = SSL_CTX_new(TLS_client_method());
    resumes = strcmp(argv[4], "resumed") == 0;
    SSL **all = strcmp(argv[4], "echo") == 0 ? calloc((size_t)n, sizeof *all) : NULL;
    for (int i = 0; all && i < n; i++)
        all[i] = connect_one();
    drive(all, n, seconds / 3); /* warm */
    int64_t cpu_before_ns = server_ns(), begin_ns = wall_ns();
    long done = drive(all, n, seconds);
    int64_t end_ns = wall_ns();
    if (done == 0)
        subject_fail("nothing was answered");
    subject_value("cpu", (double)(server_ns() - cpu_before_ns) / 1e3 / (double)done);
    subject_value("rate", (double)done / ((double)(end_ns - begin_ns) / 1e9));
    return 0;
}
