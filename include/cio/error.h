/*
 * Errors. Every function that can fail returns a negative int: a negated errno for what the system
 * said, or one of the codes below for what cio itself has to say. errno is never how an error is
 * told.
 */
#ifndef CIO_ERROR_H
#define CIO_ERROR_H

#include <cio/export.h>

CIO_BEGIN

/*
 * cio's own codes lie below every negated errno, so that a timeout of ours is never mistaken for
 * one of the kernel's (-ETIMEDOUT). The text is what cio_strerror() says.
 */
#define CIO_ERRORS(X)                                                                              \
    X(CIO_ECANCELED, -4097, "canceled")                                                            \
    X(CIO_ETIMEDOUT, -4098, "timed out")                                                           \
    X(CIO_ENOLOOP, -4099, "no running event loop in this thread")                                  \
    X(CIO_ENOTASK, -4100, "must be called inside a task")                                          \
    X(CIO_ERUNNING, -4101, "an event loop is already running in this thread")                      \
    X(CIO_ECLOSED, -4102, "event loop is closed")                                                  \
    X(CIO_EWRONGLOOP, -4103, "attached to a different event loop")                                 \
    X(CIO_ESELF, -4104, "a task cannot await itself")                                              \
    X(CIO_ESTATE, -4105, "invalid state for this operation")                                       \
    X(CIO_ESHUTDOWN, -4106, "shutting down: nothing new is taken")                                 \
    X(CIO_ESTOPPED, -4107, "event loop stopped before the future completed")                       \
    X(CIO_ENOSTACK, -4108, "no memory or mapping left for a task's stack (see vm.max_map_count)")  \
    X(CIO_EFORKED, -4109, "the event loop belongs to the parent process")                          \
    X(CIO_ESHADOWSTACK, -4110, "hardware shadow stacks are on: tasks cannot switch stacks")        \
    X(CIO_EDEADLOCK, -4111, "deadlock: all tasks wait, and nothing is left that could wake one")   \
    X(CIO_EBROKEN, -4112, "the barrier is broken")                                                 \
    X(CIO_EREENTERED, -4113, "the generator is already executing")                                 \
    X(CIO_EOF, -4114, "the peer ended the stream too early")                                       \
    X(CIO_ELIMIT, -4115, "no separator within the limit")                                          \
    X(CIO_ETLS, -4120, "TLS failed: see cio_tls_why()")                                            \
    X(CIO_ECERTIFICATE, -4121, "the peer's certificate was refused: see cio_tls_why()")            \
    X(CIO_ETRUNCATED, -4122, "the TLS connection ended without an announcement")                   \
    CIO_NAME_ERRORS(X)

/*
 * What the resolver says (socket.gaierror): EAI_* of <netdb.h>, which are not the same everywhere.
 * Where it says EAI_MEMORY it is -ENOMEM; EAI_SYSTEM: the negated errno.
 */
#define CIO_NAME_ERRORS(X)                                                                         \
    X(CIO_EAI_BADFLAGS, -4201, "bad flags for a name lookup")                                      \
    X(CIO_EAI_NONAME, -4202, "name or service not known")                                          \
    X(CIO_EAI_AGAIN, -4203, "temporary failure in name resolution")                                \
    X(CIO_EAI_FAIL, -4204, "non-recoverable failure in name resolution")                           \
    X(CIO_EAI_NODATA, -4205, "no address associated with the name")                                \
    X(CIO_EAI_FAMILY, -4206, "address family not supported by name resolution")                    \
    X(CIO_EAI_SOCKTYPE, -4207, "socket type not supported by name resolution")                     \
    X(CIO_EAI_SERVICE, -4208, "service not known for this socket type")                            \
    X(CIO_EAI_ADDRFAMILY, -4209, "the name has no address of this family")                         \
    X(CIO_EAI_OVERFLOW, -4212, "the name is longer than the room for it")

enum {
#define CIO_ERROR_ENUM(name, value, text) name = (value),
    CIO_ERRORS(CIO_ERROR_ENUM)
#undef CIO_ERROR_ENUM
};

/*
 * The sentence for a code: cio's own, or the usual English one for a negated errno. Any other int
 * gives "success" (rc >= 0) or "unknown error". The string is static; never NULL; safe in every
 * thread.
 */
CIO_API const char *cio_strerror(int rc);

/* The name of a code: "CIO_ECANCELED", "ENOMEM", "OK" for rc >= 0, "?" if unknown. Static. */
CIO_API const char *cio_err_name(int rc);

/*
 * Why the last call in this thread that returns a pointer returned NULL; 0 if none has yet. Valid
 * until the next such call: read it at once.
 */
CIO_API int cio_last_error(void);

CIO_END

#endif
