/* What Python sees of handles. */
#include "handle.h"

static PyObject *cancel(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (py__handle_cancel(py__handle(self)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__handle(self)->canceled);
}

static PyObject *get_context(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *context = py__handle(self)->context;
    return Py_NewRef(context ? context : Py_None);
}

static PyObject *run_now(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct py__handle *handle = py__handle(self);
    if (!handle->canceled)
        py__handle_run(handle);
    Py_RETURN_NONE;
}

static PyObject *get_when(PyObject *self, void *unused)
{
    (void)unused;
    double when = py__handle(self)->when;
    return py__handle(self)->when_is_int ? PyLong_FromDouble(when) : PyFloat_FromDouble(when);
}

static PyObject *when(PyObject *self, PyObject *unused)
{
    (void)unused;
    return get_when(self, NULL);
}

static PyObject *get_callback(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *callback = py__handle(self)->callback;
    return Py_NewRef(callback ? callback : Py_None);
}

static PyObject *get_arguments(PyObject *self, void *unused)
{
    (void)unused;
    const struct py__handle *handle = py__handle(self);
    return handle->callback ? py__handle_arguments(handle) : Py_NewRef(Py_None);
}

static PyObject *get_cancelled(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__handle(self)->canceled);
}

static PyObject *get_scheduled(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__handle(self)->call.state == CIO__TIMER);
}

static PyObject *get_traceback(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *traceback = py__handle(self)->source_traceback;
    return Py_NewRef(traceback ? traceback : Py_None);
}

static PyObject *get_repr(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *repr = py__handle(self)->repr;
    return Py_NewRef(repr ? repr : Py_None);
}

static PyObject *get_loop(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *loop = (PyObject *)py__handle(self)->loop;
    return Py_NewRef(loop ? loop : Py_None);
}

static PyObject *get_context_field(PyObject *self, void *unused)
{
    (void)unused;
    return get_context(self, NULL);
}

#define METHODS(cancel, cancelled)                                                                 \
    {"cancel", cancel, METH_NOARGS, PyDoc_STR("The call will not be made.")},                      \
        {"cancelled", cancelled, METH_NOARGS, PyDoc_STR("Whether cancel() was called.")},          \
        {"get_context", get_context, METH_NOARGS, PyDoc_STR("The context of the call.")},          \
    {                                                                                              \
        "_run", run_now, METH_NOARGS, NULL                                                         \
    }

/* Private names by which asyncio's own methods, and some programs, know the inside of a handle. */
#define FIELDS                                                                                     \
    {"_callback", get_callback, NULL, NULL, NULL}, {"_args", get_arguments, NULL, NULL, NULL},     \
        {"_cancelled", get_cancelled, NULL, NULL, NULL}, {"_loop", get_loop, NULL, NULL, NULL},    \
        {"_repr", get_repr, NULL, NULL, NULL}, {"_context", get_context_field, NULL, NULL, NULL},  \
    {                                                                                              \
        "_source_traceback", get_traceback, NULL, NULL, NULL                                       \
    }

static PyMethodDef handle_methods[] = {METHODS(cancel, cancelled), {NULL, NULL, 0, NULL}};
static PyGetSetDef handle_fields[] = {FIELDS, {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "A call that the loop owes somebody."},
    {Py_tp_dealloc, py__handle_dealloc},
    {Py_tp_traverse, py__handle_traverse},
    {Py_tp_clear, py__handle_clear},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_fields},
    {0, NULL},
};

#define HANDLE_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION)

PyType_Spec py__handle_spec = {
    .name = "cio.Handle",
    .basicsize = sizeof(struct py__handle),
    .flags = HANDLE_FLAGS,
    .slots = handle_slots,
};

static PyObject *safe_cancel(PyObject *self, PyObject *unused)
{
    return py__safe_handle_wait(py__handle(self)) < 0 ? NULL : cancel(self, unused);
}

static PyObject *safe_cancelled(PyObject *self, PyObject *unused)
{
    return py__safe_handle_wait(py__handle(self)) < 0 ? NULL : cancelled(self, unused);
}

static PyMethodDef safe_methods[] = {METHODS(safe_cancel, safe_cancelled), {NULL, NULL, 0, NULL}};

static PyType_Slot safe_slots[] = {
    {Py_tp_doc, "A call that another thread has asked for."},
    {Py_tp_dealloc, py__handle_dealloc},
    {Py_tp_traverse, py__handle_traverse},
    {Py_tp_clear, py__handle_clear},
    {Py_tp_methods, safe_methods},
    {Py_tp_getset, handle_fields},
    {0, NULL},
};

PyType_Spec py__safe_handle_spec = {
    .name = "cio._ThreadSafeHandle",
    .basicsize = sizeof(struct py__safe_handle),
    .flags = HANDLE_FLAGS,
    .slots = safe_slots,
};

static PyMethodDef timer_methods[] = {
    METHODS(cancel, cancelled),
    {"when", when, METH_NOARGS, PyDoc_STR("When the call is due, by the loop's clock.")},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef timer_fields[] = {
    FIELDS,
    {"_when", get_when, NULL, NULL, NULL},
    {"_scheduled", get_scheduled, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc, "A call that the loop owes somebody at a given time."},
    {Py_tp_dealloc, py__handle_dealloc},
    {Py_tp_traverse, py__handle_traverse},
    {Py_tp_clear, py__handle_clear},
    {Py_tp_methods, timer_methods},
    {Py_tp_getset, timer_fields},
    {0, NULL},
};

PyType_Spec py__timer_handle_spec = {
    .name = "cio.TimerHandle",
    .basicsize = sizeof(struct py__handle),
    .flags = HANDLE_FLAGS,
    .slots = timer_slots,
};
