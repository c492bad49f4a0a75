/*
 * Receiving datagrams: a few by one call where they come in crowds, and of them one delivered a
 * turn, as if each had been asked for when its turn came.
 */
#include <errno.h>

#include "datagram.h"
#include "errors.h"
#include "sock.h"
#include "stream.h"

#define AT_ONCE 16 /* at most */

/* After so many that came alone, two are asked for: is it still so? */
#define ALONE_FOR_LONG 16

/* Not a power of two: else all datagrams would fall into the same sets of the caches. */
#define STRIDE (PY__READ_MOST + 2112)

static const char fatal[] = "Fatal read error on datagram transport";

/* ---- from the kernel ---- */

struct py__batch {
    struct mmsghdr messages[AT_ONCE];
    struct iovec slots[AT_ONCE];
    struct py__name names[AT_ONCE];
    char data[];
};

static struct py__batch *new_batch(void)
{
    /* What is not written to takes no memory. */
    struct py__batch *batch = PyMem_RawMalloc(sizeof *batch + AT_ONCE * STRIDE);
    for (size_t i = 0; batch && i < AT_ONCE; i++) {
        batch->slots[i] = (struct iovec){batch->data + i * STRIDE, PY__READ_MOST};
        batch->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &batch->names[i].any,
                                                          .msg_iov = &batch->slots[i],
                                                          .msg_iovlen = 1}};
    }
    if (!batch)
        PyErr_NoMemory();
    return batch;
}

/* How many came, or a code. */
static int receive(struct py__datagram *self, struct py__batch *batch, unsigned n)
{
    struct cio__os *os = self->base.loop->loop->os;
    for (unsigned i = 0; i < n; i++)
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->names[i] -
                                                 offsetof(struct py__name, any);
    int came = os->ops->receive_many(os, self->base.fd, batch->messages, n);
    for (int i = 0; i < came; i++)
        batch->names[i].size = batch->messages[i].msg_hdr.msg_namelen;
    return came;
}

/* How many to ask for the next time. One for which there is no other costs a little. */
static void learn(struct py__datagram *self, unsigned asked, int came)
{
    if (came < (int)asked) {
        self->many = came > 1 ? (uint8_t)came : 1;
        self->alone = 0;
    } else if (asked > 1 || ++self->alone == ALONE_FOR_LONG) {
        self->many = asked * 2 < AT_ONCE ? (uint8_t)(asked * 2) : AT_ONCE;
        self->alone = 0;
    }
}

/* ---- as objects ---- */

struct py__ahead {
    uint8_t next; /* to be delivered */
    uint8_t n;
    struct {
        PyObject *data, *address;
    } items[AT_ONCE];
};

static PyObject *address_of(struct py__datagram *self, const struct py__name *name)
{
    struct py__known *from = &self->from;
    if (likely(from->object && name->size == from->name.size && name->size &&
               memcmp(&name->any, &from->name.any, name->size) == 0))
        return Py_NewRef(from->object);
    PyObject *object = py__name_object(name);
    if (!object)
        return NULL;
    from->name.size = name->size;
    memcpy(&from->name.any, &name->any, name->size);
    Py_XSETREF(from->object, Py_NewRef(object));
    return object;
}

static int make_item(struct py__datagram *self, const struct py__batch *batch, int i,
                     PyObject **ret_data, PyObject **ret_address)
{
    const struct mmsghdr *message = &batch->messages[i];
    *ret_data = PyBytes_FromStringAndSize(message->msg_hdr.msg_iov->iov_base, message->msg_len);
    *ret_address = *ret_data ? address_of(self, &batch->names[i]) : NULL;
    if (likely(*ret_address != NULL))
        return 0;
    Py_CLEAR(*ret_data);
    return -1;
}

/* All but the first. */
static int keep_ahead(struct py__datagram *self, const struct py__batch *batch, int came)
{
    if (came <= 1)
        return 0;
    if (!self->ahead && !(self->ahead = PyMem_Calloc(1, sizeof *self->ahead))) {
        PyErr_NoMemory();
        return -1;
    }
    struct py__ahead *ahead = self->ahead;
    ahead->next = ahead->n = 0;
    for (int i = 1; i < came; i++, ahead->n++)
        if (make_item(self, batch, i, &ahead->items[ahead->n].data,
                      &ahead->items[ahead->n].address) < 0)
            return -1;
    return 0;
}

