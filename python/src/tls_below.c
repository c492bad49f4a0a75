/* The transport that carries the bytes: one of ours, TLS itself perhaps, or any other. */
#include "stream.h"
#include "tls.h"

void py__tls_set_below(struct py__tls *self, PyObject *below)
{
    const struct py__module *py = self->loop->py;
    Py_XSETREF(self->below, Py_NewRef(below));
    self->below_kind = Py_IS_TYPE(below, py->stream_type)          ? PY__STREAM
                       : Py_IS_TYPE(below, py->tls_transport_type) ? PY__TLS
                                                                   : PY__FOREIGN;
}

static int call(struct py__tls *self, PyObject *method)
{
    PyObject *below = Py_NewRef(self->below);
    PyObject *result = PyObject_CallMethodNoArgs(below, method);
    Py_DECREF(below);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int write_by_method(struct py__tls *self, const char *data, size_t size)
{
    PyObject *below = Py_NewRef(self->below);
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    PyObject *result = bytes ? PyObject_CallMethodOneArg(below, self->names->words.write, bytes)
                             : NULL;
    Py_XDECREF(bytes);
    Py_DECREF(below);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int py__below_write(struct py__tls *self, const char *data, size_t size)
{
    PyObject *below = self->below;
    if (unlikely(!below))
        return 0;
    if (unlikely(self->below_kind == PY__FOREIGN))
        return write_by_method(self, data, size);
    Py_INCREF(below);
    int rc = likely(self->below_kind == PY__STREAM)
                 ? py__stream_write(py__stream(below), data, size)
                 : py__tls_write(((struct py__tls_transport *)below)->tls, data, size);
    Py_DECREF(below);
    return rc;
}

int py__below_pause_reading(struct py__tls *self)
{
    if (!self->below)
        return 0;
    return self->below_kind == PY__STREAM ? py__transport_pause_reading(py__transport(self->below))
                                          : call(self, self->names->words.pause_reading);
}

int py__below_resume_reading(struct py__tls *self)
{
    if (!self->below)
        return 0;
    return self->below_kind == PY__STREAM ? py__transport_resume_reading(py__transport(self->below))
                                          : call(self, self->names->words.resume_reading);
}

int py__below_close(struct py__tls *self)
{
    if (!self->below)
        return 0;
    return self->below_kind == PY__STREAM ? py__transport_close(py__transport(self->below))
                                          : call(self, self->loop->py->names.close);
}

int py__below_force_close(struct py__tls *self, PyObject *exception)
{
    if (!self->below)
        return 0;
    if (self->below_kind == PY__STREAM)
        return py__transport_force_close(py__transport(self->below), exception);
    PyObject *below = Py_NewRef(self->below);
    PyObject *result = PyObject_CallMethodOneArg(below, self->names->words._force_close,
                                                 exception ? exception : Py_None);
    Py_DECREF(below);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* 1, 0, or -1 with an exception. */
int py__below_is_closing(struct py__tls *self)
{
    if (!self->below)
        return 0;
    if (self->below_kind == PY__STREAM)
        return py__transport(self->below)->closing;
    PyObject *result = PyObject_CallMethodNoArgs(self->below, self->loop->py->names.is_closing);
    int closing = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return closing;
}
