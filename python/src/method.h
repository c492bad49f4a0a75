/*
 * A method of a protocol's that was looked up: it is called without the look-up, and without the
 * bound method's own call where it is one of Python's. It is kept as long as the protocol: what the
 * program puts in its place later is not seen.
 */
#ifndef PY_METHOD_H
#define PY_METHOD_H

#include "module.h"

struct py__method {
    PyObject *function; /* NULL: not looked up yet */
    PyObject *self;     /* its first argument, or NULL */
};

#define PY__METHOD_ARGUMENTS 2

int py__method_look_up(struct py__method *method, PyObject *object, PyObject *name);

static inline void py__method_clear(struct py__method *method)
{
    Py_CLEAR(method->function);
    Py_CLEAR(method->self);
}

/* object.name(*arguments), of which there are at most so many as above. */
static inline PyObject *py__method_call_with(struct py__method *method, PyObject *object,
                                             PyObject *name, PyObject *const *arguments, size_t n)
{
    if (unlikely(!method->function) && py__method_look_up(method, object, name) < 0)
        return NULL;
    PyObject *function = Py_NewRef(method->function), *self = Py_XNewRef(method->self);
    PyObject *stack[2 + PY__METHOD_ARGUMENTS] = {NULL, self};
    for (size_t i = 0; i < n; i++)
        stack[2 + i] = arguments[i];
    PyObject *const *first = likely(self != NULL) ? stack + 1 : stack + 2;
    PyObject *result = PyObject_Vectorcall(
        function, first, (n + (self != NULL)) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(self);
    Py_DECREF(function);
    return result;
}

static inline PyObject *py__method_call(struct py__method *method, PyObject *object, PyObject *name,
                                        PyObject *argument)
{
    return py__method_call_with(method, object, name, &argument, 1);
}

#endif
