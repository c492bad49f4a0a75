/* Transports: their life and their end. */
#include "transport.h"

#include <errno.h>

#include "errors.h"
#include "files.h"
#include "handle.h"
#include "os/kernel.h"
#include "report.h"
#include "server.h"

/* ---- beginning ---- */

static int make_room(struct py__loop *loop, int fd)
{
    if ((size_t)fd < loop->n_transports)
        return 0;
    size_t n = loop->n_transports * 2 > (size_t)fd ? loop->n_transports * 2 : (size_t)fd + 16;
    struct py__transport **table = PyMem_Resize(loop->transports, struct py__transport *, n);
    if (!table) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = loop->n_transports; i < n; i++)
        table[i] = NULL;
    loop->transports = table;
    loop->n_transports = n;
    return 0;
}

/* Of a terminal, say, one transport reads and another writes. */
static bool join_partner(struct py__transport *self, int fd)
{
    struct py__transport *partner = py__transport_of(self->loop, fd);
    if (!partner || !self->kind->levels || !partner->kind->levels || partner->closing ||
        partner->generation != partner->file->generation)
        return false;
    self->partner = partner;
    self->file = partner->file;
    self->generation = partner->generation;
    return true;
}

/* Whatever was known of the number is of another descriptor, or of the program's watches. */
static int take_file(struct py__transport *self, int fd)
{
    struct py__loop *loop = self->loop;
    if (join_partner(self, fd))
        return 0;
    struct cio__file *file = cio__file_get(loop->loop, fd);
    if (!file) {
        py__raise_code(cio__file_missing(loop->loop, fd));
        return -1;
    }
    if (py__unwatch(loop, fd, CIO__READ) < 0 || py__unwatch(loop, fd, CIO__WRITE) < 0)
        return -1;
    if (!self->is_known || file->owned_in != loop->loop->runs)
        cio__file_renew(loop->loop, file);
    file->taken = true;
    file->owned_in = loop->loop->runs;
    self->file = file;
    self->generation = file->generation;
    return 0;
}

int py__transport_init(struct py__transport *self, struct py__loop *loop,
                       const struct py__transport_kind *kind, int fd, PyObject *sock,
                       PyObject *extra, PyObject *server)
{
    self->closed = true; /* until fd is ours */
    self->level = true;
    self->kind = kind;
    self->loop = (struct py__loop *)Py_NewRef((PyObject *)loop);
    if (py__loop_check_closed(loop) < 0 || make_room(loop, fd) < 0 || take_file(self, fd) < 0)
        return -1;
    if (extra && extra != Py_None && !(self->extra = PyDict_Copy(extra)))
        return -1;
    self->fd = fd;
    self->closed = false;
    loop->transports[fd] = self;
    py__transport_set_limits(self);
    self->sock = Py_XNewRef(sock);
    if (!server || server == Py_None)
        return 0;
    self->server = Py_NewRef(server);
    return py__server_attach(server, self);
}

void py__transport_set_protocol(struct py__transport *self, PyObject *protocol)
{
    const struct py__module *py = self->loop ? self->loop->py : NULL;
    self->layer = NULL;
    if (py && py->layer_type && PyObject_TypeCheck(protocol, py->layer_type))
        self->layer = (struct py__layer *)protocol;
    self->protocol_connected = true;
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
}

void py__report_call(struct py__loop *loop, PyObject *callback, PyObject *argument)
{
    if (py__exception_leaves()) {
        py__loop_leave(loop);
        return;
    }
    PyObject *exception = py__take_exception();
    struct py__handle *handle = py__handle_new(loop, loop->py->handle_type, callback, &argument,
                                               argument ? 1 : 0, NULL);
    if (!handle)
        py__loop_leave(loop);
    py__raise_again(exception);
    if (handle)
        py__handle_report(handle);
    else
        py__loop_leave(loop);
    Py_XDECREF(handle);
}

