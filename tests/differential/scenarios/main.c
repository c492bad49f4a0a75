/* The C side of the differential tests: `scenarios NAME` prints a trace, `--list` the names. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loop/loop.h"
#include "trace.h"

static scenario *first_scenario;
static scenario **last_scenario = &first_scenario;

void scenario_register(scenario *s)
{
    *last_scenario = s;
    last_scenario = &s->next;
}

static int turn;
static bool ticking;
static cio_handle ticker;

/* Queued first, so first in each turn; always ready, so every turn comes at once. */
static void tick(void *arg)
{
    (void)arg;
    turn++;
    cio_call_soon(cio_get_running_loop(), &ticker, tick, NULL);
}

void start_ticker(void)
{
    turn = 0;
    ticking = true;
    cio_call_soon(cio_get_running_loop(), &ticker, tick, NULL);
}

void stop_ticker(void)
{
    ticking = false;
    cio_handle_cancel(&ticker);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (ticking)
        printf("[%d] ", turn);
    else
        printf("[-] ");
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

const char *how(int rc)
{
    static char texts[8][32];
    static int last;

    if (rc == CIO_ECANCELED)
        return "canceled";
    if (rc == CIO_ETIMEDOUT)
        return "timed out";
    last = (last + 1) % 8;
    snprintf(texts[last], sizeof texts[last], rc < 0 ? "error %d" : "%d", rc < 0 ? -rc : rc);
    return texts[last];
}

int wait_turns(int turns)
{
    if (turns == FOREVER)
        return cio_sleep(CIO_FOREVER);
    int rc = 0;
    for (int i = 0; i < turns && rc == 0; i++)
        rc = cio_yield();
    return rc;
}

int do_work(void *arg)
{
    work *w = arg;
    say("%s starts", w->name);
    if (wait_turns(w->turns) == CIO_ECANCELED) {
        say("%s is canceled", w->name);
        if (wait_turns(w->cleanup) == CIO_ECANCELED) {
            say("%s is canceled again", w->name);
            return CIO_ECANCELED;
        }
        if (!w->swallows) {
            say("%s gives up", w->name);
            return CIO_ECANCELED;
        }
    }
    say("%s ends %d", w->name, w->end);
    return w->end;
}

/* ---- a clock of its own: it stands while there is something to do ---- */

static struct {
    int64_t now_ns;
    const struct cio__os_ops *real;
    struct cio__os_ops ops;
} own_clock;

static int64_t read_own_clock(struct cio__os *os)
{
    (void)os;
    return own_clock.now_ns;
}

static int poll_by_own_clock(struct cio__os *os, int64_t timeout_ns, struct cio__event *events,
                             int n)
{
    bool for_ever = timeout_ns == CIO__WAIT_FOREVER;
    int got = own_clock.real->poll(os, for_ever ? timeout_ns : 0, events, n);
    if (got == 0 && !for_ever)
        own_clock.now_ns += timeout_ns;
    return got;
}

static void use_own_clock(cio_loop *loop)
{
    own_clock.real = loop->os->ops;
    own_clock.now_ns = own_clock.real->now_ns(loop->os);
    own_clock.ops = *own_clock.real;
    own_clock.ops.real_time = false;
    own_clock.ops.now_ns = read_own_clock;
    own_clock.ops.poll = poll_by_own_clock;
    loop->os->ops = &own_clock.ops;
}

static int main_task(void *arg)
{
    scenario *s = arg;
    if (s->own_clock)
        use_own_clock(cio_get_running_loop());
    if (s->ticks) {
        start_ticker();
        cio_yield();
    }
    int rc = s->run(NULL);
    say("main: %s", how(rc));
    stop_ticker();
    return 0;
}

static void report(cio_loop *loop, const cio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    fprintf(stderr, "reported: %s: %s\n", context->name ? context->name : "?", context->message);
}

static int run(const char *name)
{
    for (scenario *s = first_scenario; s; s = s->next) {
        if (strcmp(s->name, name) == 0) {
            cio_run_options options = {.exception_handler = report};
            return cio_run_with(&options, main_task, s) < 0;
        }
    }
    fprintf(stderr, "no scenario is called %s\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s NAME | --list\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "--list") != 0)
        return run(argv[1]);
    for (scenario *s = first_scenario; s; s = s->next)
        puts(s->name);
    return 0;
}
