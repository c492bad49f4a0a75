/*
 * TLS, by OpenSSL 3 (asyncio's ssl= and start_tls, and Python's ssl.SSLContext).
 *
 *     cio_stream *s;
 *     int rc = cio_open_connection(&s, "example.org", "443",
 *                                  &(cio_connect_options){.tls = CIO_TLS_CLIENT});
 *     if (rc < 0)
 *         fprintf(stderr, "%s: %s\n", cio_strerror(rc), cio_tls_why(NULL));
 *
 * A context is what many connections have in common: certificates, whom to trust, versions. What is
 * given one, in a field named tls, speaks TLS: cio_open_connection(), cio_start_server(), their
 * kin for unix sockets and for protocols; cio_start_tls() makes a connection that is open already
 * speak it. All calls on streams and transports are then the same ones.
 *
 * Verification is on unless it is switched off: a client accepts a certificate that leads to an
 * authority that it trusts, is in force, and is for the host that was asked for.
 *
 * An end that nobody announced (no close_notify) is an error, CIO_ETRUNCATED, and no end: somebody
 * may have cut the bytes off. Closing announces the end and waits for the peer's announcement, for
 * at most shutdown_timeout. Renegotiation is refused, TLS 1.3's key updates are answered,
 * compression and early data are off.
 *
 * Kernel TLS: with cio_tls_options.kernel the kernel encrypts what a connection sends, if it can
 * (its module "tls", a TCP socket, AES-GCM or another cipher that it and OpenSSL know):
 * cio_tls_info.kernel_sends tells. Else OpenSSL does, and nothing else is different. Then
 * cio_sendfile() sends from the page cache, and cio_relay() may send from a pipe. It is off by
 * default because keys cannot be changed then: cio_tls_update_keys() says -EOPNOTSUPP, and a peer
 * that asks for our new keys, as some do after some hundred GiB, ends the connection with CIO_ETLS.
 * What is received is decrypted by OpenSSL.
 *
 * Handshakes run on the loop's own stack: a task with 16 KiB of it can speak TLS. They take a good
 * part of a millisecond, in which the loop does nothing else; callbacks of a context must not wait.
 *
 * An idle connection holds no buffers of ours and none of OpenSSL's. A peer that does not read
 * makes us hold 64 KiB more than the stream's or transport's own limits. Memory that OpenSSL takes
 * comes from the C library, not from cio_set_allocator().
 *
 * Built without TLS (-DCIO_TLS=OFF), everything here that can fail returns -ENOTSUP.
 */
#ifndef CIO_TLS_H
#define CIO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <cio/export.h>
#include <cio/loop.h>
#include <cio/stream.h>
#include <cio/transport.h>

CIO_BEGIN

/*
 * The usual client (ssl=True, ssl.create_default_context()): it trusts the system's authorities and
 * verifies the host. Not a pointer to anything; made when first needed, for the whole process.
 */
#define CIO_TLS_CLIENT ((cio_tls_context *)1)

#define CIO_TLS_HANDSHAKE_TIMEOUT 60.0 /* seconds: what handshake_timeout 0 means */
#define CIO_TLS_SHUTDOWN_TIMEOUT 30.0  /* seconds: what shutdown_timeout 0 means */

enum cio_tls_version { CIO_TLS_1_2 = 0x0303, CIO_TLS_1_3 = 0x0304 };

enum cio_tls_verify {
    CIO_TLS_VERIFY_USUAL = 0, /* a client demands a certificate, a server does not ask */
    CIO_TLS_VERIFY_NONE = 1,  /* a client takes anything: whoever is in the way can read it all */
    CIO_TLS_VERIFY_OPTIONAL = 2, /* a server asks; who has one must have a good one */
    CIO_TLS_VERIFY_REQUIRED = 3,
};

/* A certificate and its key, as PEM, from files or from memory (load_cert_chain). */
typedef struct cio_tls_certificate {
    const char *file;     /* the certificate, and those that lead from it to an authority */
    const char *key_file; /* NULL: it is in the same file */
    const void *data;     /* the same from memory; file is NULL then */
    size_t size;
    const void *key_data; /* NULL: it is in data */
    size_t key_size;
    const char *password; /* of the key; NULL: it has none */
} cio_tls_certificate;

/*
 * A server's choice by the name that the client asks for (sni_callback): returns the context whose
 * certificates it is shown, NULL for the one that it has. name is NULL if the client says none. In
 * the loop's thread; must not wait.
 */
typedef const cio_tls_context *cio_tls_choose(const char *name, void *arg);

/* All members may be 0: a verifying client, or a server, which must have a certificate. */
typedef struct cio_tls_options {
    cio_tls_certificate certificate; /* ours; a client needs none */

    /* Whom to trust. A client that is given none of these trusts the system's authorities. */
    const char *ca_file; /* PEM, any number of them */
    const char *ca_dir;  /* files named by hashes: see openssl-rehash(1) */
    const void *ca_data; /* PEM, in memory */
    size_t ca_size;
    bool system_cas; /* the system's, besides the above */

    enum cio_tls_verify verify;
    bool any_host; /* do not compare the certificate with the host (check_hostname=False) */
    const char *const *alpn; /* protocols, up to a NULL: a client's wishes, a server's preference */
    const char *ciphers; /* of TLS 1.2, as openssl-ciphers(1) has them; NULL: OpenSSL's choice */
    enum cio_tls_version min_version; /* 0: TLS 1.2 */
    enum cio_tls_version max_version; /* 0: the newest */
    bool no_resumption;               /* every handshake is a full one */
    bool kernel;                      /* kernel TLS, where there is one: see above */
    double handshake_timeout;         /* seconds; 0: 60; CIO_FOREVER */
    double shutdown_timeout;          /* seconds; 0: 30; CIO_FOREVER */
    cio_tls_choose *choose;           /* servers */
    void *choose_arg;
} cio_tls_options;

