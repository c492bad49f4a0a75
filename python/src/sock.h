/*
 * sock_recv() and its like: calls on the program's sockets, as coroutines of ours. Each makes its
 * call, and waits for the descriptor only if that would block.
 */
#ifndef PY_SOCK_H
#define PY_SOCK_H

#include <errno.h>

#include "addresses.h"
#include "arguments.h"
#include "coroutine.h"
#include "wait.h"

#define PY__SOCK_ARGUMENTS 4

struct py__sock {
    struct py__wait wait;
    PyObject *sock;
    PyObject *arguments[PY__SOCK_ARGUMENTS]; /* what the method was given besides */
    Py_buffer buffer;                        /* .obj NULL: none */
    size_t done;                             /* bytes of it */
    int fd;
    int family; /* 0: the socket's own methods are called */
};

/* A coroutine on a socket: the first of values, which are as many as the signature has. */
PyObject *py__sock_new(PyObject *loop, const struct py__coroutine_kind *kind,
                       const struct py__signature *signature, PyObject *const *arguments,
                       Py_ssize_t n, PyObject *keywords);

/* -1 and TypeError if it is an SSLSocket. */
int py__check_plain(struct py__loop *loop, PyObject *sock);

/* Of a negative code: OSError("Connect call failed ..."). */
void py__raise_refusal(int error, PyObject *address);

/* What each asks first: no SSL socket, and in debug mode no blocking one. Fills fd. */
int py__sock_check(struct py__coroutine *self, struct py__sock *state);

/* The same, and the family, if it is one that we know and the socket is the standard library's. */
int py__sock_look(struct py__coroutine *self, struct py__sock *state);

/* A new object like the socket's, that has fd from now on; NULL: fd is still the caller's. */
PyObject *py__sock_like(struct py__coroutine *self, const struct py__sock *state, int fd);

/* sock.method(*arguments), those of the coroutine; or a wait, if that would block. */
enum py__step py__sock_by_method(struct py__coroutine *self, struct py__sock *state,
                                 const char *method, enum cio__direction direction, PyObject **ret);

/*
 * After a step has begun: ends the wait. False: what was awaited has raised.
 */
bool py__sock_resume(struct py__sock *state, PyObject *sent);

/* For a step: wait for the descriptor. */
enum py__step py__sock_wait(struct py__coroutine *self, struct py__sock *state,
                            enum cio__direction direction, PyObject **ret);

/* What a system call said that would have had to wait. */
static inline bool py__would_block(ssize_t rc)
{
    return rc == -EAGAIN || rc == -EWOULDBLOCK;
}

/* Whether the exception that is set says that a call would block; then it is cleared. */
bool py__sock_blocked(void);

/* With the words of the module socket: how many bytes are asked for. -1: an exception. */
Py_ssize_t py__sock_size(PyObject *number, const char *method);

/* A call that receives up to size bytes, and where its kind tells that the sender's name. */
typedef ssize_t py__receive(struct py__coroutine *self, struct py__sock *state, void *data,
                            size_t size, struct py__name *name);

/* What the call receives of state->done bytes at most; NULL with *ret_rc 0: an exception. */
PyObject *py__sock_receive(struct py__coroutine *self, struct py__sock *state, py__receive *call,
                           struct py__name *name, ssize_t *ret_rc);

/* With the words of the module socket: takes a buffer that can be written to, the first argument. */
int py__sock_take_buffer(struct py__sock *state, const char *method);

#define PY__SOCK_METHODS(X)                                                                        \
    X(sock_recv, "(sock, n)", "Receive up to n bytes.")                                            \
    X(sock_recv_into, "(sock, buf)", "Receive into a buffer; how many bytes.")                     \
    X(sock_recvfrom, "(sock, bufsize)", "Receive a datagram: (data, address).")                    \
    X(sock_recvfrom_into, "(sock, buf, nbytes=0)", "Receive a datagram into a buffer.")            \
    X(sock_sendall, "(sock, data)", "Send all of the data.")                                       \
    X(sock_sendto, "(sock, data, address)", "Send a datagram.")                                    \
    X(sock_connect, "(sock, address)", "Connect to an address.")                                   \
    X(sock_accept, "(sock)", "Accept a connection: (socket, address).")                            \
    X(sock_sendfile, "(sock, file, offset=0, count=None, *, fallback=True)", "Send a file.")

#define X(name, signature, text)                                                                   \
    PyObject *py__##name(PyObject *self, PyObject *const *arguments, Py_ssize_t n,                 \
                         PyObject *keywords);
PY__SOCK_METHODS(X)
#undef X

int py__sock_traverse(void *state, visitproc visit, void *arg);
void py__sock_clear(void *state);

#define PY__SOCK_KIND(method, stepper)                                                             \
    {                                                                                              \
        .name = "EventLoop." method, .step = (stepper), .state_size = sizeof(struct py__sock),     \
        .traverse = py__sock_traverse, .clear = py__sock_clear,                                    \
    }

#endif
