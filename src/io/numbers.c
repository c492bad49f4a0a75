/* Lists of addresses, and those of them that need no lookup. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <cio/error.h>
#include <cio/names.h>

#include "io/address.h"
#include "os/memory.h"
#include "os/names.h"

/* ---- lists ---- */

/* A list is one block, which another may be hung on to. */
struct entry {
    struct addrinfo info; /* first */
    struct sockaddr_in6 address;
};

struct list {
    struct list *also; /* what was appended */
    struct entry entries[];
};

static struct list *list_of(struct addrinfo *first)
{
    return (struct list *)((char *)first - offsetof(struct list, entries));
}

/* Room for n entries and a name, which is copied; *ret_name: its copy. NULL: no memory. */
static struct list *make_list(size_t n, const char *name, char **ret_name)
{
    size_t name_size = name ? strlen(name) + 1 : 0;
    struct list *list = cio__alloc(sizeof *list + n * sizeof *list->entries + name_size);
    if (!list)
        return NULL;
    list->also = NULL;
    *ret_name = NULL;
    if (name)
        *ret_name = memcpy(&list->entries[n], name, name_size);
    return list;
}

static void fill(struct list *list, size_t i, const struct addrinfo *info,
                 const struct sockaddr *address)
{
    struct entry *entry = &list->entries[i];
    entry->info = *info;
    entry->info.ai_addr = (struct sockaddr *)&entry->address;
    entry->info.ai_next = NULL;
    memcpy(&entry->address, address, info->ai_addrlen);
    if (i > 0)
        list->entries[i - 1].info.ai_next = &entry->info;
}

void cio_freeaddrinfo(struct addrinfo *first)
{
    struct list *list = first ? list_of(first) : NULL;
    while (list) {
        struct list *also = list->also;
        cio__free(list);
        list = also;
    }
}

void cio__addresses_append(struct addrinfo *first, struct addrinfo *more)
{
    struct list **place = &list_of(first)->also;
    while (*place)
        place = &(*place)->also;
    *place = list_of(more);
    while (first->ai_next)
        first = first->ai_next;
    first->ai_next = more;
}

int cio__addresses_copy(const struct addrinfo *found, struct addrinfo **ret)
{
    size_t n = 0, i = 0;
    char *name;
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        n += a->ai_addrlen <= sizeof(struct sockaddr_in6);
    if (n == 0)
        return CIO_EAI_NODATA;
    struct list *list = make_list(n, found->ai_canonname, &name);
    if (!list)
        return -ENOMEM;
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(struct sockaddr_in6))
            continue;
        struct addrinfo info = *a;
        info.ai_canonname = i == 0 ? name : NULL;
        fill(list, i++, &info, a->ai_addr);
    }
    *ret = &list->entries[0].info;
    return 0;
}

/* ---- numbers ---- */

/* A port as text, 0 to 65535; nothing is 0. -1: it is a name. CIO_EAI_SERVICE: too large. */
static int port_of(const char *service)
{
    int port = 0;
    for (; service && *service; service++) {
        if (*service < '0' || *service > '9')
            return -1;
        port = port * 10 + (*service - '0');
        if (port > 65535)
            return CIO_EAI_SERVICE; /* the C library would cut it */
    }
    return port;
}

/* An address as text. False: it is a name, or a number that only the C library understands. */
static bool parse_host(const char *host, int port, struct sockaddr_in6 *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
        memcpy(address, &in, sizeof in);
    else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
        memcpy(address, &in6, sizeof in6);
    else
        return false;
    return true;
}

/* An address with a scope: the C library knows the names of interfaces, and need not wait. */
static bool has_scope(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr unused;
    size_t length = strcspn(host, "%");
    if (host[length] != '%' || length >= sizeof address)
        return false;
    memcpy(address, host, length);
    address[length] = 0;
    return inet_pton(AF_INET6, address, &unused) == 1;
}

static const struct addrinfo kinds[] = {
    {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP},
    {.ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP},
    {.ai_socktype = SOCK_RAW, .ai_protocol = 0},
};

