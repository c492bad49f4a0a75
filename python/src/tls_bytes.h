/* Bytes that wait: appended at one end, taken from the other. Without the GIL as well. */
#ifndef PY_TLS_BYTES_H
#define PY_TLS_BYTES_H

#include "module.h"

struct py__tls_bytes {
    char *data; /* NULL if there are none */
    size_t begin, end, room;
};

static inline size_t py__tls_bytes_size(const struct py__tls_bytes *self)
{
    return self->end - self->begin;
}

static inline void py__tls_bytes_free(struct py__tls_bytes *self)
{
    PyMem_RawFree(self->data);
    *self = (struct py__tls_bytes){0};
}

/* Makes room for so many more. False: no memory. */
static inline bool py__tls_bytes_reserve(struct py__tls_bytes *self, size_t n)
{
    if (likely(self->room - self->end >= n))
        return true;
    size_t size = py__tls_bytes_size(self), room = size + n > size * 2 ? size + n : size * 2;
    char *data = PyMem_RawMalloc(room);
    if (unlikely(!data))
        return false;
    if (size)
        memcpy(data, self->data + self->begin, size);
    PyMem_RawFree(self->data);
    *self = (struct py__tls_bytes){.data = data, .end = size, .room = room};
    return true;
}

static inline bool py__tls_bytes_append(struct py__tls_bytes *self, const char *data, size_t n)
{
    if (unlikely(!py__tls_bytes_reserve(self, n)))
        return false;
    memcpy(self->data + self->end, data, n);
    self->end += n;
    return true;
}

/* Takes up to so many; returns how many. What is empty has no memory. */
static inline size_t py__tls_bytes_take(struct py__tls_bytes *self, char *data, size_t most)
{
    size_t size = py__tls_bytes_size(self), n = size < most ? size : most;
    memcpy(data, self->data + self->begin, n);
    self->begin += n;
    if (n == size)
        py__tls_bytes_free(self);
    return n;
}

#endif
