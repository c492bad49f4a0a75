/*
 * Posts of threads that must not be lost: if the loop is closed before the call is made, whoever it
 * was for hears of it.
 */
#ifndef CIO_IO_MAIL_H
#define CIO_IO_MAIL_H

#include <cio/loop.h>

/*
 * cio_call_soon_threadsafe() for the calls that mail.c knows, in the empty context; the second in
 * the caller's. CIO_ECLOSED: it will not be made, and nobody else hears of it.
 */
int cio__mail(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg);
int cio__mail_with_context(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg);

#endif
