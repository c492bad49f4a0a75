/* Pipes for moving bytes. */
#include "io/pipes.h"

#include <errno.h>

#include "loop/loop.h"

#define IN_USE_MOST 64 /* each is two descriptors; who gets none copies */

int cio__pipe_take(cio_loop *loop, int ends[2])
{
    struct cio__io *io = loop->io;
    if (io->pipes_in_use == IN_USE_MOST)
        return -EMFILE;
    int rc = 0;
    if (io->n_pipes > 0) {
        io->n_pipes--;
        ends[0] = io->pipes[io->n_pipes][0];
        ends[1] = io->pipes[io->n_pipes][1];
    } else {
        rc = loop->os->ops->open_pipe(loop->os, ends, CIO__PIPE_SIZE);
    }
    io->pipes_in_use += rc == 0;
    return rc;
}

static void close_pipe(cio_loop *loop, const int ends[2])
{
    loop->os->ops->close_fd(loop->os, ends[0]);
    loop->os->ops->close_fd(loop->os, ends[1]);
}

void cio__pipe_give(cio_loop *loop, const int ends[2], bool empty)
{
    struct cio__io *io = loop->io;
    io->pipes_in_use--;
    if (!empty || io->n_pipes == CIO__IDLE_PIPES) {
        close_pipe(loop, ends);
        return;
    }
    io->pipes[io->n_pipes][0] = ends[0];
    io->pipes[io->n_pipes][1] = ends[1];
    io->n_pipes++;
}

void cio__pipes_close(struct cio__io *io)
{
    while (io->n_pipes > 0)
        close_pipe(io->loop, io->pipes[--io->n_pipes]);
}
