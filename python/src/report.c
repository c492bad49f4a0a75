/* Failures that nobody awaits: asyncio's exception handler, and what it is told. */
#include "report.h"

#include "errors.h"

static PyObject *make_context(const struct py__report *report)
{
    PyObject *context = PyDict_New();
    PyObject *message = report->message ? Py_NewRef(report->message)
                                        : PyUnicode_FromString(report->text);
    if (!context || !message || PyDict_SetItemString(context, "message", message) < 0)
        goto failed;
    if (report->exception && PyDict_SetItemString(context, "exception", report->exception) < 0)
        goto failed;
    for (int i = 0; i < PY__REPORT_ENTRIES; i++)
        if (report->values[i] &&
            PyDict_SetItemString(context, report->keys[i], report->values[i]) < 0)
            goto failed;
    Py_DECREF(message);
    return context;
failed:
    Py_XDECREF(message);
    Py_XDECREF(context);
    return NULL;
}

void py__report(struct py__loop *loop, const struct py__report *report)
{
    PyObject *context = make_context(report);
    PyObject *result = NULL;
    if (context)
        result = PyObject_CallMethodOneArg((PyObject *)loop, loop->py->names.call_exception_handler,
                                           context);
    Py_XDECREF(context);
    if (result)
        Py_DECREF(result);
    else
        py__loop_leave(loop);
}

void py__loop_report(struct py__loop *self, const char *message, const char *key, PyObject *value,
                     const char *other_key, PyObject *other_value)
{
    if (py__exception_leaves()) {
        py__loop_leave(self);
        return;
    }
    PyObject *exception = py__take_exception();
    struct py__report report = {.text = message,
                                .exception = exception,
                                .keys = {key, other_key},
                                .values = {value, other_value}};
    py__report(self, &report);
    Py_DECREF(exception);
}

/* ---- the default handler: a line of log ---- */

static PyObject *describe_traceback(PyObject *traceback, const char *what)
{
    PyObject *lines = py__call("traceback", "format_list", "(O)", traceback);
    PyObject *empty = lines ? PyUnicode_FromString("") : NULL;
    PyObject *joined = empty ? PyUnicode_Join(empty, lines) : NULL;
    PyObject *text = joined ? PyObject_CallMethod(joined, "rstrip", NULL) : NULL;
    PyObject *description = text ? PyUnicode_FromFormat(
                                       "%s created at (most recent call last):\n%U", what, text)
                                 : NULL;
    Py_XDECREF(text);
    Py_XDECREF(joined);
    Py_XDECREF(empty);
    Py_XDECREF(lines);
    return description;
}

static PyObject *describe_entry(PyObject *key, PyObject *value)
{
    PyObject *description;
    if (PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, "source_traceback") == 0)
        description = describe_traceback(value, "Object");
    else if (PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, "handle_traceback") == 0)
        description = describe_traceback(value, "Handle");
    else
        description = PyObject_Repr(value);
    if (!description)
        return NULL;
    PyObject *line = PyUnicode_FromFormat("%S: %U", key, description);
    Py_DECREF(description);
    return line;
}

static bool is_told_elsewhere(PyObject *key)
{
    return PyUnicode_Check(key) && (PyUnicode_CompareWithASCIIString(key, "message") == 0 ||
                                    PyUnicode_CompareWithASCIIString(key, "exception") == 0);
}

static int append_entries(PyObject *lines, PyObject *context)
{
    PyObject *keys = PyDict_Keys(context);
    int rc = keys ? PyList_Sort(keys) : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(keys); i++) {
        PyObject *key = PyList_GET_ITEM(keys, i);
        if (is_told_elsewhere(key))
            continue;
        PyObject *line = describe_entry(key, PyDict_GetItem(context, key));
        rc = line ? PyList_Append(lines, line) : -1;
        Py_XDECREF(line);
    }
    Py_XDECREF(keys);
    return rc;
}

/* The message and, sorted, everything else that the context holds. */
static PyObject *describe_context(PyObject *context)
{
    PyObject *message = PyDict_GetItemString(context, "message");
    int given = message ? PyObject_IsTrue(message) : 0;
    if (given < 0)
        return NULL;
    message = given ? Py_NewRef(message)
                    : PyUnicode_FromString("Unhandled exception in event loop");
    PyObject *lines = message ? PyList_New(0) : NULL;
    PyObject *newline = PyUnicode_FromString("\n");
    PyObject *text = NULL;
    if (lines && newline && PyList_Append(lines, message) == 0 &&
        append_entries(lines, context) == 0)
        text = PyUnicode_Join(newline, lines);
    Py_XDECREF(newline);
    Py_XDECREF(lines);
    Py_XDECREF(message);
    return text;
}

static int add_handle_traceback(struct py__loop *self, PyObject *context)
{
    if (!self->current_handle || PyDict_GetItemString(context, "source_traceback"))
        return 0;
    PyObject *traceback = PyObject_GetAttr(self->current_handle, self->py->names._source_traceback);
    int rc = traceback ? 0 : -1;
    if (traceback && traceback != Py_None)
        rc = PyDict_SetItemString(context, "handle_traceback", traceback);
    Py_XDECREF(traceback);
    return rc;
}