static void set_waiter(struct py__transport *self, struct py__loop *loop)
{
    PyObject *waiter = self->waiter;
    if (!waiter)
        return;
    self->waiter = NULL;
    PyObject *done = PyObject_CallMethodNoArgs(waiter, loop->py->names.cancelled);
    PyObject *result = NULL;
    if (done == Py_False)
        result = PyObject_CallMethodOneArg(waiter, loop->py->names.set_result, Py_None);
    if (!done || (done == Py_False && !result))
        py__loop_report(loop, "Exception in callback of a new transport", "transport",
                        &self->object, NULL, NULL);
    Py_XDECREF(result);
    Py_XDECREF(done);
    Py_DECREF(waiter);
}

/* After connection_made(). */
static void begin(void *arg)
{
    struct py__transport *self = arg;
    struct py__transport_watch *watch = &self->watches[CIO__READ];
    struct py__loop *loop = py__loop_of(watch->call.loop);
    Py_INCREF(loop);
    watch->armed = false;
    self->starting = false;
    PyObject *context = watch->context;
    watch->context = NULL;
    if (context && self->loop && py__transport_is_reading(self) &&
        py__transport_watch(self, CIO__READ, context) < 0)
        py__transport_fail(self, "Fatal error on transport");
    Py_XDECREF(context);
    set_waiter(self, loop);
    Py_DECREF(self);
    Py_DECREF(loop);
}

static int schedule_made(struct py__transport *self)
{
    const struct py__module *py = self->loop->py;
    PyObject *made = PyObject_GetAttr(self->protocol, py->names.connection_made);
    PyObject *argument = &self->object;
    int rc = made ? py__handle_schedule_in(self->loop, self->context, made, &argument, 1) : -1;
    Py_XDECREF(made);
    return rc;
}

int py__transport_start(struct py__transport *self, PyObject *waiter, bool reads)
{
    struct py__transport_watch *watch = &self->watches[CIO__READ];
    if (reads)
        watch->context = self->context ? Py_NewRef(self->context) : PyContext_CopyCurrent();
    if (reads && !watch->context)
        return -1;
    if (schedule_made(self) < 0)
        return -1;
    self->waiter = waiter && waiter != Py_None ? Py_NewRef(waiter) : NULL;
    watch->call.fn = begin;
    watch->call.arg = self;
    watch->call.loop = self->loop->loop;
    watch->call.hint = self;
    watch->armed = true;
    self->starting = true;
    Py_INCREF(self);
    cio__ready_push_last(&self->loop->loop->ready, &watch->call);
    return 0;
}

/* ---- the end ---- */

int py__transport_log(struct py__transport *self, const char *format)
{
    struct py__loop *loop = self->loop;
    if (likely(!loop || !loop->debug))
        return 0;
    return py__log("debug", "(sO)", format, &self->object);
}

/* Whether others of the same descriptor are left. */
static bool leave_table(struct py__transport *self)
{
    struct py__loop *loop = self->loop;
    if (!py__transport_of(loop, self->fd))
        return false;
    struct py__transport **place = &loop->transports[self->fd];
    while (*place && *place != self)
        place = &(*place)->partner;
    if (*place)
        *place = self->partner;
    self->partner = NULL;
    struct py__transport *left = loop->transports[self->fd];
    return left && left->file == self->file && left->generation == self->generation;
}

/* The object that both had has closed the descriptor: its number is not theirs any more. */
static void orphan_partners(struct py__transport *self)
{
    struct py__loop *loop = self->loop;
    struct py__transport *partner = py__transport_of(loop, self->fd);
    if (!partner || loop->loop->os->ops->is_open(loop->loop->os, self->fd))
        return;
    cio__file_renew(loop->loop, partner->file);
    loop->transports[self->fd] = NULL;
    while (partner) {
        struct py__transport *next = partner->partner;
        partner->partner = NULL;
        partner->fd = -1;
        partner = next;
    }
}

