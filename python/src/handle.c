/* Handles. */
#include "handle.h"

#include <structmember.h>

#include "errors.h"
#include "report.h"

static struct py__handle *handle_of(PyObject *self)
{
    return (struct py__handle *)self;
}

/* ---- memory ---- */

static struct py__spare *spare_of(struct py__module *py, const PyTypeObject *type)
{
    return type == py->handle_type ? &py->handles : &py->timer_handles;
}

static struct py__handle *take_spare(struct py__spare *spare)
{
    struct py__handle *self = spare->first;
    spare->first = (struct py__handle *)self->callback;
    spare->n--;
    self->callback = NULL;
    _Py_NewReference(&self->object);
    PyObject_GC_Track(&self->object);
    return self;
}

static struct py__handle *allocate(struct py__module *py, PyTypeObject *type)
{
    struct py__spare *spare = spare_of(py, type);
    return spare->first ? take_spare(spare) : (struct py__handle *)type->tp_alloc(type, 0);
}

/* Lets go of the call: at its cancellation, and with the handle. */
static void drop_call(struct py__handle *self)
{
    int n = self->n_arguments == PY__MANY ? 1 : self->n_arguments;
    self->n_arguments = 0;
    Py_CLEAR(self->callback);
    for (int i = 0; i < n; i++)
        Py_CLEAR(self->arguments[i]);
}

static int clear_handle(PyObject *object)
{
    struct py__handle *self = handle_of(object);
    drop_call(self);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->source_traceback);
    Py_CLEAR(self->repr);
    return 0;
}

static void dealloc_handle(PyObject *object)
{
    struct py__handle *self = handle_of(object);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    PyObject_ClearWeakRefs(object);
    struct py__module *py = self->loop ? self->loop->py : NULL;
    struct py__spare *spare = py && py->handle_type ? spare_of(py, type) : NULL;
    drop_call(self);
    Py_CLEAR(self->context);
    if (unlikely(self->source_traceback || self->repr)) {
        Py_CLEAR(self->source_traceback);
        Py_CLEAR(self->repr);
    }
    bool keep = spare && spare->n < PY__HANDLES_KEPT;
    if (keep) {
        self->callback = (PyObject *)spare->first;
        spare->first = self;
        spare->n++;
    }
    Py_CLEAR(self->loop);
    if (keep)
        return;
    type->tp_free(object);
    Py_DECREF(type);
}

static void free_spare(struct py__spare *spare)
{
    while (spare->first) {
        struct py__handle *self = spare->first;
        spare->first = (struct py__handle *)self->callback;
        PyTypeObject *type = Py_TYPE(&self->object);
        type->tp_free(self);
        Py_DECREF(type);
    }
    spare->n = PY__HANDLES_KEPT; /* nothing is kept from now on */
}

void py__handles_free(struct py__module *py)
{
    free_spare(&py->handles);
    free_spare(&py->timer_handles);
}

