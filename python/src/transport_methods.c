/* What Python sees of all transports. */
#include "arguments.h"
#include "errors.h"
#include "transport.h"

static PyObject *none_or_null(int rc)
{
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *close_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__transport_close(py__transport(self)));
}

static PyObject *abort_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__transport_force_close(py__transport(self), NULL));
}

static PyObject *force_close(PyObject *self, PyObject *exception)
{
    return none_or_null(
        py__transport_force_close(py__transport(self), exception == Py_None ? NULL : exception));
}

static PyObject *is_closing(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__transport(self)->closing);
}

static PyObject *get_protocol(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *protocol = py__transport(self)->protocol;
    return Py_NewRef(protocol ? protocol : Py_None);
}

static PyObject *set_protocol(PyObject *object, PyObject *protocol)
{
    struct py__transport *self = py__transport(object);
    if (self->kind->set_protocol)
        return none_or_null(self->kind->set_protocol(self, protocol));
    py__transport_set_protocol(self, protocol);
    Py_RETURN_NONE;
}

static PyObject *lose(PyObject *self, PyObject *exception)
{
    return none_or_null(py__transport_lose(py__transport(self), exception));
}

/* ---- get_extra_info() ---- */

static PyObject *find_info(struct py__transport *self, PyObject *name)
{
    if (!self->extra && !(self->extra = PyDict_New()))
        return NULL;
    PyObject *value = PyDict_GetItemWithError(self->extra, name);
    if (value || PyErr_Occurred())
        return Py_XNewRef(value);
    value = PyUnicode_Check(name) ? self->kind->info(self, name) : NULL;
    if (value && PyDict_SetItem(self->extra, name, value) < 0)
        Py_CLEAR(value);
    return value;
}

static PyObject *get_extra_info(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                PyObject *keywords)
{
    static const struct py__signature signature = {"get_extra_info", 1, 0, 2, {"name", "default"}};
    PyObject *values[2] = {NULL, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    PyObject *value = find_info(py__transport(self), values[0]);
    return value || PyErr_Occurred() ? value : Py_NewRef(values[1]);
}

static PyObject *get_extra(PyObject *object, void *unused)
{
    (void)unused;
    struct py__transport *self = py__transport(object);
    if (!self->extra && !(self->extra = PyDict_New()))
        return NULL;
    for (const char *const *info = self->kind->infos; *info; info++) {
        PyObject *name = PyUnicode_InternFromString(*info);
        PyObject *value = name ? find_info(self, name) : NULL;
        Py_XDECREF(name);
        if (!value && PyErr_Occurred())
            return NULL;
        Py_XDECREF(value);
    }
    return Py_NewRef(self->extra);
}

/* ---- reading ---- */

static PyObject *is_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__transport_is_reading(py__transport(self)));
}

int py__transport_pause_reading(struct py__transport *self)
{
    if (!py__transport_is_reading(self))
        return 0;
    self->paused = true;
    py__transport_unwatch(self, CIO__READ);
    return py__transport_log(self, "%r pauses reading");
}

int py__transport_resume_reading(struct py__transport *self)
{
    if (self->closing || !self->paused)
        return 0;
    self->paused = false;
    if (py__transport_watch(self, CIO__READ, NULL) < 0)
        return -1;
    return py__transport_log(self, "%r resumes reading");
}

static PyObject *pause_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__transport_pause_reading(py__transport(self)));
}

static PyObject *resume_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__transport_resume_reading(py__transport(self)));
}

/* ---- what programs look at though it is private ---- */

static PyObject *object_or_none(PyObject *object)
{
    return Py_NewRef(object ? object : Py_None);
}

static PyObject *get_loop(PyObject *self, void *unused)
{
    (void)unused;
    return object_or_none((PyObject *)py__transport(self)->loop);
}

static PyObject *get_protocol_field(PyObject *self, void *unused)
{
    (void)unused;
    return get_protocol(self, NULL);
}

static PyObject *get_server(PyObject *self, void *unused)
{
    (void)unused;
    return object_or_none(py__transport(self)->server);
}

