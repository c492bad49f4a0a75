/* Futures and tasks: asyncio's own. */
#include "errors.h"
#include "loop.h"

/* asyncio.futures.Future, asyncio.tasks.Task: as programs may have replaced them. Borrowed. */
static PyObject *class_of(PyObject *module, PyObject *name)
{
    PyObject *found = PyDict_GetItemWithError(PyModule_GetDict(module), name);
    if (unlikely(!found) && !PyErr_Occurred())
        PyErr_SetObject(PyExc_AttributeError, name);
    return found;
}

PyObject *py__new_future(struct py__loop *self)
{
    PyObject *type = class_of(self->py->std.futures, self->py->names.Future);
    PyObject *stack[] = {NULL, (PyObject *)self};
    return type ? PyObject_Vectorcall(type, stack + 1, 0 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                      self->py->loop_keyword)
                : NULL;
}

PyObject *py__loop_create_future(struct py__loop *self)
{
    return PyObject_CallMethodNoArgs((PyObject *)self, self->py->names.create_future);
}

static PyObject *create_future(PyObject *self, PyObject *unused)
{
    (void)unused;
    return py__new_future(py__loop(self));
}

static int is_keyword(PyObject *given, PyObject *name)
{
    return given == name || PyUnicode_Compare(given, name) == 0;
}

/* factory(self, coro, **keywords) */
static PyObject *call_factory(struct py__loop *self, PyObject *factory, PyObject *coroutine,
                              PyObject *const *values, PyObject *names)
{
    Py_ssize_t n = names ? PyTuple_GET_SIZE(names) : 0;
    PyObject *small[8];
    PyObject **stack = n + 3 <= 8 ? small : PyMem_New(PyObject *, (size_t)n + 3);
    if (!stack)
        return PyErr_NoMemory();
    stack[0] = NULL;
    stack[1] = (PyObject *)self;
    stack[2] = coroutine;
    for (Py_ssize_t i = 0; i < n; i++)
        stack[3 + i] = values[i];
    PyObject *task = PyObject_Vectorcall(factory, stack + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                         names);
    if (stack != small)
        PyMem_Free(stack);
    return task;
}

/* Task(coro, loop=self, **keywords) */
static PyObject *make_task(struct py__loop *self, PyObject *coroutine, PyObject *const *values,
                           PyObject *names)
{
    const struct py__module *py = self->py;
    PyObject *type = class_of(py->std.tasks, py->names.Task);
    Py_ssize_t n = names ? PyTuple_GET_SIZE(names) : 0;
    if (!type)
        return NULL;
    if (n == 0) {
        PyObject *stack[] = {NULL, coroutine, (PyObject *)self};
        return PyObject_Vectorcall(type, stack + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                   py->loop_keyword);
    }
    PyObject *keywords = PyDict_New();
    PyObject *positional = PyTuple_Pack(1, coroutine);
    int rc = keywords && positional ? PyDict_SetItem(keywords, py->names.loop, (PyObject *)self)
                                    : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++)
        rc = PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, i), values[i]);
    PyObject *task = rc == 0 ? PyObject_Call(type, positional, keywords) : NULL;
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return task;
}

