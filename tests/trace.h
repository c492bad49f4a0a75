/*
 * For tests of order: callbacks that write down that they ran, and ways to run a loop for a while.
 *
 *     cio_call_soon(loop, &a, note, "a");
 *     cio_call_soon(loop, &b, note, "b");
 *     run_turn(loop);
 *     assert_trace("ab");
 */
#ifndef CIO_TESTS_TRACE_H
#define CIO_TESTS_TRACE_H

#include <string.h>

#include "test.h"

static struct {
    char text[1024];
    size_t length;
} trace;

/* A callback, and a plain function: appends the string arg to the trace. */
static inline void note(void *arg)
{
    size_t length = strlen(arg);
    assert_true(trace.length + length < sizeof trace.text);
    memcpy(trace.text + trace.length, arg, length + 1);
    trace.length += length;
}

/* The trace is exactly this; it starts anew. */
#define assert_trace(expected)                                                                     \
    do {                                                                                           \
        assert_string_equal(trace.text, expected);                                                 \
        trace.text[trace.length = 0] = '\0';                                                       \
    } while (0)

/* A loop in asyncio's order, also where a turn takes long because the machine has other work. */
static inline cio_loop *new_loop(void)
{
    cio_loop *loop = cio_loop_new(&(cio_loop_options){.turn_budget = CIO_FOREVER});
    assert_non_null(loop);
    return loop;
}

static inline void free_loop(cio_loop *loop)
{
    assert_int_equal(cio_loop_free(loop), 0);
}

/* A callback: arg is the loop. */
static inline void stop_loop(void *arg)
{
    assert_int_equal(cio_stop(arg), 0);
}

/* One turn that does not wait. */
static inline void run_turn(cio_loop *loop)
{
    assert_int_equal(cio_stop(loop), 0);
    assert_int_equal(cio_run_forever(loop), 0);
}

/* As many turns as there are in so many seconds, or until a callback stops the loop. */
static inline void run_for(cio_loop *loop, double seconds)
{
    cio_handle end = CIO_HANDLE_INIT;
    assert_int_equal(cio_call_later(loop, &end, seconds, stop_loop, loop), 0);
    assert_int_equal(cio_run_forever(loop), 0);
    cio_handle_cancel(&end);
}

/*
 * Until so many characters are noted, and a moment longer, so that what comes too often shows.
 * Gives up after a time that is long on any machine.
 */
static inline void run_until_noted(cio_loop *loop, size_t length)
{
    double end = cio_time(loop) + 10.0;
    while (trace.length < length && cio_time(loop) < end)
        run_for(loop, 0.001);
    run_for(loop, 0.001);
}

#endif
