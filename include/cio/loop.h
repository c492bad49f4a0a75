/*
 * The event loop (asyncio's "Event Loop" chapter): callbacks, timers, file descriptors and calls
 * from other threads. Tasks stand on it, but it does not need them: a program or another language's
 * front may use this header alone.
 *
 * A loop belongs to the thread that runs it. cio_call_soon_threadsafe() alone may be called from
 * other threads and from signal handlers.
 *
 * One turn of the loop: wait for files and timers (not at all if something is ready), queue the
 * callbacks of ready files, then those of due timers, then run exactly what was queued when the
 * turn began; what those queue runs in the next turn. While callbacks are always ready the kernel
 * is asked only every few hundred microseconds, and the clock after at most 64 quick callbacks or
 * one slow one, not on every turn.
 *
 * That is asyncio's order, and two things go before it. A turn that has lasted longer than a
 * budget, 1 ms unless the loop's options say otherwise, lets due timers go before the rest of it,
 * and the callbacks that those made ready: a timer is late by one callback, or the budget, and not
 * by all that are ready. The rest of the turn then has as much time as they took, at least one
 * callback. And callbacks and tasks may be of a higher or lower class: see
 * cio_handle_set_priority(). While quick callbacks run, and there are timers or files that could be
 * late, a thread interrupts the loop once a millisecond, so that it notices a slow one; the process
 * has one such thread at most, which ends with its loops and takes no signals.
 */
#ifndef CIO_LOOP_H
#define CIO_LOOP_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cio/export.h>

CIO_BEGIN

/* No limit, wherever a number of seconds is asked for. */
#define CIO_FOREVER ((double)INFINITY)

typedef struct cio_loop cio_loop;
typedef struct cio_future cio_future;
typedef void cio_callback(void *arg);

/* A place in a ring: a list whose end is its beginning. Part of structs below. */
typedef struct cio_ring {
    struct cio_ring *next;
    struct cio_ring *previous;
} cio_ring;

/*
 * One call that the loop owes somebody (asyncio.Handle and TimerHandle). The caller owns it: put it
 * in the struct that the callback works on, zero it, and hand it to one of the calls below, which
 * never copy it. It must stay where it is until its callback has begun or it was canceled; then it
 * may be used again or freed, also by its own callback. The fields are the loop's; what a call from
 * another thread leaves lies close together, as it comes from that one's cache.
 */
typedef struct cio_handle {
    cio_callback *fn;
    void *arg;
    struct cio_loop *loop;
    union {
        struct {
            union {
                uint64_t sequence;       /* timers: the order of equal deadlines */
                struct cio_handle *next; /* in the inbox, and behind the ready ring */
            };
            int64_t when_ns; /* timers: the deadline; watches: their descriptor */
        };
        cio_ring waiting; /* a task's, while it waits for a descriptor */
    };
    const void *hint; /* memory that will be touched first: prefetched; or the callback's context */
    uint32_t slot;    /* where it stands: in the ready ring or in the timer heap */
    uint8_t state;
    int8_t priority; /* enum cio_priority: see cio_handle_set_priority() */
    uint8_t lane;    /* in which of the loop's rings it is queued */
    uint8_t unused;
} cio_handle;

#define CIO_HANDLE_INIT                                                                            \
    {                                                                                              \
        0                                                                                          \
    }

/* A place in a list of handles to be queued when something happens. Part of structs below. */
typedef struct cio_link {
    struct cio_link *next;
    struct cio_link *previous;
    struct cio__links *list; /* NULL: in none */
    cio_handle *handle;
} cio_link;

/*
 * Classes of callbacks and tasks; see cio_handle_set_priority(), and for tasks cio_set_priority().
 */
enum cio_priority {
    CIO_PRIORITY_LOW = -1,
    CIO_PRIORITY_NORMAL = 0,
    CIO_PRIORITY_HIGH = 1,
};

/*
 * What is 0 or NULL may come from the environment. There, a value that makes no sense is told of on
 * stderr and ignored; a backend that there is not is an error.
 */
