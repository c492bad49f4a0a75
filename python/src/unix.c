/* Stream sockets of the unix family. */
#include <sys/socket.h>

#include "arguments.h"
#include "connect.h"
#include "errors.h"
#include "server.h"
#include "sock.h"
#include "stream.h"

static const char expected[] = "UNIX Domain Stream Socket";

/* Of both coroutines; the arguments after these differ. */
enum { FACTORY, PATH, SOCK, SSL, HANDSHAKE, SHUTDOWN, COMMON };
enum { HOSTNAME = COMMON, N_CONNECT };
enum { BACKLOG = COMMON, START_SERVING, CLEANUP, N_ARGUMENTS };

struct local {
    PyObject *arguments[N_ARGUMENTS];
    PyObject *sock;
    PyObject *server;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct local *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->sock);
    Py_VISIT(state->server);
    return 0;
}

static void clear(void *data)
{
    struct local *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
    Py_CLEAR(state->sock);
    Py_CLEAR(state->server);
}

static bool is_given(const struct local *state, int argument)
{
    return state->arguments[argument] != Py_None;
}

static int refuse(const char *text)
{
    PyErr_SetString(PyExc_ValueError, text);
    return -1;
}

/* Puts os.fspath(path) in its place. */
static int take_path(struct local *state)
{
    PyObject *path = PyOS_FSPath(state->arguments[PATH]);
    if (path)
        Py_SETREF(state->arguments[PATH], path);
    return path ? 0 : -1;
}

static PyObject *new_socket(struct py__loop *loop, int flags)
{
    return PyObject_CallFunction(loop->py->std.socket, "ii", AF_UNIX, SOCK_STREAM | flags);
}

static PyObject *new_coroutine(PyObject *loop, const struct py__coroutine_kind *kind,
                               PyObject *const *values)
{
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), kind);
    struct local *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    return (PyObject *)self;
}

/* ---- create_unix_connection() ---- */

enum { START, CONNECTED, JOINED };

static struct py__secure secure_of(const struct local *state)
{
    return (struct py__secure){state->arguments[SSL], state->arguments[HOSTNAME],
                               state->arguments[HANDSHAKE], state->arguments[SHUTDOWN]};
}

static int check_connection(struct local *state)
{
    struct py__secure secure = secure_of(state);
    int is_secure = PyObject_IsTrue(secure.ssl);
    if (is_secure < 0 || py__check_secure(&secure) < 0)
        return -1;
    if (is_secure && secure.hostname == Py_None)
        return refuse("you have to pass server_hostname when using ssl");
    if (is_given(state, PATH) && is_given(state, SOCK))
        return refuse("path and sock can not be specified at the same time");
    if (!is_given(state, PATH) && !is_given(state, SOCK))
        return refuse("no path and sock were specified");
    return 0;
}

static enum py__step join(struct py__coroutine *self, struct local *state, PyObject **ret)
{
    struct py__secure secure = secure_of(state);
    self->at = JOINED;
    *ret = py__join(self->loop, &(struct py__connection){.sock = state->sock},
                    state->arguments[FACTORY], &secure, false);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step begin_connection(struct py__coroutine *self, struct local *state,
                                      PyObject **ret)
{
    if (check_connection(state) < 0)
        return PY__RAISE;
    if (is_given(state, SOCK)) {
        state->sock = Py_NewRef(state->arguments[SOCK]);
        if (py__check_stream(self->loop, state->sock, AF_UNIX, expected) < 0 ||
            py__set_not_blocking(self->loop, state->sock) < 0)
            return PY__RAISE;
        return join(self, state, ret);
    }
    if (take_path(state) < 0 || !(state->sock = new_socket(self->loop, SOCK_NONBLOCK)))
        return PY__RAISE;
    self->at = CONNECTED;
    *ret = PyObject_CallMethod((PyObject *)self->loop, "sock_connect", "OO", state->sock,
                               state->arguments[PATH]);
    if (*ret)
        return PY__AWAIT;
    py__close_socket(self->loop, state->sock);
    return PY__RAISE;
}

static enum py__step connection_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct local *state = py__coroutine_state(self);
    if (self->at == START)
        return begin_connection(self, state, ret);
    if (self->at == CONNECTED) {
        if (sent)
            return join(self, state, ret);
        py__close_socket(self->loop, state->sock);
        return PY__RAISE;
    }
    *ret = Py_XNewRef(sent);
    return sent ? PY__RETURN : PY__RAISE;
}

