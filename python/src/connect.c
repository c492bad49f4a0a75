/* create_connection(): names, addresses, and tries until one succeeds. */
#include "connect.h"

#include <sys/socket.h>

#include "arguments.h"
#include "attempt.h"
#include "errors.h"
#include "names.h"
#include "sock.h"
#include "stream.h"

enum {
    FACTORY,
    HOST,
    PORT,
    SSL,
    FAMILY,
    PROTO,
    FLAGS,
    SOCK,
    LOCAL_ADDR,
    HOSTNAME,
    HANDSHAKE,
    SHUTDOWN,
    DELAY,
    INTERLEAVE,
    ALL_ERRORS,
    N_ARGUMENTS
};

enum { START, RESOLVED, LOCAL_RESOLVED, TRIED, RACED, JOINED };

struct connect {
    PyObject *arguments[N_ARGUMENTS]; /* None where nothing was given */
    PyObject *infos;                  /* the addresses, a list */
    PyObject *locals;                 /* the same of ours, or NULL */
    PyObject *failures;
    PyObject *sock;  /* or the number of its descriptor */
    Py_ssize_t next; /* of infos, to be tried */
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct connect *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->infos);
    Py_VISIT(state->locals);
    Py_VISIT(state->failures);
    Py_VISIT(state->sock);
    return 0;
}

/* Whoever still holds the list (the tries of a race do, in a cycle) does not hold the exceptions. */
static void drop_failures(struct connect *state)
{
    if (state->failures) /* to empty a list does not fail */
        PyList_SetSlice(state->failures, 0, PyList_GET_SIZE(state->failures), NULL);
    Py_CLEAR(state->failures);
}

static void clear(void *data)
{
    struct connect *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
    Py_CLEAR(state->infos);
    Py_CLEAR(state->locals);
    drop_failures(state);
    Py_CLEAR(state->sock);
}

static enum py__step refuse(const char *text)
{
    PyErr_SetString(PyExc_ValueError, text);
    return PY__RAISE;
}

static bool is_given(const struct connect *state, int argument)
{
    return state->arguments[argument] != Py_None;
}

/* ---- addresses ---- */

static enum py__step resolve(struct py__coroutine *self, struct connect *state, PyObject *host,
                             PyObject *port, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    PyObject *lookup[PY__LOOKUP] = {host,
                                    port,
                                    arguments[FAMILY],
                                    self->loop->py->std.stream,
                                    arguments[PROTO],
                                    arguments[FLAGS]};
    for (int i = PY__FAMILY; i < PY__LOOKUP; i++)
        if (lookup[i] == Py_None)
            lookup[i] = NULL;
    int known = py__resolve(self->loop, lookup, ret);
    return known < 0 ? PY__RAISE : known ? PY__RETURN : PY__AWAIT;
}

static PyObject *as_addresses(PyObject *found)
{
    PyObject *list = py__found_addresses(found);
    if (list && PyList_GET_SIZE(list) == 0) {
        PyErr_SetString(PyExc_OSError, "getaddrinfo() returned empty list");
        Py_CLEAR(list);
    }
    return list;
}

static enum py__step resolve_local(struct py__coroutine *self, struct connect *state,
                                   PyObject **ret)
{
    PyObject *address = PySequence_Fast(state->arguments[LOCAL_ADDR], "local_addr is a pair");
    if (!address)
        return PY__RAISE;
    enum py__step step = PY__RAISE;
    if (PySequence_Fast_GET_SIZE(address) >= 2)
        step = resolve(self, state, PySequence_Fast_GET_ITEM(address, 0),
                       PySequence_Fast_GET_ITEM(address, 1), ret);
    else
        PyErr_Format(PyExc_ValueError, "not enough values to unpack (expected 2, got %zd)",
                     PySequence_Fast_GET_SIZE(address));
    Py_DECREF(address);
    return step;
}

/* By families in turn, as asyncio does it. */
static int interleave(struct connect *state)
{
    PyObject *count = state->arguments[INTERLEAVE];
    int wanted = count == Py_None ? is_given(state, DELAY) : PyObject_IsTrue(count);
    if (wanted <= 0)
        return wanted;
    PyObject *one = count == Py_None ? PyLong_FromLong(1) : Py_NewRef(count);
    PyObject *infos = one ? py__call("asyncio.base_events", "_interleave_addrinfos", "(OO)",
                                     state->infos, one)
                          : NULL;
    Py_XDECREF(one);
    if (!infos)
        return -1;
    Py_SETREF(state->infos, infos);
    return 0;
}

