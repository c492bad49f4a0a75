/*
 * Floor 1: the loop without stacks. This is what its files, and the floors above, know of it; the
 * public face is <cio/loop.h>.
 */
#ifndef CIO_LOOP_LOOP_H
#define CIO_LOOP_LOOP_H

#include <cio/counters.h>
#include <cio/error.h>
#include <cio/loop.h>

#include "loop/files.h"
#include "loop/lanes.h"
#include "loop/ready.h"
#include "loop/ticker.h"
#include "loop/ties.h"
#include "loop/timers.h"
#include "loop/vars.h"
#include "os/error.h"
#include "os/os.h"
#include "os/spin.h"

#define CIO__CACHE_LINE 64

/* What one may ask for as a task's stack, in bytes. */
#define CIO__STACK_LEAST ((size_t)4 * 1024)
#define CIO__STACK_MOST ((size_t)1024 * 1024 * 1024)

/* Where a handle stands; cio_handle.state. A watch can be queued at the same time. */
enum cio__handle_state {
    CIO__IDLE = 0,
    CIO__READY = 1,    /* in the ready ring, at .slot */
    CIO__OVERFLOW = 2, /* in the list behind the ring */
    CIO__TIMER = 3,    /* in the timer heap, at .slot */
    CIO__INBOX = 4,    /* on its way from another thread */
    CIO__WATCH = 8,    /* a bit: stays with its descriptor after the call */
};

/*
 * What is counted where it happens; the rest of cio_loop_counters follows from what the loop keeps
 * anyway. Loop's thread only, but for .wakes and .shown.
 */
struct cio__counts {
    uint64_t canceled; /* places of the ready ring that were found empty */
    uint64_t plain;    /* callbacks that were no step of a task */
    uint64_t called;   /* steps of tasks that were not reached by way of the ring */
    uint64_t alone;    /* turns that were counted without being made */
    struct cio_loop_counters shown;
};

/* How the loop looks to other threads. */
enum cio__sleep { CIO__AWAKE = 0, CIO__ASLEEP = 1, CIO__BEING_WOKEN = 2 };

/* An executor that a loop has for itself. */
struct cio__own_executor {
    struct cio_executor *executor; /* NULL: none yet, or no longer */
    struct cio__tie tie;
    bool ended; /* there will be none */
};

struct cio_loop {
    struct cio__ready ready;

    /*
     * Positions of the ready ring. Callbacks run without a question up to stop_at, which is where
     * the turn ends or the clock is to be asked, whichever comes first; 0, which the ticker and
     * those who want attention write, stops after the callback that runs.
     */
    uint64_t stop_at;  /* atomic: the ticker's thread writes it */
    uint64_t turn_end; /* where the ring ended when the turn began */
    uint64_t check_at; /* what stands there waits for a look at the clock, and maybe the kernel */
    uint64_t turns;

    struct cio__timers timers;
    struct cio__os *os;

    /* The last look at the clock, and the next. */
    uint64_t planned; /* check_at as it was meant; the difference is turns not made: see alone() */
    uint64_t looked;  /* cio__ran() at the last look */
    uint32_t check_every;
    uint32_t quick; /* callbacks that took no time worth speaking of, but for some a sleep */
    int64_t checked_ns;
    int64_t looked_before_ns; /* the look before that */
    int64_t polled_ns;
    int64_t shown_ns; /* when the counters were last brought up to date */
    int64_t turn_budget_ns;

    struct cio__lanes lanes;
    struct cio__ticking ticking;
    struct cio__counts counts;

    int calls_in_a_row; /* system calls of tasks that succeeded without a wait between */

    bool running; /* atomic: other threads ask */
    bool stopping;
    bool look_at_end; /* of this turn: somebody asked for attention */
    bool closed;      /* atomic: the same */
    bool careful;     /* atomic: closed or in debug mode: calls are to be checked */
    int thread;       /* atomic: the number of the one that made or last ran it */
    unsigned fork_generation;
    uint64_t id; /* of no other loop, earlier or later; never 0 */

    /* Other threads' side, on a cache line of its own. */
    struct {
        char before[CIO__CACHE_LINE];
        cio_handle *newest; /* atomic: a stack, newest first */
        uint8_t sleep;      /* atomic: enum cio__sleep */
        char after[CIO__CACHE_LINE];
    } inbox;

    struct cio__files files;

    struct cio__signal *signals;   /* see signals.c */
    struct cio_signals *listeners; /* who is told of signals besides handlers */

    cio_callback *poll_release;
    cio_callback *poll_acquire;
    void *poll_arg;

