/* What a transport has yet to write. */
#include "write_queue.h"

#include <sys/uio.h>

static uint32_t place_of(const struct py__write_queue *queue, uint32_t i)
{
    return (queue->head + i) & (queue->room - 1);
}

static int grow(struct py__write_queue *queue)
{
    uint32_t room = queue->room ? queue->room * 2 : 8;
    PyObject **chunks = room > queue->room ? PyMem_New(PyObject *, room) : NULL;
    if (!chunks) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < queue->n; i++)
        chunks[i] = queue->chunks[place_of(queue, i)];
    PyMem_Free(queue->chunks);
    queue->chunks = chunks;
    queue->room = room;
    queue->head = 0;
    return 0;
}

int py__write_queue_put(struct py__write_queue *queue, PyObject *object, size_t size)
{
    if (queue->n == queue->room && grow(queue) < 0) {
        Py_DECREF(object);
        return -1;
    }
    queue->chunks[place_of(queue, queue->n++)] = object;
    queue->size += size;
    return 0;
}

int py__write_queue_append(struct py__write_queue *queue, PyObject *bytes)
{
    return py__write_queue_put(queue, bytes, (size_t)PyBytes_GET_SIZE(bytes));
}

int py__write_queue_vector(const struct py__write_queue *queue, struct iovec *vector, int n)
{
    size_t skip = queue->skip;
    int count = (uint32_t)n < queue->n ? n : (int)queue->n;
    for (int i = 0; i < count; i++) {
        PyObject *chunk = queue->chunks[place_of(queue, (uint32_t)i)];
        vector[i].iov_base = PyBytes_AS_STRING(chunk) + skip;
        vector[i].iov_len = (size_t)PyBytes_GET_SIZE(chunk) - skip;
        skip = 0;
    }
    return count;
}

static PyObject *take_first(struct py__write_queue *queue)
{
    PyObject *first = queue->chunks[queue->head];
    queue->head = place_of(queue, 1);
    queue->n--;
    return first;
}

PyObject *py__write_queue_first(const struct py__write_queue *queue)
{
    return queue->chunks[queue->head];
}

void py__write_queue_drop(struct py__write_queue *queue, size_t size)
{
    queue->size -= size;
    Py_DECREF(take_first(queue));
}

void py__write_queue_advance(struct py__write_queue *queue, size_t size)
{
    queue->size -= size;
    size += queue->skip;
    while (queue->n && size >= (size_t)PyBytes_GET_SIZE(queue->chunks[queue->head])) {
        PyObject *first = take_first(queue);
        size -= (size_t)PyBytes_GET_SIZE(first);
        Py_DECREF(first);
    }
    queue->skip = size;
}

void py__write_queue_clear(struct py__write_queue *queue)
{
    struct py__write_queue old = *queue;
    *queue = (struct py__write_queue){0};
    while (old.n)
        Py_DECREF(take_first(&old));
    PyMem_Free(old.chunks);
}

int py__write_queue_traverse(const struct py__write_queue *queue, visitproc visit, void *arg)
{
    for (uint32_t i = 0; i < queue->n; i++)
        Py_VISIT(queue->chunks[place_of(queue, i)]);
    return 0;
}
