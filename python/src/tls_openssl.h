/*
 * The OpenSSL that the module _ssl is linked with, called directly: nothing of OpenSSL is needed
 * to build this, and the versions cannot differ.
 */
#ifndef PY_TLS_OPENSSL_H
#define PY_TLS_OPENSSL_H

#include "module.h"

struct py__openssl_bio {
    int (*get_new_index)(void);
    void *(*meth_new)(int type, const char *name);
    int (*meth_set_read)(void *method, int (*read)(void *bio, char *data, int size));
    int (*meth_set_write)(void *method, int (*write)(void *bio, const char *data, int size));
    int (*meth_set_ctrl)(void *method, long (*ctrl)(void *bio, int command, long n, void *p));
    void *(*make)(const void *method);
    int (*free)(void *bio);
    void (*set_data)(void *bio, void *data);
    void *(*get_data)(void *bio);
    void (*set_init)(void *bio, int init);
    void (*set_flags)(void *bio, int flags);
    void (*clear_flags)(void *bio, int flags);
    int (*read)(void *bio, void *data, int size);
};

struct py__openssl {
    bool usable;
    int (*read)(void *ssl, void *data, size_t size, size_t *ret);
    int (*write)(void *ssl, const void *data, size_t size, size_t *ret);
    int (*get_error)(const void *ssl, int rc);
    int (*get_shutdown)(const void *ssl);
    int (*pending)(const void *ssl);
    int (*has_pending)(const void *ssl); /* decrypted or not */
    int (*want)(const void *ssl);
    void *(*get_context)(const void *ssl);
    void *(*get_rbio)(const void *ssl);
    void *(*get_wbio)(const void *ssl);
    void (*set_bio)(void *ssl, void *rbio, void *wbio); /* takes them over */
    void (*clear_error)(void);
    struct py__openssl_bio bio;
};

/* What is in an ssl.SSLObject. */
struct py__openssl_connection {
    void *ssl; /* NULL: it is not known */
    void *bio; /* ours, see tls_bio.c */
};

/* OpenSSL's numbers that we need, the same in all its versions. */
enum { PY__SSL_READING = 3, PY__SSL_ZERO_RETURN = 6, PY__SSL_RECEIVED_SHUTDOWN = 2 };

/* Looks for the functions: not .usable where _ssl is no library of its own. */
void py__openssl_find(struct py__openssl *self);

/*
 * The SSL in an _ssl._SSLSocket, whose context is given; NULL if the object does not look as we know
 * it.
 */
void *py__openssl_look_into(const struct py__openssl *self, PyObject *object, PyObject *context);

#endif
