/* sock_sendall(). */
#include "errors.h"
#include "sock.h"

static enum py__step send_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at++ == 0) {
        if (py__sock_check(self, state) < 0 ||
            PyObject_GetBuffer(state->arguments[0], &state->buffer, PyBUF_SIMPLE) < 0)
            return PY__RAISE;
    } else if (!py__sock_resume(state, sent)) {
        return PY__RAISE;
    }
    struct cio__os *os = self->loop->loop->os;
    const char *data = state->buffer.buf;
    size_t size = (size_t)state->buffer.len;
    ssize_t rc = os->ops->send(os, state->fd, data + state->done, size - state->done);
    py__loop_poll_next(self->loop);
    if (rc < 0 && !py__would_block(rc)) {
        py__raise_code((int)rc);
        return PY__RAISE;
    }
    state->done += rc > 0 ? (size_t)rc : 0;
    if (state->done < size)
        return py__sock_wait(self, state, CIO__WRITE, ret);
    *ret = Py_NewRef(Py_None);
    return PY__RETURN;
}

static const struct py__coroutine_kind send_kind = PY__SOCK_KIND("sock_sendall", send_step);

PyObject *py__sock_sendall(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords)
{
    static const struct py__signature signature = {"sock_sendall", 2, 0, 2, {"sock", "data"}};
    return py__sock_new(self, &send_kind, &signature, arguments, n, keywords);
}
