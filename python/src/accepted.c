/* Connections that the program has accepted itself, and the methods that make transports. */
#include <sys/socket.h>

#include "arguments.h"
#include "connect.h"
#include "files.h"
#include "sock.h"
#include "stream.h"

enum { FACTORY, SOCK, SSL, HANDSHAKE, SHUTDOWN, N_ARGUMENTS };

struct accepted {
    PyObject *arguments[N_ARGUMENTS];
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct accepted *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    return 0;
}

static void clear(void *data)
{
    struct accepted *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
}

static enum py__step start(struct py__coroutine *self, struct accepted *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    struct py__loop *loop = self->loop;
    struct py__secure secure = {arguments[SSL], Py_None, arguments[HANDSHAKE], arguments[SHUTDOWN]};
    if (py__check_stream(loop, arguments[SOCK], 0, "Stream Socket") < 0 ||
        py__check_secure(&secure) < 0 || py__check_plain(loop, arguments[SOCK]) < 0 ||
        py__set_not_blocking(loop, arguments[SOCK]) < 0)
        return PY__RAISE;
    PyObject *nobody = PyUnicode_FromString("");
    if (!nobody)
        return PY__RAISE;
    secure.hostname = nobody;
    *ret = py__join(loop, &(struct py__connection){.sock = arguments[SOCK]}, arguments[FACTORY],
                    &secure, true);
    Py_DECREF(nobody);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step finish(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    *ret = Py_NewRef(sent);
    if (likely(!self->loop->debug))
        return PY__RETURN;
    PyObject *transport = PyTuple_GET_ITEM(sent, 0);
    PyObject *sock = PyObject_CallMethod(transport, "get_extra_info", "s", "socket");
    int rc = sock ? py__log("debug", "(sOOO)", "%r handled: (%r, %r)", sock, transport,
                            PyTuple_GET_ITEM(sent, 1))
                  : -1;
    Py_XDECREF(sock);
    if (rc < 0)
        Py_CLEAR(*ret);
    return *ret ? PY__RETURN : PY__RAISE;
}

static enum py__step accepted_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    if (self->at++ == 0)
        return start(self, py__coroutine_state(self), ret);
    return sent ? finish(self, sent, ret) : PY__RAISE;
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop.connect_accepted_socket",
    .step = accepted_step,
    .state_size = sizeof(struct accepted),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *connect_accepted_socket(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                         PyObject *keywords)
{
    static const struct py__signature signature = {
        "connect_accepted_socket",
        2,
        2,
        N_ARGUMENTS,
        {"protocol_factory", "sock", "ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout"}};
    PyObject *values[N_ARGUMENTS] = {NULL, NULL, Py_None, Py_None, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), &kind);
    struct accepted *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    return (PyObject *)self;
}

/* ---- _make_socket_transport() ---- */

static PyObject *make_stream(struct py__loop *loop, PyObject *sock, PyObject *protocol,
                             PyObject *waiter, PyObject *extra, PyObject *server, PyObject *context)
{
    int fd = py__fileno(loop, sock);
    if (fd < 0 || py__transport_check_free(loop, fd, sock) < 0)
        return NULL;
    struct py__connection connection = {.fd = fd, .sock = sock, .context = context};
    return py__stream_new(loop, &connection, protocol, waiter, extra, server);
}

static PyObject *make_socket_transport(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                       PyObject *keywords)
{
    static const struct py__signature signature = {
        "_make_socket_transport",
        2,
        3,
        PY__CONTEXT_OF_CONNECTION ? 6 : 5,
        {"sock", "protocol", "waiter", "extra", "server", "context"}};
    PyObject *values[6] = {NULL};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    return make_stream(py__loop(loop), values[0], values[1], values[2], values[3], values[4],
                       values[5]);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

PyMethodDef py__loop_accepted_methods[] = {
    {"connect_accepted_socket", FUNCTION(connect_accepted_socket),
     PyDoc_STR("connect_accepted_socket($self, protocol_factory, sock, *, ssl=None, "
               "ssl_handshake_timeout=None, ssl_shutdown_timeout=None)\n--\n\n"
               "A transport for a connection that was accepted elsewhere.")},
    {"_make_socket_transport", FUNCTION(make_socket_transport), NULL},
    {NULL, NULL, 0, NULL},
};
