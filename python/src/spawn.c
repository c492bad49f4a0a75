/* subprocess_exec(), subprocess_shell(). */
#include "coroutine.h"
#include "errors.h"
#include "popen.h"
#include "process.h"

/* What both take by name besides what goes on to Popen. */
enum { STDIN, STDOUT, STDERR, NEWLINES, SHELL, BUFSIZE, ENCODING, ERRORS, TEXT, N_OPTIONS };

static const char *const option_names[N_OPTIONS] = {
    "stdin",    "stdout", "stderr", "universal_newlines", "shell", "bufsize",
    "encoding", "errors", "text",
};

enum { START, BEGUN, CONNECTED, KILLED };

struct spawn {
    PyObject *factory;
    PyObject *program; /* a tuple of arguments, or the shell's command */
    PyObject *options[N_OPTIONS];
    PyObject *protocol;
    PyObject *transport;
    PyObject *waiter; /* is set when the pipes are connected */
    PyObject *text;   /* what debug mode's log says that is done */
    PyObject *exception;
    struct py__popen popen;
    bool shell;
};

static int traverse(void *data, visitproc visit, void *arg)
{
    struct spawn *state = data;
    Py_VISIT(state->factory);
    Py_VISIT(state->program);
    for (int i = 0; i < N_OPTIONS; i++)
        Py_VISIT(state->options[i]);
    Py_VISIT(state->protocol);
    Py_VISIT(state->transport);
    Py_VISIT(state->waiter);
    Py_VISIT(state->text);
    Py_VISIT(state->exception);
    return py__popen_traverse(&state->popen, visit, arg);
}

static void clear(void *data)
{
    struct spawn *state = data;
    Py_CLEAR(state->factory);
    Py_CLEAR(state->program);
    for (int i = 0; i < N_OPTIONS; i++)
        Py_CLEAR(state->options[i]);
    Py_CLEAR(state->protocol);
    Py_CLEAR(state->transport);
    Py_CLEAR(state->waiter);
    Py_CLEAR(state->text);
    Py_CLEAR(state->exception);
    py__popen_clear(&state->popen);
}

/* ---- what is refused ---- */

static int refuse(const char *text)
{
    PyErr_SetString(PyExc_ValueError, text);
    return -1;
}

static int truth_of(const struct spawn *state, int option)
{
    return PyObject_IsTrue(state->options[option]);
}

static int check_options(const struct spawn *state)
{
    if (state->shell && !PyUnicode_Check(state->program) && !PyBytes_Check(state->program))
        return refuse("cmd must be a string");
    int newlines = truth_of(state, NEWLINES), shell = truth_of(state, SHELL);
    int text = truth_of(state, TEXT);
    PyObject *zero = PyLong_FromLong(0);
    int buffered = zero ? PyObject_RichCompareBool(state->options[BUFSIZE], zero, Py_NE) : -1;
    Py_XDECREF(zero);
    if (newlines < 0 || shell < 0 || text < 0 || buffered < 0)
        return -1;
    if (newlines)
        return refuse("universal_newlines must be False");
    if (shell != state->shell)
        return refuse(state->shell ? "shell must be True" : "shell must be False");
    if (buffered)
        return refuse("bufsize must be 0");
    if (text)
        return refuse("text must be False");
    if (state->options[ENCODING] != Py_None)
        return refuse("encoding must be None");
    if (state->options[ERRORS] != Py_None)
        return refuse("errors must be None");
    return 0;
}

/* ---- debug mode's log ---- */

static PyObject *program_of(const struct spawn *state)
{
    return state->shell ? state->program : PyTuple_GET_ITEM(state->program, 0);
}

