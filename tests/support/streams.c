#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net.h"
#include "streams.h"
#include "test.h"

void ends_of(struct ends *e, const int fds[2], const cio_connect_options *options)
{
    e->peer = fds[1];
    assert_int_equal(cio_open_stream(&e->s, fds[0], options), 0);
}

void ends_open(struct ends *e, const cio_connect_options *options)
{
    int fds[2];
    net_pair(fds, SOCK_STREAM);
    ends_of(e, fds, options);
}

void say_to(const struct ends *e, const char *text)
{
    assert_int_equal(send(e->peer, text, strlen(text), 0), (ssize_t)strlen(text));
}

void settle_streams(void)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(cio_sleep(0.001), 0);
}

int send_bytes(void *arg)
{
    const struct sending *sending = arg;
    char *data = malloc(sending->size);
    assert_non_null(data);
    net_fill(data, sending->size, sending->seed, sending->offset);
    int rc = cio_sock_sendall(sending->fd, data, sending->size);
    free(data);
    return rc;
}

int read_task(void *arg)
{
    const struct reading *r = arg;
    return (int)cio_read(r->s, r->data, r->size);
}

int read_exactly_task(void *arg)
{
    const struct reading *r = arg;
    return (int)cio_read_exactly(r->s, r->data, r->size);
}

int read_until_task(void *arg)
{
    const struct reading *r = arg;
    return (int)cio_read_until(r->s, r->separator, r->data, r->size);
}

int read_line_task(void *arg)
{
    const struct reading *r = arg;
    return (int)cio_read_line(r->s, r->data, r->size);
}

int peek_task(void *arg)
{
    const struct reading *r = arg;
    const void *data;
    return (int)cio_peek(r->s, r->size < 60000 ? r->size : 60000, &data);
}

int write_task(void *arg)
{
    const struct writing *w = arg;
    return cio_write(w->s, w->data, w->size);
}

int flush_task(void *arg)
{
    const struct writing *w = arg;
    return cio_flush(w->s);
}

int close_task(void *arg)
{
    const struct writing *w = arg;
    return cio_close(w->s);
}

static long allocated;

static void *count_realloc(void *ptr, size_t size, void *arg)
{
    (void)arg;
    allocated -= ptr ? (long)malloc_usable_size(ptr) : 0;
    void *block = realloc(ptr, size);
    assert_non_null(block);
    allocated += (long)malloc_usable_size(block);
    return block;
}

static void count_free(void *ptr, void *arg)
{
    (void)arg;
    allocated -= ptr ? (long)malloc_usable_size(ptr) : 0;
    free(ptr);
}

void count_memory(void)
{
    static const cio_allocator allocator = {.realloc = count_realloc, .free = count_free};
    allocated = 0;
    cio_set_allocator(&allocator);
}

void count_memory_no_more(void)
{
    assert_int_equal(allocated, 0);
    cio_set_allocator(NULL);
}

long counted_memory(void)
{
    return allocated;
}
