/*
 * The thread that looks at loops from outside: it tells of callbacks that block, and writes dumps
 * when a signal asks for them. It lives as long as somebody wants one of the two.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "debug/asleep.h"
#include "debug/mode.h"
#include "debug/stop.h"

#define LOOKS_A_DURATION 4 /* so often is looked within the time that a callback may take */
#define LOOK_MOST_NS ((int64_t)250000000)
#define SEEN_WITHIN_NS ((int64_t)3000000000)
#define LOOK_LEAST_NS ((int64_t)1000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int users;
static pthread_t thread;
static sem_t bell;
static bool stopping;       /* atomic */
static bool dump_requested; /* atomic */

/* A blocked callback, as it was found. */
struct finding {
    char name[CIO__SEEN_NAME];
    cio_callback *fn;
    int64_t blocked_ns;
    bool seen;
    struct cio__stack_copy stack;
};

static struct finding finding;
static char finding_bytes[CIO__STACK_COPIED] __attribute__((aligned(16)));

/* Without a signal, if the thread is in a system call. The list of loops is held. */
static bool see_asleep(const cio_loop *loop, const struct cio__debug *debug)
{
    struct cio__asleep asleep;
    struct cio__debug seen;
    struct cio__stack stack = {0};
    struct cio_future task;
    int number = __atomic_load_n(&loop->thread, __ATOMIC_ACQUIRE);
    if (!cio__asleep_begin(&asleep, number) || !cio__peek(&seen, debug, sizeof seen))
        return false;
    if (seen.task && (!cio__peek(&task, seen.task, sizeof task) || !task.stack ||
                      !cio__peek(&stack, task.stack, sizeof stack)))
        return false;
    uintptr_t sp = asleep.frame.sp & ~(sizeof sp - 1);
    uintptr_t end = seen.task ? (uintptr_t)stack.top : (uintptr_t)loop->run_frame;
    if (sp < (uintptr_t)stack.bottom || sp >= end || end - sp > sizeof finding_bytes ||
        !cio__peek(finding_bytes, (const void *)sp, end - sp) ||
        !cio__asleep_still(&asleep, number))
        return false;
    finding.fn = seen.fn;
    memcpy(finding.name, seen.name, sizeof finding.name);
    finding.stack = (struct cio__stack_copy){
        .frame = asleep.frame, .bytes = finding_bytes, .size = end - sp};
    finding.stack.frame.sp = sp;
    return true;
}

/* By a signal: a callback that computes has no system call to be cut short. */
static bool see_stopped(const cio_loop *loop, const struct cio__debug *debug, uint64_t step)
{
    struct cio__here here;
    if (!cio__thread_stop(__atomic_load_n(&loop->thread, __ATOMIC_ACQUIRE), &here))
        return false;
    bool same = debug->began_ns && debug->steps == step;
    if (same) {
        finding.fn = debug->fn;
        memcpy(finding.name, debug->name, sizeof finding.name);
        cio__copy_stack_of(&finding.stack, loop, here.current, here.frame, finding_bytes,
                           sizeof finding_bytes);
    }
    cio__thread_go_on();
    if (!same)
        finding.blocked_ns = 0; /* it has just ended */
    return same;
}

static void inspect(const cio_loop *loop, struct cio__debug *debug, int64_t blocked_ns)
{
    uint64_t step = __atomic_load_n(&debug->steps, __ATOMIC_RELAXED);
    finding = (struct finding){.blocked_ns = blocked_ns};
    finding.seen = see_asleep(loop, debug) || see_stopped(loop, debug, step);
    if (!finding.seen && blocked_ns < debug->slow_ns + SEEN_WITHIN_NS)
        finding.blocked_ns = 0; /* the next look may have more luck */
    if (finding.blocked_ns)
        debug->told = step;
}