/*
 * Makes a context (ssl.SSLContext). options may be NULL for a client; nothing of them is kept but
 * choose. It may be used by several threads, and freed while connections use it. Reads files: it
 * may block for a moment. Returns 0 and the context in *ret, to be ended by
 * cio_tls_context_free(); -EINVAL for what cannot be (a server without a certificate, a negative
 * timeout, an empty protocol); CIO_ETLS for what OpenSSL refuses, and cio_tls_why(NULL) says what:
 * a file that is not there, a key of another certificate; -ENOMEM; -ENOTSUP. *ret is NULL then.
 */
CIO_API int cio_tls_client_context(cio_tls_context **ret, const cio_tls_options *options);
CIO_API int cio_tls_server_context(cio_tls_context **ret, const cio_tls_options *options);

/*
 * One certificate more, of another kind of key: an RSA one beside an elliptic curve's. The peer's
 * abilities decide. One of the same kind replaces it for connections to come. (For several names
 * see cio_tls_choose.) Before the context is in use in other threads. Errors as above.
 */
CIO_API int cio_tls_add_certificate(cio_tls_context *tls, const cio_tls_certificate *certificate);

/* Gives it back. NULL and CIO_TLS_CLIENT: nothing. */
CIO_API void cio_tls_context_free(cio_tls_context *tls);

/*
 * From here on the stream speaks TLS (StreamWriter.start_tls): as a client or as a server, as the
 * context is. host is the name to be verified, not used with a server's context. Sends what is
 * queued first. Bytes that were received and not read are taken for the beginning of the peer's
 * handshake. No other task may use the stream meanwhile: its calls get CIO_ESTATE.
 *
 * Returns 0; CIO_ESTATE if somebody reads or writes, after cio_write_eof(), or if it speaks TLS
 * already; -EINVAL also for a NULL host with a context that verifies it; CIO_ETLS,
 * CIO_ECERTIFICATE, CIO_ETRUNCATED, CIO_ETIMEDOUT (handshake_timeout), and what the system says;
 * -ENOMEM; -ENOTSUP. After an error of the handshake, or a cancellation, the stream can only be
 * ended: every call says -ECONNABORTED or the error. [terminal]
 */
CIO_API int cio_start_tls(cio_stream *s, const cio_tls_context *tls, const char *host);

/*
 * The same for a transport (loop.start_tls), which keeps its protocol; the calls that the protocol
 * gets during the handshake are none, but for connection_lost if it fails. Waits in a task until
 * the handshake is over. Errors as above; CIO_ESHUTDOWN if it is closing. [terminal]
 */
CIO_API int cio_transport_start_tls(cio_transport *t, const cio_tls_context *tls, const char *host);

/*
 * What was wrong, in words, with values: "certificate of localhost: certificate has expired
 * (until Jan  1 00:00:00 2020 GMT, to CN=localhost)". Of the stream's or the transport's first TLS
 * error; with NULL, of the last one in this thread, which may be another connection's after the
 * next wait: read it at once. "" if there was none. Valid until the stream ends, or the thread's
 * next TLS error.
 */
CIO_API const char *cio_tls_why(const cio_stream *s);
CIO_API const char *cio_transport_tls_why(const cio_transport *t);

/* What was agreed upon (get_extra_info: "cipher", "peercert", ...; ssl_object's methods). */
typedef struct cio_tls_info {
    const char *version;      /* "TLSv1.3"; static */
    const char *cipher;       /* "TLS_AES_256_GCM_SHA384"; static */
    bool server;              /* which side we are */
    bool resumed;             /* without a full handshake */
    bool kernel_sends;        /* the kernel encrypts what is sent: cio_tls_options.kernel */
    bool has_certificate;     /* the peer's: the three below */
    char subject[256];        /* "CN=localhost,O=Example"; cut off if it is longer */
    char issuer[256];         /* who signed it */
    unsigned char sha256[32]; /* its fingerprint */
    char alpn[256];           /* the protocol; "": none */
    char server_name[256];    /* that the client asked for; "": none */
} cio_tls_info;

/* Returns 0; -ENOTCONN if it does not speak TLS; -EINVAL for NULLs. Does not wait. */
CIO_API int cio_tls_get_info(const cio_stream *s, cio_tls_info *info);
CIO_API int cio_transport_tls_get_info(const cio_transport *t, cio_tls_info *info);

/*
 * The peer's certificate as DER (getpeercert(binary_form=True)), as much of it as data has room
 * for. Returns its size, 0 if there is none, or an error as above.
 */
CIO_API ssize_t cio_tls_peer_certificate(const cio_stream *s, void *data, size_t size);
CIO_API ssize_t cio_transport_tls_peer_certificate(const cio_transport *t, void *data, size_t size);

/*
 * New keys for what we send, from the next write on, and, if both, for what the peer sends. Returns
 * 0; CIO_ESTATE before TLS 1.3 or while it is ending; -EOPNOTSUPP if the kernel encrypts;
 * -ENOTCONN. Does not wait. No asyncio
 * counterpart.
 */
CIO_API int cio_tls_update_keys(cio_stream *s, bool both);

CIO_END

#endif
