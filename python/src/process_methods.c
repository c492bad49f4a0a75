/* What Python sees of the transport of a child process. */
#include <signal.h>

#include "arguments.h"
#include "coroutine.h"
#include "errors.h"
#include "process.h"

static PyObject *none_or_null(int rc)
{
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *object_or_none(PyObject *object)
{
    return Py_NewRef(object ? object : Py_None);
}

/* ---- questions ---- */

static PyObject *get_pid(PyObject *object, PyObject *unused)
{
    (void)unused;
    const struct py__process *self = py__process(object);
    return self->pid ? PyLong_FromLong(self->pid) : Py_NewRef(Py_None);
}

static PyObject *get_returncode(PyObject *object, PyObject *unused)
{
    (void)unused;
    return object_or_none(py__process(object)->returncode);
}

static PyObject *get_pipe_transport(PyObject *object, PyObject *number)
{
    const struct py__process *self = py__process(object);
    long fd = PyLong_AsLong(number);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    const struct py__process_pipe *pipe = fd >= 0 && fd < PY__PROCESS_PIPES ? self->pipes[fd]
                                                                            : NULL;
    return object_or_none(pipe ? pipe->transport : NULL);
}

static PyObject *get_extra_info(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                                PyObject *keywords)
{
    static const struct py__signature signature = {"get_extra_info", 1, 0, 2, {"name", "default"}};
    PyObject *values[2] = {NULL, Py_None};
    if (py__take_arguments(&signature, arguments, n, keywords, values) < 0)
        return NULL;
    PyObject *value = PyDict_GetItemWithError(py__process(object)->extra, values[0]);
    return value || PyErr_Occurred() ? Py_XNewRef(value) : Py_NewRef(values[1]);
}

static PyObject *is_closing(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(py__process(object)->closed);
}

static PyObject *get_protocol(PyObject *object, PyObject *unused)
{
    (void)unused;
    return object_or_none(py__process(object)->protocol);
}

static PyObject *set_protocol(PyObject *object, PyObject *protocol)
{
    Py_XSETREF(py__process(object)->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *close_method(PyObject *object, PyObject *unused)
{
    (void)unused;
    return none_or_null(py__process_close(py__process(object)));
}

/* ---- signals ---- */

static PyObject *signal_it(PyObject *object, int signo)
{
    struct py__process *self = py__process(object);
    if (!self->popen) {
        PyErr_SetNone(PyExc_ProcessLookupError);
        return NULL;
    }
    return none_or_null(py__child_signal(self, signo));
}

static PyObject *send_signal(PyObject *self, PyObject *number)
{
    long signo = PyLong_AsLong(number);
    if (signo == -1 && PyErr_Occurred())
        return NULL;
    return signal_it(self, signo < INT_MIN || signo > INT_MAX ? -1 : (int)signo);
}

static PyObject *terminate(PyObject *self, PyObject *unused)
{
    (void)unused;
    return signal_it(self, SIGTERM);
}

static PyObject *kill_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return signal_it(self, SIGKILL);
}

/* ---- waiting ---- */

static int traverse(void *state, visitproc visit, void *arg)
{
    Py_VISIT(*(PyObject **)state);
    return 0;
}

static void clear(void *state)
{
    Py_CLEAR(*(PyObject **)state);
}

static enum py__step wait_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__process *process = py__process(*(PyObject **)py__coroutine_state(self));
    if (self->at++) {
        *ret = Py_XNewRef(sent);
        return sent ? PY__RETURN : PY__RAISE;
    }
    if (process->returncode || !process->waiters) {
        *ret = object_or_none(process->returncode);
        return PY__RETURN;
    }
    *ret = py__loop_create_future(self->loop);
    if (!*ret)
        return PY__RAISE;
    if (PyList_Append(process->waiters, *ret) == 0)
        return PY__AWAIT;
    Py_CLEAR(*ret);
    return PY__RAISE;
}

static const struct py__coroutine_kind wait_kind = {
    .name = "SubprocessTransport._wait",
    .step = wait_step,
    .state_size = sizeof(PyObject *),
    .traverse = traverse,
    .clear = clear,
};

PyObject *py__process_wait(struct py__process *self)
{
    struct py__coroutine *coroutine = py__coroutine_new(self->created_by, &wait_kind);
    if (coroutine)
        *(PyObject **)py__coroutine_state(coroutine) = Py_NewRef(&self->object);
    return (PyObject *)coroutine;
}

static PyObject *wait_method(PyObject *object, PyObject *unused)
{
    (void)unused;
    return py__process_wait(py__process(object));
}

/* ---- what the loop calls ---- */

static PyObject *process_exited(PyObject *object, PyObject *returncode)
{
    return none_or_null(py__process_exited(py__process(object), returncode));
}

static PyObject *call_connection_lost(PyObject *object, PyObject *exception)
{
    return none_or_null(py__process_lose(py__process(object), exception));
}

/* A thread's word, in the loop: the process's number, and its returncode. */
static PyObject *child_exited(PyObject *object, PyObject *const *arguments, Py_ssize_t n)
{
    if (n == 2)
        return PyObject_CallMethod(object, "_process_exited", "O", arguments[1]);
    return PyErr_Format(PyExc_TypeError,
                        "_child_exited() takes 3 positional arguments but %zd "
                        "were given",
                        n + 1);
}

/* ---- what programs look at though it is private ---- */

static PyObject *get_loop(PyObject *self, void *unused)
{
    (void)unused;
    return object_or_none((PyObject *)py__process(self)->loop);
}

static PyObject *get_protocol_field(PyObject *self, void *unused)
{
    (void)unused;
    return get_protocol(self, NULL);
}

static PyObject *get_popen(PyObject *self, void *unused)
{
    (void)unused;
    return object_or_none(py__process(self)->popen);
}

static PyObject *get_pid_field(PyObject *self, void *unused)
{
    (void)unused;
    return get_pid(self, NULL);
}

static PyObject *get_returncode_field(PyObject *self, void *unused)
{
    (void)unused;
    return get_returncode(self, NULL);
}

static PyObject *get_extra(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(py__process(self)->extra);
}

static PyObject *get_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__process(self)->closed);
}