    cio_exception_handler *exception_handler;
    void *exception_arg;
    bool in_exception_handler;

    uint32_t runs; /* cio_run_forever()'s, the present one included */

    /* The floor above: what it keeps for this loop, how it runs handles and is told of the end. */
    struct cio__tasks *tasks;
    struct cio__tasks *quick_tasks; /* NULL: creating a task takes more than the usual */
    void (*run_usually)(struct cio_loop *loop);
    void (*run_turns)(struct cio_loop *loop); /* an instance of cio__run_turns() */
    void (*close_tasks)(struct cio_loop *loop);
    void (*free_tasks)(struct cio_loop *loop);
    void (*count_tasks)(const struct cio_loop *loop, struct cio_loop_counters *counters);
    size_t stack_size;

    /* And the one above that: its streams, transports and servers. */
    struct cio__io *io;
    void (*close_io)(struct cio_loop *loop);

    /*
     * Other threads and this loop. dropped() is told of every call that will not be made because
     * the loop was closed; any thread may set it. end_threads() is called when the last task of a
     * run has ended, and may run the loop.
     */
    struct cio__tie *ties;
    size_t expected;       /* posts that other threads owe: while there are any, it may be woken */
    struct cio__spin spin; /* how soon they came */
    uint32_t references;   /* atomic: the owner's, and those who may still post */
    void (*dropped)(cio_handle *handle);
    void (*end_threads)(struct cio_loop *loop);
    struct cio__own_executor jobs;  /* the default one */
    struct cio__own_executor names; /* which looks names up */
    struct cio_remote *calls;       /* jobs that wait for a task of this loop */

    /* Floor 4: debug mode; how others look at it. */
    struct cio__debug *debug; /* atomic; NULL: debug mode was never on */
    int64_t slow_ns;          /* a callback that takes longer is slow */
    void *run_frame;          /* cio_run_forever()'s: whose callers are of no interest */
    bool finds_deadlocks;     /* it is cio_run()'s, and no unknown outside may wake it */
    bool stuck;               /* it was stopped because nothing would wake it */
    bool given_away;          /* atomic: the program was given its address */
    int used_fd;              /* one that was in use when it was last looked */
    struct {
        cio_handle handle;
        int state; /* atomic: see debug/stop.c */
    } look;

    struct cio_loop *next; /* all loops of the process, for debuggers */
    struct cio_loop *previous;
};

/*
 * Whether the calling thread may use the loop: 0, CIO_ECLOSED, or, in debug mode, CIO_EWRONGLOOP if
 * it runs in another thread, which is then reported.
 */
int cio__check_careful(const cio_loop *loop);

static inline int cio__check_open(const cio_loop *loop)
{
    return unlikely(__atomic_load_n(&loop->careful, __ATOMIC_RELAXED)) ? cio__check_careful(loop)
                                                                       : 0;
}

/* The program is given the loop, and may call from wherever it wants. */
static inline cio_loop *cio__give_away(cio_loop *loop)
{
    if (loop)
        __atomic_store_n(&loop->given_away, true, __ATOMIC_RELAXED);
    return loop;
}

/* How the loop runs its handles, but for debug mode. */
void cio__set_run_turns(cio_loop *loop, void (*run_turns)(cio_loop *loop));

/* All loops of the process, newest first; none goes while the list is held. */
extern cio_loop *cio__loops;
void cio__loops_hold(void);
void cio__loops_release(void);

/* What cio_call_*() refuse: 0 if the handle may be scheduled. */
int cio__check_call(const cio_loop *loop, const cio_handle *handle, cio_callback *fn);

/* The instance of cio__run_turns() that knows callbacks only. */
void cio__run_callbacks(cio_loop *loop);

/* cio_call_soon_threadsafe() in the empty context. */
int cio__post(cio_loop *loop, cio_handle *handle, cio_callback *fn, void *arg);

/* cio_call_at() for a handle whose fields are filled. Returns 0 or -ENOMEM. */
int cio__call_at_ns(cio_loop *loop, cio_handle *handle, int64_t when_ns);

/* Whether the loop was made by an ancestor of this process. */
bool cio__loop_inherited(const cio_loop *loop);

/* Whether the loop of this id, of any thread, exists, is not closed, and is this process's. */
bool cio__loop_is_open(uint64_t id);
/*
 * Whoever posts to a loop that may be freed meanwhile holds it: a closed loop refuses the post, but
 * its memory stays until the last holder lets go. From any thread.
 */
void cio__loop_hold(cio_loop *loop);
void cio__loop_release(cio_loop *loop);

