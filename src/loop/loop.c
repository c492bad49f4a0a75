/* A loop's life. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "loop/debug.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "os/environment.h"
#include "os/gdb.h"
#include "os/memory.h"

#define STACK_DEFAULT ((size_t)64 * 1024)
#define TURN_BUDGET_NS 1000000

_Thread_local cio_loop *cio__running;

/* All loops, so that a debugger finds their tasks. */
cio_loop *cio__loops;
static pthread_mutex_t loops_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned fork_generation;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

static void forget_in_child(void)
{
    fork_generation++;
    cio__signals_forget_in_child();
    if (cio__running) { /* the turn that forked is this loop's last in the child */
        cio__running->check_at = 0;
        cio__set_stop_at(cio__running, cio__running->turn_end);
    }
    cio__running = NULL;
    cio__ticker_forget();
    pthread_mutex_init(&loops_lock, NULL); /* another thread of the parent may have held it */
}

static void watch_forks(void)
{
    fork_error = cio__at_fork(forget_in_child);
}

void cio__loops_hold(void)
{
    pthread_mutex_lock(&loops_lock);
}

void cio__loops_release(void)
{
    pthread_mutex_unlock(&loops_lock);
}

static void enlist(cio_loop *loop)
{
    static uint64_t last_id;
    pthread_mutex_lock(&loops_lock);
    loop->id = ++last_id;
    loop->next = cio__loops;
    if (cio__loops)
        cio__loops->previous = loop;
    cio__loops = loop;
    pthread_mutex_unlock(&loops_lock);
}

static void delist(cio_loop *loop)
{
    pthread_mutex_lock(&loops_lock);
    if (loop->previous)
        loop->previous->next = loop->next;
    else
        cio__loops = loop->next;
    if (loop->next)
        loop->next->previous = loop->previous;
    pthread_mutex_unlock(&loops_lock);
}

static int check_options(const cio_loop_options *options)
{
    if (!cio__backend(options->backend))
        return -EINVAL;
    if (!(options->turn_budget >= 0)) /* nor NaN */
        return -EINVAL;
    size_t size = options->stack_size;
    return size && (size < CIO__STACK_LEAST || size > CIO__STACK_MOST) ? -EINVAL : 0;
}

static int open_loop(cio_loop *loop, const cio_loop_options *options)
{
    int rc = cio__ready_init(&loop->ready);
    if (rc < 0)
        return rc;
    rc = cio__backend(options->backend)->open(&loop->os);
    if (rc < 0)
        cio__ready_free(&loop->ready);
    return rc;
}

/* What the loop's option says, or else the environment. */
static int64_t turn_budget_ns(const cio_loop_options *options)
{
    double seconds = options->turn_budget;
    if (seconds == 0)
        seconds = cio__env_turn_budget();
    return seconds > 0 ? cio__deadline_after_ns(0, seconds) : TURN_BUDGET_NS;
}

cio_loop *cio_loop_new(const cio_loop_options *options)
{
    static const cio_loop_options defaults;
    if (!options)
        options = &defaults;
    pthread_once(&fork_once, watch_forks);
    int rc = fork_error ? fork_error : check_options(options);
    if (rc < 0)
        return cio__fail(rc);
    cio_loop *loop = cio__alloc(sizeof *loop);
    if (!loop)
        return cio__fail(-ENOMEM);
    memset(loop, 0, sizeof *loop);
    rc = open_loop(loop, options);
    if (rc < 0) {
        cio__free(loop);
        return cio__fail(rc);
    }
    loop->stack_size = options->stack_size ? options->stack_size : STACK_DEFAULT;
    loop->check_every = 1;
    loop->run_usually = loop->run_turns = cio__run_callbacks;
    loop->turn_budget_ns = turn_budget_ns(options);
    loop->turn_end = CIO__FIRST_POSITION;
    loop->fork_generation = fork_generation;
    loop->references = 1;
    loop->thread = cio__thread_number();
    enlist(loop);
    rc = cio__debug_begin(loop, options);
    if (rc < 0) {
        cio_loop_free(loop);
        return cio__fail(rc);
    }
    return loop;
}

static void drop(cio_handle *handle)
{
    CIO__FORGET_VARS(handle);
    cio__handle_set_state(handle, CIO__IDLE);
}

static void drop_timers(cio_loop *loop)
{
    for (uint32_t i = 0; i < loop->timers.n; i++)
        drop(loop->timers.heap[i].handle);
    cio__timers_free(&loop->timers);
}

