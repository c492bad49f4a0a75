/* Listening sockets: connections that come in. */
#include <errno.h>

#include "addresses.h"
#include "errors.h"
#include "os/kernel.h"
#include "report.h"
#include "server.h"
#include "stream.h"

#define RETRY_AFTER 1.0 /* seconds, when there were no descriptors left */

struct arrival {
    int fd;
    union py__address peer;
    PyObject *sock;    /* NULL: not made */
    PyObject *context; /* for the transport's, or NULL */
    PyObject *protocol;
    PyObject *transport;
};

/* ---- a new connection ---- */

static PyObject *arrival_object(struct py__listener *self, struct arrival *arrival)
{
    if (!arrival->sock)
        arrival->sock = py__socket_object(self->server->loop, self->family, self->type,
                                          self->protocol, arrival->fd);
    return arrival->sock;
}

static PyObject *peer_name(const struct py__module *py, const struct arrival *arrival)
{
    if (arrival->peer.family == AF_INET || arrival->peer.family == AF_INET6)
        return py__address_object(&arrival->peer);
    return PyObject_CallMethodNoArgs(arrival->sock, py->names.getpeername);
}

static int log_arrival(struct py__listener *self, struct arrival *arrival)
{
    PyObject *sock = arrival_object(self, arrival);
    PyObject *peer = sock ? peer_name(self->server->loop->py, arrival) : NULL;
    int rc = -1;
    if (peer)
        rc = py__log("debug", "(sOOO)", "%r got a new connection from %r: %r", self->server, peer,
                     sock);
    Py_XDECREF(peer);
    return rc;
}

/* loop._make_ssl_transport(...) */
static PyObject *make_secure(struct py__listener *self, struct arrival *arrival)
{
    const struct py__server_options *options = &self->server->options;
    struct py__loop *loop = self->server->loop;
    PyObject *sock = arrival_object(self, arrival);
    PyObject *peer = sock ? peer_name(loop->py, arrival) : NULL;
    PyObject *method = PyObject_GetAttr((PyObject *)loop, loop->py->names._make_ssl_transport);
    PyObject *arguments = peer ? PyTuple_Pack(3, sock, arrival->protocol, options->ssl) : NULL;
    PyObject *keywords = arguments
                             ? Py_BuildValue("{s:O,s:{s:O},s:O,s:O,s:O}", "server_side", Py_True,
                                             "extra", "peername", peer, "server", self->server,
                                             "ssl_handshake_timeout", options->handshake_timeout,
                                             "ssl_shutdown_timeout", options->shutdown_timeout)
                             : NULL;
    if (keywords && arrival->context &&
        PyDict_SetItem(keywords, loop->py->names.context, arrival->context) < 0)
        Py_CLEAR(keywords);
    PyObject *transport = method && keywords ? PyObject_Call(method, arguments, keywords) : NULL;
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(method);
    Py_XDECREF(peer);
    return transport;
}

static int make_transport(struct py__listener *self, struct arrival *arrival)
{
    struct py__loop *loop = self->server->loop;
    if (unlikely(loop->debug) && log_arrival(self, arrival) < 0)
        return -1;
    arrival->protocol = PyObject_CallNoArgs(self->server->options.factory);
    if (!arrival->protocol)
        return -1;
    if (self->server->options.ssl != Py_None) {
        arrival->transport = make_secure(self, arrival);
    } else {
        struct py__connection connection = {.fd = arrival->fd,
                                            .sock = arrival->sock,
                                            .family = self->family,
                                            .type = self->type,
                                            .protocol = self->protocol,
                                            .peer = &arrival->peer,
                                            .context = arrival->context};
        arrival->transport = py__stream_new(loop, &connection, arrival->protocol, NULL, NULL,
                                            (PyObject *)self->server);
    }
    return arrival->transport ? 0 : -1;
}

/* As in asyncio: to be seen in debug mode only. */
static void refuse(struct py__listener *self, struct arrival *arrival)
{
    struct py__loop *loop = self->server->loop;
    if (py__exception_leaves())
        py__loop_leave(loop);
    else if (loop->debug)
        py__loop_report(loop, "Error on transport creation for incoming connection", "protocol",
                        arrival->protocol, "transport", arrival->transport);
    else
        PyErr_Clear();
    if (!arrival->sock)
        cio__kernel_close_fd(NULL, arrival->fd);
}

/* Each has a context of its own, as its task would have. */
static void welcome(struct py__listener *self, struct arrival *arrival)
{
    PyObject *context = PyContext_Copy(self->context);
    if (!context || PyContext_Enter(context) < 0) {
        refuse(self, arrival);
    } else {
        arrival->context = PY__CONTEXT_OF_CONNECTION ? context : NULL;
        if (make_transport(self, arrival) < 0)
            refuse(self, arrival);
        if (PyContext_Exit(context) < 0)
            py__loop_leave(self->server->loop);
    }
    Py_XDECREF(context);
    Py_XDECREF(arrival->transport);
    Py_XDECREF(arrival->protocol);
    Py_XDECREF(arrival->sock);
}

