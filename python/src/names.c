/*
 * getaddrinfo(), getnameinfo(). What the C library would have to ask others for, it is asked for in
 * the default executor; an address that is a number already needs neither the one nor the other.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "arguments.h"
#include "coroutine.h"
#include "errors.h"
#include "names.h"

struct lookup {
    PyObject *arguments[PY__LOOKUP];
};

/* ---- numbers ---- */

struct number {
    int family;
    PyObject *host; /* borrowed: it is written as it is shown; else NULL, and text is set */
    char text[INET6_ADDRSTRLEN];
    int port;
};

static bool parse_host(PyObject *host, struct number *number)
{
    const char *text = NULL;
    if (PyUnicode_Check(host) && PyUnicode_IS_ASCII(host))
        text = (const char *)PyUnicode_1BYTE_DATA(host);
    else if (PyBytes_Check(host))
        text = PyBytes_AS_STRING(host);
    unsigned char address[sizeof(struct in6_addr)];
    number->host = NULL;
    if (!text)
        return false;
    if (inet_pton(AF_INET, text, address) == 1)
        number->family = AF_INET;
    else if (inet_pton(AF_INET6, text, address) == 1)
        number->family = AF_INET6;
    else
        return false;
    /* Of version 4 there is one way to write each, and to make the text anew takes longer than all else. */
    if (number->family == AF_INET && PyUnicode_CheckExact(host) &&
        (size_t)PyUnicode_GET_LENGTH(host) == strlen(text)) {
        number->host = host;
        return true;
    }
    return inet_ntop(number->family, address, number->text, sizeof number->text) != NULL;
}

static bool parse_digits(const char *text, Py_ssize_t size, int *ret)
{
    *ret = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || *ret > 6553)
            return false;
        *ret = *ret * 10 + (text[i] - '0');
    }
    return size > 0 && *ret <= 65535;
}

static bool parse_port(PyObject *port, int *ret)
{
    *ret = 0;
    if (!port || port == Py_None)
        return true;
    if (PyLong_CheckExact(port)) {
        int overflow;
        long number = PyLong_AsLongAndOverflow(port, &overflow);
        *ret = (int)number;
        return !overflow && number >= 0 && number <= 65535;
    }
    if (PyUnicode_Check(port) && PyUnicode_IS_ASCII(port))
        return parse_digits((const char *)PyUnicode_1BYTE_DATA(port), PyUnicode_GET_LENGTH(port),
                            ret);
    return PyBytes_Check(port) &&
           parse_digits(PyBytes_AS_STRING(port), PyBytes_GET_SIZE(port), ret);
}

static bool parse_int(PyObject *object, int *ret)
{
    *ret = 0;
    if (!object)
        return true;
    if (!PyLong_Check(object))
        return false;
    int overflow;
    long number = PyLong_AsLongAndOverflow(object, &overflow);
    *ret = (int)number;
    return !overflow && number == *ret;
}

/* What the C library makes of a kind and a protocol, for an address of a known family. */
struct kind {
    int type;
    int protocol;
};

static const struct kind kinds[] = {
    {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, IPPROTO_UDP}, {SOCK_RAW, 0}};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static bool fits(const struct kind *kind, int type, int protocol)
{
    return (!type || type == kind->type) && (!protocol || protocol == kind->protocol);
}

/* Takes the references; NULL if one of them is. */
static PyObject *tuple_of(PyObject *const *items, Py_ssize_t n)
{
    bool whole = true;
    for (Py_ssize_t i = 0; i < n; i++)
        whole = whole && items[i];
    PyObject *tuple = whole ? PyTuple_New(n) : NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (tuple)
            PyTuple_SET_ITEM(tuple, i, items[i]);
        else
            Py_XDECREF(items[i]);
    }
    return tuple;
}

static PyObject *make_address(const struct number *number)
{
    PyObject *host = number->host ? Py_NewRef(number->host) : PyUnicode_FromString(number->text);
    PyObject *port = PyLong_FromLong(number->port);
    if (number->family == AF_INET)
        return tuple_of((PyObject *[]){host, port}, 2);
    return tuple_of((PyObject *[]){host, port, PyLong_FromLong(0), PyLong_FromLong(0)}, 4);
}

