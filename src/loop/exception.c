/* Failures that nobody awaits. */
#include <errno.h>
#include <stdio.h>

#include "loop/loop.h"

static void write_to_stderr(const cio_exception_context *context)
{
    const char *message = context->message ? context->message : "unhandled failure";
    fprintf(stderr, "cio: %s", message);
    if (context->name)
        fprintf(stderr, ": '%s'", context->name);
    if (context->error)
        fprintf(stderr, ": %s (%s)", cio_strerror(context->error), cio_err_name(context->error));
    fputc('\n', stderr);
}

int cio_set_exception_handler(cio_loop *loop, cio_exception_handler *handler, void *arg)
{
    if (!loop)
        return -EINVAL;
    loop->exception_handler = handler;
    loop->exception_arg = arg;
    return 0;
}

int cio_call_exception_handler(cio_loop *loop, const cio_exception_context *context)
{
    if (!loop || !context)
        return -EINVAL;
    if (loop->exception_handler)
        loop->exception_handler(loop, context, loop->exception_arg);
    else
        write_to_stderr(context);
    return 0;
}

void cio__report(cio_loop *loop, const char *message, int error, const cio_future *future,
                 const char *name)
{
    cio_exception_context context = {message, error, future, name};
    cio_call_exception_handler(loop, &context);
}
