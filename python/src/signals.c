/* Signals. */
#include "signals.h"

#include <errno.h>
#include <signal.h>

#include "errors.h"
#include "handle.h"
#include "report.h"

struct py__signals {
    cio_handle watch;
    PyObject *read_end; /* sockets of Python */
    PyObject *write_end;
    int read_fd;
    int write_fd;
    bool of_run; /* the descriptor is Python's for the present run */
};

/* ---- the pair of sockets ---- */

static int make_non_blocking(PyObject *sock, int *ret_fd)
{
    PyObject *result = PyObject_CallMethod(sock, "setblocking", "O", Py_False);
    PyObject *number = result ? PyObject_CallMethod(sock, "fileno", NULL) : NULL;
    Py_XDECREF(result);
    *ret_fd = number ? (int)PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    return *ret_fd < 0 ? -1 : 0;
}

static int open_pair(struct py__signals *signals)
{
    PyObject *pair = py__call("socket", "socketpair", "()");
    if (!pair)
        return -1;
    int rc = PyArg_ParseTuple(pair, "OO", &signals->read_end, &signals->write_end) ? 0 : -1;
    if (rc == 0) {
        Py_INCREF(signals->read_end);
        Py_INCREF(signals->write_end);
        rc = make_non_blocking(signals->read_end, &signals->read_fd);
    }
    Py_DECREF(pair);
    return rc < 0 ? -1 : make_non_blocking(signals->write_end, &signals->write_fd);
}

static void free_signals(struct py__signals *signals)
{
    Py_XDECREF(signals->read_end);
    Py_XDECREF(signals->write_end);
    PyMem_Free(signals);
}

static void read_numbers(void *arg);

/* Made when it is first needed. */
static struct py__signals *get_signals(struct py__loop *self)
{
    if (self->signals)
        return self->signals;
    struct py__signals *signals = PyMem_Calloc(1, sizeof *signals);
    if (!signals) {
        PyErr_NoMemory();
        return NULL;
    }
    if (open_pair(signals) < 0) {
        free_signals(signals);
        return NULL;
    }
    int rc = cio_add_reader(self->loop, signals->read_fd, &signals->watch, read_numbers, self);
    if (rc < 0) {
        free_signals(signals);
        py__raise_code(rc);
        return NULL;
    }
    return self->signals = signals;
}

void py__signals_free(struct py__loop *self)
{
    struct py__signals *signals = self->signals;
    if (!signals)
        return;
    self->signals = NULL;
    cio_remove_reader(self->loop, signals->read_fd);
    PyObject *exception = py__take_exception();
    Py_XDECREF(PyObject_CallMethod(signals->read_end, "close", NULL));
    Py_XDECREF(PyObject_CallMethod(signals->write_end, "close", NULL));
    PyErr_Clear();
    if (exception)
        py__raise_again(exception);
    free_signals(signals);
}

/* ---- while the loop runs ---- */

static bool may_have_signals(void)
{
    return cio__in_main_thread() && PyInterpreterState_Get() == PyInterpreterState_Main();
}

/* signal.set_wakeup_fd(fd). Returns 0 and what it was before. */
static int exchange_wakeup_fd(int fd, int *ret_before)
{
    PyObject *before = py__call("signal", "set_wakeup_fd", "(i)", fd);
    if (!before)
        return -1;
    *ret_before = (int)PyLong_AsLong(before);
    Py_DECREF(before);
    return 0;
}

int py__signals_begin_run(struct py__loop *self)
{
    if (!may_have_signals())
        return 0;
    struct py__signals *signals = get_signals(self);
    int before, ours;
    if (!signals || exchange_wakeup_fd(signals->write_fd, &before) < 0)
        return -1;
    signals->of_run = before == -1;
    return before == -1 ? 0 : exchange_wakeup_fd(before, &ours);
}

/* The program may have set another one meanwhile. */
void py__signals_end_run(struct py__loop *self)
{
    struct py__signals *signals = self->signals;
    if (!signals || !signals->of_run)
        return;
    signals->of_run = false;
    if (PyDict_GET_SIZE(self->signal_handlers) > 0)
        return;
    int before, none;
    if (exchange_wakeup_fd(-1, &before) < 0 ||
        (before != signals->write_fd && exchange_wakeup_fd(before, &none) < 0))
        PyErr_WriteUnraisable((PyObject *)self);
}

/* ---- the arrival ---- */

static PyObject *remove_handler(struct py__loop *self, PyObject *number);

