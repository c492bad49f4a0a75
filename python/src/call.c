/* Calls to be made: call_soon(), call_later(), call_at(), call_soon_threadsafe(), time(). */
#include "clock.h"
#include "errors.h"
#include "handle.h"
#include "loop.h"

static PyObject *refuse_keyword(const char *method, PyObject *keyword)
{
    return PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", method,
                        keyword);
}

/*
 * The keyword argument context, NULL if there is none or it is None. False: another one was given,
 * or too few others.
 */
static bool take_context(struct py__loop *self, const char *method, PyObject *const *arguments,
                         Py_ssize_t n, PyObject *keywords, PyObject **ret_context)
{
    *ret_context = NULL;
    Py_ssize_t n_keywords = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t i = 0; i < n_keywords; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(keywords, i);
        if (unlikely(keyword != self->py->names.context &&
                     PyUnicode_Compare(keyword, self->py->names.context) != 0)) {
            refuse_keyword(method, keyword);
            return false;
        }
        if (arguments[n + i] != Py_None)
            *ret_context = arguments[n + i];
    }
    return true;
}

static bool has_arguments(const char *method, const char *first, Py_ssize_t n, Py_ssize_t least)
{
    if (likely(n >= least))
        return true;
    if (least - n == 2)
        PyErr_Format(PyExc_TypeError,
                     "%s() missing 2 required positional arguments: '%s' and 'callback'", method,
                     first);
    else
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: 'callback'",
                     method);
    return false;
}

static inline PyObject *queue_call(struct py__loop *self, PyTypeObject *type, const char *method,
                                   bool any_thread, PyObject *const *arguments, Py_ssize_t n,
                                   PyObject *keywords)
{
    PyObject *context;
    if (unlikely(!has_arguments(method, NULL, n, 1)) ||
        unlikely(!take_context(self, method, arguments, n, keywords, &context)) ||
        unlikely(py__loop_check(self, arguments[0], method, any_thread) < 0))
        return NULL;
    return (PyObject *)py__handle_new_soon(self, type, arguments[0], arguments + 1, n - 1, context);
}

static PyObject *call_soon(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords)
{
    return queue_call(py__loop(self), py__loop(self)->py->handle_type, "call_soon", false,
                      arguments, n, keywords);
}

/* The GIL keeps threads apart; all that is left to do is to end the loop's sleep, once. */
static PyObject *call_soon_threadsafe(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                      PyObject *keywords)
{
    const struct py__module *py = py__loop(self)->py;
    PyObject *handle = queue_call(py__loop(self),
                                  py->safe_handle_type ? py->safe_handle_type : py->handle_type,
                                  "call_soon_threadsafe", true, arguments, n, keywords);
    if (handle)
        cio__inbox_wake(py__loop(self)->loop);
    return handle;
}

/* arguments: the callback and its own. */
static PyObject *call_at_time(struct py__loop *self, double when, const char *method,
                              PyObject *const *arguments, Py_ssize_t n, PyObject *context)
{
    if (unlikely(py__loop_check(self, arguments[0], method, false) < 0))
        return NULL;
    struct py__handle *handle = py__handle_new(self, self->py->timer_handle_type, arguments[0],
                                               arguments + 1, n - 1, context);
    if (unlikely(!handle))
        return NULL;
    handle->when = when;
    handle->when_is_int = false;
    if (py__handle_call_at((struct py__handle *)Py_NewRef(handle)) < 0)
        Py_CLEAR(handle);
    return (PyObject *)handle;
}

static PyObject *call_at(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                         PyObject *keywords)
{
    struct py__loop *self = py__loop(object);
    PyObject *context;
    if (!has_arguments("call_at", "when", n, 2) ||
        !take_context(self, "call_at", arguments, n, keywords, &context))
        return NULL;
    if (unlikely(arguments[0] == Py_None)) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    double when = PyFloat_AsDouble(arguments[0]);
    if (unlikely(when == -1 && PyErr_Occurred()))
        return NULL;
    py__clock_check(self);
    PyObject *handle = call_at_time(self, when, "call_at", arguments + 1, n - 1, context);
    if (likely(handle != NULL))
        py__handle(handle)->when_is_int = PyLong_Check(arguments[0]);
    return handle;
}

/* self.call_at(self.time() + delay, callback, *arguments, context=context) */
static PyObject *call_later_by_methods(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                       PyObject *keywords)
{
    const struct py__module *py = py__loop(self)->py;
    PyObject *now = PyObject_CallMethodNoArgs(self, py->names.time);
    PyObject *when = now ? PyNumber_Add(now, arguments[0]) : NULL;
    Py_XDECREF(now);
    if (!when)
        return NULL;
    Py_ssize_t all = n + (keywords ? PyTuple_GET_SIZE(keywords) : 0);
    PyObject **stack = PyMem_New(PyObject *, (size_t)all + 1);
    PyObject *handle = NULL;
    if (stack) {
        stack[0] = self;
        stack[1] = when;
        memcpy(stack + 2, arguments + 1, (size_t)(all - 1) * sizeof *stack);
        handle = PyObject_VectorcallMethod(py->names.call_at, stack, (size_t)n + 1, keywords);
    } else {
        PyErr_NoMemory();
    }
    PyMem_Free(stack);
    Py_DECREF(when);
    return handle;
}

static PyObject *call_later(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                            PyObject *keywords)
{
    struct py__loop *self = py__loop(object);
    PyObject *context;
    if (!has_arguments("call_later", "delay", n, 2) ||
        !take_context(self, "call_later", arguments, n, keywords, &context))
        return NULL;
    PyObject *delay = arguments[0];
    if (unlikely(delay == Py_None)) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    if (unlikely(!py__clock_is_ours(self)))
        return call_later_by_methods(object, arguments, n, keywords);
    double seconds = PyFloat_AsDouble(delay);
    if (unlikely(seconds == -1 && PyErr_Occurred()))
        return NULL;
    return call_at_time(self, py__clock_now(self) + seconds, "call_at", arguments + 1, n - 1,
                        context);
}

static PyObject *loop_time(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(py__clock_now(py__loop(self)));
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f)

PyMethodDef py__loop_call_methods[] = {
    {"call_soon", FUNCTION(call_soon), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_soon($self, callback, /, *args, context=None)\n--\n\n"
               "Call callback(*args) in the next turn of the loop.")},
    {"call_soon_threadsafe", FUNCTION(call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_soon_threadsafe($self, callback, /, *args, context=None)\n--\n\n"
               "call_soon() for other threads and for signal handlers.")},
    {"call_later", FUNCTION(call_later), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_later($self, delay, callback, /, *args, context=None)\n--\n\n"
               "Call callback(*args) in delay seconds.")},
    {"call_at", FUNCTION(call_at), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_at($self, when, callback, /, *args, context=None)\n--\n\n"
               "Call callback(*args) when time() is when.")},
    {"time", loop_time, METH_NOARGS,
     PyDoc_STR("time($self, /)\n--\n\nThe loop's clock in seconds: time.monotonic().")},
    {NULL, NULL, 0, NULL},
};
