/*
 * Task groups (asyncio.TaskGroup): tasks that end before the block that started them.
 *
 *     cio_group g;
 *     cio_group_enter(&g);
 *     cio_group_start(&g, fetch, &a);
 *     cio_group_start(&g, fetch, &b);
 *     return cio_group_exit(&g, 0);
 *
 * When one fails, the others and the body are canceled, and the exit returns its error.
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
    cio_task *waiter;             /* the parent, while it waits in the exit */
    struct cio__child *children;  /* those not done, in order of their start */
    struct cio__child **children_end;
    size_t unfinished;            /* how many those are */
    int state;
    bool exiting;
    bool parent_cancel_requested;
} cio_group;

/*
 * Enters a group in the current task, which becomes its parent. g needs no initialisation and must
 * stay where it is. Returns 0, -EINVAL, CIO_ENOTASK.
 */
CIO_API int cio_group_enter(cio_group *g);

/*
 * Starts fn(arg) as a child (TaskGroup.create_task). Any task of the loop may call it until the group
 * has ended. Returns the child, borrowed: the group finishes it; cio_ref() to keep it longer. NULL:
 * CIO_ESHUTDOWN if the group is being canceled, CIO_ESTATE if not entered or ended; and as
 * cio_create_task(), whose failure also counts as a failed child, so that it is not lost when nobody
 * looks at the returned NULL.
 */
CIO_API cio_task *cio_group_start(cio_group *g, cio_coroutine *fn, void *arg);
CIO_API cio_task *cio_group_start_with(cio_group *g, const cio_task_options *options,
                                       cio_coroutine *fn, void *arg);

/* Cancels every child and the body without an error (TaskGroup.cancel, 3.15). Returns 0 or CIO_ESTATE. */
CIO_API int cio_group_cancel(cio_group *g);

/*
 * Ends the group: waits for every child. rc is what the body ended with; a negative one cancels the
 * children and, unless it is CIO_ECANCELED, counts as an error. Returns the first error if there was
 * one (g->errors has up to CIO_GROUP_ERRORS_MAX of g->error_count, like an ExceptionGroup); else
 * CIO_ECANCELED if the parent was canceled from outside; else rc. After cio_group_cancel(): 0.
 * Canceled while it waits: the children are canceled and waited for. It returns only when no child
 * runs, however often it is canceled.
 */
CIO_API int cio_group_exit(cio_group *g, int rc);

CIO_END

#endif
