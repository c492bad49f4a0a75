/* The object that create_server() returns. */
#include "server.h"

#include <structmember.h>

#include "errors.h"

static struct py__server *server_of(PyObject *self)
{
    return (struct py__server *)self;
}

static struct py__transport *client_of(cio_ring *place)
{
    return (struct py__transport *)((char *)place - offsetof(struct py__transport, clients));
}

/* ---- the loop's references ---- */

static struct py__server *serving_of(cio_ring *place)
{
    return (struct py__server *)((char *)place - offsetof(struct py__server, serving));
}

int py__servers_visit(struct py__loop *loop, visitproc visit, void *arg)
{
    for (cio_ring *place = loop->servers.next; place && place != &loop->servers;
         place = place->next)
        Py_VISIT(serving_of(place));
    return 0;
}

static void stop_listeners(struct py__server *self)
{
    for (Py_ssize_t i = 0; i < self->n_listeners; i++)
        py__listener_stop(&self->listeners[i]);
}

void py__servers_forget(struct py__loop *loop, PyObject *list)
{
    while (!cio__ring_empty(&loop->servers)) {
        struct py__server *self = serving_of(loop->servers.next);
        stop_listeners(self);
        cio__ring_remove(&self->serving);
        cio__ring_init(&self->serving);
        if (PyList_Append(list, (PyObject *)self) < 0)
            PyErr_Clear(); /* it leaks */
    }
}

/* ---- clients ---- */

/* Takes the list: who waits knows that all is over. */
static void wake(struct py__server *self)
{
    PyObject *waiters = self->waiters;
    self->waiters = NULL;
    const struct py__module *py = self->loop->py;
    for (Py_ssize_t i = 0; waiters && i < PyList_GET_SIZE(waiters); i++) {
        PyObject *waiter = PyList_GET_ITEM(waiters, i);
        PyObject *done = PyObject_CallMethodNoArgs(waiter, py->names.done);
        PyObject *result = NULL;
        if (done == Py_False)
            result = PyObject_CallMethodOneArg(waiter, py->names.set_result, Py_None);
        if (PyErr_Occurred())
            PyErr_WriteUnraisable(waiter);
        Py_XDECREF(result);
        Py_XDECREF(done);
    }
    Py_XDECREF(waiters);
}

static void detach_one(struct py__server *self)
{
    self->n_clients--;
    if (self->n_clients == 0 && self->closed)
        wake(self);
}

/* A server that is none of ours. */
static int tell(PyObject *server, PyObject *method, struct py__transport *transport)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *result = PyObject_CallMethodOneArg(server, method, &transport->object);
#else
    (void)transport;
    PyObject *result = PyObject_CallMethodNoArgs(server, method);
#endif
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static bool is_ours(PyObject *server, const struct py__loop *loop)
{
    return PyObject_TypeCheck(server, loop->py->server_half);
}

int py__server_attach(PyObject *server, struct py__transport *transport)
{
    if (!is_ours(server, transport->loop))
        return tell(server, transport->loop->py->names._attach, transport);
    struct py__server *self = server_of(server);
    cio__ring_append(&self->clients, &transport->clients);
    self->n_clients++;
    return 0;
}

void py__server_detach(PyObject *server, struct py__transport *transport)
{
    if (!is_ours(server, transport->loop)) {
        if (tell(server, transport->loop->py->names._detach, transport) < 0)
            PyErr_WriteUnraisable(server);
        return;
    }
    struct py__server *self = server_of(server);
    cio__ring_remove(&transport->clients);
    detach_one(self);
}

/* A list of the clients, as what is done to one may end another. */
static PyObject *copy_clients(struct py__server *self)
{
    PyObject *list = PyList_New(0);
    for (cio_ring *place = self->clients.next; list && place != &self->clients; place = place->next)
        if (PyList_Append(list, &client_of(place)->object) < 0)
            Py_CLEAR(list);
    return list;
}

int py__server_each_client(struct py__server *self, const char *method)
{
    PyObject *clients = copy_clients(self);
    int rc = clients ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(clients); i++) {
        PyObject *result = PyObject_CallMethod(PyList_GET_ITEM(clients, i), method, NULL);
        rc = result ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_XDECREF(clients);
    return rc;
}

/* For transports that are none of ours: they are counted. */
static PyObject *attach_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    server_of(self)->n_clients++;
    Py_RETURN_NONE;
}

static PyObject *detach_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    detach_one(server_of(self));
    Py_RETURN_NONE;
}

