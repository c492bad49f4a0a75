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
        PyCFunction_GET_SELF(self->write) == inner)
        py__openssl_look_into(openssl_of(self), inner, its, &self->direct);
    Py_XDECREF(its);
}

/* ---- in and out ---- */

int py__tls_feed(struct py__tls *self, const char *data, size_t size)
{
    if (likely(self->direct.ssl && size <= INT_MAX)) {
        if (likely(openssl_of(self)->bio_write(self->direct.rbio, data, (int)size) == (int)size))
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

/* So few bytes may be the end, which is not to be mistaken for an error that was left behind. */
#define MAY_BE_THE_END 128

ssize_t py__tls_decrypt(struct py__tls *self, char *data, size_t size)
{
    if (unlikely(!self->direct.ssl))
        return read_by_method(self, data, size);
    const struct py__openssl *openssl = openssl_of(self);
    size_t n = 0;
    if (unlikely(openssl->bio_pending(self->direct.rbio) < MAY_BE_THE_END))
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
    int rc = openssl_of(self)->write(self->direct.ssl, data, size, &n);
    if (likely(rc > 0))
        return (ssize_t)n;
    ssize_t why = look_at_failure(self, rc);
    return why == PY__TLS_AGAIN ? why : write_by_method(self, data, size);
}

ssize_t py__tls_take(struct py__tls *self, char *data, size_t size)
{
    if (likely(self->direct.ssl)) {
        int n = openssl_of(self)->bio_read(self->direct.wbio, data,
                                           size > INT_MAX ? INT_MAX : (int)size);
        return n < 0 ? 0 : n;
    }
    PyObject *most = PyLong_FromSize_t(size);
    PyObject *bytes = most
                          ? PyObject_CallMethodOneArg(self->outgoing, self->names->words.read, most)
                          : NULL;
    Py_XDECREF(most);
    if (!bytes)
        return PY__TLS_FAILED;
    ssize_t n = PyBytes_GET_SIZE(bytes);
    memcpy(data, PyBytes_AS_STRING(bytes), (size_t)n);
    Py_DECREF(bytes);
    return n;
}

size_t py__tls_incoming(struct py__tls *self)
{
    return likely(self->direct.ssl) ? openssl_of(self)->bio_pending(self->direct.rbio)
                                    : pending_of(self, self->incoming);
}

size_t py__tls_outgoing(struct py__tls *self)
{
    return likely(self->direct.ssl) ? openssl_of(self)->bio_pending(self->direct.wbio)
                                    : pending_of(self, self->outgoing);
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
