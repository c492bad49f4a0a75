/* Addresses of sockets as Python has them, and sockets as objects. */
#ifndef PY_ADDRESSES_H
#define PY_ADDRESSES_H

#include <netinet/in.h>

#include "loop.h"

/* An internet address; .family is 0 if there is none, or it is of another family. */
union py__address {
    sa_family_t family;
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Of a host that is a number, and its port. False, without an exception: it is no such address. */
bool py__address_parse(int family, PyObject *object, union py__address *address);

static inline socklen_t py__address_size(const union py__address *address)
{
    return address->family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

/* As the module socket shows it: (host, port), or of four for IPv6. */
PyObject *py__address_object(const union py__address *address);

/* A socket.socket that has fd from now on, and does not block. */
PyObject *py__socket_object(struct py__loop *loop, int family, int type, int protocol, int fd);

/* What socket.socket says of itself; -1 with an exception. */
int py__int_attribute(PyObject *object, PyObject *name);

#endif
