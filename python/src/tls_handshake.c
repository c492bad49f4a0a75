/* TLS: how a connection begins and ends, step by step as the bytes come. */
#include "errors.h"
#include "report.h"
#include "tls.h"

static int debug_log(struct py__tls *self, const char *format)
{
    return likely(!self->loop->debug) ? 0 : py__log("debug", "(sO)", format, self);
}

/* ---- timers ---- */

static PyObject *call_later(struct py__tls *self, PyObject *delay, PyObject *method)
{
    PyObject *callback = PyObject_GetAttr((PyObject *)self, method);
    PyObject *timer = callback ? PyObject_CallMethodObjArgs((PyObject *)self->loop,
                                                            self->names->words.call_later, delay,
                                                            callback, NULL)
                               : NULL;
    Py_XDECREF(callback);
    return timer;
}

int py__tls_cancel_timer(struct py__tls *self, PyObject **timer)
{
    PyObject *handle = *timer;
    if (!handle)
        return 0;
    *timer = NULL;
    PyObject *result = PyObject_CallMethodNoArgs(handle, self->loop->py->names.cancel);
    Py_DECREF(handle);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int py__tls_check_handshake(struct py__tls *self)
{
    if (self->state != PY__HANDSHAKE)
        return 0;
    PyObject *text = PyUnicode_FromFormat("SSL handshake is taking longer than %S seconds: "
                                          "aborting the connection",
                                          self->handshake_timeout);
    PyObject *exception = text ? PyObject_CallOneArg(PyExc_ConnectionAbortedError, text) : NULL;
    Py_XDECREF(text);
    return exception ? py__tls_fatal(self, exception, "Fatal error on transport") : -1;
}

int py__tls_check_shutdown(struct py__tls *self)
{
    if (self->state != PY__FLUSHING && self->state != PY__SHUTDOWN)
        return 0;
    PyObject *exception = PyObject_CallFunction(PyExc_TimeoutError, "s", "SSL shutdown timed out");
    int rc = exception ? py__below_force_close(self, exception) : -1;
    Py_XDECREF(exception);
    return rc;
}

/* ---- the handshake ---- */

static int fail_handshake(struct py__tls *self, PyObject *exception)
{
    bool refused = PyObject_TypeCheck(exception, (PyTypeObject *)self->names->CertificateError);
    self->state = PY__UNWRAPPED;
    struct py__loop *loop = self->loop;
    /* Of a connection that was accepted, debug mode tells as of others that cannot be made. */
    struct py__report report = {.text = "Error on transport creation for incoming connection",
                                .exception = exception,
                                .keys = {"protocol", "transport"},
                                .values = {self->protocol, (PyObject *)self->transport}};
    if (self->accepted && loop->debug)
        py__report(loop, &report);
    int rc = py__tls_fatal(self, Py_NewRef(exception),
                           refused ? "SSL handshake failed on verifying the certificate"
                                   : "SSL handshake failed");
    if (rc == 0)
        rc = py__tls_wake(self, exception);
    Py_DECREF(exception);
    return rc;
}

int py__tls_handshake_failed(struct py__tls *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyObject *exception = py__take_exception();
    if (py__tls_cancel_timer(self, &self->handshake_timer) < 0) {
        Py_DECREF(exception);
        return -1;
    }
    return fail_handshake(self, exception);
}

/* Puts what object.method() says into the extra information. */
static int learn(struct py__tls *self, PyObject *method, PyObject *name)
{
    PyObject *value = PyObject_CallMethodNoArgs(self->object, method);
    int rc = value ? PyDict_SetItem(self->extra, name, value) : -1;
    Py_XDECREF(value);
    return rc;
}

static int log_duration(struct py__tls *self)
{
    if (likely(!self->loop->debug))
        return 0;
    PyObject *duration = PyFloat_FromDouble(1e3 *
                                            (py__loop_time(self->loop) - self->handshake_began));
    int rc = duration ? py__log("debug", "(sOO)", "%r: SSL handshake took %.1f ms", self, duration)
                      : -1;
    Py_XDECREF(duration);
    return rc;
}

static int tell_made(struct py__tls *self)
{
    if (self->stage != PY__NOT_MADE || !self->protocol)
        return 0;
    self->stage = PY__MADE;
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *result = PyObject_CallMethodOneArg(protocol, self->loop->py->names.connection_made,
                                                 (PyObject *)self->transport);
    Py_DECREF(protocol);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int complete(struct py__tls *self)
{
    if (py__tls_cancel_timer(self, &self->handshake_timer) < 0)
        return -1;
    self->state = PY__WRAPPED;
    if (learn(self, self->names->words.getpeercert, self->names->words.peercert) < 0)
        return py__tls_handshake_failed(self);
    py__tls_engine_go_direct(self);
    if (log_duration(self) < 0 ||
        learn(self, self->names->words.cipher, self->names->words.cipher) < 0 ||
        learn(self, self->names->words.compression, self->names->words.compression) < 0 ||
        PyDict_SetItem(self->extra, self->names->words.ssl_object, self->object) < 0 ||
        tell_made(self) < 0 || py__tls_wake(self, NULL) < 0)
        return -1;
    return py__tls_read_all(self);
}

static int shake_hands(struct py__tls *self)
{
    switch (py__tls_step(self, self->names->words.do_handshake)) {
    case 0: return complete(self);
    case PY__TLS_AGAIN: return py__tls_send(self);
    default:
        return PyErr_ExceptionMatches(self->names->SSLError) ? py__tls_handshake_failed(self) : -1;
    }
}

int py__tls_begin(struct py__tls *self, PyObject *below)
{
    if (self->state != PY__UNWRAPPED || !self->protocol || !self->object)
        return 0;
    py__tls_set_below(self, below);
    if (debug_log(self, "%r starts SSL handshake") < 0)
        return -1;
    self->handshake_began = self->loop->debug ? py__loop_time(self->loop) : 0;
    self->state = PY__HANDSHAKE;
    self->handshake_timer = call_later(self, self->handshake_timeout,
                                       self->names->words._check_handshake_timeout);
    return self->handshake_timer ? shake_hands(self) : -1;
}

/* ---- the end ---- */

int py__tls_end_of_data(struct py__tls *self)
{
    if (self->stage != PY__MADE || !self->protocol)
        return 0;
    self->stage = PY__ENDED;
    int keep;
    if (self->above) {
        keep = self->above->ops->eof_received(self->above);
    } else {
        PyObject *protocol = Py_NewRef(self->protocol);
        PyObject *result = PyObject_CallMethodNoArgs(protocol, self->loop->py->names.eof_received);
        Py_DECREF(protocol);
        keep = result ? PyObject_IsTrue(result) : -1;
        Py_XDECREF(result);
    }
    if (keep > 0)
        keep = py__log("warning", "(s)",
                       "returning true from eof_received() has no effect when using ssl");
    if (keep >= 0)
        return 0;
    if (py__exception_leaves())
        return -1;
    return py__tls_fatal(self, py__take_exception(), "Error calling eof_received()");
}

/*
 * The transport below may take long to send what it has to a peer that does not read: the timeout
 * is for that too.
 */
static int close_below(struct py__tls *self)
{
    if (!self->below)
        return 0;
    if (!self->shutdown_timer)
        self->shutdown_timer = call_later(self, self->shutdown_timeout,
                                          self->names->words._check_shutdown_timeout);
    return self->shutdown_timer ? py__tls_call_soon(self, self->below, self->loop->py->names.close)
                                : -1;
}

static int end_shutdown(struct py__tls *self)
{
    if (py__tls_send(self) < 0 || py__tls_end_of_data(self) < 0)
        return -1;
    return close_below(self);
}

int py__tls_shut_down(struct py__tls *self)
{
    int rc = self->eof ? 0 : py__tls_step(self, self->names->words.unwrap);
    if (rc == PY__TLS_AGAIN)
        return py__tls_send(self);
    if (rc == 0)
        return end_shutdown(self);
    if (!PyErr_ExceptionMatches(self->names->SSLError))
        return -1;
    PyObject *exception = py__take_exception();
    if (py__tls_cancel_timer(self, &self->shutdown_timer) < 0) {
        Py_DECREF(exception);
        return -1;
    }
    return py__tls_fatal(self, exception, "Fatal error on transport");
}

int py__tls_flush(struct py__tls *self)
{
    if (py__tls_read_all(self) < 0)
        return -1;
    if (self->state != PY__FLUSHING) /* it has failed, or was aborted */
        return 0;
    self->state = PY__SHUTDOWN;
    return py__tls_shut_down(self);
}

int py__tls_start_shutdown(struct py__tls *self)
{
    if (self->state != PY__HANDSHAKE && self->state != PY__WRAPPED)
        return 0;
    if (self->transport)
        self->transport->closed = true;
    if (self->state == PY__HANDSHAKE)
        return py__tls_abort(self, NULL);
    self->state = PY__FLUSHING;
    self->shutdown_timer = call_later(self, self->shutdown_timeout,
                                      self->names->words._check_shutdown_timeout);
    return self->shutdown_timer ? py__tls_flush(self) : -1;
}

int py__tls_abort(struct py__tls *self, PyObject *exception)
{
    self->state = PY__UNWRAPPED;
    return py__below_force_close(self, exception);
}

/* ---- what the transport below tells ---- */

int py__tls_go_on(struct py__tls *self)
{
    switch (self->state) {
    case PY__HANDSHAKE: return shake_hands(self);
    case PY__WRAPPED: return py__tls_read_all(self);
    case PY__FLUSHING: return py__tls_flush(self);
    case PY__SHUTDOWN: return py__tls_shut_down(self);
    default: return 0;
    }
}

/* 1: the transport below is to stay open. */
static int see_end(struct py__tls *self)
{
    switch (self->state) {
    case PY__HANDSHAKE:
        PyErr_SetNone(PyExc_ConnectionResetError);
        return py__tls_handshake_failed(self);
    case PY__WRAPPED:
        self->state = PY__FLUSHING;
        return self->read_paused ? 1 : py__tls_flush(self);
    case PY__FLUSHING:
        if (py__tls_write_backlog(self) < 0)
            return -1;
        self->state = PY__SHUTDOWN;
        return py__tls_shut_down(self);
    case PY__SHUTDOWN: return py__tls_shut_down(self);
    default: return 0;
    }
}

int py__tls_end_of_input(struct py__tls *self)
{
    self->eof = true;
    int rc = debug_log(self, "%r received EOF");
    if (rc == 0)
        rc = see_end(self);
    if (rc >= 0 || !PyErr_ExceptionMatches(PyExc_Exception))
        return rc;
    PyObject *exception = py__take_exception();
    if (py__below_close(self) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    py__raise_again(exception);
    return -1;
}
