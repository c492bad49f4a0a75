/*
 * Names of hosts and services, and their addresses (loop.getaddrinfo, loop.getnameinfo).
 *
 *     static int look_up(void *host)
 *     {
 *         char text[NI_MAXHOST];
 *         struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM};
 *         int rc = cio_getaddrinfo(host, "https", &hints, &all);
 *         if (rc < 0)
 *             return rc;
 *         for (struct addrinfo *a = all; a; a = a->ai_next) {
 *             cio_getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
 *                             NI_NUMERICHOST);
 *             printf("%s\n", text);
 *         }
 *         cio_freeaddrinfo(all);
 *         return 0;
 *     }
 *
 * These are getaddrinfo(3) and getnameinfo(3) of the C library, with its files, servers and order of
 * addresses (RFC 6724), for tasks. What is a number is answered at once: without a thread, without
 * a system call, and also outside tasks and loops. Everything else the C library does in a thread
 * of the loop's, of which it makes up to CIO_NAME_THREADS when they are needed; they are not those
 * of cio_to_thread(), so that slow servers and the program's jobs do not hold each other up. More
 * lookups than that wait their turn. cio_open_connection(), cio_start_server() and their kin look
 * names up by these calls.
 *
 * A canceled call returns at once. A lookup that no thread has begun is forgotten; one that has been
 * begun cannot be stopped: its thread finishes it for nobody, and is free again then. The end of
 * cio_run() does not wait for such a thread.
 *
 * Common errors: CIO_EAI_* of <cio/error.h>, which is what asyncio's gaierror says; the negated
 * errno where that is EAI_SYSTEM, -EMFILE for instance; -ENOMEM; CIO_ECANCELED [total]. For what
 * is no number also CIO_ENOTASK, CIO_ESHUTDOWN after the end of the run, and -EAGAIN if the system
 * has no thread left and there is none yet.
 */
#ifndef CIO_NAMES_H
#define CIO_NAMES_H

#include <netdb.h>
#include <sys/socket.h>

#include <cio/export.h>

CIO_BEGIN

struct addrinfo; /* <netdb.h> has it for programs that are not strict ISO C only */

#define CIO_NAME_THREADS 16 /* lookups that a loop has under way at once, at most */

/*
 * The addresses of a host and a service (loop.getaddrinfo). host: a name; an address as text, with
 * a scope perhaps, "fe80::1%eth0"; NULL: this machine, or all of its interfaces if AI_PASSIVE is
 * among the flags. service: a name, "https"; a port as text; NULL or "": port 0. hints' ai_family,
 * ai_socktype, ai_protocol and ai_flags are as in getaddrinfo(3); NULL: any, and no flags. Without
 * a socket type every address comes once for each type, so say which you want.
 *
 * Returns 0 and at least one address in *ret: a list by ai_next, the caller's, to be given back by
 * cio_freeaddrinfo() and not by freeaddrinfo(). CIO_EAI_NONAME: there is no such host, or host and
 * service are both NULL; CIO_EAI_SERVICE: no such service, or a port above 65535; CIO_EAI_AGAIN: no
 * server answered, try later; and what else is said above. *ret is NULL after an error. -EINVAL if
 * ret is NULL. Names are handed to the C library as they are; AI_IDN has it encode others than
 * ASCII ones. [total]
 */
CIO_API int cio_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                            struct addrinfo **ret);

/* Frees a list, by its first entry as it was returned. NULL does nothing. From any thread. */
CIO_API void cio_freeaddrinfo(struct addrinfo *list);

/*
 * The names of an address (loop.getnameinfo): its host's, by a reverse lookup, in host, and its
 * port's in service, each with its room in bytes (NI_MAXHOST and NI_MAXSERV are enough). NULL or 0
 * bytes: not wanted. flags are those of getnameinfo(3): NI_NUMERICHOST and NI_NUMERICSERV for
 * numbers, and both of them are needed for an answer at once unless the other is not wanted. A
 * host that has no name is given as a number, unless NI_NAMEREQD asks for CIO_EAI_NONAME.
 *
 * Returns 0; CIO_EAI_OVERFLOW if the room is too small; CIO_EAI_FAMILY for an address of another
 * family or of a wrong size; -EINVAL for NULL, CIO_EAI_NONAME if nothing is wanted. After an error
 * what stands in host and service means nothing. [total]
 */
CIO_API int cio_getnameinfo(const struct sockaddr *address, socklen_t size, char *host,
                            size_t host_size, char *service, size_t service_size, int flags);

CIO_END

#endif
