/*
 * The OpenSSL that the module _ssl is linked with, called directly: nothing of OpenSSL is needed
 * to build this, and the versions cannot differ.
 */
#ifndef PY_TLS_OPENSSL_H
#define PY_TLS_OPENSSL_H

#include "module.h"

struct py__openssl {
    bool usable;
    int (*read)(void *ssl, void *data, size_t size, size_t *ret);
    int (*write)(void *ssl, const void *data, size_t size, size_t *ret);
    int (*get_error)(const void *ssl, int rc);
    int (*get_shutdown)(const void *ssl);
    int (*pending)(const void *ssl);
    int (*want)(const void *ssl);
    void *(*get_context)(const void *ssl);
    void *(*get_rbio)(const void *ssl);
    void *(*get_wbio)(const void *ssl);
    int (*bio_read)(void *bio, void *data, int size);
    int (*bio_write)(void *bio, const void *data, int size);
    size_t (*bio_pending)(void *bio);
    void (*clear_error)(void);
};

/* What is in an ssl.SSLObject. */
struct py__openssl_connection {
    void *ssl; /* NULL: it is not known */
    void *rbio, *wbio;
};

/* OpenSSL's numbers that we need, the same in all its versions. */
enum { PY__SSL_READING = 3, PY__SSL_ZERO_RETURN = 6, PY__SSL_RECEIVED_SHUTDOWN = 2 };

/* Looks for the functions: not .usable where _ssl is no library of its own. */
void py__openssl_find(struct py__openssl *self);

/*
 * The connection in an _ssl._SSLSocket, whose context is given; .ssl is NULL if the object does not
 * look as we know it.
 */
void py__openssl_look_into(const struct py__openssl *self, PyObject *object, PyObject *context,
                           struct py__openssl_connection *ret);

#endif