static int log_begin(struct py__loop *loop, struct spawn *state)
{
    if (!loop->debug)
        return 0;
    state->text = PyUnicode_FromFormat(state->shell ? "run shell command %R" : "execute program %R",
                                       program_of(state));
    PyObject **options = state->options;
    PyObject *result = state->text ? PyObject_CallMethod((PyObject *)loop, "_log_subprocess",
                                                         "OOOO", state->text, options[STDIN],
                                                         options[STDOUT], options[STDERR])
                                   : NULL;
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int log_created(struct py__loop *loop, const struct spawn *state)
{
    if (!loop->debug)
        return 0;
    return py__log("debug", "(sOi)", "process %r created: pid %s", program_of(state),
                   (int)py__process(state->transport)->pid);
}

static int log_done(struct py__loop *loop, const struct spawn *state)
{
    if (!loop->debug || !state->text)
        return 0;
    return py__log("info", "(sOO)", "%s: %r", state->text, state->transport);
}

/* ---- the way to a transport ---- */

static bool is_pipe(PyObject *option)
{
    int overflow;
    return PyLong_Check(option) && PyLong_AsLongAndOverflow(option, &overflow) == -1 && !overflow;
}

/* Popen's own arguments: those that are not ours were there from the beginning. */
static int fill_arguments(struct spawn *state)
{
    static const int given[] = {STDIN, STDOUT, STDERR, BUFSIZE};
    PyObject *arguments = state->popen.arguments;
    int rc = PyDict_SetItemString(arguments, "shell", state->shell ? Py_True : Py_False);
    if (rc == 0)
        rc = PyDict_SetItemString(arguments, "universal_newlines", Py_False);
    for (size_t i = 0; rc == 0 && i < sizeof given / sizeof *given; i++)
        rc = PyDict_SetItemString(arguments, option_names[given[i]], state->options[given[i]]);
    return rc;
}

static int make_transport(struct py__loop *loop, struct spawn *state)
{
    bool has_pipe[PY__PROCESS_PIPES];
    for (int fd = 0; fd < PY__PROCESS_PIPES; fd++)
        has_pipe[fd] = is_pipe(state->options[STDIN + fd]);
    state->waiter = py__loop_create_future(loop);
    if (!state->waiter)
        return -1;
    state->transport = (PyObject *)py__process_new(loop, state->protocol, has_pipe);
    return state->transport ? 0 : -1;
}

static int close_transport(struct spawn *state)
{
    PyObject *exception = py__take_exception();
    int rc = py__process_close(py__process(state->transport));
    if (exception) {
        PyErr_Clear();
        py__raise_again(exception);
    }
    return rc;
}

static enum py__step fail(struct spawn *state)
{
    if (state->transport)
        close_transport(state);
    return PY__RAISE;
}

/* The process runs, or soon will: it has a transport from now on. */
static int start_transport(struct py__loop *loop, struct spawn *state)
{
    struct py__process *process = py__process(state->transport);
    return py__process_start(process, state->popen.object, state->waiter) < 0 ||
                   log_created(loop, state) < 0
               ? -1
               : 0;
}

/* Nobody wants it any more: it is killed, and its end awaited. The exception is set. */
static enum py__step give_up(struct py__coroutine *self, struct spawn *state, PyObject **ret)
{
    if (py__exception_leaves())
        return PY__RAISE;
    state->exception = py__take_exception();
    if (py__process_close(py__process(state->transport)) < 0)
        return PY__RAISE;
    self->at = KILLED;
    *ret = py__process_wait(py__process(state->transport));
    return *ret ? PY__AWAIT : PY__RAISE;
}

/* As long as the child does what comes before its program. */
static enum py__step await_beginning(struct py__coroutine *self, struct spawn *state,
                                     PyObject **ret)
{
    struct py__loop *loop = self->loop;
    int rc = py__popen_has_begun(&state->popen, loop, state->program, ret);
    if (rc == 0) {
        self->at = BEGUN;
        return PY__AWAIT;
    }
    if (rc < 0 || start_transport(loop, state) < 0)
        return fail(state);
    self->at = CONNECTED;
    *ret = Py_NewRef(state->waiter);
    return PY__AWAIT;
}

static enum py__step begin(struct py__coroutine *self, struct spawn *state, PyObject **ret)
{
    struct py__loop *loop = self->loop;
    if (check_options(state) < 0 || !(state->protocol = PyObject_CallNoArgs(state->factory)) ||
        log_begin(loop, state) < 0 || py__loop_check_closed(loop) < 0 ||
        fill_arguments(state) < 0 || make_transport(loop, state) < 0 ||
        py__popen_begin(&state->popen, loop, state->program) < 0)
        return fail(state);
    return await_beginning(self, state, ret);
}

static enum py__step leave_beginning(struct py__coroutine *self, struct spawn *state,
                                     PyObject **ret)
{
    PyObject *exception = py__take_exception();
    py__popen_end_wait(&state->popen);
    if (start_transport(self->loop, state) < 0)
        PyErr_WriteUnraisable(state->transport);
    py__raise_again(exception);
    return give_up(self, state, ret);
}

static enum py__step step(struct py__coroutine *self, PyObject *sent, PyObject **ret)
{
    struct spawn *state = py__coroutine_state(self);
    switch (self->at) {
    case START: return begin(self, state, ret);
    case BEGUN: return sent ? await_beginning(self, state, ret) : leave_beginning(self, state, ret);
    case CONNECTED:
        if (!sent)
            return give_up(self, state, ret);
        *ret = log_done(self->loop, state) < 0 ? NULL
                                               : PyTuple_Pack(2, state->transport, state->protocol);
        return *ret ? PY__RETURN : PY__RAISE;
    default:
        if (sent)
            py__raise_again(Py_NewRef(state->exception));
        return PY__RAISE;
    }
}

static const struct py__coroutine_kind exec_kind = {
    .name = "EventLoop.subprocess_exec",
    .step = step,
    .state_size = sizeof(struct spawn),
    .traverse = traverse,
    .clear = clear,
};

static const struct py__coroutine_kind shell_kind = {
    .name = "EventLoop.subprocess_shell",
    .step = step,
    .state_size = sizeof(struct spawn),
    .traverse = traverse,
    .clear = clear,
};

/* ---- arguments ---- */

/* Takes it out of the keywords if it is there: new, or NULL, perhaps with an exception. */
static PyObject *take_keyword(PyObject *keywords, const char *name)
{
    PyObject *value = Py_XNewRef(PyDict_GetItemString(keywords, name));
    if (value && PyDict_DelItemString(keywords, name) < 0)
        Py_CLEAR(value);
    return value;
}

/* An argument by position or by name. */
static PyObject *take_argument(const char *method, PyObject *arguments, Py_ssize_t place,
                               PyObject *keywords, const char *name)
{
    PyObject *value = take_keyword(keywords, name);
    if (PyTuple_GET_SIZE(arguments) <= place) {
        if (!value && !PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'",
                         method, name);
        return value;
    }
    if (!value)
        return Py_NewRef(PyTuple_GET_ITEM(arguments, place));
    Py_DECREF(value);
    return PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", method,
                        name);
}

