/* Debug mode: what is slow, and what it turns on. */
#include "errors.h"
#include "handle.h"
#include "loop.h"
#include "report.h"

static double slow_duration(struct py__loop *loop)
{
    PyObject *limit = PyObject_GetAttrString((PyObject *)loop, "slow_callback_duration");
    double seconds = limit ? PyFloat_AsDouble(limit) : -1;
    Py_XDECREF(limit);
    return seconds;
}

static PyObject *describe(PyObject *handle)
{
    return handle ? py__call("asyncio.base_events", "_format_handle", "(O)", handle)
                  : PyUnicode_FromString("<Handle of a transport, server or signal>");
}

/* handle NULL: it was a callback of ours. */
static void warn(struct py__loop *loop, PyObject *handle, double took)
{
    PyObject *text = describe(handle);
    PyObject *logger = text ? py__import("asyncio.base_events", "logger") : NULL;
    PyObject *result = logger ? PyObject_CallMethod(logger, "warning", "sOd",
                                                    "Executing %s took %.3f seconds", text, took)
                              : NULL;
    Py_XDECREF(logger);
    Py_XDECREF(text);
    if (!result)
        py__loop_report(loop, "a slow callback could not be logged", NULL, NULL, NULL, NULL);
    Py_XDECREF(result);
}

static void warn_if_slow(struct py__loop *loop, PyObject *handle, double began)
{
    if (loop->leaving)
        return;
    double took = py__loop_time(loop) - began;
    double limit = slow_duration(loop);
    if (PyErr_Occurred())
        py__loop_report(loop, "slow_callback_duration is no number", NULL, NULL, NULL, NULL);
    else if (took >= limit)
        warn(loop, handle, took);
}

void py__run_watched(struct py__handle *handle)
{
    struct py__loop *loop = handle->loop;
    Py_XSETREF(loop->current_handle, Py_NewRef(&handle->object));
    double began = py__loop_time(loop);
    py__handle_run(handle);
    warn_if_slow(loop, &handle->object, began);
    Py_CLEAR(loop->current_handle);
}

void py__call_timed(struct py__loop *loop, cio_callback *fn, void *arg)
{
    double began = py__loop_time(loop);
    fn(arg);
    warn_if_slow(loop, NULL, began);
}

static PyObject *get_debug(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__loop(self)->debug);
}

/* While a loop in debug mode runs, coroutines remember where they were made. */
int py__loop_track_origins(struct py__loop *self, bool on)
{
    if (self->tracks_origins == on)
        return 0;
    struct py__module *py = self->py;
    PyObject *depth;
    if (on) {
        Py_XSETREF(self->origin_tracking_depth,
                   PyObject_CallNoArgs(py->std.get_coroutine_origin_tracking_depth));
        depth = PyLong_FromLong(10);
    } else {
        depth = self->origin_tracking_depth;
        self->origin_tracking_depth = NULL;
    }
    PyObject *result = depth
                           ? PyObject_CallOneArg(py->std.set_coroutine_origin_tracking_depth, depth)
                           : NULL;
    Py_XDECREF(depth);
    if (!result)
        return -1;
    Py_DECREF(result);
    self->tracks_origins = on;
    return 0;
}

static PyObject *set_origin_tracking(PyObject *self, PyObject *enabled)
{
    int on = PyObject_IsTrue(enabled);
    if (on < 0 || py__loop_track_origins(py__loop(self), on) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *set_debug(PyObject *object, PyObject *enabled)
{
    struct py__loop *self = py__loop(object);
    int on = PyObject_IsTrue(enabled);
    if (on < 0)
        return NULL;
    self->debug = on;
    self->checked = self->debug || self->closed;
    if (!self->running)
        Py_RETURN_NONE;
    PyObject *method = PyObject_GetAttrString(object, "_set_coroutine_origin_tracking");
    PyObject *handle = method ? PyObject_CallMethodObjArgs(object,
                                                           self->py->names.call_soon_threadsafe,
                                                           method, enabled, NULL)
                              : NULL;
    Py_XDECREF(method);
    if (!handle)
        return NULL;
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

PyMethodDef py__loop_debug_methods[] = {
    {"get_debug", get_debug, METH_NOARGS, PyDoc_STR("Whether the loop is in debug mode.")},
    {"set_debug", set_debug, METH_O, PyDoc_STR("Turn debug mode on or off.")},
    {"_set_coroutine_origin_tracking", set_origin_tracking, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
