/* Addresses. */
#include "addresses.h"

#include <arpa/inet.h>

PyObject *py__address_object(const union py__address *address)
{
    char host[INET6_ADDRSTRLEN];
    if (address->family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        return Py_BuildValue("(si)", host, ntohs(address->v4.sin_port));
    }
    inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
    return Py_BuildValue("(siII)", host, ntohs(address->v6.sin6_port),
                         ntohl(address->v6.sin6_flowinfo), address->v6.sin6_scope_id);
}

PyObject *py__socket_object(struct py__loop *loop, int family, int type, int protocol, int fd)
{
    PyObject *sock = PyObject_CallFunction(loop->py->std.socket, "iiii", family, type, protocol,
                                           fd);
    PyObject *result = sock ? PyObject_CallMethodOneArg(sock, loop->py->names.setblocking, Py_False)
                            : NULL;
    if (!result && sock) {
        PyObject *detached = PyObject_CallMethod(sock, "detach", NULL);
        Py_XDECREF(detached);
        Py_CLEAR(sock);
    }
    Py_XDECREF(result);
    return sock;
}

int py__int_attribute(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    long number = value ? PyLong_AsLong(value) : -1;
    Py_XDECREF(value);
    return (int)number;
}
