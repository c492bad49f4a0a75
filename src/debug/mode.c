/* Debug mode: steps are timed, calls are checked, and what is created remembers where. */
#include "debug/mode.h"

#include <cio/debug.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "debug/stop.h"
#include "loop/run.h"
#include "os/environment.h"
#include "os/memory.h"

#define SLOW_DEFAULT 0.1
#define TRACES_FIRST 128

static size_t slot_of(const struct cio__debug *debug, const void *thing)
{
    uint64_t hash = (uint64_t)(uintptr_t)thing / CIO__CACHE_LINE * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32) & (debug->capacity - 1);
}

/* Where it is or would be. */
static size_t place_of(const struct cio__debug *debug, const void *thing)
{
    size_t slot = slot_of(debug, thing);
    while (debug->traces[slot].thing && debug->traces[slot].thing != thing)
        slot = (slot + 1) & (debug->capacity - 1);
    return slot;
}

static struct cio__trace *find_trace(const struct cio__debug *debug, const void *thing)
{
    if (!debug || !debug->capacity)
        return NULL;
    struct cio__trace *trace = &debug->traces[place_of(debug, thing)];
    return trace->thing ? trace : NULL;
}

static bool grow_traces(struct cio__debug *debug)
{
    struct cio__debug larger = {.capacity = debug->capacity ? debug->capacity * 2 : TRACES_FIRST};
    larger.traces = cio__alloc(larger.capacity * sizeof *larger.traces);
    if (!larger.traces)
        return false;
    memset(larger.traces, 0, larger.capacity * sizeof *larger.traces);
    for (size_t i = 0; i < debug->capacity; i++)
        if (debug->traces[i].thing)
            larger.traces[place_of(&larger, debug->traces[i].thing)] = debug->traces[i];
    cio__free(debug->traces);
    debug->traces = larger.traces;
    debug->capacity = larger.capacity;
    return true;
}

/* NULL: no memory; then nothing is known of it. */
static struct cio__trace *make_trace(struct cio__debug *debug, const void *thing)
{
    if (debug->n * 2 >= debug->capacity && !grow_traces(debug))
        return find_trace(debug, thing);
    struct cio__trace *trace = &debug->traces[place_of(debug, thing)];
    debug->n += !trace->thing;
    *trace = (struct cio__trace){.thing = thing};
    return trace;
}

/* Those behind it move up, unless they stand before where they are looked for. */
void cio__debug_ended(const cio_loop *loop, const void *thing)
{
    struct cio__debug *debug = loop->debug;
    struct cio__trace *trace = find_trace(debug, thing);
    if (!trace)
        return;
    size_t mask = debug->capacity - 1;
    size_t hole = (size_t)(trace - debug->traces);
    for (size_t i = (hole + 1) & mask; debug->traces[i].thing; i = (i + 1) & mask) {
        size_t from = slot_of(debug, debug->traces[i].thing);
        if (((i - from) & mask) >= ((i - hole) & mask)) {
            debug->traces[hole] = debug->traces[i];
            hole = i;
        }
    }
    debug->traces[hole].thing = NULL;
    debug->n--;
}

void cio__debug_see(const cio_loop *loop, const cio_task *task, int64_t *ret_since_ns,
                    uintptr_t *site)
{
    const struct cio__trace *trace = find_trace(loop->debug, task);
    if (!trace)
        return;
    *ret_since_ns = trace->since_ns;
    memcpy(site, trace->site, sizeof trace->site);
}

/* Our callers of these files have frame pointers; those of the program may have something else. */
__attribute__((noinline)) void cio__debug_created(cio_loop *loop, const void *thing)
{
    struct cio__trace *trace = make_trace(loop->debug, thing);
    if (!trace)
        return;
    uintptr_t fp = (uintptr_t)__builtin_frame_address(0);
    bool runs_here = cio__running == loop;
    uintptr_t end = runs_here ? cio__stack_end(loop, cio__current, fp) : fp + 2 * sizeof fp;
    cio__backtrace(fp, end, trace->site, CIO__SITE_FRAMES);
}

struct asking_place {
    struct cio__debug *debug;
    const uintptr_t *pcs;
    char *text;
    size_t size;
};

/* The innermost place that is not the library's. */
static void *find_place(void *arg)
{
    struct asking_place *asking = arg;
    if (!asking->debug->symbols)
        asking->debug->symbols = cio__symbols_open();
    struct cio__symbols *symbols = asking->debug->symbols;
    int i = cio__first_of_program(symbols, asking->pcs, CIO__SITE_FRAMES);
    cio__describe_place(symbols, asking->pcs[i], asking->text, asking->size);
    return NULL;
}

