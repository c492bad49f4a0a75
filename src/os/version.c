/* Which library this is. */
#include <cio/version.h>

const char *cio_version(void)
{
    return CIO_VERSION;
}
