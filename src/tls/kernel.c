/*
 * Kernel TLS: the kernel encrypts what we send, so files can go from the page cache to the peer.
 * OpenSSL makes the keys, in the handshake, and gives them to its BIO. From then on data go to the
 * socket past it; what it still writes are answers and alerts, in the clear, and each becomes a
 * record of its kind. Receiving stays OpenSSL's.
 *
 * What the socket did not take of those lies in .out, each with its kind and its size before it.
 */
#include <errno.h>
#include <string.h>

#include "io/io.h"
#include "tls/tls.h"

#define HANDSHAKE 22  /* a kind of record */
#define KEY_UPDATE 24 /* what such a one may begin with, after the handshake of TLS 1.3 */

struct head {
    uint8_t kind;
    uint8_t size[2];
};

/* All that was encrypted by OpenSSL must have left before. */
bool cio__tls_kernel_begin(struct cio__tls *tls, const void *keys)
{
    struct cio__os *os = tls->channel->loop->os;
    int fd = tls->channel->file->fd;
    if (tls->kernel || !cio__channel_is_open(tls->channel))
        return false;
    if (os->ops->tls_attach(os, fd) < 0 || cio__tls_flush(tls) < 0)
        return false;
    tls->kernel = os->ops->tls_keys(os, fd, keys) == 0;
    return tls->kernel;
}

/*
 * An answer to the peer's wish for new keys would bind us to encrypt by keys that the kernel does
 * not get: before Linux 6.14 it takes none after the first, and OpenSSL gives it none. It is due
 * before our next data; OpenSSL sends it then, or at once.
 */
static int refuse_keys(struct cio__tls *tls)
{
    return cio__tls_lose(tls, CIO_ETLS,
                         "connection: the peer asks for new keys, which kernel TLS "
                         "does not make");
}

ssize_t cio__tls_kernel_send(struct cio__tls *tls, const struct iovec *buffers, size_t n)
{
    int rc = cio__tls_kernel_ready(tls);
    return rc < 0 ? rc : cio__socket_send(tls->channel, buffers, n);
}

int cio__tls_kernel_ready(struct cio__tls *tls)
{
    if (unlikely(SSL_get_key_update_type(tls->ssl) != SSL_KEY_UPDATE_NONE))
        return refuse_keys(tls);
    return cio__tls_flush(tls);
}

static bool is_key_update(const struct cio__tls *tls, const char *data)
{
    return tls->kind == HANDSHAKE && *data == KEY_UPDATE && tls->state != CIO__TLS_SHAKING &&
           SSL_version(tls->ssl) >= TLS1_3_VERSION;
}

int cio__tls_kernel_write(struct cio__tls *tls, const char *data, size_t size)
{
    struct head head = {tls->kind, {(uint8_t)(size >> 8), (uint8_t)size}};
    int rc = 0;
    if (is_key_update(tls, data))
        return refuse_keys(tls);
    if (size > UINT16_MAX)
        return -EMSGSIZE;
    if (tls->out && CIO__BUFFER_SIZE - tls->out_end < sizeof head + size)
        rc = cio__tls_flush(tls);
    if (rc == 0)
        rc = cio__tls_take_buffer(tls);
    if (rc < 0)
        return rc;
    memcpy(tls->out + tls->out_end, &head, sizeof head);
    memcpy(tls->out + tls->out_end + sizeof head, data, size);
    tls->out_end += (uint32_t)(sizeof head + size);
    return 0;
}

/* Returns 0, or -EAGAIN, or an error. What was sent of it is gone. */
static int send_first(struct cio__tls *tls)
{
    struct head head;
    memcpy(&head, tls->out + tls->out_begin, sizeof head);
    size_t size = (size_t)head.size[0] << 8 | head.size[1];
    const char *data = tls->out + tls->out_begin + sizeof head;
    ssize_t sent = cio__socket_send_record(tls->channel, head.kind, data, size);
    if (sent < 0)
        return (int)sent;
    tls->out_begin += (uint32_t)sent;
    size -= (size_t)sent;
    if (size == 0) {
        tls->out_begin += sizeof head;
        return 0;
    }
    head.size[0] = (uint8_t)(size >> 8);
    head.size[1] = (uint8_t)size;
    memcpy(tls->out + tls->out_begin, &head, sizeof head); /* the rest is a record of its own */
    return -EAGAIN;
}

int cio__tls_kernel_flush(struct cio__tls *tls)
{
    while (tls->out_begin < tls->out_end) {
        int rc = send_first(tls);
        if (rc < 0)
            return rc;
    }
    return 0;
}
