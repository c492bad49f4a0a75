/* Where cio's memory comes from. */
#ifndef CIO_MEMORY_H
#define CIO_MEMORY_H

#include <stddef.h>

#include <cio/export.h>

CIO_BEGIN

typedef struct cio_allocator {
    void *(*realloc)(void *ptr, size_t size, void *arg); /* ptr NULL: a new block */
    void (*free)(void *ptr, void *arg);                  /* ptr may be NULL */
    void *(*map)(size_t size, void *arg);                /* task stacks: zeroed pages, or NULL */
    void (*unmap)(void *ptr, size_t size, void *arg);
    void *arg;
} cio_allocator;

/*
 * Replaces the allocator of the whole process; NULL puts the C library's and mmap back. A member
 * that is NULL keeps its default. The struct is copied. Call it before the first loop is made or
 * after the last is freed, in one thread: blocks are given back to the allocator then in force.
 * Useful for tests that make each allocation fail in turn. Always returns 0.
 */
CIO_API int cio_set_allocator(const cio_allocator *allocator);

CIO_END

#endif
