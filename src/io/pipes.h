/* Pipes through which the kernel moves bytes from socket to socket: a few idle ones a loop. */
#ifndef CIO_IO_PIPES_H
#define CIO_IO_PIPES_H

#include "io/io.h"

#define CIO__PIPE_SIZE ((size_t)256 * 1024) /* bytes; less where the system grants no more */

/* Returns 0, -EMFILE also if too many are in use, or what the system says. */
int cio__pipe_take(cio_loop *loop, int ends[2]);

/* Gives it back; only an empty one is kept. */
void cio__pipe_give(cio_loop *loop, const int ends[2], bool empty);

void cio__pipes_close(struct cio__io *io);

#endif
