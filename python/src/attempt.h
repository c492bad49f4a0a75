/* One try to connect. */
#ifndef PY_ATTEMPT_H
#define PY_ATTEMPT_H

#include "loop.h"

/*
 * A coroutine: a socket that is connected to the address of info, as getaddrinfo() gives it, and
 * bound to one of locals unless that is None. Its failures are a new list at the end of that list.
 * If raw, a connection to an internet address may end as the number of its descriptor, for the
 * caller to own, and the kernel's edges are watched already.
 */
PyObject *py__attempt(struct py__loop *loop, PyObject *failures, PyObject *info, PyObject *locals,
                      bool raw);

/* As a method of the loop: so that several can be under way. */
PyObject *py__connect_sock(PyObject *loop, PyObject *const *arguments, Py_ssize_t n,
                           PyObject *keywords);

#endif
