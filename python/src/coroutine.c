/* Coroutines written in C. */
#include "coroutine.h"

#include <string.h>

#include "errors.h"

static struct py__coroutine *coroutine_of(PyObject *self)
{
    return (struct py__coroutine *)self;
}

struct py__coroutine *py__coroutine_new(struct py__loop *loop,
                                        const struct py__coroutine_kind *kind)
{
    PyTypeObject *type = loop->py->coroutine_type;
    struct py__coroutine *self = (struct py__coroutine *)type->tp_alloc(
        type, (Py_ssize_t)kind->state_size);
    if (!self)
        return NULL;
    self->kind = kind;
    self->loop = (struct py__loop *)Py_NewRef((PyObject *)loop);
    return self;
}

static void end(struct py__coroutine *self)
{
    if (self->ended)
        return;
    self->ended = true;
    Py_CLEAR(self->awaiting);
    if (self->kind->clear)
        self->kind->clear(self->state);
}

/* ---- stepping ---- */

/* What `await object` iterates over. */
static PyObject *iterator_of(PyObject *object)
{
    if (PyCoro_CheckExact(object))
        return Py_NewRef(object);
    const PyAsyncMethods *methods = Py_TYPE(object)->tp_as_async;
    if (methods && methods->am_await)
        return methods->am_await(object);
    return PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression",
                        Py_TYPE(object)->tp_name);
}

/* Goes on with what is awaited. Returns as PyIter_Send(). */
static PySendResult send_on(struct py__coroutine *self, PyObject *value, PyObject **ret)
{
    PySendResult result = PyIter_Send(self->awaiting, value, ret);
    if (result != PYGEN_NEXT)
        Py_CLEAR(self->awaiting);
    return result;
}

/*
 * Steps until the coroutine has to wait or is done. sent is what came of the last wait; taken, and
 * NULL if an exception is set.
 */
static PySendResult go_on(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    for (;;) {
        PyObject *what = NULL;
        enum py__step step = self->kind->step(self, sent, &what);
        Py_XDECREF(sent);
        if (step != PY__AWAIT) {
            end(self);
            *ret = step == PY__RETURN ? what : NULL;
            return step == PY__RETURN ? PYGEN_RETURN : PYGEN_ERROR;
        }
        sent = NULL;
        self->awaiting = iterator_of(what);
        Py_DECREF(what);
        if (!self->awaiting)
            continue;
        PySendResult result = send_on(self, Py_None, ret);
        if (result == PYGEN_NEXT)
            return PYGEN_NEXT;
        sent = result == PYGEN_RETURN ? *ret : NULL;
    }
}

static bool may_run(struct py__coroutine *self)
{
    if (self->runs)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    else if (self->ended)
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    else
        return true;
    return false;
}

static PySendResult send_value(PyObject *object, PyObject *value, PyObject **ret)
{
    struct py__coroutine *self = coroutine_of(object);
    *ret = NULL;
    if (!may_run(self))
        return PYGEN_ERROR;
    if (!self->begun && value != Py_None) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    self->begun = true;
    self->runs = true;
    PySendResult result = PYGEN_RETURN;
    PyObject *sent = Py_NewRef(Py_None);
    if (self->awaiting) {
        Py_SETREF(sent, NULL);
        result = send_on(self, value, ret);
        sent = result == PYGEN_RETURN ? *ret : NULL;
    }
    if (result != PYGEN_NEXT)
        result = go_on(self, sent, ret);
    self->runs = false;
    return result;
}

/* ---- as an iterator ---- */

/* The value of a StopIteration must not be mistaken for its arguments. */
static void stop_iteration(PyObject *value)
{
    if (value == Py_None) {
        PyErr_SetNone(PyExc_StopIteration);
    } else {
        PyObject *exception = PyObject_CallOneArg(PyExc_StopIteration, value);
        if (exception)
            PyErr_SetObject(PyExc_StopIteration, exception);
        Py_XDECREF(exception);
    }
    Py_DECREF(value);
}

static PyObject *yielded(PySendResult result, PyObject *value)
{
    if (result == PYGEN_NEXT)
        return value;
    if (result == PYGEN_RETURN)
        stop_iteration(value);
    return NULL;
}

static PyObject *next(PyObject *self)
{
    PyObject *value;
    PySendResult result = send_value(self, Py_None, &value);
    return yielded(result, value);
}

static PyObject *send_method(PyObject *self, PyObject *sent)
{
    PyObject *value;
    PySendResult result = send_value(self, sent, &value);
    return yielded(result, value);
}

static PyObject *await_self(PyObject *self)
{
    if (coroutine_of(self)->begun) {
        PyErr_SetString(PyExc_RuntimeError, coroutine_of(self)->ended
                                                ? "cannot reuse already awaited coroutine"
                                                : "coroutine is being awaited already");
        return NULL;
    }
    return Py_NewRef(self);
}

static PyObject *await_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return await_self(self);
}

/* ---- throwing ---- */

/* Sets the exception that throw() was given: type, value and traceback, or a value. */
static int set_thrown(PyObject *type, PyObject *value, PyObject *traceback)
{
    if (PyExceptionInstance_Check(type)) {
        value = Py_NewRef(type);
    } else if (PyExceptionClass_Check(type)) {
        if (value && PyExceptionInstance_Check(value))
            Py_INCREF(value);
        else
            value = value && value != Py_None ? PyObject_CallOneArg(type, value)
                                              : PyObject_CallNoArgs(type);
    } else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from BaseException, not %s",
                     Py_TYPE(type)->tp_name);
        return -1;
    }
    if (!value)
        return -1;
    if (traceback && traceback != Py_None)
        PyException_SetTraceback(value, traceback);
    PyErr_SetObject((PyObject *)Py_TYPE(value), value);
    Py_DECREF(value);
    return 0;
}