static bool is_wanted(const struct addrinfo *kind, const struct addrinfo *hints)
{
    return (!hints->ai_socktype || hints->ai_socktype == kind->ai_socktype) &&
           (!hints->ai_protocol || hints->ai_protocol == kind->ai_protocol);
}

/* Whether we know what the C library would say of a number; it has flags and types without end. */
static bool is_usual(const struct addrinfo *hints)
{
    const int flags = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV;
    if (hints->ai_flags & ~flags)
        return false;
    if (hints->ai_family && hints->ai_family != AF_INET && hints->ai_family != AF_INET6)
        return false;
    return is_wanted(&kinds[0], hints) || is_wanted(&kinds[1], hints);
}

/* Each of the addresses for each kind of socket. */
static int list_numbers(const struct sockaddr_in6 *addresses, size_t n, const char *name,
                        const struct addrinfo *hints, struct addrinfo **ret)
{
    size_t n_kinds = 0, i = 0;
    char *copy;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        n_kinds += is_wanted(&kinds[k], hints);
    struct list *list = make_list(n * n_kinds, name, &copy);
    if (!list)
        return -ENOMEM;
    for (size_t a = 0; a < n; a++) {
        struct addrinfo info = {.ai_family = addresses[a].sin6_family};
        info.ai_addrlen = info.ai_family == AF_INET ? sizeof(struct sockaddr_in)
                                                    : sizeof *addresses;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            if (!is_wanted(&kinds[k], hints))
                continue;
            info.ai_socktype = kinds[k].ai_socktype;
            info.ai_protocol = kinds[k].ai_protocol;
            info.ai_canonname = i == 0 ? copy : NULL;
            fill(list, i++, &info, (const struct sockaddr *)&addresses[a]);
        }
    }
    *ret = &list->entries[0].info;
    return 0;
}

/*
 * This machine, or all of its interfaces. The order is the one that the C library has where both
 * families work; it would try them out, by six system calls.
 */
static int list_own(int port, const struct addrinfo *hints, struct addrinfo **ret)
{
    bool passive = hints->ai_flags & AI_PASSIVE;
    struct sockaddr_in6 addresses[2];
    size_t n = 0;
    if (hints->ai_family != AF_INET)
        n += parse_host(passive ? "::" : "::1", port, &addresses[n]);
    if (hints->ai_family != AF_INET6)
        n += parse_host(passive ? "0.0.0.0" : "127.0.0.1", port, &addresses[n]);
    if (n == 2 && passive) {
        struct sockaddr_in6 first = addresses[0];
        addresses[0] = addresses[1];
        addresses[1] = first;
    }
    return list_numbers(addresses, n, NULL, hints, ret);
}

/* Numbers, by the C library: it then asks nobody. */
static int list_by_libc(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret)
{
    struct addrinfo *found, numeric = *hints;
    numeric.ai_flags |= AI_NUMERICSERV | (host ? AI_NUMERICHOST : 0);
    int rc = cio__libc_addresses(host, service, &numeric, &found);
    if (rc == 0)
        rc = cio__addresses_copy(found, ret);
    cio__libc_free(found);
    return rc;
}

int cio__addresses_of_numbers(const char *host, const char *service, const struct addrinfo *hints,
                              struct addrinfo **ret)
{
    struct sockaddr_in6 address;
    int port = port_of(service);
    if (port < -1)
        return port;
    if (port < 0)
        return hints->ai_flags & AI_NUMERICSERV ? CIO_EAI_NONAME : 1;
    bool number = host && parse_host(host, port, &address);
    if (host && !number && !(hints->ai_flags & AI_NUMERICHOST) && !has_scope(host))
        return 1;
    bool other_family = number && hints->ai_family && hints->ai_family != address.sin6_family;
    if (!is_usual(hints) || other_family || (host ? !number : hints->ai_flags & AI_CANONNAME))
        return list_by_libc(host, service, hints, ret);
    if (!host)
        return list_own(port, hints, ret);
    return list_numbers(&address, 1, hints->ai_flags & AI_CANONNAME ? host : NULL, hints, ret);
}
