/* The names and sentences of error codes. */
#include "os/error.h"

#include <stddef.h>

#include "os/errno_names.h"

static _Thread_local int last_error;

struct error {
    int rc;
    const char *name;
    const char *text;
};

#define OURS(name, value, text) {name, #name, text},
#define SYSTEMS(name, text) {-name, #name, text},

static const struct error errors[] = {CIO_ERRORS(OURS) CIO__ERRNOS(SYSTEMS)};

static const struct error *find(int rc)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].rc == rc)
            return &errors[i];
    return NULL;
}

const char *cio_strerror(int rc)
{
    const struct error *error = find(rc);
    return rc >= 0 ? "success" : error ? error->text : "unknown error";
}

const char *cio_err_name(int rc)
{
    const struct error *error = find(rc);
    return rc >= 0 ? "OK" : error ? error->name : "?";
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