static PyObject *close_clients(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py__server_each_client(server_of(self), "close") < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *abort_clients(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py__server_each_client(server_of(self), "abort") < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- serving ---- */

int py__server_start(struct py__server *self)
{
    if (self->is_serving)
        return 0;
    self->is_serving = true;
    for (Py_ssize_t i = 0; i < self->n_listeners; i++)
        if (py__listener_start(&self->listeners[i]) < 0)
            return -1;
    if (self->n_listeners && cio__ring_empty(&self->serving)) {
        cio__ring_append(&self->loop->servers, &self->serving);
        Py_INCREF(self); /* the loop's */
    }
    return 0;
}

/* If it is still the file that we made. */
static void remove_path(const struct py__listener *listener)
{
    if (!listener->path)
        return;
    PyObject *status = py__call("os", "stat", "(O)", listener->path);
    PyObject *inode = status ? PyObject_GetAttrString(status, "st_ino") : NULL;
    bool same = inode && PyLong_AsUnsignedLongLong(inode) == listener->inode;
    if (same && !PyErr_Occurred())
        Py_XDECREF(py__call("os", "unlink", "(O)", listener->path));
    Py_XDECREF(inode);
    Py_XDECREF(status);
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_FileNotFoundError)) {
        PyErr_Clear();
        return;
    }
    PyObject *exception = py__take_exception();
    if (py__log("error", "(sOO)", "Unable to clean up listening UNIX socket %r: %r", listener->path,
                exception) < 0)
        PyErr_WriteUnraisable(listener->path);
    Py_DECREF(exception);
}

static int close_listener(struct py__listener *listener)
{
    py__listener_stop(listener);
    PyObject *result = PyObject_CallMethodNoArgs(listener->sock,
                                                 listener->server->loop->py->names.close);
    remove_path(listener);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int cancel_forever(struct py__server *self)
{
    PyObject *future = self->forever;
    self->forever = NULL;
    PyObject *result = future ? PyObject_CallMethodNoArgs(future, self->loop->py->names.cancel)
                              : NULL;
    int rc = future && !result ? -1 : 0;
    Py_XDECREF(result);
    Py_XDECREF(future);
    return rc;
}

int py__server_close(struct py__server *self)
{
    if (self->closed)
        return 0;
    Py_INCREF(self);
    self->closed = true;
    int rc = 0;
    for (Py_ssize_t i = 0; i < self->n_listeners; i++)
        if (close_listener(&self->listeners[i]) < 0)
            rc = -1;
    self->is_serving = false;
    if (!cio__ring_empty(&self->serving)) {
        cio__ring_remove(&self->serving);
        cio__ring_init(&self->serving);
        Py_DECREF(self);
    }
    if (rc == 0)
        rc = cancel_forever(self);
    if (self->n_clients == 0)
        wake(self);
    Py_DECREF(self);
    return rc;
}

static PyObject *close_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py__server_close(server_of(self)) < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- life ---- */

static int take_sockets(struct py__server *self, PyObject *sockets)
{
    Py_ssize_t n = PyList_GET_SIZE(sockets);
    self->listeners = PyMem_Calloc((size_t)n, sizeof *self->listeners);
    if (!self->listeners && n) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        self->listeners[i].server = self;
        self->listeners[i].sock = Py_NewRef(PyList_GET_ITEM(sockets, i));
    }
    self->n_listeners = n;
    return 0;
}

