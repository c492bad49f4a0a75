/* TLS: data from and to the program, and the water marks. */
#include "errors.h"
#include "report.h"
#include "stream.h"
#include "tls.h"

static const char fatal[] = "Fatal error on SSL protocol";

/* As much as is encrypted before it is sent. */
#define WRITE_MOST ((size_t)256 * 1024)
#define ROOM_LEAST ((size_t)64) /* of a bytes object to read into */

/* ---- water marks ---- */

size_t py__tls_write_size(struct py__tls *self)
{
    return py__tls_outgoing(self) + self->backlog.size;
}

static int tell(struct py__tls *self, bool pause)
{
    const struct py__module *py = self->loop->py;
    if (self->above)
        return pause ? self->above->ops->pause_writing(self->above)
                     : self->above->ops->resume_writing(self->above);
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *result = PyObject_CallMethodNoArgs(protocol, pause ? py->names.pause_writing
                                                                 : py->names.resume_writing);
    Py_DECREF(protocol);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int tell_and_report(struct py__tls *self, bool pause)
{
    self->protocol_paused = pause;
    if (!self->protocol || tell(self, pause) == 0)
        return 0;
    if (py__exception_leaves())
        return -1;
    PyObject *exception = py__take_exception();
    PyObject *transport = self->transport ? &self->transport->object : Py_None;
    struct py__report report = {.text = pause ? "protocol.pause_writing() failed"
                                              : "protocol.resume_writing() failed",
                                .exception = exception,
                                .keys = {"transport", "protocol"},
                                .values = {transport, (PyObject *)self}};
    py__report(self->loop, &report);
    Py_DECREF(exception);
    return 0;
}

static int control_writing(struct py__tls *self, Py_ssize_t size)
{
    if (unlikely(size >= self->write_high) && !self->protocol_paused)
        return tell_and_report(self, true);
    if (unlikely(self->protocol_paused) && size <= self->write_low)
        return tell_and_report(self, false);
    return 0;
}

int py__tls_control_writing(struct py__tls *self)
{
    return control_writing(self, (Py_ssize_t)py__tls_write_size(self));
}

int py__tls_control_reading(struct py__tls *self)
{
    Py_ssize_t size = (Py_ssize_t)py__tls_incoming(self);
    if (unlikely(size >= self->read_high) && !self->below_held) {
        self->below_held = true;
        return py__below_pause_reading(self);
    }
    if (unlikely(self->below_held) && size <= self->read_low) {
        self->below_held = false;
        return py__below_resume_reading(self);
    }
    return 0;
}

/* ---- out ---- */

int py__tls_send(struct py__tls *self)
{
    size_t left = py__tls_outgoing(self);
    if (left && likely(!self->held)) {
        if (py__tls_drain(self) < 0)
            return -1;
        left = unlikely(self->held) ? py__tls_outgoing(self) : 0;
    }
    return control_writing(self, (Py_ssize_t)(left + self->backlog.size));
}

/* How much of it was encrypted; less than all if that has to wait. Failures as decrypt(). */
static ssize_t encrypt(struct py__tls *self, const char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t n = size - done < WRITE_MOST ? size - done : WRITE_MOST;
        ssize_t rc = py__tls_encrypt(self, data + done, n);
        if (unlikely(rc < 0))
            return rc == PY__TLS_AGAIN ? (ssize_t)done : rc;
        done += (size_t)rc;
        if (unlikely(done < size) && !self->held && py__tls_drain(self) < 0)
            return PY__TLS_FAILED;
    }
    return (ssize_t)done;
}

int py__tls_write_backlog(struct py__tls *self)
{
    while (self->backlog.n) {
        struct iovec piece;
        py__write_queue_vector(&self->backlog, &piece, 1);
        ssize_t n = encrypt(self, piece.iov_base, piece.iov_len);
        if (n < 0)
            return -1;
        py__write_queue_advance(&self->backlog, (size_t)n);
        if ((size_t)n < piece.iov_len)
            break;
    }
    return py__tls_send(self);
}

