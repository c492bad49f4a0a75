/*
 * How the loop hears that a child process has ended: by a descriptor of the process, or, where the
 * kernel or a sandbox has none, by a thread, which is asyncio's own. No SIGCHLD is needed, and the
 * loop may run in any thread.
 */
#include <errno.h>
#include <sys/wait.h>

#include "errors.h"
#include "files.h"
#include "handle.h"
#include "process.h"

static struct py__process *process_at(cio_ring *place)
{
    return (struct py__process *)((char *)place - offsetof(struct py__process, place));
}

/* A process outlives its loop, whose backend is closed then. */
static struct cio__os *os_of(const struct py__process *self)
{
    return self->loop->closed ? NULL : self->loop->loop->os;
}

/* ---- its status ---- */

static int returncode_of(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : status;
}

/* What Popen knows, if it has taken the status; NULL without an exception: nothing. */
static PyObject *known_to_popen(const struct py__process *self)
{
    PyObject *code = PyObject_GetAttr(self->popen, self->created_by->py->names.returncode);
    if (!code)
        PyErr_Clear();
    if (code == Py_None)
        Py_CLEAR(code);
    return code;
}

/* Popen would take it for a child that nobody has waited for. */
static void tell_popen(const struct py__process *self, PyObject *code)
{
    PyObject *known = known_to_popen(self);
    if (!known && code &&
        PyObject_SetAttr(self->popen, self->created_by->py->names.returncode, code) < 0)
        PyErr_Clear();
    Py_XDECREF(known);
}

bool py__child_has_ended(struct py__process *self)
{
    if (self->reaped || self->returncode)
        return true;
    PyObject *known = known_to_popen(self);
    if (known) {
        Py_DECREF(known);
        return true;
    }
    if (self->in_thread)
        return false; /* the status is the thread's */
    int status = 0;
    struct cio__os *os = os_of(self);
    int rc = py__os_ops(os)->reap(os, self->pid, &status);
    if (rc == 0)
        return false;
    self->reaped = true;
    self->lost = rc < 0;
    self->status = rc < 0 ? 255 : returncode_of(status);
    if (!self->lost) {
        PyObject *code = PyLong_FromLong(self->status);
        tell_popen(self, code);
        Py_XDECREF(code);
        PyErr_Clear();
    }
    return true;
}

/* As the standard library's watcher of this version says it. */
#if PY_VERSION_HEX >= 0x030C0000
#define LOST "child process pid %d exit status already read:  will report returncode 255"
#else
#define LOST "Unknown child process pid %d, will report returncode 255"
#endif

PyObject *py__child_returncode(struct py__process *self)
{
    PyObject *known = self->reaped ? NULL : known_to_popen(self);
    if (known)
        return known;
    if (self->lost && py__log("warning", "(si)", LOST, (int)self->pid) < 0)
        return NULL;
    return PyLong_FromLong(self->status);
}

/* ---- watching ---- */

static void stop_watching(struct py__process *self)
{
    cio_handle_cancel(&self->watch);
    cio__ring_remove(&self->place);
    cio__ring_init(&self->place);
    struct cio__os *os = self->loop->loop->os;
    os->ops->close_fd(os, self->pidfd);
    self->pidfd = -1;
    Py_CLEAR(self->context);
}

/* In the next turn, as asyncio's watchers do it: what the pipes have said comes first. */
static int schedule_exited(struct py__process *self)
{
    PyObject *code = py__child_returncode(self);
    PyObject *method =
        code ? PyObject_GetAttr(&self->object, self->created_by->py->names._process_exited) : NULL;
    int rc = method ? py__handle_schedule(self->loop, method, &code, 1) : -1;
    Py_XDECREF(method);
    Py_XDECREF(code);
    return rc;
}

