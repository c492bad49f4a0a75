/*
 * Signals of the operating system (asyncio's loop.add_signal_handler). What is called is no signal
 * handler in the system's sense: it runs in the loop's thread, between other callbacks, and may do
 * what a callback may.
 *
 * Who gets a signal: every loop that has a handler or a waiter for it, in whatever thread it runs
 * and whatever thread the system chose to interrupt. (asyncio: the main thread's loop alone.) It is
 * enough that one thread does not block it. Signals that come faster than the loop turns may be
 * merged, as the system itself merges them; none is lost entirely. They are handled in the order
 * in which they came, two turns after they did, as in asyncio.
 *
 * While some loop has use for a signal, cio has its disposition (SA_RESTART is set). What was there
 * before comes back with the end of the last use, at the latest when the loop is closed; unless
 * somebody has called sigaction() meanwhile: then theirs stays. So with the last use of SIGINT
 * inside cio_run() its rule for ^C is back in force. A forked child begins with what was there
 * before: it has none of its parent's handlers.
 *
 * Refused with -EINVAL are: numbers that are no signal's; SIGKILL and SIGSTOP, which cannot be
 * caught; SIGSEGV, SIGBUS, SIGFPE and SIGILL, which cannot wait for a loop; and SIGCHLD: to learn
 * of a child's end wait for a pidfd with cio_wait_readable().
 */
#ifndef CIO_SIGNAL_H
#define CIO_SIGNAL_H

#include <signal.h>
#include <stdint.h>

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

/* A set of signals: CIO_SIGNAL(SIGINT) | CIO_SIGNAL(SIGTERM). */
typedef uint64_t cio_signal_set;

#define CIO_SIGNAL(number) ((cio_signal_set)1 << ((number)-1))

/*
 * Calls fn(arg) in the loop's thread whenever the signal comes (loop.add_signal_handler), in a copy
 * of the context that is current here. The handle is the caller's and the loop's until the handler
 * is removed; a handler that stood there is removed and its handle given back. From the thread of
 * any loop, which need not run yet. Returns 0; -EINVAL for NULLs and for what is refused above;
 * CIO_ESTATE if the handle is scheduled already; CIO_ECLOSED; CIO_EFORKED in a child process that
 * inherited the loop; -ENOMEM.
 */
CIO_API int cio_add_signal_handler(cio_loop *loop, int number, cio_handle *handle, cio_callback *fn,
                                   void *arg);

/*
 * Takes it back (loop.remove_signal_handler), also by cio_handle_cancel() of its handle. A signal
 * that has come, but for which it was not called yet, is dropped. Returns 1, or 0 if there was
 * none, or -EINVAL.
 */
CIO_API int cio_remove_signal_handler(cio_loop *loop, int number);

/*
 * Waits until one of the signals comes, and returns its number. They are caught during the call
 * only: before and after it they do what they did before, so a second ^C during a shutdown kills,
 * as people expect. To wait for signals again and again use cio_signals, which does not leave gaps.
 * Several tasks may wait for one signal: all get it.
 *
 * CIO_ECANCELED is total: a signal that came at the same moment, and that nobody else got, is sent
 * to the process once more when it does again what it did before. So is a second signal of the set.
 * -EINVAL for an empty set and for what is refused above, CIO_ENOTASK, -ENOMEM. asyncio has no
 * counterpart.
 */
CIO_API int cio_wait_signal(cio_signal_set set);

/*
 * Signals caught from a beginning to an end (trio's open_signal_receiver):
 *
 *     cio_signals signals;
 *     int rc = cio_signals_begin(&signals, CIO_SIGNAL(SIGHUP) | CIO_SIGNAL(SIGTERM));
 *     if (rc < 0)
 *         return rc;
 *     while ((rc = cio_next_signal(&signals)) == SIGHUP)
 *         reload();
 *     cio_signals_end(&signals);
 *
 * It must be ended before the frame that holds it returns. The fields are the library's.
 */
typedef struct cio_signals {
    cio_loop *loop; /* NULL: ended */
    struct cio_signals *next;
    struct cio_signals *previous;
    cio_signal_set set;
    cio_signal_set arrived;   /* and not given out */
    cio_signal_set only_here; /* nobody else got them */
    cio_handle *waiter;
} cio_signals;

/*
 * From here on the signals of the set are caught for it, in the loop that runs in this thread.
 * signals needs no initialisation. Returns 0; -EINVAL for NULL, an empty set and for what is
 * refused above; CIO_ENOLOOP; -ENOMEM: nothing is caught then.
 */
CIO_API int cio_signals_begin(cio_signals *signals, cio_signal_set set);

/*
 * The number of a signal that has come and was not given out yet, the lowest first; waits for one
 * if there is none. CIO_ECANCELED (total: what comes is kept for the next call); -EINVAL for NULL;
 * CIO_ENOTASK; CIO_EWRONGLOOP; CIO_ESTATE if it was ended, or another task waits in it.
 */
CIO_API int cio_next_signal(cio_signals *signals);

/*
 * They are caught no longer. One that has come and was not given out, here or to anybody else, is
 * sent to the process once more. Ending twice, or NULL: nothing. A task that still waits in it goes
 * on waiting until it is canceled: wait for it first.
 */
CIO_API void cio_signals_end(cio_signals *signals);

CIO_END

#endif
