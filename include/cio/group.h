/*
 * Task groups (asyncio.TaskGroup): tasks that end before the block that started them.
 *
 *     cio_group g;
 *     cio_group_enter(&g);
 *     cio_group_start(&g, fetch, &a);
 *     cio_group_start(&g, fetch, &b);
 *     return cio_group_exit(&g, 0);
 *
 * When one fails, the others and the body are canceled, and the exit returns its error. Once
 * entered, a group must be exited before the frame that holds it returns: the children write into
 * it.
 */
#ifndef CIO_GROUP_H
#define CIO_GROUP_H

#include <cio/export.h>
#include <cio/task.h>

CIO_BEGIN

#define CIO_GROUP_ERRORS_MAX 8

typedef struct cio_group {
    int error_count;                  /* how many failed: the children, and the body */
    int errors[CIO_GROUP_ERRORS_MAX]; /* the first of their errors, in order */

    /* The rest is the group's. */
    cio_task *parent;
    cio_task *waiter;            /* the parent, while it waits in the exit */
    struct cio__child *children; /* those not done, in order of their start */
    struct cio__child **children_end;
    size_t unfinished; /* how many those are */
    int state;
    bool exiting;
    bool parent_cancel_requested;
} cio_group;

/*
 * Enters a group in the current task, which becomes its parent (async with TaskGroup()). g needs no
 * initialisation and must stay where it is. Returns 0, -EINVAL, CIO_ENOTASK.
 */
CIO_API int cio_group_enter(cio_group *g);

/*
 * Starts fn(arg) as a child (TaskGroup.create_task). Any task of the loop may call it until the
 * group has ended. Returns the child, borrowed: the group finishes it; cio_ref() to keep it longer.
 * NULL: CIO_ESHUTDOWN if the group is being canceled, CIO_ESTATE if not entered or ended; and as
 * cio_create_task(), whose failure also counts as a failed child, so that it is not lost when
 * nobody looks at the returned NULL.
 */
CIO_API cio_task *cio_group_start(cio_group *g, cio_coroutine *fn, void *arg);
CIO_API cio_task *cio_group_start_with(cio_group *g, const cio_task_options *options,
                                       cio_coroutine *fn, void *arg);

/*
 * Cancels every child and the body without an error (TaskGroup.cancel, 3.15). From any task or
 * callback of the loop. Returns 0, -EINVAL for NULL, CIO_ESTATE if not entered or ended.
 */
CIO_API int cio_group_cancel(cio_group *g);

/*
 * Ends the group: waits for every child (the end of the async with block). rc is what the body
 * ended with; a negative one cancels the children and, unless it is CIO_ECANCELED, counts as an
 * error.
 *
 * Returns the first error if there was one: a child's before the body's (g->errors has up to
 * CIO_GROUP_ERRORS_MAX of g->error_count, like an ExceptionGroup); a cancellation from outside is
 * then kept for the parent's next wait. Else CIO_ECANCELED if the parent was canceled from outside.
 * Else rc, or 0 if the body ended by our own cancellation.
 *
 * Canceled while it waits: the children are canceled and waited for. It returns only when no child
 * runs, however often it is canceled. -EINVAL for NULL; CIO_ESTATE if g is not entered, is being
 * exited, or belongs to another task.
 */
CIO_API int cio_group_exit(cio_group *g, int rc);

CIO_END

#endif
