/* Where TLS begins: the loop's _make_ssl_transport() and start_tls(). */
#include "arguments.h"
#include "coroutine.h"
#include "errors.h"
#include "files.h"
#include "stream.h"
#include "tls.h"

/* ---- _make_ssl_transport() ---- */

enum {
    RAW,
    PROTOCOL,
    CONTEXT,
    WAITER,
    SERVER_SIDE,
    HOSTNAME,
    EXTRA,
    SERVER,
    HAND,
    SHUT,
    WITHIN,
    N_SECURE
};

static PyObject *make_below(struct py__loop *loop, PyObject *const *values, struct py__tls *tls)
{
    int fd = py__fileno(loop, values[RAW]);
    if (fd < 0 || py__transport_check_free(loop, fd, values[RAW]) < 0)
        return NULL;
    struct py__connection connection = {.fd = fd, .sock = values[RAW], .context = values[WITHIN]};
    return py__stream_new(loop, &connection, (PyObject *)tls, NULL, values[EXTRA], values[SERVER]);
}

static PyObject *make_ssl_transport(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                    PyObject *keywords)
{
    static const struct py__signature signature = {
        "_make_ssl_transport",
        3,
        4,
        PY__CONTEXT_OF_CONNECTION ? N_SECURE : WITHIN,
        {"rawsock", "protocol", "sslcontext", "waiter", "server_side", "server_hostname", "extra",
         "server", "ssl_handshake_timeout", "ssl_shutdown_timeout", "context"}};
    PyObject *values[N_SECURE] = {NULL,    NULL,    NULL,    Py_None, Py_False, Py_None,
                                  Py_None, Py_None, Py_None, Py_None, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    int server_side = PyObject_IsTrue(values[SERVER_SIDE]);
    if (server_side < 0)
        return NULL;
    struct py__tls_options options = {
        values[PROTOCOL], values[CONTEXT], values[WAITER], values[HOSTNAME],
        values[HAND],     values[SHUT],    server_side,    false};
    struct py__tls *tls = py__tls_new(py__loop(loop), &options);
    if (!tls)
        return NULL;
    tls->accepted = values[SERVER] != Py_None && values[WAITER] == Py_None;
    PyObject *below = make_below(py__loop(loop), values, tls);
    PyObject *transport = below ? Py_NewRef((PyObject *)tls->transport) : NULL;
    if (!below)
        tls->transport->closed = true; /* nobody has seen it */
    Py_XDECREF(below);
    Py_DECREF(tls);
    return transport;
}

/* ---- start_tls() ---- */

enum { TRANSPORT, ITS_PROTOCOL, ITS_CONTEXT, SIDE, NAME, HANDSHAKE, SHUTDOWN, N_ARGUMENTS };

struct starting {
    PyObject *arguments[N_ARGUMENTS];
    PyObject *tls;                    /* once it is made */
    PyObject *made, *early, *resumed; /* handles; the second may be NULL */
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct starting *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->tls);
    Py_VISIT(state->made);
    Py_VISIT(state->early);
    Py_VISIT(state->resumed);
    return 0;
}

static void clear(void *data)
{
    struct starting *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
    Py_CLEAR(state->tls);
    Py_CLEAR(state->made);
    Py_CLEAR(state->early);
    Py_CLEAR(state->resumed);
}