typedef struct cio_loop_options {
    const char *backend; /* "epoll"; NULL: $CIO_BACKEND, else the default */
    size_t stack_size;   /* usable bytes of a task's stack, rounded up to pages; 0: 64 KiB */
    bool debug;          /* debug mode from the beginning, as with CIO_DEBUG=1: <cio/debug.h> */
    double slow_callback_duration; /* seconds; 0: 0.1 */

    /*
     * In seconds. When a turn has lasted longer, due timers, and what they wake, go before the rest
     * of it. 0: $CIO_TURN_BUDGET, else 0.001. CIO_FOREVER: a turn runs in asyncio's order however
     * long it takes, and the loop needs no thread beside it to notice.
     */
    double turn_budget;
} cio_loop_options;

/*
 * A new loop (asyncio.new_event_loop). options may be NULL. The caller owns it: cio_loop_close(),
 * then cio_loop_free(). NULL on failure, cio_last_error() says why: -ENOMEM, -EMFILE and other
 * system errors, -EINVAL for an unknown backend, a stack size outside 4 KiB .. 1 GiB or a duration
 * or budget that is negative or NaN.
 */
CIO_API cio_loop *cio_loop_new(const cio_loop_options *options);

/*
 * Closes a loop that is not running (loop.close): drops every callback, timer and file watch, and
 * gives its descriptors back. Tasks and futures that still live are reported by name to the
 * exception handler. Closing twice is allowed. Returns 0, -EINVAL for NULL, CIO_ERUNNING if it
 * runs.
 */
CIO_API int cio_loop_close(cio_loop *loop);

/* Closes the loop if need be and frees it. NULL does nothing. Returns as cio_loop_close(). */
CIO_API int cio_loop_free(cio_loop *loop);

/*
 * The loop that runs in this thread, or NULL (asyncio.get_running_loop). A forked child has none.
 */
CIO_API cio_loop *cio_get_running_loop(void);

CIO_API bool cio_is_running(const cio_loop *loop); /* false for NULL */
CIO_API bool cio_is_closed(const cio_loop *loop);  /* true for NULL */

/*
 * Runs the loop in this thread until cio_stop() (loop.run_forever). Returns 0; -EINVAL for NULL,
 * CIO_ECLOSED, CIO_ERUNNING if this loop or another one runs in this thread, CIO_EFORKED in a child
 * process that inherited the loop, or what the kernel said when it could not be polled.
 */
CIO_API int cio_run_forever(cio_loop *loop);

/*
 * Lets the current turn finish, then ends cio_run_forever() (loop.stop). Called before it, exactly
 * one turn runs, without waiting. Only from the loop's thread. Returns 0 or -EINVAL for NULL.
 */
CIO_API int cio_stop(cio_loop *loop);

/*
 * The loop's clock in seconds: monotonic, from an arbitrary start, not counting suspend
 * (loop.time). Read anew on each call. NULL loop: the system's monotonic clock.
 */
CIO_API double cio_time(const cio_loop *loop);

/*
 * Queues fn(arg) for the next turn, after what is already queued (loop.call_soon). Allocates
 * nothing that could fail. Returns 0; -EINVAL for a NULL loop, handle or fn; CIO_ESTATE if the
 * handle is already scheduled; CIO_ECLOSED.
 */
CIO_API int cio_call_soon(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg);

/*
 * Calls fn(arg) once, delay seconds from now, never earlier (loop.call_later). A negative delay is
 * zero; CIO_FOREVER never comes. Timers of equal deadline run in the order in which they were made.
 * Costs one read of the clock. Returns as cio_call_soon(), -EINVAL also for NaN, and -ENOMEM.
 */
CIO_API int cio_call_later(cio_loop *loop, cio_handle *handle, double delay, cio_callback *fn,
                           void *arg);

/* The same at a time of cio_time() (loop.call_at); reads no clock. */
CIO_API int cio_call_at(cio_loop *loop, cio_handle *handle, double when, cio_callback *fn,
                        void *arg);

/*
 * cio_call_soon() from any thread or from a signal handler (loop.call_soon_threadsafe). Makes at
 * most one system call per sleep of the loop, however many threads call. The handle belongs to the
 * loop until the callback begins; only the loop's thread may cancel it. A loop that is closed
 * before it gets to the call drops it; it may be closed while such a call is under way, but freed
 * only after that has returned. Returns as cio_call_soon().
 */
CIO_API int cio_call_soon_threadsafe(cio_loop *loop, cio_handle *handle, cio_callback *fn,
                                     void *arg);