/* The object closes the descriptor if there is one; its close() may be the program's. */
static void close_descriptor(struct py__transport *self)
{
    struct py__loop *loop = self->loop;
    self->closed = true;
    py__transport_poll_next(self);
    py__transport_unwatch(self, CIO__READ);
    py__transport_unwatch(self, CIO__WRITE);
    bool shared = leave_table(self);
    bool ours = self->file && self->file->generation == self->generation && !shared;
    if (ours &&
        (py__unwatch(loop, self->fd, CIO__READ) < 0 || py__unwatch(loop, self->fd, CIO__WRITE) < 0))
        PyErr_WriteUnraisable(&self->object);
    if (ours)
        cio__file_renew(loop->loop, self->file);
    if (self->sock) {
        PyObject *result = PyObject_CallMethodNoArgs(self->sock, loop->py->names.close);
        if (!result)
            PyErr_WriteUnraisable(&self->object);
        Py_XDECREF(result);
        Py_CLEAR(self->sock);
    } else if (ours || !self->file) {
        cio__kernel_close_fd(NULL, self->fd);
    }
    if (shared)
        orphan_partners(self);
    self->file = NULL;
}

static int call_lost(struct py__transport *self, PyObject *exception)
{
    if (!self->protocol_connected)
        return 0;
    if (self->layer)
        return self->layer->ops->connection_lost(self->layer, exception);
    PyObject *result = PyObject_CallMethodOneArg(self->protocol,
                                                 self->loop->py->names.connection_lost, exception);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int py__transport_lose(struct py__transport *self, PyObject *exception)
{
    if (!self->loop || self->closed)
        return 0;
    Py_INCREF(self);
    if (self->conn_lost == 0)
        self->conn_lost = 1; /* writes are vain from now on */
    int rc = call_lost(self, exception);
    PyObject *raised = rc < 0 ? py__take_exception() : NULL;
    if (!self->closed)
        close_descriptor(self);
    py__write_queue_clear(&self->queue);
    if (rc == 0 && self->kind->lost)
        self->kind->lost(self);
    self->layer = NULL;
    Py_CLEAR(self->protocol);
    PyObject *server = self->server;
    self->server = NULL;
    if (server)
        py__server_detach(server, self);
    Py_XDECREF(server);
    Py_CLEAR(self->loop);
    if (raised)
        py__raise_again(raised);
    Py_DECREF(self);
    return rc;
}

void py__transport_finish(struct py__transport *self)
{
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)self->loop);
    PyObject *method = PyObject_GetAttr(&self->object, loop->py->names._call_connection_lost);
    if (!method || py__transport_lose(self, Py_None) < 0)
        py__report_call(loop, method ? method : Py_None, Py_None);
    Py_XDECREF(method);
    Py_DECREF(loop);
}

static int schedule_lost(struct py__transport *self, PyObject *exception)
{
    struct py__loop *loop = self->loop;
    self->conn_lost++;
    if (py__loop_check_closed(loop) < 0)
        return -1;
    PyObject *method = PyObject_GetAttr(&self->object, loop->py->names._call_connection_lost);
    if (!method)
        return -1;
    PyObject *argument = exception ? exception : Py_None;
    int rc = py__handle_schedule_in(loop, self->context, method, &argument, 1);
    Py_DECREF(method);
    return rc;
}

static void set_closing(struct py__transport *self)
{
    self->closing = true;
    if (self->file)
        self->file->taken = false;
    if (!self->kind->hears_end || self->queue.n == 0)
        py__transport_unwatch(self, CIO__READ);
}

int py__transport_close(struct py__transport *self)
{
    if (self->closing)
        return 0;
    set_closing(self);
    if (self->queue.n)
        return 0;
    py__transport_unwatch(self, CIO__WRITE);
    return schedule_lost(self, NULL);
}

int py__transport_force_close(struct py__transport *self, PyObject *exception)
{
    if (self->conn_lost)
        return 0;
    if (self->queue.n) {
        py__write_queue_clear(&self->queue);
        py__transport_unwatch(self, CIO__WRITE);
    }
    set_closing(self);
    return schedule_lost(self, exception);
}

static void log_error(struct py__transport *self, const char *message, PyObject *exception)
{
    if (likely(!self->loop->debug))
        return;
    PyObject *logger = py__import("asyncio.base_events", "logger");
    PyObject *debug = logger ? PyObject_GetAttrString(logger, "debug") : NULL;
    PyObject *arguments = Py_BuildValue("(sOs)", "%r: %s", &self->object, message);
    PyObject *keywords = Py_BuildValue("{s:O}", "exc_info", exception);
    PyObject *result = debug && arguments && keywords ? PyObject_Call(debug, arguments, keywords)
                                                      : NULL;
    if (!result)
        py__loop_leave(self->loop);
    Py_XDECREF(result);
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(debug);
    Py_XDECREF(logger);
}