/* ---- failures ---- */

static PyObject *all_failures(struct connect *state)
{
    PyObject *all = PyList_New(0);
    for (Py_ssize_t i = 0; all && i < PyList_GET_SIZE(state->failures); i++) {
        Py_ssize_t end = PyList_GET_SIZE(all);
        if (PyList_SetSlice(all, end, end, PyList_GET_ITEM(state->failures, i)) < 0)
            Py_CLEAR(all);
    }
    return all;
}

static PyObject *texts_of(PyObject *failures)
{
    PyObject *texts = PyList_New(0);
    for (Py_ssize_t i = 0; texts && i < PyList_GET_SIZE(failures); i++) {
        PyObject *text = PyObject_Str(PyList_GET_ITEM(failures, i));
        if (!text || PyList_Append(texts, text) < 0)
            Py_CLEAR(texts);
        Py_XDECREF(text);
    }
    return texts;
}

static bool all_same(PyObject *texts)
{
    for (Py_ssize_t i = 1; i < PyList_GET_SIZE(texts); i++)
        if (PyUnicode_Compare(PyList_GET_ITEM(texts, 0), PyList_GET_ITEM(texts, i)))
            return false;
    return true;
}

/* An exception that tells of all of them; if they say the same, the first. */
static PyObject *sum_up(PyObject *failures)
{
    if (PyList_GET_SIZE(failures) == 0)
        return PyObject_CallFunction(PyExc_TimeoutError, "s", "create_connection failed");
    PyObject *texts = texts_of(failures);
    if (!texts)
        return NULL;
    PyObject *exception = NULL;
    if (all_same(texts)) {
        exception = Py_NewRef(PyList_GET_ITEM(failures, 0));
    } else {
        PyObject *comma = PyUnicode_FromString(", ");
        PyObject *joined = comma ? PyUnicode_Join(comma, texts) : NULL;
        PyObject *text = joined ? PyUnicode_FromFormat("Multiple exceptions: %U", joined) : NULL;
        exception = text ? PyObject_CallOneArg(PyExc_OSError, text) : NULL;
        Py_XDECREF(text);
        Py_XDECREF(joined);
        Py_XDECREF(comma);
    }
    Py_DECREF(texts);
    return exception;
}

static enum py__step raise_failures(struct connect *state)
{
    PyObject *failures = all_failures(state);
    int all = failures ? PyObject_IsTrue(state->arguments[ALL_ERRORS]) : -1;
    PyObject *exception = NULL;
    if (all > 0)
        exception = py__call("builtins", "ExceptionGroup", "(sO)", "create_connection failed",
                             failures);
    else if (all == 0)
        exception = sum_up(failures);
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    Py_XDECREF(failures);
    drop_failures(state);
    return PY__RAISE;
}

/* ---- tries ---- */

/* A descriptor without an object is of the address that was tried last. */
static int describe(struct connect *state, struct py__connection *connection)
{
    *connection = (struct py__connection){.sock = state->sock};
    if (!PyLong_CheckExact(state->sock))
        return 0;
    PyObject *info = PyList_GET_ITEM(state->infos, state->next - 1);
    *connection = (struct py__connection){
        .fd = (int)PyLong_AsLong(state->sock),
        .family = (int)PyLong_AsLong(PyTuple_GET_ITEM(info, 0)),
        .type = (int)PyLong_AsLong(PyTuple_GET_ITEM(info, 1)),
        .protocol = (int)PyLong_AsLong(PyTuple_GET_ITEM(info, 2)),
        .is_known = true,
    };
    return PyErr_Occurred() ? -1 : 0;
}

