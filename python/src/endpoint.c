/* create_datagram_endpoint(): addresses in pairs, and a socket of the first pair that works. */
#include <sys/socket.h>

#include "arguments.h"
#include "connect.h"
#include "datagram.h"
#include "errors.h"
#include "names.h"
#include "sock.h"

enum { FACTORY, LOCAL, REMOTE, FAMILY, PROTO, FLAGS, REUSE_PORT, BROADCAST, SOCK, N_ARGUMENTS };

enum { START, RESOLVED, CONNECTED, MADE };

struct endpoint {
    PyObject *arguments[N_ARGUMENTS];
    PyObject *infos;    /* a dict: (family, proto): [local, remote] */
    PyObject *pairs;    /* those of them that may do: a list of (family, proto, local, remote) */
    PyObject *failures; /* a list */
    PyObject *sock;
    PyObject *address; /* of the peer, or None */
    PyObject *transport, *protocol;
    Py_ssize_t next; /* of pairs, to be tried */
    int resolving;   /* LOCAL or REMOTE */
    bool named[2];   /* there is a local, a remote address */
    bool broadcast;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct endpoint *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    Py_VISIT(state->infos);
    Py_VISIT(state->pairs);
    Py_VISIT(state->failures);
    Py_VISIT(state->sock);
    Py_VISIT(state->address);
    Py_VISIT(state->transport);
    Py_VISIT(state->protocol);
    return 0;
}

static void clear(void *data)
{
    struct endpoint *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
    Py_CLEAR(state->infos);
    Py_CLEAR(state->pairs);
    Py_CLEAR(state->failures);
    Py_CLEAR(state->sock);
    Py_CLEAR(state->address);
    Py_CLEAR(state->transport);
    Py_CLEAR(state->protocol);
}

static int refuse(PyObject *type, const char *text)
{
    PyErr_SetString(type, text);
    return -1;
}

static bool is_given(const struct endpoint *state, int argument)
{
    return state->arguments[argument] != Py_None;
}

/* -1: an exception. */
static int is_true(const struct endpoint *state, int argument)
{
    return PyObject_IsTrue(state->arguments[argument]);
}

/* ---- a socket of the program's ---- */

/* Versions of 3.11 and 3.12 took no others than SOCK_DGRAM for a while. */
static int check_type(struct py__loop *loop, PyObject *sock)
{
    bool strict = Py_Version < 0x030B09F0 ||
                  (Py_Version >> 16 == 0x030C && Py_Version < 0x030C03F0);
    int type = py__int_attribute(sock, loop->py->names.type);
    if (type == -1 && PyErr_Occurred())
        return -1;
    if (strict ? type == SOCK_DGRAM : type != SOCK_STREAM)
        return 0;
    PyErr_Format(PyExc_ValueError, "A %s was expected, got %R",
                 strict ? "UDP Socket" : "datagram socket", sock);
    return -1;
}

static const char *const names[N_ARGUMENTS] = {
    [LOCAL] = "local_addr",
    [REMOTE] = "remote_addr",
    [FAMILY] = "family",
    [PROTO] = "proto",
    [FLAGS] = "flags",
    [REUSE_PORT] = "reuse_port",
    [BROADCAST] = "allow_broadcast",
};

