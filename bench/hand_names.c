/* By hand: the C library's own call, which blocks. */
#include "subject.h"
#include "subject_epoll.h"

#include <netdb.h>

static void look_up(const char *host, int flags)
{
    struct addrinfo *found, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    hints.ai_flags = flags;
    if (getaddrinfo(host, "80", &hints, &found) != 0)
        subject_fail("a lookup failed");
    freeaddrinfo(found);
}

void bench_lookup_number(long n)
{
    n = n > 0 ? n : LOOKUPS_OF_NUMBERS;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < n; i++)
        look_up("127.0.0.1", AI_NUMERICHOST | AI_NUMERICSERV);
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)n);
}

void bench_lookup_name(long n)
{
    (void)n;
    int64_t begin_ns = wall_ns(), begin_cpu_ns = cpu_ns();
    for (long i = 0; i < LOOKUPS_OF_NAMES; i++)
        look_up("localhost", AI_NUMERICSERV);
    subject_value("time", (double)(wall_ns() - begin_ns) / LOOKUPS_OF_NAMES);
    subject_value("cpu", (double)(cpu_ns() - begin_cpu_ns) / LOOKUPS_OF_NAMES);
}
