/* Names of hosts. */
#ifndef PY_NAMES_H
#define PY_NAMES_H

#include "loop.h"

/* What is to be looked up; what is NULL is 0, or no host or port. */
enum { PY__HOST, PY__PORT, PY__FAMILY, PY__TYPE, PY__PROTO, PY__FLAGS, PY__LOOKUP };

/*
 * The addresses, as getaddrinfo() returns them, that are known for sure without asking anybody.
 * NULL without an exception if that is not clear.
 */
PyObject *py__numeric_addresses(const struct py__module *py, PyObject *const *lookup);

/* A list of what the program's getaddrinfo() returned, which is empty if that was None. */
PyObject *py__found_addresses(PyObject *found);

#endif
