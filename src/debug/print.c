/* A snapshot, as text. */
#include "debug/print.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debug/mode.h"
#include "debug/symbols.h"

#define PLACE_MOST 256
#define PRINTER_STACK ((size_t)1024 * 1024)

static void write_all(struct cio__out *out, const char *text, size_t size)
{
    while (size > 0 && out->rc == 0) {
        ssize_t n = write(out->fd, text, size);
        if (n < 0 && errno != EINTR)
            out->rc = -errno;
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        }
    }
}

void cio__print(struct cio__out *out, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    if (!out->stream)
        write_all(out, line, size);
    else if (out->rc == 0 && fwrite(line, 1, size, out->stream) != size)
        out->rc = -EIO;
}

static void describe(const struct cio__symbol *symbol, uintptr_t pc, char *text, size_t size)
{
    const char *name = symbol->function;
    int length = name ? (int)strcspn(name, "@") : 0; /* what follows is a version */
    if (name && symbol->file)
        snprintf(text, size, "%.*s (%s:%d)", length, name, symbol->file, symbol->line);
    else if (name && symbol->module)
        snprintf(text, size, "%.*s (%s+0x%zx)", length, name, symbol->module, symbol->offset);
    else if (name)
        snprintf(text, size, "%.*s", length, name);
    else if (symbol->module)
        snprintf(text, size, "%s+0x%zx", symbol->module, symbol->offset);
    else
        snprintf(text, size, "0x%zx", pc);
}

void cio__describe_place(struct cio__symbols *symbols, uintptr_t pc, char *text, size_t size)
{
    struct cio__symbol symbol = cio__symbol_of(symbols, pc);
    describe(&symbol, pc, text, size);
}

static bool is_public(const struct cio__symbol *symbol)
{
    const char *name = symbol->function;
    return name && strncmp(name, "cio_", 4) == 0 && name[4] != '_';
}

/* Where a task's own frames end, and the loop's begin. */
static bool is_outermost(const struct cio__symbol *symbol)
{
    static const char *const names[] = {"cio__task_main",  "cio__context_end",
                                        "run_debugged",    "cio__run_callbacks",
                                        "cio_run_forever", "cio__run_with_tasks"};
    for (size_t i = 0; symbol->function && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(symbol->function, names[i]) == 0)
            return true;
    return false;
}

/*
 * What lies within the innermost public call is the library's own business. One public call may
 * stand on another; the outer one is what the program has called.
 */
static int first_of_interest(struct cio__symbols *symbols, const uintptr_t *pcs, int n)
{
    int first = 0;
    for (int i = 0; i < n; i++) {
        struct cio__symbol symbol = cio__symbol_of(symbols, pcs[i]);
        if (is_outermost(&symbol))
            break;
        if (is_public(&symbol))
            first = i;
        else if (first > 0)
            break;
    }
    return first;
}

