/*
 * The Python front: an extension module on the loop of floor 1. This is what all its files know:
 * the module's state, the names and the objects of the standard library that it uses.
 *
 * Names between its files begin with py__. A function that returns PyObject * or int and may fail
 * leaves a Python exception and returns NULL or -1; what it returns is a new reference, and what it
 * is given is borrowed, unless its comment says otherwise.
 */
#ifndef PY_MODULE_H
#define PY_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "loop/loop.h"

#ifdef Py_GIL_DISABLED
#error "cio's Python front needs the GIL: it does not support free-threaded builds of CPython yet"
#endif

/* Interned strings: py->names.x is "x". */
#define PY__NAMES(X)                                                                               \
    X(Future)                                                                                      \
    X(Popen)                                                                                       \
    X(Task)                                                                                        \
    X(__await__)                                                                                   \
    X(_attach)                                                                                     \
    X(_call_connection_lost)                                                                       \
    X(_detach)                                                                                     \
    X(_get_running_loop)                                                                           \
    X(_log_destroy_pending)                                                                        \
    X(_make_ssl_transport)                                                                         \
    X(_process_exited)                                                                             \
    X(_read_ready)                                                                                 \
    X(_set_running_loop)                                                                           \
    X(_source_traceback)                                                                           \
    X(abort)                                                                                       \
    X(acquire)                                                                                     \
    X(add)                                                                                         \
    X(add_done_callback)                                                                           \
    X(bind)                                                                                        \
    X(buffer_updated)                                                                              \
    X(call_at)                                                                                     \
    X(call_exception_handler)                                                                      \
    X(call_soon)                                                                                   \
    X(call_soon_threadsafe)                                                                        \
    X(cancel)                                                                                      \
    X(cancelled)                                                                                   \
    X(clear)                                                                                       \
    X(close)                                                                                       \
    X(connect_read_pipe)                                                                           \
    X(connect_write_pipe)                                                                          \
    X(connection_lost)                                                                             \
    X(connection_made)                                                                             \
    X(context)                                                                                     \
    X(create_future)                                                                               \
    X(create_task)                                                                                 \
    X(data_received)                                                                               \
    X(datagram_received)                                                                           \
    X(debug)                                                                                       \
    X(discard)                                                                                     \
    X(done)                                                                                        \
    X(eof_received)                                                                                \
    X(error_received)                                                                              \
    X(exception)                                                                                   \
    X(extract_stack)                                                                               \
    X(family)                                                                                      \
    X(fileno)                                                                                      \
    X(get_buffer)                                                                                  \
    X(get_context)                                                                                 \
    X(get_debug)                                                                                   \
    X(getaddrinfo)                                                                                 \
    X(getnameinfo)                                                                                 \
    X(getpeername)                                                                                 \
    X(getsockname)                                                                                 \
    X(is_closing)                                                                                  \
    X(join)                                                                                        \
    X(kill)                                                                                        \
    X(listen)                                                                                      \
    X(loop)                                                                                        \
    X(name)                                                                                        \
    X(pause_writing)                                                                               \
    X(peername)                                                                                    \
    X(pid)                                                                                         \
    X(pipe_connection_lost)                                                                        \
    X(pipe_data_received)                                                                          \
    X(preexec_fn)                                                                                  \
    X(process_exited)                                                                              \
    X(proto)                                                                                       \
    X(remove_done_callback)                                                                        \
    X(result)                                                                                      \
    X(resume_writing)                                                                              \
    X(returncode)                                                                                  \
    X(run)                                                                                         \
    X(run_forever)                                                                                 \
    X(run_in_executor)                                                                             \
    X(send)                                                                                        \
    X(set_exception)                                                                               \
    X(set_name)                                                                                    \
    X(set_result)                                                                                  \
    X(setblocking)                                                                                 \
    X(shutdown)                                                                                    \
    X(sock_connect)                                                                                \
    X(socket)                                                                                      \
    X(start)                                                                                       \
    X(stderr)                                                                                      \
    X(stdin)                                                                                       \
    X(stdout)                                                                                      \
    X(submit)                                                                                      \
    X(throw)                                                                                       \
    X(time)                                                                                        \
    X(type)                                                                                        \
    X(wait)

