/* Reading: from the kernel to the protocol. */
#include <errno.h>

#include "errors.h"
#include "stream.h"

static inline PyObject *call(struct py__stream *self, struct py__method *method, PyObject *name,
                             PyObject *argument)
{
    return py__method_call(method, self->base.protocol, name, &argument, 1);
}

static ssize_t receive(struct py__transport *self, void *data, size_t size)
{
    struct cio__os *os = self->loop->loop->os;
    ssize_t n = os->ops->receive_into(os, self->fd, data, size);
    if (self->file)
        cio__file_note_read(self->file, n, size);
    return n;
}

static int keep_open(struct py__transport *self)
{
    if (self->layer)
        return self->layer->ops->eof_received(self->layer);
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *result = PyObject_CallMethodNoArgs(protocol, self->loop->py->names.eof_received);
    Py_DECREF(protocol);
    int keep = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return keep;
}

static void end(struct py__transport *self)
{
    if (py__transport_log(self, "%r received EOF") < 0) {
        py__transport_fail(self, "Fatal error on transport");
        return;
    }
    int keep = keep_open(self);
    if (keep < 0)
        py__transport_fail(self, "Fatal error: protocol.eof_received() call failed.");
    else if (keep)
        py__transport_unwatch(self, CIO__READ);
    else if (py__transport_close(self) < 0)
        py__transport_fail(self, "Fatal error on transport");
}

/* A receive has given no bytes. */
static void nothing(struct py__transport *self, ssize_t rc)
{
    if (rc == 0) {
        end(self);
    } else if (rc == -EAGAIN || rc == -EINTR) {
        py__transport_would_block(self, CIO__READ);
    } else {
        py__raise_code((int)rc);
        py__transport_fail(self, "Fatal read error on socket transport");
    }
}

/* ---- into a buffer of ours, and a bytes object ---- */

char *py__read_buffer(struct py__loop *loop)
{
    if (unlikely(!loop->read_buffer) && !(loop->read_buffer = PyMem_Malloc(PY__READ_MOST)))
        PyErr_NoMemory();
    return loop->read_buffer;
}

static void give_data(struct py__stream *self, PyObject *data)
{
    struct py__transport *base = &self->base;
    PyObject *result = data ? call(self, &self->received, base->loop->py->names.data_received, data)
                            : NULL;
    Py_XDECREF(data);
    if (likely(result != NULL))
        Py_DECREF(result);
    else
        py__transport_fail(base, "Fatal error: protocol.data_received() call failed.");
}

static void read_large(struct py__stream *self)
{
    struct py__transport *base = &self->base;
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)PY__READ_LARGE_MOST);
    if (unlikely(!data)) {
        py__transport_fail(base, "Fatal read error on socket transport");
        return;
    }
    ssize_t n = receive(base, PyBytes_AS_STRING(data), PY__READ_LARGE_MOST);
    if (unlikely(n <= 0)) {
        Py_DECREF(data);
        nothing(base, n);
        return;
    }
    self->large = (size_t)n >= PY__READ_LARGE;
    if ((size_t)n < PY__READ_LARGE_MOST)
        _PyBytes_Resize(&data, n); /* NULL if it fails */
    give_data(self, data);
}

static void read_data(struct py__stream *self)
{
    struct py__transport *base = &self->base;
    char *buffer = py__read_buffer(base->loop);
    if (unlikely(!buffer)) {
        py__transport_fail(base, "Fatal read error on socket transport");
        return;
    }
    ssize_t n = receive(base, buffer, PY__READ_MOST);
    if (unlikely(n <= 0)) {
        nothing(base, n);
        return;
    }
    if (base->layer) {
        if (base->layer->ops->data_received(base->layer, buffer, (size_t)n) < 0)
            py__transport_fail(base, "Fatal error: protocol.data_received() call failed.");
        return;
    }
    self->large = (size_t)n >= PY__READ_LARGE;
    give_data(self, PyBytes_FromStringAndSize(buffer, n));
}

/* ---- into a buffer of the protocol's ---- */

static int get_buffer(struct py__stream *self, Py_buffer *view)
{
    const struct py__module *py = self->base.loop->py;
    PyObject *hint = PyLong_FromLong(-1);
    PyObject *buffer = hint ? call(self, &self->get_buffer, py->names.get_buffer, hint) : NULL;
    Py_XDECREF(hint);
    Py_ssize_t size = buffer ? PyObject_Size(buffer) : -1;
    if (size == 0)
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    int rc = size > 0 ? PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE) : -1;
    Py_XDECREF(buffer);
    return rc;
}

static void read_into_buffer(struct py__stream *self)
{
    struct py__transport *base = &self->base;
    const struct py__module *py = base->loop->py;
    Py_buffer view;
    if (get_buffer(self, &view) < 0) {
        py__transport_fail(base, "Fatal error: protocol.get_buffer() call failed.");
        return;
    }
    if (unlikely(base->conn_lost)) { /* get_buffer() has aborted */
        PyBuffer_Release(&view);
        return;
    }
    ssize_t n = receive(base, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    if (unlikely(n <= 0)) {
        nothing(base, n);
        return;
    }
    PyObject *count = PyLong_FromSsize_t(n);
    PyObject *result = count ? call(self, &self->received, py->names.buffer_updated, count) : NULL;
    Py_XDECREF(count);
    if (likely(result != NULL))
        Py_DECREF(result);
    else
        py__transport_fail(base, "Fatal error: protocol.buffer_updated() call failed.");
}

void py__stream_readable(struct py__transport *base)
{
    struct py__stream *self = py__stream(&base->object);
    if (unlikely(base->conn_lost))
        return;
    if (self->buffered)
        read_into_buffer(self);
    else if (self->large && !base->layer)
        read_large(self);
    else
        read_data(self);
}
