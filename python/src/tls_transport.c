/* TLS: the transport that the program sees. */
#include "tls.h"

#include <structmember.h>

#include "arguments.h"
#include "errors.h"

static struct py__tls_transport *transport(PyObject *self)
{
    return (struct py__tls_transport *)self;
}

static PyObject *none_or_null(int rc)
{
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

struct py__tls_transport *py__tls_transport_new(struct py__tls *tls)
{
    PyTypeObject *type = tls->loop->py->tls_transport_type;
    struct py__tls_transport *self = (struct py__tls_transport *)type->tp_alloc(type, 0);
    if (self)
        self->tls = (struct py__tls *)Py_NewRef((PyObject *)tls);
    return self;
}

/* ---- life ---- */

static PyObject *close_method(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__tls_transport *self = transport(object);
    if (self->closed) {
        py__tls_forget(self->tls);
        Py_RETURN_NONE;
    }
    self->closed = true;
    return none_or_null(py__tls_start_shutdown(self->tls));
}

static PyObject *force_close(PyObject *object, PyObject *exception)
{
    struct py__tls_transport *self = transport(object);
    self->closed = true;
    return none_or_null(py__tls_abort(self->tls, exception == Py_None ? NULL : exception));
}

static PyObject *abort_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return force_close(self, Py_None);
}

static PyObject *is_closing(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__tls_transport *self = transport(object);
    int closing = self->closed ? 1 : py__below_is_closing(self->tls);
    return closing < 0 ? NULL : PyBool_FromLong(closing);
}

static PyObject *set_protocol(PyObject *self, PyObject *protocol)
{
    return none_or_null(py__tls_set_protocol(transport(self)->tls, protocol));
}

static PyObject *get_protocol(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *protocol = transport(self)->tls->protocol;
    return Py_NewRef(protocol ? protocol : Py_None);
}

static PyObject *get_extra_info(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                PyObject *keywords)
{
    static const struct py__signature signature = {"get_extra_info", 1, 0, 2, {"name", "default"}};
    PyObject *values[2] = {NULL, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    struct py__tls *tls = transport(self)->tls;
    PyObject *value = tls->extra ? PyDict_GetItemWithError(tls->extra, values[0]) : NULL;
    if (value || PyErr_Occurred())
        return Py_XNewRef(value);
    if (!tls->below)
        return Py_NewRef(values[1]);
    return PyObject_CallMethodObjArgs(tls->below, tls->names->words.get_extra_info, values[0],
                                      values[1], NULL);
}

/* ---- reading ---- */

static PyObject *is_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(!transport(self)->tls->read_paused);
}

static PyObject *pause_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    transport(self)->tls->read_paused = true;
    Py_RETURN_NONE;
}

static PyObject *resume_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__tls_resume_reading(transport(self)->tls));
}

/* ---- water marks ---- */

static int as_size(PyObject *number, Py_ssize_t *ret)
{
    *ret = PyNumber_AsSsize_t(number, NULL); /* what is too large is very large */
    return *ret == -1 && PyErr_Occurred() ? -1 : 0;
}

static int take_limits(const struct py__signature *signature, PyObject *const *arguments,
                       Py_ssize_t n, PyObject *keywords, Py_ssize_t *high, Py_ssize_t *low)
{
    PyObject *values[2] = {Py_None, Py_None};
    if (py__take_arguments(signature, arguments, n, keywords, values) < 0)
        return -1;
    bool high_given = values[0] != Py_None, low_given = values[1] != Py_None;
    Py_ssize_t new_high = *high, new_low = 0;
    if ((high_given && as_size(values[0], &new_high) < 0) ||
        (low_given && as_size(values[1], &new_low) < 0))
        return -1;
    if (!high_given && low_given)
        new_high = new_low > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX : 4 * new_low;
    if (!low_given)
        new_low = new_high >= 0 ? new_high / 4 : (new_high - 3) / 4;
    if (new_high < new_low || new_low < 0) {
        PyErr_Format(PyExc_ValueError, "high (%zd) must be >= low (%zd) must be >= 0", new_high,
                     new_low);
        return -1;
    }
    *high = new_high;
    *low = new_low;
    return 0;
}