static void on_exit_of(void *arg)
{
    struct py__process *self = arg;
    if (!py__child_has_ended(self))
        return;
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)self->loop);
    PyObject *context = Py_NewRef(self->context);
    stop_watching(self);
    int rc = PyContext_Enter(context);
    if (rc == 0) {
        rc = schedule_exited(self);
        PyObject *exception = rc < 0 ? py__take_exception() : NULL;
        if (PyContext_Exit(context) < 0)
            py__loop_leave(loop);
        if (exception)
            py__raise_again(exception);
    }
    if (rc < 0)
        py__loop_report(loop, "Exception in a child process's end", "transport", &self->object,
                        NULL, NULL);
    Py_DECREF(context);
    Py_DECREF(self); /* the watch's */
    Py_DECREF(loop);
}

static int watch_descriptor(struct py__process *self, int pidfd)
{
    struct py__loop *loop = self->loop;
    if (py__unwatch(loop, pidfd, CIO__READ) < 0 || py__unwatch(loop, pidfd, CIO__WRITE) < 0 ||
        !(self->context = PyContext_CopyCurrent()))
        return -1;
    int rc = cio_add_reader(loop->loop, pidfd, &self->watch, on_exit_of, self);
    if (rc < 0) {
        py__raise_code(rc);
        Py_CLEAR(self->context);
        return -1;
    }
    self->pidfd = pidfd;
    cio__ring_append(&loop->children, &self->place);
    Py_INCREF(self);
    return 0;
}

/* The loop has one watcher, made when it is needed. */
static PyObject *thread_watcher(struct py__loop *loop)
{
    if (!loop->child_watcher) {
#if PY_VERSION_HEX >= 0x030E0000
        PyObject *type = py__import("asyncio.unix_events", "_ThreadedChildWatcher");
#else
        PyObject *type = py__import("asyncio.unix_events", "ThreadedChildWatcher");
#endif
        loop->child_watcher = type ? PyObject_CallNoArgs(type) : NULL;
        Py_XDECREF(type);
    }
    return loop->child_watcher;
}

static int watch_by_thread(struct py__process *self)
{
    PyObject *watcher = thread_watcher(self->loop);
    PyObject *callback = watcher ? PyObject_GetAttrString(&self->object, "_child_exited") : NULL;
    PyObject *result = callback ? PyObject_CallMethod(watcher, "add_child_handler", "iO",
                                                      (int)self->pid, callback)
                                : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(result);
    self->in_thread = result != NULL;
    return result ? 0 : -1;
}

int py__child_watch(struct py__process *self)
{
    struct cio__os *os = self->loop->loop->os;
    int pidfd = os->ops->open_process(os, self->pid);
    if (pidfd == -ESRCH && py__child_has_ended(self)) /* nobody has to wait: SIGCHLD is ignored */
        return schedule_exited(self);
    if (pidfd < 0)
        return watch_by_thread(self);
    if (watch_descriptor(self, pidfd) == 0)
        return 0;
    os->ops->close_fd(os, pidfd);
    return -1;
}

/* ---- signals ---- */

int py__child_signal(struct py__process *self, int signo)
{
    if (PySys_Audit("os.kill", "ii", (int)self->pid, signo) < 0)
        return -1;
    if (self->reaped || self->returncode)
        return 0;
    struct cio__os *os = os_of(self);
    int rc = py__os_ops(os)->signal_process(os, self->pidfd, self->pid, signo);
    if (rc == 0 || rc == -ESRCH)
        return 0;
    py__raise_code(rc);
    return -1;
}

/* ---- the loop's ---- */

int py__children_visit(struct py__loop *loop, visitproc visit, void *arg)
{
    for (cio_ring *place = loop->children.next; place && place != &loop->children;
         place = place->next)
        Py_VISIT(process_at(place));
    return 0;
}

void py__children_forget(struct py__loop *loop, PyObject *list)
{
    while (!cio__ring_empty(&loop->children)) {
        struct py__process *self = process_at(loop->children.next);
        stop_watching(self);
        if (PyList_Append(list, &self->object) < 0)
            PyErr_Clear(); /* it leaks */
    }
}
