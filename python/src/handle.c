/* Handles. */
#include "handle.h"

#include "errors.h"
#include "report.h"

/* ---- memory ---- */

static struct py__spare *spare_of(struct py__module *py, const PyTypeObject *type)
{
    if (type == py->handle_type)
        return &py->handles;
    return type == py->timer_handle_type ? &py->timer_handles : &py->safe_handles;
}

static struct py__handle *take_spare(struct py__spare *spare)
{
    struct py__handle *self = spare->first;
    spare->first = (struct py__handle *)self->callback;
    spare->n--;
    self->callback = NULL;
    _Py_NewReference(&self->object);
    return self;
}

static struct py__handle *allocate(struct py__module *py, PyTypeObject *type)
{
    struct py__spare *spare = spare_of(py, type);
    if (likely(spare->first != NULL))
        return take_spare(spare);
    struct py__handle *self = PyObject_GC_New(struct py__handle, type);
    if (self) {
        memset(&self->object + 1, 0, (size_t)type->tp_basicsize - sizeof self->object);
        self->is_safe = type == py->safe_handle_type;
    }
    return self;
}

void py__handle_track(struct py__handle *self)
{
    if (self->tracked)
        return;
    self->tracked = true;
    PyObject_GC_Track(&self->object);
}

static void untrack(struct py__handle *self)
{
    if (!self->tracked)
        return;
    self->tracked = false;
    PyObject_GC_UnTrack(&self->object);
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

int py__handle_clear(PyObject *object)
{
    struct py__handle *self = py__handle(object);
    drop_call(self);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->source_traceback);
    Py_CLEAR(self->repr);
    return 0;
}

void py__handle_dealloc(PyObject *object)
{
    struct py__handle *self = py__handle(object);
    PyTypeObject *type = Py_TYPE(object);
    untrack(self);
    PyObject_ClearWeakRefs(object);
    struct py__module *py = self->loop ? self->loop->py : NULL;
    struct py__spare *spare = py && py->handle_type ? spare_of(py, type) : NULL;
    drop_call(self);
    Py_CLEAR(self->context);
    if (unlikely(self->source_traceback || self->repr)) {
        Py_CLEAR(self->source_traceback);
        Py_CLEAR(self->repr);
    }
    bool keep = spare && spare->n < PY__HANDLES_MOST;
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

static void free_some(struct py__spare *spare, int n)
{
    for (; n > 0 && spare->first; n--) {
        struct py__handle *self = spare->first;
        spare->first = (struct py__handle *)self->callback;
        spare->n--;
        PyTypeObject *type = Py_TYPE(&self->object);
        type->tp_free(self);
        Py_DECREF(type);
    }
}

static void trim_spare(struct py__spare *spare)
{
    int surplus = spare->n - PY__HANDLES_USUAL;
    if (unlikely(surplus > 0))
        free_some(spare, surplus / 16 + 1);
}

void py__handles_trim(struct py__module *py)
{
    trim_spare(&py->handles);
    trim_spare(&py->timer_handles);
    trim_spare(&py->safe_handles);
}

static void free_spare(struct py__spare *spare)
{
    free_some(spare, spare->n);
    spare->n = PY__HANDLES_MOST; /* nothing is kept from now on */
}

void py__handles_free(struct py__module *py)
{
    free_spare(&py->handles);
    free_spare(&py->timer_handles);
    free_spare(&py->safe_handles);
}

int py__handle_traverse(PyObject *object, visitproc visit, void *arg)
{
    const struct py__handle *self = py__handle(object);
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

static inline struct py__handle *new_handle(struct py__loop *loop, PyTypeObject *type,
                                            PyObject *callback, PyObject *const *arguments,
                                            Py_ssize_t n, PyObject *context)
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

struct py__handle *py__handle_new(struct py__loop *loop, PyTypeObject *type, PyObject *callback,
                                  PyObject *const *arguments, Py_ssize_t n, PyObject *context)
{
    struct py__handle *self = new_handle(loop, type, callback, arguments, n, context);
    if (likely(self != NULL))
        py__handle_track(self);
    return self;
}

struct py__handle *py__handle_new_soon(struct py__loop *loop, PyTypeObject *type,
                                       PyObject *callback, PyObject *const *arguments, Py_ssize_t n,
                                       PyObject *context)
{
    struct py__handle *self = new_handle(loop, type, callback, arguments, n, context);
    if (unlikely(!self))
        return NULL;
    if (likely(loop->running))
        untrack(self);
    else
        py__handle_track(self);
    py__handle_call_soon((struct py__handle *)Py_NewRef(self));
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

int py__handle_schedule_in(struct py__loop *loop, PyObject *context, PyObject *callback,
                           PyObject *const *arguments, Py_ssize_t n)
{
    struct py__handle *handle = py__handle_new(loop, loop->py->handle_type, callback, arguments, n,
                                               context);
    if (!handle)
        return -1;
    py__handle_call_soon(handle);
    return 0;
}

int py__handle_schedule(struct py__loop *loop, PyObject *callback, PyObject *const *arguments,
                        Py_ssize_t n)
{
    return py__handle_schedule_in(loop, NULL, callback, arguments, n);
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
    py__handle_track(self);
    if (queued)
        Py_DECREF(self);
    return 0;
}

/* ---- the call ---- */

PyObject *py__handle_arguments(const struct py__handle *self)
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
    PyObject *arguments = run ? py__handle_arguments(self) : NULL;
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
    PyObject *arguments = py__handle_arguments(self);
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
    if (unlikely(self->is_safe))
        py__safe_handle_begins(self);
    PyObject *result = call_in_context(self);
    self->in_call = false;
    if (unlikely(self->is_safe))
        py__safe_handle_ends(self);
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
    if (unlikely(Py_REFCNT(self) > 1))
        py__handle_track(self);
    Py_DECREF(self);
}

void py__handle_call_watch(void *arg)
{
    struct py__handle *self = arg;
    Py_INCREF(self);
    py__handle_call_once(self);
}