static bool has_more(const struct py__datagram *self)
{
    return self->ahead && self->ahead->next < self->ahead->n;
}

static void take_ahead(struct py__datagram *self, PyObject **ret_data, PyObject **ret_address)
{
    struct py__ahead *ahead = self->ahead;
    *ret_data = ahead->items[ahead->next].data;
    *ret_address = ahead->items[ahead->next++].address;
}

void py__datagram_forget(struct py__datagram *self)
{
    struct py__ahead *ahead = self->ahead;
    self->ahead = NULL;
    for (unsigned i = ahead ? ahead->next : 0; ahead && i < ahead->n; i++) {
        Py_DECREF(ahead->items[i].data);
        Py_DECREF(ahead->items[i].address);
    }
    PyMem_Free(ahead);
}

int py__datagram_visit_ahead(const struct py__datagram *self, visitproc visit, void *arg)
{
    for (unsigned i = self->ahead ? self->ahead->next : 0; self->ahead && i < self->ahead->n; i++) {
        Py_VISIT(self->ahead->items[i].data);
        Py_VISIT(self->ahead->items[i].address);
    }
    return 0;
}

/* ---- to the protocol ---- */

/* As if the kernel had been asked, after what the last delivery has scheduled. */
void py__datagram_resume(struct py__datagram *self)
{
    struct py__transport_watch *watch = &self->base.watches[CIO__READ];
    if (has_more(self) && watch->on && cio__handle_state(&watch->call) == CIO__WATCH)
        cio__ready_put(&self->base.loop->loop->ready, &watch->call, CIO__WATCH, false);
}

/* Takes the references. */
static int deliver(struct py__datagram *self, PyObject *data, PyObject *address)
{
    PyObject *arguments[] = {data, address};
    PyObject *result = py__method_call_with(&self->received, self->base.protocol,
                                            self->base.loop->py->names.datagram_received, arguments,
                                            2);
    Py_DECREF(data);
    Py_DECREF(address);
    Py_XDECREF(result);
    py__datagram_resume(self);
    return result ? 0 : -1;
}

/* sock.recvfrom(size) */
static int read_by_method(struct py__datagram *self)
{
    PyObject *data, *address;
    PyObject *pair = PyObject_CallMethod(self->base.sock, "recvfrom", "n",
                                         (Py_ssize_t)PY__READ_MOST);
    if (!pair && py__sock_blocked())
        return 0;
    if (!pair || !PyArg_ParseTuple(pair, "OO", &data, &address)) {
        Py_XDECREF(pair);
        return py__datagram_failed(self, fatal);
    }
    int rc = deliver(self, Py_NewRef(data), Py_NewRef(address));
    Py_DECREF(pair);
    return rc;
}

static int read_some(struct py__datagram *self)
{
    struct py__loop *loop = self->base.loop;
    if (unlikely(!loop->batch) && !(loop->batch = new_batch()))
        return py__datagram_failed(self, fatal);
    unsigned asked = self->many;
    int came = receive(self, loop->batch, asked);
    learn(self, asked, came);
    PyObject *data, *address;
    if (unlikely(came <= 0)) {
        if (py__would_block(came) || came == -EINTR)
            return 0;
        py__raise_code(came);
        return py__datagram_failed(self, fatal);
    }
    if (make_item(self, loop->batch, 0, &data, &address) < 0)
        return py__datagram_failed(self, fatal);
    if (keep_ahead(self, loop->batch, came) < 0) {
        Py_DECREF(data);
        Py_DECREF(address);
        return py__datagram_failed(self, fatal);
    }
    return deliver(self, data, address);
}

int py__datagram_read_ready(struct py__datagram *self)
{
    if (unlikely(self->base.conn_lost || !self->base.loop))
        return 0;
    if (has_more(self)) {
        PyObject *data, *address;
        take_ahead(self, &data, &address);
        return deliver(self, data, address);
    }
    return self->by_methods ? read_by_method(self) : read_some(self);
}
