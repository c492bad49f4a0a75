/* Connections that we make: what those of all families have in common. */
#ifndef PY_CONNECT_H
#define PY_CONNECT_H

#include "coroutine.h"

/* What create_connection() and its like are given for TLS: borrowed; None where nothing was. */
struct py__secure {
    PyObject *ssl, *hostname, *handshake_timeout, *shutdown_timeout;
};

/* -1 and ValueError if something for TLS is given without it. */
int py__check_secure(const struct py__secure *secure);

/*
 * A coroutine: (transport, protocol) of a connected socket, when connection_made() was called. The
 * socket has an object, or, for a connection without TLS, none: then its descriptor is taken.
 */
struct py__connection;
PyObject *py__join(struct py__loop *loop, const struct py__connection *connection,
                   PyObject *factory, const struct py__secure *secure, bool server_side);

/* -1 and ValueError if it is no stream socket; of that family, if it is not 0. */
int py__check_stream(struct py__loop *loop, PyObject *sock, int family, const char *expected);

/* sock.setblocking(False) */
int py__set_not_blocking(struct py__loop *loop, PyObject *sock);

/* sock.close(); an exception that is set stays. */
void py__close_socket(struct py__loop *loop, PyObject *sock);

/* Whether a path of the unix family is a file's, and not one of the abstract names. */
bool py__is_file_path(PyObject *path);

/* Removes a socket that somebody has left there; what goes wrong with that is only logged. */
int py__remove_stale(PyObject *path);

/* In place of the OSError that is set, one that tells the address. */
void py__raise_bind_error(PyObject *address);

/*
 * The addresses of a host: *ret is a list, or something to be awaited for it. Both may be NULL with
 * an exception. 1: a list.
 */
int py__resolve(struct py__loop *loop, PyObject *const *lookup, PyObject **ret);

#endif
