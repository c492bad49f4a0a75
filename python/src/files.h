/* Descriptors. */
#ifndef PY_FILES_H
#define PY_FILES_H

#include "loop.h"

struct py__handle;

/* The number of a descriptor or of an object that has one; -1 with an exception, ValueError. */
int py__fileno(struct py__loop *self, PyObject *object);

/* The handle of the program's watch, borrowed, or NULL. */
struct py__handle *py__watch_of(struct py__loop *self, int fd, enum cio__direction direction);

/* Ends the program's watch. 1, 0 if there was none, -1 with an exception. */
int py__unwatch(struct py__loop *self, int fd, enum cio__direction direction);

#endif
