/* The dispositions of signals. */
#include "os/signals.h"

#include <errno.h>
#include <unistd.h>

static bool is(const struct sigaction *action, cio__signal_fn *fn)
{
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == fn;
}

/* Asked first and set then, so that whoever is called finds *before. */
int cio__signal_catch(int number, cio__signal_fn *fn, struct sigaction *before)
{
    struct sigaction there;
    struct sigaction action = {.sa_handler = fn, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (sigaction(number, NULL, &there) < 0)
        return -errno;
    if (!is(&there, fn))
        *before = there;
    return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}

void cio__signal_restore(int number, cio__signal_fn *fn, const struct sigaction *before)
{
    struct sigaction there;
    if (sigaction(number, NULL, &there) == 0 && is(&there, fn))
        sigaction(number, before, NULL);
}

bool cio__signal_is_caught(int number, cio__signal_fn *fn)
{
    struct sigaction there;
    return sigaction(number, NULL, &there) == 0 && is(&there, fn);
}

bool cio__signal_is_default(int number)
{
    return cio__signal_is_caught(number, SIG_DFL);
}

void cio__signal_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
    raise(number);
}

void cio__signal_send(int number)
{
    kill(getpid(), number);
}

void cio__signal_raise(int number)
{
    raise(number);
}