static enum py__step join(struct py__coroutine *self, struct connect *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    struct py__secure secure = {arguments[SSL], arguments[HOSTNAME], arguments[HANDSHAKE],
                                arguments[SHUTDOWN]};
    struct py__connection connection;
    self->at = JOINED;
    if (describe(state, &connection) < 0)
        return PY__RAISE;
    *ret = py__join(self->loop, &connection, arguments[FACTORY], &secure, false);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step try_next(struct py__coroutine *self, struct connect *state, PyObject **ret)
{
    if (state->next == PyList_GET_SIZE(state->infos))
        return raise_failures(state);
    PyObject *info = PyList_GET_ITEM(state->infos, state->next++);
    self->at = TRIED;
    int secure = PyObject_IsTrue(state->arguments[SSL]);
    if (secure < 0)
        return PY__RAISE;
    *ret = py__attempt(self->loop, state->failures, info, state->locals ? state->locals : Py_None,
                       !secure);
    return *ret ? PY__AWAIT : PY__RAISE;
}

/* partial(loop._connect_sock, failures, info, locals) for each address */
static PyObject *make_tries(struct py__coroutine *self, struct connect *state)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)self->loop, "_connect_sock");
    PyObject *tries = method ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0; tries && i < PyList_GET_SIZE(state->infos); i++) {
        PyObject *one = py__call("functools", "partial", "(OOOO)", method, state->failures,
                                 PyList_GET_ITEM(state->infos, i),
                                 state->locals ? state->locals : Py_None);
        if (!one || PyList_Append(tries, one) < 0)
            Py_CLEAR(tries);
        Py_XDECREF(one);
    }
    Py_XDECREF(method);
    return tries;
}

