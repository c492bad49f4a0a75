/* The loop's life, and the type. */
#include "loop.h"

#include <structmember.h>

#include "clock.h"
#include "errors.h"
#include "handle.h"
#include "run.h"
#include "process.h"
#include "server.h"
#include "signals.h"
#include "transport.h"

/* ---- what is pending ---- */

static int visit_ready(struct cio__ready *ready, int (*visit)(cio_handle *, void *), void *arg)
{
    for (uint64_t i = ready->head; i != ready->tail; i++) {
        cio_handle *handle = ready->slots[i & ready->mask];
        int rc = handle && py__handle_is_once(handle) ? visit(handle, arg) : 0;
        if (rc)
            return rc;
    }
    for (cio_handle *handle = ready->overflow; handle; handle = handle->next) {
        int rc = py__handle_is_once(handle) ? visit(handle, arg) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int py__loop_visit_ready(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg)
{
    return self->loop && !self->closed ? visit_ready(&self->loop->ready, visit, arg) : 0;
}

int py__loop_visit_timers(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg)
{
    uint32_t n = self->loop && !self->closed ? self->loop->timers.n : 0;
    for (uint32_t i = 0; i < n; i++) {
        cio_handle *handle = self->loop->timers.heap[i].handle;
        int rc = py__handle_is_once(handle) ? visit(handle, arg) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int visit_watch(cio_handle *handle, int (*visit)(cio_handle *, void *), void *arg)
{
    return handle && handle->fn == py__handle_call_watch ? visit(handle, arg) : 0;
}

int py__loop_visit_watches(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg)
{
    size_t n = self->loop && !self->closed ? self->loop->files.n_blocks : 0;
    for (size_t i = 0; i < n; i++) {
        struct cio__file *block = self->loop->files.blocks[i];
        for (int k = 0; block && k < CIO__FILES_A_BLOCK; k++)
            for (int direction = 0; direction < 2; direction++) {
                int rc = visit_watch(block[k].watch[direction], visit, arg);
                if (rc)
                    return rc;
            }
    }
    return 0;
}

static int visit_all(struct py__loop *self, int (*visit)(cio_handle *, void *), void *arg)
{
    int rc = py__loop_visit_ready(self, visit, arg);
    if (rc == 0)
        rc = py__loop_visit_timers(self, visit, arg);
    return rc ? rc : py__loop_visit_watches(self, visit, arg);
}

static int append(cio_handle *handle, void *list)
{
    return PyList_Append(list, handle->arg);
}

/* A list of the queue's references is made first: what they drop may call the loop. */
static void close_core(struct py__loop *self)
{
    py__signals_free(self);
    PyObject *pending = PyList_New(0);
    if (!pending || visit_all(self, append, pending) < 0)
        PyErr_Clear(); /* they leak rather than be lost in the middle */
    if (pending) {
        py__servers_forget(self, pending);
        py__children_forget(self, pending);
        py__transports_forget(self, pending);
    }
    self->closed = self->checked = true;
    cio_loop_close(self->loop);
    for (Py_ssize_t i = 0; pending && i < PyList_GET_SIZE(pending); i++)
        Py_DECREF(PyList_GET_ITEM(pending, i));
    Py_XDECREF(pending);
    Py_CLEAR(self->watched);
}

/* ---- life ---- */

static PyObject *new_loop(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)arguments;
    (void)keywords;
    PyObject *module = PyType_GetModuleByDef(type, &py__module_def);
    struct py__loop *self = module ? (struct py__loop *)type->tp_alloc(type, 0) : NULL;
    if (!self)
        return NULL;
    self->py = PyModule_GetState(module);
    self->closed = self->checked = true; /* until it is open */
    cio__ring_init(&self->servers);
    cio__ring_init(&self->children);
    cio_loop_options options = {.turn_budget = CIO_FOREVER};
    self->loop = cio_loop_new(&options);
    if (!self->loop) {
        py__raise_code(cio_last_error());
        Py_DECREF(self);
        return NULL;
    }
    py__run_prepare(self);
    self->slow_callback_duration = PyFloat_FromDouble(0.1);
    self->asyncgens = PyObject_CallNoArgs(self->py->std.WeakSet);
    self->signal_handlers = PyDict_New();
    PyObject *debug = PyObject_CallNoArgs(self->py->std._is_debug_mode);
    int on = debug ? PyObject_IsTrue(debug) : -1;
    Py_XDECREF(debug);
    if (!self->slow_callback_duration || !self->asyncgens || !self->signal_handlers || on < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->closed = false;
    self->debug = self->checked = on;
    return (PyObject *)self;
}

static int init_loop(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(arguments) == 0 && (!keywords || PyDict_GET_SIZE(keywords) == 0))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes no arguments", Py_TYPE(self)->tp_name);
    return -1;
}

static int visit_handle(cio_handle *handle, void *arg)
{
    struct {
        visitproc visit;
        void *arg;
    } *visitor = arg;
    return visitor->visit(handle->arg, visitor->arg);
}

static int traverse_loop(PyObject *object, visitproc visit, void *arg)
{
    struct py__loop *self = py__loop(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->exception);
    Py_VISIT(self->slow_callback_duration);
    Py_VISIT(self->task_factory);
    Py_VISIT(self->exception_handler);
    Py_VISIT(self->default_executor);
    Py_VISIT(self->asyncgens);
    Py_VISIT(self->signal_handlers);
    Py_VISIT(self->current_handle);
    Py_VISIT(self->watched);
    Py_VISIT(self->origin_tracking_depth);
    struct {
        visitproc visit;
        void *arg;
    } visitor = {visit, arg};
    Py_VISIT(self->child_watcher);
    int rc = py__servers_visit(self, visit, arg);
    if (rc == 0)
        rc = py__children_visit(self, visit, arg);
    if (rc == 0)
        rc = py__transports_visit(self, visit, arg);
    return rc ? rc : visit_all(self, visit_handle, &visitor);
}

static int clear_loop(PyObject *object)
{
    struct py__loop *self = py__loop(object);
    if (!self->closed)
        close_core(self);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->slow_callback_duration);
    Py_CLEAR(self->task_factory);
    Py_CLEAR(self->exception_handler);
    Py_CLEAR(self->default_executor);
    Py_CLEAR(self->asyncgens);
    Py_CLEAR(self->signal_handlers);
    Py_CLEAR(self->current_handle);
    Py_CLEAR(self->watched);
    Py_CLEAR(self->origin_tracking_depth);
    Py_CLEAR(self->child_watcher);
    return 0;
}

static void dealloc_loop(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    clear_loop(object);
    cio_loop_free(py__loop(object)->loop);
    PyMem_Free(py__loop(object)->read_buffer);
    PyMem_RawFree(py__loop(object)->batch);
    type->tp_free(object);
    Py_DECREF(type);
}

static void finalize_loop(PyObject *object)
{
    if (py__loop(object)->closed)
        return;
    PyObject *exception = py__take_exception();
    if (PyErr_ResourceWarning(object, 1, "unclosed event loop %R", object) < 0)
        PyErr_WriteUnraisable(object);
    if (!py__loop(object)->running) {
        PyObject *result = PyObject_CallMethodNoArgs(object, py__loop(object)->py->names.close);
        if (!result)
            PyErr_WriteUnraisable(object);
        Py_XDECREF(result);
    }
    if (exception)
        py__raise_again(exception);
}

static int set_attribute(PyObject *self, PyObject *name, PyObject *value)
{
    int rc = PyObject_GenericSetAttr(self, name, value);
    if (rc == 0 && PyUnicode_Check(name))
        py__clock_attribute_changed(py__loop(self), name, value != NULL);
    return rc;
}

/* ---- closing ---- */

static int close_executor(struct py__loop *self)
{
    self->executor_shut_down = true;
    PyObject *executor = self->default_executor;
    if (!executor)
        return 0;
    self->default_executor = NULL;
    PyObject *shutdown = PyObject_GetAttr(executor, self->py->names.shutdown);
    PyObject *keywords = Py_BuildValue("{s:O}", "wait", Py_False);
    PyObject *none = PyTuple_New(0);
    PyObject *result = NULL;
    if (shutdown && keywords && none)
        result = PyObject_Call(shutdown, none, keywords);
    Py_XDECREF(none);
    Py_XDECREF(keywords);
    Py_XDECREF(shutdown);
    Py_DECREF(executor);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

static PyObject *close_loop(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__loop *self = py__loop(object);
    if (self->running) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    if (self->closed)
        Py_RETURN_NONE;
    if (self->debug && py__log("debug", "(sO)", "Close %r", object) < 0)
        return NULL;
    int rc = py__signals_close(self);
    PyObject *exception = py__take_exception();
    close_core(self);
    if (exception)
        py__raise_again(exception);
    else
        rc = close_executor(self);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- questions ---- */

int py__loop_check_closed(struct py__loop *self)
{
    if (likely(!self->closed))
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return -1;
}

static int check_thread(const struct py__loop *self)
{
    if (!self->running || PyThread_get_thread_ident() == self->thread_id)
        return 0;
    PyErr_SetString(
        PyExc_RuntimeError,
        "Non-thread-safe operation invoked on an event loop other than the current one");
    return -1;
}

static int is_true_of(PyObject *predicate, PyObject *object)
{
    PyObject *result = PyObject_CallOneArg(predicate, object);
    int truth = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

int py__loop_check_callback(struct py__loop *self, PyObject *callback, const char *method)
{
    int rc = is_true_of(self->py->std.iscoroutine, callback);
    if (rc == 0)
        rc = is_true_of(self->py->std.iscoroutinefunction, callback);
    if (rc > 0)
        PyErr_Format(PyExc_TypeError, "coroutines cannot be used with %s()", method);
    else if (rc == 0 && !PyCallable_Check(callback))
        PyErr_Format(PyExc_TypeError, "a callable object was expected by %s(), got %R", method,
                     callback);
    return PyErr_Occurred() ? -1 : 0;
}

int py__loop_check_call(struct py__loop *self, PyObject *callback, const char *method,
                        bool any_thread)
{
    if (py__loop_check_closed(self) < 0)
        return -1;
    if (!self->debug || !method)
        return 0;
    if (!any_thread && check_thread(self) < 0)
        return -1;
    return py__loop_check_callback(self, callback, method);
}

static PyObject *is_closed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__loop(self)->closed);
}

static PyObject *is_running(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__loop(self)->running);
}

static PyObject *check_closed(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (py__loop_check_closed(py__loop(self)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* "<EventLoop running=False closed=False debug=False>", by what the methods say. */
static PyObject *repr(PyObject *self)
{
    PyObject *running = PyObject_CallMethod(self, "is_running", NULL);
    PyObject *closed = running ? PyObject_CallMethod(self, "is_closed", NULL) : NULL;
    PyObject *debug = closed ? PyObject_CallMethod(self, "get_debug", NULL) : NULL;
    PyObject *name = debug ? PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__") : NULL;
    PyObject *text = name ? PyUnicode_FromFormat("<%U running=%S closed=%S debug=%S>", name,
                                                 running, closed, debug)
                          : NULL;
    Py_XDECREF(name);
    Py_XDECREF(debug);
    Py_XDECREF(closed);
    Py_XDECREF(running);
    return text;
}

/* ---- what programs look at though it is private ---- */

static PyObject *list_of(struct py__loop *self,
                         int (*visit)(struct py__loop *, int (*)(cio_handle *, void *), void *))
{
    PyObject *list = PyList_New(0);
    if (list && visit(self, append, list) < 0)
        Py_CLEAR(list);
    return list;
}

static PyObject *get_ready(PyObject *self, void *unused)
{
    (void)unused;
    return list_of(py__loop(self), py__loop_visit_ready);
}

static PyObject *get_scheduled(PyObject *self, void *unused)
{
    (void)unused;
    return list_of(py__loop(self), py__loop_visit_timers);
}

static PyObject *get_thread_id(PyObject *self, void *unused)
{
    (void)unused;
    if (!py__loop(self)->running)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLong(py__loop(self)->thread_id);
}

static PyObject *get_stopping(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__loop(self)->loop->stopping);
}

static PyGetSetDef fields[] = {
    {"_ready", get_ready, NULL, PyDoc_STR("A copy of the queue."), NULL},
    {"_scheduled", get_scheduled, NULL, PyDoc_STR("A copy of the timers, in no order."), NULL},
    {"_thread_id", get_thread_id, NULL, NULL, NULL},
    {"_stopping", get_stopping, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FIELD(field) offsetof(struct py__loop, field)

static PyMemberDef members[] = {
    {"slow_callback_duration", T_OBJECT_EX, FIELD(slow_callback_duration), 0,
     PyDoc_STR("In debug mode, calls that take longer are logged; in seconds.")},
    {"_default_executor", T_OBJECT, FIELD(default_executor), 0, NULL},
    {"_asyncgens", T_OBJECT, FIELD(asyncgens), READONLY, NULL},
    {"_signal_handlers", T_OBJECT, FIELD(signal_handlers), READONLY, NULL},
    {"_current_handle", T_OBJECT, FIELD(current_handle), READONLY, NULL},
    {"_exception_handler", T_OBJECT, FIELD(exception_handler), READONLY, NULL},
    {"_task_factory", T_OBJECT, FIELD(task_factory), READONLY, NULL},
    {"_debug", T_BOOL, FIELD(debug), READONLY, NULL},
    {"_closed", T_BOOL, FIELD(closed), READONLY, NULL},
    {"_asyncgens_shutdown_called", T_BOOL, FIELD(asyncgens_shut_down), READONLY, NULL},
    {"_executor_shutdown_called", T_BOOL, FIELD(executor_shut_down), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"run_forever", py__run_forever, METH_NOARGS,
     PyDoc_STR("run_forever($self, /)\n--\n\nRun until stop().")},
    {"run_until_complete", py__run_until_complete, METH_O,
     PyDoc_STR("run_until_complete($self, future, /)\n--\n\n"
               "Run until the future, or the task of a coroutine, is done; return its result.")},
    {"stop", py__stop, METH_NOARGS,
     PyDoc_STR("stop($self, /)\n--\n\nLet what is ready run, then leave run_forever().")},
    {"close", close_loop, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nForget all calls and give the loop's descriptors back.")},
    {"is_running", is_running, METH_NOARGS, PyDoc_STR("Whether run_forever() runs.")},
    {"is_closed", is_closed, METH_NOARGS, PyDoc_STR("Whether close() was called.")},
    {"_check_closed", check_closed, METH_NOARGS, NULL},
    {"_check_running", py__check_running, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The C half of cio.EventLoop."},
    {Py_tp_new, new_loop},
    {Py_tp_init, init_loop},
    {Py_tp_dealloc, dealloc_loop},
    {Py_tp_finalize, finalize_loop},
    {Py_tp_traverse, traverse_loop},
    {Py_tp_clear, clear_loop},
    {Py_tp_repr, repr},
    {Py_tp_setattro, set_attribute},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__loop_spec = {
    .name = "cio._core.Loop",
    .basicsize = sizeof(struct py__loop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
