/* Waiting for signals. */
#include <cio/signal.h>

#include <errno.h>

#include "task/task.h"

static int take_lowest(cio_signals *s)
{
    int number = __builtin_ctzll(s->arrived) + 1;
    s->arrived &= ~CIO_SIGNAL(number);
    return number;
}

static int wait_for_one(cio_signals *s, const struct cio__wait_kind *kind)
{
    while (!s->arrived) {
        struct cio__wait wait = {.kind = kind};
        s->waiter = &cio__current->step;
        int rc = cio__wait(&wait);
        s->waiter = NULL;
        if (rc < 0)
            return rc;
    }
    return take_lowest(s);
}

int cio_next_signal(cio_signals *s)
{
    static const struct cio__wait_kind kind = {.name = "cio_next_signal"};
    if (!s)
        return -EINVAL;
    if (!cio__current)
        return CIO_ENOTASK;
    if (!s->loop || s->waiter)
        return CIO_ESTATE;
    if (s->loop != cio__running)
        return CIO_EWRONGLOOP;
    return wait_for_one(s, &kind);
}

int cio_wait_signal(cio_signal_set set)
{
    static const struct cio__wait_kind kind = {.name = "cio_wait_signal"};
    if (!cio__current)
        return CIO_ENOTASK;
    cio_signals s;
    int rc = cio_signals_begin(&s, set);
    if (rc < 0)
        return rc;
    rc = wait_for_one(&s, &kind);
    cio_signals_end(&s);
    return rc;
}
