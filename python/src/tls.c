/* TLS: the protocol between two transports, its life. */
#include "tls.h"

#include "errors.h"
#include "report.h"

#define HANDSHAKE_TIMEOUT 60.0
#define SHUTDOWN_TIMEOUT 30.0

/* ---- the module ssl ---- */

static struct py__ssl *import_ssl(void)
{
    struct py__ssl *names = PyMem_Calloc(1, sizeof *names);
    if (!names) {
        PyErr_NoMemory();
        return NULL;
    }
#define X(name)                                                                                    \
    if (!(names->name = py__import("ssl", #name)))                                                 \
        goto fail;
    PY__SSL_IMPORTS(X)
#undef X
#define X(name)                                                                                    \
    if (!(names->words.name = PyUnicode_InternFromString(#name)))                                  \
        goto fail;
    PY__SSL_WORDS(X)
#undef X
    py__openssl_find(&names->openssl);
    return names;
fail:
    py__ssl_free(names);
    return NULL;
}

struct py__ssl *py__ssl_get(struct py__module *py)
{
    if (likely(py->ssl != NULL))
        return py->ssl;
    struct py__ssl *names = import_ssl();
    if (!names) {
        if (PyErr_ExceptionMatches(PyExc_ImportError))
            PyErr_SetString(PyExc_RuntimeError, "stdlib ssl module not available");
        return NULL;
    }
    if (py->ssl) /* the import has run code that was here too */
        py__ssl_free(names);
    else
        py->ssl = names;
    return py->ssl;
}

int py__ssl_traverse(const struct py__ssl *names, visitproc visit, void *arg)
{
    if (!names)
        return 0;
#define X(name) Py_VISIT(names->name);
    PY__SSL_IMPORTS(X)
#undef X
    return 0;
}

void py__ssl_clear(struct py__ssl *names)
{
    if (!names)
        return;
#define X(name) Py_CLEAR(names->name);
    PY__SSL_IMPORTS(X)
#undef X
#define X(name) Py_CLEAR(names->words.name);
    PY__SSL_WORDS(X)
#undef X
}

void py__ssl_free(struct py__ssl *names)
{
    py__ssl_clear(names);
    PyMem_Free(names);
}

/* ---- what both ends of it need ---- */

int py__tls_call_soon(struct py__tls *self, PyObject *object, PyObject *method)
{
    PyObject *callback = PyObject_GetAttr(object, method);
    PyObject *handle = callback
                           ? PyObject_CallMethodOneArg((PyObject *)self->loop,
                                                       self->loop->py->names.call_soon, callback)
                           : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

int py__tls_wake(struct py__tls *self, PyObject *exception)
{
    PyObject *waiter = self->waiter;
    if (!waiter)
        return 0;
    self->waiter = NULL;
    const struct py__module *py = self->loop->py;
    PyObject *canceled = PyObject_CallMethodNoArgs(waiter, py->names.cancelled);
    int gone = canceled ? PyObject_IsTrue(canceled) : -1;
    Py_XDECREF(canceled);
    PyObject *result = gone < 0 ? NULL : Py_NewRef(Py_None);
    if (gone == 0)
        Py_SETREF(result,
                  exception ? PyObject_CallMethodOneArg(waiter, py->names.set_exception, exception)
                            : PyObject_CallMethodOneArg(waiter, py->names.set_result, Py_None));
    Py_DECREF(waiter);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int log_error(struct py__tls *self, const char *message, PyObject *exception)
{
    if (likely(!self->loop->debug))
        return 0;
    PyObject *logger = py__import("asyncio.base_events", "logger");
    PyObject *debug = logger ? PyObject_GetAttrString(logger, "debug") : NULL;
    PyObject *arguments = Py_BuildValue("(sOs)", "%r: %s", self, message);
    PyObject *keywords = Py_BuildValue("{s:O}", "exc_info", exception);
    PyObject *result = debug && arguments && keywords ? PyObject_Call(debug, arguments, keywords)
                                                      : NULL;
    Py_XDECREF(result);
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(debug);
    Py_XDECREF(logger);
    return result ? 0 : -1;
}

int py__tls_fatal(struct py__tls *self, PyObject *exception, const char *message)
{
    PyObject *below = Py_NewRef(self->below ? self->below : Py_None);
    int rc = py__below_force_close(self, exception);
    if (rc < 0) {
        /* the caller is told of that */
    } else if (PyErr_GivenExceptionMatches(exception, PyExc_OSError)) {
        rc = log_error(self, message, exception);
    } else if (!PyErr_GivenExceptionMatches(exception, self->loop->py->std.CancelledError)) {
        struct py__report report = {.text = message,
                                    .exception = exception,
                                    .keys = {"transport", "protocol"},
                                    .values = {below, (PyObject *)self}};
        py__report(self->loop, &report);
    }
    Py_DECREF(below);
    Py_DECREF(exception);
    return rc;
}

int py__tls_catch(struct py__tls *self, const char *message)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    return py__tls_fatal(self, py__take_exception(), message);
}

/* ---- making one ---- */

int py__tls_set_protocol(struct py__tls *self, PyObject *protocol)
{
    const struct py__module *py = self->loop->py;
    int buffered = PyObject_IsInstance(protocol, py->std.BufferedProtocol);
    if (buffered < 0)
        return -1;
    py__method_clear(&self->received);
    py__method_clear(&self->get_buffer);
    self->buffered = buffered;
    bool is_layer = PyObject_TypeCheck(protocol, py->layer_type);
    self->above = is_layer ? (struct py__layer *)protocol : NULL;
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    return 0;
}

/* A time that was given, or the usual one. */
static PyObject *take_timeout(PyObject *given, double usual, const char *name)
{
    if (given == Py_None)
        return PyFloat_FromDouble(usual);
    PyObject *zero = PyLong_FromLong(0);
    int refused = zero ? PyObject_RichCompareBool(given, zero, Py_LE) : -1;
    Py_XDECREF(zero);
    if (refused > 0)
        PyErr_Format(PyExc_ValueError, "%s should be a positive number, got %S", name, given);
    return refused ? NULL : Py_NewRef(given);
}

/* That of ssl=True is strict; where there is no name, none can be checked. */
static PyObject *usual_context(const struct py__ssl *names, const struct py__tls_options *options)
{
    if (options->server_side) {
        PyErr_SetString(PyExc_ValueError, "Server side SSL needs a valid SSLContext");
        return NULL;
    }
    PyObject *context = py__call("ssl", "create_default_context", "()");
    int named = context ? PyObject_IsTrue(options->hostname) : -1;
    if (named < 0 ||
        (named == 0 && PyObject_SetAttr(context, names->words.check_hostname, Py_False) < 0))
        Py_CLEAR(context);
    return context;
}

static int take_hostname(struct py__tls *self, const struct py__tls_options *options)
{
    int named = options->server_side ? 0 : PyObject_IsTrue(options->hostname);
    self->hostname = Py_NewRef(named > 0 ? options->hostname : Py_None);
    return named < 0 ? -1 : 0;
}

static int take_options(struct py__tls *self, const struct py__tls_options *options)
{
    self->handshake_timeout = take_timeout(options->handshake_timeout, HANDSHAKE_TIMEOUT,
                                           "ssl_handshake_timeout");
    if (!self->handshake_timeout)
        return -1;
    self->shutdown_timeout = take_timeout(options->shutdown_timeout, SHUTDOWN_TIMEOUT,
                                          "ssl_shutdown_timeout");
    int given = self->shutdown_timeout ? PyObject_IsTrue(options->context) : -1;
    if (given < 0)
        return -1;
    self->server_side = options->server_side;
    self->context = given ? Py_NewRef(options->context) : usual_context(self->names, options);
    if (!self->context || take_hostname(self, options) < 0)
        return -1;
    self->extra = Py_BuildValue("{s:O}", "sslcontext", self->context);
    self->waiter = options->waiter == Py_None ? NULL : Py_NewRef(options->waiter);
    self->stage = options->is_made ? PY__MADE : PY__NOT_MADE;
    return self->extra ? py__tls_set_protocol(self, options->protocol) : -1;
}

struct py__tls *py__tls_new(struct py__loop *loop, const struct py__tls_options *options)
{
    PyTypeObject *type = loop->py->tls_type;
    const struct py__ssl *names = py__ssl_get(loop->py);
    struct py__tls *self = names ? (struct py__tls *)type->tp_alloc(type, 0) : NULL;
    if (!self)
        return NULL;
    self->layer.ops = &py__tls_ops;
    self->names = names;
    self->loop = (struct py__loop *)Py_NewRef((PyObject *)loop);
    self->write_high = PY__TLS_WRITE_HIGH;
    self->write_low = PY__TLS_WRITE_HIGH / 4;
    self->read_high = PY__TLS_READ_HIGH;
    self->read_low = PY__TLS_READ_HIGH / 4;
    if (take_options(self, options) == 0 && py__tls_engine_init(self) == 0 &&
        (self->transport = py__tls_transport_new(self)))
        return self;
    Py_DECREF(self);
    return NULL;
}

/* ---- the end ---- */

static int tell_lost(struct py__tls *self, PyObject *exception)
{
    bool known = self->stage == PY__MADE || self->stage == PY__ENDED;
    if (self->state == PY__HANDSHAKE || !known || !self->protocol)
        return 0;
    self->stage = PY__LOST;
    PyObject *lost = PyObject_GetAttr(self->protocol, self->loop->py->names.connection_lost);
    PyObject *handle = lost ? PyObject_CallMethodObjArgs((PyObject *)self->loop,
                                                         self->loop->py->names.call_soon, lost,
                                                         exception, NULL)
                            : NULL;
    Py_XDECREF(handle);
    Py_XDECREF(lost);
    return handle ? 0 : -1;
}

/* What is queued for a peer that is gone. */
static void drop_output(struct py__tls *self)
{
    py__write_queue_clear(&self->backlog);
    py__tls_drop_outgoing(self);
}

void py__tls_forget(struct py__tls *self)
{
    self->forgotten = true;
    if (self->stage != PY__LOST && (self->below || self->state != PY__UNWRAPPED))
        return;
    py__tls_bio_end(self);
    Py_CLEAR(self->read);
    Py_CLEAR(self->write);
    Py_CLEAR(self->object);
    Py_CLEAR(self->incoming);
    Py_CLEAR(self->outgoing);
    Py_CLEAR(self->context);
    Py_CLEAR(self->extra);
}

static int lose(struct py__tls *self, PyObject *exception)
{
    drop_output(self);
    self->conn_lost++;
    if (self->transport)
        self->transport->closed = true;
    int rc = tell_lost(self, exception);
    PyObject *raised = rc < 0 ? py__take_exception() : NULL;
    self->state = PY__UNWRAPPED;
    self->above = NULL;
    Py_CLEAR(self->below);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->protocol);
    py__method_clear(&self->received);
    py__method_clear(&self->get_buffer);
    if (py__tls_wake(self, exception == Py_None ? NULL : exception) < 0 ||
        py__tls_cancel_timer(self, &self->shutdown_timer) < 0 ||
        py__tls_cancel_timer(self, &self->handshake_timer) < 0)
        rc = -1;
    if (self->forgotten)
        py__tls_forget(self);
    if (raised) {
        PyErr_Clear();
        py__raise_again(raised);
    }
    return rc;
}

/* ---- what the transport below calls ---- */

/* Runs something that may let go of the last reference to it. */
#define HELD(self, expression)                                                                     \
    do {                                                                                           \
        Py_INCREF(self);                                                                           \
        int rc_ = (expression);                                                                    \
        Py_DECREF(self);                                                                           \
        return rc_;                                                                                \
    } while (0)

static int layer_received(struct py__layer *layer, char *data, size_t size)
{
    struct py__tls *self = (struct py__tls *)layer;
    if (unlikely(!self->incoming))
        return 0;
    if (unlikely(py__tls_feed(self, data, size) < 0))
        return -1;
    HELD(self, py__tls_feed_end(self, py__tls_go_on(self)));
}

static int layer_eof(struct py__layer *layer)
{
    struct py__tls *self = (struct py__tls *)layer;
    HELD(self, py__tls_end_of_input(self));
}

static int layer_lost(struct py__layer *layer, PyObject *exception)
{
    struct py__tls *self = (struct py__tls *)layer;
    HELD(self, lose(self, exception));
}

static int layer_pause(struct py__layer *layer)
{
    ((struct py__tls *)layer)->held = true;
    return 0;
}

static int layer_resume(struct py__layer *layer)
{
    struct py__tls *self = (struct py__tls *)layer;
    self->held = false;
    HELD(self, py__tls_send(self));
}

const struct py__layer_ops py__tls_ops = {
    .data_received = layer_received,
    .eof_received = layer_eof,
    .connection_lost = layer_lost,
    .pause_writing = layer_pause,
    .resume_writing = layer_resume,
};
