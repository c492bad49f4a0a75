/* The allocator of the process, and pages for stacks. */
#include "os/memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cio/memory.h>

#include "os/valgrind.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#define GUARDS_AT_ONCE 64

static void *default_realloc(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return realloc(ptr, size);
}

static void default_free(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

static void *default_map(size_t size, void *arg)
{
    (void)arg;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static void default_unmap(void *ptr, size_t size, void *arg)
{
    (void)arg;
    munmap(ptr, size);
}

static const cio_allocator default_allocator = {
    .realloc = default_realloc,
    .free = default_free,
    .map = default_map,
    .unmap = default_unmap,
};

static cio_allocator in_force = {
    .realloc = default_realloc,
    .free = default_free,
    .map = default_map,
    .unmap = default_unmap,
};

int cio_set_allocator(const cio_allocator *allocator)
{
    in_force = allocator ? *allocator : default_allocator;
    if (!in_force.realloc)
        in_force.realloc = default_realloc;
    if (!in_force.free)
        in_force.free = default_free;
    if (!in_force.map)
        in_force.map = default_map;
    if (!in_force.unmap)
        in_force.unmap = default_unmap;
    return 0;
}

void *cio__alloc(size_t size)
{
    return in_force.realloc(NULL, size, in_force.arg);
}

void *cio__realloc(void *ptr, size_t size)
{
    return in_force.realloc(ptr, size, in_force.arg);
}

void cio__free(void *ptr)
{
    if (ptr)
        in_force.free(ptr, in_force.arg);
}

size_t cio__page_size(void)
{
    static size_t size;
    size_t known = __atomic_load_n(&size, __ATOMIC_RELAXED);
    if (!known) {
        known = (size_t)sysconf(_SC_PAGESIZE);
        __atomic_store_n(&size, known, __ATOMIC_RELAXED);
    }
    return known;
}

/* A stack made of a huge page would cost two megabytes when its first byte is touched. */
void *cio__pages_map(size_t size)
{
    void *pages = in_force.map(size, in_force.arg);
    if (pages)
        madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

void cio__pages_unmap(void *pages, size_t size)
{
    in_force.unmap(pages, size, in_force.arg);
}

void cio__pages_discard(void *pages, size_t size)
{
    madvise(pages, size, MADV_DONTNEED);
}

static void *guard_at(void *first, size_t stride, int i)
{
    return (char *)first + stride * (size_t)i;
}

/* All guards of a slab by one system call; true if the kernel took every one of them. */
static bool guard_batch(void *first, size_t stride, int n)
{
    struct iovec guards[GUARDS_AT_ONCE];
    size_t page = cio__page_size();
    if (n > GUARDS_AT_ONCE || RUNNING_ON_VALGRIND)
        return false;
    for (int i = 0; i < n; i++)
        guards[i] = (struct iovec){.iov_base = guard_at(first, stride, i), .iov_len = page};

    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0)
        return false;
    long done = syscall(SYS_process_madvise, self, guards, (size_t)n, MADV_GUARD_INSTALL, 0u);
    close(self);
    return done == (long)((size_t)n * page);
}

/*
 * Emulators say yes to every advice that they do not know (qemu-user does). The kernel refuses to
 * fill in a page that is a guard.
 */
static bool is_guard(void *page)
{
    return madvise(page, cio__page_size(), MADV_POPULATE_READ) < 0;
}

static bool guard_one(void *page)
{
    size_t size = cio__page_size();
    return (madvise(page, size, MADV_GUARD_INSTALL) == 0 && is_guard(page)) ||
           mprotect(page, size, PROT_NONE) == 0;
}

/*
 * Guard pages of the page table (Linux 6.13) cost no mapping. Before that each guard splits its
 * mapping in two, and vm.max_map_count (65 530 by default) bounds a process to some 32 000 stacks.
 */
bool cio__pages_guard(void *first, size_t stride, int n)
{
    if (n > 1 && guard_batch(first, stride, n))
        return true;
    for (int i = 0; i < n; i++)
        if (!guard_one(guard_at(first, stride, i)))
            return false;
    return true;
}
