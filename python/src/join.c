/* From a connected socket to a transport and its protocol. */
#include "connect.h"

#include <sys/socket.h>

#include "addresses.h"
#include "arguments.h"
#include "errors.h"
#include "files.h"
#include "names.h"
#include "os/kernel.h"
#include "stream.h"

/* ---- what is asked ---- */

int py__check_secure(const struct py__secure *secure)
{
    int given = PyObject_IsTrue(secure->ssl);
    if (given)
        return given < 0 ? -1 : 0;
    const char *name = secure->hostname != Py_None            ? "server_hostname"
                       : secure->handshake_timeout != Py_None ? "ssl_handshake_timeout"
                       : secure->shutdown_timeout != Py_None  ? "ssl_shutdown_timeout"
                                                              : NULL;
    if (!name)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s is only meaningful with ssl", name);
    return -1;
}

int py__check_stream(struct py__loop *loop, PyObject *sock, int family, const char *expected)
{
    const struct py__module *py = loop->py;
    int type = py__int_attribute(sock, py->names.type);
    int its_family = family ? py__int_attribute(sock, py->names.family) : 0;
    if (PyErr_Occurred())
        return -1;
    if (type == SOCK_STREAM && its_family == family)
        return 0;
    PyErr_Format(PyExc_ValueError, "A %s was expected, got %R", expected, sock);
    return -1;
}

