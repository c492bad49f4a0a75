/* TLS: what Python sees of the protocol between the transports. */
#include "tls.h"

#include <structmember.h>

/* ---- what the transport below and the loop call ---- */

static PyObject *none_or_null(int rc)
{
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *connection_made(PyObject *self, PyObject *below)
{
    return none_or_null(py__tls_begin(py__tls(self), below));
}

static PyObject *data_received(PyObject *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    int rc = py__tls_ops.data_received(&py__tls(self)->layer, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return none_or_null(rc);
}

static PyObject *eof_received(PyObject *self, PyObject *unused)
{
    (void)unused;
    int keep = py__tls_ops.eof_received(&py__tls(self)->layer);
    if (keep < 0)
        return NULL;
    return Py_NewRef(keep ? Py_True : Py_None);
}

static PyObject *connection_lost(PyObject *self, PyObject *exception)
{
    return none_or_null(py__tls_ops.connection_lost(&py__tls(self)->layer, exception));
}

#define METHOD(name, expression)                                                                   \
    static PyObject *name(PyObject *object, PyObject *unused)                                      \
    {                                                                                              \
        (void)unused;                                                                              \
        struct py__tls *self = py__tls(object);                                                    \
        return none_or_null(expression);                                                           \
    }
METHOD(pause_writing, py__tls_ops.pause_writing(&self->layer))
METHOD(resume_writing, py__tls_ops.resume_writing(&self->layer))
METHOD(do_read, py__tls_read_all(self))
METHOD(check_handshake, py__tls_check_handshake(self))
METHOD(check_shutdown, py__tls_check_shutdown(self))
METHOD(start_shutdown, py__tls_start_shutdown(self))
METHOD(resume, self->state == PY__HANDSHAKE ? 0 : py__tls_go_on(self))

static PyMethodDef methods[] = {
    {"connection_made", connection_made, METH_O, NULL},
    {"data_received", data_received, METH_O, NULL},
    {"eof_received", eof_received, METH_NOARGS, NULL},
    {"connection_lost", connection_lost, METH_O, NULL},
    {"pause_writing", pause_writing, METH_NOARGS, NULL},
    {"resume_writing", resume_writing, METH_NOARGS, NULL},
    {"_do_read", do_read, METH_NOARGS, NULL},
    {"_resume", resume, METH_NOARGS, NULL},
    {"_start_shutdown", start_shutdown, METH_NOARGS, NULL},
    {"_check_handshake_timeout", check_handshake, METH_NOARGS, NULL},
    {"_check_shutdown_timeout", check_shutdown, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- of the type ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct py__tls *self = py__tls(object);
    Py_VISIT(Py_TYPE(object));
    PyObject *fields[] = {self->attributes,
                          (PyObject *)self->loop,
                          self->below,
                          (PyObject *)self->transport,
                          self->protocol,
                          self->received.function,
                          self->received.self,
                          self->get_buffer.function,
                          self->get_buffer.self,
                          self->context,
                          self->hostname,
                          self->object,
                          self->incoming,
                          self->outgoing,
                          self->read,
                          self->write,
                          self->extra,
                          self->waiter,
                          self->handshake_timeout,
                          self->shutdown_timeout,
                          self->handshake_timer,
                          self->shutdown_timer};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        Py_VISIT(fields[i]);
    return py__write_queue_traverse(&self->backlog, visit, arg);
}

/* The loop stays: whoever is asked something after this asks it. */
static int clear(PyObject *object)
{
    struct py__tls *self = py__tls(object);
    py__tls_bio_end(self);
    self->above = NULL;
    self->state = PY__UNWRAPPED;
    Py_CLEAR(self->attributes);
    Py_CLEAR(self->below);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->protocol);
    py__method_clear(&self->received);
    py__method_clear(&self->get_buffer);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->handshake_timer);
    Py_CLEAR(self->shutdown_timer);
    Py_CLEAR(self->extra);
    py__write_queue_clear(&self->backlog);
    return 0;
}

static void dealloc(PyObject *object)
{
    struct py__tls *self = py__tls(object);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->weak_references)
        PyObject_ClearWeakRefs(object);
    clear(object);
    PyObject *rest[] = {self->context,         self->hostname,          self->object,
                        self->incoming,        self->outgoing,          self->read,
                        self->write,           self->handshake_timeout, self->shutdown_timeout,
                        (PyObject *)self->loop};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        Py_XDECREF(rest[i]);
    type->tp_free(object);
    Py_DECREF(type);
}

#define OBJECT(name, field)                                                                        \
    {                                                                                              \
        name, T_OBJECT, offsetof(struct py__tls, field), READONLY, NULL                            \
    }

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct py__tls, attributes), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct py__tls, weak_references), READONLY, NULL},
    OBJECT("_loop", loop),
    OBJECT("_transport", below),
    OBJECT("_app_transport", transport),
    OBJECT("_app_protocol", protocol),
    OBJECT("_sslcontext", context),
    OBJECT("_server_hostname", hostname),
    OBJECT("_sslobj", object),
    OBJECT("_incoming", incoming),
    OBJECT("_outgoing", outgoing),
    OBJECT("_extra", extra),
    OBJECT("_waiter", waiter),
    OBJECT("_ssl_handshake_timeout", handshake_timeout),
    OBJECT("_ssl_shutdown_timeout", shutdown_timeout),
    {"_server_side", T_BOOL, offsetof(struct py__tls, server_side), READONLY, NULL},
    {"_eof_received", T_BOOL, offsetof(struct py__tls, eof), READONLY, NULL},
    {"_app_reading_paused", T_BOOL, offsetof(struct py__tls, read_paused), READONLY, NULL},
    {"_app_writing_paused", T_BOOL, offsetof(struct py__tls, protocol_paused), READONLY, NULL},
    {"_ssl_reading_paused", T_BOOL, offsetof(struct py__tls, below_held), READONLY, NULL},
    {"_ssl_writing_paused", T_BOOL, offsetof(struct py__tls, held), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* A member of asyncio's enumerations. */
static PyObject *get_state(PyObject *self, void *unused)
{
    static const char *const names[] = {"UNWRAPPED", "DO_HANDSHAKE", "WRAPPED", "FLUSHING",
                                        "SHUTDOWN"};
    (void)unused;
    return py__call("asyncio.sslproto", "SSLProtocolState", "(s)", names[py__tls(self)->state]);
}

static PyObject *get_stage(PyObject *self, void *unused)
{
    static const char *const names[] = {"STATE_INIT", "STATE_CON_MADE", "STATE_EOF",
                                        "STATE_CON_LOST"};
    (void)unused;
    return py__call("asyncio.sslproto", "AppProtocolState", "(s)", names[py__tls(self)->stage]);
}

/* Whether the data go past the objects of the module ssl. */
static PyObject *get_direct(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__tls(self)->direct.ssl != NULL);
}

static PyGetSetDef fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_state", get_state, NULL, NULL, NULL},
    {"_app_state", get_stage, NULL, NULL, NULL},
    {"_is_direct", get_direct, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "TLS, between a transport and the program's protocol."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__tls_spec = {
    .name = "cio.SSLProtocol",
    .basicsize = sizeof(struct py__tls),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
