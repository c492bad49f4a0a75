/*
 * File descriptors: who waits for which, and what is known of their readiness.
 *
 * Two kinds of interest meet here. A watch (cio_add_reader) is level-triggered and calls its handle
 * again and again. A wait, made by a task's system call that would have blocked, queues its handle
 * once. A descriptor that has waits only is registered with the kernel once, for both directions
 * and edge-triggered, and costs no further call; what the kernel last said is remembered in
 * `ready`, so that a call that cannot succeed need not be made.
 */
#ifndef CIO_LOOP_FILES_H
#define CIO_LOOP_FILES_H

#include <cio/loop.h>

#include "loop/links.h"
#include "os/os.h"

struct cio__file {
    int fd;
    uint32_t generation;  /* a descriptor that was closed and reused is another one */
    uint32_t owned_in;    /* the run of the loop that opened it: so long its registration stands */
    uint8_t registered;   /* the readinesses that the kernel was asked for; 0: none */
    uint8_t ready;        /* the readinesses in which a call may succeed */
    bool short_is_last;   /* a read that does not fill its buffer has emptied the socket */
    bool taken;           /* a transport's or a stream's: not to be watched by others */
    cio_handle *watch[2]; /* indexed by enum cio__direction */
    cio_ring waits[2];    /* of handles' places */
};

enum cio__direction { CIO__READ = 0, CIO__WRITE = 1 };

#define CIO__FILES_A_BLOCK 64

struct cio__files {
    struct cio__file **blocks; /* records never move, as lists point into them */
    size_t n_blocks;
};

void cio__files_free(cio_loop *loop);

/* The record of fd >= 0, made if need be. NULL: cio__file_missing() says why. */
struct cio__file *cio__file_get(cio_loop *loop, int fd);
int cio__file_missing(const cio_loop *loop, int fd);

/*
 * fd is a new descriptor, or will be closed: whatever is known of it is forgotten. Those who wait
 * are woken (they see the generation changed), watches are dropped.
 */
void cio__file_renew(cio_loop *loop, struct cio__file *file);

/*
 * The descriptor was opened by us or taken over, and whatever was known of its number is of another:
 * in this run of the loop nobody else closes it.
 */
void cio__file_own(cio_loop *loop, struct cio__file *file);

/*
 * Queues the handle of a task when the direction may be ready. Returns 0 or a negated errno. After
 * 0 the wait ends with cio__ring_remove(&handle->waiting).
 */
int cio__file_wait(cio_loop *loop, struct cio__file *file, enum cio__direction direction,
                   cio_handle *handle);

static inline bool cio__file_awaited(const struct cio__file *file, enum cio__direction direction)
{
    return !cio__ring_empty(&file->waits[direction]);
}

/*
 * In which readinesses a call in that direction may succeed. After a hang-up a read finds the end,
 * though a short read before it showed the buffer empty.
 */
static inline unsigned cio__readiness_for(enum cio__direction direction)
{
    return direction == CIO__READ ? CIO__READABLE | CIO__HANGUP : CIO__WRITABLE;
}

static inline bool cio__file_may(const struct cio__file *file, enum cio__direction direction)
{
    return file->ready & cio__readiness_for(direction);
}

/* A call has found that it would block. */
static inline void cio__file_would_block(struct cio__file *file, enum cio__direction direction)
{
    file->ready &= (uint8_t)~cio__readiness_for(direction);
}

/*
 * TCP that gave less than there was room for has no more now: the next call need not try. (A unix
 * socket's read ends where another sender or a passed descriptor begins.)
 */
static inline void cio__file_note_read(struct cio__file *file, ssize_t got, size_t room)
{
    if (file->short_is_last && got > 0 && (size_t)got < room)
        file->ready &= (uint8_t)~CIO__READABLE;
}

/* Whether anybody waits for the descriptor or watches it. */
static inline bool cio__file_in_use(const struct cio__file *file)
{
    return file->watch[CIO__READ] || file->watch[CIO__WRITE] ||
           cio__file_awaited(file, CIO__READ) || cio__file_awaited(file, CIO__WRITE);
}

/* What the backend said of a descriptor. */
void cio__file_event(cio_loop *loop, const struct cio__event *event);

/* Ends a watch. Returns 1, or 0 if there was none. */
int cio__file_unwatch(cio_loop *loop, int fd, enum cio__direction direction);

#endif