static PyObject *get_finished(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(py__process(self)->finished);
}

static PyObject *get_pipes(PyObject *object, void *unused)
{
    (void)unused;
    const struct py__process *self = py__process(object);
    PyObject *pipes = PyDict_New();
    int rc = pipes ? 0 : -1;
    for (int fd = 0; rc == 0 && fd < PY__PROCESS_PIPES; fd++) {
        if (!self->has_pipe[fd])
            continue;
        PyObject *number = PyLong_FromLong(fd);
        PyObject *pipe = self->pipes[fd] ? (PyObject *)self->pipes[fd] : Py_None;
        rc = number ? PyDict_SetItem(pipes, number, pipe) : -1;
        Py_XDECREF(number);
    }
    if (rc < 0)
        Py_CLEAR(pipes);
    return pipes;
}

PyGetSetDef py__process_fields[] = {
    {"_loop", get_loop, NULL, NULL, NULL},
    {"_protocol", get_protocol_field, NULL, NULL, NULL},
    {"_proc", get_popen, NULL, NULL, NULL},
    {"_pid", get_pid_field, NULL, NULL, NULL},
    {"_returncode", get_returncode_field, NULL, NULL, NULL},
    {"_extra", get_extra, NULL, NULL, NULL},
    {"_closed", get_closed, NULL, NULL, NULL},
    {"_finished", get_finished, NULL, NULL, NULL},
    {"_pipes", get_pipes, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f)

PyMethodDef py__process_methods[] = {
    {"get_pid", get_pid, METH_NOARGS, PyDoc_STR("The process's number.")},
    {"get_returncode", get_returncode, METH_NOARGS,
     PyDoc_STR("Its returncode, negative of a signal; None: it runs.")},
    {"get_pipe_transport", get_pipe_transport, METH_O,
     PyDoc_STR("get_pipe_transport($self, fd, /)\n--\n\n"
               "The transport of its descriptor 0, 1 or 2, or None.")},
    {"get_extra_info", FUNCTION(get_extra_info), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("get_extra_info($self, /, name, default=None)\n--\n\n"
               "What is known of it by that name: \"subprocess\" is the Popen.")},
    {"is_closing", is_closing, METH_NOARGS, PyDoc_STR("Whether close() was called.")},
    {"close", close_method, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nClose the pipes, and kill the process if it runs.")},
    {"set_protocol", set_protocol, METH_O, PyDoc_STR("Another protocol from now on.")},
    {"get_protocol", get_protocol, METH_NOARGS, PyDoc_STR("The protocol.")},
    {"send_signal", send_signal, METH_O,
     PyDoc_STR("send_signal($self, signal, /)\n--\n\nSend it a signal.")},
    {"terminate", terminate, METH_NOARGS, PyDoc_STR("Send it SIGTERM.")},
    {"kill", kill_method, METH_NOARGS, PyDoc_STR("Send it SIGKILL.")},
    {"_wait", wait_method, METH_NOARGS, NULL},
    {"_process_exited", process_exited, METH_O, NULL},
    {"_child_exited", FUNCTION(child_exited), METH_FASTCALL, NULL},
    {"_call_connection_lost", call_connection_lost, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
