/*
 * Bytes in and out of an ssl.SSLObject. The handshake and the end are its methods. Between them
 * the functions of OpenSSL behind it are called, where they can be found and nothing of Python's
 * wants to see each record: then no object stands between the kernel's bytes and the program's.
 *
 * An error is always raised by the object's own method, which is called again for it: OpenSSL
 * leaves the error in its queue, and a failed connection adds nothing to it.
 */
#include <limits.h>

#include "errors.h"
#include "tls.h"

static const struct py__openssl *openssl_of(const struct py__tls *self)
{
    return &self->names->openssl;
}

/* ---- by methods ---- */

static bool is_again(const struct py__tls *self)
{
    return PyErr_ExceptionMatches(self->names->SSLWantReadError) ||
           PyErr_ExceptionMatches(self->names->SSLSyscallError);
}

static int again_or_failed(const struct py__tls *self)
{
    if (!is_again(self))
        return PY__TLS_FAILED;
    PyErr_Clear();
    return PY__TLS_AGAIN;
}

int py__tls_step(struct py__tls *self, PyObject *method)
{
    PyObject *object = Py_NewRef(self->object);
    PyObject *result = PyObject_CallMethodNoArgs(object, method);
    Py_DECREF(object);
    Py_XDECREF(result);
    return result ? 0 : again_or_failed(self);
}

/* The count that a call returned; takes the reference. */
static ssize_t as_count(const struct py__tls *self, PyObject *result)
{
    if (!result)
        return again_or_failed(self);
    Py_ssize_t count = PyLong_AsSsize_t(result);
    Py_DECREF(result);
    return count < 0 ? PY__TLS_FAILED : count;
}

/* function(view of the memory), or function(size, view). */
static PyObject *call_with_memory(PyObject *function, const char *data, size_t size, bool reads)
{
    PyObject *view = PyMemoryView_FromMemory((char *)(uintptr_t)data, (Py_ssize_t)size,
                                             reads ? PyBUF_WRITE : PyBUF_READ);
    if (!view)
        return NULL;
    PyObject *result = reads ? PyObject_CallFunction(function, "nO", (Py_ssize_t)size, view)
                             : PyObject_CallOneArg(function, view);
    Py_DECREF(view);
    return result;
}

static ssize_t read_by_method(struct py__tls *self, char *data, size_t size)
{
    PyObject *method = Py_NewRef(self->read);
    ssize_t n = as_count(self, call_with_memory(method, data, size, true));
    Py_DECREF(method);
    return n;
}

static ssize_t write_by_method(struct py__tls *self, const char *data, size_t size)
{
    PyObject *method = Py_NewRef(self->write);
    ssize_t n = as_count(self, call_with_memory(method, data, size, false));
    Py_DECREF(method);
    return n;
}

static size_t pending_of(const struct py__tls *self, PyObject *bio)
{
    PyObject *count = bio ? PyObject_GetAttr(bio, self->names->words.pending) : NULL;
    size_t n = count ? PyLong_AsSize_t(count) : 0;
    Py_XDECREF(count);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        n = 0;
    }
    return n;
}

/* ---- what the connection is made of ---- */

/* Methods of the object if it is of a class of the program's that has its own; of _ssl's else. */
static PyObject *find_method(const struct py__tls *self, PyObject *name)
{
    PyObject *usual = PyObject_GetAttr(self->names->SSLObject, name);
    PyObject *its = usual ? PyObject_GetAttr((PyObject *)Py_TYPE(self->object), name) : NULL;
    bool same = its && its == usual;
    Py_XDECREF(its);
    Py_XDECREF(usual);
    PyObject *inner = same ? PyObject_GetAttr(self->object, self->names->words._sslobj) : NULL;
    PyErr_Clear();
    PyObject *method = PyObject_GetAttr(inner ? inner : self->object, name);
    Py_XDECREF(inner);
    return method;
}

static int wrap(struct py__tls *self)
{
    PyObject *wrap_bio = PyObject_GetAttr(self->context, self->names->words.wrap_bio);
    PyObject *arguments = PyTuple_Pack(2, self->incoming, self->outgoing);
    PyObject *keywords = Py_BuildValue("{s:O,s:O}", "server_side",
                                       self->server_side ? Py_True : Py_False, "server_hostname",
                                       self->hostname);
    if (wrap_bio && arguments && keywords)
        self->object = PyObject_Call(wrap_bio, arguments, keywords);
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(wrap_bio);
    return self->object ? 0 : -1;
}

