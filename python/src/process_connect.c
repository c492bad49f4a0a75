/* Between a child process's transport and those of its pipes. */
#include "coroutine.h"
#include "errors.h"
#include "handle.h"
#include "process.h"

static struct py__process_pipe *pipe_of(PyObject *self)
{
    return (struct py__process_pipe *)self;
}

/* ---- a pipe's protocol ---- */

/* It is its own factory. */
static PyObject *call(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    (void)arguments;
    (void)keywords;
    return Py_NewRef(self);
}

static PyObject *connection_made(PyObject *self, PyObject *transport)
{
    Py_XSETREF(pipe_of(self)->transport, Py_NewRef(transport));
    Py_RETURN_NONE;
}

static PyObject *connection_lost(PyObject *object, PyObject *exception)
{
    struct py__process_pipe *self = pipe_of(object);
    struct py__process *process = self->process;
    self->disconnected = true;
    self->process = NULL;
    int rc = process && process->loop ? py__process_pipe_lost(process, self->fd, exception) : 0;
    Py_XDECREF(process);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *data_received(PyObject *object, PyObject *data)
{
    struct py__process_pipe *self = pipe_of(object);
    PyObject *number = PyLong_FromLong(self->fd);
    int rc = number ? 0 : -1;
    if (rc == 0 && self->process && self->process->loop)
        rc = py__process_tell(self->process, self->process->loop->py->names.pipe_data_received,
                              (PyObject *[]){number, data}, 2);
    Py_XDECREF(number);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *eof_received(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

static PyObject *tell_protocol(PyObject *object, PyObject *name)
{
    struct py__process *process = pipe_of(object)->process;
    if (!process || !process->protocol)
        Py_RETURN_NONE;
    return PyObject_CallMethodNoArgs(process->protocol, name);
}

static PyObject *pause_writing(PyObject *self, PyObject *unused)
{
    (void)unused;
    const struct py__module *py = PyType_GetModuleState(Py_TYPE(self));
    return tell_protocol(self, py->names.pause_writing);
}

static PyObject *resume_writing(PyObject *self, PyObject *unused)
{
    (void)unused;
    const struct py__module *py = PyType_GetModuleState(Py_TYPE(self));
    return tell_protocol(self, py->names.resume_writing);
}

static PyObject *get_transport(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *transport = pipe_of(self)->transport;
    return Py_NewRef(transport ? transport : Py_None);
}

static PyObject *get_process(PyObject *self, void *unused)
{
    (void)unused;
    struct py__process *process = pipe_of(self)->process;
    return Py_NewRef(process ? &process->object : Py_None);
}

static PyObject *get_fd(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(pipe_of(self)->fd);
}

static PyObject *get_disconnected(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(pipe_of(self)->disconnected);
}

static PyObject *repr(PyObject *object)
{
    const struct py__process_pipe *self = pipe_of(object);
    return PyUnicode_FromFormat("<SubprocessPipe fd=%d pipe=%R>", self->fd,
                                self->transport ? self->transport : Py_None);
}

static int traverse_pipe(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(pipe_of(object)->process);
    Py_VISIT(pipe_of(object)->transport);
    return 0;
}

static int clear_pipe(PyObject *object)
{
    Py_CLEAR(pipe_of(object)->process);
    Py_CLEAR(pipe_of(object)->transport);
    return 0;
}

static void dealloc_pipe(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear_pipe(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"connection_made", connection_made, METH_O, NULL},
    {"connection_lost", connection_lost, METH_O, NULL},
    {"data_received", data_received, METH_O, NULL},
    {"eof_received", eof_received, METH_NOARGS, NULL},
    {"pause_writing", pause_writing, METH_NOARGS, NULL},
    {"resume_writing", resume_writing, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef fields[] = {
    {"pipe", get_transport, NULL, NULL, NULL},
    {"proc", get_process, NULL, NULL, NULL},
    {"fd", get_fd, NULL, NULL, NULL},
    {"disconnected", get_disconnected, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The protocol of a child process's pipe."},
    {Py_tp_dealloc, dealloc_pipe},
    {Py_tp_traverse, traverse_pipe},
    {Py_tp_clear, clear_pipe},
    {Py_tp_call, call},
    {Py_tp_repr, repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__process_pipe_spec = {
    .name = "cio.SubprocessPipe",
    .basicsize = sizeof(struct py__process_pipe),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

/* ---- connecting them, one after the other ---- */

struct connecting {
    PyObject *process;
    PyObject *waiter;
    struct py__process_pipe *pipe; /* that is being connected, or NULL */
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct connecting *state = data;
    Py_VISIT(state->process);
    Py_VISIT(state->waiter);
    Py_VISIT(state->pipe);
    return 0;
}

static void clear(void *data)
{
    struct connecting *state = data;
    Py_CLEAR(state->process);
    Py_CLEAR(state->waiter);
    Py_CLEAR(state->pipe);
}

static struct py__process_pipe *new_pipe(struct py__process *process, int fd)
{
    PyTypeObject *type = process->created_by->py->process_pipe_type;
    struct py__process_pipe *pipe = (struct py__process_pipe *)type->tp_alloc(type, 0);
    if (!pipe)
        return NULL;
    pipe->process = (struct py__process *)Py_NewRef(&process->object);
    pipe->fd = fd;
    return pipe;
}

/* Popen's object of that descriptor; None: there is none. */
static PyObject *end_of(const struct py__process *process, int fd)
{
    const struct py__module *py = process->created_by->py;
    PyObject *names[PY__PROCESS_PIPES] = {py->names.stdin, py->names.stdout, py->names.stderr};
    return process->popen ? PyObject_GetAttr(process->popen, names[fd]) : Py_NewRef(Py_None);
}

/* loop.connect_read_pipe(pipe, end), to be awaited; NULL without an exception: there is no end. */
static PyObject *connect_pipe(struct connecting *state, int fd)
{
    struct py__process *process = py__process(state->process);
    const struct py__module *py = process->created_by->py;
    PyObject *end = end_of(process, fd);
    PyObject *awaitable = NULL;
    if (end && end != Py_None && (state->pipe = new_pipe(process, fd)))
        awaitable = PyObject_CallMethodObjArgs((PyObject *)process->loop,
                                               fd == 0 ? py->names.connect_write_pipe
                                                       : py->names.connect_read_pipe,
                                               state->pipe, end, NULL);
    Py_XDECREF(end);
    return awaitable;
}

/* connection_made(), and what was to be called after it. */
static int schedule_made(struct py__process *process)
{
    PyObject *self = &process->object;
    PyObject *pending = process->pending;
    process->pending = NULL;
    int rc = py__process_tell(process, process->loop->py->names.connection_made, &self, 1);
    for (Py_ssize_t i = 0; rc == 0 && pending && i < PyList_GET_SIZE(pending); i++) {
        PyObject *made = PyList_GET_ITEM(pending, i);
        PyObject **items = &PyTuple_GET_ITEM(made, 0);
        rc = py__handle_schedule(process->loop, items[0], items + 1, PyTuple_GET_SIZE(made) - 1);
    }
    Py_XDECREF(pending);
    return rc;
}

static int set_waiter(struct py__coroutine *self, PyObject *waiter, PyObject *exception)
{
    const struct py__module *py = self->loop->py;
    PyObject *canceled = PyObject_CallMethodNoArgs(waiter, py->names.cancelled);
    PyObject *result = canceled;
    if (canceled == Py_False)
        result = exception ? PyObject_CallMethodOneArg(waiter, py->names.set_exception, exception)
                           : PyObject_CallMethodOneArg(waiter, py->names.set_result, Py_None);
    if (result != canceled)
        Py_XDECREF(canceled);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The ends that have no transport are closed, and nobody waits for them any more. */
static void give_up_pipes(struct py__process *process)
{
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++) {
        if (!process->has_pipe[fd] || process->pipes[fd])
            continue;
        process->has_pipe[fd] = false;
        PyObject *end = end_of(process, fd);
        PyObject *result = end && end != Py_None ? PyObject_CallMethodNoArgs(
                                                       end, process->created_by->py->names.close)
                                                 : NULL;
        PyErr_Clear();
        Py_XDECREF(result);
        Py_XDECREF(end);
    }
}

static enum py__step fail(struct py__coroutine *self, struct connecting *state, PyObject **ret)
{
    if (py__exception_leaves())
        return PY__RAISE;
    PyObject *exception = py__take_exception();
    struct py__process *process = py__process(state->process);
    process->silent = true;
    Py_CLEAR(process->pending);
    give_up_pipes(process);
    int rc = set_waiter(self, state->waiter, exception);
    Py_DECREF(exception);
    *ret = rc == 0 ? Py_NewRef(Py_None) : NULL;
    return rc == 0 ? PY__RETURN : PY__RAISE;
}

/* It is connected. A transport that is closed meanwhile wants no more. */
static int take_pipe(struct py__process *process, struct connecting *state)
{
    struct py__process_pipe *pipe = state->pipe;
    state->pipe = NULL;
    process->pipes[pipe->fd] = pipe;
    if (!process->closed || !pipe->transport || !process->loop)
        return 0;
    PyObject *result = PyObject_CallMethodNoArgs(pipe->transport, process->loop->py->names.close);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static enum py__step step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct connecting *state = py__coroutine_state(self);
    struct py__process *process = py__process(state->process);
    if (!sent)
        return fail(self, state, ret);
    if (state->pipe && take_pipe(process, state) < 0)
        return fail(self, state, ret);
    while (self->at < PY__PROCESS_PIPES && process->loop) {
        *ret = connect_pipe(state, self->at++);
        if (*ret)
            return PY__AWAIT;
        if (PyErr_Occurred())
            return fail(self, state, ret);
    }
    if (process->loop && schedule_made(process) < 0)
        return fail(self, state, ret);
    *ret = set_waiter(self, state->waiter, NULL) < 0 ? NULL : Py_NewRef(Py_None);
    return *ret ? PY__RETURN : PY__RAISE;
}

static const struct py__coroutine_kind kind = {
    .name = "SubprocessTransport._connect_pipes",
    .step = step,
    .state_size = sizeof(struct connecting),
    .traverse = traverse,
    .clear = clear,
};

PyObject *py__process_connect(struct py__process *self, PyObject *waiter)
{
    struct py__coroutine *coroutine = py__coroutine_new(self->created_by, &kind);
    if (!coroutine)
        return NULL;
    struct connecting *state = py__coroutine_state(coroutine);
    state->process = Py_NewRef(&self->object);
    state->waiter = Py_NewRef(waiter);
    return (PyObject *)coroutine;
}
