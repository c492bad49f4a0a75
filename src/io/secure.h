/*
 * Streams and transports get a layer, TLS, and part from it. What is TLS's own is in src/tls/, or,
 * in a build without it, in no_tls.c.
 */
#ifndef CIO_IO_SECURE_H
#define CIO_IO_SECURE_H

#include <cio/tls.h>

#include "io/stream.h"
#include "io/transport.h"

/* Whether a connection may be made with it: 0, -EINVAL, -ENOTSUP or what its making said. */
int cio__tls_check(const cio_tls_context *tls, bool server, const char *host);

/* One reference more, for cio__tls_release(). */
void cio__tls_hold(const cio_tls_context *tls);
void cio__tls_release(const cio_tls_context *tls);

/* Whether it is a server's: no CIO_TLS_CLIENT. */
bool cio__tls_is_server(const cio_tls_context *tls);

/*
 * A layer for one connection. host: the name to be verified; service: with it, what a session is
 * good for; early: bytes that were received already. All are copied. Returns 0 or an error.
 */
int cio__tls_layer_new(struct cio__layer **ret, const cio_tls_context *tls, const char *host,
                       const char *service, const void *early, size_t early_size);

/* Makes the connection's failure the thread's last one, for cio_tls_why(). NULL: nothing. */
void cio__tls_remember(const struct cio__layer *layer);

/*
 * The stream speaks TLS from here on, when the handshake is over, for which the current task waits.
 * After an error the stream can only be ended.
 */
int cio__stream_secure(cio_stream *s, const cio_tls_context *tls, const char *host,
                       const char *service, const struct cio__wait_kind *kind);

#endif
