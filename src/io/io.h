/*
 * Floor 3's part of a loop: what is open in it, and the buffers that its connections share.
 */
#ifndef CIO_IO_IO_H
#define CIO_IO_IO_H

#include <cio/loop.h>

#include "loop/links.h"

/* What a read takes when there is something to read, and gives back when that was consumed. */
#define CIO__BUFFER_SIZE ((size_t)64 * 1024)

/* Something that holds a descriptor: a stream, a transport, a server. Part of its struct. */
struct cio__open {
    cio_ring place;                       /* among the loop's */
    void (*drop)(struct cio__open *open); /* the loop closes: gives everything back */
};

#define CIO__IDLE_PIPES 4

struct cio__io {
    cio_loop *loop;
    cio_ring open;
    void *buffers; /* idle ones, each beginning with a pointer to the next */
    int n_buffers;
    int pipes[CIO__IDLE_PIPES][2]; /* idle ones, see pipes.c */
    int n_pipes;
    int pipes_in_use;
    struct cio__batch *batch; /* an idle one, see datagram_receive.c */
};

/* Begins and ends to be among the loop's, which has its struct cio__io; drop is set. */
void cio__open_begin(cio_loop *loop, struct cio__open *open);
void cio__open_end(cio_loop *loop, struct cio__open *open);

/* The loop closes, and the owner has not given it up: tells of it, and where it was made. */
void cio__open_forgotten(cio_loop *loop, const struct cio__open *open, const char *message);

/* Made when it is first asked for. NULL: no memory. */
struct cio__io *cio__io_of(cio_loop *loop);

/* CIO__BUFFER_SIZE bytes; NULL: no memory. The loop must have its struct cio__io. */
void *cio__buffer_take(cio_loop *loop);
void cio__buffer_give(cio_loop *loop, void *buffer);

#endif
