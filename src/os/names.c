/* The C library's resolver. */
#include "os/names.h"

#include <errno.h>
#include <stddef.h>

#include <cio/error.h>

/* Some C libraries do not have all of these, and say EAI_NONAME or EAI_FAMILY instead. */
static int error_of(int code, int saved_errno)
{
    switch (code) {
    case 0: return 0;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return saved_errno > 0 ? -saved_errno : CIO_EAI_FAIL;
    case EAI_AGAIN: return CIO_EAI_AGAIN;
    case EAI_BADFLAGS: return CIO_EAI_BADFLAGS;
    case EAI_FAIL: return CIO_EAI_FAIL;
    case EAI_FAMILY: return CIO_EAI_FAMILY;
    case EAI_NONAME: return CIO_EAI_NONAME;
    case EAI_OVERFLOW: return CIO_EAI_OVERFLOW;
    case EAI_SERVICE: return CIO_EAI_SERVICE;
    case EAI_SOCKTYPE: return CIO_EAI_SOCKTYPE;
#ifdef EAI_NODATA
    case EAI_NODATA: return CIO_EAI_NODATA;
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY: return CIO_EAI_ADDRFAMILY;
#endif
#ifdef EAI_IDN_ENCODE
    case EAI_IDN_ENCODE: return CIO_EAI_NONAME; /* such a name cannot exist */
#endif
    default: return CIO_EAI_FAIL;
    }
}

int cio__libc_addresses(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret)
{
    *ret = NULL;
    errno = 0;
    int code = getaddrinfo(host, service, hints, ret);
    if (code != 0)
        *ret = NULL;
    return error_of(code, errno);
}

int cio__libc_names(const struct sockaddr *address, socklen_t size, char *host, size_t host_size,
                    char *service, size_t service_size, int flags)
{
    errno = 0;
    int code = getnameinfo(address, size, host, (socklen_t)host_size, service,
                           (socklen_t)service_size, flags);
    return error_of(code, errno);
}

void cio__libc_free(struct addrinfo *addresses)
{
    if (addresses)
        freeaddrinfo(addresses);
}