const char *cio__debug_created_at(cio_loop *loop, const void *thing, char *text, size_t size)
{
    struct cio__trace *trace = find_trace(loop->debug, thing);
    if (!trace || !trace->site[0])
        return NULL;
    struct asking_place asking = {.debug = loop->debug, .pcs = trace->site, .size = size};
    asking.text = text;
    return cio__run_in_thread(find_place, &asking) ? text : NULL;
}

static void tell_slow(cio_loop *loop, int64_t took_ns)
{
    struct cio__debug *debug = loop->debug;
    struct cio__out out = {.fd = 2};
    char place[256] = "";
    uintptr_t pcs[CIO__SITE_FRAMES] = {(uintptr_t)debug->fn};
    struct asking_place asking = {debug, pcs, place, sizeof place};
    if (debug->name[0])
        cio__print(&out, "cio: '%s' took %.3f s\n", debug->name, (double)took_ns / 1e9);
    else if (cio__run_in_thread(find_place, &asking))
        cio__print(&out, "cio: callback %s took %.3f s\n", place, (double)took_ns / 1e9);
}

static void note_begin(struct cio__debug *debug, cio_callback *fn, const cio_task *task,
                       int64_t now_ns)
{
    debug->fn = fn;
    debug->task = task;
    debug->name[0] = '\0';
    if (task)
        cio__task_name(task, debug->name, sizeof debug->name);
    __atomic_store_n(&debug->steps, debug->steps + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&debug->began_ns, now_ns, __ATOMIC_RELEASE);
}

static void note_end(cio_loop *loop, const cio_task *task, int64_t began_ns)
{
    struct cio__debug *debug = loop->debug;
    __atomic_store_n(&debug->began_ns, 0, __ATOMIC_RELEASE);
    int64_t now_ns = cio__now_ns(loop);
    if (now_ns - began_ns >= __atomic_load_n(&debug->slow_ns, __ATOMIC_RELAXED))
        tell_slow(loop, now_ns - began_ns);
    struct cio__trace *trace = task ? find_trace(debug, task) : NULL;
    if (task && !trace)
        trace = make_trace(debug, task); /* it was created before debug mode was turned on */
    if (trace)
        trace->since_ns = now_ns;
}

/* A poll has no limit of its own to be late by, or one that it should have kept. */
void cio__debug_polled(const cio_loop *loop, int64_t asked_ns, int64_t took_ns, int n)
{
    struct cio__out out = {.fd = 2};
    int64_t late_ns = asked_ns == CIO__WAIT_FOREVER ? 0 : took_ns - asked_ns;
    if (!cio_get_debug(loop) || late_ns < __atomic_load_n(&loop->debug->slow_ns, __ATOMIC_RELAXED))
        return;
    cio__print(&out, "cio: a poll of %.3f s took %.3f s: %d event%s\n", (double)asked_ns / 1e9,
               (double)took_ns / 1e9, n, n == 1 ? "" : "s");
}

void cio__debug_looked_up(const cio_loop *loop, const char *name, int64_t asked_ns)
{
    struct cio__out out = {.fd = 2};
    if (!cio_get_debug(loop))
        return;
    int64_t took_ns = cio__now_ns(loop) - asked_ns;
    if (took_ns >= __atomic_load_n(&loop->debug->slow_ns, __ATOMIC_RELAXED))
        cio__print(&out, "cio: looking up '%s' took %.3f s\n", name, (double)took_ns / 1e9);
}

/* What debug mode does with a handle: every step comes back here, and none hands over to another. */
static void run(void *context, cio_callback *fn, void *arg, const void *hint)
{
    cio_loop *loop = context;
    const cio_task *task = cio__task_of_step(fn, arg);
    int64_t began_ns = cio__now_ns(loop);
    note_begin(loop->debug, fn, task, began_ns);
    loop->counts.plain++; /* what it is beyond that is counted where it is called */
    cio__call(fn, arg, hint);
    if (likely(cio__running == loop)) /* else it forked, and we are the child */
        note_end(loop, task, began_ns);
}

static void run_debugged(cio_loop *loop)
{
    if (loop->debug->prepared_run != loop->runs) {
        loop->debug->prepared_run = loop->runs;
        cio__handler_stack_give();
    }
    cio__run_turns(loop, run, loop);
}

static int make_debug(cio_loop *loop)
{
    if (loop->debug)
        return 0;
    struct cio__debug *debug = cio__alloc(sizeof *debug);
    if (!debug)
        return -ENOMEM;
    *debug = (struct cio__debug){.slow_ns = loop->slow_ns};
    __atomic_store_n(&loop->debug, debug, __ATOMIC_RELEASE); /* the watchdog looks */
    return 0;
}

