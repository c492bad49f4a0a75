/* A Popen for a transport. */
#include "popen.h"

#include "errors.h"
#include "os/kernel.h"
#include "sock.h"

#define FAILURE_MOST 50000 /* bytes; what the child says is short */

/* preexec_fn in the child tells the other end of a pipe of ours, not Popen, that it has failed. */
static int defer(struct py__popen *self, struct py__loop *loop, PyObject *function, int *ret_end)
{
    int ends[2];
    struct cio__os *os = loop->loop->os;
    int rc = os->ops->open_pipe(os, ends, 0);
    if (rc < 0) {
        py__raise_code(rc);
        return -1;
    }
    self->fd = ends[0];
    *ret_end = ends[1];
    PyObject *deferred = py__call("cio._children", "Deferred", "(Oi)", function, ends[1]);
    if (deferred)
        rc = PyDict_SetItemString(self->arguments, "preexec_fn", deferred);
    Py_XDECREF(deferred);
    return deferred && rc == 0 ? 0 : -1;
}

int py__popen_begin(struct py__popen *self, struct py__loop *loop, PyObject *program)
{
    self->fd = -1;
    int end = -1;
    PyObject *function = PyDict_GetItem(self->arguments, loop->py->names.preexec_fn);
    if (function && function != Py_None && defer(self, loop, function, &end) < 0)
        return -1;
    PyObject *type = PyObject_GetAttr(loop->py->std.subprocess, loop->py->names.Popen);
    PyObject *positional = type ? PyTuple_Pack(1, program) : NULL;
    if (positional)
        self->object = PyObject_Call(type, positional, self->arguments);
    Py_XDECREF(positional);
    Py_XDECREF(type);
    if (end >= 0)
        cio__kernel_close_fd(NULL, end);
    return self->object ? 0 : -1;
}

/* 1: the other end is closed; 0: not yet; -1 with an exception. */
static int read_failure(struct py__popen *self, struct py__loop *loop)
{
    char data[512];
    struct cio__os *os = loop->loop->os;
    for (;;) {
        ssize_t n = os->ops->read(os, self->fd, data, sizeof data);
        if (n == 0 || (self->failure && PyBytes_GET_SIZE(self->failure) > FAILURE_MOST))
            return 1;
        if (py__would_block(n))
            return 0;
        PyObject *more = n < 0 ? py__raise_code((int)n) : PyBytes_FromStringAndSize(data, n);
        if (!more)
            return -1;
        if (self->failure)
            PyBytes_ConcatAndDel(&self->failure, more);
        else
            self->failure = more;
        if (!self->failure)
            return -1;
    }
}

static void close_end(struct py__popen *self)
{
    if (self->fd >= 0)
        cio__kernel_close_fd(NULL, self->fd);
    self->fd = -1;
}

int py__popen_has_begun(struct py__popen *self, struct py__loop *loop, PyObject *program,
                        PyObject **ret)
{
    py__wait_end(&self->wait);
    if (self->fd < 0)
        return 1;
    int rc = read_failure(self, loop);
    if (rc == 0) {
        *ret = py__wait_begin(&self->wait, loop, self->fd, CIO__READ);
        return *ret ? 0 : -1;
    }
    close_end(self);
    if (rc < 0 || !self->failure)
        return rc;
    PyObject *result = py__call("cio._children", "fail", "(OOOO)", self->object, self->failure,
                                program, self->arguments);
    Py_XDECREF(result);
    return -1;
}

void py__popen_end_wait(struct py__popen *self)
{
    py__wait_end(&self->wait);
    close_end(self);
}

int py__popen_traverse(struct py__popen *self, visitproc visit, void *arg)
{
    Py_VISIT(self->arguments);
    Py_VISIT(self->object);
    Py_VISIT(self->failure);
    Py_VISIT(self->wait.future);
    return 0;
}

void py__popen_clear(struct py__popen *self)
{
    if (self->arguments) /* begun: fd is set */
        py__popen_end_wait(self);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->object);
    Py_CLEAR(self->failure);
}