static PyObject *set_write_limits(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                  PyObject *keywords)
{
    static const struct py__signature signature = {
        "set_write_buffer_limits", 0, 0, 2, {"high", "low"}};
    struct py__tls *tls = transport(self)->tls;
    Py_ssize_t high = PY__TLS_WRITE_HIGH, low;
    if (take_limits(&signature, arguments, n, keywords, &high, &low) < 0)
        return NULL;
    tls->write_high = high;
    tls->write_low = low;
    return none_or_null(py__tls_control_writing(tls));
}

static PyObject *set_read_limits(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                                 PyObject *keywords)
{
    static const struct py__signature signature = {
        "set_read_buffer_limits", 0, 0, 2, {"high", "low"}};
    struct py__tls *tls = transport(self)->tls;
    Py_ssize_t high = PY__TLS_READ_HIGH, low;
    if (take_limits(&signature, arguments, n, keywords, &high, &low) < 0)
        return NULL;
    tls->read_high = high;
    tls->read_low = low;
    return none_or_null(py__tls_control_reading(tls));
}

static PyObject *get_write_limits(PyObject *self, PyObject *unused)
{
    (void)unused;
    const struct py__tls *tls = transport(self)->tls;
    return Py_BuildValue("(nn)", tls->write_low, tls->write_high);
}

static PyObject *get_read_limits(PyObject *self, PyObject *unused)
{
    (void)unused;
    const struct py__tls *tls = transport(self)->tls;
    return Py_BuildValue("(nn)", tls->read_low, tls->read_high);
}

static PyObject *get_write_size(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(py__tls_write_size(transport(self)->tls));
}

static PyObject *get_read_size(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromSize_t(py__tls_incoming(transport(self)->tls));
}

/* ---- writing ---- */

static int write_buffer(struct py__tls *tls, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return py__tls_catch(tls, "Fatal error on SSL protocol");
    int rc = view.len ? py__tls_write(tls, view.buf, (size_t)view.len) : 0;
    PyBuffer_Release(&view);
    return rc;
}

static PyObject *write_method(PyObject *self, PyObject *data)
{
    struct py__tls *tls = transport(self)->tls;
    if (unlikely(!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)))
        return PyErr_Format(PyExc_TypeError, "data: expecting a bytes-like instance, got %.200s",
                            Py_TYPE(data)->tp_name);
    int rc;
    if (likely(PyBytes_Check(data)))
        rc = PyBytes_GET_SIZE(data)
                 ? py__tls_write(tls, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data))
                 : 0;
    else
        rc = write_buffer(tls, data);
    return none_or_null(rc);
}

/* As one: records are as few as they can be. */
static PyObject *writelines(PyObject *self, PyObject *list)
{
    PyObject *none = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined = none ? PyObject_CallMethod(none, "join", "O", list) : NULL;
    PyObject *result = joined ? write_method(self, joined) : NULL;
    Py_XDECREF(joined);
    Py_XDECREF(none);
    return result;
}

static PyObject *write_eof(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetNone(PyExc_NotImplementedError);
    return NULL;
}

static PyObject *can_write_eof(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_FALSE;
}

/* For CPython's own tests: as if it could not be encrypted yet. */
static PyObject *append_to_backlog(PyObject *self, PyObject *data)
{
    PyObject *bytes = PyBytes_FromObject(data);
    return bytes ? none_or_null(py__write_queue_append(&transport(self)->tls->backlog, bytes))
                 : NULL;
}

/* ---- of the type ---- */

static void finalize(PyObject *object)
{
    struct py__tls_transport *self = transport(object);
    if (self->closed)
        return;
    self->closed = true;
    PyObject *exception = py__take_exception();
    if (PyErr_WarnEx(PyExc_ResourceWarning,
                     "unclosed transport <asyncio._SSLProtocolTransport object>", 1) < 0)
        PyErr_WriteUnraisable(object);
    if (exception)
        py__raise_again(exception);
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(transport(object)->attributes);
    Py_VISIT(transport(object)->tls);
    return 0;
}

