/*
 * Running. Floor 1 makes the turns; between its polls, which let go of the GIL if they may wait,
 * everything happens with the GIL held.
 */
#include "run.h"

#include "clock.h"
#include "errors.h"
#include "handle.h"
#include "loop/run.h"
#include "report.h"
#include "signals.h"

#define CALLBACKS_UNTIMED 8
#define SLEEPS_UNTRIMMED 32

/* ---- turns ---- */

static void call(void *context, cio_callback *fn, void *arg, const void *hint)
{
    (void)context;
    (void)hint;
    fn(arg);
}

/* In debug mode calls are timed: those of handles where they are made, the loop's own here. */
static void call_timed(void *context, cio_callback *fn, void *arg, const void *hint)
{
    (void)hint;
    if (fn == py__handle_call_once || fn == py__handle_call_watch)
        fn(arg);
    else
        py__call_timed(context, fn, arg);
}

/* As if the present turn were over, and the loop stopped: what is left of it stays ready. */
static void leave_turn(cio_loop *loop)
{
    loop->stopping = true;
    loop->turn_end = loop->ready.head;
    cio__set_stop_at(loop, 0);
}

/*
 * Floor 1 would let more quick callbacks go by without a look at the clock. Those of Python are
 * slow of a sudden more often, and nothing interrupts them: so after a few the clock is asked, but
 * not within a turn.
 */
static void look_soon(cio_loop *loop)
{
    uint64_t soon = loop->ready.head + CALLBACKS_UNTIMED;
    cio__stop_by(loop, soon > loop->turn_end ? soon : loop->turn_end);
}

static void run_turns(cio_loop *loop)
{
    struct py__loop *self = py__loop_of(loop);
    py__clock_check(self);
    look_soon(loop);
    if (unlikely(self->leaving))
        leave_turn(loop);
    else if (unlikely(self->debug))
        cio__run_turns(loop, call_timed, self);
    else
        cio__run_turns(loop, call, NULL);
}

void py__loop_leave(struct py__loop *self)
{
    if (!self->running) {
        PyErr_WriteUnraisable((PyObject *)self);
        return;
    }
    PyObject *exception = py__take_exception();
    if (self->exception)
        Py_XDECREF(exception); /* one is on its way already */
    else
        self->exception = exception;
    self->leaving = true;
    leave_turn(self->loop);
}

/* ---- polling ---- */

static void release_gil(void *arg)
{
    struct py__loop *self = arg;
    if (unlikely(++self->sleeps % SLEEPS_UNTRIMMED == 0))
        py__handles_trim(self->py);
    self->unlocked = PyEval_SaveThread();
}

/* A signal ends a poll: its handler in Python is called here; what it raises leaves the loop. */
static void acquire_gil(void *arg)
{
    struct py__loop *self = arg;
    PyEval_RestoreThread(self->unlocked);
    if (unlikely(PyErr_CheckSignals() < 0))
        py__loop_leave(self);
}

void py__run_prepare(struct py__loop *self)
{
    cio_set_poll_hooks(self->loop, release_gil, acquire_gil, self);
    cio__set_run_turns(self->loop, run_turns);
}

/* ---- run_forever() ---- */

static int check_running(struct py__loop *self)
{
    if (self->running) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return -1;
    }
    PyObject *running = PyObject_CallMethodNoArgs(self->py->std.events,
                                                  self->py->names._get_running_loop);
    if (!running)
        return -1;
    bool other = running != Py_None;
    Py_DECREF(running);
    if (!other)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Cannot run the event loop while another loop is running");
    return -1;
}