static const struct py__coroutine_kind connection_kind = {
    .name = "EventLoop.create_unix_connection",
    .step = connection_step,
    .state_size = sizeof(struct local),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *create_unix_connection(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                        PyObject *keywords)
{
    static const struct py__signature signature = {"create_unix_connection",
                                                   1,
                                                   2,
                                                   N_CONNECT,
                                                   {"protocol_factory", "path", "sock", "ssl",
                                                    "ssl_handshake_timeout", "ssl_shutdown_timeout",
                                                    "server_hostname"}};
    PyObject *values[N_ARGUMENTS] = {NULL,    Py_None, Py_None, Py_None, Py_None,
                                     Py_None, Py_None, Py_None, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    return new_coroutine(loop, &connection_kind, values);
}

/* ---- create_unix_server() ---- */

bool py__is_file_path(PyObject *path)
{
    if (PyUnicode_Check(path))
        return PyUnicode_GET_LENGTH(path) && PyUnicode_READ_CHAR(path, 0) != 0;
    return PyBytes_Check(path) && PyBytes_GET_SIZE(path) && PyBytes_AS_STRING(path)[0] != 0;
}

int py__remove_stale(PyObject *path)
{
    PyObject *status = py__call("os", "stat", "(O)", path);
    PyObject *mode = status ? PyObject_GetAttrString(status, "st_mode") : NULL;
    PyObject *is_sock = mode ? py__call("stat", "S_ISSOCK", "(O)", mode) : NULL;
    PyObject *removed = is_sock == Py_True ? py__call("os", "remove", "(O)", path) : NULL;
    Py_XDECREF(removed);
    Py_XDECREF(is_sock);
    Py_XDECREF(mode);
    Py_XDECREF(status);
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_OSError))
        return PyErr_Occurred() ? -1 : 0;
    bool absent = PyErr_ExceptionMatches(PyExc_FileNotFoundError);
    PyObject *exception = py__take_exception();
    int rc = 0;
    if (!absent)
        rc = py__log("error", "(sOO)", "Unable to check or remove stale UNIX socket %r: %r", path,
                     exception);
    Py_DECREF(exception);
    return rc;
}

static void raise_in_use(PyObject *path)
{
    PyObject *exception = py__take_exception();
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    bool in_use = number && PyLong_Check(number) && PyLong_AsLong(number) == EADDRINUSE;
    PyErr_Clear();
    if (in_use) {
        PyObject *text = PyUnicode_FromFormat("Address %R is already in use", path);
        PyObject *better = text ? PyObject_CallFunction(PyExc_OSError, "OO", number, text) : NULL;
        if (better)
            PyErr_SetObject((PyObject *)Py_TYPE(better), better);
        Py_XDECREF(better);
        Py_XDECREF(text);
        Py_DECREF(exception);
    } else {
        py__raise_again(exception);
    }
    Py_XDECREF(number);
}

static int bind_path(struct py__loop *loop, struct local *state)
{
    PyObject *path = state->arguments[PATH];
    if (py__is_file_path(path) && py__remove_stale(path) < 0)
        return -1;
    PyObject *result = PyObject_CallMethodOneArg(state->sock, loop->py->names.bind, path);
    Py_XDECREF(result);
    if (result)
        return 0;
    if (PyErr_ExceptionMatches(PyExc_OSError))
        raise_in_use(path);
    return -1;
}

static int take_socket(struct py__loop *loop, struct local *state)
{
    if (is_given(state, PATH)) {
        if (is_given(state, SOCK))
            return refuse("path and sock can not be specified at the same time");
        if (take_path(state) < 0 || !(state->sock = new_socket(loop, 0)))
            return -1;
        if (bind_path(loop, state) == 0)
            return 0;
        py__close_socket(loop, state->sock);
        return -1;
    }
    if (!is_given(state, SOCK))
        return refuse("path was not specified, and no sock specified");
    state->sock = Py_NewRef(state->arguments[SOCK]);
    return py__check_stream(loop, state->sock, AF_UNIX, expected);
}