/* Its methods need the other half, which lets go of what makes a cycle. */
static int clear(PyObject *object)
{
    Py_CLEAR(transport(object)->attributes);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    if (transport(object)->weak_references)
        PyObject_ClearWeakRefs(object);
    clear(object);
    Py_XDECREF(transport(object)->tls);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *get_loop(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef((PyObject *)transport(self)->tls->loop);
}

static PyObject *get_paused(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(transport(self)->tls->protocol_paused);
}

PyGetSetDef py__tls_fields[] = {
    {"_loop", get_loop, NULL, NULL, NULL},
    {"_protocol_paused", get_paused, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FIELD(name) offsetof(struct py__tls_transport, name), READONLY, NULL

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, FIELD(attributes)},
    {"__weaklistoffset__", T_PYSSIZET, FIELD(weak_references)},
    {"_ssl_protocol", T_OBJECT, FIELD(tls)},
    {"_closed", T_BOOL, FIELD(closed)},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL | METH_KEYWORDS

PyMethodDef py__tls_transport_methods[] = {
    {"get_extra_info", FUNCTION(get_extra_info),
     PyDoc_STR("get_extra_info($self, /, name, default=None)\n--\n\n"
               "What is known of the connection by that name.")},
    {"set_protocol", set_protocol, METH_O, PyDoc_STR("Another protocol from now on.")},
    {"get_protocol", get_protocol, METH_NOARGS, PyDoc_STR("The protocol.")},
    {"is_closing", is_closing, METH_NOARGS, PyDoc_STR("Whether it is closing or closed.")},
    {"close", close_method, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nWrite what is buffered, tell the peer, then close.")},
    {"abort", abort_method, METH_NOARGS,
     PyDoc_STR("abort($self, /)\n--\n\nClose without writing what is buffered.")},
    {"_force_close", force_close, METH_O, NULL},
    {"is_reading", is_reading, METH_NOARGS, PyDoc_STR("Whether it reads.")},
    {"pause_reading", pause_reading, METH_NOARGS,
     PyDoc_STR("Nothing is received until resume_reading().")},
    {"resume_reading", resume_reading, METH_NOARGS, PyDoc_STR("Receive again.")},
    {"set_write_buffer_limits", FUNCTION(set_write_limits),
     PyDoc_STR("set_write_buffer_limits($self, /, high=None, low=None)\n--\n\n"
               "Writing pauses at high, and goes on at low, bytes.")},
    {"get_write_buffer_limits", get_write_limits, METH_NOARGS, PyDoc_STR("(low, high)")},
    {"get_write_buffer_size", get_write_size, METH_NOARGS,
     PyDoc_STR("How many bytes the transport below has not been given yet.")},
    {"set_read_buffer_limits", FUNCTION(set_read_limits),
     PyDoc_STR("set_read_buffer_limits($self, /, high=None, low=None)\n--\n\n"
               "The transport below stops reading at high, and goes on at low, bytes.")},
    {"get_read_buffer_limits", get_read_limits, METH_NOARGS, PyDoc_STR("(low, high)")},
    {"get_read_buffer_size", get_read_size, METH_NOARGS,
     PyDoc_STR("How many bytes have come and are not decrypted yet.")},
    {"write", write_method, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\nSend the data, now or when there is room.")},
    {"writelines", writelines, METH_O,
     PyDoc_STR("writelines($self, list_of_data, /)\n--\n\nSend all of the list.")},
    {"write_eof", write_eof, METH_NOARGS, PyDoc_STR("NotImplementedError.")},
    {"can_write_eof", can_write_eof, METH_NOARGS, PyDoc_STR("False.")},
    {"_test__append_write_backlog", append_to_backlog, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The transport of a connection over TLS."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_members, members},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__tls_transport_spec = {
    .name = "cio.SSLTransport",
    .basicsize = sizeof(struct py__tls_transport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