static int keep(struct py__tls *self, const char *data, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    return bytes ? py__write_queue_append(&self->backlog, bytes) : -1;
}

static int write_now(struct py__tls *self, const char *data, size_t size)
{
    if (unlikely(self->backlog.n))
        return keep(self, data, size) < 0 ? -1 : py__tls_write_backlog(self);
    ssize_t n = encrypt(self, data, size);
    if (unlikely(n < 0) ||
        (unlikely((size_t)n < size) && keep(self, data + n, size - (size_t)n) < 0))
        return -1;
    return py__tls_send(self);
}

#define VAIN_WRITES_QUIET 5

static int count_vain_write(struct py__tls *self)
{
    int rc = 0;
    if (self->conn_lost >= VAIN_WRITES_QUIET)
        rc = py__log("warning", "(s)", "SSL connection is closed");
    self->conn_lost++;
    return rc;
}

int py__tls_write(struct py__tls *self, const char *data, size_t size)
{
    if (unlikely(self->state == PY__HANDSHAKE))
        return keep(self, data, size);
    if (unlikely(self->state != PY__WRAPPED))
        return count_vain_write(self);
    Py_INCREF(self);
    int rc = write_now(self, data, size);
    if (unlikely(rc < 0))
        rc = py__tls_catch(self, fatal);
    Py_DECREF(self);
    return rc;
}

/* ---- in ---- */

static bool may_read(const struct py__tls *self)
{
    return (self->state == PY__WRAPPED || self->state == PY__FLUSHING) && !self->read_paused &&
           self->protocol;
}

/* As much as there is, and fits: how many bytes; *end is why there are no more. */
static size_t collect(struct py__tls *self, char *data, size_t room, ssize_t *end)
{
    size_t size = 0;
    *end = 1;
    while (size<room && * end> 0) {
        *end = py__tls_decrypt(self, data + size, room - size);
        if (*end > 0) {
            size += (size_t)*end;
            if (likely(!py__tls_has_more(self)))
                *end = PY__TLS_AGAIN;
        }
    }
    return size;
}

/* Takes the bytes. */
static int deliver(struct py__tls *self, PyObject *bytes)
{
    PyObject *result = py__method_call(&self->received, self->protocol,
                                       self->loop->py->names.data_received, bytes);
    Py_DECREF(bytes);
    Py_XDECREF(result);
    return likely(result != NULL) ? 0 : -1;
}

/* What an end of reading means; what came before it was delivered. error: taken, or NULL. */
static int finish(struct py__tls *self, ssize_t end, PyObject *error)
{
    if (unlikely(error != NULL)) {
        py__raise_again(error);
        return -1;
    }
    if (likely(end != PY__TLS_CLOSED))
        return 0;
    return py__tls_end_of_data(self) < 0 ? -1 : py__tls_start_shutdown(self);
}

/*
 * One piece of data, straight into the bytes object that the program is given. Returns 0, also if
 * there is none, or -1; *end as collect(), and *error, if that has failed, is to be raised later.
 */
static int read_bytes(struct py__tls *self, ssize_t *end, PyObject **error)
{
    size_t room = py__tls_readable(self);
    room = room > PY__READ_MOST ? PY__READ_MOST : room < ROOM_LEAST ? ROOM_LEAST : room;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room);
    if (unlikely(!bytes))
        return -1;
    size_t size = collect(self, PyBytes_AS_STRING(bytes), room, end);
    *error = unlikely(*end == PY__TLS_FAILED) ? py__take_exception() : NULL;
    if (unlikely(size == 0)) {
        Py_DECREF(bytes);
        return 0;
    }
    if (size < room && _PyBytes_Resize(&bytes, (Py_ssize_t)size) < 0)
        return -1;
    return deliver(self, bytes);
}

