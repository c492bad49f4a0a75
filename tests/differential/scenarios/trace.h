/* What the C scenarios share; trace_asyncio.py is its twin. */
#ifndef CIO_TESTS_TRACE_H
#define CIO_TESTS_TRACE_H

#include <stdbool.h>

#include <cio.h>

typedef struct scenario {
    const char *name;
    cio_coroutine *run;
    bool ticks; /* the trace counts the turns, which real timers would make unforeseeable */
    bool own_clock;
    struct scenario *next;
} scenario;

void scenario_register(scenario *s);

#define SCENARIO_(scenario_name, does_tick, has_clock)                                             \
    static int scenario_name(void *arg);                                                           \
    __attribute__((constructor)) static void register_##scenario_name(void)                        \
    {                                                                                              \
        static scenario s = {#scenario_name, scenario_name, does_tick, has_clock, NULL};           \
        scenario_register(&s);                                                                     \
    }                                                                                              \
    static int scenario_name(__attribute__((unused)) void *arg)

/* One each at column 0, where the build looks for them. */
#define SCENARIO(name) SCENARIO_(name, true, false)
#define SCENARIO_TIMED(name) SCENARIO_(name, false, false)

/* Nothing but time passes there, and only while the loop sleeps: no load changes what comes first. */
#define SCENARIO_CLOCK(name) SCENARIO_(name, false, true)

void start_ticker(void);
void stop_ticker(void);

/* Prints one line of the trace, with the number of the turn. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* An end in words. The string lasts for a few more calls. */
const char *how(int rc);

enum { FOREVER = -1 };

int wait_turns(int turns);

/* A task that takes so many turns, to be finished, or canceled, while it says what happens. */
typedef struct work {
    const char *name;
    int turns;
    int end;
    int cleanup; /* how many turns it goes on for when it is canceled */
    bool swallows;
} work;

int do_work(void *arg);

/* Its argument is a work's fields. It lives as long as the caller's block. */
#define START(...) cio_create_task(do_work, &(work){__VA_ARGS__})

#endif
