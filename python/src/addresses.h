/* Addresses of sockets as Python has them, and sockets as objects. */
#ifndef PY_ADDRESSES_H
#define PY_ADDRESSES_H

#include <netinet/in.h>
#include <sys/un.h>

#include "loop.h"

/* An internet address; .family is 0 if there is none, or it is of another family. */
union py__address {
    sa_family_t family;
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/*
 * Of a host that is a number, its port, and for IPv6 what may follow. False, without an exception:
 * it is no such address.
 */
bool py__address_parse(int family, PyObject *object, union py__address *address);

static inline socklen_t py__address_size(const union py__address *address)
{
    return address->family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

/* As the module socket shows it: (host, port), or of four for IPv6. */
PyObject *py__address_object(const union py__address *address);

/* An address of one of the families that are known here, internet and unix. */
struct py__name {
    socklen_t size; /* 0: there is none */
    union {
        struct sockaddr any;
        union py__address internet;
        struct sockaddr_un local;
    };
};

static inline bool py__family_is_known(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* As the module socket shows it; None if there is none. */
PyObject *py__name_object(const struct py__name *name);

/*
 * False, without an exception: to be left to the module socket, which knows what it is, or what is
 * wrong with it. All that is parsed is of types that never change.
 */
bool py__name_parse(int family, PyObject *object, struct py__name *name);

/* A socket.socket that has fd from now on, and does not block. */
PyObject *py__socket_object(struct py__loop *loop, int family, int type, int protocol, int fd);

/* What socket.socket says of itself; -1 with an exception. */
int py__int_attribute(PyObject *object, PyObject *name);

#endif
