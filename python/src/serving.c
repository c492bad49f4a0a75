/* The coroutines of a server. */
#include "coroutine.h"
#include "errors.h"
#include "server.h"

struct server_call {
    struct py__server *server;
    PyObject *exception; /* is raised in the end */
};

static int traverse_call(void *data, visitproc visit, void *arg)
{
    struct server_call *state = data;
    Py_VISIT(state->server);
    Py_VISIT(state->exception);
    return 0;
}

static void clear_call(void *data)
{
    struct server_call *state = data;
    Py_CLEAR(state->server);
    Py_CLEAR(state->exception);
}

/* A wait for the end; NULL without an exception: there is nothing to wait for. */
static PyObject *wait_for_end(struct py__server *self)
{
#if PY_VERSION_HEX < 0x030C0000
    if (self->closed)
        return NULL;
#endif
    if (!self->waiters)
        return NULL;
    PyObject *waiter = py__loop_create_future(self->loop);
    if (waiter && PyList_Append(self->waiters, waiter) < 0)
        Py_CLEAR(waiter);
    return waiter;
}

/* Awaits what is given, or returns None if there is nothing. */
static enum py__step await_if_any(PyObject *awaitable, PyObject **ret)
{
    *ret = awaitable;
    if (awaitable)
        return PY__AWAIT;
    if (PyErr_Occurred())
        return PY__RAISE;
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static enum py__step return_none(PyObject *sent, PyObject **ret)
{
    if (!sent)
        return PY__RAISE;
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static enum py__step wait_closed_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct server_call *state = py__coroutine_state(self);
    if (self->at++)
        return return_none(sent, ret);
    return await_if_any(wait_for_end(state->server), ret);
}

static enum py__step start_serving_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct server_call *state = py__coroutine_state(self);
    if (self->at++)
        return return_none(sent, ret);
    if (py__server_start(state->server) < 0)
        return PY__RAISE;
    return await_if_any(py__call("asyncio", "sleep", "(i)", 0), ret);
}

static enum py__step serve(struct py__server *server, PyObject **ret)
{
    if (server->forever || server->closed) {
        PyErr_Format(PyExc_RuntimeError,
                     server->forever ? "server %R is already being awaited on serve_forever()"
                                     : "server %R is closed",
                     server);
        return PY__RAISE;
    }
    if (py__server_start(server) < 0)
        return PY__RAISE;
    server->forever = py__loop_create_future(server->loop);
    return await_if_any(Py_XNewRef(server->forever), ret);
}

/* It was canceled: the server is closed, its clients too; then the cancellation goes on. */
static enum py__step end_serving(struct server_call *state, PyObject **ret)
{
    struct py__server *server = state->server;
    Py_CLEAR(server->forever);
    if (!PyErr_ExceptionMatches(server->loop->py->std.CancelledError))
        return PY__RAISE;
    state->exception = py__take_exception();
    int rc = py__server_close(server);
#if PY_VERSION_HEX >= 0x030C0000
    if (rc == 0)
        rc = py__server_each_client(server, "close");
#endif
    *ret = rc == 0 ? wait_for_end(server) : NULL;
    if (*ret)
        return PY__AWAIT;
    PyErr_Clear();
    py__raise_again(Py_NewRef(state->exception));
    return PY__RAISE;
}

static enum py__step serve_forever_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct server_call *state = py__coroutine_state(self);
    switch (self->at++) {
    case 0: return serve(state->server, ret);
    case 1:
        if (!sent)
            return end_serving(state, ret);
        Py_CLEAR(state->server->forever);
        return return_none(sent, ret);
    default:
        PyErr_Clear();
        py__raise_again(Py_NewRef(state->exception));
        return PY__RAISE;
    }
}

static PyObject *new_call(PyObject *server, const struct py__coroutine_kind *kind)
{
    struct py__coroutine *self = py__coroutine_new(((struct py__server *)server)->loop, kind);
    if (self) {
        struct server_call *state = py__coroutine_state(self);
        state->server = (struct py__server *)Py_NewRef(server);
    }
    return (PyObject *)self;
}

#define KIND(method)                                                                               \
    PyObject *py__server_##method(PyObject *self, PyObject *unused)                                \
    {                                                                                              \
        static const struct py__coroutine_kind kind = {                                            \
            .name = "Server." #method,                                                             \
            .step = method##_step,                                                                 \
            .state_size = sizeof(struct server_call),                                              \
            .traverse = traverse_call,                                                             \
            .clear = clear_call,                                                                   \
        };                                                                                         \
        (void)unused;                                                                              \
        return new_call(self, &kind);                                                              \
    }
KIND(wait_closed)
KIND(start_serving)
KIND(serve_forever)