int py__tls_engine_init(struct py__tls *self)
{
    self->incoming = PyObject_CallNoArgs(self->names->MemoryBIO);
    self->outgoing = PyObject_CallNoArgs(self->names->MemoryBIO);
    if (!self->incoming || !self->outgoing || wrap(self) < 0)
        return -1;
    self->read = find_method(self, self->names->words.read);
    self->write = find_method(self, self->names->words.write);
    return self->read && self->write ? 0 : -1;
}

/* A callback for messages may raise, which only the methods notice. */
static bool is_watched(const struct py__tls *self, PyObject *context)
{
    PyObject *callback = PyObject_GetAttr(context, self->names->words._msg_callback);
    bool watched = callback && callback != Py_None;
    Py_XDECREF(callback);
    PyErr_Clear();
    return watched;
}

void py__tls_engine_go_direct(struct py__tls *self)
{
    PyObject *inner = PyCFunction_Check(self->read) ? PyCFunction_GET_SELF(self->read) : NULL;
    PyObject *its = inner ? PyObject_GetAttr(inner, self->loop->py->names.context) : NULL;
    PyErr_Clear();
    if (its && PyObject_TypeCheck(its, (PyTypeObject *)self->names->SSLContext) &&
        !is_watched(self, its) && PyCFunction_Check(self->write) &&
        PyCFunction_GET_SELF(self->write) == inner) {
        void *ssl = py__openssl_look_into(openssl_of(self), inner, its);
        if (ssl && py__tls_bio_begin(self, ssl))
            self->direct.ssl = ssl;
    }
    Py_XDECREF(its);
}

/* ---- in and out ---- */

/* Bytes that a layer above is given may lie where these do. */
int py__tls_feed(struct py__tls *self, const char *data, size_t size)
{
    if (likely(self->direct.ssl != NULL)) {
        if (unlikely(self->n_fed) && py__tls_feed_end(self, 0) < 0) /* called within a call */
            return -1;
        if (likely(!self->in.data && !self->above)) {
            self->fed = data;
            self->n_fed = size;
            return 0;
        }
        if (likely(py__tls_bytes_append(&self->in, data, size)))
            return 0;
        PyErr_NoMemory();
        return -1;
    }
    PyObject *method = PyObject_GetAttr(self->incoming, self->names->words.write);
    PyObject *result = method ? call_with_memory(method, data, size, false) : NULL;
    Py_XDECREF(result);
    Py_XDECREF(method);
    return result ? 0 : -1;
}

int py__tls_feed_end(struct py__tls *self, int rc)
{
    size_t left = self->n_fed;
    self->n_fed = 0;
    if (likely(left == 0) || py__tls_bytes_append(&self->in, self->fed, left))
        return rc;
    if (rc == 0)
        PyErr_NoMemory();
    return -1;
}

/*
 * What OpenSSL has not done. Whether it wants more is asked of the connection: the queue of errors,
 * at which get_error() looks first, may have something of somebody else's.
 */
static ssize_t look_at_failure(struct py__tls *self, int rc)
{
    const struct py__openssl *openssl = openssl_of(self);
    void *ssl = self->direct.ssl;
    if (openssl->want(ssl) == PY__SSL_READING)
        return PY__TLS_AGAIN;
    bool ended = openssl->get_error(ssl, rc) == PY__SSL_ZERO_RETURN;
    return ended && openssl->get_shutdown(ssl) == PY__SSL_RECEIVED_SHUTDOWN ? PY__TLS_CLOSED
                                                                            : PY__TLS_FAILED;
}

#define RECORD_MOST ((size_t)16 * 1024)

/* So few bytes may be the end, which is not to be mistaken for an error that was left behind. */
#define MAY_BE_THE_END 128

