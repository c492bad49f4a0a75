/* Methods that are coroutine functions. */
#include "async_method.h"

#include <structmember.h>

/*
 * A function of Python is told by its type or, so that compilers can make others, by what it has:
 * __code__, whose flags say that it is a coroutine function, and __defaults__ and the like, which
 * with that make the signature. Those are asyncio's own.
 */
struct async_method {
    PyObject_HEAD PyObject *method; /* of C, and how it is called */
    vectorcallfunc forward;
    vectorcallfunc vectorcall;
    PyObject *function; /* asyncio's */
    const char *class_name;
};

static struct async_method *async_method(PyObject *self)
{
    return (struct async_method *)self;
}

static PyObject *call(PyObject *self, PyObject *const *arguments, size_t flags_and_n,
                      PyObject *keywords)
{
    const struct async_method *method = async_method(self);
    return method->forward(method->method, arguments, flags_and_n, keywords);
}

/* What follows a dot and is called at once is called without this: see METHOD_DESCRIPTOR. */
static PyObject *get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    return object ? PyMethod_New(self, object) : Py_NewRef(self);
}

static PyObject *get_of_function(PyObject *self, void *name)
{
    return PyObject_GetAttrString(async_method(self)->function, name);
}

static PyObject *get_of_method(PyObject *self, void *name)
{
    return PyObject_GetAttrString(async_method(self)->method, name);
}

static PyObject *get_qualname(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *name = get_of_method(self, "__name__");
    PyObject *whole = name ? PyUnicode_FromFormat("%s.%U", async_method(self)->class_name, name)
                           : NULL;
    Py_XDECREF(name);
    return whole;
}

static PyObject *repr(PyObject *self)
{
    PyObject *name = get_qualname(self, NULL);
    PyObject *text = name ? PyUnicode_FromFormat("<coroutine function %U of cio>", name) : NULL;
    Py_XDECREF(name);
    return text;
}

/* As of a function: the name says where it is. */
static PyObject *reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    return get_qualname(self, NULL);
}

/* There is no clear(): as of a tuple, which the types that have it let go of. */
static int traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(async_method(self)->method);
    Py_VISIT(async_method(self)->function);
    return 0;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(async_method(self)->function);
    Py_CLEAR(async_method(self)->method);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyGetSetDef fields[] = {
    {"__name__", get_of_method, NULL, NULL, "__name__"},
    {"__qualname__", get_qualname, NULL, NULL, NULL},
    {"__doc__", get_of_method, NULL, NULL, "__doc__"},
    {"__objclass__", get_of_method, NULL, NULL, "__objclass__"},
    {"__code__", get_of_function, NULL, NULL, "__code__"},
    {"__defaults__", get_of_function, NULL, NULL, "__defaults__"},
    {"__kwdefaults__", get_of_function, NULL, NULL, "__kwdefaults__"},
    {"__annotations__", get_of_function, NULL, NULL, "__annotations__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct async_method, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},        {Py_tp_traverse, traverse}, {Py_tp_repr, repr},
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_descr_get, get},     {Py_tp_getset, fields},
    {Py_tp_members, members},        {Py_tp_methods, methods},   {0, NULL},
};

PyType_Spec py__async_method_spec = {
    .name = "cio.AsyncMethod",
    .basicsize = sizeof(struct async_method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static PyObject *new (const struct py__module *py, PyObject *method, PyObject *function,
                      const char *class_name)
{
    struct async_method *self = (struct async_method *)py->async_method_type->tp_alloc(
        py->async_method_type, 0);
    if (!self)
        return NULL;
    self->method = Py_NewRef(method);
    self->forward = PyVectorcall_Function(method);
    self->vectorcall = call;
    self->function = Py_NewRef(function);
    self->class_name = class_name;
    return (PyObject *)self;
}

/* *ret: asyncio's method of that name where it is a coroutine function, or NULL. */
static int find_function(const struct py__module *py, PyObject *asyncio_class, const char *name,
                         PyObject **ret)
{
    *ret = NULL;
    PyObject *function = PyObject_GetAttrString(asyncio_class, name);
    if (!function) {
        PyErr_Clear();
        return 0;
    }
    PyObject *is = PyObject_CallOneArg(py->std.iscoroutinefunction, function);
    int truth = is ? PyObject_IsTrue(is) : -1;
    Py_XDECREF(is);
    if (truth > 0)
        *ret = function;
    else
        Py_DECREF(function);
    return truth;
}

static int make_one(const struct py__module *py, PyTypeObject *type, const char *class_name,
                    const char *name, PyObject *function)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)type, name);
    PyObject *made = method ? new (py, method, function, class_name) : NULL;
    int rc = made ? PyObject_SetAttrString((PyObject *)type, name, made) : -1;
    Py_XDECREF(made);
    Py_XDECREF(method);
    return rc;
}

int py__make_async(const struct py__module *py, PyTypeObject *type, const char *class_name,
                   const PyMethodDef *methods_of_type, PyObject *asyncio_class)
{
    for (const PyMethodDef *method = methods_of_type; method->ml_name; method++) {
        PyObject *function;
        int rc = find_function(py, asyncio_class, method->ml_name, &function);
        if (rc > 0)
            rc = make_one(py, type, class_name, method->ml_name, function);
        Py_XDECREF(function);
        if (rc < 0)
            return -1;
    }
    return 0;
}
