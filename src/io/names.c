/* Lookups by name and by address, for tasks. */
#include <cio/names.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "io/address.h"
#include "io/errand.h"
#include "loop/debug.h"
#include "os/memory.h"
#include "os/names.h"
#include "task/tell.h"

#define SERVICE_SIZE_MOST 256 /* bytes; a host's name: NI_MAXHOST */

/* ---- by name ---- */

struct lookup {
    struct cio__errand errand; /* first */
    struct addrinfo hints;
    struct addrinfo *found;
    const char *host; /* NULL: none; it and service follow the struct */
    const char *service;
};

static void free_lookup(struct cio__errand *errand)
{
    struct lookup *self = (struct lookup *)errand;
    cio__libc_free(self->found);
    cio__free(self);
}

static int look_up(void *arg)
{
    struct lookup *self = arg;
    return cio__libc_addresses(self->host, self->service, &self->hints, &self->found);
}

static void tell_lookup(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct lookup *self =
        (const struct lookup *)((const struct cio__errand_wait *)wait)->errand;
    cio__tell(tale, "the addresses of %s", self->host ? self->host : self->service);
}

static char *copy_text(char *to, const char *text, const char **ret_copy)
{
    if (!text)
        return to;
    size_t size = strlen(text) + 1;
    *ret_copy = memcpy(to, text, size);
    return to + size;
}

static struct lookup *make_lookup(const char *host, const char *service,
                                  const struct addrinfo *hints)
{
    size_t size = sizeof(struct lookup) + (host ? strlen(host) + 1 : 0) +
                  (service ? strlen(service) + 1 : 0);
    struct lookup *self = cio__alloc(size);
    if (!self)
        return NULL;
    *self = (struct lookup){.errand = {.job.fn = look_up, .free = free_lookup}, .hints = *hints};
    copy_text(copy_text((char *)(self + 1), host, &self->host), service, &self->service);
    return self;
}

/* Whether the current task may wait for a lookup: CIO_ECANCELED if it was canceled before. */
static int begin_wait(cio_executor **ret_threads)
{
    if (!cio__current)
        return CIO_ENOTASK;
    if (cio__current->must_cancel) {
        cio__current->must_cancel = false;
        return CIO_ECANCELED;
    }
    *ret_threads = cio__name_threads();
    return *ret_threads ? 0 : cio_last_error();
}

static int look_up_in_thread(const char *host, const char *service, const struct addrinfo *hints,
                             struct addrinfo **ret)
{
    static const struct cio__wait_kind kind = {.name = "cio_getaddrinfo", .tell = tell_lookup};
    cio_executor *threads;
    if (host && strlen(host) >= NI_MAXHOST)
        return CIO_EAI_NONAME;
    if (service && strlen(service) >= SERVICE_SIZE_MOST)
        return CIO_EAI_SERVICE;
    int rc = begin_wait(&threads);
    if (rc < 0)
        return rc;
    struct lookup *self = make_lookup(host, service, hints);
    if (!self)
        return -ENOMEM;
    int64_t asked_ns = cio__now_ns(cio__running);
    rc = cio__errand_run(&self->errand, threads, &kind);
    if (rc < 0)
        return rc;
    cio__debug_looked_up(cio__running, self->host ? self->host : self->service, asked_ns);
    rc = self->errand.job.rc;
    if (rc == 0)
        rc = cio__addresses_copy(self->found, ret);
    free_lookup(&self->errand);
    return rc;
}

int cio_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **ret)
{
    if (!ret)
        return -EINVAL;
    *ret = NULL;
    if (host ? !*host : !service)
        return CIO_EAI_NONAME;
    struct addrinfo asked = {0};
    if (hints) { /* the rest of it must be zero, and need not be */
        asked.ai_flags = hints->ai_flags;
        asked.ai_family = hints->ai_family;
        asked.ai_socktype = hints->ai_socktype;
        asked.ai_protocol = hints->ai_protocol;
    }
    int rc = cio__addresses_of_numbers(host, service, &asked, ret);
    return rc > 0 ? look_up_in_thread(host, service, &asked, ret) : rc;
}

