/* create_server(): sockets that are bound, and a server of them. */
#include <netinet/in.h>

#include "arguments.h"
#include "connect.h"
#include "errors.h"
#include "names.h"
#include "server.h"
#include "sock.h"

enum {
    FACTORY,
    HOST,
    PORT,
    FAMILY,
    FLAGS,
    SOCK,
    BACKLOG,
    SSL,
    REUSE_ADDRESS,
    REUSE_PORT,
    KEEP_ALIVE,
    HANDSHAKE,
    SHUTDOWN,
    START_SERVING,
    N_ARGUMENTS
};

enum { START, RESOLVED, STARTED };

struct serve {
    PyObject *arguments[N_ARGUMENTS]; /* None where nothing was given */
    PyObject *hosts;                  /* a list, from which they are taken */
    PyObject *infos;                  /* a dict, whose keys are the addresses */
    PyObject *server;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct serve *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->hosts);
    Py_VISIT(state->infos);
    Py_VISIT(state->server);
    return 0;
}

static void clear(void *data)
{
    struct serve *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
    Py_CLEAR(state->hosts);
    Py_CLEAR(state->infos);
    Py_CLEAR(state->server);
}

static bool is_given(const struct serve *state, int argument)
{
    return state->arguments[argument] != Py_None;
}

/* ---- hosts ---- */

/* '' is all interfaces; one that is no list is a list of one. */
static PyObject *list_hosts(PyObject *host)
{
    if (PyUnicode_Check(host) && PyUnicode_GET_LENGTH(host) == 0)
        host = Py_None;
    bool many = !PyUnicode_Check(host) && Py_TYPE(host)->tp_iter && !PyBytes_Check(host);
    return many ? PySequence_List(host) : Py_BuildValue("[O]", host);
}

/* Nothing at all is an empty list. */
static int add_infos(struct serve *state, PyObject *host, PyObject *found)
{
    PyObject *infos = py__found_addresses(found);
    if (!infos)
        return -1;
    Py_ssize_t n = PyList_GET_SIZE(infos);
    int rc = n ? 0 : -1;
    if (n == 0)
        PyErr_Format(PyExc_OSError, "getaddrinfo(%R) returned empty list", host);
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++)
        rc = PyDict_SetItem(state->infos, PyList_GET_ITEM(infos, i), Py_None);
    Py_DECREF(infos);
    return rc;
}

/* Takes hosts until one is to be awaited. 0: all are known. */
static int resolve_hosts(struct py__coroutine *self, struct serve *state, PyObject **ret)
{
    while (PyList_GET_SIZE(state->hosts)) {
        PyObject *host = PyList_GET_ITEM(state->hosts, 0);
        PyObject *lookup[PY__LOOKUP] = {host,
                                        state->arguments[PORT],
                                        is_given(state, FAMILY) ? state->arguments[FAMILY] : NULL,
                                        self->loop->py->std.stream,
                                        NULL,
                                        state->arguments[FLAGS]};
        int known = py__resolve(self->loop, lookup, ret);
        if (known <= 0)
            return known < 0 ? -1 : 1;
        int rc = add_infos(state, host, *ret);
        Py_DECREF(*ret);
        if (rc < 0 || PyList_SetSlice(state->hosts, 0, 1, NULL) < 0)
            return -1;
    }
    return 0;
}

/* ---- sockets ---- */

