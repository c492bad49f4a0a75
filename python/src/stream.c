/* The transport of a stream socket: its life, and what it knows of its socket. */
#include "stream.h"

#include <netinet/tcp.h>
#include <structmember.h>

#include "arguments.h"
#include "errors.h"
#include "files.h"

/* ---- what is known of the socket ---- */

static bool is_internet(const struct py__stream *self)
{
    return self->family == AF_INET || self->family == AF_INET6;
}

static void ask_name(struct py__stream *self, bool peer, union py__address *address)
{
    const struct cio__os *os = self->base.loop->loop->os;
    socklen_t size = sizeof *address;
    if (os->ops->socket_name(self->base.loop->loop->os, self->base.fd, peer, &address->any, &size) <
        0)
        address->family = AF_UNSPEC;
}

/* By the socket's object, whatever the family: None if there is no such name. */
static int keep_name(struct py__stream *self, const char *method, const char *key)
{
    PyObject *sock = self->base.kind->object(&self->base);
    PyObject *name = sock ? PyObject_CallMethod(sock, method, NULL) : NULL;
    if (!name && PyErr_ExceptionMatches(PyExc_OSError)) {
        PyErr_Clear();
        name = Py_NewRef(Py_None);
    }
    if (!self->base.extra)
        self->base.extra = PyDict_New();
    int rc = name && self->base.extra ? PyDict_SetItemString(self->base.extra, key, name) : -1;
    Py_XDECREF(name);
    return rc;
}

static int keep_names(struct py__stream *self)
{
    PyObject *extra = self->base.extra;
    bool has_peer = extra && PyDict_Contains(extra, self->base.loop->py->names.peername) > 0;
    if (is_internet(self)) {
        ask_name(self, false, &self->local);
        if (!has_peer && self->peer.family == 0)
            ask_name(self, true, &self->peer);
        return 0;
    }
    if (keep_name(self, "getsockname", "sockname") < 0)
        return -1;
    return has_peer ? 0 : keep_name(self, "getpeername", "peername");
}

static PyObject *object_of(struct py__transport *transport)
{
    struct py__stream *self = py__stream(&transport->object);
    if (!transport->sock)
        transport->sock = py__socket_object(transport->loop, self->family, self->type,
                                            self->protocol, transport->fd);
    return transport->sock;
}

/* Of a connection that is closed, the object is one of a closed socket. */
static PyObject *facade(struct py__transport *self)
{
    PyObject *type = py__import("asyncio.trsock", "TransportSocket");
    PyObject *sock = NULL;
    if (type && self->closed) {
        sock = py__call("socket", "socket", "()");
        Py_XDECREF(sock ? PyObject_CallMethod(sock, "close", NULL) : NULL);
    } else if (type) {
        sock = Py_XNewRef(object_of(self));
    }
    PyObject *object = sock ? PyObject_CallOneArg(type, sock) : NULL;
    Py_XDECREF(sock);
    Py_XDECREF(type);
    return object;
}

static PyObject *info(struct py__transport *transport, PyObject *name)
{
    struct py__stream *self = py__stream(&transport->object);
    if (PyUnicode_CompareWithASCIIString(name, "socket") == 0)
        return facade(transport);
    bool peer = PyUnicode_CompareWithASCIIString(name, "peername") == 0;
    if (!peer && PyUnicode_CompareWithASCIIString(name, "sockname") != 0)
        return NULL;
    const union py__address *address = peer ? &self->peer : &self->local;
    return address->family ? py__address_object(address) : Py_NewRef(Py_None);
}

static void lost(struct py__transport *transport)
{
    struct py__stream *self = py__stream(&transport->object);
    if (!self->empty_waiter)
        return;
    PyObject *exception = PyObject_CallFunction(PyExc_ConnectionError, "s",
                                                "Connection is closed by peer");
    PyObject *result = exception
                           ? PyObject_CallMethodOneArg(self->empty_waiter,
                                                       transport->loop->py->names.set_exception,
                                                       exception)
                           : NULL;
    if (!result)
        PyErr_WriteUnraisable(&transport->object);
    Py_XDECREF(result);
    Py_XDECREF(exception);
}

static int set_protocol(struct py__transport *base, PyObject *protocol)
{
    struct py__stream *self = py__stream(&base->object);
    const struct py__module *py = PyType_GetModuleState(Py_TYPE(&base->object));
    int buffered = PyObject_IsInstance(protocol, py->std.BufferedProtocol);
    if (buffered < 0)
        return -1;
    self->buffered = buffered;
    py__method_clear(&self->received);
    py__method_clear(&self->get_buffer);
    py__transport_set_protocol(base, protocol);
    /* A buffer is asked for only when there is something to be put there. */
    bool levels = buffered || !base->file || !base->file->short_is_last;
    return py__transport_use_levels(base, levels);
}