/* Objects of the standard library: py->std.field is module.name. Held from import on. */
#define PY__IMPORTS(X)                                                                             \
    X(inet, "socket", "AF_INET")                                                                   \
    X(inet6, "socket", "AF_INET6")                                                                 \
    X(datagram, "socket", "SOCK_DGRAM")                                                            \
    X(raw, "socket", "SOCK_RAW")                                                                   \
    X(stream, "socket", "SOCK_STREAM")                                                             \
    X(getaddrinfo, "socket", "getaddrinfo")                                                        \
    X(AbstractEventLoop, "asyncio", "AbstractEventLoop")                                           \
    X(Handle, "asyncio", "Handle")                                                                 \
    X(InvalidStateError, "asyncio", "InvalidStateError")                                           \
    X(CancelledError, "asyncio", "CancelledError")                                                 \
    X(SendfileNotAvailableError, "asyncio", "SendfileNotAvailableError")                           \
    X(TimerHandle, "asyncio", "TimerHandle")                                                       \
    X(WeakSet, "weakref", "WeakSet")                                                               \
    X(_format_callback_source, "asyncio.format_helpers", "_format_callback_source")                \
    X(_is_debug_mode, "asyncio.coroutines", "_is_debug_mode")                                      \
    X(_run_until_complete_cb, "asyncio.base_events", "_run_until_complete_cb")                     \
    X(ensure_future, "asyncio", "ensure_future")                                                   \
    X(events, "asyncio", "events")                                                                 \
    X(extract_stack, "asyncio.format_helpers", "extract_stack")                                    \
    X(futures, "asyncio", "futures")                                                               \
    X(gather, "asyncio", "gather")                                                                 \
    X(get_asyncgen_hooks, "sys", "get_asyncgen_hooks")                                             \
    X(get_coroutine_origin_tracking_depth, "sys", "get_coroutine_origin_tracking_depth")           \
    X(iscoroutine, "asyncio", "iscoroutine")                                                       \
    X(iscoroutinefunction, "inspect", "iscoroutinefunction")                                       \
    X(is_finalizing, "sys", "is_finalizing")                                                       \
    X(isfuture, "asyncio", "isfuture")                                                             \
    X(set_asyncgen_hooks, "sys", "set_asyncgen_hooks")                                             \
    X(set_coroutine_origin_tracking_depth, "sys", "set_coroutine_origin_tracking_depth")           \
    X(socket, "socket", "socket")                                                                  \
    X(subprocess, "asyncio.subprocess", "subprocess")                                              \
    X(socket_family, "_socket", "socket.family")                                                   \
    X(socket_proto, "_socket", "socket.proto")                                                     \
    X(socket_type, "_socket", "socket.type")                                                       \
    X(tasks, "asyncio", "tasks")                                                                   \
    X(AbstractServer, "asyncio", "AbstractServer")                                                 \
    X(BufferedProtocol, "asyncio", "BufferedProtocol")                                             \
    X(FlowControlMixin, "asyncio.transports", "_FlowControlMixin")                                 \
    X(Protocol, "asyncio", "Protocol")                                                             \
    X(SubprocessTransport, "asyncio", "SubprocessTransport")                                       \
    X(ReadTransport, "asyncio", "ReadTransport")                                                   \
    X(SelectorEventLoop, "asyncio", "SelectorEventLoop")                                           \
    X(Server, "asyncio", "Server")                                                                 \
    X(TransportSocket, "asyncio.trsock", "TransportSocket")                                        \
    X(unix_family, "socket", "AF_UNIX")                                                            \
    X(wrap_future, "asyncio", "wrap_future")

/*
 * Of each type, to be used again. Another thread that posts as fast as it can has the GIL for 5 ms,
 * which is for so many; where they came from malloc() each time, the pages would be the kernel's
 * each time. What is not needed any more goes little by little, down to the second.
 */
#define PY__HANDLES_MOST 32768
#define PY__HANDLES_USUAL 4096

struct py__handle;
struct py__ssl;

/* A list of dead handles, linked through their first field after the header. */
struct py__spare {
    struct py__handle *first;
    int n;
};

/* The state of one interpreter's module. */
struct py__module {
#define X(name) PyObject *name;
    struct {
        PY__NAMES(X)
    } names;
#undef X
#define X(field, module, name) PyObject *field;
    struct {
        PY__IMPORTS(X)
    } std;
#undef X
    PyTypeObject *loop_type; /* the C half of cio.EventLoop */
    PyTypeObject *event_loop_type;
    PyTypeObject *handle_type;
    PyTypeObject *timer_handle_type;
    PyTypeObject *safe_handle_type; /* of call_soon_threadsafe(); NULL before 3.14 */
    PyTypeObject *coroutine_type;
    PyTypeObject *async_method_type;
    PyTypeObject *stream_type;
    PyTypeObject *read_pipe_type;
    PyTypeObject *write_pipe_type;
    PyTypeObject *process_type;
    PyTypeObject *process_pipe_type;
    PyTypeObject *datagram_type;
    PyTypeObject *server_half; /* the C half of cio.Server */
    PyTypeObject *server_type;
    PyTypeObject *layer_type; /* of protocols in C: see transport.h */
    PyTypeObject *tls_type, *tls_transport_type;

    PyObject *context_keyword; /* ("context",): what the standard library's tasks call with */
    PyObject *loop_keyword;    /* ("loop",) */
    bool source_takes_debug;   /* _format_callback_source() has a parameter debug */
    bool exit_wakes;           /* those who wait for a process do not wait for its pipes */

    struct py__ssl *ssl; /* of the module ssl; NULL: not needed yet */

    struct py__spare handles, timer_handles, safe_handles;
};

extern PyModuleDef py__module_def;

/* A type made from its spec, or NULL. bases: a type, a tuple of types, or NULL. */
PyTypeObject *py__make_type(PyObject *module, PyType_Spec *spec, PyObject *bases);

/* module.name, imported now: for what is rarely needed, or may be replaced by the program. */
PyObject *py__import(const char *module, const char *name);

/*
 * logger.method(*arguments): of asyncio's logger, where programs find it to replace it. The format
 * is Py_BuildValue()'s, of a tuple.
 */
int py__log(const char *method, const char *format, ...);

/* module.name(*arguments): the format is Py_BuildValue()'s, of a tuple. */
PyObject *py__call(const char *module, const char *name, const char *format, ...);

#endif
