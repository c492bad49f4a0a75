/* Descriptors: add_reader() and its like. */
#include "files.h"

#include "errors.h"
#include "handle.h"
#include "transport.h"

static int as_int(PyObject *number)
{
    int overflow;
    long value = PyLong_AsLongAndOverflow(number, &overflow);
    if (!overflow && value >= INT_MIN && value <= INT_MAX)
        return (int)value;
    PyErr_SetString(PyExc_OverflowError, "the descriptor's number does not fit an int");
    return -1;
}

/* 0, and the number, which is negative for what is closed; -1 with an exception. */
static int number_of(struct py__loop *self, PyObject *object, int *fd)
{
    PyObject *number = NULL;
    if (PyLong_Check(object)) {
        number = Py_NewRef(object);
    } else {
        PyObject *said = PyObject_CallMethodNoArgs(object, self->py->names.fileno);
        number = said ? PyNumber_Long(said) : NULL;
        Py_XDECREF(said);
        if (!number &&
            (PyErr_ExceptionMatches(PyExc_AttributeError) ||
             PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError))) {
            PyErr_Clear();
            PyErr_Format(PyExc_ValueError, "Invalid file object: %R", object);
        }
    }
    *fd = number ? as_int(number) : -1;
    Py_XDECREF(number);
    return *fd < 0 && PyErr_Occurred() ? -1 : 0;
}

int py__fileno(struct py__loop *self, PyObject *object)
{
    int fd;
    if (number_of(self, object, &fd) < 0)
        return -1;
    if (fd < 0)
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %d", fd);
    return fd;
}

static bool is_taken(struct py__loop *self, int fd)
{
    const struct cio__file *file = cio__file_find(self->loop, fd);
    return file && file->taken;
}

/* The descriptor that the program may watch; -1: an exception is set. */
static int watchable(struct py__loop *self, PyObject *object)
{
    int fd = py__fileno(self, object);
    if (fd < 0)
        return -1;
    return is_taken(self, fd) && py__transport_check_free(self, fd, object) < 0 ? -1 : fd;
}

static int watch(struct py__loop *self, int fd, struct py__handle *handle,
                 enum cio__direction direction)
{
    struct py__handle *before = py__watch_of(self, fd, direction);
    Py_XINCREF(before);
    int rc = direction == CIO__READ
                 ? cio_add_reader(self->loop, fd, &handle->call, py__handle_call_watch, handle)
                 : cio_add_writer(self->loop, fd, &handle->call, py__handle_call_watch, handle);
    if (rc == 0) {
        Py_INCREF(handle); /* the watch's */
        if (before) {
            rc = py__handle_cancel(before);
            Py_DECREF(before); /* and that of the one before */
        }
        Py_XDECREF(before);
        return rc;
    }
    Py_XDECREF(before);
    py__raise_code(rc);
    return -1;
}

struct py__handle *py__watch_of(struct py__loop *self, int fd, enum cio__direction direction)
{
    const struct cio__file *file = cio__file_find(self->loop, fd);
    const cio_handle *handle = file ? file->watch[direction] : NULL;
    return handle && handle->fn == py__handle_call_watch ? handle->arg : NULL;
}

/* ---- the objects that were given ---- */

/* As asyncio's selector keeps it: it lives while it is watched, and is found again when it is closed. */
static int keep_object(struct py__loop *self, int fd, PyObject *object)
{
    if (PyLong_Check(object))
        return 0;
    if (!self->watched && !(self->watched = PyDict_New()))
        return -1;
    PyObject *number = PyLong_FromLong(fd);
    PyObject *kept = number ? PyDict_SetDefault(self->watched, number, object) : NULL;
    Py_XDECREF(number);
    return kept ? 0 : -1;
}

/* When nothing watches it any more. */
static int forget_object(struct py__loop *self, int fd)
{
    if (!self->watched || PyDict_GET_SIZE(self->watched) == 0 ||
        py__watch_of(self, fd, CIO__READ) || py__watch_of(self, fd, CIO__WRITE))
        return 0;
    PyObject *number = PyLong_FromLong(fd);
    int rc = number ? PyDict_Contains(self->watched, number) : -1;
    if (rc > 0)
        rc = PyDict_DelItem(self->watched, number);
    Py_XDECREF(number);
    return rc;
}