static int set_option(PyObject *sock, int level, int option)
{
    PyObject *result = PyObject_CallMethod(sock, "setsockopt", "iii", level, option, 1);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* -1: an exception. */
static int is_true(const struct serve *state, int argument)
{
    return PyObject_IsTrue(state->arguments[argument]);
}

static int set_options(const struct serve *state, PyObject *sock, long family)
{
    int reuse_address = is_given(state, REUSE_ADDRESS) ? is_true(state, REUSE_ADDRESS) : 1;
    int reuse_port = is_true(state, REUSE_PORT);
    int keep_alive = is_true(state, KEEP_ALIVE);
    if (reuse_address < 0 || reuse_port < 0 || keep_alive < 0 ||
        (reuse_address && set_option(sock, SOL_SOCKET, SO_REUSEADDR) < 0))
        return -1;
    if (reuse_port && set_option(sock, SOL_SOCKET, SO_REUSEPORT) < 0) {
        if (PyErr_ExceptionMatches(PyExc_OSError))
            PyErr_SetString(PyExc_ValueError, "reuse_port not supported by socket module, "
                                              "SO_REUSEPORT defined but not implemented.");
        return -1;
    }
    if (keep_alive && set_option(sock, SOL_SOCKET, SO_KEEPALIVE) < 0)
        return -1;
    /* Each family has a socket of its own. */
    return family == AF_INET6 ? set_option(sock, IPPROTO_IPV6, IPV6_V6ONLY) : 0;
}

static int warn(struct py__loop *loop, PyObject *text)
{
    if (!loop->debug)
        return 0;
    return py__log("warning", "(O)", text);
}

/* The OSError that is set is of an address that the machine does not have. 1: it is passed over. */
static int pass_over(struct py__loop *loop)
{
    PyObject *exception = py__take_exception();
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    bool absent = number && PyLong_Check(number) && PyLong_AsLong(number) == EADDRNOTAVAIL;
    PyObject *text = PyObject_GetAttrString(exception, "strerror");
    int rc = absent && text ? warn(loop, text) : 0;
    Py_XDECREF(text);
    Py_XDECREF(number);
    if (absent && rc == 0) {
        Py_DECREF(exception);
        return 1;
    }
    if (rc < 0)
        Py_DECREF(exception);
    else
        py__raise_again(exception);
    return -1;
}

static int bind_socket(struct py__loop *loop, PyObject *sock, PyObject *address)
{
    PyObject *result = PyObject_CallMethodOneArg(sock, loop->py->names.bind, address);
    if (result) {
        Py_DECREF(result);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    py__raise_bind_error(address);
    return pass_over(loop);
}

/* NULL without an exception: the machine does not know the family. */
static PyObject *open_socket(struct py__loop *loop, PyObject *info)
{
    PyObject *family = PyTuple_GET_ITEM(info, 0), *type = PyTuple_GET_ITEM(info, 1),
             *protocol = PyTuple_GET_ITEM(info, 2);
    PyObject *sock = PyObject_CallFunctionObjArgs(loop->py->std.socket, family, type, protocol,
                                                  NULL);
    if (sock || !PyErr_ExceptionMatches(PyExc_OSError))
        return sock;
    PyErr_Clear();
    PyObject *text = PyUnicode_FromFormat(
        "create_server() failed to create socket.socket(%R, %R, %R)", family, type, protocol);
    if (text)
        (void)warn(loop, text);
    Py_XDECREF(text);
    return NULL;
}

static int add_socket(struct py__loop *loop, struct serve *state, PyObject *info, PyObject *sockets)
{
    if (!PyTuple_Check(info) || PyTuple_GET_SIZE(info) != 5) {
        PyErr_Format(PyExc_ValueError, "an address of five parts was expected, got %R", info);
        return -1;
    }
    PyObject *sock = open_socket(loop, info);
    if (!sock)
        return PyErr_Occurred() ? -1 : 0;
    int rc = set_options(state, sock, PyLong_AsLong(PyTuple_GET_ITEM(info, 0)));
    if (rc == 0)
        rc = bind_socket(loop, sock, PyTuple_GET_ITEM(info, 4));
    if (rc == 0)
        rc = PyList_Append(sockets, sock);
    else
        py__close_socket(loop, sock);
    Py_DECREF(sock);
    return rc < 0 ? -1 : 0;
}

static void close_all(struct py__loop *loop, PyObject *sockets)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(sockets); i++)
        py__close_socket(loop, PyList_GET_ITEM(sockets, i));
}

