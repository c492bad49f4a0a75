/* Variables of the environment, and what is said of those that make no sense. */
#include "os/environment.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct variable {
    const char *name;
    const char *wanted;
    bool told; /* atomic */
};

static struct variable turn_budget = {.name = "CIO_TURN_BUDGET",
                                      .wanted = "ignored; it takes seconds above 0, or inf"};
static struct variable debug = {.name = "CIO_DEBUG", .wanted = "ignored; it takes 1 or 0"};
static struct variable dump_signal = {
    .name = "CIO_DUMP_SIGNAL", .wanted = "ignored; it takes USR1, USR2 or a signal's number"};
static struct variable backend = {.name = "CIO_BACKEND", .wanted = "refused; there is epoll"};

/* NULL: not set, or to nothing. */
static const char *text_of(const struct variable *variable)
{
    const char *text = getenv(variable->name);
    return text && *text ? text : NULL;
}

static void tell(struct variable *variable, const char *text)
{
    if (!__atomic_exchange_n(&variable->told, true, __ATOMIC_RELAXED))
        fprintf(stderr, "cio: %s=%.100s is %s\n", variable->name, text, variable->wanted);
}

/* False: it is no number. */
static bool read_number(const char *text, double *ret)
{
    char *end;
    *ret = strtod(text, &end);
    return end != text && !*end;
}

double cio__env_turn_budget(void)
{
    const char *text = text_of(&turn_budget);
    double seconds = 0;
    if (!text || (read_number(text, &seconds) && seconds >= 0))
        return seconds;
    tell(&turn_budget, text);
    return 0;
}

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words && strcasecmp(*words, text) != 0)
        words++;
    return *words;
}

bool cio__env_debug(void)
{
    static const char *const yes[] = {"1", "true", "yes", "on", NULL};
    static const char *const no[] = {"0", "false", "no", "off", NULL};
    const char *text = text_of(&debug);
    if (!text || is_one_of(text, no))
        return false;
    if (is_one_of(text, yes))
        return true;
    tell(&debug, text);
    return false;
}

static int signal_number(const char *text)
{
    double number;
    if (read_number(text, &number))
        return number >= 0 && number <= SIGRTMAX && number == (int)number ? (int)number : -1;
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    return strcmp(text, "USR1") == 0 ? SIGUSR1 : strcmp(text, "USR2") == 0 ? SIGUSR2 : -1;
}

int cio__env_dump_signal(void)
{
    const char *text = text_of(&dump_signal);
    int number = text ? signal_number(text) : 0;
    if (number >= 0 && number != SIGKILL && number != SIGSTOP && number != SIGURG)
        return number;
    tell(&dump_signal, text);
    return 0;
}

const char *cio__env_backend(void)
{
    return text_of(&backend);
}

void cio__env_no_such_backend(const char *name)
{
    tell(&backend, name);
}
