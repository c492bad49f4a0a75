/* One try to connect: a socket for one address. */
#include "attempt.h"

#include <errno.h>
#include <sys/socket.h>

#include "addresses.h"
#include "arguments.h"
#include "connect.h"
#include "coroutine.h"
#include "errors.h"
#include "os/kernel.h"
#include "sock.h"
#include "wait.h"

struct attempt {
    struct py__loop *loop; /* the coroutine's */
    PyObject *failures;    /* the list of lists of exceptions; ours is added */
    PyObject *info;        /* (family, type, proto, canonname, address) */
    PyObject *locals;      /* the addresses to be bound to, a list, or None */
    PyObject *mine;        /* a list of exceptions */
    PyObject *sock;        /* or, without an object: */
    int fd;                /* -1: none */
    bool raw;
    struct py__wait wait;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct attempt *state = data;
    Py_VISIT(state->failures);
    Py_VISIT(state->info);
    Py_VISIT(state->locals);
    Py_VISIT(state->mine);
    Py_VISIT(state->sock);
    Py_VISIT(state->wait.future);
    return 0;
}

/* The loop forgets it before its number is another's. */
static void close_raw(struct attempt *state)
{
    if (state->fd < 0)
        return;
    struct py__loop *loop = state->loop;
    struct cio__file *file = loop->closed ? NULL : cio__file_find(loop->loop, state->fd);
    py__wait_end(&state->wait);
    if (file)
        cio__file_renew(loop->loop, file);
    cio__kernel_close_fd(NULL, state->fd);
    state->fd = -1;
}

static void clear(void *data)
{
    struct attempt *state = data;
    close_raw(state);
    py__wait_end(&state->wait);
    Py_CLEAR(state->failures);
    Py_CLEAR(state->info);
    Py_CLEAR(state->locals);
    Py_CLEAR(state->mine);
    Py_CLEAR(state->sock);
}

/* It does not block from the beginning. */
static PyObject *open_socket(struct py__loop *loop, PyObject *info)
{
    long type = PyLong_AsLong(PyTuple_GET_ITEM(info, 1));
    if (type == -1 && PyErr_Occurred())
        return NULL;
    return PyObject_CallFunction(loop->py->std.socket, "OlO", PyTuple_GET_ITEM(info, 0),
                                 type | SOCK_NONBLOCK, PyTuple_GET_ITEM(info, 2));
}

/* Keeps the OSError that is set. -1: it is none. */
static int note_failure(struct attempt *state)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyObject *exception = py__take_exception();
    int rc = PyList_Append(state->mine, exception);
    Py_DECREF(exception);
    return rc;
}

/* The last of our failures, or, if there is none, that no address was of the family. */
static void raise_unbound(struct attempt *state)
{
    Py_ssize_t n = PyList_GET_SIZE(state->mine);
    if (n == 0) {
        PyErr_Format(PyExc_OSError, "no matching local address with family=%R found",
                     PyTuple_GET_ITEM(state->info, 0));
        return;
    }
    PyObject *last = Py_NewRef(PyList_GET_ITEM(state->mine, n - 1));
    if (PyList_SetSlice(state->mine, n - 1, n, NULL) == 0)
        PyErr_SetObject((PyObject *)Py_TYPE(last), last);
    Py_DECREF(last);
}

/* 1: bound. 0: that was nothing. */
static int bind_one(struct py__loop *loop, struct attempt *state, PyObject *local)
{
    int same = PyObject_RichCompareBool(PyTuple_GET_ITEM(local, 0),
                                        PyTuple_GET_ITEM(state->info, 0), Py_EQ);
    if (same <= 0)
        return same;
    PyObject *address = PyTuple_GET_ITEM(local, 4);
    PyObject *result = PyObject_CallMethodOneArg(state->sock, loop->py->names.bind, address);
    if (result) {
        Py_DECREF(result);
        return 1;
    }
    if (PyErr_ExceptionMatches(PyExc_OSError))
        py__raise_bind_error(address);
    return note_failure(state);
}

static int bind_local(struct py__loop *loop, struct attempt *state)
{
    if (state->locals == Py_None)
        return 0;
    int rc = 0;
    PyObject *locals = PySequence_Fast(state->locals, "addresses are a list");
    for (Py_ssize_t i = 0; locals && rc == 0 && i < PySequence_Fast_GET_SIZE(locals); i++)
        rc = bind_one(loop, state, PySequence_Fast_GET_ITEM(locals, i));
    if (locals && rc == 0)
        raise_unbound(state);
    Py_XDECREF(locals);
    return rc > 0 ? 0 : -1;
}

/* ---- without an object ---- */

static enum py__step raise_code(int code)
{
    py__raise_code(code);
    return PY__RAISE;
}

/* Nothing is known of the number; that it can be read from, the kernel will say. */
static int own(struct py__loop *loop, int fd)
{
    struct cio__file *file = cio__file_get(loop->loop, fd);
    if (!file)
        return cio__file_missing(loop->loop, fd);
    cio__file_renew(loop->loop, file);
    file->owned_in = loop->loop->runs;
    cio__file_would_block(file, CIO__READ);
    return 0;
}