static void raise_unbound(struct serve *state)
{
    PyObject *addresses = PyList_New(0);
    PyObject *info, *none;
    Py_ssize_t at = 0;
    while (addresses && PyDict_Next(state->infos, &at, &info, &none))
        if (PyList_Append(addresses, PyTuple_GET_ITEM(info, 4)) < 0)
            Py_CLEAR(addresses);
    if (addresses)
        PyErr_Format(PyExc_OSError, "could not bind on any address out of %R", addresses);
    Py_XDECREF(addresses);
}

static PyObject *bind_all(struct py__loop *loop, struct serve *state)
{
    PyObject *sockets = PyList_New(0);
    PyObject *info, *none;
    Py_ssize_t at = 0;
    int rc = sockets ? 0 : -1;
    while (rc == 0 && PyDict_Next(state->infos, &at, &info, &none))
        rc = add_socket(loop, state, info, sockets);
    if (rc == 0 && PyList_GET_SIZE(sockets) == 0) {
        raise_unbound(state);
        rc = -1;
    }
    if (rc < 0 && sockets) {
        close_all(loop, sockets);
        Py_CLEAR(sockets);
    }
    return sockets;
}

/* ---- the server ---- */

static enum py__step finish(struct py__coroutine *self, struct serve *state, PyObject **ret)
{
    *ret = Py_NewRef(state->server);
    if (likely(!self->loop->debug))
        return PY__RETURN;
    if (py__log("info", "(sO)", "%r is serving", state->server) < 0)
        Py_CLEAR(*ret);
    return *ret ? PY__RETURN : PY__RAISE;
}

static int set_all_not_blocking(struct py__loop *loop, PyObject *sockets)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(sockets); i++)
        if (py__set_not_blocking(loop, PyList_GET_ITEM(sockets, i)) < 0)
            return -1;
    return 0;
}

