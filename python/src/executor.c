/* Executors: calls in other threads. */
#include "coroutine.h"
#include "errors.h"
#include "loop.h"

static int check_default_executor(struct py__loop *self)
{
    if (!self->executor_shut_down)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Executor shutdown has been called");
    return -1;
}

/* ThreadPoolExecutor(thread_name_prefix='asyncio') */
static PyObject *make_executor(void)
{
    PyObject *type = py__import("concurrent.futures", "ThreadPoolExecutor");
    PyObject *keywords = Py_BuildValue("{s:s}", "thread_name_prefix", "asyncio");
    PyObject *none = PyTuple_New(0);
    PyObject *executor = type && keywords && none ? PyObject_Call(type, none, keywords) : NULL;
    Py_XDECREF(none);
    Py_XDECREF(keywords);
    Py_XDECREF(type);
    return executor;
}

/* Borrowed. */
static PyObject *default_executor(struct py__loop *self)
{
    if (check_default_executor(self) < 0)
        return NULL;
    if (!self->default_executor)
        self->default_executor = make_executor();
    return self->default_executor;
}

/* wrap_future(future, loop=self) */
static PyObject *wrap_future(struct py__loop *self, PyObject *future)
{
    PyObject *stack[] = {NULL, future, (PyObject *)self};
    return PyObject_Vectorcall(self->py->std.wrap_future, stack + 1,
                               1 | PY_VECTORCALL_ARGUMENTS_OFFSET, self->py->loop_keyword);
}

/* arguments: the function and its own. */
PyObject *py__run_in_executor(struct py__loop *self, PyObject *executor, PyObject *const *arguments,
                              Py_ssize_t n)
{
    if (executor == Py_None && !(executor = default_executor(self)))
        return NULL;
    PyObject *small[8];
    PyObject **stack = n + 1 <= 8 ? small : PyMem_New(PyObject *, (size_t)n + 1);
    if (!stack)
        return PyErr_NoMemory();
    stack[0] = executor;
    for (Py_ssize_t i = 0; i < n; i++)
        stack[1 + i] = arguments[i];
    Py_INCREF(executor);
    PyObject *job = PyObject_VectorcallMethod(self->py->names.submit, stack, (size_t)n + 1, NULL);
    Py_DECREF(executor);
    if (stack != small)
        PyMem_Free(stack);
    PyObject *future = job ? wrap_future(self, job) : NULL;
    Py_XDECREF(job);
    return future;
}

static PyObject *run_in_executor(PyObject *object, PyObject *const *arguments, Py_ssize_t n)
{
    struct py__loop *self = py__loop(object);
    if (n < 2)
        return PyErr_Format(PyExc_TypeError,
                            "run_in_executor() missing %zd required positional argument%s", 2 - n,
                            n ? "" : "s");
    if (py__loop_check_closed(self) < 0 ||
        (self->debug && py__loop_check_callback(self, arguments[1], "run_in_executor") < 0))
        return NULL;
    return py__run_in_executor(self, arguments[0], arguments + 1, n - 1);
}

static PyObject *set_default_executor(PyObject *self, PyObject *executor)
{
    PyObject *type = py__import("concurrent.futures", "ThreadPoolExecutor");
    int fits = type ? PyObject_IsInstance(executor, type) : -1;
    Py_XDECREF(type);
    if (fits < 0)
        return NULL;
    if (!fits) {
        PyErr_SetString(PyExc_TypeError, "executor must be ThreadPoolExecutor instance");
        return NULL;
    }
    Py_XSETREF(py__loop(self)->default_executor, Py_NewRef(executor));
    Py_RETURN_NONE;
}

/* ---- shutdown_default_executor() ---- */

struct shutdown {
    PyObject *timeout;
    PyObject *executor;
    PyObject *thread;
};

static PyObject *shut_down(const struct py__module *py, PyObject *executor, PyObject *wait)
{
    PyObject *stack[] = {NULL, executor, wait};
    PyObject *names = PyTuple_Pack(1, py->names.wait);
    PyObject *result = names ? PyObject_VectorcallMethod(py->names.shutdown, stack + 1,
                                                         1 | PY_VECTORCALL_ARGUMENTS_OFFSET, names)
                             : NULL;
    Py_XDECREF(names);
    return result;
}

static int call_back(PyObject *self, PyObject *function, PyObject *future, PyObject *value)
{
    PyObject *handle = PyObject_CallMethodObjArgs(
        self, py__loop(self)->py->names.call_soon_threadsafe, function, future, value, NULL);
    if (!handle)
        return -1;
    Py_DECREF(handle);
    return 0;
}

