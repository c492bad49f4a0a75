/* Water marks: when a protocol is told to pause writing, and to go on. */
#include "arguments.h"
#include "errors.h"
#include "transport.h"

#define HIGH (64 * 1024)
#define VAIN_WRITES_QUIET 5 /* on a lost connection, before a line of log each */

void py__transport_set_limits(struct py__transport *self)
{
    self->high = HIGH;
    self->low = HIGH / 4;
}

static int tell(struct py__transport *self, bool pause)
{
    if (self->layer)
        return pause ? self->layer->ops->pause_writing(self->layer)
                     : self->layer->ops->resume_writing(self->layer);
    const struct py__module *py = self->loop->py;
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *result = PyObject_CallMethodNoArgs(protocol, pause ? py->names.pause_writing
                                                                 : py->names.resume_writing);
    Py_DECREF(protocol);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static void tell_and_report(struct py__transport *self, bool pause)
{
    self->protocol_paused = pause;
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)self->loop);
    PyObject *protocol = Py_NewRef(self->protocol);
    if (tell(self, pause) < 0)
        py__loop_report(
            loop, pause ? "protocol.pause_writing() failed" : "protocol.resume_writing() failed",
            "transport", &self->object, "protocol", protocol);
    Py_DECREF(protocol);
    Py_DECREF(loop);
}

void py__transport_wrote(struct py__transport *self)
{
    if (unlikely((Py_ssize_t)self->queue.size > self->high) && !self->protocol_paused && self->loop)
        tell_and_report(self, true);
}

void py__transport_drained(struct py__transport *self)
{
    if (self->protocol_paused && (Py_ssize_t)self->queue.size <= self->low && self->loop)
        tell_and_report(self, false);
}

int py__transport_queue(struct py__transport *self, PyObject *bytes, size_t skip)
{
    bool first = self->queue.n == 0;
    if (!bytes || py__write_queue_append(&self->queue, bytes) < 0)
        return -1;
    if (skip) {
        self->queue.skip = skip;
        self->queue.size -= skip;
    }
    if (first && py__transport_watch(self, CIO__WRITE, NULL) < 0)
        return -1;
    py__transport_wrote(self);
    return 0;
}

int py__transport_count_vain_write(struct py__transport *self)
{
    if (self->conn_lost++ < VAIN_WRITES_QUIET)
        return 0;
    return py__log("warning", "(s)", "socket.send() raised exception.");
}

/* None is NULL. */
static PyObject *given(PyObject *limit)
{
    return limit == Py_None ? NULL : limit;
}

static int as_size(PyObject *number, Py_ssize_t *ret)
{
    *ret = PyNumber_AsSsize_t(number, NULL); /* what is too large is very large */
    return *ret == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *set_write_buffer_limits(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                                         PyObject *keywords)
{
    static const struct py__signature signature = {
        "set_write_buffer_limits", 0, 0, 2, {"high", "low"}};
    PyObject *values[2] = {NULL};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    PyObject *high_given = given(values[0]), *low_given = given(values[1]);
    Py_ssize_t low = 0, high = HIGH;
    if ((low_given && as_size(low_given, &low) < 0) ||
        (high_given && as_size(high_given, &high) < 0))
        return NULL;
    if (!high_given && low_given)
        high = low > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX : 4 * low;
    if (!low_given)
        low = high >= 0 ? high / 4 : (high - 3) / 4;
    if (high < low || low < 0)
        return PyErr_Format(PyExc_ValueError, "high (%zd) must be >= low (%zd) must be >= 0", high,
                            low);
    struct py__transport *self = py__transport(object);
    self->high = high;
    self->low = low;
    py__transport_wrote(self);
    Py_RETURN_NONE;
}

static PyObject *get_write_buffer_limits(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_BuildValue("(nn)", py__transport(self)->low, py__transport(self)->high);
}

static PyObject *get_write_buffer_size(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(py__transport(self)->queue.size);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f)

PyMethodDef py__transport_write_methods[] = {
    {"set_write_buffer_limits", FUNCTION(set_write_buffer_limits), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("set_write_buffer_limits($self, /, high=None, low=None)\n--\n\n"
               "Writing pauses above high, and goes on at low, bytes.")},
    {"get_write_buffer_limits", get_write_buffer_limits, METH_NOARGS, PyDoc_STR("(low, high)")},
    {"get_write_buffer_size", get_write_buffer_size, METH_NOARGS,
     PyDoc_STR("How many bytes are not written yet.")},
    {NULL, NULL, 0, NULL},
};