static enum py__step race(struct py__coroutine *self, struct connect *state, PyObject **ret)
{
    PyObject *tries = make_tries(self, state);
    PyObject *positional = tries ? PyTuple_Pack(2, tries, state->arguments[DELAY]) : NULL;
    PyObject *keywords = Py_BuildValue("{s:O}", "loop", (PyObject *)self->loop);
    PyObject *function = py__import("asyncio.staggered", "staggered_race");
    self->at = RACED;
    *ret = positional && keywords && function ? PyObject_Call(function, positional, keywords)
                                              : NULL;
    Py_XDECREF(function);
    Py_XDECREF(keywords);
    Py_XDECREF(positional);
    Py_XDECREF(tries);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step try_all(struct py__coroutine *self, struct connect *state, PyObject **ret)
{
    state->failures = PyList_New(0);
    if (!state->failures || interleave(state) < 0)
        return PY__RAISE;
    return is_given(state, DELAY) ? race(self, state, ret) : try_next(self, state, ret);
}

static enum py__step take_winner(struct py__coroutine *self, struct connect *state, PyObject *sent,
                                 PyObject **ret)
{
    PyObject *winner = PySequence_GetItem(sent, 0);
    if (!winner)
        return PY__RAISE;
    if (winner == Py_None) {
        Py_DECREF(winner);
        return raise_failures(state);
    }
    state->sock = winner;
    return join(self, state, ret);
}

static enum py__step take_try(struct py__coroutine *self, struct connect *state, PyObject *sent,
                              PyObject **ret)
{
    if (sent) {
        state->sock = Py_NewRef(sent);
        return join(self, state, ret);
    }
    if (!PyErr_ExceptionMatches(PyExc_OSError))
        return PY__RAISE;
    PyErr_Clear();
    return try_next(self, state, ret);
}

/* ---- the beginning and the end ---- */

/* The host is whom the certificate must be of. */
static int look_at_hostname(struct connect *state)
{
    PyObject **arguments = state->arguments;
    int secure = PyObject_IsTrue(arguments[SSL]);
    if (secure <= 0 || arguments[HOSTNAME] != Py_None)
        return secure < 0 ? -1 : 0;
    int named = PyObject_IsTrue(arguments[HOST]);
    if (named == 0)
        PyErr_SetString(PyExc_ValueError,
                        "You must set server_hostname when using ssl without a host");
    if (named <= 0)
        return -1;
    Py_SETREF(arguments[HOSTNAME], Py_NewRef(arguments[HOST]));
    return 0;
}

static enum py__step use_socket(struct py__coroutine *self, struct connect *state, PyObject **ret)
{
    PyObject *sock = state->arguments[SOCK];
    if (sock == Py_None)
        return refuse("host and port was not specified and no sock specified");
    if (py__check_stream(self->loop, sock, 0, "Stream Socket") < 0 ||
        py__set_not_blocking(self->loop, sock) < 0)
        return PY__RAISE;
    state->sock = Py_NewRef(sock);
    return join(self, state, ret);
}

static enum py__step start(struct py__coroutine *self, struct connect *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    struct py__secure secure = {arguments[SSL], arguments[HOSTNAME], arguments[HANDSHAKE],
                                arguments[SHUTDOWN]};
    if (py__check_secure(&secure) < 0 || look_at_hostname(state) < 0 ||
        (is_given(state, SOCK) && py__check_plain(self->loop, arguments[SOCK]) < 0))
        return PY__RAISE;
    if (!is_given(state, HOST) && !is_given(state, PORT))
        return use_socket(self, state, ret);
    if (is_given(state, SOCK))
        return refuse("host/port and sock can not be specified at the same time");
    self->at = RESOLVED;
    return resolve(self, state, arguments[HOST], arguments[PORT], ret);
}

/* Debug mode tells of connections. */
static enum py__step finish(struct py__coroutine *self, struct connect *state, PyObject *sent,
                            PyObject **ret)
{
    *ret = Py_NewRef(sent);
    if (likely(!self->loop->debug))
        return PY__RETURN;
    PyObject *transport = PyTuple_GET_ITEM(sent, 0);
    PyObject *sock = PyObject_CallMethod(transport, "get_extra_info", "s", "socket");
    int rc = sock ? py__log("debug", "(sOOOOO)", "%r connected to %s:%r: (%r, %r)", sock,
                            state->arguments[HOST], state->arguments[PORT], transport,
                            PyTuple_GET_ITEM(sent, 1))
                  : -1;
    Py_XDECREF(sock);
    if (rc < 0)
        Py_CLEAR(*ret);
    return *ret ? PY__RETURN : PY__RAISE;
}

/* What was found at once goes the way of what was awaited. */
static enum py__step take_addresses(struct py__coroutine *self, struct connect *state,
                                    PyObject *found, PyObject **ret)
{
    if (self->at == RESOLVED) {
        state->infos = as_addresses(found);
        if (!state->infos)
            return PY__RAISE;
        if (!is_given(state, LOCAL_ADDR))
            return try_all(self, state, ret);
        self->at = LOCAL_RESOLVED;
        return resolve_local(self, state, ret);
    }
    state->locals = as_addresses(found);
    return state->locals ? try_all(self, state, ret) : PY__RAISE;
}

static enum py__step go_on(struct py__coroutine *self, struct connect *state, PyObject *sent,
                           PyObject **ret)
{
    switch (self->at) {
    case START: return start(self, state, ret);
    case TRIED: return take_try(self, state, sent, ret);
    case RACED: return sent ? take_winner(self, state, sent, ret) : PY__RAISE;
    case JOINED: return sent ? finish(self, state, sent, ret) : PY__RAISE;
    default: return sent ? take_addresses(self, state, sent, ret) : PY__RAISE;
    }
}

static enum py__step connect_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct connect *state = py__coroutine_state(self);
    enum py__step step = go_on(self, state, sent, ret);
    while (step == PY__RETURN && self->at != JOINED) {
        PyObject *found = *ret;
        step = take_addresses(self, state, found, ret);
        Py_DECREF(found);
    }
    return step;
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop.create_connection",
    .step = connect_step,
    .state_size = sizeof(struct connect),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *create_connection(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                   PyObject *keywords)
{
    static const struct py__signature signature = {
        "create_connection",
        1,
        3,
        N_ARGUMENTS,
        {"protocol_factory", "host", "port", "ssl", "family", "proto", "flags", "sock",
         "local_addr", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout",
         "happy_eyeballs_delay", "interleave", "all_errors"}};
    PyObject *values[N_ARGUMENTS];
    for (int i = 0; i < N_ARGUMENTS; i++)
        values[i] = Py_None;
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), &kind);
    struct connect *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    return (PyObject *)self;
}

PyMethodDef py__loop_connect_methods[] = {
    {"create_connection", (PyCFunction)(void (*)(void))create_connection,
     METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("create_connection($self, protocol_factory, host=None, port=None, *, ssl=None, "
               "family=0, proto=0, flags=0, sock=None, local_addr=None, server_hostname=None, "
               "ssl_handshake_timeout=None, ssl_shutdown_timeout=None, happy_eyeballs_delay=None, "
               "interleave=None, all_errors=False)\n--\n\n"
               "Connect to a stream socket: (transport, protocol).")},
    {"_connect_sock", (PyCFunction)(void (*)(void))py__connect_sock, METH_FASTCALL | METH_KEYWORDS,
     NULL},
    {NULL, NULL, 0, NULL},
};