PyObject *py__server_new(struct py__loop *loop, PyObject *sockets,
                         const struct py__server_options *options)
{
    PyTypeObject *type = loop->py->server_type;
    struct py__server *self = (struct py__server *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    cio__ring_init(&self->clients);
    cio__ring_init(&self->serving);
    self->loop = (struct py__loop *)Py_NewRef((PyObject *)loop);
    self->options = *options;
    self->options.factory = Py_NewRef(options->factory);
    self->options.ssl = Py_NewRef(options->ssl);
    self->options.handshake_timeout = Py_NewRef(options->handshake_timeout);
    self->options.shutdown_timeout = Py_NewRef(options->shutdown_timeout);
    self->waiters = PyList_New(0);
    if (PY__CONTEXT_OF_CONNECTION)
        self->context = PyContext_CopyCurrent();
    if (!self->waiters || (PY__CONTEXT_OF_CONNECTION && !self->context) ||
        take_sockets(self, sockets) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

int py__server_clean_up(PyObject *object, PyObject *path)
{
    struct py__listener *listener = server_of(object)->listeners;
    PyObject *status = py__call("os", "stat", "(O)", path);
    PyObject *inode = status ? PyObject_GetAttrString(status, "st_ino") : NULL;
    Py_XDECREF(status);
    if (inode) {
        listener->inode = PyLong_AsUnsignedLongLong(inode);
        listener->path = Py_NewRef(path);
        Py_DECREF(inode);
    } else if (PyErr_ExceptionMatches(PyExc_FileNotFoundError)) {
        PyErr_Clear();
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct py__server *self = server_of(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    Py_VISIT(self->options.factory);
    Py_VISIT(self->options.ssl);
    Py_VISIT(self->options.handshake_timeout);
    Py_VISIT(self->options.shutdown_timeout);
    Py_VISIT(self->context);
    Py_VISIT(self->waiters);
    Py_VISIT(self->forever);
    for (Py_ssize_t i = 0; i < self->n_listeners; i++) {
        Py_VISIT(self->listeners[i].sock);
        Py_VISIT(self->listeners[i].context);
        Py_VISIT(self->listeners[i].path);
    }
    return 0;
}

/* Of clients, none is left: each holds a reference. */
static int clear(PyObject *object)
{
    struct py__server *self = server_of(object);
    stop_listeners(self);
    for (Py_ssize_t i = 0; i < self->n_listeners; i++) {
        Py_CLEAR(self->listeners[i].sock);
        Py_CLEAR(self->listeners[i].context);
        Py_CLEAR(self->listeners[i].path);
    }
    Py_CLEAR(self->options.factory);
    Py_CLEAR(self->options.ssl);
    Py_CLEAR(self->options.handshake_timeout);
    Py_CLEAR(self->options.shutdown_timeout);
    Py_CLEAR(self->context);
    Py_CLEAR(self->waiters);
    Py_CLEAR(self->forever);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear(object);
    PyMem_Free(server_of(object)->listeners);
    Py_CLEAR(server_of(object)->loop);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- questions ---- */

static PyObject *get_loop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef((PyObject *)server_of(self)->loop);
}

static PyObject *is_serving(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(server_of(self)->is_serving);
}

static PyObject *get_sockets(PyObject *object, void *unused)
{
    (void)unused;
    struct py__server *self = server_of(object);
    Py_ssize_t n = self->closed ? 0 : self->n_listeners;
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple && i < n; i++) {
        PyObject *facade = PyObject_CallOneArg(self->loop->py->std.TransportSocket,
                                               self->listeners[i].sock);
        if (facade)
            PyTuple_SET_ITEM(tuple, i, facade);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *repr(PyObject *self)
{
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__");
    PyObject *sockets = name ? PyObject_GetAttrString(self, "sockets") : NULL;
    PyObject *text = sockets ? PyUnicode_FromFormat("<%U sockets=%R>", name, sockets) : NULL;
    Py_XDECREF(sockets);
    Py_XDECREF(name);
    return text;
}

/* What programs look at though it is private: None when it is closed. */
static PyObject *get_private_sockets(PyObject *object, void *unused)
{
    (void)unused;
    struct py__server *self = server_of(object);
    if (self->closed)
        Py_RETURN_NONE;
    PyObject *list = PyList_New(self->n_listeners);
    for (Py_ssize_t i = 0; list && i < self->n_listeners; i++)
        PyList_SET_ITEM(list, i, Py_NewRef(self->listeners[i].sock));
    return list;
}

static PyObject *get_waiters(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *waiters = server_of(self)->waiters;
    return Py_NewRef(waiters ? waiters : Py_None);
}

static PyObject *get_clients(PyObject *self, void *unused)
{
    (void)unused;
    return copy_clients(server_of(self));
}

static PyGetSetDef fields[] = {
    {"sockets", get_sockets, NULL, PyDoc_STR("The sockets that it listens on."), NULL},
    {"_sockets", get_private_sockets, NULL, NULL, NULL},
    {"_waiters", get_waiters, NULL, NULL, NULL},
    {"_clients", get_clients, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"_loop", T_OBJECT, offsetof(struct py__server, loop), READONLY, NULL},
    {"_active_count", T_PYSSIZET, offsetof(struct py__server, n_clients), READONLY, NULL},
    {"_serving", T_BOOL, offsetof(struct py__server, is_serving), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyMethodDef py__server_methods[] = {
    {"get_loop", get_loop, METH_NOARGS, PyDoc_STR("The loop that it belongs to.")},
    {"is_serving", is_serving, METH_NOARGS, PyDoc_STR("Whether it accepts connections.")},
    {"start_serving", py__server_start_serving, METH_NOARGS, PyDoc_STR("Accept connections.")},
    {"serve_forever", py__server_serve_forever, METH_NOARGS,
     PyDoc_STR("Accept connections until canceled; then close.")},
    {"close", close_method, METH_NOARGS,
     PyDoc_STR("Accept no more connections. Those that there are live on.")},
    {"wait_closed", py__server_wait_closed, METH_NOARGS,
     PyDoc_STR("Wait until it is closed and all its connections are.")},
    {"close_clients", close_clients, METH_NOARGS, PyDoc_STR("Close all connections.")},
    {"abort_clients", abort_clients, METH_NOARGS,
     PyDoc_STR("Close all connections, without writing what is buffered.")},
    {"_attach", attach_method, METH_VARARGS, NULL},
    {"_detach", detach_method, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The C half of cio.Server."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_members, members},
    {Py_tp_methods, py__server_methods},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__server_spec = {
    .name = "cio._core.Server",
    .basicsize = sizeof(struct py__server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
