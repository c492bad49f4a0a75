/* By hand: OpenSSL's own socket BIO on an epoll loop, a buffer for all connections. */
#include "subject.h"
#include "subject_epoll.h"
#include "tls_kit.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct secured {
    SSL *ssl;
    int fd;
    int unsent; /* bytes that the socket refused; while there are any, nothing is read */
    char *bytes;
    bool wants_write;
};

static char buffer[65536];

static SSL_CTX *new_context(void)
{
    size_t size;
    const char *pem = tls_kit_pem(&size);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    BIO *from = BIO_new_mem_buf(pem, (int)size);
    X509 *certificate = PEM_read_bio_X509(from, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, NULL, NULL);
    if (SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        subject_fail("the certificate is not taken");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(from);
    return context;
}

static void drop(struct secured *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c->bytes);
    free(c);
}

static void want(int epoll, struct secured *c, bool write)
{
    struct epoll_event e = {.events = write ? EPOLLOUT : EPOLLIN, .data = {.ptr = c}};
    if (write != c->wants_write)
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
    c->wants_write = write;
}

/* What the socket does not take is kept. Returns false when the connection is gone. */
static bool send_all(int epoll, struct secured *c, const char *bytes, int n)
{
    int sent = 0;
    while (sent < n) {
        int part = SSL_write(c->ssl, bytes + sent, n - sent);
        if (part <= 0 && SSL_get_error(c->ssl, part) != SSL_ERROR_WANT_WRITE)
            return false;
        if (part <= 0)
            break;
        sent += part;
    }
    char *rest = sent < n ? malloc((size_t)(n - sent)) : NULL;
    if (rest)
        memcpy(rest, bytes + sent, (size_t)(n - sent));
    free(c->bytes);
    c->bytes = rest;
    c->unsent = n - sent;
    want(epoll, c, rest != NULL);
    return true;
}

static void serve(int epoll, struct secured *c)
{
    ERR_clear_error();
    bool alive = !c->unsent || send_all(epoll, c, c->bytes, c->unsent);
    while (alive && !c->unsent) {
        int n = SSL_read(c->ssl, buffer, sizeof buffer); /* the handshake too */
        if (n > 0) {
            alive = send_all(epoll, c, buffer, n);
            continue;
        }
        int error = SSL_get_error(c->ssl, n);
        if (error == SSL_ERROR_ZERO_RETURN)
            SSL_shutdown(c->ssl);
        alive = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        want(epoll, c, error == SSL_ERROR_WANT_WRITE);
        break;
    }
    if (!alive)
        drop(c);
}

static void accept_all(int epoll, int listener, SSL_CTX *context)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct secured *c = calloc(1, sizeof *c);
        struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = c}};
        c->fd = fd;
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
        subject_nodelay(fd);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

void bench_echo_tls(long n)
{
    struct epoll_event events[512];
    SSL_CTX *context = new_context();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = subject_listen();
    struct epoll_event e = {.events = EPOLLIN};
    (void)n;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                serve(epoll, events[i].data.ptr);
            else
                accept_all(epoll, listener, context);
        }
    }
}
