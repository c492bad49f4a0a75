/* connect_read_pipe(), connect_write_pipe(). */
#include "arguments.h"
#include "coroutine.h"
#include "errors.h"
#include "pipe.h"

struct connect {
    PyObject *factory;
    PyObject *pipe;
    PyObject *protocol;
    PyObject *transport;
    bool reads;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct connect *state = data;
    Py_VISIT(state->factory);
    Py_VISIT(state->pipe);
    Py_VISIT(state->protocol);
    Py_VISIT(state->transport);
    return 0;
}

static void clear(void *data)
{
    struct connect *state = data;
    Py_CLEAR(state->factory);
    Py_CLEAR(state->pipe);
    Py_CLEAR(state->protocol);
    Py_CLEAR(state->transport);
}

static enum py__step begin(struct py__loop *loop, struct connect *state, PyObject **ret)
{
    state->protocol = PyObject_CallNoArgs(state->factory);
    PyObject *waiter = state->protocol ? py__loop_create_future(loop) : NULL;
    if (waiter)
        state->transport = py__pipe_new(loop, state->reads, state->pipe, state->protocol, waiter);
    if (state->transport) {
        *ret = waiter;
        return PY__AWAIT;
    }
    Py_XDECREF(waiter);
    return PY__RAISE;
}

static int log_connected(struct py__loop *loop, const struct connect *state)
{
    if (likely(!loop->debug))
        return 0;
    return py__log("debug", "(siOO)",
                   state->reads ? "Read pipe %r connected: (%r, %r)"
                                : "Write pipe %r connected: (%r, %r)",
                   py__transport(state->transport)->fd, state->transport, state->protocol);
}

static enum py__step step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct connect *state = py__coroutine_state(self);
    if (self->at++ == 0)
        return begin(self->loop, state, ret);
    if (!sent) {
        PyObject *exception = py__take_exception();
        if (py__transport_close(py__transport(state->transport)) < 0)
            PyErr_Clear();
        py__raise_again(exception);
        return PY__RAISE;
    }
    if (log_connected(self->loop, state) < 0)
        return PY__RAISE;
    *ret = PyTuple_Pack(2, state->transport, state->protocol);
    return *ret ? PY__RETURN : PY__RAISE;
}

static const struct py__coroutine_kind read_kind = {
    .name = "EventLoop.connect_read_pipe",
    .step = step,
    .state_size = sizeof(struct connect),
    .traverse = traverse,
    .clear = clear,
};

static const struct py__coroutine_kind write_kind = {
    .name = "EventLoop.connect_write_pipe",
    .step = step,
    .state_size = sizeof(struct connect),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *connect_pipe(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                              PyObject *keywords, bool reads)
{
    static const struct py__signature read_signature = {
        "connect_read_pipe", 2, 0, 2, {"protocol_factory", "pipe"}};
    static const struct py__signature write_signature = {
        "connect_write_pipe", 2, 0, 2, {"protocol_factory", "pipe"}};
    PyObject *values[2] = {NULL, NULL};
    if (py__take_arguments(reads ? &read_signature : &write_signature, arguments, n, keywords,
                           values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop),
                                                   reads ? &read_kind : &write_kind);
    if (!self)
        return NULL;
    struct connect *state = py__coroutine_state(self);
    state->factory = Py_NewRef(values[0]);
    state->pipe = Py_NewRef(values[1]);
    state->reads = reads;
    return (PyObject *)self;
}

static PyObject *connect_read_pipe(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                   PyObject *keywords)
{
    return connect_pipe(loop, arguments, n, keywords, true);
}

static PyObject *connect_write_pipe(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                    PyObject *keywords)
{
    return connect_pipe(loop, arguments, n, keywords, false);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

PyMethodDef py__loop_pipe_methods[] = {
    {"connect_read_pipe", FUNCTION(connect_read_pipe),
     PyDoc_STR("connect_read_pipe($self, protocol_factory, pipe)\n--\n\n"
               "Read from a pipe, a socket or a character device: (transport, protocol).")},
    {"connect_write_pipe", FUNCTION(connect_write_pipe),
     PyDoc_STR("connect_write_pipe($self, protocol_factory, pipe)\n--\n\n"
               "Write to a pipe, a socket or a character device: (transport, protocol).")},
    {NULL, NULL, 0, NULL},
};
