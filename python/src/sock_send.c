/* sock_sendall(), and what goes by the socket's own methods: datagrams and accept. */
#include "errors.h"
#include "sock.h"

/* ---- sock_sendall() ---- */

static enum py__step send_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        if (py__sock_check(self, state) < 0 ||
            PyObject_GetBuffer(state->arguments[0], &state->buffer, PyBUF_SIMPLE) < 0)
            return PY__RAISE;
    } else if (!py__sock_resume(state, sent)) {
        return PY__RAISE;
    }
    struct cio__os *os = self->loop->loop->os;
    const char *data = state->buffer.buf;
    size_t size = (size_t)state->buffer.len;
    ssize_t rc = os->ops->send(os, state->fd, data + state->done, size - state->done);
    if (rc < 0 && !py__would_block(rc)) {
        py__raise_code((int)rc);
        return PY__RAISE;
    }
    state->done += rc > 0 ? (size_t)rc : 0;
    if (state->done < size)
        return py__sock_wait(self, state, CIO__WRITE, ret);
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static const struct py__coroutine_kind send_kind = PY__SOCK_KIND("sock_sendall", send_step);

PyObject *py__sock_sendall(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords)
{
    static const struct py__signature signature = {"sock_sendall", 2, 0, 2, {"sock", "data"}};
    return py__sock_new(self, &send_kind, &signature, arguments, n, keywords);
}

/* ---- by methods ---- */

bool py__sock_blocked(void)
{
    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) &&
        !PyErr_ExceptionMatches(PyExc_InterruptedError))
        return false;
    PyErr_Clear();
    return true;
}

/* sock.method(*arguments), as often as it takes. The arguments are those of the coroutine. */
static enum py__step call_step(struct py__coroutine *self, PyObject *sent, PyObject **ret,
                               const char *method, enum cio__direction direction)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        if (py__sock_check(self, state) < 0)
            return PY__RAISE;
    } else if (!py__sock_resume(state, sent)) {
        return PY__RAISE;
    }
    PyObject *function = PyObject_GetAttrString(state->sock, method);
    if (!function)
        return PY__RAISE;
    size_t n = 0;
    while (n < PY__SOCK_ARGUMENTS && state->arguments[n])
        n++;
    *ret = PyObject_Vectorcall(function, state->arguments, n, NULL);
    Py_DECREF(function);
    if (*ret)
        return PY__RETURN;
    return py__sock_blocked() ? py__sock_wait(self, state, direction, ret) : PY__RAISE;
}

static enum py__step recvfrom_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    return call_step(self, sent, ret, "recvfrom", CIO__READ);
}

static enum py__step recvfrom_into_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    return call_step(self, sent, ret, "recvfrom_into", CIO__READ);
}

static enum py__step sendto_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    return call_step(self, sent, ret, "sendto", CIO__WRITE);
}

/* What the method returned is (connection, address); the connection is made non-blocking. */
static enum py__step accept_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    enum py__step step = call_step(self, sent, ret, "accept", CIO__READ);
    if (step != PY__RETURN)
        return step;
    PyObject *accepted = PySequence_GetItem(*ret, 0);
    PyObject *result = accepted ? PyObject_CallMethod(accepted, "setblocking", "O", Py_False)
                                : NULL;
    Py_XDECREF(accepted);
    if (result) {
        Py_DECREF(result);
        return PY__RETURN;
    }
    Py_CLEAR(*ret);
    return PY__RAISE;
}

static const struct py__coroutine_kind recvfrom_kind = PY__SOCK_KIND("sock_recvfrom",
                                                                     recvfrom_step);
static const struct py__coroutine_kind recvfrom_into_kind = PY__SOCK_KIND("sock_recvfrom_into",
                                                                          recvfrom_into_step);
static const struct py__coroutine_kind sendto_kind = PY__SOCK_KIND("sock_sendto", sendto_step);
static const struct py__coroutine_kind accept_kind = PY__SOCK_KIND("sock_accept", accept_step);

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

PyObject *py__sock_accept(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                          PyObject *keywords)
{
    static const struct py__signature signature = {"sock_accept", 1, 0, 1, {"sock"}};
    return py__sock_new(self, &accept_kind, &signature, arguments, n, keywords);
}
