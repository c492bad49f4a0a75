/* Asynchronous generators: which there are, and their end. */
#include "coroutine.h"
#include "errors.h"
#include "loop.h"
#include "report.h"

static int call_with(PyObject *object, PyObject *name, PyObject *argument)
{
    PyObject *result = PyObject_CallMethodOneArg(object, name, argument);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

static PyObject *first_iteration(PyObject *object, PyObject *generator)
{
    struct py__loop *self = py__loop(object);
    if (self->asyncgens_shut_down) {
        PyObject *text = PyUnicode_FromFormat("asynchronous generator %R was scheduled after "
                                              "loop.shutdown_asyncgens() call",
                                              generator);
        int rc = text ? PyErr_ResourceWarning(object, 1, "%U", text) : -1;
        Py_XDECREF(text);
        if (rc < 0)
            return NULL;
    }
    if (self->asyncgens && call_with(self->asyncgens, self->py->names.add, generator) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Called wherever the generator is collected, perhaps in another thread. */
static PyObject *finalize(PyObject *object, PyObject *generator)
{
    struct py__loop *self = py__loop(object);
    const struct py__module *py = self->py;
    if (self->asyncgens && call_with(self->asyncgens, py->names.discard, generator) < 0)
        return NULL; /* there is none any more when the collector has taken the loop apart */
    if (self->closed)
        Py_RETURN_NONE;
    PyObject *create_task = PyObject_GetAttr(object, py->names.create_task);
    PyObject *closing = create_task ? PyObject_CallMethod(generator, "aclose", NULL) : NULL;
    PyObject *handle = closing ? PyObject_CallMethodObjArgs(object, py->names.call_soon_threadsafe,
                                                            create_task, closing, NULL)
                               : NULL;
    Py_XDECREF(closing);
    Py_XDECREF(create_task);
    if (!handle)
        return NULL;
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

/* ---- shutdown_asyncgens() ---- */

struct shutdown {
    PyObject *generators; /* a list */
};

/* gather(*[generator.aclose() for generator in generators], return_exceptions=True) */
static PyObject *close_all(const struct py__module *py, PyObject *generators)
{
    Py_ssize_t n = PyList_GET_SIZE(generators);
    PyObject *closing = PyTuple_New(n);
    for (Py_ssize_t i = 0; closing && i < n; i++) {
        PyObject *one = PyObject_CallMethod(PyList_GET_ITEM(generators, i), "aclose", NULL);
        if (!one)
            Py_CLEAR(closing);
        else
            PyTuple_SET_ITEM(closing, i, one);
    }
    PyObject *keywords = closing ? Py_BuildValue("{s:O}", "return_exceptions", Py_True) : NULL;
    PyObject *future = keywords ? PyObject_Call(py->std.gather, closing, keywords) : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(closing);
    return future;
}

static enum py__step begin(struct py__coroutine *self, struct shutdown *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    loop->asyncgens_shut_down = true;
    state->generators = PySequence_List(loop->asyncgens);
    if (!state->generators)
        return PY__RAISE;
    if (PyList_GET_SIZE(state->generators) == 0) {
        *ret = Py_NewRef(Py_None);
        return PY__RETURN;
    }
    PyObject *cleared = PyObject_CallMethodNoArgs(loop->asyncgens, loop->py->names.clear);
    *ret = cleared ? close_all(loop->py, state->generators) : NULL;
    Py_XDECREF(cleared);
    return *ret ? PY__AWAIT : PY__RAISE;
}

static void report(struct py__loop *loop, PyObject *generator, PyObject *exception)
{
    PyObject *message = PyUnicode_FromFormat(
        "an error occurred during closing of asynchronous generator %R", generator);
    if (!message) {
        py__loop_leave(loop);
        return;
    }
    struct py__report report = {
        .message = message, .exception = exception, .keys = {"asyncgen"}, .values = {generator}};
    py__report(loop, &report);
    Py_DECREF(message);
}

static enum py__step step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct shutdown *state = py__coroutine_state(self);
    if (self->at == 0) {
        self->at = 1;
        return begin(self, state, ret);
    }
    if (!sent)
        return PY__RAISE;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(sent); i++) {
        PyObject *result = PyList_GET_ITEM(sent, i);
        if (PyObject_TypeCheck(result, (PyTypeObject *)PyExc_Exception))
            report(self->loop, PyList_GET_ITEM(state->generators, i), result);
    }
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static int traverse(void *state, visitproc visit, void *arg)
{
    Py_VISIT(((struct shutdown *)state)->generators);
    return 0;
}

static void clear(void *state)
{
    Py_CLEAR(((struct shutdown *)state)->generators);
}

static const struct py__coroutine_kind shutdown_kind = {
    .name = "EventLoop.shutdown_asyncgens",
    .step = step,
    .state_size = sizeof(struct shutdown),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *shutdown_asyncgens(PyObject *self, PyObject *unused)
{
    (void)unused;
    return (PyObject *)py__coroutine_new(py__loop(self), &shutdown_kind);
}

PyMethodDef py__loop_asyncgen_methods[] = {
    {"shutdown_asyncgens", shutdown_asyncgens, METH_NOARGS,
     PyDoc_STR("shutdown_asyncgens($self, /)\n--\n\nClose all asynchronous generators.")},
    {"_asyncgen_firstiter_hook", first_iteration, METH_O, NULL},
    {"_asyncgen_finalizer_hook", finalize, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
