/* Arguments of methods that are called quickly: by position, or by name. */
#ifndef PY_ARGUMENTS_H
#define PY_ARGUMENTS_H

#include "module.h"

/* What a method takes. Those from `only` on go by name alone; those before `required` must be. */
struct py__signature {
    const char *method;
    int required;
    int only; /* 0: none goes by name alone */
    int n;
    const char *names[];
};

/*
 * Puts the arguments in their places; those that were not given are left as they are. Borrowed.
 * -1: TypeError.
 */
int py__take_arguments(const struct py__signature *signature, PyObject *const *arguments,
                       Py_ssize_t n, PyObject *keywords, PyObject **ret);

#endif