/* Several of one signal may come between two turns: each is a call. */
static int queue(struct py__loop *self, struct py__handle *handle)
{
    if (cio__handle_state(&handle->call) == CIO__IDLE && !handle->in_call) {
        py__handle_call_soon((struct py__handle *)Py_NewRef(handle));
        return 0;
    }
    struct py__handle *again = py__handle_again(handle);
    if (!again)
        return -1;
    py__handle_call_soon(again);
    (void)self;
    return 0;
}

static int handle_signal(struct py__loop *self, int number)
{
    PyObject *key = PyLong_FromLong(number);
    if (!key)
        return -1;
    int rc = 0;
    struct py__handle *handle = (struct py__handle *)PyDict_GetItem(self->signal_handlers, key);
    if (handle && handle->canceled) {
        PyObject *result = remove_handler(self, key);
        rc = result ? 0 : -1;
        Py_XDECREF(result);
    } else if (handle) {
        rc = queue(self, handle);
    }
    Py_DECREF(key);
    return rc;
}

static void read_numbers(void *arg)
{
    struct py__loop *self = arg;
    struct cio__os *os = self->loop->os;
    unsigned char numbers[256];
    for (;;) {
        ssize_t n = os->ops->receive_into(os, self->signals->read_fd, numbers, sizeof numbers);
        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; i++)
            if (handle_signal(self, numbers[i]) < 0)
                py__loop_report(self, "a signal's handler could not be called", NULL, NULL, NULL,
                                NULL);
        if ((size_t)n < sizeof numbers)
            return;
    }
}

/* ---- add_signal_handler() ---- */

/* RuntimeError with the text of what is set, if it is a ValueError or OSError. */
static void become_runtime_error(void)
{
    if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_OSError))
        return;
    PyObject *exception = py__take_exception();
    PyErr_Format(PyExc_RuntimeError, "%S", exception);
    Py_DECREF(exception);
}

static int check_signal(PyObject *number)
{
    if (!PyLong_Check(number)) {
        PyErr_Format(PyExc_TypeError, "sig must be an int, not %R", number);
        return -1;
    }
    PyObject *valid = py__call("signal", "valid_signals", "()");
    int found = valid ? PySequence_Contains(valid, number) : -1;
    Py_XDECREF(valid);
    if (found == 0)
        PyErr_Format(PyExc_ValueError, "invalid signal number %S", number);
    return found > 0 ? 0 : -1;
}

/* After the last handler is gone. What goes wrong is logged. */
static int give_wakeup_fd_back(struct py__loop *self)
{
    if (PyDict_GET_SIZE(self->signal_handlers) > 0 || (self->signals && self->signals->of_run))
        return 0;
    int before;
    if (exchange_wakeup_fd(-1, &before) == 0)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyObject *exception = py__take_exception();
    int rc = py__log("info", "(sO)", "set_wakeup_fd(-1) failed: %s", exception);
    Py_DECREF(exception);
    return rc;
}

