/* The version of these headers, and of the library that is linked. */
#ifndef CIO_VERSION_H
#define CIO_VERSION_H

#include <cio/export.h>

#define CIO_VERSION_MAJOR 0
#define CIO_VERSION_MINOR 1
#define CIO_VERSION_PATCH 0
#define CIO_VERSION "0.1.0"

CIO_BEGIN

/* The version of the library in use, as "major.minor.patch"; static, never NULL. */
CIO_API const char *cio_version(void);

CIO_END

#endif