int py__set_not_blocking(struct py__loop *loop, PyObject *sock)
{
    PyObject *result = PyObject_CallMethodOneArg(sock, loop->py->names.setblocking, Py_False);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

void py__close_socket(struct py__loop *loop, PyObject *sock)
{
    if (!sock)
        return;
    PyObject *exception = py__take_exception();
    PyObject *result = PyObject_CallMethodNoArgs(sock, loop->py->names.close);
    if (!result)
        PyErr_WriteUnraisable(sock);
    Py_XDECREF(result);
    if (exception)
        py__raise_again(exception);
}

/* The words are those of the interpreter's asyncio. */
static PyObject *words_of(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *text = PyObject_Str(exception);
#else
    PyObject *text = PyObject_GetAttrString(exception, "strerror");
#endif
    PyObject *lower = text ? PyObject_CallMethod(text, "lower", NULL) : NULL;
    Py_XDECREF(text);
    return lower;
}

void py__raise_bind_error(PyObject *address)
{
    PyObject *exception = py__take_exception();
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    PyObject *words = number ? words_of(exception) : NULL;
    PyObject *text = words ? PyUnicode_FromFormat(
                                 "error while attempting to bind on address %R: %S", address, words)
                           : NULL;
    PyObject *better = text ? PyObject_CallFunction(PyExc_OSError, "OO", number, text) : NULL;
    if (better)
        PyErr_SetObject((PyObject *)Py_TYPE(better), better);
    Py_XDECREF(better);
    Py_XDECREF(text);
    Py_XDECREF(words);
    Py_XDECREF(number);
    Py_DECREF(exception);
}

/* loop.getaddrinfo(host, port, family=, type=, proto=, flags=) */
static PyObject *look_up(struct py__loop *loop, PyObject *const *lookup)
{
    static const char *const names[] = {"family", "type", "proto", "flags"};
    PyObject *method = PyObject_GetAttr((PyObject *)loop, loop->py->names.getaddrinfo);
    PyObject *arguments = PyTuple_Pack(2, lookup[PY__HOST], lookup[PY__PORT]);
    PyObject *keywords = PyDict_New();
    PyObject *zero = PyLong_FromLong(0);
    int rc = method && arguments && keywords && zero ? 0 : -1;
    for (int i = 0; rc == 0 && i < 4; i++) {
        PyObject *value = lookup[PY__FAMILY + i];
        rc = PyDict_SetItemString(keywords, names[i], value ? value : zero);
    }
    PyObject *result = rc == 0 ? PyObject_Call(method, arguments, keywords) : NULL;
    Py_XDECREF(zero);
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(method);
    return result;
}

int py__resolve(struct py__loop *loop, PyObject *const *lookup, PyObject **ret)
{
    *ret = lookup[PY__HOST] == Py_None ? NULL : py__numeric_addresses(loop->py, lookup);
    if (*ret)
        return 1;
    if (PyErr_Occurred())
        return -1;
    *ret = look_up(loop, lookup);
    return *ret ? 0 : -1;
}

/* ---- the coroutine ---- */

enum { JOIN_SOCK, JOIN_FACTORY, JOIN_SSL, JOIN_HOSTNAME, JOIN_HANDSHAKE, JOIN_SHUTDOWN, JOIN_N };

struct join {
    PyObject *arguments[JOIN_N];
    PyObject *context; /* for the transport's, or NULL */
    PyObject *protocol;
    PyObject *transport;
    struct py__connection raw; /* if there is no object; .fd is ours until the transport has it */
    bool server_side;
    bool is_taken; /* the socket is another transport's */
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct join *state = data;
    for (int i = 0; i < JOIN_N; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->context);
    Py_VISIT(state->protocol);
    Py_VISIT(state->transport);
    return 0;
}

static void clear(void *data)
{
    struct join *state = data;
    for (int i = 0; i < JOIN_N; i++)
        Py_CLEAR(state->arguments[i]);
    Py_CLEAR(state->context);
    Py_CLEAR(state->protocol);
    Py_CLEAR(state->transport);
    if (state->raw.fd >= 0)
        cio__kernel_close_fd(NULL, state->raw.fd);
    state->raw.fd = -1;
}

/* loop._make_ssl_transport(...) */
static PyObject *make_secure(struct py__loop *loop, struct join *state, PyObject *waiter)
{
    PyObject **arguments = state->arguments;
    PyObject *context = PyBool_Check(arguments[JOIN_SSL]) ? Py_None : arguments[JOIN_SSL];
    PyObject *method = PyObject_GetAttr((PyObject *)loop, loop->py->names._make_ssl_transport);
    PyObject *positional = PyTuple_Pack(4, arguments[JOIN_SOCK], state->protocol, context, waiter);
    PyObject *keywords = Py_BuildValue(
        "{s:O,s:O,s:O,s:O}", "server_side", state->server_side ? Py_True : Py_False,
        "server_hostname", arguments[JOIN_HOSTNAME], "ssl_handshake_timeout",
        arguments[JOIN_HANDSHAKE], "ssl_shutdown_timeout", arguments[JOIN_SHUTDOWN]);
    if (keywords && state->context &&
        PyDict_SetItem(keywords, loop->py->names.context, state->context) < 0)
        Py_CLEAR(keywords);
    PyObject *transport = method && positional && keywords
                              ? PyObject_Call(method, positional, keywords)
                              : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(positional);
    Py_XDECREF(method);
    return transport;
}

static PyObject *make_plain(struct py__loop *loop, struct join *state, PyObject *waiter)
{
    PyObject *sock = state->arguments[JOIN_SOCK];
    if (state->raw.fd >= 0) {
        state->raw.context = state->context;
        PyObject *transport = py__stream_new(loop, &state->raw, state->protocol, waiter, NULL,
                                             NULL);
        if (transport)
            state->raw.fd = -1;
        return transport;
    }
    int fd = py__fileno(loop, sock);
    if (fd >= 0 && py__transport_check_free(loop, fd, sock) < 0) {
        state->is_taken = true;
        return NULL;
    }
    if (fd < 0)
        return NULL;
    struct py__connection connection = {.fd = fd, .sock = sock, .context = state->context};
    return py__stream_new(loop, &connection, state->protocol, waiter, NULL, NULL);
}

static enum py__step begin(struct py__coroutine *self, struct join *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    state->context = PY__CONTEXT_OF_CONNECTION ? PyContext_CopyCurrent() : NULL;
    if (!PY__CONTEXT_OF_CONNECTION || state->context)
        state->protocol = PyObject_CallNoArgs(state->arguments[JOIN_FACTORY]);
    PyObject *waiter = state->protocol ? py__loop_create_future(loop) : NULL;
    int secure = waiter ? PyObject_IsTrue(state->arguments[JOIN_SSL]) : -1;
    if (secure >= 0)
        state->transport = secure ? make_secure(loop, state, waiter)
                                  : make_plain(loop, state, waiter);
    if (state->transport) {
        *ret = waiter;
        return PY__AWAIT;
    }
    Py_XDECREF(waiter);
    if (state->raw.fd < 0 && !state->is_taken)
        py__close_socket(loop, state->arguments[JOIN_SOCK]);
    return PY__RAISE;
}

static enum py__step join_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct join *state = py__coroutine_state(self);
    if (self->at++ == 0)
        return begin(self, state, ret);
    if (!sent) {
        py__close_socket(self->loop, state->transport);
        return PY__RAISE;
    }
    *ret = PyTuple_Pack(2, state->transport, state->protocol);
    return *ret ? PY__RETURN : PY__RAISE;
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop._create_connection_transport",
    .step = join_step,
    .state_size = sizeof(struct join),
    .traverse = traverse,
    .clear = clear,
};

PyObject *py__join(struct py__loop *loop, const struct py__connection *connection,
                   PyObject *factory, const struct py__secure *secure, bool server_side)
{
    struct py__coroutine *self = py__loop_check_closed(loop) < 0 ? NULL
                                                                 : py__coroutine_new(loop, &kind);
    if (!self) {
        if (!connection->sock)
            cio__kernel_close_fd(NULL, connection->fd);
        return NULL;
    }
    struct join *state = py__coroutine_state(self);
    PyObject *sock = connection->sock ? connection->sock : Py_None;
    PyObject *arguments[JOIN_N] = {sock,
                                   factory,
                                   secure->ssl,
                                   secure->hostname,
                                   secure->handshake_timeout,
                                   secure->shutdown_timeout};
    for (int i = 0; i < JOIN_N; i++)
        state->arguments[i] = Py_NewRef(arguments[i]);
    state->raw = *connection;
    if (connection->sock)
        state->raw.fd = -1;
    state->server_side = server_side;
    return (PyObject *)self;
}
