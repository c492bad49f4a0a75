/* Writing: at once as far as the kernel takes it, the rest when the socket is ready again. */
#include <errno.h>
#include <sys/uio.h>

#include "errors.h"
#include "stream.h"

#define VECTOR 64 /* chunks that leave in one system call */

static const char fatal[] = "Fatal write error on socket transport";

/* ---- what is asked first ---- */

static int check(const struct py__stream *self, const char *method)
{
    if (unlikely(self->eof)) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()", method);
        return -1;
    }
    if (unlikely(self->empty_waiter != NULL)) {
        PyErr_Format(PyExc_RuntimeError, "unable to %s; sendfile is in progress", method);
        return -1;
    }
    return 0;
}

/* ---- sending ---- */

/* How much of it the kernel took; -1: the connection has failed. */
static ssize_t send_now(struct py__transport *self, const char *data, size_t size)
{
    struct cio__os *os = py__transport_os(self);
    ssize_t n = py__os_ops(os)->send(os, self->fd, data, size);
    py__transport_poll_next(self);
    if (likely(n == (ssize_t)size))
        return n;
    if (n >= 0 || n == -EAGAIN || n == -EINTR) {
        py__transport_would_block(self, CIO__WRITE);
        return n < 0 ? 0 : n;
    }
    py__raise_code((int)n);
    py__transport_fail(self, fatal);
    return -1;
}

int py__stream_write(struct py__stream *self, const char *data, size_t size)
{
    struct py__transport *base = &self->base;
    if (unlikely(base->conn_lost))
        return py__transport_count_vain_write(base);
    ssize_t sent = 0;
    if (likely(base->queue.n == 0)) {
        sent = send_now(base, data, size);
        if (likely(sent == (ssize_t)size) || sent < 0)
            return 0;
    }
    return py__transport_queue(base,
                               PyBytes_FromStringAndSize(data + sent, (Py_ssize_t)size - sent), 0);
}

static int write_bytes(struct py__stream *self, PyObject *bytes)
{
    struct py__transport *base = &self->base;
    size_t size = (size_t)PyBytes_GET_SIZE(bytes);
    if (size == 0)
        return 0;
    if (unlikely(base->conn_lost))
        return py__transport_count_vain_write(base);
    ssize_t sent = 0;
    if (likely(base->queue.n == 0)) {
        sent = send_now(base, PyBytes_AS_STRING(bytes), size);
        if (likely(sent == (ssize_t)size) || sent < 0)
            return 0;
    }
    return py__transport_queue(base, Py_NewRef(bytes), (size_t)sent);
}

/* What may change after the call is copied as far as it has to wait. */
static int write_buffer(struct py__stream *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int rc = view.len ? py__stream_write(self, view.buf, (size_t)view.len) : 0;
    PyBuffer_Release(&view);
    return rc;
}

/* The words are those of the interpreter's asyncio. */
#if PY_VERSION_HEX >= 0x030E0000
#define BYTES_LIKE "bytes, bytearray, or memoryview object"
#else
#define BYTES_LIKE "bytes-like object"
#endif

