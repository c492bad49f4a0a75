/* One try to connect: a socket for one address. */
#include "attempt.h"

#include <sys/socket.h>

#include "arguments.h"
#include "connect.h"
#include "errors.h"

struct attempt {
    PyObject *failures; /* the list of lists of exceptions; ours is added */
    PyObject *info;     /* (family, type, proto, canonname, address) */
    PyObject *locals;   /* the addresses to be bound to, a list, or None */
    PyObject *mine;     /* a list of exceptions */
    PyObject *sock;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct attempt *state = data;
    Py_VISIT(state->failures);
    Py_VISIT(state->info);
    Py_VISIT(state->locals);
    Py_VISIT(state->mine);
    Py_VISIT(state->sock);
    return 0;
}

static void clear(void *data)
{
    struct attempt *state = data;
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

static enum py__step begin(struct py__coroutine *self, struct attempt *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    state->mine = PyList_New(0);
    if (!state->mine || PyList_Append(state->failures, state->mine) < 0 ||
        !(state->sock = open_socket(loop, state->info)) || bind_local(loop, state) < 0)
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
    return PY__RAISE;
}

static enum py__step attempt_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct attempt *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        enum py__step step = begin(self, state, ret);
        return step == PY__RAISE ? fail(self, state) : step;
    }
    if (!sent)
        return fail(self, state);
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

PyObject *py__attempt(struct py__loop *loop, PyObject *failures, PyObject *info, PyObject *locals)
{
    if (!PyTuple_Check(info) || PyTuple_GET_SIZE(info) != 5)
        return PyErr_Format(PyExc_ValueError, "an address of five parts was expected, got %R",
                            info);
    struct py__coroutine *self = py__coroutine_new(loop, &kind);
    if (!self)
        return NULL;
    struct attempt *state = py__coroutine_state(self);
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
    return py__attempt(py__loop(loop), values[0], values[1], values[2]);
}