static int set_name(const struct py__module *py, PyObject *task, PyObject *name)
{
    PyObject *result = PyObject_CallMethodOneArg(task, py->names.set_name, name);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

/* 3.13.3 and, for good, 3.14 give a factory all keyword arguments as they are. */
static bool factories_take_all(void)
{
    return Py_Version >> 8 == 0x030D03 || Py_Version >= 0x030E0000;
}

/* The keywords but for the name, and the context if it is None. */
static PyObject *keywords_without_name(const struct py__module *py, PyObject *const *values,
                                       PyObject *names, PyObject **ret_name)
{
    PyObject *keywords = PyDict_New();
    for (Py_ssize_t i = 0; keywords && i < (names ? PyTuple_GET_SIZE(names) : 0); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (is_keyword(name, py->names.name))
            *ret_name = values[i];
        else if (values[i] != Py_None || !is_keyword(name, py->names.context))
            if (PyDict_SetItem(keywords, name, values[i]) < 0)
                Py_CLEAR(keywords);
    }
    return keywords;
}

/* As other versions do it: the name is set when the task is there. */
static PyObject *make_then_name(struct py__loop *self, PyObject *factory, PyObject *coroutine,
                                PyObject *const *values, PyObject *names)
{
    PyObject *name = Py_None;
    PyObject *keywords = keywords_without_name(self->py, values, names, &name);
    PyObject *positional = keywords ? PyTuple_Pack(2, (PyObject *)self, coroutine) : NULL;
    PyObject *task = positional ? PyObject_Call(factory, positional, keywords) : NULL;
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    if (task && set_name(self->py, task, name) < 0)
        Py_CLEAR(task);
    return task;
}

static PyObject *make_by_factory(struct py__loop *self, PyObject *coroutine,
                                 PyObject *const *values, PyObject *names)
{
    PyObject *factory = Py_NewRef(self->task_factory);
    PyObject *task = factories_take_all() ? call_factory(self, factory, coroutine, values, names)
                                          : make_then_name(self, factory, coroutine, values, names);
    Py_DECREF(factory);
    return task;
}

/* The keyword arguments of create_task(): name and context; since 3.13.3 any. */
static int check_keywords(const struct py__module *py, PyObject *names)
{
    for (Py_ssize_t i = 0; i < (names ? PyTuple_GET_SIZE(names) : 0); i++) {
        PyObject *given = PyTuple_GET_ITEM(names, i);
        if (is_keyword(given, py->names.name) || is_keyword(given, py->names.context) ||
            Py_Version >= 0x030D0300)
            continue;
        PyErr_Format(PyExc_TypeError, "create_task() got an unexpected keyword argument '%U'",
                     given);
        return -1;
    }
    return 0;
}

static PyObject *create_task(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                             PyObject *names)
{
    struct py__loop *self = py__loop(object);
    if (n != 1)
        return PyErr_Format(PyExc_TypeError,
                            "create_task() takes 1 positional argument but %zd were given", n);
    if (py__loop_check_closed(self) < 0 || check_keywords(self->py, names) < 0)
        return NULL;
    if (unlikely(self->task_factory != NULL))
        return make_by_factory(self, arguments[0], arguments + 1, names);
    return make_task(self, arguments[0], arguments + 1, names);
}

static PyObject *get_task_factory(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *factory = py__loop(self)->task_factory;
    return Py_NewRef(factory ? factory : Py_None);
}

static PyObject *set_task_factory(PyObject *self, PyObject *factory)
{
    if (factory != Py_None && !PyCallable_Check(factory)) {
        PyErr_SetString(PyExc_TypeError, "task factory must be a callable or None");
        return NULL;
    }
    Py_XSETREF(py__loop(self)->task_factory, factory == Py_None ? NULL : Py_NewRef(factory));
    Py_RETURN_NONE;
}

PyMethodDef py__loop_task_methods[] = {
    {"create_future", create_future, METH_NOARGS,
     PyDoc_STR("create_future($self, /)\n--\n\nA new asyncio.Future of this loop.")},
    {"create_task", (PyCFunction)(void (*)(void))create_task, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("create_task($self, coro, /, *, name=None, context=None, **kwargs)\n--\n\n"
               "Run a coroutine as a task of this loop.")},
    {"get_task_factory", get_task_factory, METH_NOARGS,
     PyDoc_STR("What makes tasks, None: asyncio.Task.")},
    {"set_task_factory", set_task_factory, METH_O,
     PyDoc_STR("factory(loop, coro, **kwargs) makes tasks; None: asyncio.Task.")},
    {NULL, NULL, 0, NULL},
};
