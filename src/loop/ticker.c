/* The thread that interrupts busy loops. */
#include "loop/ticker.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "loop/loop.h"
#include "os/thread.h"

#define TICK_NS 1000000
#define IDLE_TICKS 50 /* a loop that has slept so long is left alone until it asks again */
#define STACK_SIZE ((size_t)64 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
    cio_loop *first;  /* those that are ticked */
    unsigned users;   /* loops that keep the thread */
    bool running;     /* there is a thread */
    uintptr_t number; /* of the present thread: one that has another ends */
    pthread_t thread;
} ticker;

static void init_changed(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void cio__ticker_forget(void)
{
    pthread_mutex_init(&lock, NULL);
    init_changed();
    memset(&ticker, 0, sizeof ticker);
}

static void take_out(cio_loop *loop)
{
    cio_loop **place = &ticker.first;
    while (*place && *place != loop)
        place = &(*place)->ticking.next;
    if (!*place)
        return;
    *place = loop->ticking.next;
    __atomic_store_n(&loop->ticking.on, false, __ATOMIC_RELAXED);
}

static void tick_all(void)
{
    cio_loop *next;
    for (cio_loop *loop = ticker.first; loop; loop = next) {
        next = loop->ticking.next;
        if (__atomic_load_n(&loop->inbox.sleep, __ATOMIC_RELAXED) == CIO__AWAKE) {
            loop->ticking.idle = 0;
            __atomic_store_n(&loop->stop_at, 0, __ATOMIC_RELAXED);
        } else if (++loop->ticking.idle >= IDLE_TICKS) {
            take_out(loop);
        }
    }
}

static struct timespec next_tick(void)
{
    int64_t ns = cio__monotonic_ns() + TICK_NS;
    return (struct timespec){.tv_sec = ns / CIO__NS_PER_S, .tv_nsec = ns % CIO__NS_PER_S};
}

static void *run(void *number)
{
    cio__thread_set_name("cio-ticker");
    cio__thread_leave_files();
    pthread_mutex_lock(&lock);
    while (ticker.number == (uintptr_t)number) {
        if (!ticker.first) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        struct timespec at = next_tick();
        if (pthread_cond_timedwait(&changed, &lock, &at) != 0)
            tick_all();
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static bool start_thread(void)
{
    void *number = (void *)ticker.number;
    return cio__thread_start(&ticker.thread, STACK_SIZE, run, number) == 0 ||
           cio__thread_start(&ticker.thread, 0, run, number) == 0; /* much thread-local data */
}

bool cio__ticker_start(cio_loop *loop)
{
    struct cio__ticking *ticking = &loop->ticking;
    if (ticking->failed || !loop->os->ops->real_time)
        return false;
    pthread_once(&once, init_changed);
    pthread_mutex_lock(&lock);
    if (!ticker.running)
        ticker.running = start_thread();
    ticking->failed = !ticker.running;
    if (ticker.running && !ticking->on) {
        ticker.users += !ticking->user;
        ticking->user = true;
        ticking->idle = 0;
        ticking->next = ticker.first;
        ticker.first = loop;
        __atomic_store_n(&ticking->on, true, __ATOMIC_RELAXED);
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
    return !ticking->failed;
}

bool cio__ticker_runs(void)
{
    pthread_mutex_lock(&lock);
    bool running = ticker.running;
    pthread_mutex_unlock(&lock);
    return running;
}

void cio__ticker_stop(cio_loop *loop)
{
    if (!cio__ticker_is_on(&loop->ticking))
        return;
    pthread_mutex_lock(&lock);
    take_out(loop);
    pthread_mutex_unlock(&lock);
}

void cio__ticker_leave(cio_loop *loop)
{
    if (!loop->ticking.user)
        return;
    loop->ticking.user = false;
    pthread_mutex_lock(&lock);
    take_out(loop);
    bool last = --ticker.users == 0;
    pthread_t thread = ticker.thread;
    if (last) {
        ticker.number++;
        ticker.running = false;
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
    if (last)
        pthread_join(thread, NULL);
}