static int check(struct py__loop *loop, PyObject *const *arguments)
{
    const struct py__ssl *names = py__ssl_get(loop->py);
    if (!names)
        return -1;
    int is_context = PyObject_IsInstance(arguments[ITS_CONTEXT], names->SSLContext);
    if (is_context == 0)
        PyErr_Format(PyExc_TypeError,
                     "sslcontext is expected to be an instance of ssl.SSLContext, got %R",
                     arguments[ITS_CONTEXT]);
    if (is_context <= 0)
        return -1;
    PyObject *mark = PyObject_GetAttr(arguments[TRANSPORT], names->words._start_tls_compatible);
    if (!mark && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    int compatible = mark ? PyObject_IsTrue(mark) : PyErr_Occurred() ? -1 : 0;
    Py_XDECREF(mark);
    if (compatible == 0)
        PyErr_Format(PyExc_TypeError, "transport %R is not supported by start_tls()",
                     arguments[TRANSPORT]);
    return compatible > 0 ? 0 : -1;
}

static int call(PyObject *object, PyObject *method, PyObject *argument)
{
    PyObject *result = PyObject_CallMethodObjArgs(object, method, argument, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *call_soon(struct py__loop *loop, PyObject *object, PyObject *method,
                           PyObject *argument)
{
    PyObject *callback = PyObject_GetAttr(object, method);
    PyObject *handle = callback
                           ? PyObject_CallMethodObjArgs((PyObject *)loop, loop->py->names.call_soon,
                                                        callback, argument, NULL)
                           : NULL;
    Py_XDECREF(callback);
    return handle;
}

/* A protocol that was told to pause is told to go on by the new transport. */
static void take_pause_over(struct py__tls *tls, PyObject *below)
{
    const struct py__module *py = tls->loop->py;
    if (!Py_IS_TYPE(below, py->stream_type) || !py__transport(below)->protocol_paused)
        return;
    tls->held = true;
    tls->protocol_paused = py__transport(below)->protocol == tls->protocol;
}

/*
 * The client's first words may be in a server's StreamReader already: they are TLS. New; None: there
 * are none.
 */
static PyObject *take_early(PyObject *protocol)
{
    PyObject *type = py__import("asyncio.streams", "StreamReaderProtocol");
    int is_stream = type ? PyObject_IsInstance(protocol, type) : -1;
    Py_XDECREF(type);
    if (is_stream <= 0)
        return is_stream < 0 ? NULL : Py_NewRef(Py_None);
    PyObject *reader = PyObject_GetAttrString(protocol, "_stream_reader");
    if (!reader || reader == Py_None)
        return reader;
    PyObject *buffer = PyObject_GetAttrString(reader, "_buffer");
    PyObject *early = buffer ? PyBytes_FromObject(buffer) : NULL;
    PyObject *result = early ? PyObject_CallMethod(buffer, "clear", NULL) : NULL;
    if (!result)
        Py_CLEAR(early);
    Py_XDECREF(result);
    Py_XDECREF(buffer);
    Py_DECREF(reader);
    return early;
}

static int schedule_early(struct py__loop *loop, struct starting *state, struct py__tls *tls)
{
    PyObject *early = take_early(state->arguments[ITS_PROTOCOL]);
    if (!early)
        return -1;
    bool some = early != Py_None && PyBytes_GET_SIZE(early);
    if (some)
        state->early = call_soon(loop, (PyObject *)tls, loop->py->names.data_received, early);
    Py_DECREF(early);
    return some && !state->early ? -1 : 0;
}

/* Nothing is read until the new protocol has been told of its connection. */
static int put_between(struct py__loop *loop, struct starting *state, struct py__tls *tls)
{
    PyObject *below = state->arguments[TRANSPORT];
    if (call(below, tls->names->words.pause_reading, NULL) < 0)
        return -1;
    take_pause_over(tls, below);
    if (call(below, tls->names->words.set_protocol, (PyObject *)tls) < 0 ||
        !(state->made = call_soon(loop, (PyObject *)tls, loop->py->names.connection_made, below)) ||
        (tls->server_side && schedule_early(loop, state, tls) < 0))
        return -1;
    state->resumed = call_soon(loop, below, tls->names->words.resume_reading, NULL);
    return state->resumed ? 0 : -1;
}

static enum py__step start(struct py__loop *loop, struct starting *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    int server_side = check(loop, arguments) < 0 ? -1 : PyObject_IsTrue(arguments[SIDE]);
    PyObject *waiter = server_side < 0 ? NULL : py__loop_create_future(loop);
    if (!waiter)
        return PY__RAISE;
    struct py__tls_options options = {
        arguments[ITS_PROTOCOL], arguments[ITS_CONTEXT], waiter,      arguments[NAME],
        arguments[HANDSHAKE],    arguments[SHUTDOWN],    server_side, true};
    struct py__tls *tls = py__tls_new(loop, &options);
    if (tls) {
        state->tls = Py_NewRef((PyObject *)tls);
        if (put_between(loop, state, tls) == 0)
            *ret = waiter;
        Py_DECREF(tls);
    }
    if (*ret)
        return PY__AWAIT;
    Py_DECREF(waiter);
    return PY__RAISE;
}

static void give_up(const struct py__module *py, struct starting *state)
{
    PyObject *exception = py__take_exception();
    if (call(state->arguments[TRANSPORT], py->names.close, NULL) < 0 ||
        call(state->made, py->names.cancel, NULL) < 0 ||
        (state->early && call(state->early, py->names.cancel, NULL) < 0) ||
        call(state->resumed, py->names.cancel, NULL) < 0) {
        Py_XDECREF(exception);
        return;
    }
    py__raise_again(exception);
}

static enum py__step starting_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct starting *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        *ret = NULL;
        return sent ? start(self->loop, state, ret) : PY__RAISE;
    }
    if (!sent) {
        give_up(self->loop->py, state);
        return PY__RAISE;
    }
    /* As in asyncio there is none if the one below was closed meanwhile. */
    PyObject *transport = (PyObject *)py__tls(state->tls)->transport;
    *ret = Py_NewRef(transport ? transport : Py_None);
    return PY__RETURN;
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop.start_tls",
    .step = starting_step,
    .state_size = sizeof(struct starting),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *start_tls(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords)
{
    static const struct py__signature signature = {
        "start_tls",
        3,
        3,
        N_ARGUMENTS,
        {"transport", "protocol", "sslcontext", "server_side", "server_hostname",
         "ssl_handshake_timeout", "ssl_shutdown_timeout"}};
    PyObject *values[N_ARGUMENTS] = {NULL, NULL, NULL, Py_False, Py_None, Py_None, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), &kind);
    struct starting *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    return (PyObject *)self;
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

PyMethodDef py__loop_tls_methods[] = {
    {"_make_ssl_transport", FUNCTION(make_ssl_transport), NULL},
    {"start_tls", FUNCTION(start_tls),
     PyDoc_STR("start_tls($self, transport, protocol, sslcontext, *, server_side=False, "
               "server_hostname=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None)"
               "\n--\n\nGo on over TLS: the transport that the protocol is to use from now on.")},
    {NULL, NULL, 0, NULL},
};