/* As the module socket returns it: the numbers as members of its enumerations. */
static PyObject *make_entry(const struct py__module *py, const struct number *number,
                            const struct kind *kind)
{
    PyObject *family = number->family == AF_INET ? py->std.inet : py->std.inet6;
    PyObject *type = kind->type == SOCK_STREAM  ? py->std.stream
                     : kind->type == SOCK_DGRAM ? py->std.datagram
                                                : py->std.raw;
    return tuple_of((PyObject *[]){Py_NewRef(family), Py_NewRef(type),
                                   PyLong_FromLong(kind->protocol), PyUnicode_New(0, 0),
                                   make_address(number)},
                    5);
}

PyObject *py__numeric_addresses(const struct py__module *py, PyObject *const *arguments)
{
    struct number number;
    int family, type, protocol, flags;
    if (!parse_int(arguments[PY__FAMILY], &family) || !parse_int(arguments[PY__TYPE], &type) ||
        !parse_int(arguments[PY__PROTO], &protocol) || !parse_int(arguments[PY__FLAGS], &flags) ||
        (flags & ~(AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV)) ||
        (type && type != SOCK_STREAM && type != SOCK_DGRAM) ||
        !parse_host(arguments[PY__HOST], &number) ||
        !parse_port(arguments[PY__PORT], &number.port) || (family && family != number.family))
        return NULL;
    Py_ssize_t n = 0;
    for (size_t i = 0; i < N_KINDS; i++)
        n += fits(&kinds[i], type, protocol);
    PyObject *list = n ? PyList_New(n) : NULL;
    n = 0;
    for (size_t i = 0; list && i < N_KINDS; i++) {
        if (!fits(&kinds[i], type, protocol))
            continue;
        PyObject *entry = make_entry(py, &number, &kinds[i]);
        if (entry)
            PyList_SET_ITEM(list, n++, entry);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* ---- others ---- */

/* What the module socket has by that name now: programs replace it. NULL: an exception. */
static PyObject *current_function(const struct py__module *py, PyObject *name)
{
    PyObject *socket = PyDict_GetItemWithError(PyImport_GetModuleDict(), py->names.socket);
    if (socket)
        return PyObject_GetAttr(socket, name);
    return PyErr_Occurred() ? NULL : py__import("socket", PyUnicode_AsUTF8(name));
}

/* loop.run_in_executor(None, function, *arguments) */
static PyObject *run(PyObject *loop, PyObject *function, PyObject *const *arguments, int n)
{
    PyObject *method = PyObject_GetAttr(loop, py__loop(loop)->py->names.run_in_executor);
    PyObject *zero = PyLong_FromLong(0);
    PyObject *stack[PY__LOOKUP + 3] = {Py_None, function};
    for (int i = 0; i < n; i++)
        stack[2 + i] = arguments[i] ? arguments[i] : zero;
    PyObject *future = method && zero ? PyObject_Vectorcall(method, stack, (size_t)n + 2, NULL)
                                      : NULL;
    Py_XDECREF(zero);
    Py_XDECREF(method);
    return future;
}

/* In debug mode asyncio logs how long it took: by a method of its own loop, which asks ours. */
static PyObject *run_in_debug_mode(PyObject *loop, PyObject *const *arguments)
{
    PyObject *type = py__import("asyncio.base_events", "BaseEventLoop");
    PyObject *function = type ? PyObject_GetAttrString(type, "_getaddrinfo_debug") : NULL;
    PyObject *bound = function ? PyMethod_New(function, loop) : NULL;
    PyObject *future = bound ? run(loop, bound, arguments, PY__LOOKUP) : NULL;
    Py_XDECREF(bound);
    Py_XDECREF(function);
    Py_XDECREF(type);
    return future;
}

static enum py__step begin_addresses(struct py__coroutine *self, struct lookup *state,
                                     PyObject **ret)
{
    PyObject *loop = (PyObject *)self->loop;
    if (self->loop->debug) {
        *ret = run_in_debug_mode(loop, state->arguments);
        return *ret ? PY__AWAIT : PY__RAISE;
    }
    PyObject *function = current_function(self->loop->py, self->loop->py->names.getaddrinfo);
    if (!function)
        return PY__RAISE;
    if (function == self->loop->py->std.getaddrinfo)
        *ret = py__numeric_addresses(self->loop->py, state->arguments);
    enum py__step step = *ret ? PY__RETURN : PY__AWAIT;
    if (!*ret && !PyErr_Occurred())
        *ret = run(loop, function, state->arguments, PY__LOOKUP);
    Py_DECREF(function);
    return *ret ? step : PY__RAISE;
}

/* With both flags the C library asks nobody. */
static bool is_quick(PyObject *flags)
{
    int number;
    return parse_int(flags, &number) &&
           (number & (NI_NUMERICHOST | NI_NUMERICSERV)) == (NI_NUMERICHOST | NI_NUMERICSERV);
}

static enum py__step begin_names(struct py__coroutine *self, struct lookup *state, PyObject **ret)
{
    PyObject *function = current_function(self->loop->py, self->loop->py->names.getnameinfo);
    if (!function)
        return PY__RAISE;
    PyObject *address = state->arguments[0], *flags = state->arguments[1];
    enum py__step step = PY__AWAIT;
    if (flags && is_quick(flags)) {
        step = PY__RETURN;
        *ret = PyObject_CallFunctionObjArgs(function, address, flags, NULL);
    } else {
        *ret = run((PyObject *)self->loop, function, state->arguments, 2);
    }
    Py_DECREF(function);
    return *ret ? step : PY__RAISE;
}

static enum py__step step(struct py__coroutine *self, PyObject *sent, PyObject **ret,
                          enum py__step (*begin)(struct py__coroutine *, struct lookup *,
                                                 PyObject **))
{
    if (self->at++ == 0)
        return begin(self, py__coroutine_state(self), ret);
    if (!sent)
        return PY__RAISE;
    *ret = Py_NewRef(sent);
    return PY__RETURN;
}

static enum py__step addresses_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    return step(self, sent, ret, begin_addresses);
}

static enum py__step names_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    return step(self, sent, ret, begin_names);
}

