/*
 * Handles of call_soon_threadsafe(), since 3.14: cancel() and cancelled() of another thread wait
 * while the call is made. In asyncio each has a lock; here a thread that has to wait, which is
 * rare, brings its own. The GIL keeps the list.
 */
#include "handle.h"

struct py__waiter {
    PyThread_type_lock lock; /* held, until the call is over */
    struct py__waiter *next;
};

static struct py__safe_handle *safe(struct py__handle *self)
{
    return (struct py__safe_handle *)self;
}

void py__safe_handle_begins(struct py__handle *self)
{
    safe(self)->runner = PyThread_get_thread_ident();
}

void py__safe_handle_ends(struct py__handle *self)
{
    struct py__waiter *waiter = safe(self)->waiters;
    safe(self)->waiters = NULL;
    while (waiter) {
        struct py__waiter *next = waiter->next; /* it goes with its thread's stack */
        PyThread_release_lock(waiter->lock);
        waiter = next;
    }
}

/* A signal may end the wait, by an exception of its handler's. */
static int wait_for(PyThread_type_lock lock)
{
    for (;;) {
        PyLockStatus status;
        Py_BEGIN_ALLOW_THREADS;
        status = PyThread_acquire_lock_timed(lock, -1, 1);
        Py_END_ALLOW_THREADS;
        if (status == PY_LOCK_ACQUIRED)
            return 0;
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
}

static void leave(struct py__handle *self, const struct py__waiter *waiter)
{
    struct py__waiter **place = &safe(self)->waiters;
    while (*place && *place != waiter)
        place = &(*place)->next;
    if (*place)
        *place = waiter->next;
}

int py__safe_handle_wait(struct py__handle *self)
{
    int rc = 0;
    while (rc == 0 && self->in_call && safe(self)->runner != PyThread_get_thread_ident()) {
        struct py__waiter waiter = {.lock = PyThread_allocate_lock(), .next = safe(self)->waiters};
        if (!waiter.lock) {
            PyErr_NoMemory();
            return -1;
        }
        PyThread_acquire_lock(waiter.lock, 1);
        safe(self)->waiters = &waiter;
        rc = wait_for(waiter.lock);
        leave(self, &waiter);
        PyThread_release_lock(waiter.lock);
        PyThread_free_lock(waiter.lock);
    }
    return rc;
}