/* A list of "name=value" of the arguments that do not go together with a socket. */
static PyObject *problems(const struct endpoint *state)
{
    PyObject *list = PyList_New(0);
    for (int i = LOCAL; list && i < SOCK; i++) {
        int given = is_true(state, i);
        if (given == 0)
            continue;
        PyObject *text = given < 0 ? NULL
                                   : PyUnicode_FromFormat("%s=%S", names[i], state->arguments[i]);
        if (!text || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

static int check_alone(const struct endpoint *state)
{
    PyObject *list = problems(state);
    if (!list || PyList_GET_SIZE(list) == 0) {
        Py_XDECREF(list);
        return list ? 0 : -1;
    }
    PyObject *comma = PyUnicode_FromString(", ");
    PyObject *joined = comma ? PyUnicode_Join(comma, list) : NULL;
    if (joined)
        PyErr_Format(PyExc_ValueError,
                     "socket modifier keyword arguments can not be used when sock is specified. "
                     "(%U)",
                     joined);
    Py_XDECREF(joined);
    Py_XDECREF(comma);
    Py_DECREF(list);
    return -1;
}

/* ---- pairs of addresses ---- */

/* Takes the references; those of the addresses may be borrowed. */
static int add_pair(struct endpoint *state, PyObject *family, PyObject *proto, PyObject *local,
                    PyObject *remote)
{
    PyObject *pair = PyTuple_Pack(4, family, proto, local, remote);
    int rc = pair ? PyList_Append(state->pairs, pair) : -1;
    Py_XDECREF(pair);
    return rc;
}

/* Those of infos that have what was asked for. */
static int join_pairs(struct endpoint *state)
{
    PyObject *key, *both;
    Py_ssize_t i = 0;
    while (PyDict_Next(state->infos, &i, &key, &both)) {
        PyObject *local = PyList_GET_ITEM(both, 0), *remote = PyList_GET_ITEM(both, 1);
        if ((state->named[0] && local == Py_None) || (state->named[1] && remote == Py_None))
            continue;
        if (add_pair(state, PyTuple_GET_ITEM(key, 0), PyTuple_GET_ITEM(key, 1), local, remote) < 0)
            return -1;
    }
    if (PyList_GET_SIZE(state->pairs) == 0)
        return refuse(PyExc_ValueError, "can not get address information");
    return 0;
}

static int add_info(struct endpoint *state, PyObject *info)
{
    PyObject *family, *type, *proto, *name, *address;
    PyObject *tuple = PySequence_Tuple(info);
    PyObject *key = NULL, *both = NULL;
    if (tuple && PyArg_ParseTuple(tuple, "OOOOO", &family, &type, &proto, &name, &address))
        key = PyTuple_Pack(2, family, proto);
    if (key && !(both = Py_XNewRef(PyDict_GetItemWithError(state->infos, key))) &&
        !PyErr_Occurred())
        both = Py_BuildValue("[OO]", Py_None, Py_None);
    int rc = both ? PyList_SetItem(both, state->resolving - LOCAL, Py_NewRef(address)) : -1;
    if (rc == 0)
        rc = PyDict_SetItem(state->infos, key, both);
    Py_XDECREF(both);
    Py_XDECREF(key);
    Py_XDECREF(tuple);
    return rc;
}

static int add_infos(struct endpoint *state, PyObject *found)
{
    PyObject *infos = py__found_addresses(found);
    if (!infos)
        return -1;
    int rc = 0;
    if (PyList_GET_SIZE(infos) == 0)
        rc = refuse(PyExc_OSError, "getaddrinfo() returned empty list");
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(infos); i++)
        rc = add_info(state, PyList_GET_ITEM(infos, i));
    Py_DECREF(infos);
    return rc;
}

/* Goes on with the addresses until one is to be awaited. 0: all are known. */
static int resolve(struct py__coroutine *self, struct endpoint *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    for (; state->resolving <= REMOTE; state->resolving++) {
        PyObject *address = arguments[state->resolving];
        if (address == Py_None)
            continue;
        if (!PyTuple_Check(address) || PyTuple_GET_SIZE(address) != 2)
            return refuse(PyExc_TypeError, "2-tuple is expected");
        PyObject *lookup[PY__LOOKUP] = {PyTuple_GET_ITEM(address, 0),
                                        PyTuple_GET_ITEM(address, 1),
                                        arguments[FAMILY],
                                        self->loop->py->std.datagram,
                                        arguments[PROTO],
                                        arguments[FLAGS]};
        int known = py__resolve(self->loop, lookup, ret);
        if (known <= 0)
            return known < 0 ? -1 : 1;
        int rc = add_infos(state, *ret);
        Py_CLEAR(*ret);
        if (rc < 0)
            return -1;
    }
    return join_pairs(state);
}

static int pair_of_paths(struct endpoint *state)
{
    PyObject **arguments = state->arguments;
    for (int i = LOCAL; i <= REMOTE; i++)
        if (is_given(state, i) && !PyUnicode_Check(arguments[i]))
            return refuse(PyExc_TypeError, "string is expected");
    if (py__is_file_path(arguments[LOCAL]) && py__remove_stale(arguments[LOCAL]) < 0)
        return -1;
    return add_pair(state, arguments[FAMILY], arguments[PROTO], arguments[LOCAL],
                    arguments[REMOTE]);
}

/* 1: *ret is to be awaited, 0: the pairs are there. */
static int find_pairs(struct py__coroutine *self, struct endpoint *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    for (int i = LOCAL; i <= REMOTE; i++) {
        int named = is_true(state, i);
        if (named < 0)
            return -1;
        state->named[i - LOCAL] = named;
    }
    state->resolving = LOCAL;
    state->infos = PyDict_New();
    state->pairs = PyList_New(0);
    state->failures = PyList_New(0);
    if (!state->infos || !state->pairs || !state->failures)
        return -1;
    if (!state->named[0] && !state->named[1]) {
        int any = PyObject_Not(arguments[FAMILY]);
        if (any > 0)
            return refuse(PyExc_ValueError, "unexpected address family");
        return any < 0 ? -1
                       : add_pair(state, arguments[FAMILY], arguments[PROTO], Py_None, Py_None);
    }
    int is_unix = PyObject_RichCompareBool(arguments[FAMILY], self->loop->py->std.unix_family,
                                           Py_EQ);
    if (is_unix)
        return is_unix < 0 ? -1 : pair_of_paths(state);
    return resolve(self, state, ret);
}

/* ---- a socket of ours ---- */

static int set_options(struct py__loop *loop, const struct endpoint *state)
{
    int reuse_port = is_true(state, REUSE_PORT);
    PyObject *done = NULL;
    if (reuse_port > 0)
        done = py__call("asyncio.base_events", "_set_reuseport", "(O)", state->sock);
    if (reuse_port < 0 || (reuse_port && !done))
        return -1;
    Py_XDECREF(done);
    if (state->broadcast) {
        done = PyObject_CallMethod(state->sock, "setsockopt", "iii", SOL_SOCKET, SO_BROADCAST, 1);
        if (!done)
            return -1;
        Py_DECREF(done);
    }
    return py__set_not_blocking(loop, state->sock);
}

/* socket.socket(family=, type=SOCK_DGRAM, proto=): that which asyncio finds when it is called. */
static PyObject *new_socket(const struct py__module *py, PyObject *family, PyObject *proto)
{
    PyObject *module = py__import("asyncio.base_events", "socket");
    PyObject *type = module ? PyObject_GetAttrString(module, "socket") : NULL;
    PyObject *nothing = type ? PyTuple_New(0) : NULL;
    PyObject *keywords = nothing ? Py_BuildValue("{s:O,s:O,s:O}", "family", family, "type",
                                                 py->std.datagram, "proto", proto)
                                 : NULL;
    PyObject *sock = keywords ? PyObject_Call(type, nothing, keywords) : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(nothing);
    Py_XDECREF(type);
    Py_XDECREF(module);
    return sock;
}

static int open_socket(struct py__loop *loop, struct endpoint *state, PyObject *pair)
{
    const struct py__module *py = loop->py;
    state->sock = new_socket(py, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    if (!state->sock || set_options(loop, state) < 0)
        return -1;
    if (!state->named[0])
        return 0;
    PyObject *bound = PyObject_CallMethodOneArg(state->sock, py->names.bind,
                                                PyTuple_GET_ITEM(pair, 2));
    Py_XDECREF(bound);
    return bound ? 0 : -1;
}

/* What is set is the failure of one pair; another follows. -1: it ends all. */
static int take_failure(struct py__loop *loop, struct endpoint *state)
{
    py__close_socket(loop, state->sock);
    Py_CLEAR(state->sock);
    if (!PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyObject *exception = py__take_exception();
    int rc = PyList_Append(state->failures, exception);
    Py_DECREF(exception);
    return rc;
}

/* ---- the transport ---- */

/* Debug mode tells of endpoints. */
static int log_endpoint(const struct endpoint *state)
{
    PyObject *const *arguments = state->arguments;
    int named = is_true(state, LOCAL);
    if (named > 0)
        return py__log("info", "(sOOOO)",
                       "Datagram endpoint local_addr=%r remote_addr=%r created: (%r, %r)",
                       arguments[LOCAL], arguments[REMOTE], state->transport, state->protocol);
    if (named < 0)
        return -1;
    return py__log("debug", "(sOOO)", "Datagram endpoint remote_addr=%r created: (%r, %r)",
                   arguments[REMOTE], state->transport, state->protocol);
}

static enum py__step make(struct py__coroutine *self, struct endpoint *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    self->at = MADE;
    state->protocol = PyObject_CallNoArgs(state->arguments[FACTORY]);
    PyObject *waiter = state->protocol ? py__loop_create_future(loop) : NULL;
    if (!waiter)
        return PY__RAISE;
    state->transport = PyObject_CallMethod((PyObject *)loop, "_make_datagram_transport", "OOOO",
                                           state->sock, state->protocol,
                                           state->address ? state->address : Py_None, waiter);
    if (state->transport && (!loop->debug || log_endpoint(state) == 0)) {
        *ret = waiter;
        return PY__AWAIT;
    }
    Py_DECREF(waiter);
    return PY__RAISE;
}

static enum py__step raise_first(const struct endpoint *state)
{
    PyObject *exception = PyList_GET_ITEM(state->failures, 0);
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    return PY__RAISE;
}

/* Tries pairs until one works or is to be awaited. */
static enum py__step try_pairs(struct py__coroutine *self, struct endpoint *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    while (state->next < PyList_GET_SIZE(state->pairs)) {
        PyObject *pair = PyList_GET_ITEM(state->pairs, state->next++);
        Py_CLEAR(state->address);
        if (open_socket(loop, state, pair) == 0) {
            if (state->named[1])
                state->address = Py_NewRef(PyTuple_GET_ITEM(pair, 3));
            if (!state->named[1] || state->broadcast)
                return make(self, state, ret);
            self->at = CONNECTED;
            *ret = PyObject_CallMethod((PyObject *)loop, "sock_connect", "OO", state->sock,
                                       state->address);
            if (*ret)
                return PY__AWAIT;
        }
        if (take_failure(loop, state) < 0)
            return PY__RAISE;
    }
    return raise_first(state);
}

/* ---- the coroutine ---- */

static enum py__step begin(struct py__coroutine *self, struct endpoint *state, PyObject **ret)
{
    PyObject *sock = state->arguments[SOCK];
    if (sock != Py_None) {
        if (check_type(self->loop, sock) < 0 || check_alone(state) < 0 ||
            py__set_not_blocking(self->loop, sock) < 0)
            return PY__RAISE;
        state->sock = Py_NewRef(sock);
        return make(self, state, ret);
    }
    int broadcast = is_true(state, BROADCAST);
    state->broadcast = broadcast > 0;
    self->at = RESOLVED;
    int rc = broadcast < 0 ? -1 : find_pairs(self, state, ret);
    if (rc != 0)
        return rc < 0 ? PY__RAISE : PY__AWAIT;
    return try_pairs(self, state, ret);
}

static enum py__step take_addresses(struct py__coroutine *self, struct endpoint *state,
                                    PyObject *found, PyObject **ret)
{
    if (add_infos(state, found) < 0)
        return PY__RAISE;
    state->resolving++;
    int rc = resolve(self, state, ret);
    if (rc != 0)
        return rc < 0 ? PY__RAISE : PY__AWAIT;
    return try_pairs(self, state, ret);
}

static enum py__step finish(struct py__coroutine *self, struct endpoint *state, PyObject *sent,
                            PyObject **ret)
{
    if (!sent) {
        py__close_socket(self->loop, state->transport);
        return PY__RAISE;
    }
    *ret = PyTuple_Pack(2, state->transport, state->protocol);
    return *ret ? PY__RETURN : PY__RAISE;
}

static enum py__step endpoint_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct endpoint *state = py__coroutine_state(self);
    switch (self->at) {
    case START: return begin(self, state, ret);
    case RESOLVED: return sent ? take_addresses(self, state, sent, ret) : PY__RAISE;
    case CONNECTED:
        if (sent)
            return make(self, state, ret);
        return take_failure(self->loop, state) < 0 ? PY__RAISE : try_pairs(self, state, ret);
    default: return finish(self, state, sent, ret);
    }
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop.create_datagram_endpoint",
    .step = endpoint_step,
    .state_size = sizeof(struct endpoint),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *create_datagram_endpoint(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                          PyObject *keywords)
{
    static const struct py__signature signature = {"create_datagram_endpoint",
                                                   1,
                                                   3,
                                                   N_ARGUMENTS,
                                                   {"protocol_factory", "local_addr", "remote_addr",
                                                    "family", "proto", "flags", "reuse_port",
                                                    "allow_broadcast", "sock"}};
    PyObject *zero = PyLong_FromLong(0); /* which never goes */
    PyObject *values[N_ARGUMENTS] = {NULL, Py_None, Py_None, zero,   zero,
                                     zero, Py_None, Py_None, Py_None};
    struct py__coroutine *self = NULL;
    if (zero && py__take_arguments(&signature, arguments, n, keywords, values) == 0)
        self = py__coroutine_new(py__loop(loop), &kind);
    struct endpoint *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    Py_XDECREF(zero);
    return (PyObject *)self;
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

PyMethodDef py__loop_endpoint_methods[] = {
    {"create_datagram_endpoint", FUNCTION(create_datagram_endpoint),
     PyDoc_STR("create_datagram_endpoint($self, protocol_factory, local_addr=None, "
               "remote_addr=None, *, family=0, proto=0, flags=0, reuse_port=None, "
               "allow_broadcast=None, sock=None)\n--\n\n"
               "A socket of datagrams: (transport, protocol).")},
    {"_make_datagram_transport", FUNCTION(py__make_datagram_transport), NULL},
    {NULL, NULL, 0, NULL},
};