static int traverse_handle(PyObject *object, visitproc visit, void *arg)
{
    const struct py__handle *self = handle_of(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    Py_VISIT(self->source_traceback);
    int n = self->n_arguments == PY__MANY ? 1 : self->n_arguments;
    for (int i = 0; i < n; i++)
        Py_VISIT(self->arguments[i]);
    return 0;
}

/* ---- making and scheduling ---- */

static int take_arguments(struct py__handle *self, PyObject *const *arguments, Py_ssize_t n)
{
    if (likely(n <= PY__INLINE_ARGUMENTS)) {
        for (Py_ssize_t i = 0; i < n; i++)
            self->arguments[i] = Py_NewRef(arguments[i]);
        self->n_arguments = (int16_t)n;
        return 0;
    }
    PyObject *tuple = PyTuple_New(n);
    if (!tuple)
        return -1;
    for (Py_ssize_t i = 0; i < n; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(arguments[i]));
    self->arguments[0] = tuple;
    self->n_arguments = PY__MANY;
    return 0;
}

static int take_traceback(struct py__handle *self)
{
    PyObject *frame = (PyObject *)PyEval_GetFrame();
    self->source_traceback = PyObject_CallOneArg(self->loop->py->std.extract_stack,
                                                 frame ? frame : Py_None);
    return self->source_traceback ? 0 : -1;
}

struct py__handle *py__handle_new(struct py__loop *loop, PyTypeObject *type, PyObject *callback,
                                  PyObject *const *arguments, Py_ssize_t n, PyObject *context)
{
    context = likely(context != NULL) ? Py_NewRef(context) : PyContext_CopyCurrent();
    if (unlikely(!context))
        return NULL;
    struct py__handle *self = allocate(loop->py, type);
    if (unlikely(!self)) {
        Py_DECREF(context);
        return NULL;
    }
    self->context = context;
    self->loop = (struct py__loop *)Py_NewRef((PyObject *)loop);
    self->callback = Py_NewRef(callback);
    self->canceled = false;
    self->call.state = CIO__IDLE;
    self->call.fn = NULL;
    if (unlikely(take_arguments(self, arguments, n) < 0) ||
        (unlikely(loop->debug) && take_traceback(self) < 0)) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

struct py__handle *py__handle_again(struct py__handle *handle)
{
    PyTypeObject *type = handle->loop->py->handle_type;
    if (handle->n_arguments != PY__MANY)
        return py__handle_new(handle->loop, type, handle->callback, handle->arguments,
                              handle->n_arguments, handle->context);
    PyObject *arguments = handle->arguments[0];
    return py__handle_new(handle->loop, type, handle->callback, &PyTuple_GET_ITEM(arguments, 0),
                          PyTuple_GET_SIZE(arguments), handle->context);
}

static void fill_call(struct py__handle *self, cio_callback *fn)
{
    self->call.fn = fn;
    self->call.arg = self;
    self->call.loop = self->loop->loop;
    self->call.hint = self->callback;
}

void py__handle_call_soon(struct py__handle *self)
{
    fill_call(self, py__handle_call_once);
    cio__ready_push_last(&self->loop->loop->ready, &self->call);
}

int py__handle_schedule(struct py__loop *loop, PyObject *callback, PyObject *const *arguments,
                        Py_ssize_t n)
{
    struct py__handle *handle = py__handle_new(loop, loop->py->handle_type, callback, arguments, n,
                                               NULL);
    if (!handle)
        return -1;
    py__handle_call_soon(handle);
    return 0;
}

int py__handle_call_at(struct py__handle *self)
{
    fill_call(self, py__handle_call_once);
    int64_t when_ns = self->when == self->when ? cio__deadline_ns(self->when) : 0;
    int rc = cio__call_at_ns(self->loop->loop, &self->call, when_ns);
    if (likely(rc == 0))
        return 0;
    self->call.fn = NULL;
    Py_DECREF(self);
    py__raise_code(rc);
    return -1;
}

int py__handle_cancel(struct py__handle *self)
{
    if (self->canceled)
        return 0;
    self->canceled = true;
    if (unlikely(self->loop->debug) && !(self->repr = PyObject_Repr(&self->object)))
        return -1;
    bool queued = cio_handle_cancel(&self->call);
    if (!self->in_call)
        drop_call(self);
    if (queued)
        Py_DECREF(self);
    return 0;
}

/* ---- the call ---- */

static PyObject *arguments_as_tuple(const struct py__handle *self)
{
    if (self->n_arguments == PY__MANY)
        return Py_NewRef(self->arguments[0]);
    PyObject *tuple = PyTuple_New(self->n_arguments);
    for (int i = 0; tuple && i < self->n_arguments; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(self->arguments[i]));
    return tuple;
}

static PyObject *call_many(struct py__handle *self)
{
    PyObject *arguments = Py_NewRef(self->arguments[0]);
    PyObject *result = PyObject_CallObject(self->callback, arguments);
    Py_DECREF(arguments);
    return result;
}

/* A context that is none, but has a method run(). */
static PyObject *call_by_run(struct py__handle *self)
{
    PyObject *run = PyObject_GetAttr(self->context, self->loop->py->names.run);
    PyObject *arguments = run ? arguments_as_tuple(self) : NULL;
    PyObject *all = arguments ? PyTuple_New(PyTuple_GET_SIZE(arguments) + 1) : NULL;
    PyObject *result = NULL;
    if (all) {
        PyTuple_SET_ITEM(all, 0, Py_NewRef(self->callback));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments); i++)
            PyTuple_SET_ITEM(all, i + 1, Py_NewRef(PyTuple_GET_ITEM(arguments, i)));
        result = PyObject_CallObject(run, all);
    }
    Py_XDECREF(all);
    Py_XDECREF(arguments);
    Py_XDECREF(run);
    return result;
}

static inline PyObject *call_in_context(struct py__handle *self)
{
    if (unlikely(!PyContext_CheckExact(self->context)))
        return call_by_run(self);
    if (unlikely(PyContext_Enter(self->context) < 0))
        return NULL;
    PyObject *result;
    if (likely(self->n_arguments != PY__MANY))
        result = PyObject_Vectorcall(self->callback, self->arguments,
                                     (size_t)self->n_arguments | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                     NULL);
    else
        result = call_many(self);
    if (unlikely(PyContext_Exit(self->context) < 0))
        Py_CLEAR(result);
    return result;
}