/*
 * The same through the loop's buffer, for a layer above and where nobody knows how long the data may
 * become. What was fed may lie there too: it goes to a place of its own.
 */
static int read_copied(struct py__tls *self, ssize_t *end, PyObject **error)
{
    char *buffer = py__read_buffer(self->loop);
    if (unlikely(!buffer) || py__tls_feed_end(self, 0) < 0)
        return -1;
    size_t size = collect(self, buffer, PY__READ_MOST, end);
    *error = unlikely(*end == PY__TLS_FAILED) ? py__take_exception() : NULL;
    if (size == 0)
        return 0;
    if (self->above)
        return self->above->ops->data_received(self->above, buffer, size);
    PyObject *bytes = PyBytes_FromStringAndSize(buffer, (Py_ssize_t)size);
    return bytes ? deliver(self, bytes) : -1;
}

static int read_data(struct py__tls *self)
{
    ssize_t end = 1;
    while (end > 0 && may_read(self)) {
        PyObject *error = NULL;
        int rc = likely(self->direct.ssl && !self->above) ? read_bytes(self, &end, &error)
                                                          : read_copied(self, &end, &error);
        if (unlikely(rc < 0)) {
            Py_XDECREF(error);
            return -1;
        }
        if (unlikely(finish(self, end, error) < 0))
            return -1;
    }
    return 0;
}

static int get_buffer(struct py__tls *self, Py_buffer *view)
{
    PyObject *hint = PyLong_FromSize_t(py__tls_incoming(self));
    PyObject *buffer = hint ? py__method_call(&self->get_buffer, self->protocol,
                                              self->loop->py->names.get_buffer, hint)
                            : NULL;
    Py_XDECREF(hint);
    int rc = buffer ? PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE) : -1;
    Py_XDECREF(buffer);
    if (rc == 0 && view->len == 0) {
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
        PyBuffer_Release(view);
        return -1;
    }
    return rc;
}

static int tell_updated(struct py__tls *self, size_t size)
{
    PyObject *count = PyLong_FromSize_t(size);
    PyObject *result = count ? py__method_call(&self->received, self->protocol,
                                               self->loop->py->names.buffer_updated, count)
                             : NULL;
    Py_XDECREF(count);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* A buffer that was filled is not the last of this turn. */
static int read_into_buffer(struct py__tls *self)
{
    Py_buffer view;
    if (get_buffer(self, &view) < 0)
        return -1;
    ssize_t end = PY__TLS_AGAIN;
    size_t size = 0;
    if (may_read(self)) /* get_buffer() may have ended it */
        size = collect(self, view.buf, (size_t)view.len, &end);
    PyBuffer_Release(&view);
    PyObject *error = end == PY__TLS_FAILED ? py__take_exception() : NULL;
    if ((end > 0 && py__tls_call_soon(self, (PyObject *)self, self->names->words._do_read) < 0) ||
        (size && tell_updated(self, size) < 0)) {
        Py_XDECREF(error);
        return -1;
    }
    return finish(self, end, error);
}

static int read_all(struct py__tls *self)
{
    if (likely(!self->read_paused)) {
        if ((self->buffered ? read_into_buffer(self) : read_data(self)) < 0)
            return -1;
        if ((self->backlog.n ? py__tls_write_backlog(self) : py__tls_send(self)) < 0)
            return -1;
    }
    return py__tls_control_reading(self);
}

int py__tls_read_all(struct py__tls *self)
{
    if ((self->state != PY__WRAPPED && self->state != PY__FLUSHING) || !self->protocol)
        return 0;
    return likely(read_all(self) == 0) ? 0 : py__tls_catch(self, fatal);
}

int py__tls_resume_reading(struct py__tls *self)
{
    if (!self->read_paused)
        return 0;
    self->read_paused = false;
    return py__tls_call_soon(self, (PyObject *)self, self->names->words._resume);
}