/* Takes the sockets, NULL: it has failed. */
static enum py__step make_server(struct py__coroutine *self, struct serve *state, PyObject *sockets,
                                 PyObject **ret)
{
    PyObject **arguments = state->arguments;
    struct py__server_options options = {.factory = arguments[FACTORY],
                                         .ssl = arguments[SSL],
                                         .handshake_timeout = arguments[HANDSHAKE],
                                         .shutdown_timeout = arguments[SHUTDOWN]};
    if (sockets && set_all_not_blocking(self->loop, sockets) == 0) {
        options.backlog = PyLong_AsLong(arguments[BACKLOG]);
        if (!PyErr_Occurred())
            state->server = py__server_new(self->loop, sockets, &options);
    }
    Py_XDECREF(sockets);
    int starts = state->server ? is_true(state, START_SERVING) : -1;
    if (starts == 0)
        return finish(self, state, ret);
    if (starts < 0 || py__server_start((struct py__server *)state->server) < 0)
        return PY__RAISE;
    self->at = STARTED; /* after a turn, in which the listening begins */
    *ret = py__call("asyncio", "sleep", "(i)", 0);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step refuse(PyObject *type, const char *text)
{
    PyErr_SetString(type, text);
    return PY__RAISE;
}

static int check(struct py__coroutine *self, struct serve *state)
{
    if (PyBool_Check(state->arguments[SSL]))
        return refuse(PyExc_TypeError, "ssl argument must be an SSLContext or None");
    if (!is_given(state, SSL) && is_given(state, HANDSHAKE))
        return refuse(PyExc_ValueError, "ssl_handshake_timeout is only meaningful with ssl");
    if (!is_given(state, SSL) && is_given(state, SHUTDOWN))
        return refuse(PyExc_ValueError, "ssl_shutdown_timeout is only meaningful with ssl");
    return is_given(state, SOCK) ? py__check_plain(self->loop, state->arguments[SOCK]) : 0;
}

static enum py__step use_socket(struct py__coroutine *self, struct serve *state, PyObject **ret)
{
    PyObject *sock = state->arguments[SOCK];
    if (sock == Py_None)
        return refuse(PyExc_ValueError, "Neither host/port nor sock were specified");
    if (py__check_stream(self->loop, sock, 0, "Stream Socket") < 0)
        return PY__RAISE;
    return make_server(self, state, Py_BuildValue("[O]", sock), ret);
}

static enum py__step bind_or_wait(struct py__coroutine *self, struct serve *state, PyObject **ret)
{
    int rc = resolve_hosts(self, state, ret);
    if (rc)
        return rc < 0 ? PY__RAISE : PY__AWAIT;
    PyObject *sockets = bind_all(self->loop, state);
    return sockets ? make_server(self, state, sockets, ret) : PY__RAISE;
}

static enum py__step start(struct py__coroutine *self, struct serve *state, PyObject **ret)
{
    if (check(self, state) < 0)
        return PY__RAISE;
    if (!is_given(state, HOST) && !is_given(state, PORT))
        return use_socket(self, state, ret);
    if (is_given(state, SOCK))
        return refuse(PyExc_ValueError, "host/port and sock can not be specified at the same time");
    state->hosts = list_hosts(state->arguments[HOST]);
    state->infos = PyDict_New();
    if (!state->hosts || !state->infos)
        return PY__RAISE;
    self->at = RESOLVED;
    return bind_or_wait(self, state, ret);
}

static enum py__step serve_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct serve *state = py__coroutine_state(self);
    if (self->at == START)
        return start(self, state, ret);
    if (!sent)
        return PY__RAISE;
    if (self->at == STARTED)
        return finish(self, state, ret);
    if (add_infos(state, PyList_GET_ITEM(state->hosts, 0), sent) < 0 ||
        PyList_SetSlice(state->hosts, 0, 1, NULL) < 0)
        return PY__RAISE;
    return bind_or_wait(self, state, ret);
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop.create_server",
    .step = serve_step,
    .state_size = sizeof(struct serve),
    .traverse = traverse,
    .clear = clear,
};

static int set_defaults(PyObject **values)
{
    values[BACKLOG] = PyLong_FromLong(100);
    values[FLAGS] = PyLong_FromLong(1 /* AI_PASSIVE */);
    values[START_SERVING] = Py_True;
    return values[BACKLOG] && values[FLAGS] ? 0 : -1;
}

static PyObject *create_server(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                               PyObject *keywords)
{
    static const struct py__signature signature = {
        "create_server",
        1,
        3,
        N_ARGUMENTS,
        {"protocol_factory", "host", "port", "family", "flags", "sock", "backlog", "ssl",
         "reuse_address", "reuse_port", "keep_alive", "ssl_handshake_timeout",
         "ssl_shutdown_timeout", "start_serving"}};
    PyObject *values[N_ARGUMENTS];
    for (int i = 0; i < N_ARGUMENTS; i++)
        values[i] = Py_None;
    if (set_defaults(values) < 0)
        return NULL;
    PyObject *backlog = values[BACKLOG], *flags = values[FLAGS];
    struct py__coroutine *self = NULL;
    if (py__take_arguments(&signature, arguments, n, keywords, values) == 0)
        self = py__coroutine_new(py__loop(loop), &kind);
    struct serve *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    Py_DECREF(flags);
    Py_DECREF(backlog);
    return (PyObject *)self;
}

PyMethodDef py__loop_serve_methods[] = {
    {"create_server", (PyCFunction)(void (*)(void))create_server, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("create_server($self, protocol_factory, host=None, port=None, *, family=0, flags=1, "
               "sock=None, backlog=100, ssl=None, reuse_address=None, reuse_port=None, "
               "keep_alive=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None, "
               "start_serving=True)\n--\n\n"
               "Serve on stream sockets: a Server.")},
    {NULL, NULL, 0, NULL},
};
