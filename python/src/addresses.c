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

/* None of it may fail with an exception: who cannot be read is left to the module socket. */
static bool parse_number(PyObject *object, uint32_t most, uint32_t *ret)
{
    int overflow;
    if (!PyLong_CheckExact(object))
        return false;
    long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    *ret = (uint32_t)number;
    return !overflow && number >= 0 && number <= most;
}

bool py__address_parse(int family, PyObject *object, union py__address *address)
{
    Py_ssize_t n = PyTuple_CheckExact(object) ? PyTuple_GET_SIZE(object) : 0;
    PyObject *host = n >= 2 ? PyTuple_GET_ITEM(object, 0) : NULL;
    uint32_t port, flow = 0, scope = 0;
    if (!host || !PyUnicode_Check(host) || !PyUnicode_IS_ASCII(host) ||
        !parse_number(PyTuple_GET_ITEM(object, 1), UINT16_MAX, &port))
        return false;
    const char *text = (const char *)PyUnicode_1BYTE_DATA(host);
    if (family == AF_INET && n == 2) {
        address->v4 = (struct sockaddr_in){.sin_family = AF_INET,
                                           .sin_port = htons((uint16_t)port)};
        return inet_pton(AF_INET, text, &address->v4.sin_addr) == 1;
    }
    if (family != AF_INET6 || n != 4 ||
        !parse_number(PyTuple_GET_ITEM(object, 2), 0xfffff, &flow) ||
        !parse_number(PyTuple_GET_ITEM(object, 3), UINT32_MAX, &scope))
        return false;
    address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                        .sin6_port = htons((uint16_t)port),
                                        .sin6_flowinfo = htonl(flow),
                                        .sin6_scope_id = scope};
    return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1;
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
