/* The module: its types, and what it keeps of the standard library. */
#include "module.h"

#include "async_method.h"
#include "coroutine.h"
#include "datagram.h"
#include "handle.h"
#include "loop.h"
#include "pipe.h"
#include "process.h"
#include "server.h"
#include "stream.h"
#include "tls.h"

/* The name may be one of several parts. */
static PyObject *import(const char *module, const char *name)
{
    PyObject *object = PyImport_ImportModule(module);
    while (object && *name) {
        size_t size = strcspn(name, ".");
        PyObject *part = PyUnicode_FromStringAndSize(name, (Py_ssize_t)size);
        PyObject *inner = part ? PyObject_GetAttr(object, part) : NULL;
        Py_XDECREF(part);
        Py_SETREF(object, inner);
        name += size + (name[size] == '.');
    }
    return object;
}

PyObject *py__import(const char *module, const char *name)
{
    return import(module, name);
}

PyObject *py__call(const char *module, const char *name, const char *format, ...)
{
    PyObject *function = import(module, name);
    if (!function)
        return NULL;
    va_list list;
    va_start(list, format);
    PyObject *arguments = Py_VaBuildValue(format, list);
    va_end(list);
    PyObject *result = arguments ? PyObject_CallObject(function, arguments) : NULL;
    Py_XDECREF(arguments);
    Py_DECREF(function);
    return result;
}

int py__log(const char *method, const char *format, ...)
{
    PyObject *logger = import("asyncio.base_events", "logger");
    PyObject *function = logger ? PyObject_GetAttrString(logger, method) : NULL;
    va_list list;
    va_start(list, format);
    PyObject *arguments = function ? Py_VaBuildValue(format, list) : NULL;
    va_end(list);
    PyObject *result = arguments ? PyObject_CallObject(function, arguments) : NULL;
    Py_XDECREF(logger);
    Py_XDECREF(function);
    Py_XDECREF(arguments);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

PyTypeObject *py__make_type(PyObject *module, PyType_Spec *spec, PyObject *bases)
{
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, bases);
}