static enum py__step begin_raw(struct py__loop *loop, struct attempt *state,
                               const union py__address *address, PyObject **ret)
{
    struct cio__os *os = loop->loop->os;
    long type = PyLong_AsLong(PyTuple_GET_ITEM(state->info, 1));
    long protocol = PyLong_AsLong(PyTuple_GET_ITEM(state->info, 2));
    if (PyErr_Occurred())
        return PY__RAISE;
    state->fd = os->ops->socket(os, address->family, (int)type, (int)protocol);
    if (state->fd < 0)
        return raise_code(state->fd);
    int rc = own(loop, state->fd);
    if (rc == 0)
        rc = os->ops->connect(os, state->fd, &address->any, py__address_size(address));
    if (rc == 0) {
        *ret = PyLong_FromLong(state->fd);
        return PY__RETURN;
    }
    if (rc != -EINPROGRESS && rc != -EAGAIN)
        return raise_code(rc);
    *ret = py__wait_begin(&state->wait, loop, state->fd, CIO__WRITE);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step end_raw(struct attempt *state, PyObject **ret)
{
    struct cio__os *os = state->loop->loop->os;
    py__wait_end(&state->wait);
    int rc = os->ops->socket_error(os, state->fd);
    if (rc < 0) {
        py__raise_refusal(rc, PyTuple_GET_ITEM(state->info, 4));
        return PY__RAISE;
    }
    *ret = PyLong_FromLong(state->fd);
    return *ret ? PY__RETURN : PY__RAISE;
}

static bool is_overridden(struct py__loop *loop)
{
    const struct py__module *py = loop->py;
    PyObject *method = PyObject_GetAttr((PyObject *)loop, py->names.sock_connect);
    PyObject *ours = PyObject_GetAttr((PyObject *)py->loop_type, py->names.sock_connect);
    if (!method || !ours)
        PyErr_Clear();
    bool is_ours = method && ours && PyMethod_Check(method) &&
                   PyMethod_GET_FUNCTION(method) == ours;
    Py_XDECREF(method);
    Py_XDECREF(ours);
    return !is_ours;
}

/* Who overrides sock_connect() is to see the sockets. */
static bool may_be_raw(const struct attempt *state, union py__address *address)
{
    long family = PyLong_AsLong(PyTuple_GET_ITEM(state->info, 0));
    if (family == -1)
        PyErr_Clear();
    return state->raw && state->locals == Py_None &&
           py__address_parse((int)family, PyTuple_GET_ITEM(state->info, 4), address) &&
           !is_overridden(state->loop);
}

/* ---- the coroutine ---- */

static enum py__step begin(struct py__coroutine *self, struct attempt *state, PyObject **ret)
{
    union py__address address;
    struct py__loop *loop = self->loop;
    state->mine = PyList_New(0);
    if (!state->mine || PyList_Append(state->failures, state->mine) < 0)
        return PY__RAISE;
    if (may_be_raw(state, &address))
        return begin_raw(loop, state, &address, ret);
    if (!(state->sock = open_socket(loop, state->info)) || bind_local(loop, state) < 0)
        return PY__RAISE;
    *ret = PyObject_CallMethod((PyObject *)loop, "sock_connect", "OO", state->sock,
                               PyTuple_GET_ITEM(state->info, 4));
    return *ret ? PY__AWAIT : PY__RAISE;
}

static enum py__step fail(struct py__coroutine *self, struct attempt *state)
{
    if (PyErr_ExceptionMatches(PyExc_OSError) && state->mine) {
        PyObject *exception = py__take_exception();
        if (PyList_Append(state->mine, exception) == 0)
            py__raise_again(Py_NewRef(exception));
        Py_DECREF(exception);
    }
    py__close_socket(self->loop, state->sock);
    close_raw(state);
    return PY__RAISE;
}

/* A descriptor that is returned is no longer ours. */
static enum py__step give(struct py__coroutine *self, struct attempt *state, enum py__step step)
{
    if (step == PY__RAISE)
        return fail(self, state);
    if (step == PY__RETURN)
        state->fd = -1;
    return step;
}

static enum py__step attempt_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct attempt *state = py__coroutine_state(self);
    if (self->at++ == 0)
        return give(self, state, begin(self, state, ret));
    if (!sent)
        return fail(self, state);
    if (state->fd >= 0)
        return give(self, state, end_raw(state, ret));
    *ret = Py_NewRef(state->sock);
    return PY__RETURN;
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop._connect_sock",
    .step = attempt_step,
    .state_size = sizeof(struct attempt),
    .traverse = traverse,
    .clear = clear,
};

PyObject *py__attempt(struct py__loop *loop, PyObject *failures, PyObject *info, PyObject *locals,
                      bool raw)
{
    if (!PyTuple_Check(info) || PyTuple_GET_SIZE(info) != 5)
        return PyErr_Format(PyExc_ValueError, "an address of five parts was expected, got %R",
                            info);
    struct py__coroutine *self = py__coroutine_new(loop, &kind);
    if (!self)
        return NULL;
    struct attempt *state = py__coroutine_state(self);
    state->loop = loop;
    state->fd = -1;
    state->raw = raw;
    state->failures = Py_NewRef(failures);
    state->info = Py_NewRef(info);
    state->locals = Py_NewRef(locals);
    return (PyObject *)self;
}

PyObject *py__connect_sock(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords)
{
    static const struct py__signature signature = {
        "_connect_sock", 2, 0, 3, {"exceptions", "addr_info", "local_addr_infos"}};
    PyObject *values[3] = {NULL, NULL, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    return py__attempt(py__loop(loop), values[0], values[1], values[2], false);
}