static int traverse(void *data, visitproc visit, void *arg)
{
    struct lookup *state = data;
    for (int i = 0; i < PY__LOOKUP; i++)
        Py_VISIT(state->arguments[i]);
    return 0;
}

static void clear(void *data)
{
    struct lookup *state = data;
    for (int i = 0; i < PY__LOOKUP; i++)
        Py_CLEAR(state->arguments[i]);
}

static const struct py__coroutine_kind addresses_kind = {
    .name = "EventLoop.getaddrinfo",
    .step = addresses_step,
    .state_size = sizeof(struct lookup),
    .traverse = traverse,
    .clear = clear,
};

static const struct py__coroutine_kind names_kind = {
    .name = "EventLoop.getnameinfo",
    .step = names_step,
    .state_size = sizeof(struct lookup),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *new_lookup(PyObject *loop, const struct py__coroutine_kind *kind,
                            const struct py__signature *signature, PyObject *const *arguments,
                            Py_ssize_t n, PyObject *keywords)
{
    PyObject *values[PY__LOOKUP] = {NULL};
    if (py__take_arguments(signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), kind);
    struct lookup *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < PY__LOOKUP; i++)
        state->arguments[i] = Py_XNewRef(values[i]);
    return (PyObject *)self;
}

static PyObject *getaddrinfo_(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                              PyObject *keywords)
{
    static const struct py__signature signature = {
        "getaddrinfo", 2, 2, 6, {"host", "port", "family", "type", "proto", "flags"}};
    return new_lookup(self, &addresses_kind, &signature, arguments, n, keywords);
}

static PyObject *getnameinfo_(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                              PyObject *keywords)
{
    static const struct py__signature signature = {"getnameinfo", 1, 0, 2, {"sockaddr", "flags"}};
    return new_lookup(self, &names_kind, &signature, arguments, n, keywords);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f)

PyMethodDef py__loop_name_methods[] = {
    {"getaddrinfo", FUNCTION(getaddrinfo_), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("getaddrinfo($self, host, port, *, family=0, type=0, proto=0, flags=0)\n--\n\n"
               "socket.getaddrinfo() that does not block.")},
    {"getnameinfo", FUNCTION(getnameinfo_), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("getnameinfo($self, sockaddr, flags=0)\n--\n\n"
               "socket.getnameinfo() that does not block.")},
    {NULL, NULL, 0, NULL},
};

PyObject *py__found_addresses(PyObject *found)
{
    return found == Py_None ? PyList_New(0) : PySequence_List(found);
}
