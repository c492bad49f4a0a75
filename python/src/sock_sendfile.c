/* sock_sendfile(): by the system call if there is one for the file, else by reading in a thread. */
#include <errno.h>
#include <sys/socket.h>

#include "errors.h"
#include "sock.h"

#define BLOCK ((Py_ssize_t)256 * 1024) /* of the fallback */

enum { START, SENDING, READING, WRITING };

enum { FILE_, OFFSET, COUNT, FALLBACK }; /* places of arguments */

struct sendfile {
    struct py__sock sock; /* the first, so that its functions do */
    Py_ssize_t offset;
    Py_ssize_t count; /* 0: to the end */
    Py_ssize_t total; /* sent */
    int file;         /* its descriptor; -1: none */
    bool sent_some;
    PyObject *block; /* the fallback's bytearray */
    PyObject *piece; /* and what of it is to be sent, or was */
};

/* ---- what is asked ---- */

static int check_number(PyObject *number, const char *name, const char *kind, int least,
                        Py_ssize_t *ret)
{
    if (!PyLong_Check(number)) {
        PyErr_Format(PyExc_TypeError, "%s must be a %s integer (got %R)", name, kind, number);
        return -1;
    }
    *ret = PyLong_AsSsize_t(number);
    if (*ret == -1 && PyErr_Occurred())
        return -1;
    if (*ret >= least)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s must be a %s integer (got %R)", name, kind, number);
    return -1;
}

static int check_mode(PyObject *file)
{
    PyObject *mode = PyObject_GetAttrString(file, "mode");
    if (!mode) {
        PyErr_Clear();
        return 0;
    }
    PyObject *b = PyUnicode_FromString("b");
    int binary = b ? PySequence_Contains(mode, b) : -1;
    Py_XDECREF(b);
    Py_DECREF(mode);
    if (binary == 0)
        PyErr_SetString(PyExc_ValueError, "file should be opened in binary mode");
    return binary > 0 ? 0 : -1;
}

static int check_stream(PyObject *sock)
{
    PyObject *type = PyObject_GetAttrString(sock, "type");
    long number = type ? PyLong_AsLong(type) : -1;
    Py_XDECREF(type);
    if (number != SOCK_STREAM && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "only SOCK_STREAM type sockets are supported");
    return number == SOCK_STREAM ? 0 : -1;
}

static int check(struct py__coroutine *self, struct sendfile *state)
{
    PyObject **arguments = state->sock.arguments;
    if (py__sock_check(self, &state->sock) < 0 || check_mode(arguments[FILE_]) < 0 ||
        check_stream(state->sock.sock) < 0)
        return -1;
    if (arguments[FALLBACK]) {
        int wanted = PyObject_IsTrue(arguments[FALLBACK]);
        if (wanted < 0)
            return -1;
        Py_SETREF(arguments[FALLBACK], Py_NewRef(wanted ? Py_True : Py_False));
    }
    if (arguments[COUNT] && arguments[COUNT] != Py_None &&
        check_number(arguments[COUNT], "count", "positive", 1, &state->count) < 0)
        return -1;
    return arguments[OFFSET]
               ? check_number(arguments[OFFSET], "offset", "non-negative", 0, &state->offset)
               : 0;
}

/* ---- by the system call ---- */

/* The file's position is behind what was sent, were it nothing. */
static void move_file(const struct sendfile *state)
{
    PyObject *exception = py__take_exception();
    Py_XDECREF(py__call("os", "lseek", "(ini)", state->file, state->offset, SEEK_SET));
    PyErr_Clear();
    if (exception)
        py__raise_again(exception);
}

static void refuse(struct py__loop *loop, const char *text)
{
    PyErr_Clear();
    PyErr_SetString(loop->py->std.SendfileNotAvailableError, text);
}

