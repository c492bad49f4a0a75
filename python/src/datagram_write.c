/* Sending datagrams: at once if the kernel takes them, else whole when the socket is ready. */
#include "arguments.h"
#include "datagram.h"
#include "errors.h"
#include "sock.h"

/* Since 3.13 one that waits counts with its header, and one may be empty. */
#define HEADER (PY_VERSION_HEX >= 0x030D0000 ? 8 : 0)
#define MAY_BE_EMPTY (PY_VERSION_HEX >= 0x030D0000)

static const char fatal[] = "Fatal write error on datagram transport";

/* The address as the kernel takes it; NULL, and no exception: the socket's method knows it. */
static const struct py__name *name_of(struct py__datagram *self, PyObject *address)
{
    if (address == self->from.object)
        return &self->from.name;
    if (address == self->to.object)
        return &self->to.name;
    struct py__name name;
    if (self->by_methods || !py__name_parse(self->family, address, &name))
        return NULL;
    self->to.name = name;
    Py_XSETREF(self->to.object, Py_NewRef(address));
    return &self->to.name;
}

/* 1: it is sent, 0: the kernel has no room, -1: an exception. */
static int say(ssize_t rc)
{
    if (likely(rc >= 0))
        return 1;
    if (py__would_block(rc) || rc == -EINTR)
        return 0;
    py__raise_code((int)rc);
    return -1;
}

static int send_by_method(struct py__datagram *self, PyObject *data, PyObject *address)
{
    PyObject *sock = Py_NewRef(self->base.sock);
    PyObject *result = self->connected ? PyObject_CallMethod(sock, "send", "O", data)
                                       : PyObject_CallMethod(sock, "sendto", "OO", data, address);
    Py_DECREF(sock);
    Py_XDECREF(result);
    return result ? 1 : py__sock_blocked() ? 0 : -1;
}

static int send_view(struct py__datagram *self, const char *data, size_t size,
                     const struct py__name *name)
{
    struct cio__os *os = py__transport_os(&self->base);
    const struct cio__os_ops *ops = py__os_ops(os);
    py__transport_poll_next(&self->base);
    if (self->connected)
        return say(ops->send(os, self->base.fd, data, size));
    return say(ops->send_to(os, self->base.fd, data, size, &name->any, name->size));
}

/* The same results as say(). */
static int send_now(struct py__datagram *self, PyObject *data, PyObject *address)
{
    const struct py__name *name = NULL;
    if (self->by_methods || (!self->connected && !(name = name_of(self, address))))
        return send_by_method(self, data, address);
    if (name && PySys_Audit("socket.sendto", "OO", self->base.sock, address) < 0)
        return -1;
    if (likely(PyBytes_Check(data)))
        return send_view(self, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), name);
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int rc = send_view(self, view.buf, (size_t)view.len, name);
    PyBuffer_Release(&view);
    return rc;
}

/* What waits is a pair; its bytes cannot be changed any more. */
static int queue(struct py__datagram *self, PyObject *data, PyObject *address)
{
    struct py__transport *base = &self->base;
    if (base->queue.n == 0) {
        py__transport_would_block(base, CIO__WRITE);
        if (py__transport_watch(base, CIO__WRITE, NULL) < 0)
            return -1;
    }
    PyObject *bytes = PyBytes_FromObject(data);
    PyObject *item = bytes ? PyTuple_Pack(2, bytes, address) : NULL;
    Py_ssize_t size = bytes ? PyBytes_GET_SIZE(bytes) : 0;
    Py_XDECREF(bytes);
    if (!item || py__write_queue_put(&base->queue, item, (size_t)size + HEADER) < 0)
        return -1;
    py__transport_wrote(base);
    return 0;
}

static int check_data(PyObject *data)
{
    if (PyBytes_Check(data) || PyByteArray_Check(data) || PyMemoryView_Check(data))
        return 0;
    PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not '%.200s'",
                 Py_TYPE(data)->tp_name);
    return -1;
}

/* An endpoint that has a remote address takes no other. */
static int check_address(const struct py__datagram *self, PyObject *address)
{
    if (likely(!self->address || address == Py_None))
        return 0;
    int same = PyObject_RichCompareBool(self->address, address, Py_EQ);
    if (same == 0)
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", self->address);
    return same > 0 ? 0 : -1;
}

static int send_or_queue(struct py__datagram *self, PyObject *data, PyObject *address)
{
    if (likely(self->base.queue.n == 0)) {
        int rc = send_now(self, data, address);
        if (likely(rc > 0))
            return 0;
        if (rc < 0)
            return py__datagram_failed(self, fatal);
    }
    return queue(self, data, address);
}

PyObject *py__datagram_sendto(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                              PyObject *keywords)
{
    static const struct py__signature signature = {"sendto", 1, 0, 2, {"data", "addr"}};
    PyObject *values[2] = {NULL, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0 ||
        check_data(values[0]) < 0)
        return NULL;
    struct py__datagram *self = py__datagram(object);
    struct py__transport *base = &self->base;
    if (!MAY_BE_EMPTY && PyObject_Size(values[0]) == 0)
        Py_RETURN_NONE;
    if (check_address(self, values[1]) < 0)
        return NULL;
    /* Of one whose peer is not settled, the socket sends until it is closed. */
    int rc;
    if (unlikely(!base->loop || (base->conn_lost && self->address)))
        rc = py__transport_count_vain_write(base);
    else
        rc = send_or_queue(self, values[0], self->address ? self->address : values[1]);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* Sends the first that waits. The same results as say(). */
static int send_first(struct py__datagram *self)
{
    struct py__write_queue *waiting = &self->base.queue;
    PyObject *item = Py_NewRef(py__write_queue_first(waiting));
    PyObject *data = PyTuple_GET_ITEM(item, 0);
    int rc = send_now(self, data, PyTuple_GET_ITEM(item, 1));
    if (rc && waiting->n && py__write_queue_first(waiting) == item)
        py__write_queue_drop(waiting, (size_t)PyBytes_GET_SIZE(data) + HEADER);
    Py_DECREF(item);
    return rc;
}

int py__datagram_write_ready(struct py__datagram *self)
{
    struct py__transport *base = &self->base;
    if (!base->loop)
        return 0;
    int rc = 1;
    while (rc > 0 && base->queue.n)
        rc = send_first(self);
    if (rc < 0) /* those behind it wait for the next time */
        return py__datagram_failed(self, fatal);
    if (rc == 0)
        py__transport_would_block(base, CIO__WRITE);
    py__transport_drained(base); /* may send, or close */
    if (base->loop && base->queue.n == 0) {
        py__transport_unwatch(base, CIO__WRITE);
        if (base->closing)
            py__transport_finish(base);
    }
    return 0;
}
