/* Lookups that ask nobody, in every combination; and the order in which addresses are tried. */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cio/names.h>

#include "io/eyeballs.h"
#include "trace.h"

enum { LINES_MOST = 8, LINE_SIZE = 120 };

static int ascending(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Sorted: the C library's order is that of the machine's routes. */
static void say_list(const char *question, const struct addrinfo *list)
{
    char lines[LINES_MOST][LINE_SIZE], host[64], port[8], all[LINES_MOST * LINE_SIZE] = "";
    size_t n = 0;
    for (; list && n < LINES_MOST; list = list->ai_next) {
        cio_getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, port, sizeof port,
                        NI_NUMERICHOST | NI_NUMERICSERV);
        snprintf(lines[n++], LINE_SIZE, " %d/%d/%d:%s:%s%s%s", list->ai_family, list->ai_socktype,
                 list->ai_protocol, host, port, list->ai_canonname ? "=" : "",
                 list->ai_canonname ? list->ai_canonname : "");
    }
    qsort(lines, n, LINE_SIZE, ascending);
    for (size_t i = 0; i < n; i++)
        strcat(all, lines[i]);
    say("%s:%s", question, all);
}

static void ask(const char *host, const char *service, int family, int type, int flags)
{
    char question[200];
    static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
    for (int i = 0; i < 3; i++) {
        struct addrinfo *list, hints = {.ai_family = family, .ai_socktype = type};
        hints.ai_protocol = protocols[i];
        hints.ai_flags = flags;
        snprintf(question, sizeof question, "%s %s %d %d %d %d", host ? host : "-",
                 service ? service : "-", family, type, protocols[i], flags);
        int rc = cio_getaddrinfo(host, service, &hints, &list);
        if (rc < 0)
            say("%s: %s", question, cio_err_name(rc) + 4); /* without CIO_ */
        else
            say_list(question, list);
        if (rc == 0)
            cio_freeaddrinfo(list);
    }
}

SCENARIO_TIMED(names_numbers)
{
    static const char *const hosts[] = {NULL,     "127.0.0.1",  "::1",   "::ffff:1.2.3.4", "127.1",
                                        "0x7f.1", "fe80::1%lo", "::1%3", "1.2.3.4.5",      "x:y"};
    static const char *const services[] = {NULL, "80"};
    static const int families[] = {0, AF_INET, AF_INET6, AF_UNIX};
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, 77};
    static const int flags[] = {0, AI_PASSIVE, AI_CANONNAME, AI_NUMERICSERV, AI_V4MAPPED};
    for (int h = 0; h < 10; h++)
        for (int s = 0; s < 2; s++)
            for (int f = 0; f < 4; f++)
                for (int t = 0; t < 5; t++)
                    for (int k = 0; k < 5; k++) /* nobody may be asked: all are numbers */
                        ask(hosts[h], services[s], families[f], types[t],
                            flags[k] | (hosts[h] ? AI_NUMERICHOST : 0));
    return 0;
}

/* ---- the order ---- */

static uint32_t state = 12345;

static uint32_t below(uint32_t n)
{
    state = state * 1664525 + 1013904223;
    return (state >> 16) % n;
}

enum { ADDRESSES_MOST = 12 };

SCENARIO_TIMED(names_interleaved)
{
    for (int round = 0; round < 300; round++) {
        struct addrinfo list[ADDRESSES_MOST] = {0};
        uint32_t n = 1 + below(ADDRESSES_MOST);
        char line[200] = "";
        for (uint32_t i = 0; i < n; i++) {
            list[i].ai_family = below(3) ? AF_INET6 : AF_INET;
            list[i].ai_protocol = (int)i;
            list[i].ai_next = i + 1 < n ? &list[i + 1] : NULL;
        }
        cio_connect_options options = {.interleave = 1 + (int)below(4)};
        cio__interleave(list, &options);
        for (const struct addrinfo *a = list; a; a = a->ai_next)
            sprintf(line + strlen(line), " %d", a->ai_protocol);
        say("%d:%s", options.interleave, line);
    }
    return 0;
}
