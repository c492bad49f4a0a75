/* Addresses. */
#include "addresses.h"

#include <arpa/inet.h>
#include <string.h>

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
    if (family != AF_INET6 || n > 4 ||
        (n > 2 && !parse_number(PyTuple_GET_ITEM(object, 2), 0xfffff, &flow)) ||
        (n > 3 && !parse_number(PyTuple_GET_ITEM(object, 3), UINT32_MAX, &scope)))
        return false;
    address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                        .sin6_port = htons((uint16_t)port),
                                        .sin6_flowinfo = htonl(flow),
                                        .sin6_scope_id = scope};
    return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1;
}

/* ---- of any family ---- */

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* An abstract name, which begins with a zero, is bytes; a path is text. */
static PyObject *path_object(const struct py__name *name)
{
    size_t size = name->size > PATH_AT ? name->size - PATH_AT : 0;
    const char *path = name->local.sun_path;
    if (size && !*path)
        return PyBytes_FromStringAndSize(path, (Py_ssize_t)size);
    return PyUnicode_DecodeFSDefaultAndSize(path, (Py_ssize_t)strnlen(path, size));
}

PyObject *py__name_object(const struct py__name *name)
{
    if (name->size == 0)
        return Py_NewRef(Py_None);
    switch (name->any.sa_family) {
    case AF_INET:
    case AF_INET6: return py__address_object(&name->internet);
    case AF_UNIX: return path_object(name);
    default:
        return Py_BuildValue("(iy#)", name->any.sa_family, name->any.sa_data,
                             (Py_ssize_t)sizeof name->any.sa_data);
    }
}

static bool parse_path(PyObject *object, struct py__name *name)
{
    const char *path;
    size_t size;
    if (PyUnicode_CheckExact(object) && PyUnicode_IS_ASCII(object)) {
        path = (const char *)PyUnicode_1BYTE_DATA(object);
        size = (size_t)PyUnicode_GET_LENGTH(object);
    } else if (PyBytes_CheckExact(object)) {
        path = PyBytes_AS_STRING(object);
        size = (size_t)PyBytes_GET_SIZE(object);
    } else {
        return false;
    }
    bool is_abstract = size && !*path;
    if (size == 0 || size >= sizeof name->local.sun_path || (!is_abstract && memchr(path, 0, size)))
        return false;
    name->local.sun_family = AF_UNIX;
    memcpy(name->local.sun_path, path, size);
    name->local.sun_path[size] = 0;
    name->size = (socklen_t)(PATH_AT + size + !is_abstract);
    return true;
}

bool py__name_parse(int family, PyObject *object, struct py__name *name)
{
    if (family == AF_UNIX)
        return parse_path(object, name);
    if (!py__address_parse(family, object, &name->internet))
        return false;
    name->size = py__address_size(&name->internet);
    return true;
}

/* ---- sockets ---- */

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
