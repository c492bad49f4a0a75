/* The transport of datagrams: its life, and what Python sees of it. */
#include "datagram.h"

#include <structmember.h>

#include "arguments.h"
#include "errors.h"
#include "files.h"

/* ---- what is known of the socket ---- */

static PyObject *object_of(struct py__transport *self)
{
    return self->sock;
}

static PyObject *info(struct py__transport *self, PyObject *name)
{
    (void)self;
    (void)name;
    return NULL; /* all there is was put there at the beginning */
}

/* sock.method(), None if there is no such name. */
static PyObject *name_by(PyObject *sock, const char *method)
{
    PyObject *name = PyObject_CallMethod(sock, method, NULL);
    if (name || !PyErr_ExceptionMatches(PyExc_OSError))
        return name;
    PyErr_Clear();
    return Py_NewRef(Py_None);
}

static int keep(PyObject *extra, const char *key, PyObject *value)
{
    int rc = value ? PyDict_SetItemString(extra, key, value) : -1;
    Py_XDECREF(value);
    return rc;
}

static int keep_names(struct py__transport *self)
{
    PyObject *sock = self->sock;
    if ((!self->extra && !(self->extra = PyDict_New())) ||
        keep(self->extra, "socket", py__call("asyncio.trsock", "TransportSocket", "(O)", sock)) <
            0 ||
        keep(self->extra, "sockname", name_by(sock, "getsockname")) < 0)
        return -1;
    if (PyDict_GetItemString(self->extra, "peername"))
        return 0;
    return keep(self->extra, "peername", name_by(sock, "getpeername"));
}

static int look_at_socket(struct py__datagram *self)
{
    struct py__transport *base = &self->base;
    self->family = py__int_attribute(base->sock, base->loop->py->names.family);
    if (self->family == -1 && PyErr_Occurred())
        return -1;
    self->by_methods = !py__family_is_known(self->family);
    if (keep_names(base) < 0)
        return -1;
    int connected = PyObject_IsTrue(PyDict_GetItemString(base->extra, "peername"));
    self->connected = connected > 0;
    return connected < 0 ? -1 : 0;
}

static int set_protocol(struct py__transport *base, PyObject *protocol)
{
    py__method_clear(&py__datagram(&base->object)->received);
    py__transport_set_protocol(base, protocol);
    return 0;
}

/* ---- readiness ---- */

/* What a protocol's method has raised is reported as if the loop had called ours by a handle. */
static void report(struct py__datagram *self, struct py__loop *loop, const char *name)
{
    PyObject *exception = py__take_exception();
    PyObject *method = PyObject_GetAttrString(&self->base.object, name);
    if (!method)
        PyErr_Clear();
    py__raise_again(exception);
    py__report_call(loop, method ? method : Py_None, NULL);
    Py_XDECREF(method);
}

static void readable(struct py__transport *base)
{
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)base->loop);
    struct py__datagram *self = py__datagram(&base->object);
    if (unlikely(py__datagram_read_ready(self) < 0))
        report(self, loop, "_read_ready");
    Py_DECREF(loop);
}

static void writable(struct py__transport *base)
{
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)base->loop);
    struct py__datagram *self = py__datagram(&base->object);
    if (unlikely(py__datagram_write_ready(self) < 0))
        report(self, loop, "_sendto_ready");
    Py_DECREF(loop);
}

int py__datagram_failed(struct py__datagram *self, const char *message)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        if (py__exception_leaves())
            return -1;
        py__transport_fail(&self->base, message);
        return 0;
    }
    PyObject *exception = py__take_exception();
    PyObject *protocol = Py_NewRef(self->base.protocol);
    PyObject *result = PyObject_CallMethodOneArg(
        protocol, self->base.loop->py->names.error_received, exception);
    Py_DECREF(protocol);
    Py_DECREF(exception);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static void lost(struct py__transport *base)
{
    py__datagram_forget(py__datagram(&base->object));
}

static const char *const infos[] = {NULL};