/* asyncio's words for a callback, in its debug mode with its arguments. */
static PyObject *describe(const struct py__handle *self)
{
    const struct py__module *py = self->loop->py;
    PyObject *arguments = arguments_as_tuple(self);
    if (!arguments)
        return NULL;
    PyObject *keywords = NULL, *text = NULL;
    PyObject *both = PyTuple_Pack(2, self->callback, arguments);
    if (py->source_takes_debug)
        keywords = Py_BuildValue("{s:O}", "debug", self->loop->debug ? Py_True : Py_False);
    if (both && (keywords || !py->source_takes_debug))
        text = PyObject_Call(py->std._format_callback_source, both, keywords);
    Py_XDECREF(keywords);
    Py_XDECREF(both);
    Py_DECREF(arguments);
    return text;
}

void py__handle_report(struct py__handle *self)
{
    if (py__exception_leaves()) {
        py__loop_leave(self->loop);
        return;
    }
    PyObject *exception = py__take_exception();
    PyObject *text = describe(self);
    PyObject *message = text ? PyUnicode_FromFormat("Exception in callback %U", text) : NULL;
    Py_XDECREF(text);
    if (!message) {
        py__loop_leave(self->loop);
        Py_DECREF(exception);
        return;
    }
    struct py__report report = {.message = message,
                                .exception = exception,
                                .keys = {"handle", "source_traceback"},
                                .values = {&self->object, self->source_traceback}};
    py__report(self->loop, &report);
    Py_DECREF(message);
    Py_DECREF(exception);
}

void py__handle_run(struct py__handle *self)
{
    self->in_call = true;
    PyObject *result = call_in_context(self);
    self->in_call = false;
    if (likely(result != NULL))
        Py_DECREF(result);
    else
        py__handle_report(self);
    if (unlikely(self->canceled))
        drop_call(self);
}

void py__handle_call_once(void *arg)
{
    struct py__handle *self = arg;
    if (unlikely(self->loop->debug))
        py__run_watched(self);
    else
        py__handle_run(self);
    Py_DECREF(self);
}

void py__handle_call_watch(void *arg)
{
    struct py__handle *self = arg;
    Py_INCREF(self);
    py__handle_call_once(self);
}

/* ---- what Python sees ---- */

static PyObject *cancel(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (py__handle_cancel(handle_of(self)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(handle_of(self)->canceled);
}

static PyObject *get_context(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *context = handle_of(self)->context;
    return Py_NewRef(context ? context : Py_None);
}

static PyObject *run_now(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct py__handle *handle = handle_of(self);
    if (!handle->canceled)
        py__handle_run(handle);
    Py_RETURN_NONE;
}

static PyObject *get_when(PyObject *self, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(handle_of(self)->when);
}

static PyObject *when(PyObject *self, PyObject *unused)
{
    (void)unused;
    return get_when(self, NULL);
}

static PyObject *get_callback(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *callback = handle_of(self)->callback;
    return Py_NewRef(callback ? callback : Py_None);
}

static PyObject *get_arguments(PyObject *self, void *unused)
{
    (void)unused;
    const struct py__handle *handle = handle_of(self);
    return handle->callback ? arguments_as_tuple(handle) : Py_NewRef(Py_None);
}

static PyObject *get_cancelled(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(handle_of(self)->canceled);
}

static PyObject *get_scheduled(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(handle_of(self)->call.state == CIO__TIMER);
}

static PyObject *get_traceback(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *traceback = handle_of(self)->source_traceback;
    return Py_NewRef(traceback ? traceback : Py_None);
}

static PyObject *get_repr(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *repr = handle_of(self)->repr;
    return Py_NewRef(repr ? repr : Py_None);
}

static PyObject *get_loop(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *loop = (PyObject *)handle_of(self)->loop;
    return Py_NewRef(loop ? loop : Py_None);
}

static PyObject *get_context_field(PyObject *self, void *unused)
{
    (void)unused;
    return get_context(self, NULL);
}

#define METHODS                                                                                    \
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

static PyMethodDef handle_methods[] = {METHODS, {NULL, NULL, 0, NULL}};
static PyGetSetDef handle_fields[] = {FIELDS, {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "A call that the loop owes somebody."},
    {Py_tp_dealloc, dealloc_handle},
    {Py_tp_traverse, traverse_handle},
    {Py_tp_clear, clear_handle},
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

static PyMethodDef timer_methods[] = {
    METHODS,
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
    {Py_tp_dealloc, dealloc_handle},
    {Py_tp_traverse, traverse_handle},
    {Py_tp_clear, clear_handle},
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
