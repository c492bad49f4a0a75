/*
 * In place of floor 4. What floor 1 asks of it is about debug mode, which the Python front has in
 * Python's terms: see debug.c.
 */
#include "loop/debug.h"

int cio__debug_begin(cio_loop *loop, const cio_loop_options *options)
{
    (void)loop;
    (void)options;
    return 0;
}

void cio__debug_free(cio_loop *loop)
{
    (void)loop;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is the real one's */
const char *cio__debug_created_at(cio_loop *loop, const void *thing, char *text, size_t size)
{
    (void)loop;
    (void)thing;
    (void)text;
    (void)size;
    return NULL;
}

void cio__debug_polled(const cio_loop *loop, int64_t asked_ns, int64_t took_ns, int n)
{
    (void)loop;
    (void)asked_ns;
    (void)took_ns;
    (void)n;
}

int cio__debug_check_fd(const cio_loop *loop, int fd)
{
    (void)loop;
    (void)fd;
    return 0;
}

int cio__report_wrong_thread(const cio_loop *loop)
{
    (void)loop;
    return CIO_EWRONGLOOP;
}

bool cio__nothing_will_wake(cio_loop *loop)
{
    (void)loop;
    return false;
}