static const struct py__transport_kind kind = {
    .readable = readable,
    .writable = writable,
    .object = object_of,
    .info = info,
    .infos = infos,
    .set_protocol = set_protocol,
    .lost = lost,
};

/* ---- beginning ---- */

static int keep_address(struct py__datagram *self, PyObject *address)
{
    int named = PyObject_IsTrue(address);
    if (named > 0)
        self->address = Py_NewRef(address);
    return named < 0 ? -1 : 0;
}

PyObject *py__datagram_new(struct py__loop *loop, PyObject *sock, PyObject *protocol,
                           PyObject *address, PyObject *waiter, PyObject *extra)
{
    int fd = py__fileno(loop, sock);
    PyTypeObject *type = loop->py->datagram_type;
    PyObject *object = fd < 0 ? NULL : type->tp_alloc(type, 0);
    if (!object)
        return NULL;
    struct py__datagram *self = py__datagram(object);
    self->base.closed = true;
    self->many = 1;
    if (keep_address(self, address) < 0 ||
        py__transport_init(&self->base, loop, &kind, fd, sock, extra, NULL) < 0 ||
        look_at_socket(self) < 0 || set_protocol(&self->base, protocol) < 0 ||
        py__transport_start(&self->base, waiter == Py_None ? NULL : waiter, true) < 0) {
        py__transport_abandon(&self->base);
        Py_DECREF(object);
        return NULL;
    }
    return object;
}

PyObject *py__make_datagram_transport(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                                      PyObject *keywords)
{
    static const struct py__signature signature = {
        "_make_datagram_transport", 2, 0, 5, {"sock", "protocol", "address", "waiter", "extra"}};
    PyObject *values[5] = {NULL, NULL, Py_None, Py_None, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    return py__datagram_new(py__loop(loop), values[0], values[1], values[2], values[3], values[4]);
}

/* ---- of the type ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    const struct py__datagram *self = py__datagram(object);
    Py_VISIT(self->received.function);
    Py_VISIT(self->received.self);
    Py_VISIT(self->address);
    Py_VISIT(self->from.object);
    Py_VISIT(self->to.object);
    int rc = py__datagram_visit_ahead(self, visit, arg);
    return rc ? rc : py__transport_traverse(py__transport(object), visit, arg);
}

static int clear(PyObject *object)
{
    struct py__datagram *self = py__datagram(object);
    py__method_clear(&self->received);
    Py_CLEAR(self->address);
    Py_CLEAR(self->from.object);
    Py_CLEAR(self->to.object);
    py__datagram_forget(self);
    py__transport_clear(&self->base);
    return 0;
}

static PyObject *none_or_null(int rc)
{
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *resume_reading(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (py__transport_resume_reading(py__transport(self)) < 0)
        return NULL;
    py__datagram_resume(py__datagram(self));
    Py_RETURN_NONE;
}

static PyObject *read_ready(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__datagram_read_ready(py__datagram(self)));
}

static PyObject *sendto_ready(PyObject *self, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__datagram_write_ready(py__datagram(self)));
}

static PyObject *get_address(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *address = py__datagram(self)->address;
    return Py_NewRef(address ? address : Py_None);
}

PyMethodDef py__datagram_methods[] = {
    {"sendto", (PyCFunction)(void (*)(void))py__datagram_sendto, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("sendto($self, /, data, addr=None)\n--\n\n"
               "Send the datagram, now or when there is room.")},
    {"resume_reading", resume_reading, METH_NOARGS, PyDoc_STR("Receive again.")},
    {"_read_ready", read_ready, METH_NOARGS, NULL},
    {"_sendto_ready", sendto_ready, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {PY__TRANSPORT_MEMBERS, {NULL, 0, 0, 0, NULL}};

static PyGetSetDef fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_address", get_address, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The transport of a socket of datagrams."},
    PY__TRANSPORT_SLOTS,
    {Py_tp_repr, py__transport_repr},
    {0, NULL},
};

PyType_Spec py__datagram_spec = {
    .name = "cio.DatagramTransport",
    .basicsize = sizeof(struct py__datagram),
    .flags = PY__TRANSPORT_FLAGS,
    .slots = slots,
};