static int take_options(struct spawn *state)
{
    for (int i = 0; i < N_OPTIONS; i++) {
        PyObject *value = take_keyword(state->popen.arguments, option_names[i]);
        if (!value && PyErr_Occurred())
            return -1;
        if (!value && i <= STDERR)
            value = PyLong_FromLong(-1); /* subprocess.PIPE */
        else if (!value && i == BUFSIZE)
            value = PyLong_FromLong(0);
        else if (!value)
            value = Py_NewRef(i == SHELL && state->shell    ? Py_True
                              : i == SHELL || i == NEWLINES ? Py_False
                                                            : Py_None);
        if (!value)
            return -1;
        state->options[i] = value;
    }
    return 0;
}

/* (program, *arguments) */
static int take_program(struct spawn *state, PyObject *arguments)
{
    PyObject *keywords = state->popen.arguments;
    PyObject *program = take_argument("subprocess_exec", arguments, 1, keywords, "program");
    PyObject *rest = program ? PyTuple_GetSlice(arguments, 2, PY_SSIZE_T_MAX) : NULL;
    PyObject *first = rest ? PyTuple_Pack(1, program) : NULL;
    state->program = first ? PySequence_Concat(first, rest) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(rest);
    Py_XDECREF(program);
    return state->program ? 0 : -1;
}

static int take_command(struct spawn *state, PyObject *arguments)
{
    static const char method[] = "subprocess_shell";
    if (PyTuple_GET_SIZE(arguments) > 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes 3 positional arguments but %zd were given",
                     method, PyTuple_GET_SIZE(arguments) + 1);
        return -1;
    }
    state->program = take_argument(method, arguments, 1, state->popen.arguments, "cmd");
    return state->program ? 0 : -1;
}

static PyObject *new_spawn(PyObject *loop, PyObject *arguments, PyObject *keywords, bool shell)
{
    struct py__coroutine *self = py__coroutine_new(py__loop(loop),
                                                   shell ? &shell_kind : &exec_kind);
    if (!self)
        return NULL;
    struct spawn *state = py__coroutine_state(self);
    state->shell = shell;
    state->popen.fd = -1;
    state->popen.arguments = keywords ? PyDict_Copy(keywords) : PyDict_New();
    if (state->popen.arguments)
        state->factory = take_argument(shell ? "subprocess_shell" : "subprocess_exec", arguments, 0,
                                       state->popen.arguments, "protocol_factory");
    if (state->factory &&
        (shell ? take_command(state, arguments) : take_program(state, arguments)) == 0 &&
        take_options(state) == 0)
        return (PyObject *)self;
    self->begun = true; /* nobody was to await it */
    Py_DECREF(self);
    return NULL;
}

static PyObject *subprocess_exec(PyObject *loop, PyObject *arguments, PyObject *keywords)
{
    return new_spawn(loop, arguments, keywords, false);
}

static PyObject *subprocess_shell(PyObject *loop, PyObject *arguments, PyObject *keywords)
{
    return new_spawn(loop, arguments, keywords, true);
}

#define FUNCTION(f) (PyCFunction)(void (*)(void))(f), METH_VARARGS | METH_KEYWORDS

PyMethodDef py__loop_process_methods[] = {
    {"subprocess_exec", FUNCTION(subprocess_exec),
     PyDoc_STR("subprocess_exec($self, protocol_factory, program, *args, stdin=-1, stdout=-1, "
               "stderr=-1, universal_newlines=False, shell=False, bufsize=0, encoding=None, "
               "errors=None, text=None, **kwargs)\n--\n\n"
               "Run a program in a child process: (transport, protocol).")},
    {"subprocess_shell", FUNCTION(subprocess_shell),
     PyDoc_STR("subprocess_shell($self, protocol_factory, cmd, *, stdin=-1, stdout=-1, stderr=-1, "
               "universal_newlines=False, shell=True, bufsize=0, encoding=None, errors=None, "
               "text=None, **kwargs)\n--\n\n"
               "Run a shell's command in a child process: (transport, protocol).")},
    {NULL, NULL, 0, NULL},
};