/* logger.error(text, exc_info=exc_info). Takes text, which may be NULL: then it has failed. */
static PyObject *log_error(PyObject *text, PyObject *exc_info)
{
    PyObject *logger = text ? py__import("asyncio.base_events", "logger") : NULL;
    PyObject *error = logger ? PyObject_GetAttrString(logger, "error") : NULL;
    PyObject *positional = error ? PyTuple_Pack(1, text) : NULL;
    PyObject *keywords = error ? Py_BuildValue("{s:O}", "exc_info", exc_info) : NULL;
    PyObject *result = positional && keywords ? PyObject_Call(error, positional, keywords) : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(positional);
    Py_XDECREF(error);
    Py_XDECREF(logger);
    Py_XDECREF(text);
    return result;
}

static PyObject *exc_info_of(PyObject *exception)
{
    if (!exception || exception == Py_None)
        return Py_NewRef(Py_False);
    PyObject *traceback = PyObject_GetAttrString(exception, "__traceback__");
    if (!traceback)
        return NULL;
    return Py_BuildValue("(OON)", Py_TYPE(exception), exception, traceback);
}

static PyObject *default_exception_handler(PyObject *self, PyObject *context)
{
    if (!PyDict_Check(context))
        return PyErr_Format(PyExc_TypeError, "context must be a dict, not %R", context);
    if (add_handle_traceback(py__loop(self), context) < 0)
        return NULL;
    PyObject *exc_info = exc_info_of(PyDict_GetItemString(context, "exception"));
    if (!exc_info)
        return NULL;
    PyObject *result = log_error(describe_context(context), exc_info);
    Py_DECREF(exc_info);
    return result;
}

/* ---- the handler in force ---- */

/* Logs what is set, as an except clause would with exc_info=True. What that raises is raised. */
static PyObject *log_failure(const char *text)
{
    if (py__exception_leaves())
        return NULL;
    PyObject *exception = py__take_exception();
    PyObject *before = PyErr_GetHandledException();
    PyErr_SetHandledException(exception);
    PyObject *result = log_error(PyUnicode_FromString(text), Py_True);
    PyErr_SetHandledException(before);
    Py_XDECREF(before);
    Py_DECREF(exception);
    return result;
}

static PyObject *call_default(PyObject *self, PyObject *context)
{
    return PyObject_CallMethod(self, "default_exception_handler", "(O)", context);
}

/* The context of what failed, as far as it has one: NULL, without an exception, is none. */
static PyObject *context_of_failure(struct py__loop *self, PyObject *context)
{
    static const char *const keys[] = {"task", "future", "handle"};
    PyObject *thing = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && (!thing || thing == Py_None); i++)
        thing = PyDict_GetItemString(context, keys[i]);
    if (!thing || thing == Py_None)
        return NULL;
    PyObject *found = PyObject_CallMethodNoArgs(thing, self->py->names.get_context);
    if (!found && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    if (found && !PyContext_CheckExact(found))
        Py_CLEAR(found);
    return found;
}

static PyObject *call_custom(PyObject *object, PyObject *context)
{
    struct py__loop *self = py__loop(object);
    PyObject *variables = PyDict_Check(context) ? context_of_failure(self, context) : NULL;
    if (PyErr_Occurred())
        return NULL;
    PyObject *handler = Py_NewRef(self->exception_handler);
    PyObject *result = NULL;
    if (!variables || PyContext_Enter(variables) == 0) {
        result = PyObject_CallFunctionObjArgs(handler, object, context, NULL);
        if (variables && PyContext_Exit(variables) < 0)
            Py_CLEAR(result);
    }
    Py_DECREF(handler);
    Py_XDECREF(variables);
    return result;
}

static PyObject *report_failure_of_handler(PyObject *self, PyObject *context)
{
    if (py__exception_leaves())
        return NULL;
    PyObject *exception = py__take_exception();
    PyObject *about = Py_BuildValue("{s:s,s:O,s:O}", "message",
                                    "Unhandled error in exception handler", "exception", exception,
                                    "context", context);
    Py_DECREF(exception);
    PyObject *result = about ? call_default(self, about) : NULL;
    Py_XDECREF(about);
    if (result)
        return result;
    return log_failure("Exception in default exception handler while handling an "
                       "unexpected error in custom exception handler");
}

static PyObject *call_exception_handler(PyObject *self, PyObject *context)
{
    PyObject *result;
    if (!py__loop(self)->exception_handler) {
        result = call_default(self, context);
        if (!result)
            result = log_failure("Exception in default exception handler");
    } else {
        result = call_custom(self, context);
        if (!result)
            result = report_failure_of_handler(self, context);
    }
    if (!result)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

static PyObject *get_exception_handler(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *handler = py__loop(self)->exception_handler;
    return Py_NewRef(handler ? handler : Py_None);
}

static PyObject *set_exception_handler(PyObject *self, PyObject *handler)
{
    if (handler != Py_None && !PyCallable_Check(handler))
        return PyErr_Format(PyExc_TypeError, "A callable object or None is expected, got %R",
                            handler);
    Py_XSETREF(py__loop(self)->exception_handler, handler == Py_None ? NULL : Py_NewRef(handler));
    Py_RETURN_NONE;
}

PyMethodDef py__loop_exception_methods[] = {
    {"call_exception_handler", call_exception_handler, METH_O,
     PyDoc_STR("Report a failure that nobody awaits.")},
    {"default_exception_handler", default_exception_handler, METH_O, PyDoc_STR("Log a failure.")},
    {"get_exception_handler", get_exception_handler, METH_NOARGS,
     PyDoc_STR("The handler set, or None.")},
    {"set_exception_handler", set_exception_handler, METH_O,
     PyDoc_STR("handler(loop, context) hears of failures; None: they are logged.")},
    {NULL, NULL, 0, NULL},
};
