/*
 * Blocks and pages: all memory of the library comes through here, so that it can be made to fail.
 */
#ifndef CIO_OS_MEMORY_H
#define CIO_OS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void *cio__alloc(size_t size); /* not zeroed; NULL: no memory */
void *cio__realloc(void *ptr, size_t size);
void cio__free(void *ptr);

size_t cio__page_size(void);

/* Fresh zeroed pages that may never be made huge; NULL: no memory or no mapping left. */
void *cio__pages_map(size_t size);
void cio__pages_unmap(void *pages, size_t size);

/*
 * Turns one page at the low end of each of n stacks, stride bytes apart, into a guard whose touch
 * is a fault. Returns false if the kernel has no room left to remember that (vm.max_map_count).
 */
bool cio__pages_guard(void *first, size_t stride, int n);

/* Gives the memory of pages back to the kernel; they read as zero afterwards. */
void cio__pages_discard(void *pages, size_t size);

#endif
