/* The names and sentences of error codes. */
#include "os/error.h"

#include <stddef.h>

#include "os/errno_names.h"

static _Thread_local int last_error;

const char *cio_strerror(int rc)
{
    if (rc >= 0)
        return "success";
    switch (rc) {
#define CASE(name, value, text)                                                                    \
    case name: return text;
#define SYSTEM(name, text)                                                                         \
    case -name: return text;
        CIO_ERRORS(CASE)
        CIO__ERRNOS(SYSTEM)
#undef CASE
#undef SYSTEM
    }
    return "unknown error";
}

const char *cio_err_name(int rc)
{
    if (rc >= 0)
        return "OK";
    switch (rc) {
#define CASE(name, value, text)                                                                    \
    case name: return #name;
#define SYSTEM(name, text)                                                                         \
    case -name: return #name;
        CIO_ERRORS(CASE)
        CIO__ERRNOS(SYSTEM)
#undef CASE
#undef SYSTEM
    }
    return "?";
}

int cio_last_error(void)
{
    return last_error;
}

void *cio__fail(int rc)
{
    last_error = rc;
    return NULL;
}
