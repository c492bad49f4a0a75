/*
 * A resolver for tests, in place of the C library's: the names that a test has said are known, and
 * a lookup takes as long as the test wants. All others, and all numbers, are the C library's.
 * Include it in the one file of a test program; it defines getaddrinfo() and getnameinfo().
 */
#ifndef CIO_TESTS_RESOLVER_H
#define CIO_TESTS_RESOLVER_H

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test.h"

static struct resolver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned naps;    /* lookups of names take up to so many microseconds; 0: none */
    bool held;        /* lookups of names wait until it is not */
    int running;      /* lookups of names that are inside */
    int most;         /* as many were at once */
    int finished;     /* and as many have left */
    int numbers;      /* lookups with AI_NUMERICHOST or of no host */
    int lists;        /* results that were not freed */
    pthread_t thread; /* of the last one */
    struct {
        const char *host;
        const char *addresses; /* as text, with a space between; NULL: code */
        int code;
        int error; /* errno */
    } said[16];
    int n_said;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__attribute__((unused)) static void resolver_say(const char *host, const char *addresses)
{
    resolver.said[resolver.n_said].host = host;
    resolver.said[resolver.n_said++].addresses = addresses;
}

__attribute__((unused)) static void resolver_fail(const char *host, int code, int error)
{
    resolver.said[resolver.n_said].host = host;
    resolver.said[resolver.n_said].code = code;
    resolver.said[resolver.n_said++].error = error;
}

__attribute__((unused)) static void resolver_hold(bool held)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.held = held;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
}

/* Lookups may be under way: those that their loop has left behind. */
__attribute__((unused)) static void resolver_nap(unsigned most_us)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.naps = most_us;
    pthread_mutex_unlock(&resolver.lock);
}

/* A number that the threads count; they count on meanwhile. */
__attribute__((unused)) static int resolver_count(const int *number)
{
    pthread_mutex_lock(&resolver.lock);
    int n = *number;
    pthread_mutex_unlock(&resolver.lock);
    return n;
}

/* Waits, in a task, until a number is as large. */
__attribute__((unused)) static void resolver_await(const int *number, int n)
{
    while (resolver_count(number) < n)
        cio_sleep(0.001);
}

/* The same in a thread without a loop. */
__attribute__((unused)) static void resolver_block(const int *number, int n)
{
    while (resolver_count(number) < n)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void resolver_enter(void)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.thread = pthread_self();
    if (++resolver.running > resolver.most)
        resolver.most = resolver.running;
    while (resolver.held)
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    unsigned nap_us = resolver.naps ? (unsigned)resolver.finished * 2654435761U % resolver.naps : 0;
    pthread_mutex_unlock(&resolver.lock);
    if (nap_us > 0)
        nanosleep(&(struct timespec){.tv_nsec = nap_us * 1000L}, NULL);
}

static void resolver_leave(void)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.running--;
    resolver.finished++;
    pthread_mutex_unlock(&resolver.lock);
}

typedef int resolver_addresses(const char *, const char *, const struct addrinfo *,
                               struct addrinfo **);

/* The addresses one by one, as numbers, chained: the C library frees a list entry by entry. */
static int resolver_list(resolver_addresses *libc, const char *addresses, const char *service,
                         const struct addrinfo *hints, struct addrinfo **ret)
{
    struct addrinfo numeric = *hints, **end = ret;
    char text[256], *rest = NULL;
    *ret = NULL;
    numeric.ai_flags |= AI_NUMERICHOST;
    snprintf(text, sizeof text, "%s", addresses);
    for (char *a = strtok_r(text, " ", &rest); a; a = strtok_r(NULL, " ", &rest)) {
        if (libc(a, service, &numeric, end) != 0)
            *end = NULL; /* of another family */
        while (*end)
            end = &(*end)->ai_next;
    }
    return *ret ? 0 : EAI_NONAME;
}

static int resolver_answer(resolver_addresses *libc, const char *host, const char *service,
                           const struct addrinfo *hints, struct addrinfo **ret)
{
    for (int i = 0; host && i < resolver.n_said; i++) {
        if (strcmp(resolver.said[i].host, host) != 0)
            continue;
        if (resolver.said[i].addresses)
            return resolver_list(libc, resolver.said[i].addresses, service, hints, ret);
        errno = resolver.said[i].error;
        return resolver.said[i].code;
    }
    return libc(host, service, hints, ret);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    resolver_addresses *libc = (resolver_addresses *)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");
    bool is_number = !host || hints->ai_flags & AI_NUMERICHOST;
    if (!is_number)
        resolver_enter();
    int code = resolver_answer(libc, host, service, hints, ret), saved = errno;
    if (!is_number)
        resolver_leave();
    pthread_mutex_lock(&resolver.lock);
    resolver.numbers += is_number;
    resolver.lists += code == 0;
    pthread_mutex_unlock(&resolver.lock);
    errno = saved;
    return code;
}

void freeaddrinfo(struct addrinfo *list)
{
    typedef void fn(struct addrinfo *);
    fn *libc = (fn *)(uintptr_t)dlsym(RTLD_NEXT, "freeaddrinfo");
    pthread_mutex_lock(&resolver.lock);
    resolver.lists--;
    pthread_mutex_unlock(&resolver.lock);
    libc(list);
}

/* 127.0.0.77 has a name that no file has. */
static bool resolver_is_fake(const struct sockaddr *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    return in->sin_family == AF_INET && ntohl(in->sin_addr.s_addr) == 0x7f00004d;
}

int getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
                char *service, socklen_t service_size, int flags)
{
    typedef int fn(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);
    fn *libc = (fn *)(uintptr_t)dlsym(RTLD_NEXT, "getnameinfo");
    bool is_number = flags & NI_NUMERICHOST && flags & NI_NUMERICSERV;
    if (!is_number)
        resolver_enter();
    int code = 0, saved = 0;
    if (!is_number && resolver_is_fake(address)) {
        snprintf(host, host_size, "seventy-seven.test");
    } else {
        code = libc(address, size, host, host_size, service, service_size, flags);
        saved = errno;
    }
    if (!is_number)
        resolver_leave();
    errno = saved;
    return code;
}

#endif
