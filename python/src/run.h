/* Running: run_forever(), run_until_complete(), stop(). */
#ifndef PY_RUN_H
#define PY_RUN_H

#include "loop.h"

/* Of a new loop: how it runs its handles, and polls without the GIL. */
void py__run_prepare(struct py__loop *self);

PyObject *py__run_forever(PyObject *self, PyObject *unused);
PyObject *py__run_until_complete(PyObject *self, PyObject *future);
PyObject *py__stop(PyObject *self, PyObject *unused);
PyObject *py__check_running(PyObject *self, PyObject *unused);

#endif