ssize_t py__tls_decrypt(struct py__tls *self, char *data, size_t size)
{
    if (unlikely(!self->direct.ssl))
        return read_by_method(self, data, size);
    const struct py__openssl *openssl = openssl_of(self);
    size_t n = 0;
    if (unlikely(py__tls_incoming(self) < MAY_BE_THE_END))
        openssl->clear_error();
    int rc = openssl->read(self->direct.ssl, data, size, &n);
    if (likely(rc > 0))
        return (ssize_t)n;
    ssize_t why = look_at_failure(self, rc);
    return why == PY__TLS_FAILED ? read_by_method(self, data, size) : why;
}

ssize_t py__tls_encrypt(struct py__tls *self, const char *data, size_t size)
{
    if (unlikely(!self->direct.ssl))
        return write_by_method(self, data, size);
    size_t n = 0;
    py__tls_bytes_reserve(&self->out, size + size / 128 + 128); /* what it will be; or else later */
    int rc = openssl_of(self)->write(self->direct.ssl, data, size, &n);
    if (likely(rc > 0))
        return (ssize_t)n;
    ssize_t why = look_at_failure(self, rc);
    return why == PY__TLS_AGAIN ? why : write_by_method(self, data, size);
}

/* By methods: a bytes object, empty if there is nothing; NULL with an exception. */
static PyObject *take(struct py__tls *self)
{
    PyObject *bytes = PyObject_CallMethodNoArgs(self->outgoing, self->names->words.read);
    if (bytes && !PyBytes_Check(bytes)) {
        PyErr_SetString(PyExc_TypeError, "read() of a MemoryBIO did not return bytes");
        Py_CLEAR(bytes);
    }
    return bytes;
}

/* Not through the loop's buffer: what another connection has received may lie there unread. */
static int drain_by_methods(struct py__tls *self)
{
    PyObject *bytes = take(self);
    if (!bytes)
        return -1;
    size_t size = (size_t)PyBytes_GET_SIZE(bytes);
    int rc = size ? py__below_write(self, PyBytes_AS_STRING(bytes), size) : 0;
    Py_DECREF(bytes);
    return rc;
}

int py__tls_drain(struct py__tls *self)
{
    if (unlikely(!self->direct.ssl))
        return drain_by_methods(self);
    struct py__tls_bytes out = self->out;
    self->out = (struct py__tls_bytes){0};
    size_t size = py__tls_bytes_size(&out);
    int rc = size ? py__below_write(self, out.data + out.begin, size) : 0;
    py__tls_bytes_free(&out);
    return rc;
}

void py__tls_drop_outgoing(struct py__tls *self)
{
    py__tls_bytes_free(&self->out);
    if (!self->direct.ssl && self->outgoing)
        Py_XDECREF(take(self));
    PyErr_Clear();
}

size_t py__tls_incoming(struct py__tls *self)
{
    return likely(self->direct.ssl != NULL) ? py__tls_bytes_size(&self->in) + self->n_fed
                                            : pending_of(self, self->incoming);
}

size_t py__tls_outgoing(struct py__tls *self)
{
    return likely(self->direct.ssl != NULL) ? py__tls_bytes_size(&self->out)
                                            : pending_of(self, self->outgoing);
}

/*
 * No record is longer than what it is made from, but a part of that may be in OpenSSL's hands
 * already, nobody knows how much.
 */
size_t py__tls_readable(struct py__tls *self)
{
    const struct py__openssl *openssl = openssl_of(self);
    size_t n = (size_t)openssl->pending(self->direct.ssl);
    if (n == 0 && openssl->has_pending(self->direct.ssl))
        n = RECORD_MOST;
    return n + py__tls_incoming(self);
}

/* OpenSSL reads no further than the record that it needs, so what is not there is in its hands. */
bool py__tls_has_more(struct py__tls *self)
{
    if (py__tls_incoming(self))
        return true;
    if (likely(self->direct.ssl))
        return openssl_of(self)->pending(self->direct.ssl) > 0;
    PyObject *inner = PyCFunction_Check(self->read) ? PyCFunction_GET_SELF(self->read) : NULL;
    PyObject *count = inner ? PyObject_CallMethodNoArgs(inner, self->names->words.pending) : NULL;
    bool none = count && PyLong_Check(count) && PyLong_AsLong(count) == 0;
    Py_XDECREF(count);
    PyErr_Clear();
    return !none;
}
