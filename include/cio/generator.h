/*
 * Generators: functions that give out one value after the other, and stand still in between
 * (Python's generators, and its asynchronous ones).
 *
 *     static int count(cio_generator *g, void *arg)
 *     {
 *         for (intptr_t n = 1; n <= (intptr_t)arg; n++) {
 *             int rc = cio_generator_yield(g, (void *)n, NULL);
 *             if (rc < 0)
 *                 return rc;
 *         }
 *         return 0;
 *     }
 *
 *     cio_generator *numbers = cio_generator_new(count, (void *)3);
 *     void *n;
 *     while (cio_generator_next(numbers, &n) > 0)
 *         printf("%d\n", (int)(intptr_t)n);
 *     cio_generator_free(numbers);
 *
 * The body has a stack of its own and runs while its consumer is in one of the calls below, as if
 * the consumer had called it. It needs no loop: a plain main() may use generators. Inside a task
 * the body may also wait, for a timer, a socket or another task: it waits as part of the task that
 * consumes, so a cancellation of that task ends the wait in the body. cio_current_task() there is
 * the consumer, which may be another one each time; for that reason a scope (a timeout, a group)
 * must not be left open over a yield.
 *
 * Values are pointers, or numbers cast to pointers; a generator neither copies nor frees them.
 *
 * Who may use it: one at a time. Whoever resumes a generator that runs (its own body, a circle of
 * generators, another task while the body waits, another thread) gets CIO_EREENTERED, and nothing
 * has happened. One that was made while a loop ran in this thread belongs to that loop, as a task
 * does: it is used in that thread only, and must be freed before the loop is closed; what is left
 * then is reported to the exception handler and freed with the loop. cio_run() first closes those
 * that are suspended (cio_shutdown_generators()). One that was made elsewhere belongs to nobody,
 * may go from thread to thread, and lives until it is freed.
 */
#ifndef CIO_GENERATOR_H
#define CIO_GENERATOR_H

#include <stddef.h>

#include <cio/export.h>

CIO_BEGIN

typedef struct cio_generator cio_generator;

/*
 * A body. It ends by returning: >= 0, or a negative error, which the consumer's call then returns.
 * When cio_generator_yield() returns an error, the body cleans up and returns it.
 */
typedef int cio_generator_fn(cio_generator *g, void *arg);

typedef struct cio_generator_options {
    const char *name; /* for reports; copied; NULL: none */
    size_t
        stack_size; /* usable bytes, 4 KiB .. 1 GiB, rounded up to pages; 0: the loop's, 64 KiB */
} cio_generator_options;

/*
 * A new generator that will run fn(g, arg); nothing runs yet (calling a generator function). The
 * caller owns it: cio_generator_free(). arg must outlive it. The stack is taken when it first runs.
 * NULL on failure, cio_last_error() says why: -EINVAL for a NULL fn or a stack size out of bounds,
 * -ENOMEM, CIO_ESHADOWSTACK.
 */
CIO_API cio_generator *cio_generator_new(cio_generator_fn *fn, void *arg);
CIO_API cio_generator *cio_generator_new_with(const cio_generator_options *options,
                                              cio_generator_fn *fn, void *arg);

/*
 * Runs the body until it yields (next(g), and await anext(g)). Returns
 *
 *   1   it has yielded, and the value is in *value;
 *   0   it has ended, and *value is what cio_generator_return() left, or NULL; asked again, it says
 *       0 again, with NULL (StopIteration);
 *   <0  it has ended with this error, which is told once; asked again, it says 0.
 *
 * value may be NULL. Errors that are not the body's, after which nothing has changed: -EINVAL for a
 * NULL g, CIO_EREENTERED, CIO_EWRONGLOOP if it belongs to a loop that is not the one that runs
 * here, CIO_ENOSTACK if there is no stack to begin on. Canceled: as the body says; it is the body
 * that waits.
 */
CIO_API int cio_generator_next(cio_generator *g, void **value);

