/*
 * Failures that nobody awaits, on their way to call_exception_handler(); and in debug mode, calls
 * that take too long.
 */
#ifndef PY_REPORT_H
#define PY_REPORT_H

#include "loop.h"

struct py__handle;

#define PY__REPORT_ENTRIES 4

/* All borrowed; entries whose value is NULL are left out. */
struct py__report {
    PyObject *message; /* or, if that is NULL: */
    const char *text;
    PyObject *exception;
    const char *keys[PY__REPORT_ENTRIES];
    PyObject *values[PY__REPORT_ENTRIES];
};

/*
 * Calls loop.call_exception_handler(). Whatever that raises leaves the loop. No exception is set
 * before or after.
 */
void py__report(struct py__loop *loop, const struct py__report *report);

/*
 * In debug mode: as py__handle_run(), and as fn(arg) for a callback that is no object of Python's;
 * what takes longer than slow_callback_duration is logged.
 */
void py__run_watched(struct py__handle *handle);
void py__call_timed(struct py__loop *loop, cio_callback *fn, void *arg);

#endif
