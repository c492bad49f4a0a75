/*
 * What a transport has yet to write: bytes objects, of the first perhaps only the rest; or, of
 * datagrams, objects that go out whole.
 */
#ifndef PY_WRITE_QUEUE_H
#define PY_WRITE_QUEUE_H

#include "module.h"

struct iovec;

struct py__write_queue {
    PyObject **chunks; /* a ring of `room` places, a power of two */
    uint32_t room;
    uint32_t head;
    uint32_t n;
    size_t skip; /* bytes of the first that are written */
    size_t size; /* bytes that are not, of all */
};

/* Takes the reference to a bytes object that is not empty; also on failure. */
int py__write_queue_append(struct py__write_queue *queue, PyObject *bytes);

/* The same of any object, which counts as so many bytes. */
int py__write_queue_put(struct py__write_queue *queue, PyObject *object, size_t size);

/* The first one, borrowed; and it goes, with so many bytes. */
PyObject *py__write_queue_first(const struct py__write_queue *queue);
void py__write_queue_drop(struct py__write_queue *queue, size_t size);

/* The first n chunks at most, as a vector; how many. */
int py__write_queue_vector(const struct py__write_queue *queue, struct iovec *vector, int n);

/* So many bytes are written. */
void py__write_queue_advance(struct py__write_queue *queue, size_t size);

void py__write_queue_clear(struct py__write_queue *queue);
int py__write_queue_traverse(const struct py__write_queue *queue, visitproc visit, void *arg);

#endif
