/*
 * TLS: a protocol in C between a transport and the program's protocol, and the transport that the
 * program sees. The program's ssl.SSLContext makes an ssl.SSLObject, so all that a context can do
 * works, and get_extra_info("ssl_object") is what it is in asyncio. What is hot goes past it: see
 * tls_engine.c.
 */
#ifndef PY_TLS_H
#define PY_TLS_H

#include "method.h"
#include "tls_bytes.h"
#include "tls_openssl.h"
#include "transport.h"

#define PY__TLS_READ_HIGH ((Py_ssize_t)256 * 1024)
#define PY__TLS_WRITE_HIGH ((Py_ssize_t)512 * 1024)

struct py__tls_transport;

enum py__tls_state { PY__UNWRAPPED, PY__HANDSHAKE, PY__WRAPPED, PY__FLUSHING, PY__SHUTDOWN };

/* What the program's protocol has seen. */
enum py__tls_stage { PY__NOT_MADE, PY__MADE, PY__ENDED, PY__LOST };

/* Objects of the module ssl, which is imported when it is needed first. */
#define PY__SSL_IMPORTS(X)                                                                         \
    X(CertificateError)                                                                            \
    X(MemoryBIO)                                                                                   \
    X(SSLContext)                                                                                  \
    X(SSLError)                                                                                    \
    X(SSLObject)                                                                                   \
    X(SSLSyscallError)                                                                             \
    X(SSLWantReadError)

/* Interned strings: names->words.x is "x". What is looked up by others fills the types' cache. */
#define PY__SSL_WORDS(X)                                                                           \
    X(_check_handshake_timeout)                                                                    \
    X(_check_shutdown_timeout)                                                                     \
    X(_do_read)                                                                                    \
    X(_force_close)                                                                                \
    X(_msg_callback)                                                                               \
    X(_resume)                                                                                     \
    X(_sslobj)                                                                                     \
    X(_start_tls_compatible)                                                                       \
    X(call_later)                                                                                  \
    X(check_hostname)                                                                              \
    X(cipher)                                                                                      \
    X(compression)                                                                                 \
    X(do_handshake)                                                                                \
    X(get_extra_info)                                                                              \
    X(getpeercert)                                                                                 \
    X(pause_reading)                                                                               \
    X(peercert)                                                                                    \
    X(pending)                                                                                     \
    X(read)                                                                                        \
    X(resume_reading)                                                                              \
    X(set_protocol)                                                                                \
    X(ssl_object)                                                                                  \
    X(unwrap)                                                                                      \
    X(wrap_bio)                                                                                    \
    X(write)

struct py__ssl {
#define X(name) PyObject *name;
    PY__SSL_IMPORTS(X)
    struct {
        PY__SSL_WORDS(X)
    } words;
#undef X
    struct py__openssl openssl;
};

struct py__tls {
    struct py__layer layer;
    PyObject *attributes; /* __dict__ */
    PyObject *weak_references;
    const struct py__ssl *names; /* the module state's */
    struct py__loop *loop;

    PyObject
        *below; /* the transport that carries the bytes; NULL before and after the connection */
    enum { PY__FOREIGN, PY__STREAM, PY__TLS } below_kind;
    struct py__tls_transport *transport; /* the program's; NULL after the connection */

    PyObject *protocol;           /* the program's; NULL after the connection */
    struct py__layer *above;      /* the same, if it is one of ours */
    struct py__method received;   /* data_received(), or buffer_updated() */
    struct py__method get_buffer; /* of a buffered protocol */
    bool buffered;

    PyObject *context, *hostname;
    PyObject *object; /* the ssl.SSLObject */
    PyObject *incoming, *outgoing;
    PyObject *read, *write;               /* methods of the object, or of what is in it */
    struct py__openssl_connection direct; /* .ssl is NULL: everything goes by the object */
    const char *fed;                      /* of the transport's: what was just received */
    size_t n_fed;
    struct py__tls_bytes in, out; /* what was received before, what is to be sent */

    PyObject *extra;  /* a dict */
    PyObject *waiter; /* is told of the handshake; or NULL */
    PyObject *handshake_timeout, *shutdown_timeout;
    PyObject *handshake_timer, *shutdown_timer; /* handles, or NULL */
    double handshake_began;                     /* in debug mode */

    enum py__tls_state state;
    enum py__tls_stage stage;
    bool server_side;
    bool forgotten;   /* closed twice: what is known of it goes with the connection */
    bool accepted;    /* by a server of ours: nobody waits for the handshake */
    bool eof;         /* of the transport below */
    bool held;        /* the transport below has paused our writing */
    bool below_held;  /* we have paused its reading */
    bool read_paused; /* by the program */
    bool protocol_paused;
    Py_ssize_t conn_lost;
    Py_ssize_t write_high, write_low, read_high, read_low;
    struct py__write_queue backlog; /* what could not be encrypted yet */
};

struct py__tls_transport {
    union {
        PyObject object;
        char base[PY__TRANSPORT_BASE];
    };
    PyObject *attributes;
    PyObject *weak_references;
    struct py__tls *tls;
    bool closed;
};

extern PyType_Spec py__tls_spec;
extern const struct py__layer_ops py__tls_ops;
extern PyType_Spec py__tls_transport_spec;
extern PyMethodDef py__tls_transport_methods[];
extern PyGetSetDef py__tls_fields[];