PyObject *py__check_running(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (check_running(py__loop(self)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int set_running_loop(struct py__loop *self, PyObject *loop)
{
    PyObject *result = PyObject_CallMethodOneArg(self->py->std.events,
                                                 self->py->names._set_running_loop, loop);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

static int hook_asyncgens(struct py__loop *self)
{
    PyObject *first = PyObject_GetAttrString((PyObject *)self, "_asyncgen_firstiter_hook");
    PyObject *final = PyObject_GetAttrString((PyObject *)self, "_asyncgen_finalizer_hook");
    PyObject *result = NULL;
    if (first && final)
        result = PyObject_CallFunctionObjArgs(self->py->std.set_asyncgen_hooks, first, final, NULL);
    Py_XDECREF(first);
    Py_XDECREF(final);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

static int unhook_asyncgens(struct py__loop *self, PyObject *before)
{
    PyObject *result = PyObject_CallObject(self->py->std.set_asyncgen_hooks, before);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

static int track(cio_handle *handle, void *unused)
{
    (void)unused;
    py__handle_track(handle->arg);
    return 0;
}

/* What run_forever() put in place, taken back; an exception that is set stays set. */
static void clean_up(struct py__loop *self, PyObject *hooks)
{
    PyObject *exception = py__take_exception();
    self->running = false;
    self->loop->stopping = false;
    py__loop_visit_ready(self, track, NULL);
    py__signals_end_run(self);
    if (set_running_loop(self, Py_None) < 0 || py__loop_track_origins(self, false) < 0 ||
        (hooks && unhook_asyncgens(self, hooks) < 0))
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(hooks);
    if (exception)
        py__raise_again(exception);
}

static int set_up(struct py__loop *self, PyObject **ret_hooks)
{
    if (py__loop_check_closed(self) < 0 || check_running(self) < 0)
        return -1;
    self->thread_id = PyThread_get_thread_ident();
    self->running = true;
    *ret_hooks = PyObject_CallNoArgs(self->py->std.get_asyncgen_hooks);
    if (*ret_hooks && py__loop_track_origins(self, self->debug) == 0 && hook_asyncgens(self) == 0 &&
        py__signals_begin_run(self) == 0 && set_running_loop(self, (PyObject *)self) == 0)
        return 0;
    clean_up(self, *ret_hooks);
    return -1;
}

static PyObject *result_of_run(struct py__loop *self, int rc)
{
    self->leaving = false;
    if (self->exception) {
        PyObject *exception = self->exception;
        self->exception = NULL;
        py__raise_again(exception);
        return NULL;
    }
    return rc < 0 ? py__raise_code(rc) : Py_NewRef(Py_None);
}

PyObject *py__run_forever(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct py__loop *self = py__loop(object);
    PyObject *hooks = NULL;
    if (set_up(self, &hooks) < 0)
        return NULL;
    py__clock_check(self);
    int rc = cio_run_forever(self->loop);
    PyObject *result = result_of_run(self, rc);
    clean_up(self, hooks);
    return result;
}

PyObject *py__stop(PyObject *self, PyObject *unused)
{
    (void)unused;
    cio_loop *loop = py__loop(self)->loop;
    loop->stopping = true;
    cio__stop_by(loop, 0);
    Py_RETURN_NONE;
}

/* ---- run_until_complete() ---- */

static PyObject *ensure_future(struct py__loop *self, PyObject *object, bool *ret_new)
{
    PyObject *is_future = PyObject_CallOneArg(self->py->std.isfuture, object);
    if (!is_future)
        return NULL;
    *ret_new = is_future == Py_False;
    Py_DECREF(is_future);
    PyObject *stack[] = {NULL, object, (PyObject *)self};
    PyObject *future = PyObject_Vectorcall(self->py->std.ensure_future, stack + 1,
                                           1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                           self->py->loop_keyword);
    if (future && *ret_new &&
        PyObject_SetAttr(future, self->py->names._log_destroy_pending, Py_False) < 0)
        Py_CLEAR(future);
    return future;
}

static int is_true_method(PyObject *object, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs(object, name);
    int truth = result ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    return truth;
}

/* The caller has no way to ask for the exception of a task that was made here. */
static void retrieve_exception(struct py__loop *self, PyObject *future)
{
    PyObject *exception = py__take_exception();
    const struct py__module *py = self->py;
    if (is_true_method(future, py->names.done) == 1 &&
        is_true_method(future, py->names.cancelled) == 0)
        Py_XDECREF(PyObject_CallMethodNoArgs(future, py->names.exception));
    PyErr_Clear();
    py__raise_again(exception);
}

static int call_one(PyObject *object, PyObject *name, PyObject *argument)
{
    PyObject *result = PyObject_CallMethodOneArg(object, name, argument);
    if (!result)
        return -1;
    Py_DECREF(result);
    return 0;
}

/* Runs the loop until the future stops it. */
static int run_until_done(PyObject *self, PyObject *future, bool is_new)
{
    const struct py__module *py = py__loop(self)->py;
    PyObject *callback = py->std._run_until_complete_cb;
    if (call_one(future, py->names.add_done_callback, callback) < 0)
        return -1;
    PyObject *result = PyObject_CallMethodNoArgs(self, py->names.run_forever);
    if (!result && is_new)
        retrieve_exception(py__loop(self), future);
    PyObject *exception = result ? NULL : py__take_exception();
    int rc = call_one(future, py->names.remove_done_callback, callback);
    if (exception) {
        PyErr_Clear();
        py__raise_again(exception);
    }
    Py_XDECREF(result);
    return exception ? -1 : rc;
}

PyObject *py__run_until_complete(PyObject *self, PyObject *object)
{
    struct py__loop *loop = py__loop(self);
    if (py__loop_check_closed(loop) < 0 || check_running(loop) < 0)
        return NULL;
    bool is_new;
    PyObject *future = ensure_future(loop, object, &is_new);
    if (!future)
        return NULL;
    PyObject *result = NULL;
    if (run_until_done(self, future, is_new) == 0) {
        int done = is_true_method(future, loop->py->names.done);
        if (done > 0)
            result = PyObject_CallMethodNoArgs(future, loop->py->names.result);
        else if (done == 0)
            PyErr_SetString(PyExc_RuntimeError, "Event loop stopped before Future completed.");
    }
    Py_DECREF(future);
    return result;
}