/* ---- accepting ---- */

static void watch(struct py__listener *self);

static void again(void *arg)
{
    watch(arg);
}

/* The kernel would tell of the connection for ever: it is asked again in a while. */
static void wait_for_resources(struct py__listener *self)
{
    struct py__loop *loop = self->server->loop;
    PyObject *exception = py__take_exception();
    PyObject *sock = PyObject_CallOneArg(loop->py->std.TransportSocket, self->sock);
    struct py__report report = {.text = "socket.accept() out of system resource",
                                .exception = exception,
                                .keys = {"socket"},
                                .values = {sock}};
    if (sock)
        py__report(loop, &report);
    else
        py__loop_leave(loop);
    Py_XDECREF(sock);
    Py_DECREF(exception);
    if (!self->watched || cio_handle_pending(&self->retry))
        return;
    cio_handle_cancel(&self->call);
    if (cio_call_later(loop->loop, &self->retry, RETRY_AFTER, again, self) < 0)
        PyErr_Clear();
}

static bool is_shortage(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOBUFS || code == -ENOMEM;
}

/* Whether there may be more. */
static bool accept_one(struct py__listener *self)
{
    struct py__loop *loop = self->server->loop;
    struct cio__os *os = loop->loop->os;
    struct arrival arrival = {0};
    socklen_t size = sizeof arrival.peer;
    arrival.fd = os->ops->accept(os, self->fd, &arrival.peer.any, &size);
    if (likely(arrival.fd >= 0)) {
        if (arrival.peer.family != AF_INET && arrival.peer.family != AF_INET6)
            arrival.peer.family = AF_UNSPEC;
        welcome(self, &arrival);
        return self->watched;
    }
    int code = arrival.fd;
    if (code == -EAGAIN || code == -EINTR || code == -ECONNABORTED)
        return false;
    errno = -code;
    PyErr_SetFromErrno(PyExc_OSError);
    if (is_shortage(code))
        wait_for_resources(self);
    else
        py__loop_report(loop, "Exception in callback of a listening socket", "socket", self->sock,
                        NULL, NULL);
    return false;
}

static void on_connection(void *arg)
{
    struct py__listener *self = arg;
    struct py__server *server = self->server;
    Py_INCREF(server);
    PyObject *context = Py_NewRef(self->context);
    if (PyContext_Enter(context) == 0) {
        for (long n = server->options.backlog; n >= 0 && accept_one(self); n--)
            ;
        if (PyContext_Exit(context) < 0)
            py__loop_leave(server->loop);
    } else {
        py__loop_leave(server->loop);
    }
    Py_DECREF(context);
    Py_DECREF(server);
}

static void watch(struct py__listener *self)
{
    struct py__loop *loop = self->server->loop;
    int rc = cio_add_reader(loop->loop, self->fd, &self->call, on_connection, self);
    if (rc == 0)
        return;
    py__raise_code(rc);
    py__loop_report(loop, "Exception in callback of a listening socket", "socket", self->sock, NULL,
                    NULL);
}

int py__listener_start(struct py__listener *self)
{
    struct py__loop *loop = self->server->loop;
    const struct py__module *py = loop->py;
    PyObject *result = PyObject_CallMethod(self->sock, "listen", "l",
                                           self->server->options.backlog);
    if (!result)
        return -1;
    Py_DECREF(result);
    PyObject *fd = PyObject_CallMethodNoArgs(self->sock, py->names.fileno);
    self->fd = fd ? (int)PyLong_AsLong(fd) : -1;
    Py_XDECREF(fd);
    self->family = py__int_attribute(self->sock, py->names.family);
    self->type = py__int_attribute(self->sock, py->names.type);
    self->protocol = py__int_attribute(self->sock, py->names.proto);
    PyObject *context = self->server->context;
    Py_XSETREF(self->context, context ? PyContext_Copy(context) : PyContext_CopyCurrent());
    if (PyErr_Occurred() || py__loop_check_closed(loop) < 0)
        return -1;
    int rc = cio_add_reader(loop->loop, self->fd, &self->call, on_connection, self);
    if (rc < 0) {
        py__raise_code(rc);
        return -1;
    }
    self->watched = true;
    return 0;
}

void py__listener_stop(struct py__listener *self)
{
    if (!self->watched)
        return;
    self->watched = false;
    cio_handle_cancel(&self->call);
    cio_handle_cancel(&self->retry);
}