/* The module ssl, imported: NULL and RuntimeError if there is none. */
struct py__ssl *py__ssl_get(struct py__module *py);
int py__ssl_traverse(const struct py__ssl *names, visitproc visit, void *arg);
void py__ssl_clear(struct py__ssl *names);
void py__ssl_free(struct py__ssl *names);

/* ---- a connection ---- */

struct py__tls_options {
    PyObject *protocol, *context, *waiter, *hostname; /* None where there is none */
    PyObject *handshake_timeout, *shutdown_timeout;   /* the same */
    bool server_side;
    bool is_made; /* the protocol knows its connection already: start_tls() */
};

struct py__tls *py__tls_new(struct py__loop *loop, const struct py__tls_options *options);
int py__tls_set_protocol(struct py__tls *self, PyObject *protocol);

/* Its Python self, a method of no arguments called soon. */
int py__tls_call_soon(struct py__tls *self, PyObject *object, PyObject *method);

/* The program has no more use for it: lets go of SSLObject and context, now or at the end. */
void py__tls_forget(struct py__tls *self);

/* The waiter's result, or its exception (borrowed). */
int py__tls_wake(struct py__tls *self, PyObject *exception);

/*
 * Ends the connection: the transport below is closed by force, OSErrors are logged in debug mode,
 * others go to the exception handler. The reference is taken.
 */
int py__tls_fatal(struct py__tls *self, PyObject *exception, const char *message);

/* The exception that is set is fatal, if it is an Exception: 0. Others are the caller's: -1. */
int py__tls_catch(struct py__tls *self, const char *message);

/* ---- the beginning and the end ---- */

int py__tls_begin(struct py__tls *self, PyObject *below);
int py__tls_go_on(struct py__tls *self); /* bytes have come, by the state */
int py__tls_end_of_input(struct py__tls *self);
int py__tls_handshake_failed(struct py__tls *self); /* of the exception that is set */
int py__tls_start_shutdown(struct py__tls *self);
int py__tls_abort(struct py__tls *self, PyObject *exception);
int py__tls_end_of_data(struct py__tls *self); /* the protocol's eof_received() */
int py__tls_flush(struct py__tls *self);
int py__tls_shut_down(struct py__tls *self);
int py__tls_cancel_timer(struct py__tls *self, PyObject **timer);
int py__tls_check_handshake(struct py__tls *self); /* what the timers call */
int py__tls_check_shutdown(struct py__tls *self);

/* ---- data ---- */

int py__tls_read_all(struct py__tls *self); /* to the protocol */
int py__tls_write(struct py__tls *self, const char *data, size_t size);
int py__tls_write_backlog(struct py__tls *self);
int py__tls_send(struct py__tls *self); /* what is encrypted, to the transport below */
int py__tls_control_writing(struct py__tls *self);
int py__tls_control_reading(struct py__tls *self);
int py__tls_resume_reading(struct py__tls *self);
size_t py__tls_write_size(struct py__tls *self);

/* ---- the engine: bytes in and out of the SSLObject ---- */

enum { PY__TLS_CLOSED = 0, PY__TLS_AGAIN = -1, PY__TLS_FAILED = -2 };

int py__tls_engine_init(struct py__tls *self);
void py__tls_engine_go_direct(struct py__tls *self); /* after the handshake */
/*
 * What has come. It lies with the caller until py__tls_feed_end(), which keeps what nobody has read,
 * and returns rc, or -1 with an exception: that of rc if it was -1.
 */
int py__tls_feed(struct py__tls *self, const char *data, size_t size);
int py__tls_feed_end(struct py__tls *self, int rc);
/* How many bytes; PY__TLS_CLOSED: the peer has ended; AGAIN; FAILED: an exception is set. */
ssize_t py__tls_decrypt(struct py__tls *self, char *data, size_t size);
ssize_t py__tls_encrypt(struct py__tls *self, const char *data, size_t size);
/* Hands what is to be sent to the transport below. */
int py__tls_drain(struct py__tls *self);
void py__tls_drop_outgoing(struct py__tls *self);
size_t py__tls_incoming(struct py__tls *self);
size_t py__tls_outgoing(struct py__tls *self);
size_t py__tls_readable(struct py__tls *self); /* if it is direct */
/* Whether decrypt() may have more to give without more to come. */
bool py__tls_has_more(struct py__tls *self);
/* A method of the object that has no arguments: 0, AGAIN or FAILED. */
int py__tls_step(struct py__tls *self, PyObject *method);

/* OpenSSL takes its bytes from us, and leaves them with us; until the end. False: it does not. */
bool py__tls_bio_begin(struct py__tls *self, void *ssl);
void py__tls_bio_end(struct py__tls *self);

/* ---- the transport below ---- */

void py__tls_set_below(struct py__tls *self, PyObject *below);
int py__below_write(struct py__tls *self, const char *data, size_t size);
int py__below_pause_reading(struct py__tls *self);
int py__below_resume_reading(struct py__tls *self);
int py__below_close(struct py__tls *self);
int py__below_force_close(struct py__tls *self, PyObject *exception); /* or NULL */
int py__below_is_closing(struct py__tls *self);

/* ---- the program's transport ---- */

struct py__tls_transport *py__tls_transport_new(struct py__tls *self);

static inline struct py__tls *py__tls(PyObject *self)
{
    return (struct py__tls *)self;
}

#endif