static void drop_ready(cio_loop *loop, struct cio__ready *ready)
{
    void (*dropped)(cio_handle *) = __atomic_load_n(&loop->dropped, __ATOMIC_ACQUIRE);
    if (cio__loop_inherited(loop))
        dropped = NULL; /* those who would hear of it are in the parent process */
    while (!cio__ready_empty(ready)) {
        cio_handle *handle = cio__ready_take(ready);
        if (!handle)
            continue;
        handle->lane = CIO__LANE_READY;
        drop(handle);
        if (dropped)
            dropped(handle);
    }
    cio__ready_free(ready);
}

static void drop_all_ready(cio_loop *loop)
{
    drop_ready(loop, &loop->ready);
    if (!loop->lanes.open)
        return;
    drop_ready(loop, &loop->lanes.front);
    drop_ready(loop, &loop->lanes.low);
}

int cio_loop_close(cio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (loop->running && loop->fork_generation == fork_generation)
        return CIO_ERUNNING;
    if (loop->closed)
        return 0;
    if (loop->close_io)
        loop->close_io(loop);
    if (loop->close_tasks)
        loop->close_tasks(loop);
    cio__signals_close(loop);
    __atomic_store_n(&loop->closed, true, __ATOMIC_RELEASE);
    __atomic_store_n(&loop->careful, true, __ATOMIC_RELEASE);
    cio__inbox_close(loop);
    if (!cio__loop_inherited(loop))
        cio__ticker_leave(loop);
    cio__files_free(loop);
    drop_timers(loop);
    drop_all_ready(loop);
    if (!cio__loop_inherited(loop))
        cio__ties_cut(loop); /* after the calls: one that was never begun may be waited for */
    loop->os->ops->close(loop->os);
    loop->os = NULL;
    return 0;
}

int cio_loop_free(cio_loop *loop)
{
    if (!loop)
        return 0;
    int rc = cio_loop_close(loop);
    if (rc < 0)
        return rc;
    if (loop->free_tasks)
        loop->free_tasks(loop);
    delist(loop);
    cio__debug_free(loop);
    cio__loop_release(loop);
    return 0;
}

void cio__loop_hold(cio_loop *loop)
{
    __atomic_fetch_add(&loop->references, 1, __ATOMIC_RELAXED);
}

void cio__loop_release(cio_loop *loop)
{
    if (__atomic_fetch_sub(&loop->references, 1, __ATOMIC_ACQ_REL) == 1)
        cio__free(loop);
}

cio_loop *cio_get_running_loop(void)
{
    return cio__give_away(cio__running);
}

bool cio_is_running(const cio_loop *loop)
{
    return loop && loop->running && loop->fork_generation == fork_generation;
}

bool cio_is_closed(const cio_loop *loop)
{
    return !loop || __atomic_load_n(&loop->closed, __ATOMIC_ACQUIRE);
}

int cio__check_careful(const cio_loop *loop)
{
    if (loop->closed)
        return CIO_ECLOSED;
    bool elsewhere = __atomic_load_n(&loop->running, __ATOMIC_ACQUIRE) && cio__running != loop;
    return elsewhere && !cio__loop_inherited(loop) ? cio__report_wrong_thread(loop) : 0;
}

void cio__set_run_turns(cio_loop *loop, void (*run_turns)(cio_loop *loop))
{
    bool usual = loop->run_turns == loop->run_usually;
    loop->run_usually = run_turns;
    if (usual)
        loop->run_turns = run_turns;
}

double cio_time(const cio_loop *loop)
{
    int64_t now_ns = loop && loop->os ? cio__now_ns(loop) : cio__monotonic_ns();
    return (double)now_ns * 1e-9;
}

int cio_set_poll_hooks(cio_loop *loop, cio_callback *release, cio_callback *acquire, void *arg)
{
    if (!loop || !release != !acquire)
        return -EINVAL;
    loop->poll_release = release;
    loop->poll_acquire = acquire;
    loop->poll_arg = arg;
    return 0;
}

bool cio__loop_inherited(const cio_loop *loop)
{
    return loop->fork_generation != fork_generation;
}

bool cio__loop_is_open(uint64_t id)
{
    pthread_mutex_lock(&loops_lock);
    const cio_loop *loop = cio__loops;
    while (loop && loop->id != id)
        loop = loop->next;
    bool open = loop && !cio_is_closed(loop) && !cio__loop_inherited(loop);
    pthread_mutex_unlock(&loops_lock);
    return open;
}
