/* Futures: results, callbacks, references. */
#include <cio/future.h>

#include <errno.h>

#include "loop/debug.h"
#include "task/task.h"

cio_future *cio_create_future(cio_loop *loop)
{
    if (!loop)
        return cio__fail(-EINVAL);
    int rc = cio__check_open(loop);
    if (rc < 0)
        return cio__fail(rc);
    struct cio__tasks *tasks = cio__tasks_of(loop);
    struct cio_future *future = tasks ? cio__future_alloc(tasks) : NULL;
    if (!future)
        return cio__fail(-ENOMEM);
    if (unlikely(!loop->quick_tasks))
        cio__debug_created(loop, future);
    return future;
}

cio_future *cio_future_new(void)
{
    return cio__running ? cio_create_future(cio__running) : cio__fail(CIO_ENOLOOP);
}

static int set(cio_future *future, int rc, void *value)
{
    if (future->state != CIO__PENDING || future->is_task)
        return CIO_ESTATE;
    int checked = cio__check_open(future->step.loop);
    if (unlikely(checked < 0))
        return checked;
    cio__future_finish(future, rc, value);
    return 0;
}

int cio_set_result(cio_future *future, int rc, void *value)
{
    return future && rc >= 0 ? set(future, rc, value) : -EINVAL;
}

int cio_set_error(cio_future *future, int rc)
{
    return future && rc < 0 ? set(future, rc, NULL) : -EINVAL;
}

bool cio_done(const cio_future *future)
{
    return future && future->state == CIO__FINISHED;
}

bool cio_cancelled(const cio_future *future)
{
    return cio_done(future) && future->rc == CIO_ECANCELED;
}

int cio_result(cio_future *future)
{
    if (!future)
        return -EINVAL;
    if (future->state != CIO__FINISHED)
        return CIO_ESTATE;
    future->known = true;
    return future->rc;
}

void *cio_result_value(const cio_future *future)
{
    return cio_done(future) ? future->value : NULL;
}

cio_future *cio_ref(cio_future *future)
{
    if (future)
        future->references++;
    return future;
}

int cio_detach(cio_future *future)
{
    if (!future)
        return 0;
    if (future->state == CIO__FREE)
        return CIO_ESTATE;
    cio__unref(future);
    return 0;
}

cio_loop *cio_get_loop(const cio_future *future)
{
    return future ? cio__give_away(future->step.loop) : NULL;
}

static void run_done_callback(void *arg)
{
    cio_done_callback *callback = arg;
    cio_future *future = callback->future;
    callback->future = NULL;
    callback->fn(future, callback->arg); /* it may free the callback */
    cio__unref(future);
}

int cio_add_done_callback(cio_future *future, cio_done_callback *callback, cio_done_fn *fn,
                          void *arg)
{
    if (!future || !callback || !fn)
        return -EINVAL;
    if (callback->future)
        return CIO_ESTATE;
    int rc = cio__check_open(future->step.loop);
    if (rc < 0)
        return rc;
    *callback = (cio_done_callback){.future = cio_ref(future), .fn = fn, .arg = arg};
    callback->handle.fn = run_done_callback;
    callback->handle.arg = callback;
    callback->handle.loop = future->step.loop;
    callback->handle.hint = cio__vars_hint(&callback->handle, 0);
    cio__future_listen(future, &callback->link, &callback->handle);
    return 0;
}

int cio_remove_done_callback(cio_done_callback *callback)
{
    if (!callback || !callback->future)
        return 0;
    cio__link_remove(&callback->link);
    cio_handle_cancel(&callback->handle);
    CIO__FORGET_VARS(&callback->handle);
    cio_future *future = callback->future;
    callback->future = NULL;
    cio__unref(future);
    return 1;
}
