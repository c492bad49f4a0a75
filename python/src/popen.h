/*
 * The standard library's Popen, made for a transport. It waits until the child has begun its
 * program: for vfork(), which is over then anyway, and for what preexec_fn does. That last may take
 * any time, and is awaited instead.
 */
#ifndef PY_POPEN_H
#define PY_POPEN_H

#include "coroutine.h"
#include "wait.h"

struct py__popen {
    PyObject *arguments; /* those of Popen by name, a dict: owned */
    PyObject *object;    /* the Popen; NULL: not begun, or it has failed */
    PyObject *failure;   /* bytes that the child has written */
    struct py__wait wait;
    int fd; /* where it writes why it could not begin; -1: it has begun, or never will */
};

/* subprocess.Popen(program, **arguments). -1 with an exception. */
int py__popen_begin(struct py__popen *self, struct py__loop *loop, PyObject *program);

/*
 * For a step: 1: the program runs; 0: *ret is to be awaited, then this is called again; -1: it does
 * not, and all of the child is gone.
 */
int py__popen_has_begun(struct py__popen *self, struct py__loop *loop, PyObject *program,
                        PyObject **ret);

/* Nobody waits for its beginning any more. */
void py__popen_end_wait(struct py__popen *self);

int py__popen_traverse(struct py__popen *self, visitproc visit, void *arg);
void py__popen_clear(struct py__popen *self);

#endif
