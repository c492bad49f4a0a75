/*
 * The loop's clock: the monotonic one, or that of a time() that the program has put in the place of
 * ours, by a subclass or by setting an attribute: then timers follow that.
 */
#ifndef PY_CLOCK_H
#define PY_CLOCK_H

#include "loop.h"

/* Looks whether time() and call_at() are still ours; the second returns whether they are. */
void py__clock_look(struct py__loop *self);

static inline void py__clock_check(struct py__loop *self)
{
    unsigned version = Py_TYPE(self)->tp_version_tag;
    if (unlikely(version != self->type_version || version == 0))
        py__clock_look(self);
}

static inline bool py__clock_is_ours(struct py__loop *self)
{
    py__clock_check(self);
    return !self->overridden;
}

/* What time() of ours says, which is also what time.monotonic() says. */
static inline double py__clock_now(const struct py__loop *self)
{
    (void)self;
    return (double)cio__monotonic_ns() / 1e9;
}

/* An attribute of the loop was set or deleted. */
void py__clock_attribute_changed(struct py__loop *self, PyObject *name, bool is_set);

#endif