/*
 * The call will not be made (handle.cancel). The handle is the caller's again at once: nothing of
 * the loop points to it. A handle that is not scheduled is left alone. For a file's watch it is
 * cio_remove_reader() or cio_remove_writer(). Only from the loop's thread. NULL does nothing.
 * Returns true if a call was pending and now will not be made.
 */
CIO_API bool cio_handle_cancel(cio_handle *handle);

/* Whether the call is still to be made: queued, or waiting for its time or its file. */
CIO_API bool cio_handle_pending(const cio_handle *handle);

/*
 * A pending timer's time on cio_time()'s clock (TimerHandle.when); NaN if it is no pending timer.
 */
CIO_API double cio_handle_when(const cio_handle *handle);

/*
 * Calls fn(arg) on every turn on which fd can be read from, or written to, without blocking, or has
 * failed (loop.add_reader, loop.add_writer): level-triggered. The watch that stood there is
 * canceled and its handle given back. Returns 0; as cio_call_soon(); -EBADF; -EPERM for a regular
 * file, which is always ready; -ENOMEM; CIO_EFORKED in a child process that inherited the loop.
 * Remove the watch before you close fd.
 */
CIO_API int cio_add_reader(cio_loop *loop, int fd, cio_handle *handle, cio_callback *fn, void *arg);
CIO_API int cio_add_writer(cio_loop *loop, int fd, cio_handle *handle, cio_callback *fn, void *arg);

/*
 * Ends the watch; its handle is the caller's again (loop.remove_reader, loop.remove_writer).
 * Returns 1, or 0 if there was none, or -EINVAL for a NULL loop.
 */
CIO_API int cio_remove_reader(cio_loop *loop, int fd);
CIO_API int cio_remove_writer(cio_loop *loop, int fd);

/*
 * For programs that run callbacks under a lock of their own (an interpreter's, say): before a poll
 * that may block, release(arg) is called in the loop's thread, and acquire(arg) after it; callbacks
 * run with the lock held. A poll that cannot block calls neither. NULLs remove the hooks. No
 * asyncio counterpart. Returns 0 or -EINVAL (NULL loop, or one hook without the other).
 */
CIO_API int cio_set_poll_hooks(cio_loop *loop, cio_callback *release, cio_callback *acquire,
                               void *arg);

/*
 * The class of a call, from the next time on that it is scheduled: in this loop, and to be set
 * before. A call of the high class runs after the callback that runs when it becomes ready, not
 * after all that is ready; but after 64 of them in a row one of another class has its turn. One of
 * the low class runs when nothing else is ready, one at a time; but one in 10 ms, or a turn if those
 * last longer, runs in any case. Within a class the order is that of cio_call_soon(). The first
 * class other than CIO_PRIORITY_NORMAL in a loop makes room for two lists, and from then on every
 * call becoming ready costs some nanoseconds more. No asyncio counterpart.
 *
 * Returns 0; -EINVAL for NULLs or a priority that is none of enum cio_priority; CIO_ESTATE if the
 * handle is scheduled; CIO_ECLOSED; -ENOMEM.
 */
CIO_API int cio_handle_set_priority(cio_loop *loop, cio_handle *handle, int priority);

/* What is known about a failure that nobody awaits. Valid during the call only. */
typedef struct cio_exception_context {
    const char *message;      /* what happened */
    int error;                /* the code that was lost, or 0 */
    const cio_future *future; /* the task or future, or NULL */
    const char *name;         /* its name, or NULL */
    const char *created_at; /* where it was made: "function (file:line)"; NULL without debug mode */
    const char *details;    /* further lines, each with its end, or NULL */
} cio_exception_context;

typedef void cio_exception_handler(cio_loop *loop, const cio_exception_context *context, void *arg);

/*
 * Who hears of failures that nobody awaits (loop.set_exception_handler): called in the loop's
 * thread, possibly on a task's stack; it must not wait. What it reports itself goes to the default.
 * NULL: the default, which writes a line to stderr, and the details. Returns 0 or -EINVAL for a NULL
 * loop.
 */
CIO_API int cio_set_exception_handler(cio_loop *loop, cio_exception_handler *handler, void *arg);

/* Reports to the handler in force (loop.call_exception_handler). Returns 0 or -EINVAL for NULL. */
CIO_API int cio_call_exception_handler(cio_loop *loop, const cio_exception_context *context);

CIO_END

#endif