static PyObject *get_object(PyObject *object, void *unused)
{
    (void)unused;
    struct py__transport *self = py__transport(object);
    PyObject *sock = self->closed ? Py_None : self->kind->object(self);
    return Py_XNewRef(sock);
}

static PyObject *get_fd(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(py__transport(self)->fd);
}

static PyObject *get_high(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSsize_t(py__transport(self)->high);
}

static PyObject *get_low(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSsize_t(py__transport(self)->low);
}

static PyObject *get_conn_lost(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(py__transport(self)->conn_lost);
}

#define FLAG(name, field)                                                                          \
    static PyObject *get_##field(PyObject *self, void *unused)                                     \
    {                                                                                              \
        (void)unused;                                                                              \
        return PyBool_FromLong(py__transport(self)->field);                                        \
    }
FLAG(_closing, closing)
FLAG(_paused, paused)
FLAG(_protocol_paused, protocol_paused)
#undef FLAG

/* None: the pipe is somebody else's to close. */
static int set_pipe(PyObject *object, PyObject *value, void *unused)
{
    (void)unused;
    struct py__transport *self = py__transport(object);
    if (value != Py_None) {
        PyErr_SetString(PyExc_AttributeError, "_pipe can only be set to None");
        return -1;
    }
    py__transport_unwatch(self, CIO__READ);
    py__transport_unwatch(self, CIO__WRITE);
    py__transport_abandon(self);
    Py_CLEAR(self->sock);
    return 0;
}

#define FIELDS_OF_ALL                                                                              \
    {"_loop", get_loop, NULL, NULL, NULL}, {"_protocol", get_protocol_field, NULL, NULL, NULL},    \
        {"_extra", get_extra, NULL, NULL, NULL}, {"_high_water", get_high, NULL, NULL, NULL},      \
        {"_low_water", get_low, NULL, NULL, NULL}, {"_closing", get_closing, NULL, NULL, NULL},    \
        {"_paused", get_paused, NULL, NULL, NULL},                                                 \
    {                                                                                              \
        "_protocol_paused", get_protocol_paused, NULL, NULL, NULL                                  \
    }

PyGetSetDef py__transport_fields[] = {
    FIELDS_OF_ALL,
    {"_server", get_server, NULL, NULL, NULL},
    {"_sock", get_object, NULL, NULL, NULL},
    {"_sock_fd", get_fd, NULL, NULL, NULL},
    {"_conn_lost", get_conn_lost, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyGetSetDef py__pipe_fields[] = {
    FIELDS_OF_ALL,
    {"_pipe", get_object, set_pipe, NULL, NULL},
    {"_fileno", get_fd, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f)

PyMethodDef py__transport_methods[] = {
    {"get_extra_info", FUNCTION(get_extra_info), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("get_extra_info($self, /, name, default=None)\n--\n\n"
               "What is known of the connection by that name.")},
    {"is_closing", is_closing, METH_NOARGS, PyDoc_STR("Whether it is closing or closed.")},
    {"close", close_method, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nWrite what is buffered, then close.")},
    {"abort", abort_method, METH_NOARGS,
     PyDoc_STR("abort($self, /)\n--\n\nClose without writing what is buffered.")},
    {"_force_close", force_close, METH_O, NULL},
    {"_call_connection_lost", lose, METH_O, NULL},
    {"set_protocol", set_protocol, METH_O, PyDoc_STR("Another protocol from now on.")},
    {"get_protocol", get_protocol, METH_NOARGS, PyDoc_STR("The protocol.")},
    {NULL, NULL, 0, NULL},
};

PyMethodDef py__transport_read_methods[] = {
    {"is_reading", is_reading, METH_NOARGS, PyDoc_STR("Whether it reads.")},
    {"pause_reading", pause_reading, METH_NOARGS,
     PyDoc_STR("Nothing is received until resume_reading().")},
    {"resume_reading", resume_reading, METH_NOARGS, PyDoc_STR("Receive again.")},
    {NULL, NULL, 0, NULL},
};
