/* Methods that are looked up once. */
#include "method.h"

int py__method_look_up(struct py__method *method, PyObject *object, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(object, name);
    if (!found)
        return -1;
    if (PyMethod_Check(found)) {
        method->function = Py_NewRef(PyMethod_GET_FUNCTION(found));
        method->self = Py_NewRef(PyMethod_GET_SELF(found));
        Py_DECREF(found);
    } else {
        method->function = found;
    }
    return 0;
}