/* The descriptor that the object had; -1: it is not watched. */
static int find_object(struct py__loop *self, PyObject *object)
{
    Py_ssize_t at = 0;
    PyObject *number, *kept;
    while (self->watched && PyDict_Next(self->watched, &at, &number, &kept))
        if (kept == object)
            return (int)PyLong_AsLong(number);
    return -1;
}

/* ---- methods ---- */

static PyObject *add(PyObject *object, PyObject *const *arguments, Py_ssize_t n,
                     enum cio__direction direction)
{
    struct py__loop *self = py__loop(object);
    if (n < 2)
        return PyErr_Format(PyExc_TypeError, "add_%s() missing %zd required positional argument%s",
                            direction == CIO__READ ? "reader" : "writer", 2 - n, n ? "" : "s");
    int fd = watchable(self, arguments[0]);
    if (fd < 0 || py__loop_check_closed(self) < 0)
        return NULL;
    struct py__handle *handle = py__handle_new(self, self->py->handle_type, arguments[1],
                                               arguments + 2, n - 2, NULL);
    if (!handle)
        return NULL;
    int rc = keep_object(self, fd, arguments[0]);
    if (rc == 0)
        rc = watch(self, fd, handle, direction);
    Py_DECREF(handle);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}

int py__unwatch(struct py__loop *self, int fd, enum cio__direction direction)
{
    struct py__handle *handle = self->closed ? NULL : py__watch_of(self, fd, direction);
    if (!handle)
        return 0;
    if (direction == CIO__READ)
        cio_remove_reader(self->loop, fd);
    else
        cio_remove_writer(self->loop, fd);
    int rc = py__handle_cancel(handle);
    Py_DECREF(handle);
    return rc < 0 || forget_object(self, fd) < 0 ? -1 : 1;
}

static PyObject *take_away(PyObject *object, PyObject *file, enum cio__direction direction)
{
    struct py__loop *self = py__loop(object);
    int fd;
    if (number_of(self, file, &fd) < 0)
        return NULL;
    if (self->closed)
        Py_RETURN_FALSE;
    if (fd < 0)
        fd = find_object(self, file);
    else if (is_taken(self, fd) && py__transport_check_free(self, fd, file) < 0)
        return NULL;
    if (fd < 0)
        return PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %d", fd);
    int rc = py__unwatch(self, fd, direction);
    return rc < 0 ? NULL : PyBool_FromLong(rc);
}

static PyObject *add_reader(PyObject *self, PyObject *const *arguments, Py_ssize_t n)
{
    return add(self, arguments, n, CIO__READ);
}

static PyObject *add_writer(PyObject *self, PyObject *const *arguments, Py_ssize_t n)
{
    return add(self, arguments, n, CIO__WRITE);
}

static PyObject *remove_reader(PyObject *self, PyObject *file)
{
    return take_away(self, file, CIO__READ);
}

static PyObject *remove_writer(PyObject *self, PyObject *file)
{
    return take_away(self, file, CIO__WRITE);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f)

PyMethodDef py__loop_file_methods[] = {
    {"add_reader", FUNCTION(add_reader), METH_FASTCALL,
     PyDoc_STR("add_reader($self, fd, callback, /, *args)\n--\n\n"
               "Call callback(*args) whenever fd can be read from.")},
    {"add_writer", FUNCTION(add_writer), METH_FASTCALL,
     PyDoc_STR("add_writer($self, fd, callback, /, *args)\n--\n\n"
               "Call callback(*args) whenever fd can be written to.")},
    {"remove_reader", remove_reader, METH_O,
     PyDoc_STR("remove_reader($self, fd, /)\n--\n\nTrue if there was a reader.")},
    {"remove_writer", remove_writer, METH_O,
     PyDoc_STR("remove_writer($self, fd, /)\n--\n\nTrue if there was a writer.")},
    {NULL, NULL, 0, NULL},
};
