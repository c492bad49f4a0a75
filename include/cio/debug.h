/*
 * Seeing what tasks do, and debug mode (asyncio's "Developing with asyncio" and its introspection).
 *
 * Dumps can be had at any time and cost nothing until then. Debug mode is for development: it makes
 * every step of the loop slower. It is on with CIO_DEBUG=1 in the environment, with .debug in
 * cio_loop_options, or by cio_set_debug().
 */
#ifndef CIO_DEBUG_H
#define CIO_DEBUG_H

#include <stdio.h>

#include <cio/export.h>
#include <cio/loop.h>

CIO_BEGIN

/*
 * Writes what every task does: its name and state, what it waits for, its C stack with functions,
 * files and lines; then who waits for whom, and cycles in that (python -m asyncio pstree, and
 * Task.print_stack). In debug mode also for how long, and where the task was created. From any
 * thread, inside a task or not; it waits for no task but blocks while it writes.
 *
 * All loops of the process that run are shown, and those of this thread that do not. A loop of
 * another thread is asked between two callbacks; one that does not answer because a callback blocks
 * is stopped for a moment where it stands, if debug mode is on anywhere or cio_dump_on_signal() is
 * in force; else the dump says that it did not answer.
 *
 * Functions, files and lines of the program's own take elfutils' libdw when the program runs, and
 * debug information; without it there are addresses, which addr2line understands.
 *
 * Returns 0, -EINVAL for a NULL stream or a negative fd, -ENOMEM, or what could not be written.
 */
CIO_API int cio_dump(FILE *stream);
CIO_API int cio_dump_fd(int fd);

/*
 * From now on the signal makes the process write a dump to stderr, by a thread of cio's own: also
 * while a callback blocks a loop. For kill -USR1, opt-in: cio_run() calls this for .dump_signal of
 * its options or $CIO_DUMP_SIGNAL ("USR1", "USR2" or a number). 0 ends it. SIGURG must have its
 * default action, or a loop that is blocked cannot be shown. A blocking sleep(3) or poll(2) of a
 * loop's thread may be cut short by the signal, as by any; other calls go on (SA_RESTART). Returns
 * 0, -EINVAL for no such signal or one that cannot be caught, -EBUSY if the signal has a handler
 * already, -EAGAIN if there can be no further thread.
 */
CIO_API int cio_dump_on_signal(int signal_number);

/*
 * Turns debug mode on or off (loop.set_debug). In the loop's thread. While it is on:
 *
 * - a callback, or a step of a task, that takes longer than the slow-callback duration is reported
 *   to stderr while it still blocks the loop, with the task's name and stack, and when it has
 *   ended, with the time it took;
 * - calls on a loop that runs in another thread return CIO_EWRONGLOOP and are reported to stderr
 *   with the caller's stack. That is: cio_call_soon(), cio_call_later(), cio_call_at(),
 *   cio_add_reader(), cio_add_writer(), cio_create_task_with(), cio_create_future(), cio_cancel(),
 *   cio_set_result(), cio_set_error(), cio_add_done_callback(), cio_stop();
 * - a poll that takes longer than it was asked to, by the slow-callback duration or more, is
 *   reported to stderr: the machine is overloaded, or was asleep;
 * - a lookup by cio_getaddrinfo() or cio_getnameinfo() that takes longer than the slow-callback
 *   duration, the wait for a thread included, is reported to stderr;
 * - cio_sock_connect(), cio_sock_accept(), and those that receive and send, return -EINVAL for a
 *   descriptor that is not non-blocking, which is reported to stderr with the caller's stack;
 * - tasks and futures remember where they were created: cio_exception_context has it, and dumps do.
 *   So do streams, transports and servers, for the report of those that were never closed.
 *
 * To report what still blocks, the loop's thread is interrupted by SIGURG; a sleep(3) or poll(2)
 * that the callback should not make anyway may be cut short by it. Returns 0; -EINVAL for NULL;
 * CIO_ECLOSED; CIO_EWRONGLOOP; -ENOMEM; -EAGAIN if there can be no further thread.
 */
CIO_API int cio_set_debug(cio_loop *loop, bool on);
CIO_API bool cio_get_debug(const cio_loop *loop); /* false for NULL */

/*
 * How many seconds a callback may take in debug mode before it is reported
 * (loop.slow_callback_duration). 0.1 unless set, here or in cio_loop_options. Returns 0, or -EINVAL
 * for NULL, NaN or a duration that is not positive.
 */
CIO_API int cio_set_slow_callback_duration(cio_loop *loop, double seconds);
CIO_API double cio_get_slow_callback_duration(const cio_loop *loop); /* NaN for NULL */

CIO_END

#endif
