/*
 * Between OpenSSL and the transport below, once there is data to be carried: a BIO of our own in
 * place of the two of memory. OpenSSL takes received bytes from where the transport has them, and
 * leaves encrypted ones where they are sent from. It may be called without the GIL, by the methods
 * of the SSLObject.
 */
#include "tls.h"

/* OpenSSL's numbers, the same in all its versions. */
enum {
    RETRY_READ = 0x01 | 0x08,
    RETRY_ANY = 0x0f,
    SOURCE_SINK = 0x0400,
    CTRL_PENDING = 10,
    CTRL_FLUSH = 11,
    CTRL_DUPLICATE = 12,
    CTRL_TO_WRITE = 13,
};

/* Of the process: as long as there is a connection, and nobody counts those. */
static void *method;
static struct py__openssl_bio bio;

static size_t take(struct py__tls *self, char *data, size_t most)
{
    if (unlikely(self->in.data != NULL))
        return py__tls_bytes_take(&self->in, data, most);
    size_t n = self->n_fed < most ? self->n_fed : most;
    memcpy(data, self->fed, n);
    self->fed += n;
    self->n_fed -= n;
    return n;
}

static int read_some(void *object, char *data, int size)
{
    struct py__tls *self = bio.get_data(object);
    bio.clear_flags(object, RETRY_ANY);
    size_t n = likely(self && py__tls_incoming(self) && size > 0) ? take(self, data, (size_t)size)
                                                                  : 0;
    if (n > 0)
        return (int)n;
    bio.set_flags(object, RETRY_READ);
    return -1;
}

/* What is written when the connection is over goes nowhere. */
static int write_all(void *object, const char *data, int size)
{
    struct py__tls *self = bio.get_data(object);
    bio.clear_flags(object, RETRY_ANY);
    if (likely(self && size > 0) && !py__tls_bytes_append(&self->out, data, (size_t)size))
        return -1;
    return size;
}

static long control(void *object, int command, long number, void *pointer)
{
    struct py__tls *self = bio.get_data(object);
    (void)number;
    (void)pointer;
    switch (command) {
    case CTRL_FLUSH:
    case CTRL_DUPLICATE: return 1;
    case CTRL_PENDING: return self ? (long)py__tls_incoming(self) : 0;
    case CTRL_TO_WRITE: return self ? (long)py__tls_outgoing(self) : 0;
    default: return 0;
    }
}

static bool make_method(const struct py__openssl *openssl)
{
    if (method)
        return true;
    bio = openssl->bio;
    void *made = bio.meth_new(bio.get_new_index() | SOURCE_SINK, "cio");
    if (!made)
        return false;
    bio.meth_set_read(made, read_some);
    bio.meth_set_write(made, write_all);
    bio.meth_set_ctrl(made, control);
    method = made;
    return true;
}

/* What is in a BIO of memory. */
static bool empty(const struct py__openssl *openssl, void *memory, struct py__tls_bytes *bytes)
{
    char data[4096];
    for (int n; (n = openssl->bio.read(memory, data, sizeof data)) > 0;)
        if (!py__tls_bytes_append(bytes, data, (size_t)n))
            return false;
    return true;
}

bool py__tls_bio_begin(struct py__tls *self, void *ssl)
{
    const struct py__openssl *openssl = &self->names->openssl;
    void *object = make_method(openssl) ? bio.make(method) : NULL;
    if (!object)
        return false;
    if (!empty(openssl, openssl->get_rbio(ssl), &self->in) ||
        !empty(openssl, openssl->get_wbio(ssl), &self->out)) {
        bio.free(object);
        return false;
    }
    bio.set_data(object, self);
    bio.set_init(object, 1);
    openssl->set_bio(ssl, object, object);
    self->direct.bio = object;
    return true;
}

void py__tls_bio_end(struct py__tls *self)
{
    if (self->direct.bio)
        bio.set_data(self->direct.bio, NULL);
    self->direct = (struct py__openssl_connection){0};
    self->n_fed = 0;
    py__tls_bytes_free(&self->in);
    py__tls_bytes_free(&self->out);
}
