/* Transports and their descriptors: waiting for readiness, and who has which. */
#include <errno.h>

#include "errors.h"
#include "files.h"
#include "transport.h"

/* ---- whose descriptor it is ---- */

struct py__transport *py__transport_of(struct py__loop *loop, int fd)
{
    return fd >= 0 && (size_t)fd < loop->n_transports ? loop->transports[fd] : NULL;
}

int py__transport_check_free(struct py__loop *loop, int fd, PyObject *object)
{
    struct py__transport *transport = py__transport_of(loop, fd);
    if (likely(!transport || transport->closing))
        return 0;
    PyErr_Format(PyExc_RuntimeError, "File descriptor %R is used by transport %R", object,
                 transport);
    return -1;
}

int py__transports_visit(struct py__loop *loop, visitproc visit, void *arg)
{
    for (size_t fd = 0; fd < loop->n_transports; fd++)
        for (struct py__transport *self = loop->transports[fd]; self; self = self->partner) {
            if (self->watches[CIO__READ].on)
                Py_VISIT(self);
            if (self->watches[CIO__WRITE].on)
                Py_VISIT(self);
            if (self->starting)
                Py_VISIT(self);
        }
    return 0;
}

/* ---- readiness ---- */

static void disarm(struct py__transport_watch *watch)
{
    if (!watch->armed)
        return;
    watch->armed = false;
    if (cio__handle_state(&watch->call) != CIO__IDLE)
        cio_handle_cancel(&watch->call);
    else if (!watch->level)
        cio__ring_remove(&watch->call.waiting);
}

/* The program's own watches are refused on a descriptor that is taken. */
static int arm_level(struct py__transport *self, struct py__transport_watch *watch,
                     enum cio__direction direction)
{
    if (cio__handle_state(&watch->call) & CIO__WATCH)
        return 0; /* it stands */
    if (self->file->generation != self->generation)
        return -EBADF;
    cio_loop *loop = self->loop->loop;
    bool taken = self->file->taken;
    self->file->taken = false;
    int rc = direction == CIO__READ
                 ? cio_add_reader(loop, self->fd, &watch->call, watch->call.fn, self)
                 : cio_add_writer(loop, self->fd, &watch->call, watch->call.fn, self);
    self->file->taken = taken;
    return rc;
}

/* The kernel speaks of changes only: where it has spoken already, the call is queued at once. */
static int arm_edge(struct py__transport *self, struct py__transport_watch *watch,
                    enum cio__direction direction)
{
    cio_loop *loop = self->loop->loop;
    struct cio__file *file = self->file;
    cio__ring_init(&watch->call.waiting);
    bool told = file->owned_in == loop->runs && (file->registered & CIO__EDGE);
    if (told && cio__file_may(file, direction)) {
        cio__ready_push_last(&loop->ready, &watch->call);
        return 0;
    }
    int rc = cio__file_wait(loop, file, direction, &watch->call);
    if (likely(rc == 0))
        file->owned_in = loop->runs; /* nobody but us closes it */
    return rc;
}

static int arm(struct py__transport *self, enum cio__direction direction)
{
    struct py__transport_watch *watch = &self->watches[direction];
    if (unlikely(!self->file))
        return CIO_ECLOSED;
    bool level = direction == CIO__READ ? self->level : self->kind->levels;
    watch->level = level;
    int rc = level ? arm_level(self, watch, direction) : arm_edge(self, watch, direction);
    watch->armed = rc == 0;
    return rc;
}

int py__transport_use_levels(struct py__transport *self, bool levels)
{
    if (self->level == levels)
        return 0;
    struct py__transport_watch *watch = &self->watches[CIO__READ];
    bool armed = watch->on && watch->armed;
    if (watch->on)
        disarm(watch);
    if (watch->on && cio__handle_state(&watch->call) != CIO__IDLE)
        cio_handle_cancel(&watch->call);
    self->level = levels;
    int rc = armed ? arm(self, CIO__READ) : 0;
    if (rc == 0)
        return 0;
    py__raise_code(rc);
    return -1;
}

