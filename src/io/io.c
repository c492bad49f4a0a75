/* What floor 3 keeps for a loop. */
#include "io/io.h"

#include "io/pipes.h"

#include <cio/debug.h>

#include "loop/debug.h"
#include "loop/loop.h"
#include "os/memory.h"

#define IDLE_BUFFERS_MOST 16 /* as many stay warm; a loop reads from one connection at a time */

/*
 * The kernel copies into a buffer that begins with a cache line by a fifteenth faster, so that all
 * do. Where the block begins that it lies in is told before its first byte.
 */
static void *make_buffer(void)
{
    char *block = cio__alloc(CIO__BUFFER_SIZE + CIO__CACHE_LINE);
    if (!block)
        return NULL;
    void **buffer = (void **)(block + CIO__CACHE_LINE - (uintptr_t)block % CIO__CACHE_LINE);
    buffer[-1] = block;
    return buffer;
}

static void free_buffer(void *buffer)
{
    cio__free(((void **)buffer)[-1]);
}

static void close_io(cio_loop *loop)
{
    struct cio__io *io = loop->io;
    while (!cio__ring_empty(&io->open)) {
        struct cio__open *open = (struct cio__open *)io->open.next; /* its first field */
        open->drop(open);
    }
    while (io->buffers) {
        void *buffer = io->buffers;
        io->buffers = *(void **)buffer;
        free_buffer(buffer);
    }
    cio__free(io->batch);
    cio__pipes_close(io);
    cio__free(io);
    loop->io = NULL;
    loop->close_io = NULL;
}

void cio__open_begin(cio_loop *loop, struct cio__open *open)
{
    cio__ring_append(&loop->io->open, &open->place);
    if (unlikely(cio_get_debug(loop)))
        cio__debug_created(loop, open);
}

void cio__open_end(cio_loop *loop, struct cio__open *open)
{
    cio__ring_remove(&open->place);
    if (unlikely(loop->debug != NULL))
        cio__debug_ended(loop, open);
}

void cio__open_forgotten(cio_loop *loop, const struct cio__open *open, const char *message)
{
    if (!cio__loop_inherited(loop))
        cio__report_unclosed(loop, message, open);
}

struct cio__io *cio__io_of(cio_loop *loop)
{
    if (likely(loop->io != NULL))
        return loop->io;
    struct cio__io *io = cio__alloc(sizeof *io);
    if (!io)
        return NULL;
    *io = (struct cio__io){.loop = loop};
    cio__ring_init(&io->open);
    loop->io = io;
    loop->close_io = close_io;
    return io;
}

void *cio__buffer_take(cio_loop *loop)
{
    struct cio__io *io = loop->io;
    void *buffer = io->buffers;
    if (unlikely(!buffer))
        return make_buffer();
    io->buffers = *(void **)buffer;
    io->n_buffers--;
    return buffer;
}

void cio__buffer_give(cio_loop *loop, void *buffer)
{
    struct cio__io *io = loop->io;
    if (unlikely(io->n_buffers == IDLE_BUFFERS_MOST)) {
        free_buffer(buffer);
        return;
    }
    *(void **)buffer = io->buffers;
    io->buffers = buffer;
    io->n_buffers++;
}
