/* The names and sentences of error codes. */
#include <string.h>

#include "os/error.h"

#define SYSTEM_LOWEST (-4095) /* no errno is larger */

static _Thread_local int last_error;

const char *cio_strerror(int rc)
{
    if (rc >= 0)
        return "success";
    switch (rc) {
#define CASE(name, value, text)                                                                    \
    case name: return text;
        CIO_ERRORS(CASE)
#undef CASE
    }
    const char *text = rc >= SYSTEM_LOWEST ? strerrordesc_np(-rc) : NULL;
    return text ? text : "unknown error";
}

const char *cio_err_name(int rc)
{
    if (rc >= 0)
        return "OK";
    switch (rc) {
#define CASE(name, value, text)                                                                    \
    case name: return #name;
        CIO_ERRORS(CASE)
#undef CASE
    }
    const char *name = rc >= SYSTEM_LOWEST ? strerrorname_np(-rc) : NULL;
    return name ? name : "?";
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