/* signal.signal(number, handler), and RuntimeError if the kernel has none of it. */
static int set_handler(PyObject *number, PyObject *handler)
{
    PyObject *before = py__call("signal", "signal", "(OO)", number, handler);
    if (before) {
        Py_DECREF(before);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyObject *exception = py__take_exception();
    PyObject *error = PyObject_GetAttrString(exception, "errno");
    bool refused = error && PyLong_Check(error) && PyLong_AsLong(error) == EINVAL;
    Py_XDECREF(error);
    if (refused) {
        PyErr_Format(PyExc_RuntimeError, "sig %S cannot be caught", number);
        Py_DECREF(exception);
    } else {
        py__raise_again(exception);
    }
    return -1;
}

static int install(struct py__loop *self, PyObject *number)
{
    PyObject *noop = py__import("asyncio.unix_events", "_sighandler_noop");
    int rc = noop ? set_handler(number, noop) : -1;
    Py_XDECREF(noop);
    PyObject *result = rc == 0 ? py__call("signal", "siginterrupt", "(OO)", number, Py_False)
                               : NULL;
    if (result) {
        Py_DECREF(result);
        return 0;
    }
    PyObject *exception = py__take_exception();
    if (PyDict_DelItem(self->signal_handlers, number) < 0 || give_wakeup_fd_back(self) < 0)
        PyErr_Clear();
    py__raise_again(exception);
    return -1;
}

static int check_handler(struct py__loop *self, PyObject *number, PyObject *callback)
{
    PyObject *predicates[] = {self->py->std.iscoroutine, self->py->std.iscoroutinefunction};
    for (int i = 0; i < 2; i++) {
        PyObject *result = PyObject_CallOneArg(predicates[i], callback);
        int is = result ? PyObject_IsTrue(result) : -1;
        Py_XDECREF(result);
        if (is > 0)
            PyErr_SetString(PyExc_TypeError, "coroutines cannot be used with add_signal_handler()");
        if (is)
            return -1;
    }
    return check_signal(number) < 0 ? -1 : py__loop_check_closed(self);
}

static int wake_by_signals(struct py__loop *self)
{
    struct py__signals *signals = get_signals(self);
    int before;
    if (signals && exchange_wakeup_fd(signals->write_fd, &before) == 0)
        return 0;
    become_runtime_error();
    return -1;
}

static PyObject *add_handler(PyObject *object, PyObject *const *arguments, Py_ssize_t n)
{
    struct py__loop *self = py__loop(object);
    if (n < 2)
        return PyErr_Format(PyExc_TypeError,
                            "add_signal_handler() missing %zd required positional argument%s",
                            2 - n, n ? "" : "s");
    if (check_handler(self, arguments[0], arguments[1]) < 0 || wake_by_signals(self) < 0)
        return NULL;
    struct py__handle *handle = py__handle_new(self, self->py->handle_type, arguments[1],
                                               arguments + 2, n - 2, NULL);
    if (!handle)
        return NULL;
    int rc = PyDict_SetItem(self->signal_handlers, arguments[0], (PyObject *)handle);
    Py_DECREF(handle);
    if (rc < 0 || install(self, arguments[0]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- remove_signal_handler() ---- */

static PyObject *default_handler_of(PyObject *number)
{
    return py__import("signal",
                      PyLong_AsLong(number) == SIGINT ? "default_int_handler" : "SIG_DFL");
}

static PyObject *remove_handler(struct py__loop *self, PyObject *number)
{
    int found = self->signal_handlers ? PyDict_Contains(self->signal_handlers, number) : 0;
    if (found <= 0)
        return found < 0 ? NULL : Py_NewRef(Py_False);
    if (PyDict_DelItem(self->signal_handlers, number) < 0)
        return NULL;
    PyObject *handler = default_handler_of(number);
    int rc = handler ? set_handler(number, handler) : -1;
    Py_XDECREF(handler);
    if (rc < 0 || give_wakeup_fd_back(self) < 0)
        return NULL;
    return Py_NewRef(Py_True);
}

static PyObject *remove_signal_handler(PyObject *self, PyObject *number)
{
    return check_signal(number) < 0 ? NULL : remove_handler(py__loop(self), number);
}

static int warn_of_shutdown(struct py__loop *self)
{
    if (PyDict_GET_SIZE(self->signal_handlers) == 0)
        return 0;
    int rc = PyErr_ResourceWarning((PyObject *)self, 1,
                                   "Closing the loop %R on interpreter shutdown stage, skipping "
                                   "signal handlers removal",
                                   (PyObject *)self);
    PyDict_Clear(self->signal_handlers);
    return rc;
}

int py__signals_close(struct py__loop *self)
{
    PyObject *finalizing = PyObject_CallNoArgs(self->py->std.is_finalizing);
    int is_finalizing = finalizing ? PyObject_IsTrue(finalizing) : -1;
    Py_XDECREF(finalizing);
    if (is_finalizing)
        return is_finalizing < 0 ? -1 : warn_of_shutdown(self);
    PyObject *numbers = PyDict_Keys(self->signal_handlers);
    for (Py_ssize_t i = 0; numbers && i < PyList_GET_SIZE(numbers); i++) {
        PyObject *removed = PyObject_CallMethod((PyObject *)self, "remove_signal_handler", "O",
                                                PyList_GET_ITEM(numbers, i));
        if (!removed)
            Py_CLEAR(numbers);
        Py_XDECREF(removed);
    }
    Py_XDECREF(numbers);
    return numbers ? 0 : -1;
}

PyMethodDef py__loop_signal_methods[] = {
    {"add_signal_handler", (PyCFunction)(void (*)(void))add_handler, METH_FASTCALL,
     PyDoc_STR("add_signal_handler($self, sig, callback, /, *args)\n--\n\n"
               "Call callback(*args) in the loop when the signal comes.")},
    {"remove_signal_handler", remove_signal_handler, METH_O,
     PyDoc_STR("remove_signal_handler($self, sig, /)\n--\n\nTrue if there was a handler.")},
    {NULL, NULL, 0, NULL},
};
