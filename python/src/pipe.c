/* The transports of pipes: their beginning, and what they have in common. */
#include "pipe.h"

#include <structmember.h>
#include <sys/stat.h>

#include "arguments.h"
#include "errors.h"

/* ---- beginning ---- */

/* pipe.fileno(): a number instead of an object is none. */
static int number_of(struct py__loop *loop, PyObject *pipe)
{
    PyObject *number = PyObject_CallMethodNoArgs(pipe, loop->py->names.fileno);
    long fd = number ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if (PyErr_Occurred())
        return -1;
    if (fd >= 0 && fd <= INT_MAX)
        return (int)fd;
    PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
    return -1;
}

/* The type of a descriptor that may be a pipe's; -1 with an exception. */
static int look_at(struct py__loop *loop, bool reads, int fd)
{
    struct cio__os *os = loop->loop->os;
    int type = os->ops->file_type(os, fd);
    if (type < 0) {
        py__raise_code(type);
        return -1;
    }
    if (type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR) {
        PyErr_SetString(PyExc_ValueError,
                        reads ? "Pipe transport is for pipes/sockets only."
                              : "Pipe transport is only for pipes, sockets and character devices");
        return -1;
    }
    int rc = os->ops->set_nonblocking(os, fd);
    if (rc == 0)
        return type;
    py__raise_code(rc);
    return -1;
}

static PyObject *new_pipe(struct py__loop *loop, bool reads, PyObject *pipe, int fd)
{
    PyTypeObject *type = reads ? loop->py->read_pipe_type : loop->py->write_pipe_type;
    struct py__transport *self = (struct py__transport *)type->tp_alloc(type, 0);
    PyObject *extra = self ? Py_BuildValue("{s:O}", "pipe", pipe) : NULL;
    int rc = -1;
    if (self)
        self->closed = true;
    if (extra)
        rc = py__transport_init(self, loop, reads ? &py__read_pipe_kind : &py__write_pipe_kind, fd,
                                pipe, extra, NULL);
    Py_XDECREF(extra);
    if (rc == 0)
        return &self->object;
    Py_XDECREF(self);
    return NULL;
}

PyObject *py__pipe_new(struct py__loop *loop, bool reads, PyObject *pipe, PyObject *protocol,
                       PyObject *waiter)
{
    int fd = py__loop_check_closed(loop) < 0 ? -1 : number_of(loop, pipe);
    int type = fd < 0 ? -1 : look_at(loop, reads, fd);
    PyObject *self = type < 0 ? NULL : new_pipe(loop, reads, pipe, fd);
    if (!self)
        return NULL;
    py__transport_set_protocol(py__transport(self), protocol);
    /* The writing end of a pipe or a socket is ready to read when nobody reads at the other. */
    bool watches = reads || type != S_IFCHR;
    if (py__transport_start(py__transport(self), waiter, watches) == 0)
        return self;
    py__transport_abandon(py__transport(self));
    Py_DECREF(self);
    return NULL;
}

/* ---- what both do ---- */

int py__pipe_log_closed_by_peer(struct py__transport *self)
{
    if (likely(!self->loop->debug))
        return 0;
    return py__log("info", "(sO)", "%r was closed by peer", &self->object);
}

void py__pipe_report(struct py__transport *self, struct py__loop *loop, PyObject *method)
{
    PyObject *exception = py__take_exception();
    PyObject *callback = PyObject_GetAttr(&self->object, method);
    PyErr_Clear();
    py__raise_again(exception);
    py__report_call(loop, callback ? callback : Py_None, NULL);
    Py_XDECREF(callback);
}

static PyObject *object_of(struct py__transport *self)
{
    return self->sock ? self->sock : Py_None;
}

static PyObject *no_info(struct py__transport *self, PyObject *name)
{
    (void)self;
    (void)name;
    return NULL;
}

static const char *const infos[] = {NULL};

const struct py__transport_kind py__read_pipe_kind = {
    .readable = py__pipe_readable,
    .object = object_of,
    .info = no_info,
    .infos = infos,
    .levels = true,
    .tells_errors = true,
};

const struct py__transport_kind py__write_pipe_kind = {
    .readable = py__pipe_hung_up,
    .writable = py__pipe_writable,
    .object = object_of,
    .info = no_info,
    .infos = infos,
    .levels = true,
    .hears_end = true,
};

/* ---- of the types ---- */

/* "<WritePipeTransport fd=7 idle bufsize=0>" */
static PyObject *repr(PyObject *object)
{
    const struct py__transport *self = py__transport(object);
    bool writes = self->kind == &py__write_pipe_kind;
    const char *life = self->closed ? "closed " : self->closing ? "closing " : "";
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    PyObject *text = NULL;
    if (!name)
        return NULL;
    if (self->closed || !self->loop || self->loop->closed) {
        text = PyUnicode_FromFormat("<%U %sfd=%d %s>", name, life, self->fd,
                                    self->closed ? "closed" : "open");
    } else {
        const char *state = self->watches[writes ? CIO__WRITE : CIO__READ].on ? "polling" : "idle";
        text = writes ? PyUnicode_FromFormat("<%U %sfd=%d %s bufsize=%zd>", name, life, self->fd,
                                             state, (Py_ssize_t)self->queue.size)
                      : PyUnicode_FromFormat("<%U %sfd=%d %s>", name, life, self->fd, state);
    }
    Py_DECREF(name);
    return text;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    return py__transport_traverse(py__transport(object), visit, arg);
}

static int clear(PyObject *object)
{
    py__transport_clear(py__transport(object));
    return 0;
}

static PyMemberDef members[] = {PY__TRANSPORT_MEMBERS, {NULL, 0, 0, 0, NULL}};

static PyGetSetDef fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot read_slots[] = {
    {Py_tp_doc, "The transport of a pipe that is read."},
    PY__TRANSPORT_SLOTS,
    {Py_tp_repr, repr},
    {0, NULL},
};

static PyType_Slot write_slots[] = {
    {Py_tp_doc, "The transport of a pipe that is written to."},
    PY__TRANSPORT_SLOTS,
    {Py_tp_repr, repr},
    {0, NULL},
};

PyType_Spec py__read_pipe_spec = {
    .name = "cio.ReadPipeTransport",
    .basicsize = sizeof(struct py__pipe),
    .flags = PY__TRANSPORT_FLAGS,
    .slots = read_slots,
};

PyType_Spec py__write_pipe_spec = {
    .name = "cio.WritePipeTransport",
    .basicsize = sizeof(struct py__pipe),
    .flags = PY__TRANSPORT_FLAGS,
    .slots = write_slots,
};
