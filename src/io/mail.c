/* Posts of threads that must not be lost. */
#include "io/mail.h"

#include "io/executor.h"
#include "io/remote.h"
#include "io/sleeper.h"
#include "loop/loop.h"

static const struct {
    cio_callback *call;
    cio_callback *dropped;
} kinds[] = {
    {cio__job_arrived, cio__job_dropped},
    {cio__sleeper_woken, cio__sleeper_dropped},
    {cio__remote_begin, cio__remote_begin_dropped},
    {cio__remote_ask_to_cancel, cio__remote_ask_dropped},
};

static void dropped(cio_handle *handle)
{
    size_t n = sizeof kinds / sizeof kinds[0], i = 0;
    while (i < n && handle->fn != kinds[i].call)
        i++;
    if (i < n)
        kinds[i].dropped(handle->arg); /* the handle may be gone now */
}

static void hear_of_drops(cio_loop *loop)
{
    if (!__atomic_load_n(&loop->dropped, __ATOMIC_RELAXED))
        __atomic_store_n(&loop->dropped, dropped, __ATOMIC_RELEASE);
}

int cio__mail(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg)
{
    hear_of_drops(loop);
    return cio__post(loop, handle, fn, arg);
}

int cio__mail_with_context(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg)
{
    hear_of_drops(loop);
    return cio_call_soon_threadsafe(loop, handle, fn, arg);
}
