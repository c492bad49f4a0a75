/*
 * What a wait says of itself to those who look at tasks: dumps, and the report of a deadlock.
 *
 * A kind of wait has a function tell(wait, tale) that calls these. It runs in the loop's thread, or
 * in another one while the loop's thread stands still: it reads what the wait points to, allocates
 * nothing and changes nothing. A lock, for example:
 *
 *     cio__tell(tale, "lock %p, held by", (void *)waiting->lock);
 *     cio__tell_future(tale, waiting->lock->holder);
 */
#ifndef CIO_TASK_TELL_H
#define CIO_TASK_TELL_H

#include <cio/future.h>

#define CIO__TALE_TEXT 96
#define CIO__TALE_FUTURES 12

struct cio__tale {
    const cio_task *task;                      /* who waits */
    char text[CIO__TALE_TEXT];                 /* for which object */
    const cio_future *ends[CIO__TALE_FUTURES]; /* whose end, or whose act, would end the wait */
    size_t n_ends;                             /* of all of them, also those without room */
};

/* Says what is waited for, as printf() would write it; what is too long is cut off. */
void cio__tell(struct cio__tale *tale, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Names a future or task that the wait cannot end without, or one of several that would end it.
 * From these the await tree and the cycles are made. NULL is nobody.
 */
void cio__tell_future(struct cio__tale *tale, const cio_future *future);

#endif
