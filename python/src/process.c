/* The transport of a child process: its life and its end. */
#include "process.h"

#include <structmember.h>

#include "errors.h"
#include "handle.h"

/* ---- beginning ---- */

struct py__process *py__process_new(struct py__loop *loop, PyObject *protocol, const bool *has_pipe)
{
    PyTypeObject *type = loop->py->process_type;
    struct py__process *self = (struct py__process *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->pidfd = -1;
    cio__ring_init(&self->place);
    self->created_by = (struct py__loop *)Py_NewRef((PyObject *)loop);
    self->loop = (struct py__loop *)Py_NewRef((PyObject *)loop);
    self->protocol = Py_NewRef(protocol);
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++)
        self->has_pipe[fd] = has_pipe[fd];
    self->extra = PyDict_New();
    self->waiters = PyList_New(0);
    self->pending = PyList_New(0);
    if (self->extra && self->waiters && self->pending)
        return self;
    self->closed = true;
    Py_DECREF(self);
    return NULL;
}

static int take_popen(struct py__process *self, PyObject *popen)
{
    PyObject *number = PyObject_GetAttr(popen, self->created_by->py->names.pid);
    long pid = number ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if (pid == -1 && PyErr_Occurred())
        return -1;
    self->pid = (pid_t)pid;
    self->popen = Py_NewRef(popen);
    return PyDict_SetItemString(self->extra, "subprocess", popen);
}

int py__process_start(struct py__process *self, PyObject *popen, PyObject *waiter)
{
    if (take_popen(self, popen) < 0)
        return -1;
    PyObject *connect = py__process_connect(self, waiter);
    PyObject *task = connect ? PyObject_CallMethodOneArg((PyObject *)self->loop,
                                                         self->loop->py->names.create_task, connect)
                             : NULL;
    Py_XDECREF(connect);
    Py_XDECREF(task);
    return task ? py__child_watch(self) : -1;
}

/* ---- calling the protocol ---- */

static int tell_later(struct py__process *self, PyObject *method, PyObject *const *arguments,
                      Py_ssize_t n)
{
    PyObject *call = PyTuple_New(n + 1);
    if (!call)
        return -1;
    PyTuple_SET_ITEM(call, 0, Py_NewRef(method));
    for (Py_ssize_t i = 0; i < n; i++)
        PyTuple_SET_ITEM(call, i + 1, Py_NewRef(arguments[i]));
    int rc = PyList_Append(self->pending, call);
    Py_DECREF(call);
    return rc;
}

static int call_soon(struct py__process *self, PyObject *method, PyObject *const *arguments,
                     Py_ssize_t n)
{
    if (!method)
        return -1;
    int rc = -1;
    if (self->pending)
        rc = tell_later(self, method, arguments, n);
    else if (py__loop_check_closed(self->loop) == 0)
        rc = py__handle_schedule(self->loop, method, arguments, n);
    Py_DECREF(method);
    return rc;
}

int py__process_tell(struct py__process *self, PyObject *name, PyObject *const *arguments,
                     Py_ssize_t n)
{
    if (self->silent)
        return 0;
    return call_soon(self, PyObject_GetAttr(self->protocol, name), arguments, n);
}

/* ---- the end ---- */

static bool is_over(const struct py__process *self)
{
    if (!self->returncode || self->finished || !self->loop)
        return false;
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++)
        if (self->has_pipe[fd] && !(self->pipes[fd] && self->pipes[fd]->disconnected))
            return false;
    return true;
}

/* When the process has ended, and all pipes have. */
static int try_finish(struct py__process *self)
{
    if (!is_over(self))
        return 0;
    self->finished = true;
    PyObject *none = Py_None;
    return call_soon(self,
                     PyObject_GetAttr(&self->object, self->loop->py->names._call_connection_lost),
                     &none, 1);
}

int py__process_pipe_lost(struct py__process *self, int fd, PyObject *exception)
{
    PyObject *number = PyLong_FromLong(fd);
    int rc = -1;
    if (number)
        rc = py__process_tell(self, self->loop->py->names.pipe_connection_lost,
                              (PyObject *[]){number, exception}, 2);
    Py_XDECREF(number);
    return rc < 0 ? -1 : try_finish(self);
}

/* Those who wait for the end: once. */
static int wake(struct py__process *self)
{
    const struct py__module *py = self->created_by->py;
    PyObject *waiters = self->waiters;
    PyObject *returncode = self->returncode ? self->returncode : Py_None;
    self->waiters = NULL;
    int rc = 0;
    for (Py_ssize_t i = 0; rc == 0 && waiters && i < PyList_GET_SIZE(waiters); i++) {
        PyObject *waiter = PyList_GET_ITEM(waiters, i);
        PyObject *done = PyObject_CallMethodNoArgs(waiter, py->names.done);
        PyObject *result = done == Py_False
                               ? PyObject_CallMethodOneArg(waiter, py->names.set_result, returncode)
                               : Py_XNewRef(done);
        rc = result ? 0 : -1;
        Py_XDECREF(done);
        Py_XDECREF(result);
    }
    Py_XDECREF(waiters);
    return rc;
}