/* The size of the file, -1: it is no file with a size, and SendfileNotAvailableError is set. */
static Py_ssize_t open_native(struct py__loop *loop, struct sendfile *state)
{
    PyObject *number = PyObject_CallMethodNoArgs(state->sock.arguments[FILE_],
                                                 loop->py->names.fileno);
    PyObject *status = number ? py__call("os", "fstat", "(O)", number) : NULL;
    PyObject *size = status ? PyObject_GetAttrString(status, "st_size") : NULL;
    Py_ssize_t bytes = size ? PyLong_AsSsize_t(size) : -1;
    if (bytes >= 0)
        state->file = (int)PyLong_AsLong(number);
    Py_XDECREF(size);
    Py_XDECREF(status);
    Py_XDECREF(number);
    if (bytes < 0)
        refuse(loop, "not a regular file");
    return bytes;
}

static enum py__step fail_native(struct py__coroutine *self, struct sendfile *state)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        move_file(state);
        return PY__RAISE;
    }
    if (state->total == 0) {
        refuse(self->loop, "os.sendfile call failed");
        return PY__RAISE;
    }
    PyObject *exception = py__take_exception();
    PyObject *number = PyObject_GetAttrString(exception, "errno");
    if (number && PyLong_AsLong(number) == ENOTCONN) {
        PyObject *other = PyObject_CallFunction(PyExc_ConnectionError, "si",
                                                "socket is not connected", ENOTCONN);
        if (other)
            PyException_SetCause(other, exception);
        exception = other ? other : py__take_exception();
    }
    Py_XDECREF(number);
    PyErr_Clear();
    py__raise_again(exception);
    move_file(state);
    return PY__RAISE;
}

/* One call, and then a wait, whatever it said: it is to leave the loop to others. */
static enum py__step send_native(struct py__coroutine *self, struct sendfile *state, PyObject **ret)
{
    Py_ssize_t left = state->count ? state->count - state->total : PY_SSIZE_T_MAX / 2;
    PyObject *sent = NULL;
    Py_ssize_t n = 0;
    if (left > 0) {
        left = left < (1 << 30) ? left : 1 << 30;
        sent = py__call("os", "sendfile", "(iinn)", state->sock.fd, state->file, state->offset,
                        left);
        n = sent ? PyLong_AsSsize_t(sent) : -1;
        Py_XDECREF(sent);
    }
    if (n < 0 && !py__sock_blocked())
        return fail_native(self, state);
    if (n == 0) {
        move_file(state);
        *ret = PyLong_FromSsize_t(state->total);
        return *ret ? PY__RETURN : PY__RAISE;
    }
    if (n > 0) {
        state->offset += n;
        state->total += n;
    }
    return py__sock_wait(self, &state->sock, CIO__WRITE, ret);
}

/* ---- by reading ---- */

static enum py__step finish_fallback(struct sendfile *state, PyObject **ret)
{
    PyObject *exception = py__take_exception();
    PyObject *file = state->sock.arguments[FILE_];
    PyObject *moved = state->total > 0 && PyObject_HasAttrString(file, "seek")
                          ? PyObject_CallMethod(file, "seek", "n", state->offset + state->total)
                          : Py_NewRef(Py_None);
    Py_XDECREF(moved);
    if (exception && moved)
        py__raise_again(exception);
    else
        Py_XDECREF(exception);
    if (PyErr_Occurred())
        return PY__RAISE;
    *ret = PyLong_FromSsize_t(state->total);
    return *ret ? PY__RETURN : PY__RAISE;
}

/* Reads the next block in the default executor. */
static enum py__step read_block(struct py__coroutine *self, struct sendfile *state, PyObject **ret)
{
    Py_ssize_t size = PyByteArray_GET_SIZE(state->block);
    if (state->count && state->count - state->total < size)
        size = state->count - state->total;
    if (size <= 0)
        return finish_fallback(state, ret);
    PyObject *view = PyMemoryView_FromObject(state->block);
    PyObject *piece = view ? PySequence_GetSlice(view, 0, size) : NULL;
    Py_XDECREF(view);
    Py_XSETREF(state->piece, piece);
    PyObject *read = piece ? PyObject_GetAttrString(state->sock.arguments[FILE_], "readinto")
                           : NULL;
    *ret = read ? PyObject_CallMethod((PyObject *)self->loop, "run_in_executor", "OOO", Py_None,
                                      read, piece)
                : NULL;
    Py_XDECREF(read);
    self->at = READING;
    return *ret ? PY__AWAIT : finish_fallback(state, ret);
}

