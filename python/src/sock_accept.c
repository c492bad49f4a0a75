/* sock_accept(). */
#include "errors.h"
#include "os/kernel.h"
#include "sock.h"

/* What the method returned is (connection, address); the connection is made non-blocking. */
static enum py__step accept_by_method(struct py__coroutine *self, struct py__sock *state,
                                      PyObject **ret)
{
    enum py__step step = py__sock_by_method(self, state, "accept", CIO__READ, ret);
    if (step != PY__RETURN)
        return step;
    PyObject *accepted = PySequence_GetItem(*ret, 0);
    PyObject *result = accepted ? PyObject_CallMethod(accepted, "setblocking", "O", Py_False)
                                : NULL;
    Py_XDECREF(accepted);
    if (result) {
        Py_DECREF(result);
        return PY__RETURN;
    }
    Py_CLEAR(*ret);
    return PY__RAISE;
}

static enum py__step accepted(struct py__coroutine *self, struct py__sock *state, int fd,
                              const struct py__name *name, PyObject **ret)
{
    PyObject *sock = py__sock_like(self, state, fd);
    if (!sock) {
        cio__kernel_close_fd(NULL, fd);
        return PY__RAISE;
    }
    PyObject *address = py__name_object(name);
    *ret = address ? PyTuple_Pack(2, sock, address) : NULL;
    Py_XDECREF(address);
    Py_DECREF(sock);
    return *ret ? PY__RETURN : PY__RAISE;
}

static enum py__step accept_step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct py__sock *state = py__coroutine_state(self);
    if (self->at++ == 0 ? py__sock_look(self, state) < 0 : !py__sock_resume(state, sent))
        return PY__RAISE;
    if (!state->family)
        return accept_by_method(self, state, ret);
    struct cio__os *os = self->loop->loop->os;
    struct py__name name = {.size = sizeof name - offsetof(struct py__name, any)};
    int fd = os->ops->accept(os, state->fd, &name.any, &name.size);
    if (py__would_block(fd))
        return py__sock_wait(self, state, CIO__READ, ret);
    if (fd >= 0)
        return accepted(self, state, fd, &name, ret);
    py__raise_code(fd);
    return PY__RAISE;
}

static const struct py__coroutine_kind accept_kind = PY__SOCK_KIND("sock_accept", accept_step);

PyObject *py__sock_accept(PyObject *self, PyObject *const *arguments, Py_ssize_t n,
                          PyObject *keywords)
{
    static const struct py__signature signature = {"sock_accept", 1, 0, 1, {"sock"}};
    return py__sock_new(self, &accept_kind, &signature, arguments, n, keywords);
}
