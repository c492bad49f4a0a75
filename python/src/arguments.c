/* Arguments. */
#include "arguments.h"

static int place_of(const struct py__signature *signature, PyObject *keyword)
{
    for (int i = 0; i < signature->n; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, signature->names[i]) == 0)
            return i;
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", signature->method,
                 keyword);
    return -1;
}

static int take_keywords(const struct py__signature *signature, PyObject *const *values,
                         Py_ssize_t n, PyObject *keywords, PyObject **ret)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keywords); i++) {
        int place = place_of(signature, PyTuple_GET_ITEM(keywords, i));
        if (place < 0)
            return -1;
        if (place < n) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'",
                         signature->method, signature->names[place]);
            return -1;
        }
        ret[place] = values[i];
    }
    return 0;
}

int py__take_arguments(const struct py__signature *signature, PyObject *const *arguments,
                       Py_ssize_t n, PyObject *keywords, PyObject **ret)
{
    int most = signature->only ? signature->only : signature->n;
    if (n > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d positional arguments but %zd were given",
                     signature->method, most + 1, n + 1);
        return -1;
    }
    for (int i = (int)n; i < signature->required; i++)
        ret[i] = NULL;
    for (Py_ssize_t i = 0; i < n; i++)
        ret[i] = arguments[i];
    if (keywords && take_keywords(signature, arguments + n, n, keywords, ret) < 0)
        return -1;
    for (int i = (int)n; i < signature->required; i++) {
        if (ret[i])
            continue;
        PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'",
                     signature->method, signature->names[i]);
        return -1;
    }
    return 0;
}
