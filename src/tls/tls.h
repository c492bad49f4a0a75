/*
 * TLS: what its files know of each other, and what src/io/ knows of it. A connection's TLS is a
 * layer of its channel (io/channel.h): OpenSSL's state machine between a BIO of ours, which makes
 * no call that waits, and the two calls of the channel.
 */
#ifndef CIO_TLS_TLS_H
#define CIO_TLS_TLS_H

#include <openssl/ssl.h>
#include <pthread.h>

#include <cio/tls.h>

#include "io/secure.h"
#include "io/write_queue.h"

#define CIO__TLS_SESSIONS_MOST 64 /* that a client's context remembers */
#define CIO__TLS_WHY_SIZE 600     /* bytes of a text, its NUL included */

/* A session that a server has given us, for the next connection to it. */
struct cio__tls_session {
    SSL_SESSION *session; /* NULL: the place is free */
    char *host;           /* OpenSSL's memory */
    char *service;
    uint64_t used; /* when, in connections */
};

struct cio_tls_context {
    SSL_CTX *ssl;
    uint32_t references; /* atomic: the owner's, connections', servers' */
    bool server;
    bool checks_host;
    double handshake_timeout_s;
    double shutdown_timeout_s;
    cio_tls_choose *choose;
    void *choose_arg;
    unsigned char *alpn; /* as it goes over the wire: lengths and names */
    size_t alpn_size;

    pthread_mutex_t lock; /* of the below */
    uint64_t connections;
    struct cio__tls_session sessions[CIO__TLS_SESSIONS_MOST];
};

enum cio__tls_state {
    CIO__TLS_NEW,
    CIO__TLS_SHAKING, /* the loop drives it; nobody else may */
    CIO__TLS_OPEN,
    CIO__TLS_PARTING, /* the end is told, and the peer's awaited: the loop drives it */
    CIO__TLS_OVER,    /* failed, for .rc */
};

struct cio__tls {
    struct cio__layer layer; /* first */
    SSL *ssl;
    struct cio__channel *channel;
    struct cio__write_queue *queue;

    /* What the socket did not take: out[out_begin..out_end) of a loop's buffer; NULL: nothing. */
    char *out;
    uint32_t out_begin;
    uint32_t out_end;
    uint8_t state;   /* enum cio__tls_state */
    bool more;       /* OpenSSL may have bytes that it has read already */
    bool eof;        /* the socket has ended */
    bool alone;      /* a record is being written behind which there is none */
    bool end_is_due; /* to be told: after a message of the peer's that has come in part */
    bool kernel;     /* the kernel encrypts what is sent; .out is then what kernel.c says */
    uint8_t kind;    /* with it: of the records that OpenSSL writes */
    int socket_rc;   /* what the socket, or our memory, said to the BIO */
    int rc;          /* the first failure */

    char *early; /* what was received before TLS began: early[early_begin..early_end) */
    size_t early_begin;
    size_t early_end;

    const cio_tls_context *context;
    char *host;    /* to be verified; NULL: none */
    char *service; /* with the host: what a session is good for; part of its block */
    char *why;     /* the text of the first failure; NULL: none */

    cio_handle handle; /* the loop's, while it drives */
    cio_handle timer;
    cio__layer_done *done; /* NULL: it does not */
    void *arg;
};

/* ---- contexts ---- */

/* What the pointer stands for: CIO_TLS_CLIENT is made if need be. NULL: *ret_rc says why. */
const cio_tls_context *cio__tls_resolve(const cio_tls_context *tls, int *ret_rc);

int cio__tls_use_certificate(SSL_CTX *ssl, const cio_tls_certificate *certificate);
int cio__tls_trust(SSL_CTX *ssl, const cio_tls_options *options, bool server);

/* ---- sessions: of clients ---- */

void cio__tls_sessions_begin(cio_tls_context *tls);
void cio__tls_sessions_end(cio_tls_context *tls);

/* Offers the server what it gave us last time, if there is something. */
void cio__tls_session_offer(struct cio__tls *tls);

/* ---- the layer ---- */

extern const struct cio__layer_ops cio__tls_ops;

/* The channel's TLS; NULL: it has none. */
static inline struct cio__tls *cio__tls_of(const struct cio__channel *channel)
{
    return (struct cio__tls *)channel->layer;
}

/* What OpenSSL's queue of errors held before is nobody's business here. */
void cio__tls_forget_errors(void);

/* Sends what is in .out. Returns 0 when that was all, -EAGAIN, or an error. */
int cio__tls_flush(struct cio__tls *tls);

static inline bool cio__tls_holds(const struct cio__tls *tls)
{
    return tls->out != NULL;
}

/*
 * What a call of OpenSSL's has come to that returned ret: -EAGAIN: the socket must become readable;
 * 0: the peer has told its end; else what is now .rc, and .why says it in words.
 */
int cio__tls_outcome(struct cio__tls *tls, int ret);

/* Up to size bytes; 0: the end; -EAGAIN; an error. */
ssize_t cio__tls_read(struct cio__tls *tls, void *data, size_t size);

/* Tells the peer the end, and flushes: 0, -EAGAIN, or an error. */
int cio__tls_tell_end(struct cio__tls *tls);

/* ---- between OpenSSL and the socket ---- */

/* A BIO on the channel of a layer. NULL: no memory. */
BIO *cio__tls_bio_new(struct cio__tls *tls);

/* Has .out be a buffer. Returns 0 or -ENOMEM. */
int cio__tls_take_buffer(struct cio__tls *tls);

/* ---- kernel TLS ---- */

/* OpenSSL's keys for sending, in the kernel's form. False: it is to encrypt by itself. */
bool cio__tls_kernel_begin(struct cio__tls *tls, const void *keys);

/* What OpenSSL sends then: answers and alerts. Takes all, or returns -EAGAIN, or an error. */
int cio__tls_kernel_write(struct cio__tls *tls, const char *data, size_t size);

/* Data, when it is open. */
ssize_t cio__tls_kernel_send(struct cio__tls *tls, const struct iovec *buffers, size_t n);

/* Whether data may go to the socket now: 0, -EAGAIN: after .out; or an error. */
int cio__tls_kernel_ready(struct cio__tls *tls);

/* As cio__tls_flush(). */
int cio__tls_kernel_flush(struct cio__tls *tls);

/* ---- driven by the loop ---- */

int cio__tls_start(struct cio__layer *layer, struct cio__channel *channel,
                   struct cio__write_queue *queue, cio__layer_done *done, void *arg);
int cio__tls_part(struct cio__layer *layer, cio__layer_done *done, void *arg);
void cio__tls_stop(struct cio__layer *layer, int rc);

/* ---- what was wrong ---- */

/* Notes a failure of the thread in words; returns rc. */
int cio__tls_fail(int rc, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same of a connection. Its first failure stays; returns that. */
int cio__tls_lose(struct cio__tls *tls, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The thread's last failure is now this connection's. */
void cio__tls_recall(const struct cio__tls *tls);

/* What OpenSSL says went wrong, in one line; its queue is empty then. The text is the thread's. */
const char *cio__tls_openssl_says(void);

/* Whether OpenSSL ran out of memory. Asked before the above. */
bool cio__tls_no_memory(void);

/* OpenSSL's callback: writes down why a certificate is refused. */
int cio__tls_on_verify(int ok, X509_STORE_CTX *store);

#endif