static void tell_finding(void)
{
    struct cio__out out = {.fd = 2};
    double blocked = (double)finding.blocked_ns / 1e9;
    if (!finding.blocked_ns)
        return;
    if (!finding.seen) {
        cio__print(&out, "cio: a callback has blocked a loop for %.3f s, nobody knows where\n",
                   blocked);
        return;
    }
    struct cio__symbols *symbols = cio__symbols_open();
    if (finding.name[0]) {
        cio__print(&out, "cio: '%s' has blocked its loop for %.3f s, here:\n", finding.name,
                   blocked);
    } else {
        char place[256];
        cio__describe_place(symbols, (uintptr_t)finding.fn, place, sizeof place);
        cio__print(&out, "cio: callback %s has blocked its loop for %.3f s, here:\n", place,
                   blocked);
    }
    cio__print_stack(&out, symbols, &finding.stack, 6);
    cio__symbols_close(symbols);
}

/* Looks for one loop that is blocked. Returns after how long to look again; -1: at nothing. */
static int64_t look_at_loops(void)
{
    int64_t again_ns = -1;
    finding.blocked_ns = 0;
    cio__loops_hold();
    for (cio_loop *loop = cio__loops; loop && !finding.blocked_ns; loop = loop->next) {
        struct cio__debug *debug = __atomic_load_n(&loop->debug, __ATOMIC_ACQUIRE);
        if (!debug || !__atomic_load_n(&debug->on, __ATOMIC_ACQUIRE))
            continue;
        int64_t slow_ns = __atomic_load_n(&debug->slow_ns, __ATOMIC_RELAXED);
        int64_t look_ns = slow_ns / LOOKS_A_DURATION;
        if (again_ns < 0 || look_ns < again_ns)
            again_ns = look_ns;
        int64_t began_ns = __atomic_load_n(&debug->began_ns, __ATOMIC_ACQUIRE);
        int64_t blocked_ns = began_ns ? cio__monotonic_ns() - began_ns : 0;
        if (blocked_ns >= slow_ns &&
            debug->told != __atomic_load_n(&debug->steps, __ATOMIC_RELAXED))
            inspect(loop, debug, blocked_ns);
    }
    cio__loops_release();
    if (finding.blocked_ns)
        tell_finding();
    if (again_ns < 0)
        return -1;
    if (again_ns > LOOK_MOST_NS)
        again_ns = LOOK_MOST_NS;
    return again_ns < LOOK_LEAST_NS ? LOOK_LEAST_NS : again_ns;
}

static void wait_for_bell(int64_t timeout_ns)
{
    struct timespec until;
    if (timeout_ns < 0) {
        sem_wait(&bell);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + timeout_ns;
    until.tv_sec += ns / CIO__NS_PER_S;
    until.tv_nsec = ns % CIO__NS_PER_S;
    sem_timedwait(&bell, &until);
}

static void *serve(void *arg)
{
    (void)arg;
    cio__symbols_load();
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        if (__atomic_exchange_n(&dump_requested, false, __ATOMIC_ACQ_REL)) {
            struct cio__out out = {.fd = 2};
            cio__dump(&out, NULL);
        }
        wait_for_bell(look_at_loops());
    }
    return NULL;
}

static void forget_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    users = 0; /* the thread is the parent's */
}

static void prepare_once(void)
{
    sem_init(&bell, 0, 0);
    cio__at_fork(forget_in_child);
}

static int start(void)
{
    sigset_t all, before;
    __atomic_store_n(&stopping, false, __ATOMIC_RELEASE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, NULL, serve, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return -EAGAIN;
    cio__stopping_begin();
    return 0;
}

static void end(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    sem_post(&bell);
    pthread_join(thread, NULL);
    cio__stopping_end();
}

int cio__service_begin(void)
{
    int rc = 0;
    pthread_once(&once, prepare_once);
    pthread_mutex_lock(&lock);
    if (users == 0)
        rc = start();
    users += rc == 0;
    pthread_mutex_unlock(&lock);
    return rc;
}

void cio__service_end(void)
{
    pthread_mutex_lock(&lock);
    if (users > 0 && --users == 0)
        end();
    pthread_mutex_unlock(&lock);
}

void cio__service_nudge(void)
{
    sem_post(&bell);
}

bool cio__service_runs(void)
{
    pthread_mutex_lock(&lock);
    bool runs = users > 0;
    pthread_mutex_unlock(&lock);
    return runs;
}

void cio__service_dump(void)
{
    __atomic_store_n(&dump_requested, true, __ATOMIC_RELEASE);
    sem_post(&bell);
}