/* Of the place where something was created: the innermost that is the program's. */
static bool begins_with(const char *text, const char *prefix)
{
    return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * Whoever called a public function, whatever that called in the library. Without one, as in what
 * the loop creates itself, the first whose name is not of ours.
 */
int cio__first_of_program(struct cio__symbols *symbols, const uintptr_t *pcs, int n)
{
    int first = -1;
    bool public = false;
    for (int i = 0; i < n && pcs[i]; i++) {
        struct cio__symbol symbol = cio__symbol_of(symbols, pcs[i]);
        const char *name = symbol.function;
        bool ours = begins_with(name, "cio_");
        if (!ours && symbol.ours)
            continue; /* a step on the way of one of ours to another */
        if (!ours && public)
            return i;
        if (!ours && first < 0)
            first = i;
        public = ours && !begins_with(name, "cio__") && !begins_with(name, "cio_run");
    }
    return first < 0 ? 0 : first;
}

int cio__print_places(struct cio__out *out, struct cio__symbols *symbols, const uintptr_t *pcs,
                      int n, int indent)
{
    int printed = 0;
    for (int i = 0; i < n && pcs[i]; i++) {
        char place[PLACE_MOST];
        struct cio__symbol symbol = cio__symbol_of(symbols, pcs[i]);
        if (is_outermost(&symbol))
            break;
        describe(&symbol, pcs[i], place, sizeof place);
        cio__print(out, "%*s%s\n", indent, "", place);
        printed++;
    }
    return printed;
}

int cio__print_stack(struct cio__out *out, struct cio__symbols *symbols,
                     const struct cio__stack_copy *stack, int indent)
{
    uintptr_t pcs[CIO__FRAMES_MOST];
    int n = cio__unwind(stack, symbols, pcs, CIO__FRAMES_MOST);
    int from = first_of_interest(symbols, pcs, n);
    return cio__print_places(out, symbols, pcs + from, n - from, indent);
}

static const char *const state_names[] = {
    [CIO__TASK_NEW] = "new",         [CIO__TASK_READY] = "ready",
    [CIO__TASK_RUNNING] = "running", [CIO__TASK_HELD_UP] = "held up",
    [CIO__TASK_WAITING] = "waiting", [CIO__TASK_SLEEPING] = "sleeping",
};

const struct cio__seen_task *cio__find_seen(const struct cio__found *found, size_t n,
                                            const cio_future *future)
{
    size_t low = 0;
    while (found && low < n) {
        size_t middle = low + (n - low) / 2;
        if (found[middle].future == future)
            return found[middle].task;
        if ((uintptr_t)found[middle].future < (uintptr_t)future)
            low = middle + 1;
        else
            n = middle;
    }
    return NULL;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct cio__found *)a)->future;
    uintptr_t y = (uintptr_t)((const struct cio__found *)b)->future;
    return (x > y) - (x < y);
}

/*
 * NULL: no memory. Then names of others are left out, and the tree. This is not the memory of the
 * loop, which may be another thread's.
 */
static struct cio__found *make_index(const struct cio__seen_loop *loop)
{
    struct cio__found *found = malloc((loop->n + 1) * sizeof *found);
    if (!found)
        return NULL;
    for (size_t i = 0; i < loop->n; i++)
        found[i] = (struct cio__found){loop->tasks[i].tale.task, &loop->tasks[i]};
    qsort(found, loop->n, sizeof *found, by_address);
    return found;
}

static void print_ends(struct cio__out *out, const struct cio__seen_loop *loop,
                       const struct cio__seen_task *task, const struct cio__found *found)
{
    const struct cio__tale *tale = &task->tale;
    size_t shown = tale->n_ends < CIO__TALE_FUTURES ? tale->n_ends : CIO__TALE_FUTURES;
    for (size_t i = 0; i < shown; i++) {
        const struct cio__seen_task *other = cio__find_seen(found, loop->n, tale->ends[i]);
        const char *comma = i ? "," : "";
        if (other)
            cio__print(out, "%s '%s'", comma, other->name);
        else
            cio__print(out, "%s future %p", comma, (const void *)tale->ends[i]);
    }
    if (shown < tale->n_ends)
        cio__print(out, " and %zu more", tale->n_ends - shown);
}

static void print_heading(struct cio__out *out, struct cio__symbols *symbols,
                          const struct cio__seen_loop *loop, const struct cio__seen_task *task,
                          const struct cio__found *found)
{
    cio__print(out, "  '%s' %s", task->name, state_names[task->state]);
    if (task->since_ns && task->state != CIO__TASK_RUNNING)
        cio__print(out, " for %.3f s", (double)(loop->now_ns - task->since_ns) / 1e9);
    if (task->to_be_canceled)
        cio__print(out, ", to be canceled");
    if (task->wait && task->state != CIO__TASK_READY) {
        cio__print(out, ", %s%s%s", task->wait, task->tale.text[0] ? ": " : "", task->tale.text);
        if (task->tale.n_ends && !task->tale.text[0])
            cio__print(out, ":");
        print_ends(out, loop, task, found);
    }
    if (task->state == CIO__TASK_NEW) {
        char place[PLACE_MOST];
        cio__describe_place(symbols, (uintptr_t)task->fn, place, sizeof place);
        cio__print(out, ", will begin in %s", place);
    }
    cio__print(out, "\n");
}

