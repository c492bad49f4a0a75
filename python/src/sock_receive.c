/* sock_recv(), sock_recv_into(). */
#include <errno.h>

#include "errors.h"
#include "sock.h"

static ssize_t receive(struct py__coroutine *self, struct py__sock *state, void *data, size_t size,
                       struct py__name *name)
{
    struct cio__os *os = self->loop->loop->os;
    (void)name;
    return os->ops->receive_into(os, state->fd, data, size);
}

/* A short message, which most are, is copied once more; a bytes object of the size asked for costs
 * more. */
#define SMALL 4096

static PyObject *receive_small(struct py__coroutine *self, struct py__sock *state,
                               py__receive *call, struct py__name *name, ssize_t *ret_rc)
{
    char data[SMALL];
    *ret_rc = call(self, state, data, state->done, name);
    return *ret_rc < 0 ? NULL : PyBytes_FromStringAndSize(data, *ret_rc);
}

static PyObject *receive_large(struct py__coroutine *self, struct py__sock *state,
                               py__receive *call, struct py__name *name, ssize_t *ret_rc)
{
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)state->done);
    if (!data)
        return NULL;
    *ret_rc = call(self, state, PyBytes_AS_STRING(data), state->done, name);
    if (*ret_rc < 0)
        Py_CLEAR(data);
    else if ((size_t)*ret_rc < state->done)
        _PyBytes_Resize(&data, *ret_rc);
    return data;
}

PyObject *py__sock_receive(struct py__coroutine *self, struct py__sock *state, py__receive *call,
                           struct py__name *name, ssize_t *ret_rc)
{
    return state->done <= SMALL ? receive_small(self, state, call, name, ret_rc)
                                : receive_large(self, state, call, name, ret_rc);
}

/* rc is what the call said, 0 if no call failed. */
static enum py__step after_call(struct py__coroutine *self, struct py__sock *state, ssize_t rc,
                                PyObject *result, PyObject **ret)
{
    if (py__would_block(rc))
        return py__sock_wait(self, state, CIO__READ, ret);
    if (rc < 0)
        py__raise_code((int)rc);
    *ret = result;
    return result ? PY__RETURN : PY__RAISE;
}

Py_ssize_t py__sock_size(PyObject *number, const char *method)
{
    PyObject *index = PyNumber_Index(number);
    Py_ssize_t size = index ? PyLong_AsSsize_t(index) : -1;
    Py_XDECREF(index);
    if (size >= 0 || PyErr_Occurred())
        return size;
    PyErr_Format(PyExc_ValueError, "negative buffersize in %s", method);
    return -1;
}

static int size_asked(struct py__sock *state)
{
    Py_ssize_t size = py__sock_size(state->arguments[0], "recv");
    state->done = (size_t)size;
    return size < 0 ? -1 : 0;
}

static enum py__step receive_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        if (size_asked(state) < 0 || py__sock_check(self, state) < 0)
            return PY__RAISE;
    } else if (!py__sock_resume(state, sent)) {
        return PY__RAISE;
    }
    ssize_t rc = 0;
    PyObject *data = py__sock_receive(self, state, receive, NULL, &rc);
    return after_call(self, state, rc, data, ret);
}

int py__sock_take_buffer(struct py__sock *state, const char *method)
{
    PyObject *object = state->arguments[0];
    if (PyObject_GetBuffer(object, &state->buffer, PyBUF_WRITABLE) == 0)
        return 0;
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "%s() argument 1 must be read-write bytes-like object, not %.50s",
                 method, Py_TYPE(object)->tp_name);
    return -1;
}

static enum py__step receive_into_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        if (py__sock_check(self, state) < 0 || py__sock_take_buffer(state, "recv_into") < 0)
            return PY__RAISE;
    } else if (!py__sock_resume(state, sent)) {
        return PY__RAISE;
    }
    ssize_t rc = receive(self, state, state->buffer.buf, (size_t)state->buffer.len, NULL);
    return after_call(self, state, rc, rc < 0 ? NULL : PyLong_FromSsize_t(rc), ret);
}

static const struct py__coroutine_kind receive_kind = PY__SOCK_KIND("sock_recv", receive_step);
static const struct py__coroutine_kind receive_into_kind = PY__SOCK_KIND("sock_recv_into",
                                                                         receive_into_step);

PyObject *py__sock_recv(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                        PyObject *keywords)
{
    static const struct py__signature signature = {"sock_recv", 2, 0, 2, {"sock", "n"}};
    return py__sock_new(self, &receive_kind, &signature, arguments, n, keywords);
}

PyObject *py__sock_recv_into(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                             PyObject *keywords)
{
    static const struct py__signature signature = {"sock_recv_into", 2, 0, 2, {"sock", "buf"}};
    return py__sock_new(self, &receive_into_kind, &signature, arguments, n, keywords);
}