/* future's result, unless it has one; or its exception, which is what is set. */
static int tell_end(PyObject *self, PyObject *future, bool failed)
{
    if (failed && !PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyObject *exception = py__take_exception();
    int rc = 0;
    if (py__loop(self)->closed)
        goto done;
    PyObject *function = failed ? PyObject_GetAttrString(future, "set_exception")
                                : py__import("asyncio.futures", "_set_result_unless_cancelled");
    if (!function)
        rc = -1;
    else if (failed)
        rc = call_back(self, function, exception, NULL);
    else
        rc = call_back(self, function, future, Py_None);
    Py_XDECREF(function);
done:
    Py_XDECREF(exception);
    return rc;
}

/* In a thread of its own: waits for the executor's threads, then tells the future. */
static PyObject *do_shutdown(PyObject *self, PyObject *future)
{
    PyObject *executor = Py_XNewRef(py__loop(self)->default_executor);
    if (!executor)
        Py_RETURN_NONE;
    PyObject *result = shut_down(py__loop(self)->py, executor, Py_True);
    Py_DECREF(executor);
    int rc = tell_end(self, future, !result);
    Py_XDECREF(result);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *start_thread(struct py__loop *loop, PyObject *future)
{
    PyObject *type = py__import("threading", "Thread");
    PyObject *target = PyObject_GetAttrString((PyObject *)loop, "_do_shutdown");
    PyObject *keywords = target ? Py_BuildValue("{s:O,s:(O)}", "target", target, "args", future)
                                : NULL;
    PyObject *none = PyTuple_New(0);
    PyObject *thread = type && keywords && none ? PyObject_Call(type, none, keywords) : NULL;
    PyObject *started = thread ? PyObject_CallMethodNoArgs(thread, loop->py->names.start) : NULL;
    if (!started)
        Py_CLEAR(thread);
    Py_XDECREF(started);
    Py_XDECREF(none);
    Py_XDECREF(keywords);
    Py_XDECREF(target);
    Py_XDECREF(type);
    return thread;
}

static enum py__step begin(struct py__coroutine *self, struct shutdown *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    loop->executor_shut_down = true;
    if (!loop->default_executor) {
        *ret = Py_NewRef(Py_None);
        return PY__RETURN;
    }
    state->executor = Py_NewRef(loop->default_executor);
    PyObject *future = py__loop_create_future(loop);
    if (!future)
        return PY__RAISE;
    state->thread = start_thread(loop, future);
    if (!state->thread)
        Py_CLEAR(future);
    else if (state->timeout != Py_None)
        Py_SETREF(future, py__call("asyncio", "wait_for", "(OO)", future, state->timeout));
    *ret = future;
    return future ? PY__AWAIT : PY__RAISE;
}

static PyObject *give_up(struct py__coroutine *self, const struct shutdown *state)
{
    PyErr_Clear();
    PyObject *timeout = PyObject_Str(state->timeout);
    if (!timeout)
        return NULL;
    int rc = PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                              "The executor did not finishing joining its threads within %U "
                              "seconds.",
                              timeout);
    Py_DECREF(timeout);
    return rc < 0 ? NULL : shut_down(self->loop->py, state->executor, Py_False);
}

static enum py__step step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct shutdown *state = py__coroutine_state(self);
    if (self->at == 0) {
        self->at = 1;
        return begin(self, state, ret);
    }
    PyObject *result;
    if (sent)
        result = PyObject_CallMethodNoArgs(state->thread, self->loop->py->names.join);
    else if (state->timeout != Py_None && PyErr_ExceptionMatches(PyExc_TimeoutError))
        result = give_up(self, state);
    else
        return PY__RAISE;
    if (!result)
        return PY__RAISE;
    Py_DECREF(result);
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static int traverse(void *data, visitproc visit, void *arg)
{
    struct shutdown *state = data;
    Py_VISIT(state->timeout);
    Py_VISIT(state->executor);
    Py_VISIT(state->thread);
    return 0;
}

static void clear(void *data)
{
    struct shutdown *state = data;
    Py_CLEAR(state->timeout);
    Py_CLEAR(state->executor);
    Py_CLEAR(state->thread);
}

static const struct py__coroutine_kind shutdown_kind = {
    .name = "EventLoop.shutdown_default_executor",
    .step = step,
    .state_size = sizeof(struct shutdown),
    .traverse = traverse,
    .clear = clear,
};

static PyObject *shutdown_default_executor(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"timeout", NULL};
    PyObject *timeout = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:shutdown_default_executor", names,
                                     &timeout))
        return NULL;
    struct py__coroutine *coroutine = py__coroutine_new(py__loop(self), &shutdown_kind);
    if (coroutine)
        ((struct shutdown *)py__coroutine_state(coroutine))->timeout = Py_NewRef(timeout);
    return (PyObject *)coroutine;
}

PyMethodDef py__loop_executor_methods[] = {
    {"run_in_executor", (PyCFunction)(void (*)(void))run_in_executor, METH_FASTCALL,
     PyDoc_STR("run_in_executor($self, executor, func, /, *args)\n--\n\n"
               "Call func(*args) in an executor, None: the default one. A future.")},
    {"set_default_executor", set_default_executor, METH_O,
     PyDoc_STR("set_default_executor($self, executor, /)\n--\n\nA ThreadPoolExecutor.")},
    {"shutdown_default_executor", (PyCFunction)(void (*)(void))shutdown_default_executor,
     METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("shutdown_default_executor($self, timeout=None)\n--\n\n"
               "Wait until the default executor's threads have ended.")},
    {"_do_shutdown", do_shutdown, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
