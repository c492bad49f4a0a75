/* sock_recvfrom(), sock_recvfrom_into(), sock_sendto(). */
#include <sys/uio.h>

#include "errors.h"
#include "sock.h"

/* A call, and the sender's name, whose size is 0 if there is none. */
static ssize_t receive(struct py__coroutine *self, struct py__sock *state, void *data, size_t size,
                       struct py__name *name)
{
    struct cio__os *os = self->loop->loop->os;
    struct iovec slot = {data, size};
    struct msghdr message = {.msg_name = &name->any,
                             .msg_namelen = sizeof *name - offsetof(struct py__name, any),
                             .msg_iov = &slot,
                             .msg_iovlen = 1};
    ssize_t rc = os->ops->receive(os, state->fd, &message);
    name->size = rc < 0 ? 0 : message.msg_namelen;
    return rc;
}

/* (first, address), or what the call said. The reference is taken. */
static enum py__step answer(struct py__coroutine *self, struct py__sock *state, ssize_t rc,
                            PyObject *first, const struct py__name *name, PyObject **ret)
{
    if (py__would_block(rc))
        return py__sock_wait(self, state, CIO__READ, ret);
    if (rc < 0) {
        py__raise_code((int)rc);
        return PY__RAISE;
    }
    PyObject *address = first ? py__name_object(name) : NULL;
    *ret = address ? PyTuple_Pack(2, first, address) : NULL;
    Py_XDECREF(address);
    Py_XDECREF(first);
    return *ret ? PY__RETURN : PY__RAISE;
}

/* ---- sock_recvfrom() ---- */

/* The first thing: is the socket one of those that we know how to ask? -1: an exception. */
static int begin(struct py__coroutine *self, struct py__sock *state, PyObject *sent)
{
    if (self->at++ == 0)
        return py__sock_look(self, state);
    return py__sock_resume(state, sent) ? 0 : -1;
}

static enum py__step recvfrom_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    bool first = self->at == 0;
    if (begin(self, state, sent) < 0)
        return PY__RAISE;
    if (!state->family)
        return py__sock_by_method(self, state, "recvfrom", CIO__READ, ret);
    if (first) {
        Py_ssize_t asked = py__sock_size(state->arguments[0], "recvfrom");
        if (asked < 0)
            return PY__RAISE;
        state->done = (size_t)asked;
    }
    struct py__name name;
    ssize_t rc = 0;
    PyObject *data = py__sock_receive(self, state, receive, &name, &rc);
    return answer(self, state, rc, data, &name, ret);
}

/* ---- sock_recvfrom_into() ---- */

/* Falsy is the length of the buffer, and 0 of that all of its bytes. */
static int take_size(struct py__sock *state)
{
    PyObject *given = state->arguments[1];
    int whole = given ? PyObject_Not(given) : 1;
    if (whole < 0)
        return -1;
    Py_ssize_t size = whole ? PyObject_Size(state->arguments[0])
                            : py__sock_size(given, "recvfrom_into");
    if (size < 0)
        return -1;
    if (size > state->buffer.len) {
        PyErr_SetString(PyExc_ValueError, "nbytes is greater than the length of the buffer");
        return -1;
    }
    state->done = size ? (size_t)size : (size_t)state->buffer.len;
    return 0;
}

/* nbytes=len(buf), for the method. */
static int fill_size(struct py__sock *state)
{
    int given = state->arguments[1] ? PyObject_IsTrue(state->arguments[1]) : 0;
    Py_ssize_t size = given == 0 ? PyObject_Size(state->arguments[0]) : 0;
    if (given < 0 || size < 0)
        return -1;
    if (given == 0)
        Py_XSETREF(state->arguments[1], PyLong_FromSsize_t(size));
    return state->arguments[1] ? 0 : -1;
}

static enum py__step recvfrom_into_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    bool first = self->at == 0;
    if (begin(self, state, sent) < 0)
        return PY__RAISE;
    if (!state->family) {
        if (first && fill_size(state) < 0)
            return PY__RAISE;
        return py__sock_by_method(self, state, "recvfrom_into", CIO__READ, ret);
    }
    if (first && (py__sock_take_buffer(state, "recvfrom_into") < 0 || take_size(state) < 0))
        return PY__RAISE;
    struct py__name name;
    ssize_t rc = receive(self, state, state->buffer.buf, state->done, &name);
    return answer(self, state, rc, rc < 0 ? NULL : PyLong_FromSsize_t(rc), &name, ret);
}

/* ---- sock_sendto() ---- */

static enum py__step sendto_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (begin(self, state, sent) < 0)
        return PY__RAISE;
    PyObject *address = state->arguments[1];
    struct py__name name;
    if (!state->family || !py__name_parse(state->family, address, &name))
        return py__sock_by_method(self, state, "sendto", CIO__WRITE, ret);
    if ((!state->buffer.obj &&
         PyObject_GetBuffer(state->arguments[0], &state->buffer, PyBUF_SIMPLE) < 0) ||
        PySys_Audit("socket.sendto", "OO", state->sock, address) < 0)
        return PY__RAISE;
    struct cio__os *os = self->loop->loop->os;
    ssize_t rc = os->ops->send_to(os, state->fd, state->buffer.buf, (size_t)state->buffer.len,
                                  &name.any, name.size);
    py__loop_poll_next(self->loop);
    if (py__would_block(rc))
        return py__sock_wait(self, state, CIO__WRITE, ret);
    *ret = rc < 0 ? py__raise_code((int)rc) : PyLong_FromSsize_t(rc);
    return *ret ? PY__RETURN : PY__RAISE;
}

static const struct py__coroutine_kind recvfrom_kind = PY__SOCK_KIND("sock_recvfrom",
                                                                     recvfrom_step);
static const struct py__coroutine_kind recvfrom_into_kind = PY__SOCK_KIND("sock_recvfrom_into",
                                                                          recvfrom_into_step);
static const struct py__coroutine_kind sendto_kind = PY__SOCK_KIND("sock_sendto", sendto_step);

PyObject *py__sock_recvfrom(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                            PyObject *keywords)
{
    static const struct py__signature signature = {"sock_recvfrom", 2, 0, 2, {"sock", "bufsize"}};
    return py__sock_new(self, &recvfrom_kind, &signature, arguments, n, keywords);
}

PyObject *py__sock_recvfrom_into(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                 PyObject *keywords)
{
    static const struct py__signature signature = {
        "sock_recvfrom_into", 2, 0, 3, {"sock", "buf", "nbytes"}};
    return py__sock_new(self, &recvfrom_into_kind, &signature, arguments, n, keywords);
}

PyObject *py__sock_sendto(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                          PyObject *keywords)
{
    static const struct py__signature signature = {
        "sock_sendto", 3, 0, 3, {"sock", "data", "address"}};
    return py__sock_new(self, &sendto_kind, &signature, arguments, n, keywords);
}
