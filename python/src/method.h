/* A method that is looked up once: without the bound method's own call, where it is Python's. */
#ifndef PY_METHOD_H
#define PY_METHOD_H

#include "module.h"

struct py__method {
    PyObject *function; /* NULL: not looked up yet */
    PyObject *self;     /* its first argument, or NULL */
};

int py__method_look_up(struct py__method *method, PyObject *object, PyObject *name);

/* It is kept as long as the object: what the program puts in its place later is not seen. */
static inline PyObject *py__method_call(struct py__method *method, PyObject *object, PyObject *name,
                                        PyObject *argument)
{
    if (unlikely(!method->function) && py__method_look_up(method, object, name) < 0)
        return NULL;
    PyObject *function = Py_NewRef(method->function);
    PyObject *stack[] = {NULL, method->self, argument};
    PyObject *result;
    if (likely(method->self != NULL)) {
        Py_INCREF(stack[1]);
        result = PyObject_Vectorcall(function, stack + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        Py_DECREF(stack[1]);
    } else {
        result = PyObject_Vectorcall(function, stack + 2, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_DECREF(function);
    return result;
}

static inline void py__method_clear(struct py__method *method)
{
    Py_CLEAR(method->function);
    Py_CLEAR(method->self);
}

#endif
