/* Calls on sockets: what they have in common. */
#include "sock.h"

#include "errors.h"
#include "files.h"

PyObject *py__sock_new(PyObject *loop, const struct py__coroutine_kind *kind,
                       const struct py__signature *signature, PyObject *const *arguments,
                       Py_ssize_t n, PyObject *keywords)
{
    PyObject *values[1 + PY__SOCK_ARGUMENTS] = {NULL};
    if (py__take_arguments(signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), kind);
    if (!self)
        return NULL;
    struct py__sock *state = py__coroutine_state(self);
    state->sock = Py_NewRef(values[0]);
    for (int i = 0; i < PY__SOCK_ARGUMENTS; i++)
        state->arguments[i] = Py_XNewRef(values[1 + i]);
    return (PyObject *)self;
}

/* SSL sockets are of a class of the module ssl: where that was not imported there are none. */
int py__check_plain(struct py__loop *loop, PyObject *sock)
{
    if (likely(Py_TYPE(sock) == (PyTypeObject *)loop->py->std.socket))
        return 0;
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *ssl = PyDict_GetItemString(modules, "ssl");
    PyObject *type = ssl ? PyObject_GetAttrString(ssl, "SSLSocket") : NULL;
    PyErr_Clear();
    int is_ssl = type ? PyObject_IsInstance(sock, type) : 0;
    Py_XDECREF(type);
    if (is_ssl > 0)
        PyErr_SetString(PyExc_TypeError, "Socket cannot be of type SSLSocket");
    return is_ssl ? -1 : 0;
}

static int check_not_blocking(PyObject *sock)
{
    PyObject *timeout = PyObject_CallMethod(sock, "gettimeout", NULL);
    if (!timeout)
        return -1;
    double seconds = timeout == Py_None ? 1 : PyFloat_AsDouble(timeout);
    Py_DECREF(timeout);
    if (seconds != 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "the socket must be non-blocking");
    return PyErr_Occurred() ? -1 : 0;
}

int py__sock_check(struct py__coroutine *self, struct py__sock *state)
{
    struct py__loop *loop = self->loop;
    if (py__check_plain(loop, state->sock) < 0 ||
        (unlikely(loop->debug) && check_not_blocking(state->sock) < 0) ||
        py__loop_check_closed(loop) < 0)
        return -1;
    PyObject *number = PyObject_CallMethodNoArgs(state->sock, loop->py->names.fileno);
    if (!number)
        return -1;
    state->fd = (int)PyLong_AsLong(number); /* -1, of a closed one, for the kernel to refuse */
    Py_DECREF(number);
    return state->fd == -1 && PyErr_Occurred() ? -1 : 0;
}

bool py__sock_resume(struct py__sock *state, PyObject *sent)
{
    py__wait_end(&state->wait);
    return sent != NULL;
}

enum py__step py__sock_wait(struct py__coroutine *self, struct py__sock *state,
                            enum cio__direction direction, PyObject **ret)
{
    *ret = py__wait_begin(&state->wait, self->loop, state->fd, direction);
    return *ret ? PY__AWAIT : PY__RAISE;
}

/* ---- by the socket's own methods ---- */

bool py__sock_blocked(void)
{
    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError) &&
        !PyErr_ExceptionMatches(PyExc_InterruptedError))
        return false;
    PyErr_Clear();
    return true;
}

enum py__step py__sock_by_method(struct py__coroutine *self, struct py__sock *state,
                                 const char *method, enum cio__direction direction, PyObject **ret)
{
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

/* A field of the C half of a socket, without the property that makes an enumeration's member. */
static int field(PyObject *descriptor, PyObject *sock)
{
    PyObject *value =
        Py_TYPE(descriptor)->tp_descr_get(descriptor, sock, (PyObject *)Py_TYPE(sock));
    int number = value ? (int)PyLong_AsLong(value) : -1;
    Py_XDECREF(value);
    return number;
}

int py__sock_look(struct py__coroutine *self, struct py__sock *state)
{
    const struct py__module *py = self->loop->py;
    if (py__sock_check(self, state) < 0)
        return -1;
    if (Py_TYPE(state->sock) != (PyTypeObject *)py->std.socket)
        return 0; /* its methods may be others */
    int family = field(py->std.socket_family, state->sock);
    state->family = py__family_is_known(family) ? family : 0;
    return 0;
}

PyObject *py__sock_like(struct py__coroutine *self, const struct py__sock *state, int fd)
{
    const struct py__module *py = self->loop->py;
    return py__socket_object(self->loop, state->family, field(py->std.socket_type, state->sock),
                             field(py->std.socket_proto, state->sock), fd);
}

int py__sock_traverse(void *data, visitproc visit, void *arg)
{
    struct py__sock *state = data;
    Py_VISIT(state->wait.future);
    Py_VISIT(state->sock);
    for (int i = 0; i < PY__SOCK_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->buffer.obj);
    return 0;
}

void py__sock_clear(void *data)
{
    struct py__sock *state = data;
    py__wait_end(&state->wait);
    Py_CLEAR(state->sock);
    for (int i = 0; i < PY__SOCK_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
    if (state->buffer.obj)
        PyBuffer_Release(&state->buffer);
}

#define X(name, signature, text)                                                                   \
    {#name, (PyCFunction)(void (*)(void))py__##name, METH_FASTCALL | METH_KEYWORDS,                \
     PyDoc_STR(text)},

PyMethodDef py__loop_sock_methods[] = {PY__SOCK_METHODS(X){NULL, NULL, 0, NULL}};
#undef X
