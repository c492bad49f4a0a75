/*
 * For torture by random interleavings: numbers from a seed, checks that print it, and seeds run one
 * after another. CIO_SEED=seed replays that one alone.
 */
#ifndef CIO_TORTURE_RANDOM_H
#define CIO_TORTURE_RANDOM_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"

static uint64_t seed, random_state;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("%s:%d: %s\n", __FILE__, __LINE__, #what);                                 \
            print_error("replay with CIO_SEED=%" PRIu64 "\n", seed);                               \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static inline uint64_t random_next(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline int random_below(int n)
{
    return (int)(random_next() % (uint64_t)n);
}

static inline bool chance(int percent)
{
    return random_below(100) < percent;
}

/* The memory that cio holds. */
static long n_blocks;

static void *count_realloc(void *ptr, size_t size, void *arg)
{
    (void)arg;
    void *block = realloc(ptr, size);
    if (block && !ptr)
        n_blocks++;
    return block;
}

static void count_free(void *ptr, void *arg)
{
    (void)arg;
    n_blocks -= ptr != NULL;
    free(ptr);
}

static void report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    print_error("reported: %s (%s)\n", context->message, context->name ? context->name : "?");
    CHECK(context == NULL); /* nothing is to be reported */
}

/* fn is the main task of a run for each of n seeds; it must return 0 and leave nothing behind. */
static inline void run_seeds(int n, cio_coroutine *fn)
{
    static const cio_allocator counting = {.realloc = count_realloc, .free = count_free};
    cio_run_options options = {.exception_handler = report};
    const char *given = getenv("CIO_SEED");
    struct timespec now;
    cio_set_allocator(&counting);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t first = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (given) {
        first = strtoull(given, NULL, 0);
        n = 1;
    }
    printf("%d seeds from CIO_SEED=%" PRIu64 "\n", n, first);
    for (int i = 0; i < n; i++) {
        seed = random_state = first + (uint64_t)i;
        CHECK(cio_run_with(&options, fn, NULL) == 0);
        CHECK(n_blocks == 0);
    }
}

#endif
