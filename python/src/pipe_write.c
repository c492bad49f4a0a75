/* The writing end of a pipe: at once as far as it takes it, the rest when it is ready again. */
#include <sys/uio.h>

#include "errors.h"
#include "pipe.h"
#include "sock.h"

#define VECTOR 64           /* chunks that leave in one system call */
#define VAIN_WRITES_QUIET 5 /* after the end, before a line of log each */

static const char fatal[] = "Fatal write error on pipe transport";

/* The exception that is set ends it. */
static void fail(struct py__transport *self, int code)
{
    py__pipe(&self->object)->vain++;
    py__transport_unwatch(self, CIO__WRITE);
    py__write_queue_clear(&self->queue);
    py__raise_code(code);
    py__transport_fail(self, fatal);
}

/* How many bytes it took; a code if it failed. */
static ssize_t write_now(struct py__transport *self, const struct iovec *vector, int n)
{
    struct cio__os *os = py__transport_os(self);
    ssize_t rc = py__os_ops(os)->write_vector(os, self->fd, vector, (size_t)n);
    py__transport_poll_next(self);
    return py__would_block(rc) ? 0 : rc;
}

/* ---- write() ---- */

static int count_vain_write(struct py__pipe *self)
{
    if (self->vain++ < VAIN_WRITES_QUIET)
        return 0;
    return py__log("warning", "(s)",
                   "pipe closed by peer or os.write(pipe, data) raised exception.");
}

/* bytes: the object that has the data, or NULL: what has to wait is copied. */
static int write_data(struct py__pipe *self, void *data, size_t size, PyObject *bytes)
{
    struct py__transport *base = &self->base;
    if (size == 0)
        return 0;
    if (unlikely(base->closing || self->vain))
        return count_vain_write(self);
    size_t sent = 0;
    if (base->queue.n == 0) {
        ssize_t rc = write_now(base, &(struct iovec){data, size}, 1);
        if (unlikely(rc < 0))
            fail(base, (int)rc);
        if (rc < 0 || (size_t)rc == size)
            return 0;
        sent = (size_t)rc;
    }
    if (bytes)
        return py__transport_queue(base, Py_NewRef(bytes), sent);
    bytes = PyBytes_FromStringAndSize((char *)data + sent, (Py_ssize_t)(size - sent));
    return py__transport_queue(base, bytes, 0);
}

static PyObject *write_method(PyObject *object, PyObject *data)
{
    struct py__pipe *self = py__pipe(object);
    int rc;
    if (likely(PyBytes_Check(data))) {
        rc = write_data(self, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), data);
    } else if (PyByteArray_Check(data) || PyMemoryView_Check(data)) {
        Py_buffer view;
        if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
            return NULL;
        rc = write_data(self, view.buf, (size_t)view.len, NULL);
        PyBuffer_Release(&view);
    } else {
        return PyErr_Format(PyExc_AssertionError, "%R", data);
    }
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* What fits a pipe's page stays together: it is written as one. */
static PyObject *writelines(PyObject *self, PyObject *list)
{
    PyObject *none = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined = none ? PyObject_CallMethod(none, "join", "O", list) : NULL;
    PyObject *result = joined ? PyObject_CallMethod(self, "write", "O", joined) : NULL;
    Py_XDECREF(joined);
    Py_XDECREF(none);
    return result;
}

/* ---- when it is ready ---- */

void py__pipe_writable(struct py__transport *self)
{
    if (unlikely(self->conn_lost || self->queue.n == 0))
        return;
    struct iovec vector[VECTOR];
    ssize_t rc = write_now(self, vector, py__write_queue_vector(&self->queue, vector, VECTOR));
    if (unlikely(rc < 0)) {
        fail(self, (int)rc);
        return;
    }
    py__write_queue_advance(&self->queue, (size_t)rc);
    py__transport_drained(self); /* may write, or close */
    if (!self->loop || self->queue.n)
        return;
    py__transport_unwatch(self, CIO__WRITE);
    if (self->closing && !self->conn_lost)
        py__transport_finish(self);
}

/* ---- the end ---- */

/* Nobody reads at the other end. */
void py__pipe_hung_up(struct py__transport *self)
{
    PyObject *exception = NULL;
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)self->loop);
    int rc = py__pipe_log_closed_by_peer(self);
    if (rc == 0 && self->queue.n)
        rc = (exception = PyObject_CallNoArgs(PyExc_BrokenPipeError)) ? 0 : -1;
    if (rc < 0 || py__transport_force_close(self, exception) < 0)
        py__pipe_report(self, loop, loop->py->names.abort);
    Py_XDECREF(exception);
    Py_DECREF(loop);
}

static PyObject *write_eof(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py__transport_close(py__transport(self)) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *can_write_eof(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_TRUE;
}

PyMethodDef py__write_pipe_methods[] = {
    {"write", write_method, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\nWrite the data, now or when there is room.")},
    {"writelines", writelines, METH_O,
     PyDoc_STR("writelines($self, list_of_data, /)\n--\n\nWrite all of the list.")},
    {"write_eof", write_eof, METH_NOARGS, PyDoc_STR("Close it when what is buffered is written.")},
    {"can_write_eof", can_write_eof, METH_NOARGS, PyDoc_STR("True.")},
    {NULL, NULL, 0, NULL},
};