/* Moves what other threads have queued to the ready ring; the second for the last time. */
void cio__inbox_drain(cio_loop *loop);
void cio__inbox_close(cio_loop *loop);

/* Before a sleep: from now on a poster must wake us. False: there is mail already. And after it. */
bool cio__inbox_sleep(cio_loop *loop);
void cio__inbox_awake(cio_loop *loop);

/* Ends the loop's sleep, if it sleeps, without any mail. From any thread. */
void cio__inbox_wake(cio_loop *loop);

static inline bool cio__inbox_has_mail(const cio_loop *loop)
{
    return __atomic_load_n(&loop->inbox.newest, __ATOMIC_RELAXED) != NULL;
}

/* Counters that other threads may read; only the loop's thread writes them. */
/* NOLINTNEXTLINE(readability-non-const-parameter): it does not see the store */
static inline void cio__show(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline void cio__count(uint64_t *counter, uint64_t n)
{
    cio__show(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n);
}

/* Brings loop->counts.shown up to date. Loop's thread. */
void cio__counters_show(cio_loop *loop);

/* How many places of the ready ring were passed, ever. */
static inline uint64_t cio__ran(const cio_loop *loop)
{
    return loop->ready.head - CIO__FIRST_POSITION + loop->lanes.fronted;
}

/* How many callbacks may run before the loop stops, as a position of the ready ring. */
static inline uint64_t cio__stop_at(const cio_loop *loop)
{
    return __atomic_load_n(&loop->stop_at, __ATOMIC_RELAXED);
}

static inline void cio__set_stop_at(cio_loop *loop, uint64_t position)
{
    __atomic_store_n(&loop->stop_at, position, __ATOMIC_RELAXED);
}

/* The loop stops after the callback that runs: something may have to go first. Loop's thread. */
static inline void cio__want_attention(cio_loop *loop)
{
    cio__set_stop_at(loop, 0);
}

/* The loop looks at the clock before it runs what stands there, if not sooner. */
static inline void cio__stop_by(cio_loop *loop, uint64_t position)
{
    if (loop->check_at > position) {
        loop->planned -= loop->check_at - position;
        loop->check_at = position;
    }
    if (cio__stop_at(loop) > position)
        cio__set_stop_at(loop, position);
}

static inline int64_t cio__now_ns(const cio_loop *loop)
{
    return loop->os->ops->now_ns(loop->os);
}

static inline unsigned cio__handle_state(const cio_handle *handle)
{
    return __atomic_load_n(&handle->state, __ATOMIC_RELAXED);
}

/* Whether its turn is to come, in the ready ring or behind it. */
static inline bool cio__handle_is_queued(const cio_handle *handle)
{
    unsigned state = cio__handle_state(handle) & ~(unsigned)CIO__WATCH;
    return state == CIO__READY || state == CIO__OVERFLOW;
}

/* Release: whoever sees the handle idle may use its fields again, also in another thread. */
static inline void cio__handle_set_state(cio_handle *handle, unsigned state)
{
    __atomic_store_n(&handle->state, (uint8_t)state, __ATOMIC_RELEASE);
}

/* Queues every handle of the list that is not queued yet, and empties it. */
static inline void cio__links_wake(cio_loop *loop, struct cio__links *links)
{
    cio_link *link = links->first;
    *links = (struct cio__links){0};
    while (link) {
        cio_link *next = link->next;
        link->list = NULL;
        if (likely(cio__handle_state(link->handle) == CIO__IDLE))
            cio__ready_push(&loop->ready, link->handle);
        link = next;
    }
}

/* The record of fd if there is one. */
static inline struct cio__file *cio__file_find(const cio_loop *loop, int fd)
{
    size_t block = (size_t)fd / CIO__FILES_A_BLOCK;
    if (fd < 0 || block >= loop->files.n_blocks || !loop->files.blocks[block])
        return NULL;
    return &loop->files.blocks[block][fd % CIO__FILES_A_BLOCK];
}

/* The record that an event is about; the event may be of an earlier descriptor of that number. */
static inline struct cio__file *cio__file_of(const cio_loop *loop, const struct cio__event *event)
{
    return cio__file_find(loop, (int)(uint32_t)event->tag);
}

/* The loop that runs in this thread. */
extern _Thread_local cio_loop *cio__running __attribute__((tls_model("initial-exec")));

/* Tells the exception handler. The second: of something that was created, and is still there. */
void cio__report(cio_loop *loop, const char *message, int error, const cio_future *future,
                 const char *name);
void cio__report_unclosed(cio_loop *loop, const char *message, const void *thing);

#endif
