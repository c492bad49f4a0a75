/* The reading end of a pipe. */
#include <errno.h>

#include "errors.h"
#include "handle.h"
#include "pipe.h"
#include "sock.h"
#include "stream.h"

static const char fatal[] = "Fatal read error on pipe transport";

/* eof_received() is called in the next turn, then connection_lost(). -1 with an exception. */
static int end(struct py__transport *self)
{
    if (py__pipe_log_closed_by_peer(self) < 0)
        return -1;
    PyObject *method = PyObject_GetAttr(self->protocol, self->loop->py->names.eof_received);
    int rc = method ? py__handle_schedule(self->loop, method, NULL, 0) : -1;
    Py_XDECREF(method);
    return py__transport_close(self) < 0 ? -1 : rc;
}

static int receive(struct py__transport *self)
{
    struct cio__os *os = self->loop->loop->os;
    char *buffer = py__read_buffer(self->loop);
    if (!buffer)
        return -1;
    ssize_t n = os->ops->read(os, self->fd, buffer, PY__READ_MOST);
    if (n == 0)
        return end(self);
    if (n < 0) {
        if (py__would_block(n))
            return 0;
        py__raise_code((int)n);
        py__transport_fail(self, fatal);
        return 0;
    }
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *data = PyBytes_FromStringAndSize(buffer, n);
    PyObject *result = data ? PyObject_CallMethodOneArg(protocol,
                                                        self->loop->py->names.data_received, data)
                            : NULL;
    Py_XDECREF(data);
    Py_DECREF(protocol);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* What a protocol raises is reported, and reading goes on. */
void py__pipe_readable(struct py__transport *self)
{
    if (self->closing)
        return;
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)self->loop);
    if (receive(self) < 0)
        py__pipe_report(self, loop, loop->py->names._read_ready);
    Py_DECREF(loop);
}

static PyObject *read_ready(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__transport *self = py__transport(object);
    if (!self->closing && self->loop && !self->loop->closed && receive(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef py__read_pipe_methods[] = {
    {"_read_ready", read_ready, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