int py__process_exited(struct py__process *self, PyObject *returncode)
{
    if (self->returncode || !self->loop || !self->popen)
        return 0;
    if (self->loop->debug &&
        py__log("info", "(sOO)", "%r exited with return code %r", &self->object, returncode) < 0)
        return -1;
    self->returncode = Py_NewRef(returncode);
    PyObject *known = PyObject_GetAttr(self->popen, self->loop->py->names.returncode);
    int rc = known ? 0 : -1;
    if (known == Py_None)
        rc = PyObject_SetAttr(self->popen, self->loop->py->names.returncode, returncode);
    Py_XDECREF(known);
    if (rc < 0 || py__process_tell(self, self->loop->py->names.process_exited, NULL, 0) < 0)
        return -1;
    if (try_finish(self) < 0)
        return -1;
    return self->created_by->py->exit_wakes ? wake(self) : 0;
}

int py__process_lose(struct py__process *self, PyObject *exception)
{
    if (!self->loop)
        return 0;
    PyObject *name = self->loop->py->names.connection_lost;
    PyObject *result = self->silent ? Py_NewRef(Py_None)
                                    : PyObject_CallMethodOneArg(self->protocol, name, exception);
    Py_XDECREF(result);
    PyObject *raised = result ? NULL : py__take_exception();
    int rc = wake(self);
    Py_CLEAR(self->popen);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->loop);
    if (!raised)
        return rc;
    PyErr_Clear();
    py__raise_again(raised);
    return -1;
}

/* ---- close() ---- */

static int close_pipes(struct py__process *self)
{
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++) {
        struct py__process_pipe *pipe = self->pipes[fd];
        if (!pipe || !pipe->transport)
            continue;
        PyObject *result = PyObject_CallMethodNoArgs(pipe->transport, self->loop->py->names.close);
        Py_XDECREF(result);
        if (!result)
            return -1;
    }
    return 0;
}

static int kill_process(struct py__process *self)
{
    if (self->loop->debug &&
        py__log("warning", "(sO)", "Close running child process: kill %r", &self->object) < 0)
        return -1;
    PyObject *result = PyObject_CallMethodNoArgs(self->popen, self->loop->py->names.kill);
    Py_XDECREF(result);
    if (!result && !PyErr_ExceptionMatches(PyExc_ProcessLookupError) &&
        !PyErr_ExceptionMatches(PyExc_PermissionError))
        return -1;
    PyErr_Clear();
    return 0;
}

int py__process_close(struct py__process *self)
{
    if (self->closed)
        return 0;
    self->closed = true;
    if (!self->loop)
        return 0;
    if (!self->loop->closed && close_pipes(self) < 0)
        return -1;
    return self->popen && !py__child_has_ended(self) ? kill_process(self) : 0;
}

/* ---- of the type ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct py__process *self = py__process(object);
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->attributes);
    Py_VISIT(self->created_by);
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->popen);
    Py_VISIT(self->extra);
    Py_VISIT(self->returncode);
    Py_VISIT(self->waiters);
    Py_VISIT(self->pending);
    Py_VISIT(self->context);
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++)
        Py_VISIT(self->pipes[fd]);
    return 0;
}

static int clear(PyObject *object)
{
    struct py__process *self = py__process(object);
    Py_CLEAR(self->attributes);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->popen);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->returncode);
    Py_CLEAR(self->waiters);
    Py_CLEAR(self->pending);
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++)
        Py_CLEAR(self->pipes[fd]);
    return 0;
}

static void finalize(PyObject *object)
{
    struct py__process *self = py__process(object);
    if (self->closed)
        return;
    PyObject *exception = py__take_exception();
    if (PyErr_ResourceWarning(object, 1, "unclosed transport %R", object) < 0)
        PyErr_WriteUnraisable(object);
    if (py__process_close(self) < 0)
        PyErr_WriteUnraisable(object);
    if (exception)
        py__raise_again(exception);
}

/* What is watched is held by the watch: here it is not. */
static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    struct py__process *self = py__process(object);
    if (PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    PyObject_GC_UnTrack(object);
    if (self->weak_references)
        PyObject_ClearWeakRefs(object);
    clear(object);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->created_by);
    type->tp_free(object);
    Py_DECREF(type);
}

/* " stdin=<WritePipeTransport ...>"; takes the text, and returns a new one. */
static PyObject *add_pipe(PyObject *text, const char *name, const struct py__process_pipe *pipe)
{
    if (!text || !pipe)
        return text;
    PyObject *more = PyUnicode_FromFormat("%U %s=%R", text, name,
                                          pipe->transport ? pipe->transport : Py_None);
    Py_DECREF(text);
    return more;
}

/* "<SubprocessTransport pid=7 running stdin=... stdout=...>" */
static PyObject *repr(PyObject *object)
{
    const struct py__process *self = py__process(object);
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    if (!name)
        return NULL;
    const char *life = self->closed ? " closed" : "";
    PyObject *text;
    if (self->returncode)
        text = PyUnicode_FromFormat("<%U%s pid=%d returncode=%R", name, life, (int)self->pid,
                                    self->returncode);
    else if (self->pid)
        text = PyUnicode_FromFormat("<%U%s pid=%d running", name, life, (int)self->pid);
    else
        text = PyUnicode_FromFormat("<%U%s not started", name, life);
    text = add_pipe(text, "stdin", self->pipes[0]);
    text = add_pipe(text, "stdout", self->pipes[1]);
    text = add_pipe(text, "stderr", self->pipes[2]);
    PyObject *whole = text ? PyUnicode_FromFormat("%U>", text) : NULL;
    Py_XDECREF(text);
    Py_DECREF(name);
    return whole;
}

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct py__process, attributes), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct py__process, weak_references), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef fields[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The transport of a child process."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_members, members},
    {Py_tp_getset, fields},
    {0, NULL},
};

PyType_Spec py__process_spec = {
    .name = "cio.SubprocessTransport",
    .basicsize = sizeof(struct py__process),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
