/* Debug mode: what is kept for a loop that is in it, or was. */
#ifndef CIO_DEBUG_MODE_H
#define CIO_DEBUG_MODE_H

#include "debug/print.h"
#include "debug/snapshot.h"
#include "loop/debug.h"

/*
 * What is known of something since it was created: of a future or task, by its place in the pool, or
 * of what holds a descriptor.
 */
struct cio__trace {
    const void *thing; /* NULL: free */
    int64_t since_ns;  /* its last step ended */
    uintptr_t site[CIO__SITE_FRAMES];
};

struct cio__debug {
    int64_t slow_ns; /* atomic */
    /* The step that runs. Others read it while the loop's thread stands still. */
    int64_t began_ns; /* atomic; 0: none */
    uint64_t steps;   /* atomic: how many have begun */
    uint64_t told;    /* the watchdog's: the last one that it has told of */
    cio_callback *fn;
    const cio_task *task;      /* NULL: a callback */
    char name[CIO__SEEN_NAME]; /* the task's; "": a callback */
    uint32_t prepared_run;     /* the run of the loop whose thread is known */
    bool on;                   /* atomic */

    struct cio__trace *traces; /* a table of n places in use of `capacity`, a power of 2 */
    size_t n;
    size_t capacity;
    struct cio__symbols *symbols; /* open since the first report */
};

/* What is known of a task in debug mode. */
void cio__debug_see(const cio_loop *loop, const cio_task *task, int64_t *ret_since_ns,
                    uintptr_t *site);

/* The thread that watches; each begin that returned 0 takes one end. Returns 0 or -EAGAIN. */
int cio__service_begin(void);
void cio__service_end(void);
/* Has it look again at what there is to watch. */
void cio__service_nudge(void);
bool cio__service_runs(void);
/* Has it write a dump of all loops to stderr. For signal handlers. */
void cio__service_dump(void);

/* Whether the signal is the one that asks for dumps, and has its handler. */
bool cio__dumps_on(int signal_number);

/* A dump of all loops, as this thread sees them. */
int cio__dump(struct cio__out *out, const struct cio__here *here);

/* Runs fn(arg) in a thread with room for libdw, and waits for it. False: it could not begin. */
bool cio__run_in_thread(void *(*fn)(void *arg), void *arg);

#endif