static const char *const infos[] = {"socket", "sockname", "peername", NULL};

const struct py__transport_kind py__stream_kind = {
    .readable = py__stream_readable,
    .writable = py__stream_writable,
    .object = object_of,
    .info = info,
    .infos = infos,
    .set_protocol = set_protocol,
    .lost = lost,
};

/* ---- beginning ---- */

/* The kinds of a socket object's fields are the kernel's. */
static int look_at_socket(struct py__stream *self, struct py__loop *loop,
                          const struct py__connection *connection)
{
    const struct py__module *py = loop->py;
    int family = connection->family, type = connection->type, protocol = connection->protocol;
    if (connection->sock) {
        family = py__int_attribute(connection->sock, py->names.family);
        type = py__int_attribute(connection->sock, py->names.type);
        protocol = py__int_attribute(connection->sock, py->names.proto);
        if (PyErr_Occurred())
            return -1;
    }
    self->family = (uint16_t)family;
    self->type = (uint8_t)type;
    self->protocol = (uint8_t)protocol;
    return 0;
}

/*
 * Small writes are sent without waiting for the peer's word on those before. A socket of protocol 0, as
 * socket.create_server() makes it, is TCP's too: asyncio leaves it to wait.
 */
static int set_up(struct py__stream *self, const struct py__connection *connection)
{
    struct cio__os *os = self->base.loop->loop->os;
    bool is_stream = is_internet(self) && self->type == SOCK_STREAM;
    bool is_tcp = is_stream && (self->protocol == IPPROTO_TCP || self->protocol == 0);
    self->base.file->short_is_last = is_tcp;
    if (connection->peer)
        self->peer = *connection->peer;
    if (keep_names(self) < 0)
        return -1;
    int rc = is_tcp ? os->ops->set_option(os, self->base.fd, IPPROTO_TCP, TCP_NODELAY, 1) : 0;
    if (rc == 0)
        return 0;
    py__raise_code(rc);
    return -1;
}

static PyObject *give_up(struct py__stream *self)
{
    py__transport_abandon(&self->base);
    Py_DECREF(self);
    return NULL;
}

PyObject *py__stream_new(struct py__loop *loop, const struct py__connection *connection,
                         PyObject *protocol, PyObject *waiter, PyObject *extra, PyObject *server)
{
    PyTypeObject *type = loop->py->stream_type;
    struct py__stream *self = (struct py__stream *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->base.closed = true;
    self->base.is_known = connection->is_known;
    self->base.context = connection->context == Py_None ? NULL : Py_XNewRef(connection->context);
    if (look_at_socket(self, loop, connection) < 0 ||
        py__transport_init(&self->base, loop, &py__stream_kind, connection->fd, connection->sock,
                           extra, server) < 0 ||
        set_up(self, connection) < 0 || set_protocol(&self->base, protocol) < 0 ||
        py__transport_start(&self->base, waiter, true) < 0)
        return give_up(self);
    return &self->base.object;
}

/* ---- of the type ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct py__stream *self = py__stream(object);
    Py_VISIT(self->received.function);
    Py_VISIT(self->received.self);
    Py_VISIT(self->get_buffer.function);
    Py_VISIT(self->get_buffer.self);
    Py_VISIT(self->empty_waiter);
    return py__transport_traverse(&self->base, visit, arg);
}

static int clear(PyObject *object)
{
    struct py__stream *self = py__stream(object);
    py__method_clear(&self->received);
    py__method_clear(&self->get_buffer);
    Py_CLEAR(self->empty_waiter);
    py__transport_clear(&self->base);
    return 0;
}

static PyObject *get_eof(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__stream(self)->eof);
}

static PyMemberDef members[] = {PY__TRANSPORT_MEMBERS, {NULL, 0, 0, 0, NULL}};

static PyGetSetDef fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_eof", get_eof, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The transport of a stream socket."},
    PY__TRANSPORT_SLOTS,
    {Py_tp_repr, py__transport_repr},
    {0, NULL},
};

PyType_Spec py__stream_spec = {
    .name = "cio.SocketTransport",
    .basicsize = sizeof(struct py__stream),
    .flags = PY__TRANSPORT_FLAGS,
    .slots = slots,
};