static int turn_on(cio_loop *loop)
{
    int rc = make_debug(loop);
    if (rc == 0)
        rc = cio__service_begin();
    if (rc < 0)
        return rc;
    __atomic_store_n(&loop->debug->on, true, __ATOMIC_RELEASE);
    __atomic_store_n(&loop->careful, true, __ATOMIC_RELEASE);
    loop->quick_tasks = NULL;
    loop->run_turns = run_debugged;
    cio__stop_by(loop, 0);
    cio__service_nudge();
    return 0;
}

static void turn_off(cio_loop *loop)
{
    __atomic_store_n(&loop->debug->on, false, __ATOMIC_RELEASE);
    __atomic_store_n(&loop->debug->began_ns, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&loop->careful, loop->closed, __ATOMIC_RELEASE);
    loop->quick_tasks = loop->tasks;
    loop->run_turns = loop->run_usually;
    cio__stop_by(loop, 0);
    if (!cio__loop_inherited(loop))
        cio__service_end();
}

bool cio_get_debug(const cio_loop *loop)
{
    return loop && loop->debug && loop->debug->on;
}

int cio_set_debug(cio_loop *loop, bool on)
{
    if (!loop)
        return -EINVAL;
    int rc = cio__check_open(loop);
    if (rc < 0)
        return rc;
    if (on == cio_get_debug(loop))
        return 0;
    if (on)
        return turn_on(loop);
    turn_off(loop);
    return 0;
}

int cio_set_slow_callback_duration(cio_loop *loop, double seconds)
{
    if (!loop || !(seconds > 0))
        return -EINVAL;
    loop->slow_ns = cio__deadline_after_ns(0, seconds);
    if (loop->debug)
        __atomic_store_n(&loop->debug->slow_ns, loop->slow_ns, __ATOMIC_RELAXED);
    return 0;
}

double cio_get_slow_callback_duration(const cio_loop *loop)
{
    if (!loop)
        return (double)NAN;
    return loop->slow_ns == CIO__NEVER ? CIO_FOREVER : (double)loop->slow_ns / 1e9;
}

int cio__debug_begin(cio_loop *loop, const cio_loop_options *options)
{
    double slow = options->slow_callback_duration;
    int rc = cio_set_slow_callback_duration(loop, slow != 0 ? slow : SLOW_DEFAULT);
    if (rc == 0 && options->debug)
        rc = cio_set_debug(loop, true);
    else if (rc == 0 && cio__env_debug())
        cio_set_debug(loop, true); /* a program that did not ask runs without it if need be */
    return rc;
}

void cio__debug_free(cio_loop *loop)
{
    struct cio__debug *debug = loop->debug;
    if (!debug)
        return;
    if (debug->on)
        turn_off(loop);
    cio__symbols_close(debug->symbols);
    cio__free(debug->traces);
    cio__free(debug);
    loop->debug = NULL;
}

/* The caller's stack: a task's of its own loop, or its thread's. */
static uintptr_t own_stack_end(void)
{
    if (cio__running)
        return cio__stack_end(cio__running, cio__current, (uintptr_t)__builtin_frame_address(0));
    pthread_attr_t attributes;
    void *bottom = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return 0;
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)bottom + size;
}

static void *print_caller(void *arg)
{
    uintptr_t *pcs = arg;
    struct cio__symbols *symbols = cio__symbols_open();
    struct cio__out out = {.fd = 2};
    cio__print_places(&out, symbols, pcs, CIO__FRAMES_MOST, 6);
    cio__symbols_close(symbols);
    return NULL;
}

/* Behind a line that says what they did. */
static void print_callers(void)
{
    uintptr_t pcs[CIO__FRAMES_MOST] = {0};
    cio__backtrace((uintptr_t)__builtin_frame_address(0), own_stack_end(), pcs, CIO__FRAMES_MOST);
    cio__run_in_thread(print_caller, pcs);
}

int cio__report_wrong_thread(const cio_loop *loop)
{
    struct cio__out out = {.fd = 2};
    cio__print(&out,
               "cio: thread %d made a call on the loop that runs in thread %d; it is refused "
               "(CIO_EWRONGLOOP):\n",
               cio__thread_number(), loop->thread);
    print_callers();
    return CIO_EWRONGLOOP;
}

int cio__debug_check_fd(const cio_loop *loop, int fd)
{
    struct cio__out out = {.fd = 2};
    if (!cio_get_debug(loop) || !loop->os->ops->blocks(loop->os, fd))
        return 0;
    cio__print(&out,
               "cio: a call was given fd %d, which is not non-blocking; it is refused (EINVAL):\n",
               fd);
    print_callers();
    return -EINVAL;
}
