/* libuv: lookups of a number, and of a name that a file has. Both go through its thread pool. */
#include "subject.h"
#include "uv_threads.h"

#include <stdlib.h>
#include <uv.h>

static const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
static const char *host;
static long left;

static void found(uv_getaddrinfo_t *request, int status, struct addrinfo *list);

static void look_up(uv_getaddrinfo_t *request)
{
    if (left-- > 0 && uv_getaddrinfo(uv_default_loop(), request, found, host, "80", &hints) != 0)
        subject_fail("uv_getaddrinfo");
}

static void found(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    if (status != 0)
        subject_fail("a lookup failed");
    uv_freeaddrinfo(list);
    look_up(request);
}

static void run(long at_once, long n)
{
    uv_getaddrinfo_t *requests = calloc((size_t)at_once, sizeof *requests);
    int64_t begin_ns = wall_ns(), begin_cpu_ns = cpu_ns();
    left = n;
    for (long i = 0; i < at_once; i++)
        look_up(&requests[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    subject_value("time", (double)(wall_ns() - begin_ns) / (double)n);
    subject_value("cpu", (double)(cpu_ns() - begin_cpu_ns) / (double)n);
    free(requests);
}

void bench_lookup_number(long n)
{
    host = "127.0.0.1";
    run(1, n > 0 ? n : LOOKUPS_OF_NAMES);
}

void bench_lookup_name(long n)
{
    host = "localhost";
    run(n, LOOKUPS_OF_NAMES);
}