/*
 * The same, and the yield in which the body stands leaves sent in its *sent (g.send, g.asend). One
 * that has not begun stands in no yield: it takes only NULL, else CIO_ESTATE.
 */
CIO_API int cio_generator_send(cio_generator *g, void *sent, void **value);

/*
 * The same, and the yield in which the body stands returns rc < 0 (g.throw, g.athrow). One that has
 * not begun ends without running; it and one that has ended return rc. rc >= 0 is -EINVAL.
 */
CIO_API int cio_generator_throw(cio_generator *g, int rc, void **value);

/*
 * Ends it (g.close, g.aclose): the yield in which the body stands returns CIO_ESHUTDOWN, so that it
 * cleans up and returns, usually that code. One that has not begun never runs. Returns 0, also if
 * it had ended before; or the error with which it ended, if it is another; CIO_ESTATE if it yields
 * once more instead, in which case it goes on standing there ("generator ignored GeneratorExit").
 * Else as cio_generator_next(). Canceled: the body's waits are, and it may end with CIO_ECANCELED.
 */
CIO_API int cio_generator_close(cio_generator *g);

/*
 * Closes it if it has not ended, then frees it. Returns as cio_generator_close(). It is freed
 * unless it still runs or stands (CIO_EREENTERED, CIO_EWRONGLOOP, or CIO_ESTATE for one that will
 * not be closed): its frames may be known to others and cannot just be dropped. NULL does nothing.
 */
CIO_API int cio_generator_free(cio_generator *g);

/*
 * In the body, or in what it calls: gives value to the consumer and stands still until it is
 * resumed (yield). Returns 0, with what was sent in *sent (NULL by cio_generator_next()); or the
 * error that was thrown in; or CIO_ESHUTDOWN: the generator is being closed, clean up and return.
 * sent may be NULL. -EINVAL for a NULL g, CIO_ESTATE anywhere but on the body's own stack: nothing
 * has happened then.
 */
CIO_API int cio_generator_yield(cio_generator *g, void *value, void **sent);

/*
 * In the body: yields all that inner yields (yield from). What is sent or thrown in reaches inner;
 * a close closes it. Returns how inner ended, its value in *result, which may be NULL;
 * CIO_ESHUTDOWN when closed, or the error of inner's close; CIO_EREENTERED if inner runs already,
 * which is how a circle is found. inner stays yours to free.
 */
CIO_API int cio_generator_delegate(cio_generator *g, cio_generator *inner, void **result);

/*
 * Ends a body with a value: return cio_generator_return(g, rc, value). Returns rc. rc < 0 leaves no
 * value. (cio_return() would give the value to the task that consumes.)
 */
CIO_API int cio_generator_return(cio_generator *g, int rc, void *value);

/*
 * How it ended: what the body returned, with its value in *value, which may be NULL. CIO_ESHUTDOWN
 * or the error thrown in if it ended before it began; CIO_ESTATE if it has not ended; -EINVAL.
 */
CIO_API int cio_generator_result(const cio_generator *g, void **value);

/* inspect.getgeneratorstate() */
enum {
    CIO_GENERATOR_CREATED,
    CIO_GENERATOR_SUSPENDED,
    CIO_GENERATOR_RUNNING, /* also while its body waits, or consumes another one */
    CIO_GENERATOR_CLOSED,  /* it has ended */
};

/* In which of these states it is; -EINVAL for NULL. */
CIO_API int cio_generator_state(const cio_generator *g);

/*
 * Closes, all at once, the generators of the running loop that stand in a yield, and waits until
 * they have ended (loop.shutdown_asyncgens). They are still to be freed. Errors of theirs go to the
 * exception handler. cio_run() does this when all tasks have ended. Returns 0, CIO_ENOTASK,
 * -ENOMEM; CIO_ECANCELED: those that are being closed go on.
 */
CIO_API int cio_shutdown_generators(void);

CIO_END

#endif
