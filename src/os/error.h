/* How a function that returns a pointer fails. */
#ifndef CIO_OS_ERROR_H
#define CIO_OS_ERROR_H

#include <cio/error.h>

/* Remembers rc for cio_last_error(), and returns NULL. */
void *cio__fail(int rc);

#endif