static void turn_off(struct py__transport *self, enum cio__direction direction)
{
    struct py__transport_watch *watch = &self->watches[direction];
    watch->on = false;
    Py_CLEAR(watch->context);
    Py_DECREF(self);
}

static void on_ready(struct py__transport *self, enum cio__direction direction)
{
    struct py__transport_watch *watch = &self->watches[direction];
    watch->armed = false;
    Py_INCREF(self);
    PyObject *context = Py_NewRef(watch->context);
    struct py__loop *loop = (struct py__loop *)Py_NewRef((PyObject *)self->loop);
    if (likely(PyContext_Enter(context) == 0)) {
        if (direction == CIO__READ)
            self->kind->readable(self);
        else
            self->kind->writable(self);
        if (unlikely(PyContext_Exit(context) < 0))
            py__loop_leave(loop);
    } else {
        py__transport_fail(self, "Fatal error on transport");
    }
    if (likely(watch->on && !watch->armed)) {
        int rc = arm(self, direction);
        if (unlikely(rc < 0)) {
            py__raise_code(rc);
            py__transport_fail(self, "Fatal error on transport");
        }
    }
    Py_DECREF(loop);
    Py_DECREF(context);
    Py_DECREF(self);
}

static void on_readable(void *arg)
{
    on_ready(arg, CIO__READ);
}

static void on_writable(void *arg)
{
    on_ready(arg, CIO__WRITE);
}

int py__transport_watch(struct py__transport *self, enum cio__direction direction,
                        PyObject *context)
{
    struct py__transport_watch *watch = &self->watches[direction];
    if (watch->on)
        return 0;
    if (py__loop_check_closed(self->loop) < 0)
        return -1;
    if (!context)
        context = self->context;
    context = context ? Py_NewRef(context) : PyContext_CopyCurrent();
    if (!context)
        return -1;
    if (direction == CIO__READ && self->starting) { /* its beginning is queued, and will watch */
        if (watch->context)
            Py_DECREF(context);
        else
            watch->context = context;
        return 0;
    }
    Py_XSETREF(watch->context, context);
    watch->call.fn = direction == CIO__READ ? on_readable : on_writable;
    watch->call.arg = self;
    watch->call.loop = self->loop->loop;
    watch->call.hint = self->protocol;
    watch->on = true;
    Py_INCREF(self);
    int rc = arm(self, direction);
    if (likely(rc == 0))
        return 0;
    turn_off(self, direction);
    py__raise_code(rc);
    return -1;
}

void py__transport_unwatch(struct py__transport *self, enum cio__direction direction)
{
    if (!self->watches[direction].on)
        return;
    struct py__transport_watch *watch = &self->watches[direction];
    watch->armed |= cio__handle_state(&watch->call) != CIO__IDLE;
    disarm(watch);
    turn_off(self, direction);
}

/* ---- the loop's end ---- */

static void forget(struct py__transport *self, PyObject *list)
{
    for (int direction = 0; direction < 2; direction++) {
        struct py__transport_watch *watch = &self->watches[direction];
        disarm(watch);
        if (watch->on && PyList_Append(list, &self->object) < 0)
            PyErr_Clear(); /* it leaks */
        watch->on = false;
    }
    if (self->starting && PyList_Append(list, &self->object) < 0)
        PyErr_Clear();
    self->starting = false;
    self->file = NULL;
}

void py__transports_forget(struct py__loop *loop, PyObject *list)
{
    for (size_t fd = 0; fd < loop->n_transports; fd++) {
        struct py__transport *self = loop->transports[fd];
        while (self) {
            struct py__transport *next = self->partner;
            self->partner = NULL;
            forget(self, list);
            self = next;
        }
    }
    PyMem_Free(loop->transports);
    loop->transports = NULL;
    loop->n_transports = 0;
}
