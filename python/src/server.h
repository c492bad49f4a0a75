/* Servers: the C half of cio.Server, and the sockets that it listens on. */
#ifndef PY_SERVER_H
#define PY_SERVER_H

#include "transport.h"

struct py__server;

/* One of a server's sockets. */
struct py__listener {
    cio_handle call;           /* the descriptor's watch */
    cio_handle retry;          /* a timer: there were no descriptors left */
    struct py__server *server; /* borrowed: it outlives the watch */
    PyObject *sock;
    PyObject *context; /* in which it serves; those of its connections are copies */
    int fd;
    int family, type, protocol;
    bool watched;
    PyObject *path; /* of the unix family, to be removed at the end, if still this file; or NULL */
    unsigned long long inode;
};

/* What connections are made with. */
struct py__server_options {
    PyObject *factory, *ssl, *handshake_timeout, *shutdown_timeout;
    long backlog;
};

struct py__server {
    PyObject_HEAD struct py__loop *loop;
    struct py__server_options options; /* references of ours; NULL is None */
    struct py__listener *listeners;
    Py_ssize_t n_listeners;
    PyObject *context; /* in which it was made, if that is the one in which it serves; or NULL */
    cio_ring clients;  /* of transports' places */
    Py_ssize_t n_clients;
    cio_ring serving;  /* its place among the loop's; which then holds a reference */
    PyObject *waiters; /* a list of futures; NULL: closed, and all clients are gone */
    PyObject *forever; /* serve_forever()'s future, or NULL */
    bool is_serving;
    bool closed;
};

extern PyType_Spec py__server_spec;
extern PyMethodDef py__server_methods[];

/* Of a sequence of sockets. All is borrowed. */
PyObject *py__server_new(struct py__loop *loop, PyObject *sockets,
                         const struct py__server_options *options);

/* For a server of sockets of files: path is to be removed at the end. Borrowed. */
int py__server_clean_up(PyObject *server, PyObject *path);

int py__server_start(struct py__server *self);
int py__server_close(struct py__server *self);

/* Calls that method of each. */
int py__server_each_client(struct py__server *self, const char *method);

/* Methods that are coroutines. */
PyObject *py__server_wait_closed(PyObject *self, PyObject *unused);
PyObject *py__server_start_serving(PyObject *self, PyObject *unused);
PyObject *py__server_serve_forever(PyObject *self, PyObject *unused);

/* A transport of the server's has begun, or ended. Any object may be a server. */
int py__server_attach(PyObject *server, struct py__transport *transport);
void py__server_detach(PyObject *server, struct py__transport *transport);

/* Accepts on it, from now on; no longer. */
int py__listener_start(struct py__listener *self);
void py__listener_stop(struct py__listener *self);

/* The loop's references, as those of transports. */
int py__servers_visit(struct py__loop *loop, visitproc visit, void *arg);
void py__servers_forget(struct py__loop *loop, PyObject *list);

#endif
