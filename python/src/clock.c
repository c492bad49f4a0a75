/* The loop's clock. */
#include "clock.h"

#include <stddef.h>
#include <string.h>

#include "errors.h"

static struct py__loop *loop_of(const struct cio__os *os)
{
    return (struct py__loop *)((char *)(uintptr_t)os->ops - offsetof(struct py__loop, clock_ops));
}

static double ask_python(struct py__loop *self)
{
    PyObject *now = PyObject_CallMethodNoArgs((PyObject *)self, self->py->names.time);
    double seconds = now ? PyFloat_AsDouble(now) : -1;
    Py_XDECREF(now);
    if (unlikely(PyErr_Occurred() != NULL)) {
        py__loop_leave(self);
        return py__clock_now(self);
    }
    return seconds;
}

double py__loop_time(struct py__loop *self)
{
    return py__clock_is_ours(self) ? py__clock_now(self) : ask_python(self);
}

/*
 * In place of the backend's clock. It need not advance at all, so it is no measure of how long ago
 * the kernel was asked: that is done whenever the clock is looked at.
 */
static int64_t foreign_now_ns(struct cio__os *os)
{
    struct py__loop *self = loop_of(os);
    self->loop->polled_ns = INT64_MIN / 2;
    return cio__deadline_ns(ask_python(self));
}

static bool has_ours(struct py__loop *self, PyObject *name)
{
    PyObject *theirs = PyObject_GetAttr((PyObject *)Py_TYPE(self), name);
    PyObject *ours = PyObject_GetAttr((PyObject *)self->py->loop_type, name);
    PyErr_Clear();
    Py_XDECREF(theirs);
    Py_XDECREF(ours);
    return theirs && theirs == ours;
}

static void use_clock(struct py__loop *self, bool foreign)
{
    struct cio__os *os = self->loop->os;
    if (!os || (os->ops == &self->clock_ops) == foreign)
        return;
    if (foreign) {
        self->clock_ops = *os->ops;
        self->clock_ops.now_ns = foreign_now_ns;
        self->clock_ops.real_time = false;
        self->usual_ops = os->ops;
        os->ops = &self->clock_ops;
    } else {
        os->ops = self->usual_ops;
    }
}

void py__clock_look(struct py__loop *self)
{
    const struct py__module *py = self->py;
    bool time_is_ours = !self->time_is_set && has_ours(self, py->names.time);
    bool call_at_is_ours = !self->call_at_is_set && has_ours(self, py->names.call_at);
    self->overridden = !time_is_ours || !call_at_is_ours;
    self->type_version = Py_TYPE(self)->tp_version_tag;
    use_clock(self, !time_is_ours);
}

void py__clock_attribute_changed(struct py__loop *self, PyObject *name, bool is_set)
{
    if (PyUnicode_Compare(name, self->py->names.time) == 0)
        self->time_is_set = is_set;
    else if (PyUnicode_Compare(name, self->py->names.call_at) == 0)
        self->call_at_is_set = is_set;
    else
        return;
    py__clock_look(self);
}