static PyObject *write_method(PyObject *object, PyObject *data)
{
    struct py__stream *self = py__stream(object);
    bool is_bytes = PyBytes_Check(data);
    if (unlikely(!is_bytes && !PyByteArray_Check(data) && !PyMemoryView_Check(data)))
        return PyErr_Format(PyExc_TypeError, "data argument must be a " BYTES_LIKE ", not '%.200s'",
                            Py_TYPE(data)->tp_name);
    if (check(self, "write") < 0)
        return NULL;
    int rc = likely(is_bytes) ? write_bytes(self, data) : write_buffer(self, data);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- many at once ---- */

#if PY_VERSION_HEX < 0x030C0000
/* There it is a write() of all that is joined, and says so. */
static PyObject *writelines(PyObject *self, PyObject *list)
{
    PyObject *none = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined = none ? PyObject_CallMethod(none, "join", "O", list) : NULL;
    PyObject *result = joined ? write_method(self, joined) : NULL;
    Py_XDECREF(joined);
    Py_XDECREF(none);
    return result;
}
#else
/* The chunks as bytes, those that are empty left out. */
static PyObject *as_chunks(PyObject *list)
{
    PyObject *chunks = PyList_New(0);
    PyObject *iterator = chunks ? PyObject_GetIter(list) : NULL;
    PyObject *item;
    int rc = iterator ? 0 : -1;
    while (rc == 0 && (item = PyIter_Next(iterator))) {
        PyObject *view = PyBytes_CheckExact(item) ? Py_NewRef(item) : PyMemoryView_FromObject(item);
        PyObject *bytes = view && view != item ? PyBytes_FromObject(view) : Py_XNewRef(view);
        rc = bytes ? 0 : -1;
        if (bytes && PyBytes_GET_SIZE(bytes))
            rc = PyList_Append(chunks, bytes);
        Py_XDECREF(bytes);
        Py_XDECREF(view);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    if (rc < 0 || PyErr_Occurred())
        Py_CLEAR(chunks);
    return chunks;
}

static void flush(struct py__stream *self);

static int write_chunks(struct py__stream *self, PyObject *chunks)
{
    struct py__transport *base = &self->base;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(chunks); i++)
        if (py__write_queue_append(&base->queue, Py_NewRef(PyList_GET_ITEM(chunks, i))) < 0)
            return -1;
    flush(self);
    if (base->queue.n && !base->conn_lost && py__transport_watch(base, CIO__WRITE, NULL) < 0)
        return -1;
    py__transport_wrote(base);
    return 0;
}

static PyObject *writelines(PyObject *object, PyObject *list)
{
    struct py__stream *self = py__stream(object);
    if (check(self, "writelines") < 0)
        return NULL;
    PyObject *chunks = as_chunks(list);
    if (!chunks)
        return NULL;
    int rc = 0;
    if (PyList_GET_SIZE(chunks))
        rc = self->base.conn_lost ? py__transport_count_vain_write(&self->base)
                                  : write_chunks(self, chunks);
    Py_DECREF(chunks);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

#endif

/* ---- when the socket is ready ---- */

/* Sends what it takes: how many bytes, 0 if it would block, or a code. */
static ssize_t send_queue(struct py__transport *self)
{
    struct cio__os *os = py__transport_os(self);
    struct iovec vector[VECTOR];
    int n = py__write_queue_vector(&self->queue, vector, VECTOR);
    size_t size = 0;
    for (int i = 0; i < n; i++)
        size += vector[i].iov_len;
    ssize_t sent = n == 1 ? py__os_ops(os)->send(os, self->fd, vector->iov_base, vector->iov_len)
                          : py__os_ops(os)->send_vector(os, self->fd, vector, (size_t)n);
    py__transport_poll_next(self);
    if (sent >= 0)
        py__write_queue_advance(&self->queue, (size_t)sent);
    if (sent == -EAGAIN || sent == -EINTR || (sent >= 0 && (size_t)sent < size)) {
        py__transport_would_block(self, CIO__WRITE);
        return sent < 0 ? 0 : sent;
    }
    return sent;
}

/* The empty waiter is the sender's of a file: it is told that the file may be sent, or never. */
static void tell_waiter(struct py__stream *self, PyObject *exception)
{
    if (!self->empty_waiter)
        return;
    const struct py__module *py = self->base.loop->py;
    PyObject *waiter = Py_NewRef(self->empty_waiter);
    PyObject *result = exception
                           ? PyObject_CallMethodOneArg(waiter, py->names.set_exception, exception)
                           : PyObject_CallMethodOneArg(waiter, py->names.set_result, Py_None);
    if (!result)
        PyErr_Clear(); /* it was canceled */
    Py_XDECREF(result);
    Py_DECREF(waiter);
}

static void fail(struct py__stream *self, int code)
{
    py__transport_unwatch(&self->base, CIO__WRITE);
    py__write_queue_clear(&self->base.queue);
    py__raise_code(code);
    PyObject *exception = py__take_exception();
    py__raise_again(Py_NewRef(exception));
    py__transport_fail(&self->base, fatal);
    tell_waiter(self, exception);
    Py_DECREF(exception);
}

static int shut_writing(struct py__transport *self)
{
    struct cio__os *os = py__transport_os(self);
    int rc = py__os_ops(os)->shut_writing(os, self->fd);
    py__transport_poll_next(self);
    if (rc == 0)
        return 0;
    py__raise_code(rc);
    return -1;
}

/* All is written. */
static void finish(struct py__stream *self)
{
    struct py__transport *base = &self->base;
    py__transport_unwatch(base, CIO__WRITE);
    tell_waiter(self, NULL);
    if (base->closing) {
        py__transport_finish(base);
    } else if (self->eof && shut_writing(base) < 0) {
        py__transport_fail(base, fatal);
    }
}

/* What was queued behind a chunk that did not fit goes out in as few calls as the kernel allows. */
static void flush(struct py__stream *self)
{
    struct py__transport *base = &self->base;
    ssize_t sent;
    do
        sent = send_queue(base);
    while (sent > 0 && base->queue.n && base->file && cio__file_may(base->file, CIO__WRITE));
    if (unlikely(sent < 0)) {
        fail(self, (int)sent);
        return;
    }
    py__transport_drained(base); /* may write, or close */
    if (base->loop && base->queue.n == 0)
        finish(self);
}

void py__stream_writable(struct py__transport *base)
{
    if (unlikely(base->conn_lost || base->queue.n == 0))
        return;
    flush(py__stream(&base->object));
}

/* ---- the end of writing ---- */

static PyObject *write_eof(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__stream *self = py__stream(object);
    if (self->base.closing || self->eof)
        Py_RETURN_NONE;
    self->eof = true;
    if (self->base.queue.n == 0 && shut_writing(&self->base) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *can_write_eof(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_TRUE;
}

/* ---- for those who send files ---- */

static PyObject *make_empty_waiter(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__stream *self = py__stream(object);
    if (self->empty_waiter) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    if (!self->base.loop)
        return PyErr_Format(PyExc_RuntimeError, "Transport is closing");
    self->empty_waiter = py__loop_create_future(self->base.loop);
    if (self->empty_waiter && self->base.queue.n == 0)
        tell_waiter(self, NULL);
    return Py_XNewRef(self->empty_waiter);
}

static PyObject *reset_empty_waiter(PyObject *self, PyObject *unused)
{
    (void)unused;
    Py_CLEAR(py__stream(self)->empty_waiter);
    Py_RETURN_NONE;
}

PyMethodDef py__stream_write_methods[] = {
    {"write", write_method, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\nSend the data, now or when there is room.")},
    {"writelines", writelines, METH_O,
     PyDoc_STR("writelines($self, list_of_data, /)\n--\n\nSend all of the list.")},
    {"write_eof", write_eof, METH_NOARGS,
     PyDoc_STR("End the writing side when what is buffered is sent.")},
    {"can_write_eof", can_write_eof, METH_NOARGS, PyDoc_STR("True.")},
    {"_make_empty_waiter", make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", reset_empty_waiter, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