static void print_task(struct cio__out *out, struct cio__symbols *symbols,
                       const struct cio__seen_loop *loop, const struct cio__seen_task *task,
                       const struct cio__found *found)
{
    print_heading(out, symbols, loop, task, found);
    cio__print_stack(out, symbols, &task->stack, 6);
    if (task->site[0]) {
        int from = cio__first_of_program(symbols, task->site, CIO__SITE_FRAMES);
        cio__print(out, "    created by\n");
        cio__print_places(out, symbols, task->site + from, CIO__SITE_FRAMES - from, 6);
    }
}

/* Those that tell at a glance whether it works, sleeps, or comes too late. */
static void print_counters(struct cio__out *out, const cio_loop_counters *counters)
{
    uint64_t fired = counters->timers_fired;
    double late_us = fired ? (double)counters->late_sum_ns / 1e3 / (double)fired : 0;
    cio__print(out,
               "  %" PRIu64 " turns, %" PRIu64 " callbacks, %" PRIu64 " switches, %" PRIu64
               " polls, %.3f s asleep in %" PRIu64 " of them\n",
               counters->turns, counters->callbacks, counters->switches, counters->polls,
               (double)counters->poll_ns / 1e9, counters->sleeps);
    cio__print(out,
               "  %" PRIu64 " timers fired, late by %.0f us on average, %.0f us at most; %" PRIu64
               " ready at most\n",
               fired, late_us, (double)counters->late_max_ns / 1e3, counters->ready_max);
}

static void print_loop(struct cio__out *out, struct cio__symbols *symbols,
                       const struct cio__seen_loop *loop, int number)
{
    cio__print(out, "Loop %d at %p", number, (const void *)loop->loop);
    if (loop->thread)
        cio__print(out, " in thread %d", loop->thread);
    if (!loop->answered) {
        cio__print(out, ": %s\n", loop->thread ? "it did not answer" : "it does not run");
        return;
    }
    cio__print(out, ": %zu task%s, %zu ready, %zu timer%s%s\n", loop->n + loop->omitted,
               loop->n + loop->omitted == 1 ? "" : "s", loop->n_ready, loop->n_timers,
               loop->n_timers == 1 ? "" : "s", loop->thread ? "" : "; it does not run");
    print_counters(out, &loop->counters);
    if (loop->callback.frame.pc) {
        cio__print(out, "  a callback runs\n");
        cio__print_stack(out, symbols, &loop->callback, 6);
    }
    struct cio__found *found = make_index(loop);
    for (size_t i = 0; i < loop->n; i++)
        print_task(out, symbols, loop, &loop->tasks[i], found);
    if (loop->omitted)
        cio__print(out, "  and %zu more, for which there was no room\n", loop->omitted);
    if (found)
        cio__print_tree(out, loop, found);
    free(found);
}

struct printing {
    struct cio__out *out;
    const struct cio__snapshot *snapshot;
    bool with_symbols;
};

static void *print_all(void *arg)
{
    struct printing *printing = arg;
    struct cio__symbols *symbols = printing->with_symbols ? cio__symbols_open() : NULL;
    int number = 1;
    for (const struct cio__seen_loop *loop = printing->snapshot->first; loop; loop = loop->next)
        print_loop(printing->out, symbols, loop, number++);
    cio__symbols_close(symbols);
    return NULL;
}

bool cio__run_in_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, PRINTER_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool began = pthread_create(&thread, &attributes, fn, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (began)
        pthread_join(thread, NULL);
    return began;
}

int cio__print_snapshot(struct cio__out *out, const struct cio__snapshot *snapshot)
{
    struct printing printing = {.out = out, .snapshot = snapshot, .with_symbols = true};
    if (!cio__run_in_thread(print_all, &printing)) {
        printing.with_symbols = false; /* the dynamic linker's knowledge takes little stack */
        print_all(&printing);
    }
    if (out->stream && out->rc == 0 && fflush(out->stream) != 0)
        out->rc = -errno;
    return out->rc;
}