static int intern_names(struct py__module *py)
{
#define X(name)                                                                                    \
    if (!(py->names.name = PyUnicode_InternFromString(#name)))                                     \
        return -1;
    PY__NAMES(X)
#undef X
    return 0;
}

static int import_all(struct py__module *py)
{
#define X(field, module, name)                                                                     \
    if (!(py->std.field = import(module, name)))                                                   \
        return -1;
    PY__IMPORTS(X)
#undef X
    return 0;
}

/* Since some maintenance release the process's end wakes those who wait, not that of its pipes. */
static int look_at_processes(struct py__module *py)
{
    PyObject *type = import("asyncio.base_subprocess", "BaseSubprocessTransport");
    PyObject *method = type ? PyObject_GetAttr(type, py->names._process_exited) : NULL;
    PyObject *code = method ? PyObject_GetAttrString(method, "__code__") : NULL;
    PyObject *names = code ? PyObject_GetAttrString(code, "co_names") : NULL;
    PyObject *waiters = names ? PyUnicode_FromString("_exit_waiters") : NULL;
    int wakes = waiters ? PySequence_Contains(names, waiters) : -1;
    Py_XDECREF(waiters);
    Py_XDECREF(names);
    Py_XDECREF(code);
    Py_XDECREF(method);
    Py_XDECREF(type);
    py->exit_wakes = wakes > 0;
    return wakes < 0 ? -1 : 0;
}

/* The parameter debug of _format_callback_source() came in a maintenance release. */
static int look_at_helpers(struct py__module *py)
{
    PyObject *code = PyObject_GetAttrString(py->std._format_callback_source, "__code__");
    PyObject *count = code ? PyObject_GetAttrString(code, "co_kwonlyargcount") : NULL;
    Py_XDECREF(code);
    if (!count)
        return -1;
    py->source_takes_debug = PyLong_AsLong(count) > 0;
    Py_DECREF(count);
    return PyErr_Occurred() ? -1 : 0;
}

/* The slots of asyncio's types lie within the room that we leave for them. */
static int check_sizes(const struct py__module *py)
{
    const struct {
        PyObject *type;
        Py_ssize_t most;
    } bases[] = {{py->std.TimerHandle, PY__HANDLE_BASE},
                 {py->std.FlowControlMixin, PY__TRANSPORT_BASE},
                 {py->std.SubprocessTransport, PY__TRANSPORT_BASE}};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        const PyTypeObject *base = (PyTypeObject *)bases[i].type;
        if (base->tp_basicsize <= bases[i].most)
            continue;
        PyErr_Format(PyExc_ImportError, "asyncio's %s has %zd bytes, more than the %zd of cio's",
                     base->tp_name, base->tp_basicsize, bases[i].most);
        return -1;
    }
    return 0;
}

/*
 * The classes that programs see are made as a class statement would: so they have asyncio's
 * abstract ones among their bases, and their objects take attributes.
 */
static PyTypeObject *make_class(const char *name, PyTypeObject *type, PyObject *abstract,
                                const char *text)
{
    return (PyTypeObject *)PyObject_CallFunction((PyObject *)&PyType_Type, "s(OO){s:s,s:s}", name,
                                                 type, abstract, "__module__", "cio", "__doc__",
                                                 text);
}

static int add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (; methods->ml_name; methods++) {
        PyObject *method = PyDescr_NewMethod(type, methods);
        if (!method)
            return -1;
        int rc = PyObject_SetAttrString((PyObject *)type, methods->ml_name, method);
        Py_DECREF(method);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int add_loop_methods(const struct py__module *py)
{
    static PyMethodDef *const chapters[] = {
        py__loop_call_methods,     py__loop_task_methods,    py__loop_exception_methods,
        py__loop_file_methods,     py__loop_debug_methods,   py__loop_asyncgen_methods,
        py__loop_executor_methods, py__loop_sock_methods,    py__loop_name_methods,
        py__loop_signal_methods,   py__loop_connect_methods, py__loop_serve_methods,
        py__loop_accepted_methods, py__loop_unix_methods,    py__loop_sendfile_methods,
        py__loop_pipe_methods,     py__loop_process_methods, py__loop_tls_methods,
        py__loop_endpoint_methods,
    };
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++)
        if (add_methods(py->loop_type, chapters[i]) < 0 ||
            py__make_async(py, py->loop_type, "EventLoop", chapters[i], py->std.SelectorEventLoop) <
                0)
            return -1;
    return 0;
}

static int add_fields(PyTypeObject *type, PyGetSetDef *fields)
{
    for (; fields->name; fields++) {
        PyObject *field = PyDescr_NewGetSet(type, fields);
        int rc = field ? PyObject_SetAttrString((PyObject *)type, fields->name, field) : -1;
        Py_XDECREF(field);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Those of all transports of sockets, and then its own. */
static int add_transport_methods(PyTypeObject *type, PyMethodDef *own)
{
    return add_methods(type, py__transport_methods) < 0 ||
                   add_methods(type, py__transport_read_methods) < 0 ||
                   add_methods(type, py__transport_write_methods) < 0 ||
                   add_methods(type, own) < 0 || add_fields(type, py__transport_fields) < 0
               ? -1
               : 0;
}

static int add_pipe_methods(const struct py__module *py)
{
    PyTypeObject *reads = py->read_pipe_type, *writes = py->write_pipe_type;
    return add_methods(reads, py__transport_methods) < 0 ||
                   add_methods(reads, py__transport_read_methods) < 0 ||
                   add_methods(reads, py__read_pipe_methods) < 0 ||
                   add_fields(reads, py__pipe_fields) < 0 ||
                   add_methods(writes, py__transport_methods) < 0 ||
                   add_methods(writes, py__transport_write_methods) < 0 ||
                   add_methods(writes, py__write_pipe_methods) < 0 ||
                   add_fields(writes, py__pipe_fields) < 0
               ? -1
               : 0;
}

/* Since 3.12 it is an asyncio.DatagramTransport. */
static PyTypeObject *make_datagram_type(PyObject *module, const struct py__module *py)
{
    PyObject *abstract = import("asyncio", "DatagramTransport");
    PyObject *bases = NULL;
    if (abstract && PY_VERSION_HEX >= 0x030C0000)
        bases = PyTuple_Pack(2, py->std.FlowControlMixin, abstract);
    else if (abstract)
        bases = Py_NewRef(py->std.FlowControlMixin);
    PyTypeObject *type = bases ? py__make_type(module, &py__datagram_spec, bases) : NULL;
    Py_XDECREF(bases);
    Py_XDECREF(abstract);
    return type;
}

/* What is Python in asyncio, rarely called and works on any loop, is asyncio's own. */
static int borrow_methods(struct py__module *py)
{
    static const char *const names[] = {"sendfile", "_sendfile_fallback", "_log_subprocess"};
    PyObject *base = import("asyncio.base_events", "BaseEventLoop");
    int rc = base ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        PyObject *method = PyObject_GetAttrString(base, names[i]);
        rc = method ? PyObject_SetAttrString((PyObject *)py->event_loop_type, names[i], method)
                    : -1;
        Py_XDECREF(method);
    }
    Py_XDECREF(base);
    return rc;
}

/* By these asyncio knows what a transport can do. */
static int mark(PyTypeObject *type, const char *sendfile_mode)
{
    PyObject *modes = import("asyncio.constants", "_SendfileMode");
    PyObject *mode = modes ? PyObject_GetAttrString(modes, sendfile_mode) : NULL;
    PyObject *object = (PyObject *)type;
    int rc = mode && PyObject_SetAttrString(object, "_sendfile_compatible", mode) == 0
                 ? PyObject_SetAttrString(object, "_start_tls_compatible", Py_True)
                 : -1;
    Py_XDECREF(mode);
    Py_XDECREF(modes);
    return rc;
}

/* Layers are protocols, and TLS is one. */
static int make_tls_types(PyObject *module, struct py__module *py)
{
    py->layer_type = py->tls_type = py__make_type(module, &py__tls_spec, py->std.Protocol);
    Py_XINCREF(py->tls_type);
    py->tls_transport_type = py__make_type(module, &py__tls_transport_spec,
                                           py->std.FlowControlMixin);
    return py->tls_type && py->tls_transport_type &&
                   add_methods(py->tls_transport_type, py__tls_transport_methods) == 0 &&
                   add_fields(py->tls_transport_type, py__tls_fields) == 0
               ? mark(py->tls_transport_type, "FALLBACK")
               : -1;
}

/* Only where asyncio has such a one. */
static int make_safe_handle_type(PyObject *module, struct py__module *py)
{
    if (PY_VERSION_HEX < 0x030E0000)
        return 0;
    PyObject *base = import("asyncio.events", "_ThreadSafeHandle");
    if (base)
        py->safe_handle_type = py__make_type(module, &py__safe_handle_spec, base);
    Py_XDECREF(base);
    return py->safe_handle_type ? 0 : -1;
}

static int make_types(PyObject *module, struct py__module *py)
{
    py->handle_type = py__make_type(module, &py__handle_spec, py->std.Handle);
    py->timer_handle_type = py__make_type(module, &py__timer_handle_spec, py->std.TimerHandle);
    py->coroutine_type = py__make_type(module, &py__coroutine_spec, NULL);
    py->async_method_type = py__make_type(module, &py__async_method_spec, NULL);
    py->stream_type = py__make_type(module, &py__stream_spec, py->std.FlowControlMixin);
    py->read_pipe_type = py__make_type(module, &py__read_pipe_spec, py->std.ReadTransport);
    py->write_pipe_type = py__make_type(module, &py__write_pipe_spec, py->std.FlowControlMixin);
    py->process_type = py__make_type(module, &py__process_spec, py->std.SubprocessTransport);
    py->process_pipe_type = py__make_type(module, &py__process_pipe_spec, NULL);
    py->datagram_type = make_datagram_type(module, py);
    py->server_half = py__make_type(module, &py__server_spec, NULL);
    py->loop_type = py__make_type(module, &py__loop_spec, NULL);
    if (!py->handle_type || !py->timer_handle_type || !py->coroutine_type || !py->loop_type ||
        !py->async_method_type || !py->stream_type || !py->server_half || !py->read_pipe_type ||
        !py->write_pipe_type || !py->process_type || !py->process_pipe_type ||
        add_pipe_methods(py) < 0 || add_methods(py->process_type, py__process_methods) < 0 ||
        add_fields(py->process_type, py__process_fields) < 0 || !py->datagram_type ||
        make_safe_handle_type(module, py) < 0 ||
        add_transport_methods(py->stream_type, py__stream_write_methods) < 0 ||
        add_transport_methods(py->datagram_type, py__datagram_methods) < 0 ||
        add_loop_methods(py) < 0 ||
        py__make_async(py, py->server_half, "Server", py__server_methods, py->std.Server) < 0)
        return -1;
    py->event_loop_type = make_class("EventLoop", py->loop_type, py->std.AbstractEventLoop,
                                     "An event loop for asyncio's programs.");
    py->server_type = make_class("Server", py->server_half, py->std.AbstractServer,
                                 "What create_server() returns.");
    return py->event_loop_type && py->server_type && borrow_methods(py) == 0 &&
                   make_tls_types(module, py) == 0
               ? mark(py->stream_type, "TRY_NATIVE")
               : -1;
}

static int fill_module(PyObject *module, struct py__module *py)
{
    PyTypeObject *types[] = {py->read_pipe_type,    py->write_pipe_type,    py->process_type,
                             py->process_pipe_type, py->event_loop_type,    py->handle_type,
                             py->timer_handle_type, py->stream_type,        py->server_type,
                             py->tls_type,          py->tls_transport_type, py->datagram_type};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (PyModule_AddType(module, types[i]) < 0)
            return -1;
    return 0;
}

static int exec_module(PyObject *module)
{
    struct py__module *py = PyModule_GetState(module);
    if (intern_names(py) < 0 || import_all(py) < 0 || look_at_helpers(py) < 0 ||
        look_at_processes(py) < 0 || check_sizes(py) < 0 || make_types(module, py) < 0)
        return -1;
    py->context_keyword = PyTuple_Pack(1, py->names.context);
    py->loop_keyword = PyTuple_Pack(1, py->names.loop);
    if (!py->context_keyword || !py->loop_keyword)
        return -1;
    return fill_module(module, py);
}

/* The parts of the state that are nothing but references, as arrays. */
#define N_STD (sizeof((struct py__module *)0)->std / sizeof(PyObject *))
#define N_NAMES (sizeof((struct py__module *)0)->names / sizeof(PyObject *))

static int traverse_module(PyObject *module, visitproc visit, void *arg)
{
    struct py__module *py = PyModule_GetState(module);
    PyObject **std = (PyObject **)&py->std;
    for (size_t i = 0; i < N_STD; i++)
        Py_VISIT(std[i]);
    Py_VISIT(py->loop_type);
    Py_VISIT(py->event_loop_type);
    Py_VISIT(py->handle_type);
    Py_VISIT(py->timer_handle_type);
    Py_VISIT(py->safe_handle_type);
    Py_VISIT(py->coroutine_type);
    Py_VISIT(py->async_method_type);
    Py_VISIT(py->stream_type);
    Py_VISIT(py->read_pipe_type);
    Py_VISIT(py->write_pipe_type);
    Py_VISIT(py->process_type);
    Py_VISIT(py->process_pipe_type);
    Py_VISIT(py->datagram_type);
    Py_VISIT(py->server_type);
    Py_VISIT(py->server_half);
    Py_VISIT(py->layer_type);
    Py_VISIT(py->tls_type);
    Py_VISIT(py->tls_transport_type);
    return py__ssl_traverse(py->ssl, visit, arg);
}

static int clear_module(PyObject *module)
{
    struct py__module *py = PyModule_GetState(module);
    PyObject **std = (PyObject **)&py->std, **names = (PyObject **)&py->names;
    py__handles_free(py);
    for (size_t i = 0; i < N_STD; i++)
        Py_CLEAR(std[i]);
    for (size_t i = 0; i < N_NAMES; i++)
        Py_CLEAR(names[i]);
    Py_CLEAR(py->loop_type);
    Py_CLEAR(py->event_loop_type);
    Py_CLEAR(py->handle_type);
    Py_CLEAR(py->timer_handle_type);
    Py_CLEAR(py->safe_handle_type);
    Py_CLEAR(py->coroutine_type);
    Py_CLEAR(py->async_method_type);
    Py_CLEAR(py->stream_type);
    Py_CLEAR(py->read_pipe_type);
    Py_CLEAR(py->write_pipe_type);
    Py_CLEAR(py->process_type);
    Py_CLEAR(py->process_pipe_type);
    Py_CLEAR(py->datagram_type);
    Py_CLEAR(py->server_type);
    Py_CLEAR(py->server_half);
    Py_CLEAR(py->layer_type);
    Py_CLEAR(py->tls_type);
    Py_CLEAR(py->tls_transport_type);
    py__ssl_clear(py->ssl);
    Py_CLEAR(py->context_keyword);
    Py_CLEAR(py->loop_keyword);
    return 0;
}

static void free_module(void *module)
{
    struct py__module *py = PyModule_GetState(module);
    clear_module(module);
    py__ssl_free(py->ssl); /* not before: connections point to it */
    py->ssl = NULL;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec_module},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

PyModuleDef py__module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "cio._core",
    .m_doc = "The event loop. Its public face is the package cio.",
    .m_size = sizeof(struct py__module),
    .m_slots = slots,
    .m_traverse = traverse_module,
    .m_clear = clear_module,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&py__module_def);
}
