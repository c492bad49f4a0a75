/* sendfile(): what asyncio's method of that name asks of a loop that has the system call. */
#include "arguments.h"
#include "connect.h"
#include "errors.h"
#include "stream.h"

enum { TRANSPORT, FILE_, OFFSET, COUNT, N_ARGUMENTS };
enum { START, EMPTY, SENT };

struct sending {
    PyObject *arguments[N_ARGUMENTS];
    bool hidden; /* the transport's descriptor is ours to use */
    bool resumes;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct sending *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_VISIT(state->arguments[i]);
    return 0;
}

static void clear(void *data)
{
    struct sending *state = data;
    for (int i = 0; i < N_ARGUMENTS; i++)
        Py_CLEAR(state->arguments[i]);
}

static int call(PyObject *object, const char *method)
{
    PyObject *result = PyObject_CallMethod(object, method, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* sock_sendfile() is to find a descriptor that no transport has. */
static void hide(struct py__transport *transport, bool hidden)
{
    if (transport->file && !transport->closing)
        transport->file->taken = !hidden;
}

static enum py__step start(struct py__loop *loop, struct sending *state, PyObject **ret)
{
    PyObject *object = state->arguments[TRANSPORT];
    if (!PyObject_TypeCheck(object, loop->py->stream_type)) {
        PyErr_SetString(loop->py->std.SendfileNotAvailableError,
                        "sendfile syscall is not supported");
        return PY__RAISE;
    }
    struct py__transport *transport = py__transport(object);
    *ret = PyObject_CallMethod(object, "_make_empty_waiter", NULL);
    if (!*ret)
        return PY__RAISE;
    hide(transport, true);
    state->hidden = true;
    state->resumes = py__transport_is_reading(transport);
    if (call(object, "pause_reading") == 0)
        return PY__AWAIT;
    Py_CLEAR(*ret);
    return PY__RAISE;
}

static enum py__step send_file(struct py__loop *loop, struct sending *state, PyObject **ret)
{
    PyObject **arguments = state->arguments;
    PyObject *method = PyObject_GetAttrString((PyObject *)loop, "sock_sendfile");
    PyObject *sock = PyObject_GetAttrString(arguments[TRANSPORT], "_sock");
    PyObject *positional =
        sock ? PyTuple_Pack(4, sock, arguments[FILE_], arguments[OFFSET], arguments[COUNT]) : NULL;
    PyObject *keywords = Py_BuildValue("{s:O}", "fallback", Py_False);
    *ret = method && positional && keywords ? PyObject_Call(method, positional, keywords) : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(positional);
    Py_XDECREF(sock);
    Py_XDECREF(method);
    return *ret ? PY__AWAIT : PY__RAISE;
}

/* Whatever has come of it, the transport is as it was. */
static void restore(struct sending *state)
{
    if (!state->hidden)
        return;
    state->hidden = false;
    PyObject *exception = py__take_exception();
    PyObject *object = state->arguments[TRANSPORT];
    hide(py__transport(object), false);
    if (call(object, "_reset_empty_waiter") < 0 ||
        (state->resumes && call(object, "resume_reading") < 0))
        PyErr_WriteUnraisable(object);
    if (exception)
        py__raise_again(exception);
}

static enum py__step go_on(struct py__coroutine *self, struct sending *state, PyObject *sent,
                           PyObject **ret)
{
    if (!sent)
        return PY__RAISE;
    switch (self->at++) {
    case START: return start(self->loop, state, ret);
    case EMPTY: return send_file(self->loop, state, ret);
    default: *ret = Py_NewRef(sent); return PY__RETURN;
    }
}

static enum py__step sendfile_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct sending *state = py__coroutine_state(self);
    enum py__step step = go_on(self, state, sent, ret);
    if (step != PY__AWAIT)
        restore(state);
    return step;
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop._sendfile_native",
    .step = sendfile_step,
    .state_size = sizeof(struct sending),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *sendfile_native(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                 PyObject *keywords)
{
    static const struct py__signature signature = {
        "_sendfile_native", 4, 0, N_ARGUMENTS, {"transp", "file", "offset", "count"}};
    PyObject *values[N_ARGUMENTS] = {NULL};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__coroutine *self = py__coroutine_new(py__loop(loop), &kind);
    struct sending *state = self ? py__coroutine_state(self) : NULL;
    for (int i = 0; self && i < N_ARGUMENTS; i++)
        state->arguments[i] = Py_NewRef(values[i]);
    return (PyObject *)self;
}

PyMethodDef py__loop_sendfile_methods[] = {
    {"_sendfile_native", (PyCFunction)(void (*)(void))sendfile_native,
     METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};
