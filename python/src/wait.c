/* Waiting for a descriptor. */
#include "wait.h"

#include <errno.h>

#include "errors.h"
#include "transport.h"

int py__check_free(struct py__loop *loop, int fd)
{
    const struct cio__file *file = cio__file_find(loop->loop, fd);
    if (likely(!file || !file->taken))
        return 0;
    PyObject *number = PyLong_FromLong(fd);
    int rc = number ? py__transport_check_free(loop, fd, number) : -1;
    Py_XDECREF(number);
    return rc;
}

/* It may have been canceled meanwhile: then its task comes to know that first. */
static void set_future(struct py__loop *loop, PyObject *future)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, loop->py->names.done);
    PyObject *result = NULL;
    if (done == Py_False)
        result = PyObject_CallMethodOneArg(future, loop->py->names.set_result, Py_None);
    else if (done)
        result = Py_NewRef(Py_None);
    Py_XDECREF(done);
    if (!result)
        py__loop_leave(loop);
    Py_XDECREF(result);
}

static void ready(void *arg)
{
    struct py__wait *wait = arg;
    PyObject *future = Py_NewRef(wait->future);
    set_future(wait->loop, future);
    Py_DECREF(future);
}

static int queue(struct py__wait *wait, int fd, enum cio__direction direction)
{
    cio_loop *loop = wait->loop->loop;
    struct cio__file *file = fd < 0 ? NULL : cio__file_get(loop, fd);
    if (!file)
        return fd < 0 ? -EBADF : cio__file_missing(loop, fd);
    wait->call.fn = ready;
    wait->call.arg = wait;
    wait->call.loop = loop;
    wait->call.hint = wait->future;
    return cio__file_wait(loop, file, direction, &wait->call);
}

PyObject *py__wait_begin(struct py__wait *wait, struct py__loop *loop, int fd,
                         enum cio__direction direction)
{
    if (py__check_free(loop, fd) < 0)
        return NULL;
    wait->loop = loop;
    wait->future = py__loop_create_future(loop);
    if (!wait->future)
        return NULL;
    int rc = queue(wait, fd, direction);
    if (rc == 0)
        return Py_NewRef(wait->future);
    Py_CLEAR(wait->future);
    return py__raise_code(rc);
}

void py__wait_end(struct py__wait *wait)
{
    if (!wait->future)
        return;
    if (!wait->loop->closed) {
        cio__ring_remove(&wait->call.waiting);
        if (cio__handle_state(&wait->call) != CIO__IDLE)
            cio_handle_cancel(&wait->call);
    }
    Py_CLEAR(wait->future);
}