/* Throws what is set into what is awaited. The same results as send_on(). */
static PySendResult throw_on(struct py__coroutine *self, PyObject **ret)
{
    PyObject *exception = py__take_exception();
    PyObject *method = PyObject_GetAttr(self->awaiting, self->loop->py->names.throw);
    if (!method) {
        PyErr_Clear();
        Py_CLEAR(self->awaiting);
        py__raise_again(exception);
        return PYGEN_ERROR;
    }
    *ret = PyObject_CallOneArg(method, exception);
    Py_DECREF(method);
    Py_DECREF(exception);
    if (*ret)
        return PYGEN_NEXT;
    Py_CLEAR(self->awaiting);
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return PYGEN_ERROR;
    exception = py__take_exception();
    *ret = PyObject_GetAttrString(exception, "value");
    Py_DECREF(exception);
    return *ret ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Throws the exception that is set. */
static PySendResult throw_set(struct py__coroutine *self, PyObject **ret)
{
    if (!self->begun) { /* as a coroutine that has not begun: it never will */
        self->begun = true;
        end(self);
        return PYGEN_ERROR;
    }
    self->runs = true;
    PySendResult result = PYGEN_ERROR;
    PyObject *sent = NULL;
    if (self->awaiting) {
        result = throw_on(self, ret);
        sent = result == PYGEN_RETURN ? *ret : NULL;
    }
    if (result != PYGEN_NEXT)
        result = go_on(self, sent, ret);
    self->runs = false;
    return result;
}

static PyObject *throw_method(PyObject *object, PyObject *const *arguments, Py_ssize_t n)
{
    struct py__coroutine *self = coroutine_of(object);
    if (n < 1 || n > 3)
        return PyErr_Format(PyExc_TypeError, "throw expected 1 to 3 arguments, got %zd", n);
    if (!may_run(self) ||
        set_thrown(arguments[0], n > 1 ? arguments[1] : NULL, n > 2 ? arguments[2] : NULL) < 0)
        return NULL;
    PyObject *value = NULL;
    PySendResult result = throw_set(self, &value);
    return yielded(result, value);
}

static PyObject *close_method(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__coroutine *self = coroutine_of(object);
    if (self->ended)
        Py_RETURN_NONE;
    if (!may_run(self))
        return NULL;
    if (!self->begun) {
        self->begun = true;
        end(self);
        Py_RETURN_NONE;
    }
    PyErr_SetNone(PyExc_GeneratorExit);
    PyObject *value = NULL;
    PySendResult result = throw_set(self, &value);
    Py_XDECREF(value);
    if (result == PYGEN_NEXT) {
        PyErr_SetString(PyExc_RuntimeError, "coroutine ignored GeneratorExit");
        return NULL;
    }
    if (result == PYGEN_ERROR) {
        if (!PyErr_ExceptionMatches(PyExc_GeneratorExit) &&
            !PyErr_ExceptionMatches(PyExc_StopIteration))
            return NULL;
        PyErr_Clear();
    }
    Py_RETURN_NONE;
}

/* ---- life ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct py__coroutine *self = coroutine_of(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    Py_VISIT(self->awaiting);
    if (!self->ended && self->kind && self->kind->traverse)
        return self->kind->traverse(self->state, visit, arg);
    return 0;
}

static int clear(PyObject *object)
{
    struct py__coroutine *self = coroutine_of(object);
    if (self->kind)
        end(self);
    Py_CLEAR(self->loop);
    return 0;
}

static void finalize(PyObject *object)
{
    struct py__coroutine *self = coroutine_of(object);
    if (!self->kind || self->begun)
        return;
    PyObject *exception = py__take_exception();
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited",
                         self->kind->name) < 0)
        PyErr_WriteUnraisable(object);
    if (exception)
        py__raise_again(exception);
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *get_qualname(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(coroutine_of(self)->kind->name);
}

static PyObject *get_name(PyObject *self, void *unused)
{
    (void)unused;
    const char *name = coroutine_of(self)->kind->name;
    const char *dot = strrchr(name, '.');
    return PyUnicode_FromString(dot ? dot + 1 : name);
}

static PyObject *get_running(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(coroutine_of(self)->runs);
}

static PyObject *get_awaiting(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *awaiting = coroutine_of(self)->awaiting;
    return Py_NewRef(awaiting ? awaiting : Py_None);
}

static PyObject *get_none(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

static PyObject *repr(PyObject *self)
{
    return PyUnicode_FromFormat("<coroutine object %s at %p>", coroutine_of(self)->kind->name,
                                self);
}

static PyGetSetDef fields[] = {
    {"__name__", get_name, NULL, NULL, NULL},      {"__qualname__", get_qualname, NULL, NULL, NULL},
    {"cr_running", get_running, NULL, NULL, NULL}, {"cr_await", get_awaiting, NULL, NULL, NULL},
    {"cr_frame", get_none, NULL, NULL, NULL},      {"cr_code", get_none, NULL, NULL, NULL},
    {"cr_origin", get_none, NULL, NULL, NULL},     {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"send", send_method, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))throw_method, METH_FASTCALL, NULL},
    {"close", close_method, METH_NOARGS, NULL},
    {"__await__", await_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A coroutine of the loop, written in C."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, next},
    {Py_am_await, await_self},
    {Py_am_send, send_value},
    {Py_tp_methods, methods},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__coroutine_spec = {
    .name = "cio.Coroutine",
    .basicsize = offsetof(struct py__coroutine, state),
    .itemsize = 1,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