static bool is_expected(const struct py__transport *self, PyObject *exception)
{
    if (!PyErr_GivenExceptionMatches(exception, PyExc_OSError))
        return false;
    if (!self->kind->tells_errors)
        return true;
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    bool expected = number && PyLong_Check(number) && PyLong_AsLong(number) == EIO;
    Py_XDECREF(number);
    PyErr_Clear();
    return expected;
}

void py__transport_fail(struct py__transport *self, const char *message)
{
    struct py__loop *loop = self->loop;
    if (!loop) { /* the protocol has closed it for good */
        PyErr_WriteUnraisable(&self->object);
        return;
    }
    if (py__exception_leaves()) {
        py__loop_leave(loop);
        return;
    }
    Py_INCREF(loop);
    PyObject *exception = py__take_exception();
    if (is_expected(self, exception)) {
        log_error(self, message, exception);
    } else {
        struct py__report report = {.text = message,
                                    .exception = exception,
                                    .keys = {"transport", "protocol"},
                                    .values = {&self->object, self->protocol}};
        py__report(loop, &report);
    }
    if (py__transport_force_close(self, exception) < 0)
        py__loop_report(loop, message, "transport", &self->object, NULL, NULL);
    Py_DECREF(exception);
    Py_DECREF(loop);
}

/* ---- of the type ---- */

int py__transport_traverse(struct py__transport *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->attributes);
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->sock);
    Py_VISIT(self->server);
    Py_VISIT(self->context);
    Py_VISIT(self->extra);
    Py_VISIT(self->waiter);
    Py_VISIT(self->watches[CIO__READ].context);
    Py_VISIT(self->watches[CIO__WRITE].context);
    return py__write_queue_traverse(&self->queue, visit, arg);
}

void py__transport_clear(struct py__transport *self)
{
    self->layer = NULL;
    Py_CLEAR(self->attributes);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->server);
    Py_CLEAR(self->context);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->waiter);
    py__write_queue_clear(&self->queue);
}

void py__transport_abandon(struct py__transport *self)
{
    if (self->closed)
        return;
    bool shared = leave_table(self);
    if (self->file && !shared)
        cio__file_renew(self->loop->loop, self->file);
    self->file = NULL;
    self->closed = true;
}

void py__transport_finalize(PyObject *object)
{
    struct py__transport *self = py__transport(object);
    if (self->closed || !self->loop)
        return;
    PyObject *exception = py__take_exception();
    if (PyErr_ResourceWarning(object, 1, "unclosed transport %R", object) < 0)
        PyErr_WriteUnraisable(object);
    close_descriptor(self);
    if (self->server)
        py__server_detach(self->server, self);
    Py_CLEAR(self->server);
    if (exception)
        py__raise_again(exception);
}

void py__transport_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    struct py__transport *self = py__transport(object);
    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    if (self->weak_references)
        PyObject_ClearWeakRefs(object);
    type->tp_clear(object);
    Py_CLEAR(self->watches[CIO__READ].context);
    Py_CLEAR(self->watches[CIO__WRITE].context);
    Py_CLEAR(self->loop);
    type->tp_free(object);
    Py_DECREF(type);
}

/* "<SocketTransport fd=7 read=polling write=<idle, bufsize=0>>" */
PyObject *py__transport_repr(PyObject *object)
{
    const struct py__transport *self = py__transport(object);
    const char *state = self->closed ? " closed" : self->closing ? " closing" : "";
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    PyObject *text = NULL;
    if (name && self->loop && !self->loop->closed)
        text = PyUnicode_FromFormat("<%U%s fd=%d read=%s write=<%s, bufsize=%zd>>", name, state,
                                    self->fd, self->watches[CIO__READ].on ? "polling" : "idle",
                                    self->watches[CIO__WRITE].on ? "polling" : "idle",
                                    self->queue.size);
    else if (name)
        text = PyUnicode_FromFormat("<%U%s fd=%d>", name, state, self->fd);
    Py_XDECREF(name);
    return text;
}