static int check_server(struct local *state)
{
    if (PyBool_Check(state->arguments[SSL])) {
        PyErr_SetString(PyExc_TypeError, "ssl argument must be an SSLContext or None");
        return -1;
    }
    struct py__secure secure = secure_of(state);
    secure.hostname = Py_None;
    return py__check_secure(&secure);
}

/* Since 3.13 the file goes with the server. */
static int clean_up(struct py__loop *loop, struct local *state)
{
    int wanted = PyObject_IsTrue(state->arguments[CLEANUP]);
    if (wanted <= 0)
        return wanted;
    PyObject *path = PyObject_CallMethodNoArgs(state->sock, loop->py->names.getsockname);
    int rc = !path ? -1 : py__is_file_path(path) ? py__server_clean_up(state->server, path) : 0;
    Py_XDECREF(path);
    return rc;
}

static int make_server(struct py__loop *loop, struct local *state)
{
    PyObject **arguments = state->arguments;
    struct py__server_options options = {.factory = arguments[FACTORY],
                                         .ssl = arguments[SSL],
                                         .handshake_timeout = arguments[HANDSHAKE],
                                         .shutdown_timeout = arguments[SHUTDOWN]};
    options.backlog = is_given(state, BACKLOG) ? PyLong_AsLong(arguments[BACKLOG]) : 100;
    PyObject *sockets = PyErr_Occurred() ? NULL : Py_BuildValue("[O]", state->sock);
    if (sockets)
        state->server = py__server_new(loop, sockets, &options);
    Py_XDECREF(sockets);
    return state->server ? clean_up(loop, state) : -1;
}

static enum py__step begin_server(struct py__coroutine *self, struct local *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    if (check_server(state) < 0 || take_socket(loop, state) < 0 ||
        py__set_not_blocking(loop, state->sock) < 0 || make_server(loop, state) < 0)
        return PY__RAISE;
    int starts = PyObject_IsTrue(state->arguments[START_SERVING]);
    if (starts == 0) {
        *ret = Py_NewRef(state->server);
        return PY__RETURN;
    }
    if (starts < 0 || py__server_start((struct py__server *)state->server) < 0)
        return PY__RAISE;
    *ret = py__call("asyncio", "sleep", "(i)", 0);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step server_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct local *state = py__coroutine_state(self);
    if (self->at++ == 0)
        return begin_server(self, state, ret);
    *ret = sent ? Py_NewRef(state->server) : NULL;
    return sent ? PY__RETURN : PY__RAISE;
}

static const struct py__coroutine_kind server_kind = {
    .name = "EventLoop.create_unix_server",
    .step = server_step,
    .state_size = sizeof(struct local),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *create_unix_server(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                    PyObject *keywords)
{
    static const struct py__signature signature = {"create_unix_server",
                                                   1,
                                                   2,
                                                   N_ARGUMENTS,
                                                   {"protocol_factory", "path", "sock", "ssl",
                                                    "ssl_handshake_timeout", "ssl_shutdown_timeout",
                                                    "backlog", "start_serving", "cleanup_socket"}};
    PyObject *cleans = PY_VERSION_HEX >= 0x030D0000 ? Py_True : Py_False;
    PyObject *values[N_ARGUMENTS] = {NULL,    Py_None, Py_None, Py_None, Py_None,
                                     Py_None, Py_None, Py_True, cleans};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    return new_coroutine(loop, &server_kind, values);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

PyMethodDef py__loop_unix_methods[] = {
    {"create_unix_connection", FUNCTION(create_unix_connection),
     PyDoc_STR("create_unix_connection($self, protocol_factory, path=None, *, ssl=None, sock=None, "
               "server_hostname=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None)\n"
               "--\n\n"
               "Connect to a stream socket of a path: (transport, protocol).")},
    {"create_unix_server", FUNCTION(create_unix_server),
     PyDoc_STR("create_unix_server($self, protocol_factory, path=None, *, sock=None, backlog=100, "
               "ssl=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None, "
               "start_serving=True, cleanup_socket=True)\n--\n\n"
               "Serve on a stream socket of a path: a Server.")},
    {NULL, NULL, 0, NULL},
};
