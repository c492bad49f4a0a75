/* Exceptions: floor 1's codes as such, and those that are on their way kept and raised again. */
#ifndef PY_ERRORS_H
#define PY_ERRORS_H

#include "module.h"

/* Raises what a negative code of floor 1 stands for: OSError, RuntimeError, MemoryError. NULL. */
PyObject *py__raise_code(int code);

/* The exception that is set, taken; an instance, with its traceback. */
PyObject *py__take_exception(void);

/* Sets it; the reference is taken. */
void py__raise_again(PyObject *exception);

/* Whether what is set leaves the loop at once: SystemExit or KeyboardInterrupt. */
bool py__exception_leaves(void);

#endif