static enum py__step begin_fallback(struct py__coroutine *self, struct sendfile *state,
                                    PyObject **ret)
{
    PyObject *file = state->sock.arguments[FILE_];
    if (PyObject_HasAttrString(file, "seek")) {
        PyObject *moved = PyObject_CallMethod(file, "seek", "n", state->offset);
        if (!moved)
            return PY__RAISE;
        Py_DECREF(moved);
    }
    Py_ssize_t size = state->count && state->count < BLOCK ? state->count : BLOCK;
    state->block = PyByteArray_FromStringAndSize(NULL, size);
    return state->block ? read_block(self, state, ret) : PY__RAISE;
}

static enum py__step send_block(struct py__coroutine *self, struct sendfile *state, PyObject *sent,
                                PyObject **ret)
{
    Py_ssize_t n = PyNumber_AsSsize_t(sent, PyExc_OverflowError);
    if (n <= 0)
        return finish_fallback(state, ret);
    PyObject *piece = PySequence_GetSlice(state->piece, 0, n);
    if (!piece)
        return finish_fallback(state, ret);
    Py_SETREF(state->piece, piece);
    self->at = WRITING;
    *ret = PyObject_CallMethod((PyObject *)self->loop, "sock_sendall", "OO", state->sock.sock,
                               piece);
    return *ret ? PY__AWAIT : finish_fallback(state, ret);
}

static enum py__step fall_back(struct py__coroutine *self, struct sendfile *state, PyObject *sent,
                               PyObject **ret)
{
    if (!sent)
        return finish_fallback(state, ret);
    if (self->at == READING)
        return send_block(self, state, sent, ret);
    state->total += PyObject_Size(state->piece);
    return read_block(self, state, ret);
}

/* ---- the coroutine ---- */

static enum py__step start(struct py__coroutine *self, struct sendfile *state, PyObject **ret)
{
    if (check(self, state) < 0)
        return PY__RAISE;
    self->at = SENDING;
    Py_ssize_t size = open_native(self->loop, state);
    if (size == 0) { /* empty */
        *ret = PyLong_FromLong(0);
        return *ret ? PY__RETURN : PY__RAISE;
    }
    return size < 0 ? PY__RAISE : send_native(self, state, ret);
}

/* Whether what is set means that the other way is to be taken. */
static bool is_unavailable(const struct py__coroutine *self, const struct sendfile *state)
{
    return PyErr_ExceptionMatches(self->loop->py->std.SendfileNotAvailableError) &&
           (!state->sock.arguments[FALLBACK] || state->sock.arguments[FALLBACK] == Py_True);
}

static enum py__step sendfile_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct sendfile *state = py__coroutine_state(self);
    if (self->at >= READING)
        return fall_back(self, state, sent, ret);
    enum py__step step = PY__RAISE;
    if (self->at == START) {
        step = start(self, state, ret);
    } else if (py__sock_resume(&state->sock, sent)) {
        step = send_native(self, state, ret);
    } else {
        move_file(state);
        return PY__RAISE;
    }
    if (step != PY__RAISE || !is_unavailable(self, state))
        return step;
    PyErr_Clear();
    return begin_fallback(self, state, ret);
}

static int traverse(void *data, visitproc visit, void *arg)
{
    struct sendfile *state = data;
    Py_VISIT(state->block);
    Py_VISIT(state->piece);
    return py__sock_traverse(data, visit, arg);
}

static void clear(void *data)
{
    struct sendfile *state = data;
    Py_CLEAR(state->piece);
    Py_CLEAR(state->block);
    py__sock_clear(data);
}

static const struct py__coroutine_kind kind = {
    .name = "EventLoop.sock_sendfile",
    .step = sendfile_step,
    .state_size = sizeof(struct sendfile),
    .traverse = traverse,
    .clear = clear,
};

PyObject *py__sock_sendfile(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                            PyObject *keywords)
{
    static const struct py__signature signature = {
        "sock_sendfile", 2, 4, 5, {"sock", "file", "offset", "count", "fallback"}};
    return py__sock_new(self, &kind, &signature, arguments, n, keywords);
}
