/* Exceptions. */
#include "errors.h"

#include <errno.h>

PyObject *py__raise_code(int code)
{
    if (code == CIO_ECLOSED) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    } else if (code == -ENOMEM) {
        PyErr_NoMemory();
    } else if (code < 0 && code > CIO_ECANCELED) {
        errno = -code;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        PyErr_SetString(PyExc_RuntimeError, cio_strerror(code));
    }
    return NULL;
}

PyObject *py__take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

void py__raise_again(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
#endif
}

bool py__exception_leaves(void)
{
    return PyErr_ExceptionMatches(PyExc_SystemExit) ||
           PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}
