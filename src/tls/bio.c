/*
 * Between OpenSSL and the socket. It reads from the socket straight into its buffer, as much as
 * that has room for. What it sends is gathered in one of the loop's buffers, some records of it,
 * and goes out by one call.
 */
#include <errno.h>
#include <string.h>

#include "io/io.h"
#include "os/memory.h"
#include "tls/tls.h"

/* Control calls of BIOs that know of kernel TLS, whose names OpenSSL keeps to itself. */
#define KTLS_KEYS 72 /* number: 0 for receiving */
#define KTLS_KIND 74

static int take_early(struct cio__tls *tls, char *data, int size)
{
    size_t left = tls->early_end - tls->early_begin;
    size_t n = left < (size_t)size ? left : (size_t)size;
    memcpy(data, tls->early + tls->early_begin, n);
    tls->early_begin += n;
    if (n == left) {
        cio__free(tls->early);
        tls->early = NULL;
    }
    return (int)n;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct cio__tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (unlikely(tls->early != NULL))
        return take_early(tls, data, size);
    ssize_t n = cio__socket_receive(tls->channel, data, (size_t)size);
    if (likely(n > 0))
        return (int)n;
    if (n == 0)
        tls->eof = true;
    else if (n == -EAGAIN)
        BIO_set_retry_read(bio);
    else
        tls->socket_rc = (int)n;
    return n == 0 ? 0 : -1;
}

/* A record that is alone goes out from where it is. Returns how many bytes of it did, or an error. */
static ssize_t send_directly(struct cio__tls *tls, const char *data, int size)
{
    struct iovec record = {(void *)data, (size_t)size};
    ssize_t sent = cio__socket_send(tls->channel, &record, 1);
    if (sent == -EAGAIN)
        return 0;
    if (sent < 0)
        tls->socket_rc = (int)sent;
    return sent;
}

static int not_written(BIO *bio, int rc)
{
    struct cio__tls *tls = BIO_get_data(bio);
    if (rc == -EAGAIN)
        BIO_set_retry_write(bio);
    else
        tls->socket_rc = rc;
    return -1;
}

int cio__tls_take_buffer(struct cio__tls *tls)
{
    if (tls->out)
        return 0;
    tls->out = cio__buffer_take(tls->channel->loop);
    tls->out_begin = tls->out_end = 0;
    return tls->out ? 0 : -ENOMEM;
}

/* Takes all, unless much is unsent already. */
static int bio_write(BIO *bio, const char *data, int size)
{
    struct cio__tls *tls = BIO_get_data(bio);
    int rc = 0;
    BIO_clear_retry_flags(bio);
    if (unlikely(tls->kernel)) {
        rc = size > 0 ? cio__tls_kernel_write(tls, data, (size_t)size) : 0;
        return rc < 0 ? not_written(bio, rc) : size;
    }
    if (tls->alone && !tls->out) {
        ssize_t sent = send_directly(tls, data, size);
        if (sent != 0)
            return (int)sent; /* the rest, if there is one, comes again */
    }
    if (tls->out_end == CIO__BUFFER_SIZE && tls->out)
        rc = cio__tls_flush(tls);
    if (rc == 0)
        rc = cio__tls_take_buffer(tls);
    if (rc < 0)
        return not_written(bio, rc);
    size_t room = CIO__BUFFER_SIZE - tls->out_end;
    size_t n = (size_t)size < room ? (size_t)size : room;
    memcpy(tls->out + tls->out_end, data, n);
    tls->out_end += (uint32_t)n;
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    struct cio__tls *tls = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH: return 1; /* whoever called OpenSSL does it, once */
    case BIO_CTRL_EOF: return tls->eof;
    case BIO_CTRL_GET_KTLS_SEND: return tls->kernel;
    case KTLS_KEYS: return number && cio__tls_kernel_begin(tls, pointer);
    case KTLS_KIND: tls->kind = (uint8_t)number; return 0;
    default: return 0;
    }
}

static BIO_METHOD *method;

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cio");
    if (made && BIO_meth_set_read(made, bio_read) && BIO_meth_set_write(made, bio_write) &&
        BIO_meth_set_ctrl(made, bio_ctrl))
        method = made;
    else
        BIO_meth_free(made);
}

BIO *cio__tls_bio_new(struct cio__tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (bio) {
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
    }
    return bio;
}
