/* sock_connect(). */
#include <arpa/inet.h>

#include "errors.h"
#include "sock.h"

enum { START, RESOLVED, CONNECTING };

static int int_attribute(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    int number = value ? (int)PyLong_AsLong(value) : -1;
    Py_XDECREF(value);
    return number;
}

/* Whether the address needs no resolving: it is no pair with a host, or the host is a number. */
static bool is_numeric(int family, PyObject *address)
{
    if (!PyTuple_Check(address) || PyTuple_GET_SIZE(address) < 2)
        return true; /* connect() knows what is wrong with it */
    PyObject *host = PyTuple_GET_ITEM(address, 0);
    if (!PyUnicode_Check(host))
        return false;
    const char *text = PyUnicode_AsUTF8(host);
    char number[sizeof(struct in6_addr)];
    if (!text)
        PyErr_Clear();
    return text && inet_pton(family, text, number) == 1;
}

/* loop.getaddrinfo(host, port, family=family, type=type, proto=proto) */
static PyObject *resolve(PyObject *loop, PyObject *sock, int family, PyObject *address)
{
    PyObject *method = PyObject_GetAttrString(loop, "getaddrinfo");
    PyObject *positional = PyTuple_GetSlice(address, 0, 2);
    int type = int_attribute(sock, "type");
    int protocol = type < 0 ? -1 : int_attribute(sock, "proto");
    PyObject *keywords = protocol < 0 ? NULL
                                      : Py_BuildValue("{s:i,s:i,s:i}", "family", family, "type",
                                                      type, "proto", protocol);
    PyObject *result = method && positional && keywords
                           ? PyObject_Call(method, positional, keywords)
                           : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(positional);
    Py_XDECREF(method);
    return result;
}

/* The address of the first of what getaddrinfo() found. */
static PyObject *first_address(PyObject *found)
{
    PyObject *first = PySequence_GetItem(found, 0);
    PyObject *address = first ? PySequence_GetItem(first, 4) : NULL;
    Py_XDECREF(first);
    return address;
}

static enum py__step start(struct py__coroutine *self, struct py__sock *state, PyObject **ret)
{
    PyObject *address = state->arguments[0];
    if (py__sock_check(self, state) < 0)
        return PY__RAISE;
    int family = int_attribute(state->sock, "family");
    if (family < 0)
        return PY__RAISE;
    if ((family != AF_INET && family != AF_INET6) || is_numeric(family, address)) {
        self->at = RESOLVED;
        return PY__RETURN;
    }
    self->at = RESOLVED;
    *ret = resolve((PyObject *)self->loop, state->sock, family, address);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step connect_now(struct py__coroutine *self, struct py__sock *state, PyObject **ret)
{
    *ret = PyObject_CallMethod(state->sock, "connect", "(O)", state->arguments[0]);
    if (*ret)
        return PY__RETURN;
    if (!py__sock_blocked())
        return PY__RAISE;
    self->at = CONNECTING;
    return py__sock_wait(self, state, CIO__WRITE, ret);
}

void py__raise_refusal(int error, PyObject *address)
{
    PyObject *text = PyUnicode_FromFormat("Connect call failed %S", address);
    PyObject *exception = text ? PyObject_CallFunction(PyExc_OSError, "iO", -error, text) : NULL;
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    Py_XDECREF(text);
}

/* It is writable: so it is connected, or has failed. */
static enum py__step look(struct py__coroutine *self, const struct py__sock *state, PyObject **ret)
{
    struct cio__os *os = self->loop->loop->os;
    int error = os->ops->socket_error(os, state->fd);
    if (error < 0) {
        py__raise_refusal(error, state->arguments[0]);
        return PY__RAISE;
    }
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static enum py__step connect_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at == CONNECTING)
        return py__sock_resume(state, sent) ? look(self, state, ret) : PY__RAISE;
    if (self->at == RESOLVED) {
        PyObject *address = sent ? first_address(sent) : NULL;
        if (!address)
            return PY__RAISE;
        Py_SETREF(state->arguments[0], address);
    } else {
        enum py__step step = start(self, state, ret);
        if (step != PY__RETURN)
            return step;
    }
    return connect_now(self, state, ret);
}

static const struct py__coroutine_kind kind = PY__SOCK_KIND("sock_connect", connect_step);

PyObject *py__sock_connect(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords)
{
    static const struct py__signature signature = {"sock_connect", 2, 0, 2, {"sock", "address"}};
    return py__sock_new(self, &kind, &signature, arguments, n, keywords);
}