/* ---- by address ---- */

struct reverse {
    struct cio__errand errand; /* first */
    struct sockaddr_storage address;
    socklen_t size;
    int flags;
    size_t host_size; /* 0: not wanted */
    size_t service_size;
    char host[NI_MAXHOST];
    char service[SERVICE_SIZE_MOST];
};

static void free_reverse(struct cio__errand *errand)
{
    cio__free(errand);
}

static int look_up_names(void *arg)
{
    struct reverse *self = arg;
    return cio__libc_names((struct sockaddr *)&self->address, self->size, self->host,
                           self->host_size, self->service, self->service_size, self->flags);
}

static const char *text_of(const struct reverse *self, char text[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&self->address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&self->address;
    if (self->address.ss_family == AF_INET6)
        return inet_ntop(AF_INET6, &in6->sin6_addr, text, INET6_ADDRSTRLEN);
    return inet_ntop(AF_INET, &in->sin_addr, text, INET6_ADDRSTRLEN);
}

static void tell_reverse(const struct cio__wait *wait, struct cio__tale *tale)
{
    const struct reverse *self =
        (const struct reverse *)((const struct cio__errand_wait *)wait)->errand;
    char text[INET6_ADDRSTRLEN];
    cio__tell(tale, "the name of %s", text_of(self, text));
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The room that the caller has is the room in the block, so what fits there fits here. */
static int look_up_names_in_thread(const struct sockaddr *address, socklen_t size, char *host,
                                   size_t host_size, char *service, size_t service_size, int flags)
{
    static const struct cio__wait_kind kind = {.name = "cio_getnameinfo", .tell = tell_reverse};
    cio_executor *threads;
    int rc = begin_wait(&threads);
    if (rc < 0)
        return rc;
    struct reverse *self = cio__alloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    *self = (struct reverse){.errand = {.job.fn = look_up_names, .free = free_reverse},
                             .size = size,
                             .flags = flags,
                             .host_size = smaller(host_size, sizeof self->host),
                             .service_size = smaller(service_size, sizeof self->service)};
    memcpy(&self->address, address, size);
    int64_t asked_ns = cio__now_ns(cio__running);
    rc = cio__errand_run(&self->errand, threads, &kind);
    if (rc < 0)
        return rc;
    char text[INET6_ADDRSTRLEN];
    cio__debug_looked_up(cio__running, text_of(self, text), asked_ns);
    rc = self->errand.job.rc;
    if (rc == 0 && host_size)
        snprintf(host, host_size, "%s", self->host);
    if (rc == 0 && service_size)
        snprintf(service, service_size, "%s", self->service);
    free_reverse(&self->errand);
    return rc;
}

static bool is_internet(const struct sockaddr *address, socklen_t size)
{
    return (size >= sizeof(struct sockaddr_in) && size <= sizeof(struct sockaddr_storage)) &&
           (address->sa_family == AF_INET ||
            (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)));
}

int cio_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, size_t host_size,
                    char *service, size_t service_size, int flags)
{
    if (!address)
        return -EINVAL;
    if (!host || !host_size) {
        host = NULL;
        host_size = 0;
        flags |= NI_NUMERICHOST;
    }
    if (!service || !service_size) {
        service = NULL;
        service_size = 0;
        flags |= NI_NUMERICSERV;
    }
    if (!host && !service)
        return CIO_EAI_NONAME;
    if (!is_internet(address, size))
        return CIO_EAI_FAMILY;
    if (flags & NI_NUMERICHOST && flags & NI_NUMERICSERV)
        return cio__libc_names(address, size, host, smaller(host_size, NI_MAXHOST), service,
                               smaller(service_size, NI_MAXHOST), flags);
    return look_up_names_in_thread(address, size, host, host_size, service, service_size, flags);
}
