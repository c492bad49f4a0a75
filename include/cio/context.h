/*
 * Context variables (Python's contextvars, as asyncio uses them): values that follow the flow of a
 * program instead of its calls. What a task sets is seen by the functions it calls and by the tasks
 * it starts from then on, and by nobody else: a request's identity, a user, a deadline, a log's
 * prefix, without an argument to every function.
 *
 *     static cio_context_var request_id = CIO_CONTEXT_VAR_INIT("request_id", "-");
 *
 *     cio_context_set(&request_id, name, NULL);      // in the task of the request
 *     printf("%s\n", (char *)cio_context_get(&request_id));      // anywhere below it
 *
 * A context is a set of variables with their values. A task begins with a copy of the context that
 * was current where it was created; a callback (cio_call_soon() and its kin, also from another
 * thread, cio_add_reader(), cio_add_done_callback(), a signal's handler) runs in a copy of the
 * one that was current where it was scheduled; a callback that is called again and again begins
 * each time with that copy. Each thread has a context of its own outside of loops, which the main
 * task of a run inherits. Copies share their values and cost no memory. A program that sets no
 * variable pays nothing for them.
 *
 * Ownership: a variable without `release` holds plain pointers, which must stay valid for as long
 * as a context has them. With `release`, cio_context_set() takes the value over, and release(value)
 * is called once, when the last context that had it has ended or has another one: at the end of the
 * last task that inherited it, say. That may be in any thread that was given a copy, and on a small
 * stack; it must neither wait nor set variables.
 */
#ifndef CIO_CONTEXT_H
#define CIO_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/future.h>
#include <cio/task.h>

CIO_BEGIN

/*
 * A variable (contextvars.ContextVar): a static struct, known by its address. It must outlive every
 * context that has a value for it, and not change after its first use.
 */
typedef struct cio_context_var {
    const char *name;             /* for people; may be NULL */
    void *default_value;          /* where nothing was set; never released */
    void (*release)(void *value); /* NULL: values are not owned */
} cio_context_var;

#define CIO_CONTEXT_VAR_INIT(name, default_value)                                                  \
    {                                                                                              \
        (name), (default_value), NULL                                                              \
    }

/*
 * What cio_context_set() leaves for cio_context_reset(): 32 bytes of the caller's. It holds the
 * value that was there before, so a token of a variable with `release` must be finished, once, by
 * cio_context_reset() or cio_context_forget(). The fields are the library's.
 */
typedef struct cio_context_token {
    const struct cio_context_var *var; /* NULL: used up */
    void *before;
    const void *where;
    uint64_t where_id;
} cio_context_token;

/*
 * The variable's value in the current context, else its default (var.get). Borrowed: valid until
 * the variable is set again here or the context ends. NULL for NULL. It never fails.
 */
CIO_API void *cio_context_get(const cio_context_var *var);

/* Whether it was set in the current context (var in copy_context()). false for NULL. */
CIO_API bool cio_context_has(const cio_context_var *var);

/*
 * Sets it in the current context (var.set). If token is not NULL, it must be finished as above and
 * is the means to get the old value back. Returns 0; -EINVAL for a NULL var; -ENOMEM: nothing has
 * happened, the value is still the caller's.
 */
CIO_API int cio_context_set(const cio_context_var *var, void *value, cio_context_token *token);

/*
 * Gives the variable back the value that it had before that cio_context_set(), or none
 * (var.reset). The value set meanwhile is let go. Returns 0; CIO_ESTATE if the token was used
 * already; -EINVAL for NULLs, for another variable's token, or in another context than that in
 * which it was set; -ENOMEM, only if the context was inherited or copied meanwhile. After an error
 * nothing has happened, and the token may be used again.
 */
CIO_API int cio_context_reset(const cio_context_var *var, cio_context_token *token);

/* Finishes a token without a reset. NULL, or one that was used already: nothing. */
CIO_API void cio_context_forget(cio_context_token *token);

/*
 * A context that is held apart from tasks (contextvars.Context): a plain struct of the caller's, of
 * one pointer, which belongs to one thread at a time and must stay where it is while a task or a
 * call runs in it.
 */
typedef struct cio_context {
    uintptr_t vars; /* the library's */
} cio_context;

/* An empty one. */
#define CIO_CONTEXT_INIT                                                                           \
    {                                                                                              \
        0                                                                                          \
    }

/*
 * Makes context a copy of the current one (contextvars.copy_context). What it held before is not
 * let go: clear it first. Allocates nothing. Returns 0 or -EINVAL for NULL.
 */
CIO_API int cio_context_copy(cio_context *context);

/*
 * The same of a task's, which may be another one than the caller's (task.get_context, but a copy).
 * Returns 0; -EINVAL for NULLs or a plain future; CIO_ESTATE if the task is done: its context ended
 * with it. To see afterwards what a task has set, give it one of yours: cio_task_options.context.
 */
CIO_API int cio_get_context(const cio_task *task, cio_context *context);

/*
 * Calls fn(arg) with context as the current one (context.run) and returns what it returns. What it
 * sets, stays in context. It may wait if the caller may, which asyncio does not allow; meanwhile
 * other tasks have their own contexts. Calls in one and the same context may be nested. A generator
 * must not yield out of fn, or its consumer would go on in context. -EINVAL for NULLs: fn is not
 * called.
 */
CIO_API int cio_context_run(cio_context *context, cio_coroutine *fn, void *arg);

/* The variable's value in a context that need not be current (context.get), else its default. */
CIO_API void *cio_context_get_in(const cio_context *context, const cio_context_var *var);

/*
 * Calls fn(var, value, arg) for each variable that is set in the context, in no order, until it
 * returns false (iteration over a Context). A NULL context: the current one. fn must not change the
 * context; it may be NULL. Returns for how many it was called (NULL: how many are set).
 */
CIO_API int cio_context_each(const cio_context *context,
                             bool (*fn)(const cio_context_var *var, void *value, void *arg),
                             void *arg);

/*
 * Empties it and lets its values go; a task that runs in it sees it empty. For NULL nothing. A
 * context that holds something must be cleared before its memory is given back.
 */
CIO_API void cio_context_clear(cio_context *context);

CIO_END

#endif
