/* Ourselves: lookups of a number, and of a name that a file has. */
#include "subject.h"
#include "subject_cio.h"

#include <netdb.h>

static const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};

static void look_up(const char *host)
{
    struct addrinfo *found;
    check(cio_getaddrinfo(host, "80", &hints, &found), "cio_getaddrinfo");
    cio_freeaddrinfo(found);
}

static int numbers(void *arg)
{
    long n = *(long *)arg;
    int64_t begin_ns = cpu_ns();
    for (long i = 0; i < n; i++)
        look_up("127.0.0.1");
    subject_value("time", (double)(cpu_ns() - begin_ns) / (double)n);
    return 0;
}

void bench_lookup_number(long n)
{
    n = n > 0 ? n : LOOKUPS_OF_NUMBERS;
    run_main(numbers, &n);
}

static long left;

static int one_of_many(void *arg)
{
    (void)arg;
    while (left-- > 0)
        look_up("localhost");
    return 0;
}

static int names(void *arg)
{
    long at_once = *(long *)arg;
    int64_t begin_ns = wall_ns(), begin_cpu_ns = cpu_ns();
    cio_group group;
    left = LOOKUPS_OF_NAMES;
    check(cio_group_enter(&group), "cio_group_enter");
    for (long i = 0; i < at_once; i++)
        cio_group_start(&group, one_of_many, NULL);
    check(cio_group_exit(&group, 0), "cio_group_exit");
    subject_value("time", (double)(wall_ns() - begin_ns) / LOOKUPS_OF_NAMES);
    subject_value("cpu", (double)(cpu_ns() - begin_cpu_ns) / LOOKUPS_OF_NAMES);
    return 0;
}

void bench_lookup_name(long n)
{
    run_main(names, &n);
}
