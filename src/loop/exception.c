/* Failures that nobody awaits. */
#include <errno.h>
#include <stdio.h>

#include "loop/debug.h"

static void write_to_stderr(const cio_exception_context *context)
{
    const char *message = context->message ? context->message : "unhandled failure";
    fprintf(stderr, "cio: %s", message);
    if (context->name)
        fprintf(stderr, ": '%s'", context->name);
    if (context->error)
        fprintf(stderr, ": %s (%s)", cio_strerror(context->error), cio_err_name(context->error));
    if (context->created_at)
        fprintf(stderr, "; created at %s", context->created_at);
    fputc('\n', stderr);
    if (context->details)
        fputs(context->details, stderr);
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
    if (!loop->exception_handler || loop->in_exception_handler) {
        write_to_stderr(
            context); /* also what goes wrong in a handler: it is not called in itself */
        return 0;
    }
    loop->in_exception_handler = true;
    loop->exception_handler(cio__give_away(loop), context, loop->exception_arg);
    loop->in_exception_handler = false;
    return 0;
}

static void report(cio_loop *loop, cio_exception_context *context, const void *thing)
{
    char place[256];
    if (thing && loop->debug)
        context->created_at = cio__debug_created_at(loop, thing, place, sizeof place);
    cio_call_exception_handler(loop, context);
}

void cio__report(cio_loop *loop, const char *message, int error, const cio_future *future,
                 const char *name)
{
    cio_exception_context context = {
        .message = message, .error = error, .future = future, .name = name};
    report(loop, &context, future);
}

void cio__report_unclosed(cio_loop *loop, const char *message, const void *thing)
{
    cio_exception_context context = {.message = message};
    report(loop, &context, thing);
}
